#!/usr/bin/python3
"""Proves curl -> midrelay -> Squid with Basic -> nginx with ssl_verify_client on."""

import hashlib
import os

import harness
import real
from harness import in_thread, pattern_sha256, pattern_stream

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
    url = "http://127.0.0.1:%d" % m.port()
    body = case.path("body")
    with open(body, "wb") as out:
        for part in pattern_stream(BIG, seed=5):
            out.write(part)
    real.curl(case, "-T", body, url + "/put/body")
    digest = hashlib.sha256()
    with open(os.path.join(nginx.directory, "www", "put", "body"), "rb") as stored:
        while part := stored.read(1 << 20):
            digest.update(part)
    assert digest.hexdigest() == pattern_sha256(BIG, 5)
    assert hashlib.sha256(real.curl(case, url + "/big")).hexdigest() == pattern_sha256(BIG)
    # A client that closes its connection in the middle disturbs nobody.
    with m.connect() as sock:
        sock.sendall(harness.request_bytes(path="/big"))
        sock.recv(100000)
    assert b"verify SUCCESS" in real.curl(case, url + "/")


def test_hundred_at_once(case):
    m, _, _ = chain(case)

    def one(number):
        with m.connect() as sock:
            for n in range(10):
                answer = harness.ask(sock, path="/%d/%d" % (number, n))
                assert b"uri /%d/%d\n" % (number, n) in answer.body, answer.body
        return 10
    clients = [in_thread(one, number) for number in range(100)]
    assert sum(client() for client in clients) == 1000
    m.session(100)
    assert {e["end"] for e in m.events("session")} == {"ok"}


def test_wrong_password(case):
    nginx = real.nginx(case)
    squid = real.squid(case, nginx.port, password="another")
    m = case.start({"relay r": case.keys("instance.lab.test:%d" % nginx.port, [squid.url], auth=True)})
    m.fails("proxy-auth-rejected")


def test_no_credentials(case):
    m, _, _ = chain(case, auth=False)
    m.fails("proxy-auth-required")


def test_port_not_allowed(case):
    _, squid, _ = chain(case)
    m = case.start({"relay r": case.keys("instance.lab.test:1", [squid.url], auth=True)})
    m.fails("proxy-denied")


def test_target_unreachable(case):
    with harness.socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        squid = real.squid(case, port)
        m = case.start({"relay r": case.keys("instance.lab.test:%d" % port, [squid.url], auth=True)})
        m.fails("proxy-upstream-failed")


def test_target_name_unknown(case):
    squid = real.squid(case, 443)
    m = case.start({"relay r": case.keys("no-such-host.invalid", [squid.url], auth=True, proxy_timeout="9s")})
    m.fails("proxy-upstream-failed")


def test_certificate_that_nginx_does_not_know(case):
    """nginx says it by a 400 page inside TLS; it passes through."""
    nginx = real.nginx(case)
    m = case.start({"relay r": case.keys("instance.lab.test:%d" % nginx.port, ["direct"], target_address="127.0.0.1",
                                         client_bundle=case.pki["client-unknown-bundle.pem"])})
    answer = m.get("/")
    assert answer.status == 400 and b"The SSL certificate error" in answer.body, answer.body


if __name__ == "__main__":
    harness.main()
