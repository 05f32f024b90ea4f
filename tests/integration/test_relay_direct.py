#!/usr/bin/python3
"""Proves that bytes go through unchanged, in both directions, straight to the target under the client certificate."""

import hashlib
import random

import harness
from harness import ask, in_thread, pattern_sha256, pattern_stream, read_all, read_hashed, records_done


@harness.counts_dials
def test_http_arrives_under_our_certificate(case):
    instance = case.instance()
    m = case.relay(instance)
    with m.connect() as sock:
        for n in range(3):
            answer = ask(sock, "POST", "/n/%d" % n, b"body %d" % n).json()
            assert answer["path"] == "/n/%d" % n
            assert answer["body_sha256"] == hashlib.sha256(b"body %d" % n).hexdigest()
            assert answer["client_cert"]["subject"] == "organizationName=Lab,commonName=mid-one"
            assert answer["tls_version"] == "TLSv1.3"
    session = m.session()
    assert session["end"] == "ok" and session["relay"] == "r" and session["path"] == "direct", session
    assert session["tls_version"] == "TLSv1.3" and session["resumed"] == "no", session
    assert int(session["bytes_up"]) == instance.connections[0]["bytes_in"], session
    assert int(session["bytes_down"]) == instance.connections[0]["bytes_out"], session
    for key in ("id", "peer", "resolve_ms", "connect_ms", "tls_ms", "cipher", "duration_ms"):
        assert session.get(key, "") != "", (key, session)
    hello = instance.connections[0]["client_hello"]
    assert hello["sni"] == "instance.lab.test" and "h2" not in hello["alpn"], hello
    assert all(version >= 0x0303 for version in hello["versions"]), hello
    assert instance.connections[0]["end"] == "close_notify"


def test_tls12(case):
    instance = case.instance(tls_max="1.2")
    m = case.relay(instance)
    answer = m.get("/a").json()
    assert answer["tls_version"] == "TLSv1.2" and answer["client_cert"]["subject"].endswith("mid-one")
    assert m.session()["end"] == "ok"


def test_any_chunking_is_exact(case):
    instance = case.instance(mode="echo")
    m = case.relay(instance)
    rng = random.Random(4)
    sizes = [1] * 50 + [rng.randrange(1, 40) for _ in range(50)] + [16383, 16384, 16385, 65535, 65536, 65537, 262144, 1]
    data = [rng.randbytes(size) for size in sizes]
    with m.connect() as sock:
        reader = in_thread(read_all, sock)
        for part in data:
            sock.sendall(part)
        sock.shutdown(harness.socket.SHUT_WR)
        got, end = reader()
    assert got == b"".join(data) and end == "eof", (len(got), end)
    assert m.session()["end"] == "ok"


def test_ping_pong(case):
    instance = case.instance(mode="echo")
    m = case.relay(instance)
    with m.connect() as sock:
        for n in range(300):
            sock.sendall(b"%07d\n" % n)
            assert sock.recv(8, harness.socket.MSG_WAITALL) == b"%07d\n" % n


@harness.counts_dials
def test_large_both_ways_at_once(case):
    size = 48 << 20
    for version in ("1.2", "1.3"):
        instance = case.instance(mode="duplex", bytes=size, seed=1, tls_max=version)
        m = case.relay(instance)
        with m.connect() as sock:
            reader = in_thread(read_hashed, sock)
            for part in pattern_stream(size, seed=2):
                sock.sendall(part)
            sock.shutdown(harness.socket.SHUT_WR)
            assert reader() == (size, pattern_sha256(size, 1), "eof")
        record = records_done(instance)[0]
        assert record["sha256_in"] == pattern_sha256(size, 2) and record["end"] == "close_notify"
        session = m.session()
        assert (session["bytes_up"], session["bytes_down"]) == (str(size), str(size)), session


def test_ipv6_target(case):
    instance = case.instance(family="inet6")
    m = case.relay(instance)
    assert m.get("/six").json()["path"] == "/six"


def test_rsa_server(case):
    instance = case.instance(cert="server-rsa", tls_max="1.2")
    m = case.relay(instance)
    assert m.get("/").status == 200


def test_ip_target_is_verified_by_its_ip_san(case):
    instance = case.instance()
    m = case.relay("127.0.0.1:%d" % instance.port)
    assert m.get("/").status == 200
    assert instance.connections[0]["client_hello"]["sni"] is None


if __name__ == "__main__":
    harness.main()
