#!/usr/bin/python3
"""Proves what a client is told when no tunnel can be had: 502/504 whole, a close otherwise, an alert for TLS."""

import socket
import ssl
import time

import harness
from harness import SLOW, read_all, read_response


def refused(case, reply="squid-407", **keys):
    return case.relay("instance.lab.test", [case.proxy(case.instance(), reply=reply)], auth=True, **keys)


def test_the_answer_names_all(case):
    m = refused(case)
    response = m.fails("proxy-auth-rejected", status=502)
    body = response.body.decode()
    assert "proxy" in response.headers["proxy-status"] or "midrelay" in response.headers["proxy-status"]
    assert "error=" in response.headers["proxy-status"], response.headers
    assert int(response.headers["content-length"]) == len(response.body)
    assert "407" in body and len(body.split("\n")) >= 2, body
    assert response.reason.split(": ", 2)[2] in body, (response.reason, body)


def test_arrives_whole_at_a_client_that_is_still_sending(case):
    """5 MB are on their way when the path fails; a reset must not overtake the answer."""
    body = b"x" * (5 << 20)
    m = refused(case)
    for n in range(10):
        with m.connect() as sock:
            head = b"POST /ecc_queue.do?SOAP HTTP/1.1\r\nHost: i\r\nContent-Length: %d\r\n\r\n" % len(body)
            sock.sendall(head + body)
            # Read late, as a client does that writes its whole request first.
            response = read_response(sock)
            assert response.status == 502 and response.body
            assert read_all(sock) == (b"", "eof")
        assert m.session(n + 1)["end"] == "proxy-auth-rejected"


def test_timeouts_are_504(case):
    m = case.relay("instance.lab.test", [case.proxy(case.instance(), silent=True)], proxy_timeout="300ms")
    assert m.fails("proxy-timeout").status == 504


def test_explain_off_closes(case):
    m = refused(case, explain="off")
    try:
        with m.connect() as sock:
            harness.try_send(sock, harness.request_bytes())
            got, _ = read_all(sock)
    except ConnectionResetError:  # even before connect() has returned
        m.opened, got = 1, b""
    assert got == b"", got
    assert m.session()["end"] == "proxy-auth-rejected"


def test_no_http_is_closed_without_words(case):
    m = refused(case)
    with m.connect() as sock:
        harness.try_send(sock, b"\x00\x01\x02 something else\r\n\r\n")
        assert read_all(sock)[0] == b""
    assert m.session()["end"] == "proxy-auth-rejected"


def test_a_client_that_waits_first(case):
    """The path fails before the client has sent anything: its first bytes are waited for, a second at most."""
    proxy = case.proxy(case.instance(), reply="squid-407")
    m = case.relay("instance.lab.test", [proxy], auth=True)
    with m.connect() as sock:
        harness.wait_until(lambda: m.events("path-failed"), "the path to fail")
        sock.sendall(harness.request_bytes())
        assert read_response(sock).status == 502
    m.session()
    with m.connect() as sock:
        began = time.monotonic()
        assert read_all(sock)[0] == b""
        assert time.monotonic() - began < 2.5 * SLOW, "a silent client was kept"
    assert m.session(2)["end"] == "proxy-auth-rejected"


def test_request_in_pieces(case):
    m = refused(case)
    with m.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in harness.request_bytes():
            sock.sendall(bytes([byte]))
        assert read_response(sock).status == 502
    m.session()


def test_a_server_that_speaks_first_is_heard(case):
    """A client that waits for the target's first bytes gets them."""
    instance = case.instance(mode="source", bytes=1000)
    m = case.relay(instance)
    with m.connect() as sock:
        got, end = read_all(sock)
        assert len(got) == 1000 and end == "eof"


def test_local_spoke_tls(case):
    m = case.relay(case.instance())
    hello = bytes.fromhex("1603010200010001fc0303") + bytes(range(200))
    with m.connect() as sock:
        harness.try_send(sock, hello)
        got, _ = read_all(sock)
    assert got[:3] in (b"\x15\x03\x01", b"\x15\x03\x03") and len(got) == 7 and got[5] == 2, got
    assert m.session()["end"] == "local-spoke-tls"


def test_local_spoke_tls_to_openssl(case):
    m = case.relay(case.instance())
    context = ssl.create_default_context()
    with m.connect() as sock:
        try:
            context.wrap_socket(sock, server_hostname="localhost")
            raise AssertionError("a TLS handshake with a plain listener")
        except (OSError, ValueError) as error:
            assert "alert" in str(error).lower(), error
    assert m.session()["end"] == "local-spoke-tls"


def test_client_gone_while_dialling(case):
    m = case.relay("instance.lab.test", [case.proxy(case.instance(), silent=True)], proxy_timeout="5s")
    sock = m.connect()
    sock.sendall(harness.request_bytes())
    harness.reset(sock)
    session = m.session()
    assert session["end"] != "ok", session


if __name__ == "__main__":
    harness.main()
