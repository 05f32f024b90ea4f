#!/usr/bin/python3
"""Proves how streams end: half-close both ways, truncation and resets passed on as resets, close_notify always sent."""

import json
import os
import re
import socket

import harness
from harness import both_versions, in_thread, pattern_sha256, pattern_stream, read_all, read_hashed, records_done

SIZE = 8 << 20


@harness.counts_dials
@both_versions
def test_client_half_close(case, version):
    """The client ends its side; the target sees close_notify, and its answer still arrives."""
    instance = case.instance(mode="sink", tls_max=version)
    m = case.relay(instance)
    with m.connect() as sock:
        for part in pattern_stream(SIZE):
            sock.sendall(part)
        sock.shutdown(socket.SHUT_WR)
        got, end = read_all(sock)
    assert end == "eof"
    assert json.loads(got) == {"bytes": SIZE, "sha256": pattern_sha256(SIZE)}
    assert records_done(instance)[0]["end"] == "close_notify"
    assert m.session()["end"] == "ok"


@harness.counts_dials
@both_versions
def test_target_half_close(case, version):
    """The target ends its side; the client sees the end, and what it still sends arrives."""
    instance = case.instance(mode="source", bytes=SIZE, tls_max=version)
    m = case.relay(instance)
    with m.connect() as sock:
        assert read_hashed(sock) == (SIZE, pattern_sha256(SIZE), "eof")
        for part in pattern_stream(SIZE, seed=3):
            sock.sendall(part)
        sock.shutdown(socket.SHUT_WR)
        record = records_done(instance)[0]
    assert record["sha256_in"] == pattern_sha256(SIZE, 3) and record["end"] == "close_notify", record
    assert m.session()["end"] == "ok"


@both_versions
def test_truncation_is_a_reset(case, version):
    """FIN without close_notify: what was decrypted is delivered, then a reset, never a clean end."""
    instance = case.instance(mode="source", bytes=100000, end="truncate", tls_max=version)
    m = case.relay(instance)
    with m.connect() as sock:
        got, end = read_all(sock)
    # A reset may discard what the client's kernel holds; nothing wrong may be among what was read.
    assert b"".join(pattern_stream(100000)).startswith(got)
    assert end == "reset", end
    assert m.session()["end"] == "relay-truncated"
    assert int(m.session()["bytes_down"]) == 100000


def wake_ups(m):
    """How often its threads went to sleep so far."""
    count = 0
    for task in os.listdir("/proc/%d/task" % m.pid):
        with open("/proc/%d/task/%s/status" % (m.pid, task)) as status:
            count += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read(), re.M)[1])
    return count


@harness.counts_dials
def test_client_resets_before_its_last_bytes(case):
    """What was decrypted of a cut stream waits for its client, quietly, and no longer than the client is there."""
    instance = case.instance(mode="source", bytes=1 << 20, end="truncate")
    m = case.relay(instance)
    sock = m.connect(rcvbuf=8192)
    harness.settled(lambda: instance.connections and instance.connections[0]["done"], 1)
    before = wake_ups(m)
    harness.pace(1)
    assert harness.INSTRUMENTED or wake_ups(m) - before < 30, "%d times awake in a second" % (wake_ups(m) - before)
    assert not m.events("session")
    harness.reset(sock)
    assert m.session()["end"] == "relay-truncated"


@harness.counts_dials
@both_versions
def test_proxy_cuts_the_tunnel(case, version):
    instance = case.instance(mode="source", bytes=SIZE, tls_max=version)
    m = case.relay("instance.lab.test", [case.proxy(instance, close_at="down:400000")])
    with m.connect() as sock:
        count, _, end = read_hashed(sock)
    assert end == "reset" and count < 400000
    assert m.session()["end"] == "relay-truncated"


@both_versions
def test_target_resets(case, version):
    instance = case.instance(mode="sink", end="reset", tls_max=version)
    m = case.relay(instance)
    with m.connect() as sock:
        sock.sendall(b"some bytes")
        sock.shutdown(socket.SHUT_WR)
        _, end = read_all(sock)
    assert end == "reset"
    assert m.session()["end"] in ("relay-reset", "relay-truncated")


@harness.counts_dials
def test_client_resets(case):
    """The target must not take a reset of the client for a clean end."""
    instance = case.instance(mode="sink")
    m = case.relay(instance)
    sock = m.connect()
    sock.sendall(b"half a request")
    harness.wait_until(lambda: instance.connections and instance.connections[0]["bytes_in"] == 14, "the bytes")
    harness.reset(sock)
    record = records_done(instance)[0]
    assert record["end"] in ("reset", "truncated"), record
    assert m.session()["end"] == "relay-reset"


def test_client_closes_at_once(case):
    instance = case.instance()
    m = case.relay(instance)
    m.connect().close()
    m.session()


def test_client_sends_and_closes_while_dialling(case):
    """Bytes and FIN that came before the tunnel stood reach the target."""
    instance = case.instance(mode="sink")
    m = case.relay("instance.lab.test", [case.proxy(instance, delay=0.3)])
    with m.connect() as sock:
        sock.sendall(b"early bird")
        sock.shutdown(socket.SHUT_WR)
        got, end = read_all(sock)
    assert json.loads(got)["bytes"] == 10 and end == "eof"
    assert m.session()["end"] == "ok"


def test_client_resets_while_dialling(case):
    """It is noticed when the tunnel stands, whatever it had sent, and whatever the mode."""
    for mode, sent in (("tcp", b""), ("tcp", b"early bird"), ("tcp", b"x" * 100000),
                       ("http", harness.request_bytes(keep=True)), ("tcp", harness.request_bytes(keep=True))):
        instance = case.instance()
        proxy = case.proxy(instance, delay=0.5)
        m = case.relay(instance, [proxy], mode=mode)
        sock = m.connect()
        sock.sendall(sent)
        harness.wait_until(lambda: proxy.connections, "the dial")
        harness.reset(sock)
        assert m.session()["end"] == "relay-reset", (mode, len(sent), m.session())


def test_large_early_data(case):
    """More than any buffer while the dial is still under way."""
    instance = case.instance(mode="sink")
    m = case.relay("instance.lab.test", [case.proxy(instance, delay=0.3)])
    with m.connect() as sock:
        reader = in_thread(read_all, sock)
        for part in pattern_stream(SIZE):
            sock.sendall(part)
        sock.shutdown(socket.SHUT_WR)
        got, end = reader()
    assert json.loads(got)["sha256"] == pattern_sha256(SIZE) and end == "eof"


def test_target_ends_while_client_still_reads(case):
    """The last bytes before close_notify arrive at a client that reads late."""
    instance = case.instance(mode="source", bytes=SIZE)
    m = case.relay(instance)
    with m.connect(rcvbuf=8192) as sock:
        harness.settled(lambda: instance.connections and instance.connections[0]["bytes_out"])
        assert read_hashed(sock) == (SIZE, pattern_sha256(SIZE), "eof")


if __name__ == "__main__":
    harness.main()
