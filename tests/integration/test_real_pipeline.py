#!/usr/bin/python3
"""
Proves `proxy_pipeline` with real proxies: those that take a ClientHello behind the CONNECT are given it, those that lose
it are found out by `auto` without a client that fails, and refusals keep their diagnosis.  doc/pipelining.md has the table.
"""

import glob
import subprocess

import harness
import real

TAKEN, LOST = True, False


def takes(case, proxy, expected, target, **keys):
    """`on`: the ClientHello arrives or not.  `auto`: three clients are served, whatever the proxy does."""
    m = case.relay(target, [proxy.url], proxy_pipeline="on", tls_timeout="1s", **keys)
    if expected == TAKEN:
        assert m.get().status == 200
    else:
        assert "proxy_pipeline = on" in m.fails("tls-timeout").body.decode()
    m = case.relay(target, [proxy.url], proxy_pipeline="auto", tls_timeout="1s", **keys)
    for _ in range(3):
        assert m.get().status == 200
    assert len(m.events("pipeline-off")) == (0 if expected == TAKEN else 1), m.tail()
    assert {e["end"] for e in m.events("session")} == {"ok"}


def refuses(case, proxy, target, code, **keys):
    """The diagnosis is the one without, with nothing lost, 10 times each."""
    told = set()
    for pipeline in ("off", "on"):
        m = case.relay(target, [proxy.url], proxy_pipeline=pipeline, **keys)
        for _ in range(10):
            told.add(m.fails(code).body)
    assert len(told) == 1, told


def with_password(case, text):
    return {"proxy_user": harness.USER, "proxy_password": "file:" + case.write("password", text + "\n")}


@harness.counts_dials
def test_squid_basic(case):
    nginx = real.nginx(case)
    proxy = real.squid(case, nginx.port)
    target = "instance.lab.test:%d" % nginx.port
    takes(case, proxy, TAKEN, target=target, **with_password(case, harness.PASSWORD))
    refuses(case, proxy, target, "proxy-auth-rejected", **with_password(case, "wrong"))
    refuses(case, proxy, target, "proxy-auth-required")
    refuses(case, proxy, "instance.lab.test:9", "proxy-denied", **with_password(case, harness.PASSWORD))


@harness.counts_dials
def test_squid_over_tls(case):
    nginx = real.nginx(case)
    proxy = real.squid(case, nginx.port, tls="")
    target = "instance.lab.test:%d" % nginx.port
    trust = {"proxy_trust": case.pki["root.pem"]}
    takes(case, proxy, TAKEN, target=target, **with_password(case, harness.PASSWORD), **trust)
    refuses(case, proxy, target, "proxy-auth-required", **trust)


@harness.counts_dials
def test_squid_that_peeks(case):
    """With ssl_bump it reads the ClientHello from the connection alone, not what came with the CONNECT; also to splice."""
    nginx = real.nginx(case)
    proxy = peeking(case, nginx.port)
    takes(case, proxy, LOST, target="instance.lab.test:%d" % nginx.port)


def peeking(case, target_port):
    binary, helpers = real.program("squid"), glob.glob("/usr/lib*/squid/security_file_certgen")
    if "--with-openssl" not in subprocess.run([binary, "-v"], capture_output=True, text=True).stdout or not helpers:
        raise harness.Skip("squid is built without OpenSSL")
    ca = case.write("bump-ca.pem", open(case.pki["inspect-root.pem"]).read() + open(case.pki["inspect-root.key"]).read(),
                    0o644)
    access = ["sslcrtd_program %s -s %s/certs -M 4MB" % (helpers[0], case.dir), "sslcrtd_children 1 startup=1 idle=1",
              "acl step1 at_step SslBump1", "ssl_bump peek step1", "ssl_bump splice all", "http_access allow target"]
    subprocess.run([helpers[0], "-c", "-s", case.dir + "/certs", "-M", "4MB"], check=True, capture_output=True)
    user = real.unprivileged()
    if user:
        subprocess.run(["chown", "-R", user, case.dir + "/certs"], check=True)
    return real.squid(case, target_port, access=access, listen="ssl-bump tls-cert=%s generate-host-certificates=on" % ca)


@harness.counts_dials
def test_tinyproxy(case):
    nginx = real.nginx(case)
    proxy = real.tinyproxy(case, nginx.port)
    takes(case, proxy, TAKEN, **with_password(case, "plain7word"),
          target="localhost:%d" % nginx.port)
    refuses(case, proxy, "localhost:%d" % nginx.port, "proxy-auth-rejected", **with_password(case, "wrong"))
    refuses(case, proxy, "localhost:%d" % nginx.port, "proxy-auth-required")


@harness.counts_dials
def test_apache(case):
    nginx = real.nginx(case)
    proxy = real.apache(case, nginx.port, auth=True)
    takes(case, proxy, TAKEN, **with_password(case, harness.PASSWORD),
          target="localhost:%d" % nginx.port)
    refuses(case, proxy, "localhost:%d" % nginx.port, "proxy-auth-rejected", **with_password(case, "wrong"))
    refuses(case, proxy, "localhost:9", "proxy-denied", **with_password(case, harness.PASSWORD))


@harness.counts_dials
def test_mitmproxy(case):
    """Which passes these hosts on unread."""
    nginx = real.nginx(case)
    proxy = real.Server(case, "mitmdump", lambda s: None, lambda s: [
        real.program("mitmdump"), "-q", "--listen-host", "127.0.0.1", "-p", str(s.port), "--set", "confdir=" + s.directory,
        "--ignore-hosts", ".*"])
    takes(case, proxy, TAKEN, target="localhost:%d" % nginx.port)


harness.main()
