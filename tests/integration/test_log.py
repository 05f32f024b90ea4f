#!/usr/bin/python3
"""Proves that every event is one well-formed line in both formats, and that levels keep their word."""

import json
import os
import socket
import subprocess

import harness


def test_json(case):
    proxy = case.proxy(case.instance(), reply="isa-407")
    m = case.start({"midrelay": {"log_format": "json", "log_level": "debug"},
                    "relay r": case.keys("instance.lab.test", [proxy], auth=True)})
    m.fails("proxy-auth-ntlm-only")
    m.assert_ends_clean()
    lines = m.log_bytes().decode().splitlines()
    events = [json.loads(line)["event"] for line in lines if line.startswith("{")]
    assert [line for line in lines if not line.startswith("{")] == [], lines
    for event in ("started", "listening", "ready", "path-failed", "session", "stopped"):
        assert event in events, (event, events)
    session = json.loads([line for line in lines if '"session"' in line][0])
    assert isinstance(session["bytes_up"], int) and isinstance(session["duration_ms"], int), session


def test_text(case):
    m = case.relay(case.instance())
    assert m.get("/").status == 200
    m.session()
    m.assert_ends_clean()
    lines = m.log_bytes().decode().splitlines()
    assert all(harness.parse_log_line(line) for line in lines), \
        [line for line in lines if not harness.parse_log_line(line)]


def test_no_warning_in_normal_operation(case):
    m = case.relay(case.instance(), process={"log_level": "info"})
    for _ in range(3):
        assert m.get("/").status == 200
    m.session(3)
    assert not [e for e in m.events() if e["level"] in ("warn", "error")], m.tail()


def test_closed_standard_descriptors(case):
    """What takes their numbers must be no connection and no file of ours: the log would be written there."""
    path = case.path("relay.sock")
    keys = dict(case.keys(case.instance(), listen="unix:" + path))
    m = case.start({"relay r": keys}, wait=False, around=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
    harness.wait_until(lambda: os.path.exists(path), "the socket")
    with socket.socket(socket.AF_UNIX) as sock:
        harness.wait_until(lambda: sock.connect_ex(path) == 0, "the listener")
        sock.settimeout(harness.LIMIT)
        sock.sendall(harness.request_bytes())
        assert harness.read_response(sock).status == 200
    assert [os.readlink("/proc/%d/fd/%d" % (m.pid, fd)) for fd in range(3)] == ["/dev/null"] * 3
    assert m.log_bytes() == b""
    m.opened, m.baseline = None, harness.settled(m.descriptors)
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", harness.BINARY, "explain"], stdin=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, timeout=harness.LIMIT)
    assert done.returncode == 1 and done.stderr == b"midrelay: the output could not be written\n", done


def test_levels(case):
    m = case.start({"midrelay": {"log_level": "warn"},
                    "relay r": case.keys("instance.lab.test", [case.proxy(reply="502")],
                                         listen="unix:" + case.path("s.sock"))}, wait=False)
    path = case.path("s.sock")
    harness.wait_until(lambda: harness.os.path.exists(path), "the socket")
    m.baseline = 0
    with harness.socket.socket(harness.socket.AF_UNIX) as sock:
        harness.wait_until(lambda: sock.connect_ex(path) == 0, "the listener")
        sock.settimeout(harness.LIMIT)
        sock.sendall(harness.request_bytes())
        assert harness.read_response(sock).status == 502
    m.opened = None
    m.signal(harness.signal.SIGTERM)
    m.wait()
    assert all(e["level"] in ("warn", "error") for e in m.events()), m.tail()


if __name__ == "__main__":
    harness.main()
