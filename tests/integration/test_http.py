#!/usr/bin/python3
"""Proves what mode = http does between a client and its tunnel: order, ends, waiting, refusing, and what is put right."""

import hashlib
import socket
import threading

import harness
import scripted
from harness import read_all, read_response
from scripted import reader, response

READY = "off"    # what arrives at the target is looked at in its order


def http_relay(case, serve, **keys):
    """midrelay with mode = http before a scripted target; (midrelay, target)"""
    target = scripted.Target(case, serve)
    return case.relay(target, mode="http", **keys), target


def head(method="GET", path="/", headers=(), host="127.0.0.1"):
    return "\r\n".join(["%s %s HTTP/1.1" % (method, path), "Host: " + host, *headers]).encode() + b"\r\n\r\n"


def echo_heads(stream):
    """Answers each request with its head."""
    while lines := stream.head():
        stream.send(response("\n".join(lines).encode()))


def test_requests_on_a_kept_connection(case):
    """Three requests, one tunnel; Host becomes the target's, Proxy- lines go."""
    m, target = http_relay(case, echo_heads)
    with m.connect() as sock:
        for number in range(3):
            sock.sendall(head(path="/%d" % number, headers=["Proxy-Connection: keep-alive", "X-Own: yes"]))
            seen = read_response(sock).body.decode().split("\n")
            assert seen[0] == "GET /%d HTTP/1.1" % number, seen
            assert "Host: instance.lab.test:%d" % target.port in seen, seen
            assert "X-Own: yes" in seen and not [line for line in seen if line.startswith("Proxy-")], seen
    session = m.session()
    assert session["end"] == "ok" and session["requests"] == "3", session
    target.done()
    assert target.connections == 1


def test_pipelining_keeps_the_order(case):
    """Forty requests in one write get forty answers in their order."""
    def serve(stream):
        while lines := stream.head():
            stream.send(response(lines[0].split(" ")[1].encode()))
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(b"".join(head(path="/%d" % n) for n in range(40)))
        with reader(sock) as answers:
            assert [read_response(answers).body for _ in range(40)] == [b"/%d" % n for n in range(40)]
    assert m.session()["requests"] == "40"
    target.done()


def test_more_pipelined_than_may_wait(case):
    """Past HTTP_PIPELINE_MAX requests wait for answers; none is lost, and the client's end is seen behind them."""
    seen = []

    def serve(stream):
        while lines := stream.head():
            seen.append(lines[0])
            stream.send(response(b"x" * 2000))
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(b"".join(head(path="/%d" % n) for n in range(300)))
        with reader(sock) as answers:
            for _ in range(300):
                assert len(read_response(answers).body) == 2000
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == (b"", "eof")
    assert m.session()["end"] == "ok"
    target.done()
    assert seen == ["GET /%d HTTP/1.1" % n for n in range(300)]


def test_chunks_and_trailers_both_ways(case):
    """A chunked body with trailers passes byte for byte, in any pieces."""
    body = b"5;ext=1\r\nhello\r\n1000\r\n" + b"y" * 4096 + b"\r\n0\r\nX-Sum: 7\r\n\r\n"

    def serve(stream):
        stream.head()
        assert stream.read(len(body)) == body
        stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" + body)
        echo_heads(stream)
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sent = head("POST", headers=["Transfer-Encoding: chunked", "Trailer: X-Sum"]) + body
        for at in range(0, len(sent), 700):
            sock.sendall(sent[at:at + 700])
        got = b""
        while not got.endswith(body):
            part = sock.recv(65536)
            assert part, got
            got += part
        assert got.startswith(b"HTTP/1.1 200 OK\r\n"), got[:100]
        assert got.split(b"\r\n\r\n", 1)[1] == body
        sock.sendall(head(path="/next"))
        assert read_response(sock).body.startswith(b"GET /next ")
    target.done()
    assert m.session()["end"] == "ok"


def test_expect_100_continue(case):
    """The interim answer comes before the body is sent."""
    def serve(stream):
        stream.head()
        stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert stream.read(5) == b"hello"
        stream.send(response(b"taken"))
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(head("PUT", headers=["Expect: 100-continue", "Content-Length: 5"]))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hello")
        assert read_response(sock).body == b"taken"
    target.done()


def test_answers_without_a_body(case):
    """HEAD, 204 and 304 end with their heads, whatever lengths they name; the next answer is found behind them."""
    def serve(stream):
        stream.head()
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        stream.head()
        stream.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        stream.head()
        stream.send(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n")
        stream.head()
        stream.send(response(b"last"))
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 200)):
            sock.sendall(head(method))
            answer = read_response(sock, method)
            assert answer.status == status, answer.status
        assert answer.body == b"last"
    target.done()


def test_long_polling(case):
    """An answer that comes late comes, and what the target sends piece by piece is not kept back."""
    asked, go = threading.Event(), threading.Event()

    def serve(stream):
        stream.head()
        asked.set()
        assert go.wait(harness.LIMIT)
        stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        stream.head()
        stream.send(b"0\r\n\r\n")
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(head("POST", "/cometd", ["Content-Length: 0"]))
        assert asked.wait(harness.LIMIT)
        assert not m.events("session")
        harness.pace(2.5)  # past the silence at which buffers are given back
        go.set()
        got = b""
        while b"one\r\n" not in got:
            got += sock.recv(1000)
        sock.sendall(head(path="/next"))
        while not got.endswith(b"0\r\n\r\n"):
            got += sock.recv(1000)
    target.done()


def test_upgrade(case):
    """After a 101 every byte passes as it is, both ways; what a client sent before the answer waits for it."""
    def serve(stream):
        assert "Upgrade: websocket" in stream.head()
        stream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi")
        assert stream.read(7) == b"\x00\r\n\xffGET"
        stream.send(b"\x00\x01\x02not HTTP\r\n\r\n")
        assert stream.rest() == b""
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(head(headers=["Connection: Upgrade", "Upgrade: websocket"]) + b"\x00\r\n\xff")
        got = b""
        while not got.endswith(b"\x81\x02hi"):
            got += sock.recv(1000)
        assert got.startswith(b"HTTP/1.1 101 ")
        sock.sendall(b"GET")
        got = b""
        while not got.endswith(b"not HTTP\r\n\r\n"):
            got += sock.recv(1000)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock)[0] == b""
    target.done()


LARGE = 100 << 20


def test_large_bodies(case):
    """100 MiB up and down arrive unchanged, and no buffer grows with them."""
    def serve(stream):
        lines = stream.head()
        length, digest = int(next(line for line in lines if line.startswith("Content-Length")).split(" ")[1]), hashlib.sha256()
        while length > 0:
            part = stream.read(min(length, 262144))
            digest.update(part)
            length -= len(part)
        stream.send(b"HTTP/1.1 200 OK\r\nX-Digest: %s\r\nContent-Length: %d\r\n\r\n" % (digest.hexdigest().encode(), LARGE))
        for part in harness.pattern_stream(LARGE, 1):
            stream.send(part)
    m, target = http_relay(case, serve)
    before = m.rss_kb()
    with m.connect() as sock:
        sock.settimeout(harness.LIMIT * 6)
        sock.sendall(head("POST", headers=["Content-Length: %d" % LARGE]))
        for part in harness.pattern_stream(LARGE, 2):
            sock.sendall(part)
        got = b""
        while b"\r\n\r\n" not in got:
            got += sock.recv(1000)
        lines, body = got.split(b"\r\n\r\n", 1)
        assert b"X-Digest: " + harness.pattern_sha256(LARGE, 2).encode() in lines, lines
        count, digest = len(body), hashlib.sha256(body)
        while count < LARGE:
            part = sock.recv(262144)
            assert part, count
            count += len(part)
            digest.update(part)
        assert count == LARGE and digest.hexdigest() == harness.pattern_sha256(LARGE, 1)
    assert harness.INSTRUMENTED or m.rss_kb() - before < 8192, (before, m.rss_kb())
    target.done()


def test_slow_reader_holds_the_target_up(case):
    """A client that does not read stops the target, with many small answers too."""
    sent = [0]

    def serve(stream):
        stream.head()
        stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3000):
            stream.send((b"400\r\n" + b"z" * 1024 + b"\r\n") * 16)
            sent[0] += 16384
        stream.send(b"0\r\n\r\n")
    m, target = http_relay(case, serve)
    with m.connect(rcvbuf=16384) as sock:
        sock.sendall(head())
        stopped = harness.settled(lambda: sent[0])
        assert 0 < stopped < 3000 * 16384 and m.rss_kb() < 65536 * (8 if harness.INSTRUMENTED else 1)
        answer = read_response(sock)
        assert answer.body == b"z" * (3000 * 16384)
    target.done()


def test_what_is_put_right_in_answers(case):
    """Cookies, Location and HSTS are made fit for plain http at the client's own address."""
    def serve(stream):
        stream.head()
        stream.send(response(b"", "302 Found", [
            "Set-Cookie: JSESSIONID=abc; Path=/; Secure; HttpOnly; SameSite=None",
            "Set-Cookie: route=1; Domain=.lab.test; Path=/; secure",
            "Location: https://instance.lab.test:%d/next?a=1" % target.port,
            "Strict-Transport-Security: max-age=63072000"]))
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(head(host="localhost:%d" % m.port()))
        got = b""
        while b"\r\n\r\n" not in got:
            got += sock.recv(4096)
        lines = got.decode().split("\r\n")
    cookies = [line for line in lines if line.startswith("Set-Cookie")]
    assert len(cookies) == 2 and "HttpOnly" in cookies[0], lines
    assert not [c for c in cookies if "secure" in c.lower() or "samesite=none" in c.lower() or "domain" in c.lower()], lines
    assert "Location: http://localhost:%d/next?a=1" % m.port() in lines, lines
    assert not [line for line in lines if "transport" in line.lower()], lines
    target.done()


# Refused

REFUSED = {
    "a foreign Host": head(host="evil.example"),
    "a foreign Origin": head("POST", headers=["Origin: http://evil.example", "Content-Length: 0"]),
    "a foreign page": head(headers=["Sec-Fetch-Site: cross-site"]),
    "both lengths": head("POST", headers=["Content-Length: 5", "Transfer-Encoding: chunked"]) + b"0\r\n\r\n",
    "two lengths": head("POST", headers=["Content-Length: 5", "Content-Length: 6"]) + b"hello",
    "a folded line": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\n b\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length : 5\r\n\r\nhello",
    "a bare CR": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: 1\rX-B: 2\r\n\r\n",
    "a NUL": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: \x00\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "another coding": head("POST", headers=["Transfer-Encoding: xchunked"]),
    "another host's URL": b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no HTTP": b"HELO mail.example\r\n\r\n",
    "another version": b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
}


def bad_answer(sock):
    """Reads the 400 and the end behind it; the sentence."""
    answer = read_response(sock)
    said = "midrelay: local-bad-request: "
    assert answer.status == 400 and answer.reason.startswith(said) and len(answer.reason) > len(said), answer.reason
    assert "error=http_request_error" in answer.headers["proxy-status"], answer.headers
    assert answer.headers["connection"] == "close" and b"local-bad-request" in answer.body
    assert (sock.read() if hasattr(sock, "read") else read_all(sock)[0]) == b""
    return answer.reason[len(said):]


def test_bad_first_requests_reach_nobody(case):
    """Each is answered with 400 and its sentence, and nothing is dialled for it."""
    m, target = http_relay(case, echo_heads)
    for number, (name, request) in enumerate(REFUSED.items()):
        with m.connect() as sock:
            sock.sendall(request)
            sentence = bad_answer(sock)
        session = m.session(number + 1)
        assert session["end"] == "local-bad-request" and session["msg"] == sentence, (name, session)
        assert "connect_ms" not in session and "path" not in session, session
    assert target.connections == 0


def test_bad_later_request(case):
    """Answers that are due come first, then the 400; nothing of the bad request reaches the target."""
    go = threading.Event()
    seen = []

    def serve(stream):
        seen.append(stream.head()[0])
        seen.append(stream.head()[0])
        assert go.wait(harness.LIMIT)
        stream.send(response(b"one") + response(b"two"))
        seen.append(stream.rest())
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(head(path="/1") + head(path="/2") + REFUSED["both lengths"])
        harness.wait_until(lambda: len(seen) == 2, "both requests")
        go.set()
        with reader(sock) as answers:
            assert [read_response(answers).body for _ in range(2)] == [b"one", b"two"]
            bad_answer(answers)
    session = m.session()
    assert session["end"] == "local-bad-request" and session["requests"] == "2", session
    target.done()
    assert seen == ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1", b""]


def test_bad_chunk_in_a_request(case):
    """A body that breaks off in a bad chunk size is answered with 400, although the target still waits for it."""
    def serve(stream):
        stream.head()
        assert stream.read(10) == b"5\r\nhello\r\n"
        assert stream.rest() == b""
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(head("POST", headers=["Transfer-Encoding: chunked"]) + b"5\r\nhello\r\n")
        harness.wait_until(lambda: target.connections == 1, "a tunnel")
        sock.sendall(b"0x5\r\nhello\r\n0\r\n\r\n")
        bad_answer(sock)
    assert m.session()["end"] == "local-bad-request"
    target.done()


def test_the_400_survives_a_client_that_sends(case):
    """20 MB are on their way: a reset must not overtake the answer."""
    m, target = http_relay(case, echo_heads)
    for _ in range(3):
        with m.connect() as sock:
            sock.sendall(head("POST", host="evil.example", headers=["Content-Length: %d" % (20 << 20)]))
            harness.try_send(sock, b"x" * (20 << 20))
            sock.shutdown(socket.SHUT_WR)
            bad_answer(sock)
    assert target.connections == 0


def test_slow_head(case):
    """A head that does not become whole within setup_timeout is refused, and nothing dialled."""
    m, target = http_relay(case, echo_heads, setup_timeout="400ms")
    with m.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: local")
        assert "setup_timeout, 400ms" in bad_answer(sock)
    assert target.connections == 0


def test_endless_head(case):
    """A head past the bound is refused before it is whole."""
    m, target = http_relay(case, echo_heads)
    with m.connect() as sock:
        harness.try_send(sock, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Filler: yyyyyyyyyyyyyyyy\r\n" * 100000)
        sock.shutdown(socket.SHUT_WR)
        bad_answer(sock)
    assert target.connections == 0


def test_half_a_head(case):
    """A client that ends within its head is told so."""
    m, target = http_relay(case, echo_heads)
    with m.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost:")
        sock.shutdown(socket.SHUT_WR)
        assert "in the middle of a request's head" in bad_answer(sock)
    assert target.connections == 0


def test_a_client_that_says_nothing(case):
    """It is no failure, and nothing is dialled for it; silence ends after idle_timeout."""
    m, target = http_relay(case, echo_heads, idle_timeout="300ms")
    m.connect().close()
    session = m.session()
    assert session["end"] == "ok" and "connect_ms" not in session and session["requests"] == "0", session
    with m.connect() as sock:
        assert read_all(sock)[0] == b""
    assert m.session(2)["end"] == "relay-idle"
    assert target.connections == 0


def test_tls_on_a_plain_listener(case):
    """A ClientHello gets an alert, as with mode = tcp."""
    m, target = http_relay(case, echo_heads)
    with m.connect() as sock:
        sock.sendall(bytes.fromhex("1603010200010001fc0303") + bytes(range(200)))
        assert read_all(sock)[0] == bytes([21, 3, 1, 0, 2, 2, 40])
    assert m.session()["end"] == "local-spoke-tls"
    assert target.connections == 0


# Ends

def test_client_gone_in_its_body(case):
    """The target sees that the body was cut."""
    def serve(stream):
        stream.head()
        assert len(stream.rest()) < 1000000
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(head("POST", headers=["Content-Length: 1000000"]) + b"x" * 5000)
        harness.wait_until(lambda: target.connections == 1, "a tunnel")
        harness.reset(sock)
    assert m.session()["end"] == "relay-reset"
    target.done()


def test_target_ends_in_its_answer(case):
    """close_notify in the middle of a body is a cut, however clean: the client is reset."""
    def serve(stream):
        stream.head()
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 100)
        stream.end()
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(head())
        got, how = read_all(sock)
        assert got.endswith(b"x" * 100) and how == "reset", (got, how)
    session = m.session()
    assert session["end"] == "relay-truncated" and "in the middle of a response" in session["msg"], session


def test_answer_that_ends_with_its_connection(case):
    """A body without a length is whole when the target ends, and so is the connection."""
    def serve(stream):
        stream.head()
        stream.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100000)
        stream.end()
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(head() + head(path="/late"))
        got, how = read_all(sock)
        assert got.endswith(b"\r\n\r\n" + b"x" * 100000) and how == "eof", (got[:100], how)
    assert m.session()["end"] == "ok"


def test_target_that_ends_between_messages(case):
    """An idle kept connection that the target ends is a FIN to the client at once, with and without close_notify."""
    def serve(stream):
        stream.head()
        stream.send(response(b"whole", headers=headers))
        assert go.wait(harness.LIMIT)
        if how == "clean":
            stream.end()
        else:
            stream.tls.shutdown(socket.SHUT_RDWR)

    for how, headers in (("clean", []), ("bare", []), ("clean", ["Connection: close"]), ("bare", ["Connection: close"])):
        go = threading.Event()
        m, target = http_relay(case, serve)
        with m.connect() as sock:
            sock.sendall(head())
            assert read_response(sock).body == b"whole"
            go.set()
            assert read_all(sock) == (b"", "eof"), how
        session = m.session()
        assert session["end"] == "ok", (how, session)
        target.done()


def test_target_gone_where_something_was_cut(case):
    """Without close_notify, an answer that ends with its connection, or one that is owed, is no clean end."""
    answers = [b"HTTP/1.1 200 OK\r\n\r\npart", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", b"",
               b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"]
    for answer in answers:
        def serve(stream):
            stream.head()
            stream.send(response(b"whole"))
            stream.head()
            if answer:
                stream.send(answer)
            stream.tls.shutdown(socket.SHUT_RDWR)
        m, target = http_relay(case, serve)
        with m.connect() as sock:
            sock.sendall(head())
            assert read_response(sock).body == b"whole"
            sock.sendall(head())
            assert read_all(sock)[1] == "reset", answer
        session = m.session()
        assert session["end"] == "relay-truncated", (answer, session)
        target.done()


def test_target_that_announces_its_end_and_stays(case):
    """Behind `Connection: close` the client gets its end, whether or not the target ends its stream."""
    over = threading.Event()

    def serve(stream):
        stream.head()
        stream.send(response(b"last", headers=["Connection: close"]))
        assert over.wait(harness.LIMIT)
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(head() + head(path="/late"))
        assert read_response(sock).body == b"last"
        assert read_all(sock) == (b"", "eof")
    assert m.session()["end"] == "ok"
    over.set()
    target.done()


MALFORMED = (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
             b"HTTP/1.1 200 OK\r\nX-A: 1\r\n folded\r\nContent-Length: 0\r\n\r\n",
             b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


def test_malformed_answers(case):
    """None of them reaches the client, which gets a 502 with the code."""
    answers = list(MALFORMED)

    def serve(stream):
        stream.head()
        stream.send(answers.pop(0))
        stream.rest()
    m, target = http_relay(case, serve)
    for number in range(len(MALFORMED)):
        with m.connect() as sock:
            sock.sendall(head())
            answer = read_response(sock)
            assert answer.status == 502 and answer.reason.startswith("midrelay: instance-malformed: "), answer.reason
            assert "error=http_protocol_error" in answer.headers["proxy-status"], answer.headers
            assert read_all(sock) == (b"", "eof")
        assert m.session(number + 1)["end"] == "instance-malformed"


def test_an_answer_too_many(case):
    """The client has had all its answers: it gets no 502, which it would take for the answer to its next request."""
    def serve(stream):
        stream.head()
        stream.send(response(b"one") + b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(head())
        assert read_all(sock)[0] == response(b"one")
    assert m.session()["end"] == "instance-malformed"


def test_answer_malformed_in_its_body(case):
    """What came before is delivered, then the client is reset."""
    def serve(stream):
        stream.head()
        stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n-5\r\n")
        stream.rest()
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(head())
        got, how = read_all(sock)
        assert got.endswith(b"hello\r\n") and how == "reset", (got, how)
    assert m.session()["end"] == "instance-malformed"


def test_bytes_that_nobody_asked_for(case):
    """A second answer to one request is not passed on: it would be taken for the next one's."""
    def serve(stream):
        stream.head()
        stream.send(response(b"one") + response(b"stray"))
        stream.rest()
    m, target = http_relay(case, serve)
    with m.connect() as sock:
        sock.sendall(head())
        assert read_response(sock).body == b"one"
        assert b"stray" not in read_all(sock)[0]
    assert m.session()["end"] == "instance-malformed"


def test_no_tunnel_is_told_after_the_head(case):
    """The 502 of a failed path comes to a client whose head was read already, while it goes on sending."""
    proxy = case.proxy(case.instance(), reply="squid-407")
    m = case.relay("instance.lab.test", [proxy], mode="http")
    with m.connect() as sock:
        sock.sendall(head("POST", headers=["Content-Length: %d" % (20 << 20)]))
        harness.try_send(sock, b"x" * (20 << 20))
        answer = read_response(sock)
        assert answer.status == 502 and "proxy-auth-required" in answer.reason, answer.reason
    assert m.session()["end"] == "proxy-auth-required"


def test_refused_certificate_is_told(case):
    """The page for a refused certificate is found in the first answer with this mode too."""
    m = case.relay(case.instance(answer="cert-refused"), mode="http")
    with m.connect() as sock:
        sock.sendall(head())
        assert read_response(sock).status == 400
    assert m.session()["end"] == "instance-cert-refused"



if __name__ == "__main__":
    harness.main()
