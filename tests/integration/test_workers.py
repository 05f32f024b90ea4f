#!/usr/bin/python3
"""Proves that several event loops serve, reload and stop together."""

import os
import threading

import harness
from harness import ask, in_thread


def test_two_workers_under_load(case):
    instance = case.instance()
    proxy = case.proxy(instance)
    m = case.relay("instance.lab.test", [proxy], process={"workers": "2", "log_level": "info"})
    done = threading.Event()

    def client(number):
        count = 0
        while not done.is_set() or count < 10:
            with m.connect() as sock:
                for n in range(5):
                    answer = ask(sock, "POST", "/%d/%d" % (number, n), b"z" * (n * 5000)).json()
                    assert answer["path"] == "/%d/%d" % (number, n) and answer["body_bytes"] == n * 5000
            count += 1
        return count

    clients = [in_thread(client, number) for number in range(8)]
    for _ in range(10):
        m.reload()
    done.set()
    total = sum(result() for result in clients)
    m.session(total)
    assert {e["end"] for e in m.events("session")} == {"ok"}


def test_stop_with_connections_on_both(case):
    m = case.relay(case.instance(mode="echo"), process={"workers": "2", "drain_timeout": "300ms"})
    socks = [m.connect() for _ in range(20)]
    for sock in socks:
        sock.sendall(b"x")
    for sock in socks:
        assert sock.recv(1) == b"x"
    m.signal(harness.signal.SIGTERM)
    assert m.wait() == 0
    assert len(m.events("session", end="relay-drained")) == 20
    for sock in socks:
        sock.close()


def test_as_many_as_are_asked_for(case):
    m = case.relay(case.instance(), process={"workers": "70"})
    assert m.events("ready")[0]["workers"] == "70" and len(os.listdir("/proc/%d/task" % m.pid)) >= 71
    m.reload()
    assert m.get("/").status == 200
    assert not m.events("restart-needed"), m.tail()


def watched(m):
    """How many descriptors each event loop watches, in order."""
    counts = []
    for fd in os.listdir("/proc/%d/fd" % m.pid):
        if "eventpoll" in os.readlink("/proc/%d/fd/%s" % (m.pid, fd)):
            with open("/proc/%d/fdinfo/%s" % (m.pid, fd)) as info:
                counts.append(info.read().count("tfd:"))
    return sorted(counts)


@harness.counts_dials
def test_connections_spread_evenly(case):
    m = case.relay(case.instance(), process={"workers": "3"})
    before, socks = watched(m), []
    for _ in range(30):
        socks.append(m.connect())
        assert ask(socks[-1]).status == 200
    # Two descriptors a session, and each loop's mailbox; the main thread's has no session, the first worker's listens.
    assert watched(m)[1:] == [21, 21, 22], (before, watched(m))
    for sock in socks:
        sock.close()


def test_auto(case):
    m = case.relay(case.instance(), process={"workers": "auto"})
    assert m.get("/").status == 200


if __name__ == "__main__":
    harness.main()
