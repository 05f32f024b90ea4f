#!/usr/bin/python3
"""Proves what mode = http does between a client and its tunnel: order, ends, waiting, refusing, and what is put right."""

import hashlib
import socket
import threading

import harness
import scripted
from harness import read_all, read_response
from scripted import response


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


if __name__ == "__main__":
    harness.main()
