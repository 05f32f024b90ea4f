#!/usr/bin/env python3
"""Writes the seeds of fuzz_http: every pair of tests/http that is not long, into corpus/http."""
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "http"))
import http_cases  # noqa: E402

MAX_BYTES = 3000

for case in http_cases.read_all():
    seed = b"\x60\x90" + case.client_sends
    if case.target_sends:
        seed += b"\0\0" + case.target_sends
    if len(seed) <= MAX_BYTES:
        path = HERE / "corpus/http" / case.name.replace("/", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(seed)
