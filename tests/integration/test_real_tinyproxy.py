#!/usr/bin/python3
"""Proves the way through tinyproxy with BasicAuth, and what its refusals end in."""

import harness
import real


def relay(case, port, proxy, password="plain7word", auth=True):
    keys = case.keys("127.0.0.1:%d" % port, [proxy.url])
    if auth:
        keys.update(proxy_user=harness.USER, proxy_password="file:" + case.write("tinyproxy-password", password))
    return case.start({"relay r": keys}, secrets=[password] if auth else [])


def test_requests(case):
    nginx = real.nginx(case)
    m = relay(case, nginx.port, real.tinyproxy(case, nginx.port))
    for n in range(3):
        assert b"verify SUCCESS" in m.get("/%d" % n).body
    m.session(3)


def test_wrong_credentials(case):
    nginx = real.nginx(case)
    m = relay(case, nginx.port, real.tinyproxy(case, nginx.port), password="wrong-7-word")
    m.fails("proxy-auth-rejected")


def test_no_credentials(case):
    nginx = real.nginx(case)
    m = relay(case, nginx.port, real.tinyproxy(case, nginx.port), auth=False)
    m.fails("proxy-auth-required")


def test_port_not_allowed(case):
    proxy = real.tinyproxy(case, 443)
    m = relay(case, 444, proxy)
    m.fails("proxy-denied")


def test_dead_target(case):
    with harness.socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        m = relay(case, port, real.tinyproxy(case, port))
        m.fails("proxy-upstream-failed")


if __name__ == "__main__":
    harness.main()
