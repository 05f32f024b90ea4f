#!/usr/bin/python3
"""Proves curl -> midrelay -> Squid with Basic -> nginx with ssl_verify_client on."""

import harness
import real

BIG = 64 << 20


def chain(case, auth=True, big=0, **keys):
    nginx = real.nginx(case, big_bytes=big)
    squid = real.squid(case, nginx.port)
    m = case.start({"relay r": case.keys("instance.lab.test:%d" % nginx.port, [squid.url], auth=auth, **keys)})
    m.opened = None
    return m, squid, nginx


def test_requests(case):
    m, squid, nginx = chain(case)
    url = "http://instance.lab.test:%d" % m.port()
    to = ["--connect-to", "::127.0.0.1:%d" % m.port()]
    for n in range(5):
        text = real.curl(case, *to, "%s/n/%d" % (url, n)).decode()
        assert "verify SUCCESS" in text and "subject CN=mid-one,O=Lab" in text, text
        assert "uri /n/%d\n" % n in text, text
    # Keep-alive: one connection for all.
    text = real.curl(case, *to, *["%s/%d" % (url, n) for n in range(20)]).decode()
    assert len({line for line in text.split("\n") if line.startswith("connection ")}) == 1, text
    m.session(6)
    harness.wait_until(lambda: squid.read("access.log").count("CONNECT instance.lab.test:%d " % nginx.port) == 6,
                       lambda: squid.read("access.log"))
    assert harness.USER in squid.read("access.log")


def test_upload_and_download(case):
    m, _, nginx = chain(case, big=BIG)
    real.assert_moves_large_bodies(case, m, nginx, BIG)


def test_hundred_at_once(case):
    m, _, _ = chain(case)
    real.assert_serves_a_hundred_at_once(m)


def test_certificate_that_nginx_does_not_know(case):
    """nginx says it by a 400 page inside TLS; it passes through."""
    nginx = real.nginx(case)
    m = case.start({"relay r": case.keys("instance.lab.test:%d" % nginx.port, ["direct"], target_address="127.0.0.1",
                                         client_bundle=case.pki["client-unknown-bundle.pem"])})
    answer = m.get("/")
    assert answer.status == 400 and b"The SSL certificate error" in answer.body, answer.body


if __name__ == "__main__":
    harness.main()
