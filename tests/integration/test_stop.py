#!/usr/bin/python3
"""Proves SIGTERM: no new connection, those in flight finish within drain_timeout; a second signal stops at once."""

import os
import re
import select
import signal
import socket
import threading
import time

import harness
import scripted
from harness import SLOW, ask, read_all

# Relays, of which each takes its time to start: as much more of it under valgrind.
FEW = 3 if harness.WRAPPER else 30


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


def test_who_waits_to_be_accepted_is_served(case):
    """More than are accepted in one turn, when the listener is closed behind them."""
    m = case.relay(case.instance(), process={"drain_timeout": "10s"})
    m.get()
    m.signal(signal.SIGSTOP)
    waiting = [m.connect() for _ in range(200)]
    m.signal(signal.SIGTERM)
    m.signal(signal.SIGCONT)
    m.wait_event("draining")
    for sock in waiting:
        assert ask(sock).status == 200
        sock.close()
    assert m.wait() == 0
    assert len(m.events("session", end="ok")) == 201


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


def test_second_signal_right_behind_the_first(case):
    """Clients that are on their way from the acceptor to a worker just then are not forgotten."""
    instance = case.instance(mode="echo")

    def come(port, come_no_more, socks):
        while not come_no_more.is_set() and len(socks) < 1000:
            try:
                sock = socket.create_connection(("127.0.0.1", port), harness.LIMIT)
            except OSError:
                return
            socks.append(sock)
            harness.try_send(sock, b"x")
    for _ in range(8):
        m = case.relay(instance, process={"drain_timeout": "60s", "workers": "3"}, ready_tunnels="off")
        m.opened = None
        come_no_more, socks = threading.Event(), []
        clients = [harness.in_thread(come, m.port(), come_no_more, socks) for _ in range(4)]
        harness.wait_until(lambda: len(socks) > 150, "clients")
        m.signal(signal.SIGTERM)
        m.signal(signal.SIGINT)
        began = time.monotonic()
        assert m.wait() == 0
        assert time.monotonic() - began < 5 * SLOW
        m.status = 0
        come_no_more.set()
        for client in clients:
            client()
        for sock in socks:
            sock.close()


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


def test_no_signal_takes_the_exit_status(case):
    """One that comes when everything is over but the process."""
    keys = case.keys("instance.lab.test", ["http://127.0.0.1:%d" % case.closed_port()])
    for _ in range(2 if harness.WRAPPER else 10):
        m = case.start({"relay r%d" % i: dict(keys) for i in range(FEW)})
        m.signal(signal.SIGTERM)
        end = os.pidfd_open(m.pid)
        while not select.select([end], [], [], 0.0001)[0]:
            os.kill(m.pid, signal.SIGHUP)
        os.close(end)
        assert m.wait() == 0, m.status


def test_sighup_while_it_starts_is_a_reload(case):
    """With so many relays that the start takes a while."""
    if harness.WRAPPER:
        raise harness.Skip("valgrind has signals blocked before midrelay has begun")
    keys = case.keys("instance.lab.test", ["http://127.0.0.1:%d" % case.closed_port()])
    m = case.start({"relay r%d" % i: dict(keys) for i in range(10 * FEW)}, wait=False)

    def holds_sighup():
        with open("/proc/%d/status" % m.pid) as status:
            blocked = re.search(r"^SigBlk:\s+([0-9a-f]+)", status.read(), re.M)
        return int(blocked[1], 16) & 1 << signal.SIGHUP - 1 or m.process.poll() is not None
    harness.wait_until(holds_sighup, "the start")
    assert not m.events("ready")
    m.signal(signal.SIGHUP)
    m.wait_event("ready")
    m.wait_event("reloaded")
    m.baseline = m.descriptors()


def test_a_storm_of_sighups_is_a_few_reloads(case):
    """And what comes behind it does not wait for as many: with relays enough that a reload takes a while."""
    keys = case.keys("instance.lab.test", ["http://127.0.0.1:%d" % case.closed_port()])
    m = case.start({"relay r%d" % i: dict(keys) for i in range(7 * FEW)})

    def is_taken():
        """Until then the kernel makes one of it and the next."""
        with open("/proc/%d/status" % m.pid) as status:
            pending = re.search(r"^ShdPnd:\s+([0-9a-f]+)", status.read(), re.M)
        return not int(pending[1], 16) & 1 << signal.SIGHUP - 1
    for _ in range(100):
        m.signal(signal.SIGHUP)
        limit = time.monotonic() + harness.LIMIT
        while not is_taken():
            assert time.monotonic() < limit, "SIGHUP is not taken"
    m.wait_event("reloaded")
    m.signal(signal.SIGTERM)
    assert m.wait() == 0
    assert len(m.events("reloaded")) < 20, len(m.events("reloaded"))


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


@harness.counts_dials
def test_who_was_refused_before_keeps_its_reason(case):
    """A client that was told why, and has not left when midrelay stops, was not cut for the stop."""
    m = case.relay("instance.lab.test", [case.proxy(case.instance(), reply="403")], process={"drain_timeout": "300ms"})
    with m.connect() as sock:
        sock.sendall(harness.request_bytes())
        assert harness.read_response(sock).status == 502
        m.signal(signal.SIGTERM)
        assert m.wait() == 0
        read_all(sock)
    assert m.session()["end"] == "proxy-denied"


def http_client(m, path="/"):
    sock = m.connect()
    sock.sendall(("GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path).encode())
    return sock


@harness.counts_dials
def test_who_waits_for_nothing_holds_nothing_up(case):
    """Clients that have said nothing, and kept connections between messages, get a FIN at once."""
    def serve(stream):
        while stream.head():
            stream.send(scripted.response(b"whole"))
        assert stream.file.read() == b""
    target = scripted.Target(case, serve)
    keys = {"listen_cert": case.pki["server-chain.pem"], "listen_key": case.pki["server.key"]}
    m = case.start({"midrelay": {"log_level": "debug", "drain_timeout": "60s"},
                    "relay a": case.keys(target, mode="http"),
                    "relay b": case.keys(target, **dict(keys, listen="tls://127.0.0.1:0"))})
    with m.connect("a") as silent, m.connect("b") as greeting, http_client(m) as kept:
        assert harness.read_response(kept).body == b"whole"
        m.wait_event("session-state", state="greeting")
        harness.wait_until(lambda: len(m.events("session-state", state="asking")) == 2)
        began = time.monotonic()
        m.signal(signal.SIGTERM)
        for sock in (silent, greeting, kept):
            assert read_all(sock) == (b"", "eof")
        assert m.wait() == 0
        assert time.monotonic() - began < 5 * SLOW
    assert [event["end"] for event in m.events("session")] == ["ok"] * 3
    assert m.events("stopped")[0]["cut"] == "0", m.events("stopped")
    target.done()


@harness.counts_dials
def test_what_is_under_way_is_finished(case):
    """A request that was sent gets its answer, and then the end; so does one whose head is not whole yet."""
    go = threading.Event()

    def serve(stream):
        while stream.head():
            assert go.wait(harness.LIMIT)
            stream.send(scripted.response(b"x" * 100000))
    target = scripted.Target(case, serve)
    m = case.relay(target, mode="http", process={"drain_timeout": "60s"})
    with m.connect() as half, http_client(m) as asked:
        half.sendall(b"GET / HTTP/1.1\r\n")
        m.wait_event("session-state", state="relaying")
        m.signal(signal.SIGTERM)
        m.wait_event("draining")
        half.sendall(b"Host: 127.0.0.1\r\n\r\n")
        m.wait_event("session-state", 2, state="relaying")
        go.set()
        for sock in (half, asked):
            got, end = read_all(sock)
            assert got.endswith(b"\r\n\r\n" + b"x" * 100000) and end == "eof", (len(got), end)
        assert m.wait() == 0
    assert [event["end"] for event in m.events("session")] == ["ok"] * 2
    target.done()


if __name__ == "__main__":
    harness.main()
