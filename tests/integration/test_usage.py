#!/usr/bin/python3
"""Proves that wrong usage of any command is told by the argument that is wrong, with status 64, and repeats no secret."""

import subprocess

import harness

COMMANDS = (["run"], ["check"], ["config"], ["bundle", "show"], ["bundle", "make"], ["bundle", "request"], ["seal"], ["import"],
            ["status"])


def told(case, *args):
    done = case.run(*args)
    assert done.returncode == 64 and done.stdout == "" and "open-secret" not in done.stderr, (args, done)
    first, second = done.stderr.splitlines()[:2]
    assert first.startswith("midrelay: ") and second.startswith("usage: midrelay " + args[0]), done.stderr
    return first.removeprefix("midrelay: ")


def test_the_wrong_option_is_named(case):
    for command in COMMANDS:
        assert told(case, *command, "--nothing=open-secret") == "there is no option --nothing"
        # One dash too few, and options in one word.
        assert told(case, *command, "-zxq") == "there is no option -z"
        assert told(case, *command, "-z") == "there is no option -z"
    assert told(case, "config", "-json") == told(case, "config", "--json", "-json") == "there is no option -j"
    assert told(case, "config", "--json=1") == "--json takes no value"
    for args in (["run", "-c"], ["config", "-c"], ["status", "--config"], ["seal", "--cert"], ["import", "-o"],
                 ["bundle", "make", "-o"]):
        assert told(case, *args) == "%s needs a value" % args[-1]


def test_a_secret_as_an_argument_is_not_repeated(case):
    assert told(case, "seal", "open-secret").startswith("a secret is never an argument")


def test_help_that_cannot_be_written(case):
    with open("/dev/full", "w") as full:
        for args in (["--help"], ["--version"], ["config", "--help"]):
            done = subprocess.run([*harness.WRAPPER, harness.BINARY, *args], stdout=full, stderr=subprocess.PIPE,
                                  timeout=harness.LIMIT)
            assert done.returncode == 1 and done.stderr == b"midrelay: the output could not be written\n", (args, done)


if __name__ == "__main__":
    harness.main()
