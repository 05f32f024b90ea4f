#!/usr/bin/python3
"""Proves max_connections (local-limit, 503) and that running out of descriptors pauses accepting without a spin."""

import resource
import socket

import harness
from harness import ask, read_all, read_response, request_bytes


def test_max_connections(case):
    m = case.relay(case.instance(mode="http"), process={"max_connections": "3"})
    m.opened = None
    socks = [m.connect() for _ in range(3)]
    for sock in socks:
        assert ask(sock).status == 200
    with m.connect() as sock:
        sock.sendall(request_bytes())
        response = read_response(sock)
        assert response.status == 503 and response.reason.startswith("midrelay: local-limit: "), response.reason
        assert read_all(sock) == (b"", "eof")
    socks.pop().close()
    m.session(end="ok")
    with m.connect() as sock:
        assert ask(sock).status == 200
    for sock in socks:
        sock.close()


def test_a_reload_says_that_descriptors_do_not_suffice(case):
    m = case.relay(case.instance(), process={"max_connections": "10"}, start={"around": ["prlimit", "--nofile=1000:1000"]})
    assert not m.events("descriptor-limit")
    m.sections["midrelay"]["max_connections"] = "2000"
    m.write()
    m.reload()
    told = m.events("descriptor-limit")
    assert len(told) == 1 and told[0]["limit"] == "1000" and int(told[0]["needed"]) > 4000, told
    m.reload()
    assert len(m.events("descriptor-limit")) == 1


def test_out_of_descriptors(case):
    """Accepting pauses, connections in flight go on, and it resumes when there are descriptors again."""
    m = case.relay(case.instance(mode="echo"))
    m.opened = None
    resource.prlimit(m.pid, resource.RLIMIT_NOFILE, (m.descriptors() + 12, 4096))
    socks = [m.connect() for _ in range(30)]
    for sock in socks:
        sock.setblocking(False)
        sock.send(b"x")

    def echoed():
        count = 0
        for sock in socks:
            try:
                count += sock.recv(1, socket.MSG_PEEK) == b"x"
            except OSError:
                pass
        return count
    served = harness.settled(echoed, 1)
    assert 1 <= served < 30, served
    m.assert_idle()
    resource.prlimit(m.pid, resource.RLIMIT_NOFILE, (4096, 4096))
    with m.connect() as late:
        late.sendall(b"y")
        assert late.recv(1) == b"y"
    for sock in socks:
        sock.close()


if __name__ == "__main__":
    harness.main()
