#!/usr/bin/python3
"""Proves the volume through Squid and nginx: many requests, large bodies, many connections at once.

MIDRELAY_LONG=1 runs it in full: 10,000 requests over 1,000 connections, 1 GiB each way, 1,000 connections at once."""

import hashlib
import os
import resource

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


if __name__ == "__main__":
    harness.main()
