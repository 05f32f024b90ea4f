#!/usr/bin/python3
"""
Proves that HTTP messages mean the same to real nginx and Apache through mode = http as straight from the client: every
message of tests/http and more are sent both ways, and the answers are compared byte for byte, but for the named changes.
What is refused never reaches them.
"""

import concurrent.futures
import re
import socket
import ssl
import sys

import harness
import real
import real_targets
from harness import in_thread, read_all, settled

sys.path.insert(0, harness.TOP + "/tests/http")
import http_cases

NAME = real_targets.NAME
OURS = b"127.0.0.1:8080"


class Parts:
    """One real server, straight and behind midrelay."""

    def __init__(self, case, which, squid=False, level="info", **keys):
        self.case, self.which = case, which
        self.server = which(case, real_targets.WebSocketServer(case))
        proxies = [real.squid(case, self.server.port).url] if squid else []
        keys = dict({"mode": "http", "idle_timeout": "60s"}, **keys)
        if not squid:
            keys["target_address"] = "127.0.0.1"
        self.m = case.start({"midrelay": {"log_level": level}, "relay r": case.keys(
            "%s:%d" % (NAME, self.server.port), proxies, auth=squid, **keys)})
        self.m.opened = None
        self.authority = b"%s:%d" % (NAME.encode(), self.server.port)
        self.own = b"127.0.0.1:%d" % self.m.port()
        self.context = ssl.create_default_context(cafile=case.pki["root.pem"])
        self.context.load_cert_chain(case.pki["client-bundle.pem"])

    def ours(self, text):
        """What a client sends, with the names that hold here."""
        text = re.sub(rb"acme(\.)service-now(\.)com", NAME.encode(), text.replace(OURS, self.own))
        return re.sub(rb"(?i)acme(\.)service-now(\.)com", NAME.upper().encode(), text)

    def theirs(self, text):
        """What the target gets, likewise."""
        return self.ours(re.sub(rb"(?i)acme\.service-now\.com(?![\w.:-])", lambda _: self.authority, text))

    def straight(self):
        sock = socket.create_connection(("127.0.0.1", self.server.port), harness.LIMIT)
        return self.context.wrap_socket(sock, server_hostname=NAME)

    def log(self):
        return self.server.read("access.log").splitlines()


def say(sock, data):
    """Sends all of it, and reads to the end; meanwhile, where one socket may do both."""
    if isinstance(sock, ssl.SSLSocket):
        harness.try_send(sock, data)
        return read_all(sock)
    sender = in_thread(harness.try_send, sock, data)
    got, how = read_all(sock)
    sender()
    return got, how


def last(authority):
    return b"GET /last HTTP/1.1\r\nHost: " + authority + b"\r\nConnection: close\r\n\r\n"


def comparable(answer):
    """Without what changes from one moment to the next."""
    answer = re.sub(rb"(?m)^Date: .*\r\n", b"", answer)
    boundary = re.search(rb"boundary=(\w+)", answer)
    return answer.replace(boundary[1], b"BOUNDARY") if boundary else answer


def head(method="GET", path="/", *lines, host=OURS, version="1.1"):
    return ("%s %s HTTP/%s\r\n" % (method, path, version)).encode() + b"Host: " + host + b"\r\n" + b"".join(
        line.encode() + b"\r\n" for line in lines) + b"\r\n"


def post(body, *lines, path="/post", method="POST"):
    return head(method, path, "Content-Length: %d" % len(body), *lines) + body


def chunked(*chunks, trailers=b"", lines=(), path="/chunked", method="POST"):
    """Chunks as they are on the wire."""
    return head(method, path, "Transfer-Encoding: chunked", *lines) + b"".join(chunks) + b"0\r\n" + trailers + b"\r\n"


def chunk(data, extension=b""):
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


class Pair:
    """`changes`: (from, to) in the answer."""

    def __init__(self, name, ours, theirs=None, changes=()):
        self.name, self.ours, self.changes = name, ours, changes
        self.theirs = ours.replace(b"Host: " + OURS, b"Host: acme.service-now.com") if theirs is None else theirs


def both_answers(p, pair):
    """(through midrelay, how that ended, straight).  A last request behind it shows that both find the same end of the
    message, unless it ends the connection."""
    ours, theirs = p.ours(pair.ours), p.theirs(pair.theirs)
    with p.straight() as sock:
        straight, how = say(sock, theirs + last(p.authority))
    goes_on = b"REQUEST_URI=/last\n" in straight
    if how == "reset":
        # The last request came to a connection that was closed already, and may have cost what was on its way.
        with p.straight() as sock:
            straight, _ = say(sock, theirs)
    with p.m.connect() as sock:
        through, end = say(sock, ours + (last(p.own) if goes_on else b""))
    return comparable(through), end, comparable(straight)


def difference(p, pair):
    """None, or what differs."""
    try:
        through, end, expected = both_answers(p, pair)
    except (TimeoutError, OSError) as error:
        return "%s: %r" % (pair.name, error)
    for old, new in pair.changes:
        old, new = p.theirs(old), p.ours(new)
        if old not in expected:
            return "%s: %r is not in %r" % (pair.name, old, expected[:1000])
        expected = expected.replace(old, new)
    if through == expected and end == "eof" and expected:
        return None
    at = next((n for n in range(len(expected)) if through[n:n + 1] != expected[n:n + 1]), len(expected))
    return "%s (%s, at %d of %d and %d):\n  through  %r\n  straight %r" % (
        pair.name, end, at, len(through), len(expected), through[max(0, at - 200):at + 300],
        expected[max(0, at - 200):at + 300])


def compare(p, pairs, least):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        failures = [found for found in pool.map(lambda pair: difference(p, pair), pairs) if found]
    assert not failures, "%d of %d differ:\n%s" % (len(failures), len(pairs), "\n".join(failures[:8]))
    assert len(pairs) >= least, "only %d pairs" % len(pairs)
    print("   %d pairs" % len(pairs))


# What tests/http has

# No message that ends, or one that needs an answer or an address that are not here.
LEFT_OUT = {"framing/unfinished-body", "framing/early-answer", "smuggling/body-is-no-request", "upgrade/body-not-whole",
            "connection/target-closes-client-waits", "requests/lone-cr-behind", "upgrade/accepted", "upgrade/waits",
            "who/ipv6", "who/ipv6-long", "who/connected-address",
            "upgrade/with-body", "upgrade/after-others", "requests/tls"}


def corpus():
    """All but those of CONNECT."""
    return [one for one in http_cases.read_all() if one.name not in LEFT_OUT and not one.name.startswith("connect/")]


def corpus_pairs():
    return [Pair(one.name, one.client_sends, one.target_gets) for one in corpus()
            if one.target_gets and not one.client_fault]


def test_corpus_through_nginx(case):
    compare(Parts(case, real_targets.nginx), corpus_pairs(), 230)


def test_corpus_through_apache(case):
    compare(Parts(case, real_targets.apache), corpus_pairs(), 230)


def refused(case, which):
    """What must not reach the target does not: no request is in its log but those in front of the fault."""
    p = Parts(case, which, level="debug")   # every session has its line
    counts = [0, 0]
    for first in (True, False):
        expected = 0
        for one in corpus():
            if not one.client_fault or bool(one.target_gets) == first:
                continue
            with p.m.connect() as sock:
                got, _ = say(sock, p.ours(one.client_sends))
            assert b" 400 midrelay: local-bad-request: " in got or one.target_gets, (one.name, got)
            counts[first] += 1
            expected += len(re.findall(rb"(?m)^[A-Z]+ [^ ]+ HTTP/1", one.target_gets))
        p.m.session(sum(counts))
        seen = settled(lambda: len(p.log()))
        assert seen <= expected, p.log()
        assert first or seen
    assert len(p.m.events("session", end="local-bad-request")) == sum(counts), p.m.tail()
    assert counts[True] >= 120 and counts[False] >= 30, counts
    print("   %d refused before, %d within" % (counts[True], counts[False]))


def test_refused_before_nginx(case):
    refused(case, real_targets.nginx)


def test_refused_before_apache(case):
    refused(case, real_targets.apache)


# What a client of a real server meets besides

def bodies():
    for size in (0, 1, 1000, 70000, 1 << 20):
        yield Pair("length-%d" % size, post(b"b" * size))
    binary = bytes(range(256)) * 50
    yield Pair("binary", post(binary, "Content-Type: application/octet-stream"))
    yield Pair("chunk", chunked(chunk(b"hello")))
    yield Pair("chunks", chunked(*[chunk(binary[:n * 37 + 1]) for n in range(40)]))
    yield Pair("chunk-large", chunked(chunk(b"c" * 300000)))
    yield Pair("chunk-none", chunked())
    yield Pair("chunk-extension", chunked(chunk(b"hello", b";a=b;c=\"d e\""), chunk(b"there", b";x")))
    yield Pair("chunk-upper", head("POST", "/", "Transfer-Encoding: chunked") + b"1A\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n")
    yield Pair("chunk-zeros", head("POST", "/", "Transfer-Encoding: chunked") + b"0005\r\nhello\r\n000\r\n\r\n")
    yield Pair("coding-in-capitals", head("POST", "/", "Transfer-Encoding: CHUNKED") + chunk(b"hello") + b"0\r\n\r\n")
    yield Pair("trailers", chunked(chunk(b"hello"), trailers=b"X-Sum: 1\r\nX-More: 2\r\n", lines=["Trailer: X-Sum"]))
    yield Pair("trailers-then-more", chunked(chunk(b"hello"), trailers=b"X-Sum: 1\r\n") * 3)
    yield Pair("body-of-get", head("GET", "/", "Content-Length: 3") + b"abc")
    yield Pair("body-of-a-request", post(b"GET /inside HTTP/1.1\r\nHost: x\r\n\r\n"))
    yield Pair("pipelined-posts", b"".join(post(b"%d" % n * n, path="/%d" % n) for n in range(20)))
    yield Pair("pipelined-kinds", (post(b"one") + head() + chunked(chunk(b"two")) + head("HEAD", "/static/text.txt")) * 5)


def requests():
    for method in ("GET", "HEAD", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "FOO", "TRACE"):
        yield Pair("method-" + method, head(method, "/method/" + method))
    yield Pair("options-all", head("OPTIONS", "*"))
    for number, path in enumerate(("/a/b/../c", "/%2e%2e/x", "//two", "/a;b=c?d=e&f", "/?", "/%c3%a4?%20", "/a|b^c",
                                   "/" + "long/" * 1500, "/?q=" + "q" * 6000, "/a%2Fb", "/~user/'(x)*!$,")):
        yield Pair("path-%d" % number, head(path=path))
    for number, lines in enumerate((
            ["Cookie: " + "; ".join("c%d=%s" % (n, "v" * 90) for n in range(60))], ["X-Long: " + "y" * 30000],
            ["X-%d: %d" % (n, n) for n in range(90)], ["X-Same: a", "X-Same: b"], ["X-Empty:", "X-Blank:   "],
            ["X-Spaces:   a  b   "], ["X-Tab:\ta\tb\t"], ["Authorization: Basic dTpw"], ["TE: trailers", "Connection: TE"],
            ["Via: 1.1 before", "X-Forwarded-For: 192.0.2.1"], ["Accept: */*", "Accept-Language: de, en;q=0.5"],
            ["User-Agent: internal_soap_client", "SOAPAction: Get"], ["Cache-Control: no-cache", "Pragma: no-cache"],
            ["Connection: keep-alive"], ["Connection: x-own", "X-Own: 1"], ["Upgrade: h2c", "Connection: Upgrade"],
            ["Origin: http://127.0.0.1:8080"], ["Referer: http://127.0.0.1:8080/from?x"], ["Forwarded: for=192.0.2.1"])):
        theirs = None
        if lines[0].startswith(("Origin", "Referer")):
            theirs = head(*["GET", "/"], *[line.replace("http://127.0.0.1:8080", "https://acme.service-now.com")
                                           for line in lines], host=b"acme.service-now.com")
        yield Pair("lines-%d" % number, head("GET", "/", *lines), theirs)
    yield Pair("proxy-lines-go", head("GET", "/", "Proxy-Connection: keep-alive", "Proxy-Authorization: Basic dTpw",
                                      "Proxy-Own: x"),
               head(host=b"acme.service-now.com"))
    yield Pair("absolute", head(path="http://acme.service-now.com/abs?x", host=b"acme.service-now.com"),
               head(path="/abs?x", host=b"acme.service-now.com"))
    yield Pair("absolute-wins", head(path="http://127.0.0.1:8080/abs"), head(path="/abs", host=b"acme.service-now.com"))
    yield Pair("old", head(version="1.0"))
    yield Pair("old-kept", head("GET", "/", "Connection: keep-alive", version="1.0"))
    yield Pair("old-post", b"POST /old HTTP/1.0\r\nHost: " + OURS + b"\r\nContent-Length: 3\r\n\r\nabc")
    yield Pair("closes", head("GET", "/", "Connection: close"))
    yield Pair("empty-line-before", b"\r\n" + head(), head(host=b"acme.service-now.com"))
    yield Pair("forty-at-once", b"".join(head(path="/%d" % n) for n in range(40)))
    yield Pair("continue", post(b"body", "Expect: 100-continue"))


def files():
    for path in ("/static/text.txt", "/static/empty.txt", "/static/bytes.bin", "/static/none", "/static/"):
        for method in ("GET", "HEAD"):
            yield Pair(method + path, head(method, path))
    for number, line in enumerate(("bytes=0-9", "bytes=-5", "bytes=299990-", "bytes=0-0,10-20", "bytes=9999999-", "bytes=5-2",
                                   "lines=1-2", "bytes=0-299999", "bytes=0-0,-1,100-200")):
        yield Pair("range-%d" % number, head("GET", "/static/bytes.bin", "Range: " + line))
        yield Pair("range-head-%d" % number, head("HEAD", "/static/bytes.bin", "Range: " + line))
    for number, line in enumerate(("If-Modified-Since: Sun, 13 Sep 2020 12:26:40 GMT", "If-None-Match: *",
                                   "If-Modified-Since: Sun, 13 Sep 2019 12:26:40 GMT", 'If-None-Match: "x"',
                                   "If-Unmodified-Since: Sun, 13 Sep 2019 12:26:40 GMT", 'If-Match: "x"')):
        for method in ("GET", "HEAD"):
            yield Pair("condition-%s-%d" % (method, number), head(method, "/static/text.txt", line) * 2)
    for method in ("GET", "HEAD"):
        yield Pair("gzip-" + method, head(method, "/gz/text.txt", "Accept-Encoding: gzip"))
    yield Pair("gzip-old", head("GET", "/gz/text.txt", "Accept-Encoding: gzip", version="1.0"))
    created = [(b"Location: https://acme.service-now.com/dav/", b"Location: http://127.0.0.1:8080/dav/")]
    yield Pair("dav", post(b"stored", path="/dav/file", method="PUT") + head("DELETE", "/dav/file"), changes=created)
    yield Pair("dav-chunked", chunked(chunk(b"stored"), chunk(b" in parts"), path="/dav/parts", method="PUT") +
               head("DELETE", "/dav/parts"), changes=created)


def scripted(p, name, head_lines, body=b"", changes=(), raw=False, method="GET", version="1.1"):
    """An answer that a CGI of the target gives."""
    said = p.theirs("".join(line + "\r\n" for line in head_lines).encode() + b"\r\n" + body)
    return Pair(name, head(method, ("/nph?x=" if raw else "/answer?x=") + said.hex(), version=version),
                changes=[(old.encode(), new.encode()) for old, new in changes])


def answers(p):
    for number, pair in enumerate([
            *real_targets.COOKIES, ("Set-Cookie: a=b; secure", "Set-Cookie: a=b"), ("Set-Cookie: a=b; Path=/", ) * 2,
            ("Set-Cookie: a=\"x; Secure\"; Secure", "Set-Cookie: a=\"x; Secure\""),
            ("Set-Cookie: a=b; Expires=Wed, 21 Oct 2037 07:28:00 GMT; Secure; HttpOnly",
             "Set-Cookie: a=b; Expires=Wed, 21 Oct 2037 07:28:00 GMT; HttpOnly"),
            ("Set-Cookie: a=b; Domain=other.example; Secure", "Set-Cookie: a=b; Domain=other.example"),
            ("Content-Location: https://acme.service-now.com/where", "Content-Location: http://127.0.0.1:8080/where"),
            ("Refresh: 5; url=https://acme.service-now.com/next", "Refresh: 5; url=http://127.0.0.1:8080/next"),
            ("Link: <https://acme.service-now.com/x>; rel=next", ) * 2, ("X-Url: https://acme.service-now.com/", ) * 2,
            ("Content-Security-Policy: upgrade-insecure-requests", ) * 2, ("X-Long: " + "z" * 3000, ) * 2]):
        yield scripted(p, "line-%d" % number, ["Content-Type: text/plain", pair[0]], b"https://acme.service-now.com/ body",
                       [pair] if pair[0] != pair[1] else ())
    yield scripted(p, "hsts", ["Strict-Transport-Security: max-age=1", "Content-Type: text/plain"], b"x",
                   [("Strict-Transport-Security: max-age=1\r\n", "")])
    for status in ("201 Created", "202 Accepted", "204 No Content", "205 Reset Content", "206 Partial Content",
                   "301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"):
        moved = status[0] == "3" and [("Location: https://acme.service-now.com/next?a=b#c",
                                       "Location: http://127.0.0.1:8080/next?a=b#c")]
        yield scripted(p, "status-" + status[:3], ["Status: " + status, "Content-Type: text/plain"] +
                       ([moved[0][0]] if moved else []), b"" if status[:3] in ("204", "205") else b"body", moved or ())
    for status in ("304 Not Modified", "400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone",
                   "418 Teapot", "429 Slow down", "500 Oops", "503 Later"):
        for method in ("GET", "HEAD"):
            yield scripted(p, "status-%s-%s" % (method, status[:3]), ["Status: " + status, "Content-Type: text/plain"],
                           b"" if status[:3] == "304" else b"body", method=method)
    for where in ("https://other.example/x", "http://acme.service-now.com.evil.example/", "/relative", "?q"):
        yield scripted(p, "location-" + where, ["Status: 302 Found", "Location: " + where])
    for name, lines, body in (
            ("chunks-and-trailers", ["Transfer-Encoding: chunked", "Trailer: X-Sum"],
             b"5;e=1\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX-Sum: 3\r\n\r\n"),
            ("to-the-end", [], b"until the end" * 100), ("length", ["Content-Length: 5"], b"hello"),
            ("old-version", ["Content-Length: 5"], b"hello"), ("reason", ["Content-Length: 0"], b"")):
        line = {"old-version": "HTTP/1.0 200 OK", "reason": "HTTP/1.1 200 Sehr gut, \t danke"}.get(name, "HTTP/1.1 200 OK")
        for version in ("1.1", "1.0") if "chunks" not in name else ("1.1",):
            yield scripted(p, "raw-%s-%s" % (name, version), [line, "Content-Type: text/plain", "Connection: close", *lines],
                           body, raw=True, version=version)


def own_pairs(p):
    return [*bodies(), *requests(), *files(), *answers(p)]


def test_pairs_through_nginx(case):
    p = Parts(case, real_targets.nginx)
    added = [(old.encode(), new.encode()) for old, new in real_targets.COOKIES]
    added += [(b"Strict-Transport-Security: max-age=63072000\r\n", b""),
              (b"Location: https://acme.service-now.com/next", b"Location: http://127.0.0.1:8080/next")]
    compare(p, [*own_pairs(p), Pair("add", head(path="/add"), changes=added)], 150)


def test_pairs_through_apache(case):
    p = Parts(case, real_targets.apache)
    compare(p, own_pairs(p), 150)


def test_pairs_through_squid_and_apache(case):
    p = Parts(case, real_targets.apache, squid=True)
    compare(p, own_pairs(p), 150)


# What is more than a message each way

def web_socket(case, which):
    """A WebSocket's upgrade passes, and what follows it does as bytes, at once in both directions."""
    p = Parts(case, which)
    asked = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    said = []
    for sock, host in ((p.straight(), p.authority), (p.m.connect(), p.own)):
        sock.settimeout(harness.LIMIT)
        with sock:
            sock.sendall(head("GET", "/ws/", *asked, host=host))
            got = b""
            while not got.endswith(real_targets.WebSocketServer.greeting):
                part = sock.recv(4096)
                assert part, got
                got += part
            for number in range(20):
                sent = b"%d GET / HTTP/1.1\r\n\r\n\x00frame" % number * (number * 10 + 1)
                sock.sendall(sent)
                back = b""
                while len(back) < len(sent):
                    part = sock.recv(65536)
                    assert part, (number, back[-100:])
                    back += part
                assert back == sent.upper(), number
            said.append(comparable(got))
    assert said[0] == said[1] and said[0].startswith(b"HTTP/1.1 101 ") and b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in said[0], said


def test_web_socket_through_nginx(case):
    web_socket(case, real_targets.nginx)


def test_web_socket_through_apache(case):
    web_socket(case, real_targets.apache)


def continues(case, which):
    """The body leaves when the server's 100 has come, and a kept connection goes on."""
    p = Parts(case, which)
    said = []
    for sock, host in ((p.straight(), p.authority), (p.m.connect(), p.own)):
        sock.settimeout(harness.LIMIT)
        with sock:
            for number in range(3):
                sock.sendall(head("POST", "/%d" % number, "Content-Length: 5", "Expect: 100-continue", host=host))
                got = harness.read_head(sock)
                assert got.startswith(b"HTTP/1.1 100 "), got
                sock.sendall(b"after")
                answer = harness.read_response(sock)
                assert answer.body.endswith(b"after") and b"REQUEST_URI=/%d" % number in answer.body, answer.body
                said.append((got, answer.body))
    assert said[:3] == said[3:], said
    assert p.m.session()["requests"] == "3"


def test_continue_through_nginx(case):
    continues(case, real_targets.nginx)


def test_continue_through_apache(case):
    continues(case, real_targets.apache)


if __name__ == "__main__":
    harness.main()
