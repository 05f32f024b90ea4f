#!/usr/bin/python3
"""Proves curl -> midrelay -> Squid's https_port with Basic -> nginx with ssl_verify_client on."""

import harness
import real

BIG = 64 << 20


def chain(case, auth=True, big=0, tls="", nginx_tls="TLSv1.2 TLSv1.3", **keys):
    nginx = real.nginx(case, big_bytes=big, tls=nginx_tls)
    squid = real.squid(case, nginx.port, tls=tls)
    keys = dict({"proxy_trust": case.pki["root.pem"]}, **keys)
    m = case.start({"relay r": case.keys("instance.lab.test:%d" % nginx.port, [squid.url], auth=auth, **keys)})
    m.opened = None
    return m, squid, nginx


def test_requests(case):
    for nginx_tls in ("TLSv1.2", "TLSv1.3"):
        for options in ("options=NO_TLSv1_3", "tls-min-version=1.3"):
            m, squid, nginx = chain(case, tls=options, nginx_tls=nginx_tls)
            url = "http://127.0.0.1:%d" % m.port()
            for n in range(3):
                text = real.curl(case, "%s/n/%d" % (url, n)).decode()
                assert "verify SUCCESS" in text and "subject CN=mid-one,O=Lab" in text, text
            text = real.curl(case, *["%s/%d" % (url, n) for n in range(20)]).decode()
            assert len({line for line in text.split("\n") if line.startswith("connection ")}) == 1, text
            m.session(4)
            assert {e["end"] for e in m.events("session")} == {"ok"}
            harness.wait_until(lambda: squid.read("access.log").count(
                "CONNECT instance.lab.test:%d " % nginx.port) == 4, lambda: squid.read("access.log"))
            assert harness.USER in squid.read("access.log")


def test_upload_and_download(case):
    m, _, nginx = chain(case, big=BIG)
    real.assert_moves_large_bodies(case, m, nginx, BIG)


def test_hundred_at_once(case):
    m, _, _ = chain(case)
    real.assert_serves_a_hundred_at_once(m)


@harness.counts_dials
def test_squid_demands_a_certificate(case):
    """Its own CA: the certificate for the target would not do, and is not shown."""
    words = "clientca=%s tls-cafile=%s" % ((case.pki["unknown-client-root.pem"],) * 2)
    m, _, _ = chain(case, tls=words, proxy_client_bundle=case.pki["client-unknown-bundle.pem"])
    text = m.get("/").body.decode()
    assert "verify SUCCESS" in text and "subject CN=mid-one,O=Lab" in text, text
    m, _, _ = chain(case, tls=words)
    m.fails("proxy-tls")


def test_faults(case):
    _, squid, nginx = chain(case)
    target = "instance.lab.test:%d" % nginx.port
    # Trusted for the target is not trusted for the proxy, and the other way round.
    m = case.start({"relay r": case.keys(target, [squid.url], auth=True, proxy_trust=case.pki["untrusted-root.pem"])})
    m.fails("proxy-tls")
    plain = real.squid(case, nginx.port)
    m = case.start({"relay r": case.keys(target, ["https://127.0.0.1:%d" % plain.port], auth=True,
                                         proxy_trust=case.pki["root.pem"])})
    m.fails("proxy-tls")
    m = case.start({"relay r": case.keys(target, [squid.url], auth=False, proxy_trust=case.pki["root.pem"])})
    m.fails("proxy-auth-required")


if __name__ == "__main__":
    harness.main()
