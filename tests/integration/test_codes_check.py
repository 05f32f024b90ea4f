#!/usr/bin/python3
"""Proves that `check` finds each code and cause of test_codes.py's cases, in its stage, with its facts and remedy."""

import codes
import harness
import test_codes

codes.tests(globals(), codes.through_check, vars(test_codes))

if __name__ == "__main__":
    harness.main()
