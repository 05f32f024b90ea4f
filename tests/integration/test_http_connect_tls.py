#!/usr/bin/python3
"""
Proves that a client which has midrelay as its proxy reaches the target by https, with TLS that midrelay makes where it
has a certificate for the target's name; the target sees our client certificate all the same.
"""

import os
import ssl
import subprocess

import harness
import real
from harness import read_all

NAME = "instance.lab.test"


def files(case):
    return {"listen_cert": case.pki["server-chain.pem"], "listen_key": case.pki["server.key"]}


def start(case, instance, **keys):
    m = case.relay(instance, mode="http", **keys)
    return m, "%s:%d" % (NAME, instance.port)


def connect_bytes(authority):
    return ("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (authority, authority)).encode()


def fetch(case, m, ca, authority):
    m.opened = None
    return real.curl(case, "--noproxy", "", "-x", "http://127.0.0.1:%d" % m.port(), "--cacert", ca,
                     "https://%s/first" % authority, "https://%s/second" % authority)


def test_curl_with_files(case):
    """Two requests on one connection, inside TLS of midrelay's; the line tells of both TLS versions."""
    instance = case.instance()
    m, authority = start(case, instance, **files(case))
    got = fetch(case, m, case.pki["root.pem"], authority)
    assert got.count(b"mid-one") == 2, got
    session = m.session()
    assert session["end"] == "ok" and session["local_tls"] == session["tls_version"] == "TLSv1.3", session
    assert session["path"] == "direct" and "reused" not in session and "requests" not in session, session
    assert int(session["bytes_up"]) > 0 and int(session["bytes_down"]) > 0, session


def local_ca(case, where):
    done = case.run("bundle", "show", "--local-ca", env=dict(os.environ, STATE_DIRECTORY=where))
    assert done.returncode == 0, done
    return case.write("local-ca.pem", done.stdout, 0o644)


def test_curl_with_auto(case):
    """The same with the local CA, also through a proxy of ours."""
    instance = case.instance()
    where = case.path("state")
    m = case.relay(instance, [case.proxy(instance)], mode="http", listen_cert="auto",
                   start={"env": {"STATE_DIRECTORY": where}})
    got = fetch(case, m, local_ca(case, where), "%s:%d" % (NAME, instance.port))
    assert got.count(b"mid-one") == 2, got
    assert m.session()["end"] == "ok"


@harness.counts_dials
def test_java_with_auto(case):
    """java.net.http and HttpsURLConnection with the proxy's properties and a truststore of the local CA alone."""
    instance = case.instance()
    where, store = case.path("state"), case.path("store")
    m, authority = start(case, instance, listen_cert="auto", start={"env": {"STATE_DIRECTORY": where}})
    m.opened = None
    done = subprocess.run([real.program("keytool"), "-importcert", "-noprompt", "-alias", "midrelay", "-file",
                           local_ca(case, where), "-keystore", store, "-storepass", "changeit"],
                          capture_output=True, text=True, timeout=60 * harness.SLOW)
    assert done.returncode == 0, done
    java = real.java_client("TlsClient", ())
    words = ["-Dhttps.proxyHost=127.0.0.1", "-Dhttps.proxyPort=%d" % m.port(), "-Dhttp.nonProxyHosts=",
             "-Djavax.net.ssl.trustStore=" + store, "-Djavax.net.ssl.trustStorePassword=changeit"]
    done = subprocess.run([*java[:-1], *words, java[-1], "https://%s/soap" % authority], capture_output=True, text=True,
                          timeout=120 * harness.SLOW)
    assert done.returncode == 0 and done.stdout.split() == ["ok", "ok"], done
    assert {event["end"] for event in m.events("session")} <= {"ok"}, m.tail()
    assert sum(len(record["requests"]) for record in instance.connections) == 2


def test_client_hello_right_behind(case):
    """A client that does not wait for our 200: its ClientHello is in the same segment, whole or in part."""
    instance = case.instance()
    m, authority = start(case, instance, **files(case))
    trust = ssl.create_default_context(cafile=case.pki["root.pem"])
    for number, part in enumerate((None, 40, 1)):
        inp, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trust.wrap_bio(inp, out, server_hostname=NAME)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        hello = out.read()
        with m.connect() as sock:
            sock.sendall(connect_bytes(authority) + hello[:part])
            got = harness.read_head(sock)
            assert got.startswith(b"HTTP/1.1 200 "), got
            sock.sendall(hello[part:] if part else b"")

            def drive(call, *args):
                while True:
                    try:
                        result = call(*args)
                        sock.sendall(out.read())
                        return result
                    except ssl.SSLWantReadError:
                        sock.sendall(out.read())
                        inp.write(sock.recv(65536))
            drive(tls.do_handshake)
            drive(tls.write, harness.request_bytes(path="/%d" % number))
            assert b" 200 " in drive(tls.read, 65536)
        session = m.session(number + 1)
        assert session["end"] == "ok" and session["local_tls"] == "TLSv1.3", session


@harness.counts_dials
def test_plain_bytes_behind_the_connect(case):
    """Who then does not speak TLS is told so, and nothing is dialled."""
    instance = case.instance()
    m, authority = start(case, instance, **files(case))
    m_hits = len(instance.connections)
    with m.connect() as sock:
        sock.sendall(connect_bytes(authority) + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        got, _end = read_all(sock)
    assert got.startswith(b"HTTP/1.1 200 ") and b"local-tls" in got, got
    assert m.session()["end"] == "local-tls" and len(instance.connections) == m_hits


@harness.counts_dials
def test_without_a_certificate_it_is_denied(case):
    instance = case.instance()
    m, authority = start(case, instance)
    with m.connect() as sock:
        sock.sendall(connect_bytes(authority))
        got, _end = read_all(sock)
    assert got.startswith(b"HTTP/1.1 502 midrelay: local-connect-denied"), got
    session = m.session()
    assert session["end"] == "local-connect-denied" and "local_tls" not in session, session
    assert not instance.connections


if __name__ == "__main__":
    harness.main()
