#!/usr/bin/python3
"""Proves that many clients at once are dialled for in order, so many at a time, each within its deadline."""

import signal

import harness
from harness import read_response, request_bytes

WIDTH = 256    # DIAL_GATE_WIDTH
MANY = WIDTH * 2 + 40
# One connection to the proxy for each client, whatever time it takes.
PATIENT = dict({stage + "_timeout": "60s" for stage in ("setup", "connect", "proxy", "tls")}, proxy_pipeline="off")


def burst(m, count=MANY):
    """So many clients that have sent a request each."""
    socks = [m.connect() for _ in range(count)]
    for sock in socks:
        sock.settimeout(harness.LIMIT * 2)
        sock.sendall(request_bytes())
    return socks


def statuses(socks):
    found = {}
    for sock in socks:
        with sock:
            response = read_response(sock)
        found.setdefault(response.status, []).append(response.reason)
    return found


def in_flight(records):
    """How many CONNECTs were unanswered at the same time, at most."""
    moments = sorted([(r["time"], 1) for r in records] + [(r["answered"], -1) for r in records])
    now = most = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most


@harness.counts_dials
def test_all_are_served_so_many_at_a_time(case):
    instance = case.instance(mode="http")
    proxy = case.proxy(instance, delay=0.5)
    m = case.relay(instance, [proxy], process={"log_level": "info", "workers": "1"}, **PATIENT)
    found = statuses(burst(m))
    assert {status: len(reasons) for status, reasons in found.items()} == {200: MANY}, found.keys()
    m.session(count=MANY, end="ok")
    lines = m.events("session", end="ok")
    waited = sorted(int(line["id"]) for line in lines if "wait_ms" in line)
    assert len(waited) == MANY - WIDTH, len(waited)
    assert waited == list(range(waited[0], waited[0] + len(waited))), "not the first to come were dialled for first"
    records = [r for r in proxy.connections if r.get("answered")]
    assert len(records) == MANY
    most = in_flight(records)
    assert WIDTH / 2 < most <= WIDTH, most


@harness.counts_dials
def test_workers_share_the_width(case):
    instance = case.instance(mode="http")
    proxy = case.proxy(instance, delay=0.5)
    m = case.relay(instance, [proxy], process={"workers": "4", "log_level": "info"}, **PATIENT)
    found = statuses(burst(m))
    assert {status: len(reasons) for status, reasons in found.items()} == {200: MANY}, found.keys()
    most = in_flight([r for r in proxy.connections if r.get("answered")])
    assert WIDTH / 2 < most <= WIDTH, most


@harness.counts_dials
def test_those_who_wait_have_a_deadline(case):
    """A proxy that never answers sees no more than the width, and everybody is told in time."""
    instance = case.instance(mode="http")
    proxy = case.proxy(instance, silent=True)
    m = case.relay(instance, [proxy], process={"workers": "1"}, setup_timeout="%dms" % (5000 * harness.SLOW), proxy_timeout="60s")
    socks = burst(m)
    began = harness.time.monotonic()
    harness.wait_until(lambda: len(proxy.connections) >= WIDTH, "a full house at the proxy")
    seen = harness.settled(lambda: len(proxy.connections), 0.3)
    assert seen == WIDTH, (seen, harness.time.monotonic() - began)
    found = statuses(socks)
    assert harness.time.monotonic() - began < 10 * harness.SLOW
    assert set(found) == {503, 504}, found.keys()
    # Who came later than the first has some time left when their places are free.
    assert len(found[504]) >= WIDTH and all("proxy-timeout" in reason for reason in found[504]), set(found[504])
    assert all("local-limit" in reason and "setup_timeout" in reason for reason in found[503])
    line = m.session(end="local-limit", cause="dials")
    assert "%d clients of this relay" % WIDTH in line["msg"], line


@harness.counts_dials
def test_those_who_leave_make_room(case):
    """Clients that go away while they wait, or are dialled for, leave their place to others."""
    instance = case.instance(mode="http")
    proxy = case.proxy(instance, delay=600)
    m = case.relay(instance, [proxy], process={"log_level": "info", "workers": "1"}, **PATIENT)
    socks = burst(m, WIDTH + 100)
    harness.wait_until(lambda: len(proxy.connections) >= WIDTH, "a full house at the proxy")
    proxy.configure(target=harness.address(instance))
    for sock in socks:
        harness.reset(sock)
    with m.connect() as sock:
        sock.sendall(request_bytes())
        response = read_response(sock)
        assert response.status == 200, (response.status, response.reason, m.tail())


@harness.counts_dials
def test_a_stop_lets_nobody_in(case):
    """Those who wait for their turn when everybody is cut are not dialled for on the way out."""
    proxy = case.proxy(case.instance(mode="http"), silent=True)
    m = case.relay("instance.lab.test", [proxy], process={"log_level": "info", "workers": "1"}, **PATIENT)
    socks = burst(m, WIDTH + 100)
    harness.wait_until(lambda: len(proxy.connections) >= WIDTH, "a full house at the proxy")
    m.signal(signal.SIGTERM)
    m.wait_event("draining")
    m.signal(signal.SIGTERM)
    assert m.wait() == 0
    for sock in socks:
        sock.close()
    assert harness.settled(lambda: len(proxy.connections)) == WIDTH


if __name__ == "__main__":
    harness.main()
