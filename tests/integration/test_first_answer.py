#!/usr/bin/python3
"""Proves that a client certificate which the target refuses by a 400 page is known as such, and its bytes left alone."""

import hashlib
import re
import ssl
import socket
import subprocess
import threading

import harness
import real
from harness import both_versions, in_thread, read_all, request_bytes
from instance import CERT_REFUSED_PAGE

PAGE_495, PAGE_496 = "The SSL certificate error", "No required SSL certificate was sent"


def fingerprint(path):
    said = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", path], check=True,
                          capture_output=True, text=True).stdout
    return said.strip().split("=")[1]


def all_bytes(m, request):
    with m.connect() as sock:
        sock.sendall(request)
        return read_all(sock)


def without_date(answer):
    return re.sub(rb"\r\nDate: [^\r]*", b"", answer)


@both_versions
def test_the_page_of_nginx(case, version):
    nginx = real.edge(case, tls="TLSv" + version)
    for bundle, cert in (("client-unknown-bundle.pem", "client-unknown.pem"), (None, None)):
        m = case.relay("instance.lab.test:%d" % nginx.port, target_address="127.0.0.1",
                       client_bundle=case.pki[bundle] if bundle else None)
        words = PAGE_495 if bundle else PAGE_496
        request = request_bytes("POST", "/once", b"x" * 5000)
        expected = real.edge_answer(case, nginx, bundle, request_bytes("POST", "/probe", b"x" * 5000))
        got, end = all_bytes(m, request)
        assert words.encode() in got and end == "eof", (got, end)
        assert hashlib.sha256(without_date(got)).digest() == hashlib.sha256(without_date(expected)).digest(), got
        session = m.session()
        assert session["end"] == "instance-cert-refused" and int(session["bytes_down"]) == len(got), session
        assert session["msg"] == 'the target answered 400 Bad Request with the page "%s" (Server: nginx/%s)' % (
            words, re.search(rb"nginx/([0-9.]+)", got)[1].decode()), session
        told = m.wait_event("certificate-refused")
        assert (told["level"], told["relay"], told["path"], told["code"], told["msg"]) == (
            "warn", "r", "direct", "instance-cert-refused", session["msg"])
        assert "Active" in told["remedy"]
        assert told.get("sha256") == (fingerprint(case.pki[cert]) if cert else None)
        assert told.get("subject") == ("CN=mid-unknown,O=Elsewhere" if cert else None), told
        # There was no certificate before: nothing to go back to, and nothing is said of it.
        assert m.get("/again").status == 400 and m.events("certificate-fallback") == []
    assert [(one["path"], one["status"], one["method"]) for one in real.edge_log(nginx)] == [
        ("/once", "400", "POST"), ("/again", "400", "GET")] * 2


def test_told_once_a_minute(case):
    m = case.relay(case.instance(answer="cert-refused"), process={"workers": "2", "log_level": "info"})
    for n in range(1, 7):
        assert m.get("/").status == 400
        assert m.session(n)["end"] == "instance-cert-refused"
    assert len(m.events("certificate-refused")) == 1


@harness.counts_dials
def test_a_refused_session_is_not_resumed(case):
    """The server keeps its verdict with the session: who resumed it would be refused also after the change there."""
    instance = case.instance(answer="cert-refused")
    m = case.relay(instance, process={"workers": "1"})
    for n in range(1, 4):
        assert m.get("/").status == 400
        assert m.session(n)["resumed"] == "no"
    instance.configure()
    for n in range(4, 6):
        assert m.get("/").status == 200
    m.session(5)
    assert [e["resumed"] for e in m.events("session")] == ["no"] * 4 + ["yes"]


def test_other_answers_are_no_refusal(case):
    nginx = real.edge(case)
    m = case.relay("instance.lab.test:%d" % nginx.port, target_address="127.0.0.1")
    got, _ = all_bytes(m, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 400 Bad Request\r\n") and b"<title>400 Bad Request</title>" in got, got
    got, _ = all_bytes(m, request_bytes(path="/"))
    assert got.startswith(b"HTTP/1.1 200 ")
    m.session(2)
    assert {e["end"] for e in m.events("session")} == {"ok"} and m.events("certificate-refused") == []


class Dribbler:
    """A TLS server that sends each byte of its answer when the one before has arrived."""

    def __init__(self, case, answer):
        self.answer, self.arrived = answer, threading.Semaphore(1)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(case.pki["server-chain.pem"], case.pki["server.key"])
        self.context.load_verify_locations(case.pki["client-cas.pem"])
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.sock.settimeout(harness.LIMIT)
        self.port, self.host = self.sock.getsockname()[1], "127.0.0.1"
        case.cleanups.append(self.sock.close)
        self.result = in_thread(self.serve)

    def serve(self):
        with self.sock.accept()[0] as sock:
            sock.settimeout(harness.LIMIT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.context.wrap_socket(sock, server_side=True) as stream:
                request = stream.recv(65536)
                for n in range(len(self.answer)):
                    assert self.arrived.acquire(timeout=harness.LIMIT), "byte %d was held back" % n
                    stream.sendall(self.answer[n:n + 1])
                stream.unwrap()
                return request


def dribble(case, answer):
    """midrelay after that answer came through it byte by byte, none of them held back or changed."""
    server = Dribbler(case, answer)
    m = case.relay(server)
    with m.connect() as sock:
        sock.sendall(request_bytes())
        got = b""
        while part := sock.recv(65536):
            got += part
            server.arrived.release()
    assert got == answer
    server.result()
    return m


@harness.counts_dials
def test_byte_by_byte(case):
    page = CERT_REFUSED_PAGE.encode()
    head = b"HTTP/1.1 400 Bad Request\r\nServer: snow_adc\r\nContent-Type: text/html\r\n"
    chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (40, page[:40], len(page) - 40, page[40:])
    for answer, end in ((head + b"Content-Length: %d\r\n\r\n" % len(page) + page, "instance-cert-refused"),
                        (head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks, "instance-cert-refused"),
                        (b"HTTP/1.1 100 Continue\r\n\r\n" + head + b"\r\n" + page, "instance-cert-refused"),
                        (head + b"\r\n<p>" + b"not " * 700 + page, "ok"),
                        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page, "ok")):
        session = dribble(case, answer).session()
        assert session["end"] == end and int(session["bytes_down"]) == len(answer), session


if __name__ == "__main__":
    harness.main()
