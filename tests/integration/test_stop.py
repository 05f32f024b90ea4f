#!/usr/bin/python3
"""Proves SIGTERM: no new connection, those in flight finish within drain_timeout; a second signal stops at once."""

import signal
import socket
import time

import harness
from harness import SLOW, ask, read_all


def refuses(m):
    try:
        socket.create_connection(("127.0.0.1", m.port()), 1).close()
        return False
    except OSError:
        return True


def test_drains(case):
    instance = case.instance()
    m = case.relay(instance, process={"drain_timeout": "10s"})
    with m.connect() as sock:
        ask(sock, path="/before")
        m.signal(signal.SIGTERM)
        m.wait_event("draining")
        harness.wait_until(lambda: refuses(m), "the listener to close")
        assert m.process.poll() is None
        assert ask(sock, path="/while").status == 200
    assert m.wait() == 0
    assert m.session()["end"] == "ok"
    assert len(m.events("stopped")) == 1


def test_drain_timeout_cuts(case):
    m = case.relay(case.instance(mode="echo"), process={"drain_timeout": "400ms"})
    with m.connect() as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        began = time.monotonic()
        m.signal(signal.SIGTERM)
        assert m.wait() == 0
        assert 0.3 < time.monotonic() - began < 5 * SLOW
        read_all(sock)
    assert m.session()["end"] == "relay-drained"
    assert "1" in m.events("stopped")[0].values(), m.events("stopped")


def test_second_signal_stops_at_once(case):
    for number in (signal.SIGTERM, signal.SIGINT):
        m = case.relay(case.instance(mode="echo"), process={"drain_timeout": "60s"})
        with m.connect() as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
            m.signal(number)
            m.wait_event("draining")
            m.signal(number)
            began = time.monotonic()
            m.wait()
            assert time.monotonic() - began < 5 * SLOW
            read_all(sock)
        m.session()


def test_sighup_while_draining_changes_nothing(case):
    m = case.relay(case.instance(mode="echo"), process={"drain_timeout": "10s"})
    with m.connect() as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        m.signal(signal.SIGTERM)
        m.wait_event("draining")
        m.signal(signal.SIGHUP)
        sock.sendall(b"y")
        assert sock.recv(1) == b"y"
        assert refuses(m)
    assert m.wait() == 0
    assert not m.events("reloaded")


@harness.counts_dials
def test_stops_while_dialling(case):
    m = case.relay("instance.lab.test", [case.proxy(case.instance(), silent=True)], proxy_timeout="5s",
                   process={"drain_timeout": "300ms"})
    with m.connect() as sock:
        sock.sendall(harness.request_bytes())
        proxy = case.lab.servers["proxy-1"]
        harness.wait_until(lambda: proxy.connections, "the dial")
        m.signal(signal.SIGTERM)
        assert m.wait() == 0
        read_all(sock)
    assert m.session()["end"] != "ok"


if __name__ == "__main__":
    harness.main()
