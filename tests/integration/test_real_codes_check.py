#!/usr/bin/python3
"""Proves that `check` says of real proxies and servers what `run` says of them: the cases of test_real_codes.py."""

import codes
import harness
import test_real_codes

codes.tests(globals(), codes.through_check, vars(test_real_codes))

if __name__ == "__main__":
    harness.main()
