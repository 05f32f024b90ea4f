#!/usr/bin/python3
"""
Proves with real inspecting proxies, Squid's ssl_bump and mitmproxy, whose root *is* in the system's store: the path is
refused with its evidence, and neither certificate nor data left; with `inspection = ignore` it connects and says so.
"""

import json
import os
import socket
import threading

import harness
import real
from harness import wait_until

VERSIONS = ("1.2", "1.3")


class Recorder:
    """A wire tap before a proxy: passes bytes on, and keeps what midrelay sent behind its CONNECT."""

    def __init__(self, case, port):
        self.to, self.streams, self.ended = port, [], 0
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        case.cleanups.append(self._stop)

    def _stop(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.sock.accept()
            except OSError:
                return
            proxy = socket.create_connection(("127.0.0.1", self.to))
            up = bytearray()
            self.streams.append(up)
            threads = [threading.Thread(target=self._copy, args=pair, daemon=True)
                       for pair in ((client, proxy, up), (proxy, client, bytearray()))]
            for thread in threads:
                thread.start()
            threading.Thread(target=self._finish, args=(threads, client, proxy), daemon=True).start()

    def _copy(self, source, sink, kept):
        try:
            while part := source.recv(65536):
                kept += part
                sink.sendall(part)
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # a reset ends the tunnel both ways
            for sock in (source, sink):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _finish(self, threads, client, proxy):
        for thread in threads:
            thread.join()
        client.close()
        proxy.close()
        self.ended += 1

    def tunnels(self):
        """What went up in each tunnel, once all have ended."""
        wait_until(lambda: self.streams and self.ended == len(self.streams), "tunnels to end")
        return [bytes(up).partition(b"\r\n\r\n")[2] for up in self.streams]

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port


ADDON = """\
import json
from mitmproxy import ctx
from OpenSSL import SSL

PORT, LOG, ASK = %r, %r, %r


def note(**what):
    with open(LOG, "a") as log:
        log.write(json.dumps(what) + "\\n")


class Lab:
    def server_connect(self, data):
        data.server.address = ("127.0.0.1", PORT)

    def tls_start_client(self, data):
        ctx.master.addons.get("tlsconfig").tls_start_client(data)
        if ASK:
            data.ssl_conn.set_verify(SSL.VERIFY_PEER, lambda *args: True)
        self.conn = data.ssl_conn

    def tls_established_client(self, data):
        note(event="established", certificates=len(self.conn.get_peer_cert_chain() or []))

    def tls_failed_client(self, data):
        note(event="failed", certificates=len(self.conn.get_peer_cert_chain() or []))

    def request(self, flow):
        note(event="request", path=flow.request.path)


addons = [Lab()]
"""


def mitmproxy(case, target_port, version, ask):
    """mitmproxy with the lab's inspecting CA; `ask`: also for a client certificate."""
    binary = real.program("mitmdump")

    def configure(server):
        d = server.directory
        server.file("mitmproxy-ca.pem", open(case.pki["inspect-root.key"]).read() +
                    open(case.pki["inspect-root.pem"]).read())
        server.log = os.path.join(d, "seen")
        server.file("seen", "")
        server.file("addon.py", ADDON % (target_port, server.log, ask))
    server = real.Server(case, "mitmproxy", configure, lambda s: [
        binary, "-q", "--listen-host", "127.0.0.1", "-p", str(s.port), "--set", "confdir=" + s.directory,
        "--set", "ssl_insecure=true", "--set", "tls_version_client_max=TLS1_" + version[2:], "-s",
        s.directory + "/addon.py"])
    server.seen = lambda: [json.loads(line) for line in server.read("seen").splitlines()]
    return server


def relay(case, instance, proxy, **keys):
    env = {"SSL_CERT_FILE": case.pki["inspect-root.pem"], "SSL_CERT_DIR": case.path("none")}
    return case.relay("instance.lab.test:%d" % instance.port, [proxy.url], trust="system", start={"env": env},
                      proxy_pipeline="auto", **keys)  # `on` is lost on Squid's ssl_bump, see test_real_pipeline.py


def refused(case, instance, tap, hello_only):
    m = relay(case, instance, tap)
    said = m.fails("tls-inspected")
    assert "no SCT came with the certificate although trust = system" in said.reason, said.reason
    event = m.wait_event("path-failed")
    assert "issued by CN=Corporate Inspection CA,O=Corporate IT" in event["msg"], event
    assert "chain: verified by CN=Corporate Inspection CA" in event["evidence"], event
    for up in tap.tunnels():
        # Without a request the handshake is finished (in TLS 1.2 with our key exchange, in 1.3 with Finished).
        assert not hello_only or harness.wire.only_hello_and_alert(up), harness.wire.records(up)
        assert b"mid-one" not in up and len(up) < 2000, harness.wire.records(up)
    for record in instance.connections:
        assert record["client_certificates"] == 0 and record["requests"] == [] and record["bytes_in"] == 0, record


def ignored(case, instance, tap):
    m = relay(case, instance, tap, inspection="ignore", require_client_cert_request="no")
    with m.connect() as sock:
        # Squid goes where Host says.
        sock.sendall(b"GET /through HTTP/1.1\r\nHost: instance.lab.test:%d\r\nConnection: close\r\n\r\n" % instance.port)
        answer = harness.read_response(sock)
        harness.read_all(sock)
    assert answer.status == 200 and answer.json()["path"] == "/through", answer.body
    found = m.wait_event("inspection-found")
    assert found["level"] == "info" and "LOOKS INSPECTED" in found["msg"], found
    assert "sct: none (inspected)" in found["evidence"], found
    assert m.session()["end"] in ("ok", "relay-truncated"), m.session()


def test_squid_ssl_bump(case):
    for version in VERSIONS:
        instance = case.instance(ask="optional")
        squid = real.squid_bump(case, instance.port, version)
        refused(case, instance, Recorder(case, squid.port), hello_only=False)
        wait_until(lambda: "CONNECT" in squid.read("access.log"), lambda: squid.read("access.log"))
        assert "GET" not in squid.read("access.log"), squid.read("access.log")
        ignored(case, instance, Recorder(case, squid.port))
        wait_until(lambda: "GET https://instance.lab.test:%d/through" % instance.port in squid.read("access.log"),
                   lambda: squid.read("access.log"))


def test_mitmproxy_that_asks_for_our_certificate(case):
    """The one that would get it, were it not for the evidence."""
    for version in VERSIONS:
        instance = case.instance(ask="optional")
        proxy = mitmproxy(case, instance.port, version, True)
        refused(case, instance, Recorder(case, proxy.port), hello_only=True)
        wait_until(proxy.seen, "mitmproxy to have seen it")
        assert all(seen["event"] == "failed" and seen["certificates"] == 0 for seen in proxy.seen()), proxy.seen()
        ignored(case, instance, Recorder(case, proxy.port))
        wait_until(lambda: {"event": "request", "path": "/through"} in proxy.seen(), proxy.seen)
        assert any(seen["event"] == "established" and seen["certificates"] > 0 for seen in proxy.seen()), proxy.seen()


def test_mitmproxy_as_it_comes(case):
    for version in VERSIONS:
        instance = case.instance(ask="optional")
        proxy = mitmproxy(case, instance.port, version, False)
        refused(case, instance, Recorder(case, proxy.port), hello_only=False)
        assert all(seen["event"] != "request" for seen in proxy.seen()), proxy.seen()
        ignored(case, instance, Recorder(case, proxy.port))


if __name__ == "__main__":
    harness.main()
