#!/usr/bin/python3
"""Proves the volume through Squid and nginx: many requests, large bodies, many connections at once.

MIDRELAY_LONG=1 runs it in full: 10,000 requests over 1,000 connections, 1 GiB each way, 1,000 connections at once."""

import hashlib
import os
import resource
import subprocess

import harness
import real
from harness import in_thread, pattern_sha256, pattern_stream

FULL = bool(os.environ.get("MIDRELAY_LONG"))
CONNECTIONS, AT_ONCE, BULK = (1000, 1000, 1 << 30) if FULL else (200, 200, 128 << 20)


def chain(case, **more):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    nginx = real.nginx(case, **more)
    squid = real.squid(case, nginx.port)
    m = case.start({"relay r": case.keys("instance.lab.test:%d" % nginx.port, [squid.url], auth=True)})
    return m, nginx


def test_requests_over_connections(case):
    m, _ = chain(case)

    def client(number, connections):
        for c in range(connections):
            with m.connect() as sock:
                for n in range(10):
                    answer = harness.ask(sock, path="/%d/%d/%d" % (number, c, n))
                    assert answer.status == 200 and b"uri /%d/%d/%d\n" % (number, c, n) in answer.body, answer.body
                    assert b"subject CN=mid-one" in answer.body
        return connections * 10

    clients = [in_thread(client, number, CONNECTIONS // 10) for number in range(10)]
    assert sum(client(120 * harness.SLOW) for client in clients) == CONNECTIONS * 10
    m.session(CONNECTIONS)
    assert {e["end"] for e in m.events("session")} == {"ok"}


def test_bulk_both_ways(case):
    m, nginx = chain(case, big_bytes=BULK)
    with m.connect() as sock:
        sock.settimeout(60 * harness.SLOW)
        sock.sendall(b"PUT /put/bulk HTTP/1.1\r\nHost: i\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % BULK)
        for part in pattern_stream(BULK, seed=9):
            sock.sendall(part)
        assert harness.read_response(sock, "PUT").status == 201
    with open(os.path.join(nginx.directory, "www", "put", "bulk"), "rb") as stored:
        assert hashlib.file_digest(stored, "sha256").hexdigest() == pattern_sha256(BULK, 9)
    with m.connect() as sock:
        sock.sendall(harness.request_bytes(path="/big"))
        with sock.makefile("rb") as file:
            while file.readline().strip():
                pass
            assert hashlib.file_digest(file, "sha256").hexdigest() == pattern_sha256(BULK)
    m.session(2)
    assert {e["end"] for e in m.events("session")} == {"ok"}


def test_connections_at_once(case):
    m, _ = chain(case)
    socks = []
    # In groups, as the listener's queue is not what is tried here.
    while len(socks) < AT_ONCE:
        group = [m.connect() for _ in range(50)]
        for sock in group:
            sock.sendall(harness.request_bytes(path="/%d" % sock.fileno(), keep=True))
        for sock in group:
            sock.settimeout(60 * harness.SLOW)
            assert b"uri /%d\n" % sock.fileno() in harness.read_response(sock).body
        socks += group
    for sock in socks:
        sock.sendall(harness.request_bytes(path="/again/%d" % sock.fileno(), keep=True))
    for sock in socks:
        assert b"uri /again/%d\n" % sock.fileno() in harness.read_response(sock).body
    for sock in socks:
        sock.close()
    m.session(AT_ONCE, timeout=60 * harness.SLOW)
    assert {e["end"] for e in m.events("session")} == {"ok"}


def test_curl_requests(case):
    """curl processes, ten requests on the connection of each."""
    m, _ = chain(case)

    def client(number, connections):
        for c in range(connections):
            urls = ["http://instance.lab.test:%d/%d/%d/%d" % (m.port(), number, c, n) for n in range(10)]
            text = real.curl(case, "--connect-to", "::127.0.0.1:%d" % m.port(), *urls, timeout=120).decode()
            assert text.count("subject CN=mid-one") == 10, text
            assert all("uri /%d/%d/%d\n" % (number, c, n) in text for n in range(10)), text
        return connections

    m.opened = None
    clients = [in_thread(client, number, CONNECTIONS // 4) for number in range(4)]
    assert sum(client(600 * harness.SLOW) for client in clients) == CONNECTIONS
    m.session(CONNECTIONS)
    assert {e["end"] for e in m.events("session")} == {"ok"} and len(m.events("session")) == CONNECTIONS


def test_java_requests(case):
    """The MID's SOAP client in 50 threads; the server ends each connection after ten requests."""
    m, _ = chain(case, keepalive_requests=10)
    m.opened = None
    each = CONNECTIONS * 10 // 50
    done = subprocess.run(real.java_client() + ["http://127.0.0.1:%d/soap" % m.port(), "50", str(each), "2000"],
                          capture_output=True, text=True, timeout=300 * harness.SLOW)
    assert done.returncode == 0 and done.stdout.strip() == "ok %d" % (50 * each), done
    m.session(CONNECTIONS)  # at least: threads share a pool, and at the end not every connection is used up
    assert {e["end"] for e in m.events("session")} == {"ok"}


if __name__ == "__main__":
    harness.main()
