#!/usr/bin/python3
"""Proves idle_timeout, half_close_timeout, and that neither cuts what still moves."""

import ctypes
import os
import socket
import time

import harness
from harness import SLOW, ask, pace, read_all, records_done


@harness.counts_dials
def test_idle_timeout(case):
    instance = case.instance(mode="echo")
    m = case.relay(instance, idle_timeout="%dms" % (800 * SLOW))
    with m.connect() as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        began = time.monotonic()
        read_all(sock)
        took = time.monotonic() - began
        assert 0.7 * SLOW < took < 4 * SLOW, took
    assert m.session()["end"] == "relay-idle"
    records_done(instance)


def test_idle_timeout_spares_the_living(case):
    instance = case.instance(mode="echo")
    m = case.relay(instance, idle_timeout="%dms" % (600 * SLOW))
    with m.connect() as sock:
        began = time.monotonic()
        while time.monotonic() - began < 1.5 * SLOW:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
            pace(0.05)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == (b"", "eof")
    assert m.session()["end"] == "ok"


def test_idle_before_any_byte(case):
    m = case.relay(case.instance(), idle_timeout="400ms")
    with m.connect() as sock:
        read_all(sock)
    assert m.session()["end"] == "relay-idle"


def test_half_close_timeout(case):
    instance = case.instance(mode="hold", pause_after=0)
    m = case.relay(instance, half_close_timeout="400ms")
    with m.connect() as sock:
        sock.sendall(b"x")
        sock.shutdown(socket.SHUT_WR)
        began = time.monotonic()
        _, end = read_all(sock)
        assert time.monotonic() - began < 3 * SLOW
    assert m.session()["end"] == "relay-idle"
    case.lab.loop.call_soon_threadsafe(instance.release)


@harness.counts_dials
def test_half_close_timeout_restarts_while_data_flows(case):
    """A slow answer after the request's end is not cut."""
    instance = case.instance(mode="source", bytes=1000)
    m = case.relay(instance, half_close_timeout="%dms" % (600 * SLOW))
    with m.connect() as sock:
        assert read_all(sock)[1] == "eof"
        began = time.monotonic()
        sent = 0
        while time.monotonic() - began < 1.5 * SLOW:
            sock.sendall(b"x")
            sent += 1
            pace(0.05)
        sock.shutdown(socket.SHUT_WR)
        record = records_done(instance)[0]
    assert record["bytes_in"] == sent and record["end"] == "close_notify"
    assert m.session()["end"] == "ok"


def test_keepalive_and_reuse(case):
    """A client's idle keep-alive connection still serves."""
    m = case.relay(case.instance(), keepalive="1s")
    with m.connect() as sock:
        assert ask(sock).status == 200
        assert ask(sock).status == 200


def sockets_of(m):
    """midrelay's connected TCP sockets, by their peer's port."""
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(m.pid)
    found = {}
    for name in os.listdir("/proc/%d/fd" % m.pid):
        fd = libc.syscall(438, process, int(name), 0)    # pidfd_getfd
        assert fd >= 0, os.strerror(ctypes.get_errno())
        try:
            sock = socket.socket(fileno=fd)
            found[sock.getpeername()[1]] = sock
        except OSError:
            pass
    os.close(process)
    return found


def options(sock):
    return {"nodelay": sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
            "keepalive": sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            "idle": sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)}


@harness.counts_dials
def test_both_legs_are_tuned(case):
    """Also a client's, whose socket has it from the listening one; and a reload that turns keep-alive off."""
    instance = case.instance()
    m = case.relay(instance, keepalive="7s")
    with m.connect() as sock:
        assert ask(sock).status == 200
        legs = sockets_of(m)
        for port in (sock.getsockname()[1], instance.port):
            # The target's has its keep-alive once it is silent.
            harness.wait_until(lambda leg=legs[port]: options(leg) == {"nodelay": 1, "keepalive": 1, "idle": 7}, port)
            legs[port].close()
        m.sections["relay r"]["keepalive"] = "0"
        m.write()
        m.reload()
        with m.connect() as later:
            assert ask(later).status == 200
            leg = sockets_of(m)[later.getsockname()[1]]
            assert (options(leg)["nodelay"], options(leg)["keepalive"]) == (1, 0)
            leg.close()


if __name__ == "__main__":
    harness.main()
