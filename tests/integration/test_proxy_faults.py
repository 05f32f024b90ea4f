#!/usr/bin/python3
"""Proves that a proxy that closes, resets, stalls, drips or is not there ends in its own diagnosis, in time."""

import socket
import time

import harness
from harness import SLOW


def one(case, code, most=2.0, keys=None, **scenario):
    """A relay with one misbehaving proxy; it must fail with `code` within `most` seconds."""
    proxy = case.proxy(case.instance(), **scenario)
    # Short where it is to run out; a busy machine must not let another one run out.
    short = {"proxy-timeout": {"proxy_timeout": "400ms"}, "tls-timeout": {"tls_timeout": "400ms"}}.get(code, {})
    m = case.relay("instance.lab.test", [proxy], **dict(short, **(keys or {})))
    began = time.monotonic()
    response = m.fails(code)
    assert time.monotonic() - began < most * SLOW, "%s took %.1f s" % (code, time.monotonic() - began)
    assert response.status == (504 if code.endswith("-timeout") else 502), response.status
    return response


def test_closes_on_accept(case):
    one(case, "proxy-closed", close_at="accept")


def test_resets_on_accept(case):
    one(case, "proxy-closed", close_at="accept", how="reset")


def test_closes_after_the_request(case):
    one(case, "proxy-closed", close_at="request")


def test_resets_after_the_request(case):
    one(case, "proxy-closed", close_at="request", how="reset")


def test_closes_within_the_head(case):
    for at in (1, 12, 20, 38):
        one(case, "proxy-closed", close_at="head:%d" % at)
    one(case, "proxy-closed", close_at="head:20", how="reset")


def test_never_answers(case):
    one(case, "proxy-timeout", silent=True)


def test_never_answers_credentials(case):
    proxy = case.proxy(case.instance(), drop_authorized=True)
    m = case.relay("instance.lab.test", [proxy], auth=True, proxy_timeout="400ms")
    m.fails("proxy-timeout")


def test_drips_headers_for_ever(case):
    one(case, "proxy-timeout", drip=0.05)


def test_floods_headers(case):
    one(case, "proxy-malformed", drip=0, keys={"proxy_timeout": "5s"})


def test_answers_too_late(case):
    one(case, "proxy-timeout", delay=5)


def test_closes_after_yes(case):
    one(case, "tls-closed", close_at="head")
    one(case, "tls-closed", close_at="head", how="reset")


def test_closes_within_the_handshake(case):
    for at in (1, 5, 100, 900):
        one(case, "tls-closed", close_at="down:%d" % at)
    one(case, "tls-closed", close_at="down:100", how="reset")


def test_stalls_after_yes(case):
    one(case, "tls-timeout", tunnel="stall")


def test_plain_text_instead_of_tls(case):
    one(case, "tls-not-tls", tunnel="plaintext")


def test_refuses_connections(case):
    m = case.relay("instance.lab.test", ["http://127.0.0.1:%d" % case.closed_port()])
    m.fails("connect-refused")


def test_never_accepts(case):
    proxy = case.proxy(never_accept=True)
    probe = socket.socket()
    probe.settimeout(0.3)
    try:
        probe.connect(("127.0.0.1", proxy.port))
        raise harness.Skip("this kernel completes connections past a full backlog")
    except TimeoutError:
        pass
    finally:
        probe.close()
    m = case.relay("instance.lab.test", [proxy], connect_timeout="400ms")
    began = time.monotonic()
    m.fails("connect-timeout", status=504)
    assert time.monotonic() - began < 2 * SLOW


def test_name_does_not_resolve(case):
    m = case.relay("instance.lab.test", ["http://no-such-proxy.invalid:3128"])
    m.fails("resolve-failed")


def test_direct_name_does_not_resolve(case):
    m = case.relay("no-such-target.invalid:443")
    m.fails("resolve-failed")


def test_setup_timeout_covers_all_stages(case):
    proxy = case.proxy(case.instance(), delay=0.5, tunnel="stall")
    m = case.relay("instance.lab.test", [proxy], setup_timeout="%dms" % (1500 * SLOW))
    began = time.monotonic()
    m.fails("tls-timeout", status=504)
    assert time.monotonic() - began < 3 * SLOW


if __name__ == "__main__":
    harness.main()
