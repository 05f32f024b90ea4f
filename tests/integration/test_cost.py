#!/usr/bin/python3
"""Proves what a connection costs, in what does not depend on the machine: system calls, and memory while it is idle."""

import os
import re
import shutil
import ssl
import sys

import harness
from harness import Skip, ask, settled

# OpenSSL 3.2 and later: 9 kB more for its two record layers, and 8 kB for the key of ML-KEM, which it keeps (3.5).
MORE_KB = 0 if ssl.OPENSSL_VERSION_INFO < (3, 2) else 20
PLAIN = {"log_level": "info", "workers": "1", "max_connections": "4000"}


def not_instrumented():
    if harness.INSTRUMENTED:
        raise Skip("valgrind and sanitizers have costs of their own")


def traced(case):
    """The command that becomes midrelay, watched, and what gives the number of its system calls so far."""
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    path = case.path("calls")

    def count():
        with open(path) as calls:
            # "PID NAME(…": a call that another thread interrupts stands there twice, the second time as "resumed".
            return sum(1 for line in calls if re.match(r"\d+\s+\w+\(", line))
    # Detached: midrelay stays the child that the harness knows.
    return ["strace", "-D", "-f", "-qq", "-e", "signal=none", "-o", path], lambda: settled(count)


@harness.counts_dials
def test_system_calls_of_a_connection(case):
    not_instrumented()
    around, count = traced(case)
    m = case.relay("instance.lab.test", [case.proxy(case.instance())], process=PLAIN, start={"around": around})
    for _ in range(3):
        assert m.get().status == 200
    m.session(3)
    before = count()
    for _ in range(50):
        assert m.get().status == 200
    m.session(53)
    calls = (count() - before) / 50
    assert {s["resumed"] for s in m.events("session")[3:]} == {"yes"}
    print("   %.1f system calls" % calls, file=sys.stderr)
    assert calls <= 40, calls


@harness.counts_dials
def test_system_calls_of_a_request(case):
    """On a kept connection: each side is waited for, read, and the other written to."""
    not_instrumented()
    around, count = traced(case)
    m = case.relay(case.instance(), process=PLAIN, start={"around": around})
    with m.connect() as sock:
        for _ in range(3):
            assert ask(sock).status == 200
        before = count()
        for _ in range(100):
            assert ask(sock).status == 200
        calls = (count() - before) / 100
    print("   %.2f system calls" % calls, file=sys.stderr)
    assert calls <= 6.5, calls


def own_kb(m):
    """What the process has for itself: the share of libraries changes with who else runs."""
    with open("/proc/%d/smaps_rollup" % m.pid) as rollup:
        return int(re.search(r"^Private_Dirty:\s+(\d+)", rollup.read(), re.M)[1])


def memory_of_idle_connections(case, count, **scenario):
    """In kB (1,000 bytes) for each, once they have had a request."""
    not_instrumented()
    if not os.path.exists("/proc/self/smaps_rollup"):
        raise Skip("this kernel has no smaps_rollup")
    m = case.relay(case.instance(**scenario), process=PLAIN)
    for _ in range(5):
        with m.connect() as sock:
            assert ask(sock).status == 200
    m.session(5)
    before = settled(lambda: own_kb(m))
    socks = []
    while len(socks) < count:
        group = [m.connect() for _ in range(25)]
        for sock in group:
            sock.sendall(harness.request_bytes(keep=True))
        for sock in group:
            assert harness.read_response(sock).status == 200
        socks += group
    used = (settled(lambda: own_kb(m), 1) - before) * 1.024 / count
    for sock in socks:
        sock.close()
    m.session(5 + count)
    print("   %.1f kB" % used, file=sys.stderr)
    resumed = [s["resumed"] for s in m.events("session")].count("yes")
    return used, resumed / count


@harness.counts_dials
def test_memory_of_idle_connections(case):
    used, resumed = memory_of_idle_connections(case, 1000)
    assert resumed > 0.9 and used <= 20.5 + MORE_KB, (used, resumed)


@harness.counts_dials
def test_memory_of_idle_connections_after_full_handshakes(case):
    used, resumed = memory_of_idle_connections(case, 1000, tickets=0, tls_min="1.3")
    assert resumed == 0 and used <= 30 + MORE_KB, (used, resumed)


if __name__ == "__main__":
    harness.main()
