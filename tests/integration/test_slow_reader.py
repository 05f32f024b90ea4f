#!/usr/bin/python3
"""Proves that a slow reader holds the writer, memory stays bounded, no CPU is burnt meanwhile, and no byte is lost."""

import harness
from harness import SLOW, Upload, pattern_sha256, read_hashed, records_done, settled

SIZE = 128 << 20
BOUND_KB = 16 * 1024


def grows_little(m, before):
    after = m.rss_kb()
    assert harness.INSTRUMENTED or after - before < BOUND_KB, "memory grew from %d to %d kB" % (before, after)


def test_client_reads_slowly(case):
    instance = case.instance(mode="source", bytes=SIZE)
    m = case.relay(instance)
    with m.connect(rcvbuf=16384) as sock:
        assert sock.recv(1)
        before = m.rss_kb()
        held = settled(lambda: instance.connections[0]["bytes_out"])
        assert held < SIZE // 2, "the target was not held"
        grows_little(m, before)
        m.assert_idle()
        count, _, end = read_hashed(sock)
        assert (count, end) == (SIZE - 1, "eof")
        grows_little(m, before)
    assert m.session()["end"] == "ok"


@harness.counts_dials
def test_target_reads_slowly(case):
    instance = case.instance(mode="sink", pause_after=1 << 20, rcvbuf=16384)
    m = case.relay(instance)
    with m.connect() as sock:
        sock.settimeout(60 * SLOW)
        before = m.rss_kb()
        upload = Upload(sock, SIZE)
        harness.wait_until(lambda: instance.connections and instance.connections[0].get("paused"), "the pause")
        assert settled(lambda: upload.sent) < SIZE // 2, "the client was not held"
        grows_little(m, before)
        m.assert_idle()
        case.lab.loop.call_soon_threadsafe(instance.release)
        upload.wait()
        got, end = harness.read_all(sock)
    assert records_done(instance)[0]["sha256_in"] == pattern_sha256(SIZE) and end == "eof"


@harness.counts_dials
def test_many_slow_readers(case):
    """Memory per session has a bound: 100 stalled downloads."""
    instance = case.instance(mode="source", bytes=SIZE)
    # The last handshakes wait behind the first downloads, in the instance.
    m = case.relay(instance, tls_timeout="60s")
    before = m.rss_kb()
    socks = [m.connect(rcvbuf=8192) for _ in range(100)]
    harness.wait_until(lambda: len(instance.connections) == 100 and all(c["bytes_out"] for c in instance.connections),
                       "all to begin", 60 * SLOW)
    settled(lambda: sum(c["bytes_out"] for c in instance.connections), timeout=60 * SLOW)
    grown = m.rss_kb() - before
    assert harness.INSTRUMENTED or grown < 100 * 400, "%d kB a stalled session" % (grown // 100)
    for sock in socks:
        harness.reset(sock)
    m.session(100)


if __name__ == "__main__":
    harness.main()
