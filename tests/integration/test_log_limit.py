#!/usr/bin/python3
"""Proves that a storm of failures is a few lines whose counts add up, that the last word about a path is true, and that
normal life is told without a warning, in lines that jq, JSON and logfmt parsers take."""

import json
import os
import re
import shutil
import subprocess
import time

import harness
import real
from harness import Skip, ask, in_thread, read_response, request_bytes, wait_until

STORM, AT_ONCE = 2000, 8


def told(events):
    """How many events these lines stand for."""
    return sum(1 + int(event.get("repeated", 0)) for event in events)


def storm(m, count):
    def some(n):
        for _ in range(n):
            with m.connect() as sock:
                sock.sendall(request_bytes())
                assert read_response(sock).status == 502
    for result in [in_thread(some, count // AT_ONCE) for _ in range(AT_ONCE)]:
        result()


@harness.counts_dials
def test_a_storm(case):
    for workers in ("1", "2"):
        m = case.relay("instance.lab.test", ["http://127.0.0.1:%d" % case.closed_port()], process={"log_level": "info", "workers": workers})
        storm(m, STORM)
        # The one line, until the minute is over or midrelay ends.
        assert len(m.events("session")) == 1 and len(m.events("path-failed")) == 1, m.tail()
        m.assert_ends_clean()
        said = [e["event"] for e in m.events() if e["event"] != "descriptor-limit"]
        assert said == ["started", "sandbox", "listening", "ready", "path-failed", "session", "draining", "session",
                        "stopped"], said
        first, last = m.events("session")
        assert "repeated" not in first and last["repeated"] == str(STORM - 2), last
        assert first["end"] == last["end"] == "connect-refused" and last["msg"] and first["id"] != last["id"], last
        assert told([first, last]) == STORM == int(m.events("stopped")[0]["sessions"])


def test_the_limit_of_connections(case):
    m = case.relay(case.instance(mode="http"), process={"max_connections": "1", "log_level": "info"})
    with m.connect() as sock:
        assert ask(sock).status == 200
        for _ in range(20):
            with m.connect() as other:
                other.sendall(request_bytes())
                assert read_response(other).status == 503
        assert len(m.events("session", end="local-limit")) == 1, m.tail()
    m.assert_ends_clean()
    refused = m.events("session", end="local-limit")
    assert len(refused) == 2 and told(refused) == 20, refused
    assert len(m.events("session", end="ok")) == 1


def test_another_code_or_relay_is_another_failure(case):
    proxy = case.proxy(case.instance(), reply="502")
    keys = {name: case.keys("instance.lab.test", [proxy], auth=True) for name in "ab"}
    m = case.start({"midrelay": {"log_level": "info"}, "relay a": keys["a"], "relay b": keys["b"]})
    m.fails("proxy-upstream-failed", relay="a")
    m.fails("proxy-upstream-failed", relay="b")
    proxy.configure(reply="ntlm-407")
    m.fails("proxy-auth-ntlm-only", relay="a")
    assert len(m.events("path-failed")) == 3


def test_every_tunnel_has_its_line(case):
    """Also those that end alike, in failure."""
    m = case.relay(case.instance(end="eof", mode="http"), process={"log_level": "info"})
    for _ in range(5):
        with m.connect() as sock:
            sock.sendall(request_bytes())
            harness.read_all(sock)
    m.session(5)
    assert all("repeated" not in e for e in m.events("session"))


@harness.counts_dials
def test_a_flapping_path(case):
    instance = case.instance()
    for last_reply, last_event in (("squid-200", "path-ok"), ("502", "path-failed")):
        proxy = case.proxy(instance)
        m = case.relay("instance.lab.test", [proxy], process={"log_level": "info"})
        replies = (["502", "squid-200"] * 6)[:11] + ([last_reply] if last_reply == "squid-200" else [])
        for reply in replies:
            proxy.configure(target=harness.address(instance), reply=reply)
            assert m.get("/").status == (502 if reply == "502" else 200)
        states = m.events("path-failed") + m.events("path-ok")
        assert len(states) == 2, states
        m.assert_ends_clean()
        states = [e for e in m.events() if e["event"] in ("path-failed", "path-ok")]
        assert [e["event"] for e in states] == ["path-failed", "path-ok", last_event], states
        assert told(states) == len(replies), states


@harness.counts_dials
def test_a_code_that_alternates(case):
    proxy = case.proxy(case.instance())
    m = case.relay("instance.lab.test", [proxy], process={"log_level": "info"})
    for _ in range(5):
        for reply in ("502", "ntlm-407"):
            proxy.configure(reply=reply)
            assert m.get("/").status == 502
    assert [e["code"] for e in m.events("path-failed")] == ["proxy-upstream-failed", "proxy-auth-ntlm-only"]
    m.assert_ends_clean()
    assert len(m.events("path-failed")) == 3 and told(m.events("path-failed")) == 10
    assert m.events("path-failed")[-1]["code"] == "proxy-auth-ntlm-only"


def test_a_path_that_works_again_after_a_reload(case):
    instance = case.instance()
    proxy = case.proxy(instance, reply="502")
    m = case.relay("instance.lab.test", [proxy], process={"log_level": "info"})
    m.fails("proxy-upstream-failed")
    m.reload()
    proxy.configure(target=harness.address(instance), reply="squid-200")
    assert m.get("/").status == 200
    m.wait_event("path-ok")


def test_debug_leaves_nothing_out(case):
    m = case.relay("instance.lab.test", ["http://127.0.0.1:%d" % case.closed_port()], process={"log_level": "info"})
    storm(m, 3 * AT_ONCE)
    assert len(m.events("session")) == 1
    m.sections["midrelay"]["log_level"] = "debug"
    m.write()
    m.reload()
    # What was left out is told where the rule changes, and not again.  A client may have its 502 a moment before its
    # session ends, which has a line of its own then.
    wait_until(lambda: told(m.events("session")) == 3 * AT_ONCE, "the end of all sessions")
    sessions = m.events("session")
    assert int(sessions[1]["repeated"]) > AT_ONCE and not any("repeated" in e for e in sessions[:1] + sessions[2:]), sessions
    storm(m, 3 * AT_ONCE)
    m.session(len(sessions) + 3 * AT_ONCE)
    assert not any("repeated" in e for e in m.events("session")[2:]), m.tail()


def test_the_minute_ends(case):
    """One minute: only when asked for."""
    if not os.environ.get("MIDRELAY_LONG"):
        raise Skip("takes 65 s; set MIDRELAY_LONG")
    m = case.relay("instance.lab.test", ["http://127.0.0.1:%d" % case.closed_port()], process={"log_level": "info"})
    storm(m, 3 * AT_ONCE)
    assert m.session(2, timeout=70)["repeated"] == str(3 * AT_ONCE - 2)


def test_an_idle_relay_is_not_woken_for_it(case):
    """Longer than LOG_LIMIT_SWEEP_MS (log_limit.h), with everything else that looks at times off."""
    m = case.relay(case.instance(), process={"log_level": "info", "watch": "0"}, start={"env": {"RUNTIME_DIRECTORY": None}})

    def waits():
        with open("/proc/%d/status" % m.pid) as status:
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read(), re.M)[1])
    before, began = harness.settled(waits), time.monotonic()
    wait_until(lambda: time.monotonic() - began > 6, "six seconds", timeout=20)
    assert waits() == before, "the main loop turned %d times" % (waits() - before)


# The formats

LOGFMT_ESCAPE = re.compile(r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4})')


def parse_logfmt(line):
    """
    Strict: words or key=value, one space between; a value is bare, without quote, equals sign or control, or quoted
    with the escapes of a JSON string (the rule of go-logfmt, and so of Loki).
    """
    at, found = 0, []
    while True:
        key = re.compile(r'[^\x00-\x20"=\x7f-\U0010ffff]+').match(line, at)
        assert key, "no key at %d: %s" % (at, line)
        at, value = key.end(), None
        if line[at:at + 1] == "=":
            at += 1
            if line[at:at + 1] == '"':
                quoted = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"').match(line, at)
                assert quoted, "no end of quotes: %s" % line
                assert "\\" not in LOGFMT_ESCAPE.sub("", quoted[0]), "a foreign escape: %s" % quoted[0]
                at, value = quoted.end(), json.loads(quoted[0])
            else:
                bare = re.compile(r'[^\x00-\x20"=\x7f-\U0010ffff]*').match(line, at)
                at, value = bare.end(), bare[0]
        found.append((key[0], value))
        if at == len(line):
            return found
        assert line[at] == " ", "no space at %d: %s" % (at, line)
        at += 1


def no_doubles(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), keys
    return dict(pairs)


NUMBERS = re.compile("id|line|lines|uid|relays|workers|generation|sessions|cut|days_left|repeated|bytes_.*|.*_ms")


def assert_json(case, m):
    raw = m.log_bytes()
    assert raw.endswith(b"\n") and re.fullmatch(rb"[\x20-\x7e\n]*", raw), raw
    lines = raw.decode().splitlines()
    for line in lines:
        event = json.loads(line, object_pairs_hook=no_doubles)
        assert list(event)[:3] == ["ts", "level", "event"] and all(isinstance(event[k], str) for k in list(event)[:3])
        for key, value in event.items():
            assert not isinstance(value, (dict, list)) and value is not None, event
            if NUMBERS.fullmatch(key):
                assert type(value) is int, (key, event)
    if shutil.which("jq"):
        done = subprocess.run(["jq", "-es", "map(select((.ts|fromdateiso8601? // (.[0:19]+\"Z\"|fromdateiso8601)) > 0 and "
                               "(.level|type) == \"string\" and (.event|type) == \"string\")) | length"],
                              input=raw, capture_output=True, timeout=harness.LIMIT)
        assert done.returncode == 0 and int(done.stdout) == len(lines), done
    return lines


def assert_logfmt(m):
    raw = m.log_bytes()
    assert raw.endswith(b"\n") and re.fullmatch(rb"[\x20-\x7e\n]*", raw), raw
    lines = raw.decode().splitlines()
    for line in lines:
        pairs = parse_logfmt(line)
        assert [value for _, value in pairs[:3]] == [None] * 3 and None not in [value for _, value in pairs[3:]], line
        assert no_doubles(pairs[3:]) is not None
    return lines


HOSTILE = ('HTTP/1.1 502 say "no" \\ \\x41 = \xfc \xe2\x82\xac end\r\nVia: 1.1 "a=b" \xff\r\nServer: \\n\xc3\r\n\r\n',
           "HTTP/1.1 502 \x1b[31mred\x07\r\n\r\n", "HTTP/1.1 502 a\x00b\r\n\r\n", 'HTTP/1.1 502 \\\r\n\r\n',
           "\x16\x03\x01{}\n\"\r\n\r\n")


@harness.counts_dials
def test_foreign_bytes(case):
    for log_format in ("json", "text"):
        for level in ("debug", "info"):
            proxy = case.proxy(case.instance())
            m = case.relay("instance.lab.test", [proxy], process={"log_level": level, "log_format": log_format})
            for reply in HOSTILE:
                proxy.configure(reply=reply)
                for _ in range(3):
                    assert m.get("/").status == 502
            m.assert_ends_clean()
            lines = assert_json(case, m) if log_format == "json" else assert_logfmt(m)
            assert any("say " in line for line in lines), lines


# Normal life

def assert_normal_life(case, target, proxy, log_format):
    bundle = case.path("bundle-%s.pem" % log_format)
    shutil.copyfile(case.pki["client-bundle.pem"], bundle)
    os.chmod(bundle, 0o600)
    m = case.start({"midrelay": {"log_format": log_format, "watch": "100ms"},
                    "relay r": case.keys(target, [proxy], auth=True, client_bundle=bundle)})
    for n in range(100):
        assert m.get("/%d" % n).status == 200
    with m.connect() as kept, m.connect() as idle:
        for n in range(100):
            assert ask(kept, path="/kept/%d" % n).status == 200
        assert ask(idle).status == 200
        harness.reset(kept)      # as a client does that is stopped between two requests
        m.session(101)
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 2.5, "the idle connection to give its buffers back")
        m.reload()
        shutil.copyfile(case.pki["client-renewed-bundle.pem"], bundle + ".new")
        os.chmod(bundle + ".new", 0o600)
        os.rename(bundle + ".new", bundle)
        m.wait_event("reloaded", 2)
        assert m.get("/renewed").status == 200
        assert ask(idle).status == 200
    m.session(103)
    m.assert_ends_clean()
    wrong = [e for e in m.events() if e["level"] not in ("info", "debug") and e["event"] != "descriptor-limit"]
    assert wrong == [], wrong
    assert m.events()[-1]["event"] == "stopped"
    return assert_json(case, m) if log_format == "json" else assert_logfmt(m)


def test_normal_life(case):
    for log_format in ("text", "json"):
        instance = case.instance()
        proxy = case.proxy(instance, auth=[harness.USER, harness.PASSWORD])
        assert_normal_life(case, "instance.lab.test", proxy, log_format)


def test_normal_life_with_squid_and_nginx(case):
    for log_format in ("text", "json"):
        nginx = real.nginx(case)
        squid = real.squid(case, nginx.port)
        assert_normal_life(case, "instance.lab.test:%d" % nginx.port, squid.url, log_format)


if __name__ == "__main__":
    harness.main()
