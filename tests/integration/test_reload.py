#!/usr/bin/python3
"""Proves that SIGHUP takes what is new as a whole or keeps the old, and never disturbs a connection."""

import os
import signal
import threading

import harness
from harness import ask, in_thread, pattern_sha256, pattern_stream, read_hashed


@harness.counts_dials
def test_new_settings_apply_to_new_connections(case):
    first, second = case.instance(), case.instance()
    m = case.relay(first, process=harness.NO_SANDBOX)
    with m.connect() as old:
        ask(old, path="/before")
        m.sections["relay r"].update(case.keys(second))
        m.write()
        m.reload()
        ask(old, path="/still")
        assert m.get("/after").status == 200
        assert [r["path"] for r in first.connections[0]["requests"]] == ["/before", "/still"]
    assert second.connections[0]["requests"][0]["path"] == "/after"
    assert len(first.connections) == 1


def test_broken_configuration_keeps_the_old(case):
    instance = case.instance()
    m = case.relay(instance)
    good = dict(m.sections["relay r"])
    broken = case.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for changed, words in (({"no_such_key": "1"}, ["no_such_key"]),
                           ({"client_bundle": broken}, ["client_bundle", "broken.pem"]),
                           ({"client_bundle": case.path("nowhere")}, ["nowhere"]),
                           ({"connect_timeout": "never", "tls_timeout": "soon"}, ["never", "soon"])):
        m.sections["relay r"] = dict(good, **changed)
        m.write()
        before = len(m.events())
        m.reload(ok=False)
        # One line for each fault, and not all at once.
        harness.wait_until(lambda: all(word in " ".join(" ".join(e.values()) for e in m.events()[before:])
                                       for word in words), words)
        assert m.get("/").json()["client_cert"]["subject"].endswith("=mid-one")
    m.sections["relay r"] = good
    m.write()
    m.reload()
    assert m.get("/").status == 200


def test_every_fault_is_listed(case):
    """All in one go: in two relays, and two in one identity."""
    instance = case.instance()
    m = case.relay(instance)
    m.sections["relay second"] = case.keys(instance, trust="/nonexistent/second")
    m.sections["relay r"].update(trust="/nonexistent/first", client_bundle="/nonexistent/bundle")
    m.write()
    m.reload(ok=False)
    m.wait_event("reload-failed", count=3)
    text = " ".join(" ".join(e.values()) for e in m.events("reload-failed"))
    for word in ("/nonexistent/second", "/nonexistent/first", "/nonexistent/bundle"):
        assert word in text, (word, text)


def test_listeners_come_and_go(case):
    instance = case.instance()
    unix = case.path("new.sock")
    m = case.relay(instance, process=harness.NO_SANDBOX)
    m.sections["relay r"]["listen"] = ["127.0.0.1:0", "unix:" + unix]
    m.sections["relay second"] = case.keys(instance)
    m.write()
    m.reload()
    m.wait_event("listening", address="unix:" + unix)
    m.wait_event("listening", relay="second")
    assert m.get("/", relay="second").status == 200
    kept = m.descriptors()
    m.sections["relay r"]["listen"] = "127.0.0.1:0"
    del m.sections["relay second"]
    m.write()
    m.reload()
    harness.wait_until(lambda: not os.path.exists(unix), "the socket file to go")
    harness.wait_until(lambda: m.descriptors() < kept, "the listeners to be closed")
    assert m.get("/").status == 200


def test_from_all_addresses_to_one_takes_a_restart(case):
    m = case.relay(case.instance(mode="echo"), listen="0.0.0.0:0", allow_nonlocal="yes", allow_address="127.0.0.0/8",
                   process=harness.NO_SANDBOX)
    m.sections["relay r"]["listen"] = "127.0.0.1:%d" % m.port()
    m.write()
    failed = m.reload(ok=False)
    assert "Address already in use (by midrelay's own listener: " in failed["msg"] and "a restart" in failed["msg"], failed
    with m.connect() as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"


def test_who_waits_at_a_listener_that_goes_is_served(case):
    """By the relay as it was, however many were let in by the kernel alone."""
    unix = case.path("going.sock")
    m = case.relay(case.instance(), process=harness.NO_SANDBOX, listen="unix:" + unix)
    m.signal(signal.SIGSTOP)
    waiting = [m.connect() for _ in range(200)]
    m.sections["relay r"]["listen"] = "127.0.0.1:0"
    m.write()
    m.signal(signal.SIGHUP)
    m.signal(signal.SIGCONT)
    m.wait_event("reloaded")
    assert not os.path.exists(unix)
    for sock in waiting:
        assert ask(sock).status == 200
        sock.close()


def test_a_listener_that_stays_is_kept_open(case):
    """A relay that is renamed and given another target keeps its socket: no connection is refused meanwhile."""
    first, second = case.instance(), case.instance(cert="server-rsa")
    unix = case.path("kept.sock")
    m = case.start({"midrelay": harness.NO_SANDBOX, "relay before": case.keys(first, listen="unix:" + unix)})
    inode = os.stat(unix).st_ino
    done = threading.Event()

    def load():
        while not done.is_set():
            assert m.get("/").status == 200

    loader = in_thread(load)
    for n in range(20):
        m.sections = {"midrelay": harness.NO_SANDBOX,
                      "relay name-%d" % n: case.keys(second if n % 2 == 0 else first, listen="unix:" + unix)}
        m.write()
        m.reload()
    done.set()
    loader()
    assert os.stat(unix).st_ino == inode, "the socket was made anew"
    assert {e["end"] for e in m.events("session")} == {"ok"}


def test_two_hundred_reloads_under_load(case):
    """No connection is lost, none is disturbed, and nothing grows."""
    instance = case.instance()
    m = case.relay(instance, process=dict(harness.NO_SANDBOX, log_level="info"))
    size = 64 << 20
    echo = case.instance(mode="duplex", bytes=size)
    m.sections["relay bulk"] = case.keys(echo)
    m.write()
    m.reload()
    bulk = m.connect("bulk")
    done = threading.Event()

    def load():
        count = 0
        while not done.is_set():
            assert m.get("/").status == 200
            count += 1
        return count

    def upload():
        for part in pattern_stream(size):
            bulk.sendall(part)
        bulk.shutdown(harness.socket.SHUT_WR)

    bulk.settimeout(60 * harness.SLOW)
    workers = [in_thread(load) for _ in range(3)]
    transfer = [in_thread(read_hashed, bulk), in_thread(upload)]
    try:
        for n in range(200):
            m.reload()
            if n == 20:
                early = m.rss_kb()
    finally:
        done.set()
    served = sum(worker() for worker in workers)
    assert served > 20, served
    assert transfer[0]() == (size, pattern_sha256(size), "eof")
    transfer[1]()
    bulk.close()
    grown = m.rss_kb() - early
    assert harness.INSTRUMENTED or grown < 8192, "180 reloads cost %d kB" % grown
    # The listener that came with the reload stays.
    m.baseline += 1
    assert {e["end"] for e in m.events("session")} == {"ok"}


if __name__ == "__main__":
    harness.main()
