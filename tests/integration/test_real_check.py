#!/usr/bin/python3
"""Proves `midrelay check` against real Squid, tinyproxy and nginx: what passes, who refuses, and who takes the certificate."""

import json

import harness
import real
from harness import PASSWORD, USER, wait_until


def check(case, *args, status=0):
    done = case.run("check", "--json", *args)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    for secret in case.secrets():
        assert secret not in done.stdout + done.stderr, "a secret was printed"
    return json.loads(done.stdout)["paths"]


def configured(case, nginx, proxies, auth=False, **keys):
    config = case.path("check.ini")
    section = dict(case.keys("instance.lab.test:%d" % nginx.port, proxies, auth=auth), **keys)
    harness.write_config(config, {"relay r": section})
    return ["-c", config]


def test_squid_and_nginx(case):
    nginx = real.nginx(case)
    squid = real.squid(case, nginx.port)
    path = check(case, *configured(case, nginx, [squid.url], auth=True))[0]
    assert path["verdict"] == "clean" and path["proxy_reply"].startswith("HTTP/1.1 200"), path
    assert path["stages"]["certificate"]["outcome"] == "passed", path
    assert path["stages"]["instance"]["outcome"] == "not-applicable" and "nginx" in path["stages"]["instance"]["seen"]
    # Squid writes it when it has seen the end of the tunnel, which may be after ours.
    wait_until(lambda: "CONNECT instance.lab.test:%d" % nginx.port in squid.read("access.log"), "Squid's log")


def test_squid_refuses(case):
    nginx = real.nginx(case)
    squid = real.squid(case, nginx.port)
    path = check(case, *configured(case, nginx, [squid.url]), status=1)[0]
    assert path["failure"]["code"] == "proxy-auth-required" and path["verdict"] == "blocked", path
    assert "407" in path["failure"]["sentence"] and path["stages"]["tls"]["outcome"] == "not-reached", path
    wrong = "file:" + case.write("wrong", "another")
    path = check(case, "--target", "instance.lab.test:%d" % nginx.port, "--proxy", squid.url, "--proxy-user", USER,
                 "--proxy-password", wrong, status=1)[0]
    assert path["failure"]["code"] == "proxy-auth-rejected", path
    # A port that Squid lets nobody CONNECT to.
    password = "file:" + case.write("right", PASSWORD)
    path = check(case, "--target", "instance.lab.test:1", "--proxy", squid.url, "--proxy-user", USER,
                 "--proxy-password", password, status=1)[0]
    assert path["failure"]["code"] == "proxy-denied" and path["verdict"] == "blocked", path


def test_tinyproxy(case):
    nginx = real.nginx(case)
    tinyproxy = real.tinyproxy(case, nginx.port)
    password = "file:" + case.write("plain", "plain7word")
    keys = {"proxy_user": USER, "proxy_password": password, "target": "localhost:%d" % nginx.port}
    path = check(case, *configured(case, nginx, [tinyproxy.url], **keys))[0]
    assert path["verdict"] == "clean" and path["proxy_reply"].startswith(("HTTP/1.0 200", "HTTP/1.1 200")), path
    keys["proxy_password"] = "file:" + case.write("wrong", "another")
    path = check(case, *configured(case, nginx, [tinyproxy.url], **keys), status=1)[0]
    assert path["failure"]["code"] == "proxy-auth-rejected", path


def test_nginx_refuses_the_certificate(case):
    nginx = real.nginx(case)
    for bundle in ("client-unknown-bundle.pem", None):
        args = configured(case, nginx, [], client_bundle=case.pki[bundle] if bundle else None,
                          target_address="127.0.0.1")
        path = check(case, *args, status=1)[0]
        # nginx says so by its page: the handshake works.
        assert path["failure"]["code"] == "instance-cert-refused", path
        assert path["stages"]["certificate"]["outcome"] == "failed" and path["stages"]["tls"]["outcome"] == "passed"
        assert ("our certificate" if bundle else "no certificate") in path["failure"]["sentence"], path


if __name__ == "__main__":
    harness.main()
