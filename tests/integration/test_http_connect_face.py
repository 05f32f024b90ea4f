#!/usr/bin/python3
"""
Proves the forward-proxy face of mode = http: CONNECT to hosts in connect_allow goes through the relay's paths, untouched
and without our certificate; to others, and to the target, never.
"""

import socket
import subprocess
import threading

import codes
import harness
import real
from harness import read_all, read_response

READY = "off"    # what arrives at the target is looked at in its order


def connect_bytes(authority, *headers):
    return "\r\n".join(["CONNECT %s HTTP/1.1" % authority, "Host: " + authority, *headers]).encode() + b"\r\n\r\n"


def denied(m, authority, *facts):
    before = len(m.events("session"))
    with m.connect() as sock:
        sock.sendall(connect_bytes(authority))
        answer = read_response(sock)
        assert read_all(sock) == (b"", "eof")
    said = "midrelay: local-connect-denied: "
    assert answer.status == 502 and answer.reason.startswith(said), (answer.status, answer.reason)
    for fact in (authority, *facts):
        assert fact in answer.reason, (fact, answer.reason)
    assert "error=http_request_denied" in answer.headers["proxy-status"], answer.headers
    session = m.session(before + 1)
    assert session["end"] == "local-connect-denied" and "path" not in session, session


def opened(sock):
    """Reads the answer that opens the tunnel, and nothing behind it."""
    got = harness.read_head(sock)
    assert got.startswith(b"HTTP/1.1 200 "), got
    return got


class Plain:
    """A server without TLS: says `first` at once, then sends back what comes, and ends when the client has."""

    def __init__(self, case, first=b""):
        self.first, self.seen, self.ended = first, b"", threading.Event()
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        case.cleanups.append(self.sock.close)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            sock, _ = self.sock.accept()
            with sock:
                sock.sendall(self.first)
                while part := sock.recv(65536):
                    self.seen += part
                    sock.sendall(part)
            self.ended.set()
        except OSError:
            pass


def test_allowed_through_squid(case):
    """curl takes midrelay for its proxy, and makes its own TLS with another server, through Squid with our credentials."""
    target = real.nginx(case)
    other = real.nginx(case)
    squid = real.squid(case, other.port)
    m = case.start({"relay r": case.keys("instance.lab.test:%d" % target.port, [squid.url], auth=True, mode="http",
                                         connect_allow="instance.lab.test:%d" % other.port)})
    m.opened = None
    seen = real.curl(case, "--noproxy", "", "-x", "http://127.0.0.1:%d" % m.port(), "--cacert", case.pki["root.pem"],
                     "--cert", case.pki["client-bundle.pem"],
                     "https://instance.lab.test:%d/a/b" % other.port).decode()
    assert "verify SUCCESS" in seen and "uri /a/b" in seen, seen
    session = m.session()
    assert session["end"] == "ok" and session["requests"] == "1" and "tls_version" not in session, session
    log = squid.read("access.log")
    assert "CONNECT instance.lab.test:%d" % other.port in log and harness.USER in log, log
    # Without the client's own certificate the other server gets none: ours is for the target.
    done = subprocess.run([real.program("curl"), "-sS", "--noproxy", "", "-x", "http://127.0.0.1:%d" % m.port(),
                           "--cacert", case.pki["root.pem"], "https://instance.lab.test:%d/" % other.port],
                          capture_output=True, timeout=60 * harness.SLOW)
    assert b"No required SSL certificate" in done.stdout, done
    assert not target.read("access.log")


def test_bytes_pass_untouched(case):
    """Directly, without TLS of ours: what follows the CONNECT at once, what the server says first, and both ends."""
    server = Plain(case, first=b"220 hello\r\n")
    instance = case.instance()
    m = case.relay(instance, mode="http", connect_allow="127.0.0.1:%d" % server.port)
    with m.connect() as sock:
        sock.sendall(connect_bytes("127.0.0.1:%d" % server.port) + b"\x16\x03\x01 early \x00\r\n")
        opened(sock)
        want = b"220 hello\r\n" + b"\x16\x03\x01 early \x00\r\n" + b"GET / HTTP/1.1\r\n" * 20000
        sock.sendall(b"GET / HTTP/1.1\r\n" * 20000)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == (want, "eof")
    assert m.session()["end"] == "ok"
    assert server.ended.wait(harness.LIMIT) and not instance.connections


def test_server_that_is_gone_resets(case):
    """A tunnel that is reset on the far side is no clean end on the near one."""
    server = socket.create_server(("127.0.0.1", 0))
    case.cleanups.append(server.close)
    m = case.relay(case.instance(), mode="http", connect_allow="127.0.0.1:%d" % server.getsockname()[1])
    with m.connect() as sock:
        sock.sendall(connect_bytes("127.0.0.1:%d" % server.getsockname()[1]))
        opened(sock)
        far, _ = server.accept()
        sock.sendall(b"x")
        assert far.recv(1) == b"x"
        harness.reset(far)
        assert read_all(sock) == (b"", "reset")
    assert m.session()["end"] == "relay-reset"


def test_allowed_through_an_https_proxy(case):
    """The tunnel then lives inside the TLS session with the proxy; both ends pass."""
    other = real.nginx(case)
    squid = real.squid(case, other.port, tls="")
    m = case.start({"relay r": case.keys(case.instance(), ["https://instance.lab.test:%d" % squid.port], auth=True,
                                         mode="http", proxy_trust=case.pki["root.pem"],
                                         connect_allow="instance.lab.test:%d" % other.port)},
                   around=codes.in_namespaces(case, ":", files={"/etc/hosts": "127.0.0.1 instance.lab.test\n"}))
    m.opened = None
    seen = real.curl(case, "--noproxy", "", "-x", "http://127.0.0.1:%d" % m.port(), "--cacert", case.pki["root.pem"],
                     "--cert", case.pki["client-bundle.pem"], "https://instance.lab.test:%d/" % other.port)
    assert b"verify SUCCESS" in seen, seen
    assert m.session()["end"] == "ok"


def test_failover(case):
    """A path that fails is passed by, as for the target."""
    server = Plain(case)
    m = case.relay(case.instance(), ["http://127.0.0.1:%d" % case.closed_port(), "direct"], mode="http",
                   connect_allow="127.0.0.1:%d" % server.port)
    with m.connect() as sock:
        sock.sendall(connect_bytes("127.0.0.1:%d" % server.port))
        opened(sock)
        sock.sendall(b"through")
        assert sock.recv(7) == b"through"
    assert m.session()["path"] == "direct"


def test_failure_is_told_and_says_nothing_of_the_target(case):
    """No tunnel to the other host: its code and address; the path to the target works on, and is not said to have failed."""
    port = case.closed_port()
    m = case.relay(case.instance(), mode="http", connect_allow="127.0.0.1:%d" % port)
    with m.connect() as sock:
        sock.sendall(connect_bytes("127.0.0.1:%d" % port))
        answer = read_response(sock)
    assert answer.status == 502 and "connect-refused" in answer.reason and ":%d" % port in answer.reason, answer.reason
    assert not m.events("path-failed"), m.events("path-failed")
    assert m.get().status == 200
    assert not m.events("path-ok")


def test_denied_hosts(case):
    """By host, by port, and where the list is `none`; the sentence names the host and the key."""
    instance = case.instance()
    m = case.relay(instance, mode="http")
    for authority in ("www.example.com:443", "install.service-now.com:444", "install.service-now.com.evil.example:443"):
        denied(m, authority, "connect_allow", "install.service-now.com:443")
    m = case.relay(instance, mode="http", connect_allow="none")
    denied(m, "install.service-now.com:443", "connect_allow", "none")
    assert not instance.connections


def test_target_is_never_passed_through(case):
    """A CONNECT to the target says how to reach it instead."""
    instance = case.instance()
    m = case.relay(instance, mode="http")
    authority = "instance.lab.test:%d" % instance.port
    denied(m, authority, "http://%s/" % authority, "tls://", "certificate")
    with m.connect() as sock:
        sock.sendall(connect_bytes("Instance.Lab.Test:%d" % instance.port))
        assert b"local-connect-denied" in read_all(sock)[0]
    assert not instance.connections
    for target, url in (("instance.lab.test", "http://instance.lab.test/"), ("[::1]:80", "http://[::1]/")):
        m = case.start({"relay r": case.keys(target, mode="http")})
        denied(m, target if target.endswith(":80") else target + ":443", url + " ", "tls://")


def test_connect_behind_another_request(case):
    """Only the first request of a connection may be a CONNECT; what came before is answered."""
    server = Plain(case)
    m = case.relay(case.instance(), mode="http", connect_allow="127.0.0.1:%d" % server.port)
    with m.connect() as sock:
        assert harness.ask(sock).status == 200
        sock.sendall(connect_bytes("127.0.0.1:%d" % server.port))
        answer = read_response(sock)
    assert answer.status == 502 and "local-connect-denied" in answer.reason, answer.reason
    assert not server.seen


def test_tcp_mode_has_no_face(case):
    """With mode = tcp a CONNECT is the target's to answer."""
    server = Plain(case)
    m = case.relay(case.instance(), connect_allow="127.0.0.1:%d" % server.port)
    with m.connect() as sock:
        sock.sendall(connect_bytes("127.0.0.1:%d" % server.port))
        assert b"midrelay" not in sock.recv(1000)
    assert not server.seen


if __name__ == "__main__":
    harness.main()
