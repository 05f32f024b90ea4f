#!/usr/bin/python3
"""Proves https:// proxies: TLS to the proxy, the CONNECT inside it, mutual TLS with the target inside that."""

import base64
import json
import os
import socket

import harness
from harness import (PASSWORD, SLOW, USER, ask, both_versions, in_thread, pattern_sha256, pattern_stream, read_all,
                     read_hashed, records_done, settled)

SIZE = 8 << 20


def relay(case, target, proxies, **keys):
    return case.relay(target if isinstance(target, str) else "instance.lab.test", proxies,
                      **dict({"proxy_trust": case.pki["root.pem"]}, **keys))


def outer_bytes(record):
    with open(record["outer_file"], "rb") as file:
        return file.read()


# What goes through

@harness.counts_dials
def test_requests(case):
    """All four pairs of TLS versions; SNI and CONNECT as they must be; each end closed with close_notify."""
    for outer in ("1.2", "1.3"):
        for inner in ("1.2", "1.3"):
            instance = case.instance(tls_max=inner)
            proxy = case.proxy(instance, tls={"tls_max": outer})
            m = relay(case, instance, ["https://localhost:%d" % proxy.port])
            for n in range(3):
                answer = m.get("/%d" % n).json()
                assert answer["client_cert"]["subject"].endswith("mid-one"), answer
                assert answer["tls_version"] == "TLSv" + inner, answer
            session = m.session(3)
            assert session["end"] == "ok" and session["tls_version"] == "TLSv" + inner, session
            assert session["path"] == "https://localhost:%d" % proxy.port, session
            for record in records_done(proxy, 3):
                assert record["tls"]["version"] == "TLSv" + outer, record
                assert record["tls"]["client_hello"]["sni"] == "localhost", record
                assert record["tls"]["end"] == "close_notify", record
                assert record["request"].startswith("CONNECT instance.lab.test:443 HTTP/1.1\r\n"), record
                assert record["reads"] == 1, record
            assert all(c["client_hello"]["sni"] == "instance.lab.test" for c in records_done(instance, 3))


@harness.counts_dials
@both_versions
def test_large_both_ways(case, version):
    """Every byte, with records of any size around it, and 1 byte a record."""
    for record, size in ((None, SIZE), (16384, SIZE), (1400, SIZE), (16383, SIZE), (7, 30000), (1, 5000)):
        instance = case.instance(mode="source", bytes=size, tls_max=version)
        proxy = case.proxy(instance, tls={"record": record, "tls_max": version})
        m = relay(case, instance, [proxy])
        with m.connect() as sock:
            reader = in_thread(read_hashed, sock)
            for part in pattern_stream(size, seed=3):
                sock.sendall(part)
            sock.shutdown(socket.SHUT_WR)
            assert reader() == (size, pattern_sha256(size), "eof"), record
        assert records_done(instance)[0]["sha256_in"] == pattern_sha256(size, 3), record
        assert records_done(instance)[0]["end"] == "close_notify"
        assert records_done(proxy)[0]["tls"]["end"] == "close_notify"
        assert m.session()["end"] == "ok"


def test_head_in_pieces(case):
    """The answer to the CONNECT may come in records of one byte, or all at once."""
    for record in (1, 3, None):
        instance = case.instance()
        m = relay(case, instance, [case.proxy(instance, tls={"record": record})])
        assert m.get("/").status == 200, record


def test_bytes_behind_the_head_belong_to_tls(case):
    """What follows the head in the same record goes to the inner TLS and nowhere else."""
    instance = case.instance()
    for inject, code in (("hex:15030300020228", "tls-alert"), ("HTTP/1.1 200 OK\r\n\r\n", "tls-not-tls")):
        proxy = case.proxy(instance, inject=inject, tls={})
        m = relay(case, instance, [proxy])
        m.fails(code)


def test_server_that_speaks_first(case):
    """Its bytes in the same record as the end of the handshake: no event will tell of them."""
    for version in ("1.2", "1.3"):
        instance = case.instance(mode="source", bytes=10, tls_max=version)
        m = relay(case, instance, [case.proxy(instance, tls={"hold": 0.2})])
        with m.connect() as sock:
            got, end = read_all(sock)
            assert (len(got), end) == (10, "eof"), (version, got, end)
        m.session()


def test_ping_pong(case):
    """Many small answers over one connection: nothing sleeps in either layer."""
    instance = case.instance()
    m = relay(case, instance, [case.proxy(instance, tls={})])
    with m.connect() as sock:
        for n in range(200):
            assert ask(sock, path="/%d" % n).status == 200


def test_many_at_once(case):
    instance = case.instance()
    proxy = case.proxy(instance, tls={})
    # Eighty handshakes at once take their time under valgrind.
    limits = {name + "_timeout": "%dms" % (9000 * SLOW) for name in ("connect", "proxy", "tls", "setup")}
    m = relay(case, instance, [proxy], **limits)

    def one(number):
        with m.connect() as sock:
            for n in range(5):
                answer = ask(sock, path="/bytes/%d" % (100000 + number))
                assert answer.body == b"".join(pattern_stream(100000 + number))
    for client in [in_thread(one, number) for number in range(40)]:
        client()
    m.session(40)
    assert {e["end"] for e in m.events("session")} == {"ok"}


# How it ends

@harness.counts_dials
@both_versions
def test_client_half_close(case, version):
    instance = case.instance(mode="sink", tls_max=version)
    proxy = case.proxy(instance, tls={})
    m = relay(case, instance, [proxy])
    with m.connect() as sock:
        for part in pattern_stream(SIZE):
            sock.sendall(part)
        sock.shutdown(socket.SHUT_WR)
        got, end = read_all(sock)
    assert end == "eof" and json.loads(got) == {"bytes": SIZE, "sha256": pattern_sha256(SIZE)}
    assert records_done(instance)[0]["end"] == "close_notify"
    assert records_done(proxy)[0]["tls"]["end"] == "close_notify"
    assert m.session()["end"] == "ok"


@harness.counts_dials
@both_versions
def test_target_half_close(case, version):
    """The target ends first; what the client still sends arrives, and only then the outer session ends."""
    instance = case.instance(mode="source", bytes=SIZE, tls_max=version)
    proxy = case.proxy(instance, tls={})
    m = relay(case, instance, [proxy])
    with m.connect() as sock:
        assert read_hashed(sock) == (SIZE, pattern_sha256(SIZE), "eof")
        assert proxy.connections[0]["tls"]["end"] is None
        for part in pattern_stream(SIZE, seed=3):
            sock.sendall(part)
        sock.shutdown(socket.SHUT_WR)
        assert records_done(instance)[0]["sha256_in"] == pattern_sha256(SIZE, 3)
    assert records_done(instance)[0]["end"] == "close_notify"
    assert records_done(proxy)[0]["tls"]["end"] == "close_notify"
    assert m.session()["end"] == "ok"


@both_versions
def test_inner_truncation_is_a_reset(case, version):
    """The target is gone without close_notify; that the proxy says goodbye changes nothing."""
    instance = case.instance(mode="source", bytes=100000, end="truncate", tls_max=version)
    m = relay(case, instance, [case.proxy(instance, tls={})])
    with m.connect() as sock:
        got, end = read_all(sock)
    assert b"".join(pattern_stream(100000)).startswith(got) and end == "reset", (len(got), end)
    assert m.session()["end"] == "relay-truncated"
    assert int(m.session()["bytes_down"]) == 100000


@both_versions
def test_outer_end_is_a_truncation(case, version):
    """The proxy ends its TLS session, with or without close_notify, in the middle of the target's."""
    for end in ("close_notify", "truncate"):
        instance = case.instance(mode="source", bytes=SIZE, tls_max=version)
        proxy = case.proxy(instance, tls={"end": end, "end_after": 400000, "tls_max": version})
        m = relay(case, instance, [proxy])
        with m.connect() as sock:
            count, _, how = read_hashed(sock)
        assert how == "reset" and count < 400000, (end, count, how)
        assert m.session()["end"] == "relay-truncated", (end, m.session())


def test_outer_reset_is_a_reset(case):
    instance = case.instance(mode="source", bytes=SIZE)
    m = relay(case, instance, [case.proxy(instance, tls={"end": "reset", "end_after": 400000})])
    with m.connect() as sock:
        _, _, how = read_hashed(sock)
    assert how == "reset"
    assert m.session()["end"] in ("relay-reset", "relay-truncated"), m.session()


@harness.counts_dials
def test_client_resets(case):
    instance = case.instance(mode="sink")
    proxy = case.proxy(instance, tls={})
    m = relay(case, instance, [proxy])
    sock = m.connect()
    sock.sendall(b"half a request")
    harness.wait_until(lambda: instance.connections and instance.connections[0]["bytes_in"] == 14, "the bytes")
    harness.reset(sock)
    assert records_done(instance)[0]["end"] in ("reset", "truncated"), instance.connections
    assert records_done(proxy)[0]["tls"]["end"] in ("reset", "truncated"), proxy.connections
    assert m.session()["end"] == "relay-reset"


# Back-pressure

def test_client_reads_slowly(case):
    size = 160 << 20  # the lab's own hops hold some
    instance = case.instance(mode="source", bytes=size)
    m = relay(case, instance, [case.proxy(instance, tls={})])
    with m.connect(rcvbuf=16384) as sock:
        assert sock.recv(1)
        before = m.rss_kb()
        assert settled(lambda: instance.connections[0]["bytes_out"]) < size // 2, "the target was not held"
        m.assert_idle()
        assert harness.INSTRUMENTED or m.rss_kb() - before < 8192, (before, m.rss_kb())
        sock.settimeout(60 * SLOW)
        count, _, end = read_hashed(sock)
        assert (count, end) == (size - 1, "eof")
    assert m.session()["end"] == "ok"


@harness.counts_dials
def test_target_reads_slowly(case):
    size = 160 << 20
    instance = case.instance(mode="sink", pause_after=1 << 20, rcvbuf=16384)
    m = relay(case, instance, [case.proxy(instance, tls={})])
    with m.connect() as sock:
        sock.settimeout(60 * SLOW)
        before = m.rss_kb()
        upload = harness.Upload(sock, size)
        harness.wait_until(lambda: instance.connections and instance.connections[0].get("paused"), "the pause")
        assert settled(lambda: upload.sent) < size // 2, "the client was not held"
        assert harness.INSTRUMENTED or m.rss_kb() - before < 8192, (before, m.rss_kb())
        case.lab.loop.call_soon_threadsafe(instance.release)
        upload.wait()
        _, end = read_all(sock)
    assert records_done(instance)[0]["sha256_in"] == pattern_sha256(size) and end == "eof"


# What each layer may see

@harness.counts_dials
def test_credentials_only_inside(case):
    """Nothing of the CONNECT crosses the wire in the clear, nor reaches a proxy that does not verify."""
    instance = case.instance()
    basic = base64.b64encode(("%s:%s" % (USER, PASSWORD)).encode())
    good = case.proxy(instance, auth=[USER, PASSWORD], tls={})
    m = relay(case, instance, [good], auth=True)
    assert m.get("/").status == 200
    record = records_done(good)[0]
    assert record["authorized"] == "Basic " + basic.decode()
    for word in (basic, PASSWORD.encode(), b"CONNECT", b"Proxy-Authorization", b"instance.lab.test"):
        assert word not in outer_bytes(record), word
    for cert in ("untrusted", "wrong-name", "expired"):
        bad = case.proxy(instance, auth=[USER, PASSWORD], tls={"cert": cert})
        relay(case, instance, [bad], auth=True).fails("proxy-tls")
        record = records_done(bad)[0]
        assert record["request"] == "" and record["tls"]["bytes_in"] == 0, record
        assert harness.wire.only_hello_and_alert(outer_bytes(record)), cert


@harness.counts_dials
@both_versions
def test_each_certificate_to_its_own(case, version):
    instance = case.instance()
    asking = case.proxy(instance, tls={"ask": "optional", "tls_max": version})
    m = relay(case, instance, [asking])
    answer = m.get("/").json()
    assert answer["client_cert"]["subject"].endswith("=mid-one"), answer
    seen = records_done(asking)[0]["tls"]
    assert seen["client_cert"] is None and seen["client_certificates"] == 0, "the target's certificate was shown"
    demanding = case.proxy(instance, tls={"ask": "required", "tls_max": version})
    m = relay(case, instance, [demanding], proxy_client_bundle=case.pki["client-renewed-bundle.pem"])
    answer = m.get("/").json()
    assert answer["client_cert"]["subject"].endswith("=mid-one"), answer
    seen = records_done(demanding)[0]["tls"]
    assert seen["client_cert"]["subject"].endswith("=mid-one-renewed"), seen


@harness.counts_dials
def test_sections_have_their_own(case):
    """[proxy NAME] with trust and client_bundle; the relay's proxy_… keys are not for it."""
    instance = case.instance()
    proxy = case.proxy(instance, tls={"ask": "required"})
    section = {"url": harness.url(proxy), "trust": case.pki["root.pem"],
               "client_bundle": case.pki["client-rsa-bundle.pem"]}
    m = case.start({"relay r": case.keys("instance.lab.test", ["corp"]), "proxy corp": section})
    assert m.get("/").status == 200
    assert records_done(proxy)[0]["tls"]["client_cert"]["subject"].endswith("=mid-rsa")
    del section["trust"]
    m = case.start({"relay r": case.keys("instance.lab.test", ["corp", harness.url(proxy)],
                                         proxy_trust=case.pki["root.pem"],
                                         proxy_client_bundle=case.pki["client-rsa-bundle.pem"]),
                    "proxy corp": section})
    assert m.get("/").status == 200
    failed = m.wait_event("path-failed")
    assert failed["path"] == "corp" and failed["code"] == "proxy-tls", failed


# Faults

def test_each_fault_has_its_sentence(case):
    instance = case.instance()
    faults = {
        "untrusted": ({"cert": "untrusted"}, "does not verify"),
        "name": ({"cert": "wrong-name"}, "is for somebody-else.lab.test, not for 127.0.0.1"),
        "expired": ({"cert": "expired"}, "expired at"),
        "early": ({"cert": "not-yet-valid"}, "is not valid before"),
        "plain": ({"handshake": "plaintext"}, "220 mail.lab.test"),
        "http": ({"handshake": "http"}, "a plain HTTP response"),
        "garbage": ({"handshake": "garbage"}, "where TLS was expected"),
        "alert": ({"handshake": "alert"}, "alert"),
        "close": ({"handshake": "close-after-hello"}, "closed without an answer"),
        "reset": ({"handshake": "reset-after-hello"}, "reset without an answer"),
        "close-mid": ({"handshake": "close-mid", "at": 200}, "closed in the middle"),
        "reset-mid": ({"handshake": "reset-mid", "at": 200}, "reset in the middle"),
        "version": ({"tls_max": "1.1", "tls_min": "1.1"}, "version"),
        "demands-1.2": ({"ask": "required", "tls_max": "1.2"}, "demands a client certificate"),
        "demands-1.3": ({"ask": "required", "tls_min": "1.3"}, "demands a client certificate"),
    }
    proxies = {name: case.proxy(instance, tls=tls) for name, (tls, _) in faults.items()}
    m = case.start({"relay " + name: case.keys("instance.lab.test", [proxy], proxy_trust=case.pki["root.pem"])
                    for name, proxy in proxies.items()})
    for name, (_, words) in faults.items():
        response = m.fails("proxy-tls", relay=name, status=502)
        assert words in response.reason and "TLS with the proxy https://127.0.0.1:" in response.reason, \
            (name, response.reason)
    assert instance.connections == []


def test_refused_client_certificate(case):
    for version in ("1.2", "1.3"):
        instance = case.instance()
        proxy = case.proxy(instance, tls={"ask": "required", "reject": True, "tls_max": version})
        m = relay(case, instance, [proxy], proxy_client_bundle=case.pki["client-renewed-bundle.pem"])
        response = m.fails("proxy-tls")
        assert "refused the client certificate" in response.reason and "mid-one-renewed" in response.reason


def test_expired_client_certificate_for_the_proxy(case):
    """It is not shown, and the next path is taken."""
    instance = case.instance()
    proxy = case.proxy(instance, tls={"ask": "required"})
    plain = case.proxy(instance)
    m = relay(case, instance, [proxy, plain], proxy_client_bundle=case.pki["client-expired-bundle.pem"])
    assert m.get("/").status == 200
    failed = m.wait_event("path-failed")
    assert failed["code"] == "proxy-tls" and "expired" in json.dumps(failed), failed
    assert records_done(proxy)[0]["tls"]["handshake_done"] is False


def test_http_to_an_https_port(case):
    instance = case.instance()
    proxy = case.proxy(instance, tls={})
    m = case.relay("instance.lab.test", ["http://127.0.0.1:%d" % proxy.port])
    m.fails("proxy-closed")


def test_handshake_time_out(case):
    """It is the proxy's time: proxy_timeout covers handshake and CONNECT together."""
    instance = case.instance()
    for tls in ({"handshake": "silent"}, {"handshake": "stall-mid", "at": 100}):
        m = relay(case, instance, [case.proxy(instance, tls=tls)], proxy_timeout="400ms")
        response = m.fails("proxy-timeout", status=504)
        assert "TLS handshake" in response.reason, response.reason
    m = relay(case, instance, [case.proxy(instance, silent=True, tls={})], proxy_timeout="400ms")
    response = m.fails("proxy-timeout", status=504)
    assert "CONNECT" in response.reason, response.reason


def test_refusals_inside(case):
    """What a proxy answers to the CONNECT means the same inside TLS, and the session with it is ended in order."""
    instance = case.instance()
    for scenario, code in (({"reply": "squid-407"}, "proxy-auth-required"), ({"reply": "403"}, "proxy-denied"),
                           ({"reply": "502"}, "proxy-upstream-failed"), ({"close_at": "request"}, "proxy-closed"),
                           ({"close_at": "head:20"}, "proxy-closed"), ({"tunnel": "plaintext"}, "tls-not-tls"),
                           ({"tunnel": "inspect"}, "tls-untrusted")):
        proxy = case.proxy(instance, tls={}, **scenario)
        relay(case, instance, [proxy]).fails(code)
        if code != "proxy-closed":
            assert records_done(proxy)[0]["tls"]["end"] == "close_notify", (code, proxy.connections)


@harness.counts_dials
def test_failover(case):
    """A failed outer TLS moves on, like every failure before TLS with the target."""
    instance = case.instance()
    good = case.proxy(instance, tls={})
    for tls in ({"cert": "untrusted"}, {"handshake": "close"}, {"ask": "required", "tls_min": "1.3"},
                {"handshake": "http"}):
        bad = case.proxy(instance, tls=tls)
        m = relay(case, instance, [bad, good])
        for n in range(3):
            assert m.get("/%d" % n).status == 200
        assert len(bad.connections) == 1, "a resting path was dialled again"
        assert m.events("path-failed")[0]["code"] == "proxy-tls"


# Resumption

@harness.counts_dials
@both_versions
def test_resumption_is_separate(case, version):
    """Both layers resume, each its own: a ticket of one is never offered to the other."""
    os.environ.pop("MIDRELAY_WORKERS", None)
    instance = case.instance(tls_max=version)
    proxy = case.proxy(instance, tls={"tls_max": version})
    m = relay(case, instance, [proxy])
    for n in range(4):
        assert m.get("/%d" % n).json()["client_cert"]["subject"].endswith("mid-one")
        m.session(n + 1)
    inner = [c["resumed"] for c in records_done(instance, 4)]
    outer = [c["tls"]["resumed"] for c in records_done(proxy, 4)]
    assert inner[0] is False and any(inner[1:]), inner
    assert outer[0] is False and any(outer[1:]), outer


@harness.counts_dials
@both_versions
def test_no_ticket_crosses(case, version):
    """The proxy gives tickets, the target none, and the other way round."""
    for proxy_tickets, target_tickets in ((2, 0), (0, 2)):
        instance = case.instance(tls_max=version, tickets=target_tickets)
        proxy = case.proxy(instance, tls={"tls_max": version, "tickets": proxy_tickets})
        m = relay(case, instance, [proxy])
        for n in range(3):
            assert m.get("/").status == 200
            m.session(n + 1)
        silent = [c for c in records_done(instance, 3)] if target_tickets == 0 else \
            [c["tls"] for c in records_done(proxy, 3)]
        offered = [c["client_hello"]["psk"] or c["client_hello"]["ticket"] for c in silent]
        assert version == "1.2" or not any(offered), (proxy_tickets, offered)
        assert not any(c["client_hello"]["ticket"] for c in silent), offered


# Configuration

def test_faults_at_their_lines(case):
    """Trust and bundle for a proxy are opened at load, and what is wrong is said at the line of their key, once."""
    text = ("[relay a]\nlisten = 127.0.0.1:0\ntarget = x.example\nproxy = https://p.example:1, https://q.example:1, n\n"
            "proxy_trust = %s\nproxy_client_bundle = %s\n[proxy n]\nurl = https://n.example:1\ntrust = %s\n"
            "client_bundle = %s\n" % (case.path("no-trust"), case.path("no-bundle"), case.path("no-trust-2"),
                                      case.pki["client-encrypted-bundle.pem"]))
    done = case.run("run", "-c", case.write("bad.ini", text))
    assert done.returncode == 78, done
    lines = [line for line in done.stderr.split("\n") if "bad.ini:" in line and "warning" not in line]
    for line, key in ((5, "proxy_trust"), (6, "proxy_client_bundle"), (9, "trust"), (10, "client_bundle")):
        assert sum("bad.ini:%d: %s: " % (line, key) in one for one in lines) == 1, (line, key, done.stderr)
    assert len(lines) == 4, done.stderr


if __name__ == "__main__":
    harness.main()
