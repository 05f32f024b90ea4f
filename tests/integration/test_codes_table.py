#!/usr/bin/python3
"""Proves that the table of cases is whole: every code and cause, through each command that can come into it."""

import codes
import harness
import test_codes
import test_codes_target

# No memory: not to be had here without harm to others.
NOT_DRIVEN = {("local-limit", "memory")}
# It takes hundreds of clients that fail otherwise: test_burst.test_those_who_wait_have_a_deadline.
NOT_DRIVEN |= {("local-limit", "dials")}
# Of what a client does or lives through `check` knows nothing, and `run` asks an instance no questions.
# `check` judges an answer by what it says of the instance; how it is framed matters to whoever passes it on.
OF_MODE_HTTP = {"instance-malformed"}
STAGES_OF_ONE = {"run": {"local", "relay"}, "check": {"instance", "relay"}}


def driven(command=None):
    return {(entry.code, entry.cause) for module in (test_codes, test_codes_target)
            for entry in codes.entries(vars(module)) if command is None or command in entry.commands}


def test_every_code_and_cause_has_a_case(case):
    """A code or cause that is added to the table of diagnoses is driven too."""
    there = driven()
    wanted = {info["code"]: [c["cause"] for c in info["causes"]] for info in codes.explained(case)}
    missing = set(wanted) - {code for code, _ in there}
    missing |= {pair for code in wanted for pair in ((code, cause) for cause in wanted[code])} - there - NOT_DRIVEN
    assert not missing, missing


def test_every_case_goes_through_run_and_check(case):
    """What is marked as one command's own is of a stage that the other has not."""
    stages = {info["code"]: info["stage"] for info in codes.explained(case)}
    by_run, by_check = driven("run"), driven("check")
    by_run = {pair for pair in by_run if pair[0] not in OF_MODE_HTTP}
    assert {stages[code] for code, _ in by_run - by_check} <= STAGES_OF_ONE["run"], by_run - by_check
    assert {stages[code] for code, _ in by_check - by_run} <= STAGES_OF_ONE["check"], by_check - by_run


if __name__ == "__main__":
    harness.main()
