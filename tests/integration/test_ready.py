#!/usr/bin/python3
"""
Proves that tunnels are dialled ahead of need, handed over only alive and once, follow demand and go to zero when it is
quiet; what was dialled for whom is the lab's count of connections.
"""

import contextlib
import datetime
import os
import re
import resource
import signal
import time

import harness
from harness import both_versions, in_thread, pace, read_response, records_done, request_bytes, settled, url, wait_until

os.environ.pop("MIDRELAY_WORKERS", None)  # each worker keeps tunnels of its own; counting them wants one worker
os.environ.pop("MIDRELAY_READY", None)


def count(server):
    return len(server.connections)


def established(server):
    return sum(1 for record in server.connections if record["handshake_done"])


def waiting(m):
    """Tunnels made and not gone since, by the debug log and the sessions."""
    gone = len(m.events("ready-tunnel", state="let-go")) + len(m.events("ready-tunnel", state="died"))
    return len(m.events("ready-tunnel", state="made")) - gone - len(m.events("session", ready_hit="yes"))


def ready(m, number, proved=None):
    """Waits until that many have been made and proved: the ticket, or else a second's silence, has been taken."""
    made = wait_until(lambda: len(m.events("ready-tunnel", state="made")) >= number and waiting(m),
                      lambda: "%d ready tunnels; log:\n%s" % (number, m.tail()))
    wait_until(lambda: len(m.events("ready-tunnel", state="ready")) >= (proved or number),
               lambda: "%d proved tunnels; log:\n%s" % (proved or number, m.tail()))
    return made


def totals(m):
    """What is told at the end."""
    m.signal(signal.SIGTERM)
    m.wait()
    return {key: int(value) for key, value in m.wait_event("ready-tunnels").items() if value.isdigit()}


def start(case, target, proxies=(), number="2", age="20s", process=None, **keys):
    return case.relay(target, proxies, process=process, ready_tunnels=number, ready_max_age=age, **keys)


def demand(m, times=2, size=1, get=None):
    """Clients that come together, and again."""
    for turn in range(times):
        if turn:
            pace(1.1)  # the groups of a MID's polls: what is within a second is one group
        results = [in_thread(get or m.get) for _ in range(size)]
        assert all(result().status == 200 for result in results)


@both_versions
def test_a_client_gets_a_ready_tunnel(case, version):
    """No dial is made for it: its request goes over a connection that was there before it came."""
    instance = case.instance(tls_max=version)
    m = start(case, instance, number="1")
    ready(m, 1)
    before = count(instance)
    assert before == 1 and instance.connections[0]["bytes_in"] == 0
    answer = m.get("/first").json()
    assert answer["connection"] == 1 and answer["client_cert"]["subject"].endswith("mid-one"), answer
    session = m.session()
    assert session["ready_hit"] == "yes" and session["path"] == "direct" and session["end"] == "ok", session
    assert session["tls_version"] == "TLSv" + version and "tls_ms" not in session and "connect_ms" not in session
    assert [r["path"] for r in instance.connections[0]["requests"]] == ["/first"]


def test_nobody_waits_for_the_proxy(case):
    """A proxy that holds every answer back for longer than a client's patience."""
    instance = case.instance()
    for tls in (None, {}):  # http://, https://
        proxy = case.proxy(instance, delay=1.5, tls=tls)
        m = start(case, instance, [proxy], number="1", proxy_trust=case.pki["root.pem"] if tls is not None else None)
        ready(m, 1)
        began = time.monotonic()
        assert m.get("/").status == 200
        assert time.monotonic() - began < 1.4 * harness.SLOW, "the client waited"
        assert m.session()["ready_hit"] == "yes"
        assert proxy.connections[0]["bytes_up"] > 0


def test_off_makes_none(case):
    instance = case.instance()
    m = start(case, instance, number="off", age=None)
    demand(m, times=3, size=2)
    assert settled(lambda: count(instance)) == 6 and not m.events("ready-tunnel")
    assert all("ready_hit" not in session for session in m.events("session"))


def test_auto_follows_demand_and_goes_to_zero(case):
    """A single group of clients makes none; when they come again there are as many; then it is quiet for good."""
    instance = case.instance()
    m = start(case, instance, number="auto", age="5s")
    demand(m, times=1, size=3)
    assert settled(lambda: count(instance)) == 3, "one group is no demand"
    pace(1.1)
    demand(m, times=1, size=3)
    m.session(6)
    wait_until(lambda: waiting(m) == 3, "as many as came twice")
    # The first of a group may have had one made for the last.
    early = len(m.events("session", ready_hit="yes"))
    assert early < 3 and settled(lambda: count(instance)) == 9
    # These find them.
    demand(m, times=1, size=3)
    m.session(9)
    assert len(m.events("session", ready_hit="yes")) == early + 3
    wait_until(lambda: m.descriptors() == m.baseline, "all to be let go of")
    made = count(instance)
    assert 12 <= made <= 15, made
    # A dial to replace one that was too old is cut when the demand is over meanwhile; what was let go of is counted below.
    ends = [record["end"] for record in records_done(instance) if record["bytes_in"] == 0]
    cut = ends.count("truncated")
    let_go = made - 9 - cut
    assert cut <= 1 and ends.count("close_notify") == let_go, ends
    assert settled(lambda: count(instance), seconds=1.5) == made, "an idle relay makes no traffic"
    found = totals(m)
    assert (found["hits"], found["misses"], found["made"]) == (early + 3, 6 - early, made - 6 + early - cut), found
    assert found["let_go"] == let_go and not found["died"] and not found["failed"], found


def test_an_old_tunnel_is_replaced(case):
    """A number is always there: the next one before the last is too old, which ends by close_notify."""
    instance = case.instance()
    m = start(case, instance, number="1", age="1s")
    wait_until(lambda: count(instance) >= 4, "tunnels to be replaced")
    ended = wait_until(lambda: len([r for r in instance.connections if r["done"]]) >= 3 and instance.connections[:3])
    assert [(r["end"], r["bytes_in"]) for r in ended] == [("close_notify", 0)] * 3, ended
    assert not m.events("session")


def test_an_old_tunnel_is_let_go(case):
    """Also when none comes in its place, because the proxy has fallen silent."""
    instance = case.instance()
    proxy = case.proxy(instance)
    m = start(case, instance, [proxy], number="1", age="1s", proxy_timeout="60s", setup_timeout="60s")
    ready(m, 1)
    proxy.configure(silent=True)
    m.wait_event("ready-tunnel", state="let-go")


def test_a_server_that_closes_idle_tunnels_is_not_dialled_all_the_time(case):
    instance = case.instance(idle_close=0.2)
    m = start(case, instance, number="2", age="10s")
    wait_until(lambda: len(m.events("ready-tunnel", state="died")) == 2, "both to die")
    assert settled(lambda: count(instance), seconds=1.5) == 2
    # A client finds none, and is served by a dial.
    assert m.get("/").status == 200
    assert m.session()["ready_hit"] == "no" and m.session()["end"] == "ok"
    assert len(m.events("session")) == 1


def test_a_refused_certificate_is_found_while_waiting(case):
    """With TLS 1.3 the alert comes behind the handshake: no client gets such a tunnel, and it is told."""
    instance = case.instance(reject=True, tls_min="1.3")
    m = start(case, instance, number="2")
    m.wait_event("certificate-refused", code="client-cert-rejected")
    wait_until(lambda: len(m.events("ready-tunnel", state="died")) == 2, "both to die")
    assert not m.events("ready-tunnel", state="ready") and not m.events("session")
    assert settled(lambda: count(instance)) == 2, "a pool rests when the certificate was refused"


def test_a_refused_certificate_empties_the_pool(case):
    """The edge's 400 page: what waits was dialled before, and its server may keep the verdict."""
    instance = case.instance(answer="cert-refused")
    m = start(case, instance, number="2")
    ready(m, 2)
    assert m.get("/").status == 400
    session = m.session()
    assert (session["ready_hit"], session["end"]) == ("yes", "instance-cert-refused"), session
    records_done(instance)  # also what was being dialled for the place of the one that was taken
    before = count(instance)
    instance.configure()
    assert m.get("/").status == 200
    assert m.session(2)["ready_hit"] == "no", m.session(2)
    assert settled(lambda: count(instance), seconds=1.5) == before + 1, "a pool rests"


def test_unasked_bytes_make_no_tunnel(case):
    instance = case.instance(unasked=True, mode="echo")
    m = start(case, instance, number="1")
    m.wait_event("ready-tunnel", state="died")
    with m.connect() as sock:
        assert sock.recv(1) == b"!", "a client of its own gets them"
    assert m.session()["ready_hit"] == "no" and settled(lambda: count(instance)) == 2


def thread_states(pid):
    found = set()
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/stat" % (pid, task)) as stat:
            found.add(stat.read().rsplit(")", 1)[1].split()[0])
    return found


def half_dead(case, end, **scenario):
    instance = case.instance(**scenario)
    proxy = case.proxy(instance)
    m = start(case, instance, [proxy], number="1")
    ready(m, 1)
    m.signal(signal.SIGSTOP)
    try:
        wait_until(lambda: thread_states(m.pid) == {"T"}, "midrelay to be stopped")
        sock = m.connect()
        sock.sendall(request_bytes(method="POST", path="/once", body=b"b" * 100))
        case.lab.call(instance.end_all(end))
        wait_until(lambda: proxy.connections[0]["eof_down"] or proxy.connections[0]["done"], "the end to be there")
    finally:
        m.signal(signal.SIGCONT)
    with sock:
        answer = read_response(sock)
    assert answer.status == 200, answer.reason
    assert m.session()["ready_hit"] == "no" and m.session()["end"] == "ok", m.session()
    asked = [(n, r["path"]) for n, c in enumerate(instance.connections) for r in c["requests"]]
    assert asked == [(1, "/once")], asked
    assert instance.connections[0]["bytes_in"] == 0


def test_a_tunnel_that_ends_as_the_client_comes(case):
    """Both are there when midrelay wakes up, the client first: the last look finds the end, and nothing is sent."""
    for end in ("close_notify", "truncate"):
        for version in ("1.2", "1.3"):
            half_dead(case, end, tls_max=version)


def test_a_server_without_tickets(case):
    """Is given time for its alert; and then its tunnels are as good."""
    instance = case.instance(tickets=0, tls_min="1.3")
    m = start(case, instance, number="1")
    ready(m, 1)
    made, proved = (datetime.datetime.fromisoformat(m.wait_event("ready-tunnel", state=state)["ts"])
                    for state in ("made", "ready"))
    assert (proved - made).total_seconds() > 0.9, (made, proved)
    assert m.get("/").json()["connection"] == 1
    assert m.session()["ready_hit"] == "yes"


def test_a_reload_lets_go(case):
    """New clients get tunnels that were dialled under the new configuration."""
    instance = case.instance()
    m = start(case, instance, number="2")
    ready(m, 2)
    m.sections["relay r"]["client_bundle"] = case.pki["client-renewed-bundle.pem"]
    m.write()
    m.reload()
    wait_until(lambda: sum(r["done"] for r in instance.connections) == 2, "the old ones to end")
    assert [r["end"] for r in instance.connections[:2]] == ["close_notify"] * 2
    ready(m, 4)
    answer = m.get("/").json()
    assert answer["connection"] > 2 and answer["client_cert"]["subject"].endswith("mid-one-renewed"), answer
    assert m.session()["ready_hit"] == "yes"
    m.sections["relay r"]["ready_tunnels"] = "off"
    m.write()
    m.reload()
    records_done(instance)


def test_a_failed_path_empties_the_pool(case):
    """A client that came when there was none left finds the proxy closed: what waits behind it is let go of."""
    instance = case.instance()
    proxy = case.proxy(instance)
    m = start(case, instance, [proxy, "direct"], number="2", age="1h")
    ready(m, 2)
    proxy.configure(target="127.0.0.1:%d" % instance.port, reply="502")
    # One is taken; what is dialled for its place meets the refusal, goes round it, and takes the other one along.
    assert m.get("/").status == 200
    m.wait_event("path-failed", code="proxy-upstream-failed")
    wait_until(lambda: proxy.connections[0]["done"] and proxy.connections[1]["done"], "the proxy's tunnels to end")
    ready(m, 4, 4)
    assert m.get("/").status == 200
    m.session(2)
    assert [(s["path"], s["ready_hit"]) for s in m.events("session")] == [(url(proxy), "yes"), ("direct", "yes")]


def test_nothing_is_dialled_while_no_path_works(case):
    """One attempt each, then a rest; a client's dial that works ends the rest."""
    instance = case.instance()
    proxy = case.proxy(instance, reply="403")
    m = start(case, instance, [proxy], number="2")
    wait_until(lambda: len(m.events("ready-tunnel", state="failed")) == 2, "both to fail")
    assert settled(lambda: count(proxy), seconds=1.5) == 2
    m.fails("proxy-denied")
    assert settled(lambda: count(proxy), seconds=1.5) == 3
    proxy.configure(target="127.0.0.1:%d" % instance.port)
    assert m.get("/").status == 200
    ready(m, 2)
    assert m.get("/").status == 200
    m.session(3)
    assert [s["ready_hit"] for s in m.events("session")] == ["no", "no", "yes"]


def test_draining_lets_go(case):
    """At once, while a client's connection goes on."""
    instance = case.instance()
    m = start(case, instance, number="2", process={"drain_timeout": "5s"})
    ready(m, 2)
    sock = m.connect()
    assert harness.ask(sock, path="/a").status == 200
    ready(m, 3)
    m.signal(signal.SIGTERM)
    m.wait_event("draining")
    wait_until(lambda: sum(r["done"] for r in instance.connections) == count(instance) - 1, "the others to end")
    assert harness.ask(sock, path="/b").status == 200
    sock.close()
    m.wait()
    assert [r["end"] for r in instance.connections] == ["close_notify"] * count(instance)


def burst(case, instance, workers, clients=200):
    m = start(case, instance, number="auto", process={"workers": str(workers), "log_level": "debug"})
    demand(m, times=2, size=4)
    wait_until(lambda: waiting(m) >= 2, "some to be ready")
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(m.connect()) for _ in range(clients)]
        for n, sock in enumerate(socks):
            sock.sendall(request_bytes(path="/%d" % n))
        bodies = [read_response(sock).json() for sock in socks]
    assert [body["path"] for body in bodies] == ["/%d" % n for n in range(clients)]
    m.session(8 + clients)
    assert all(s["end"] == "ok" for s in m.events("session"))
    hits = len(m.events("session", ready_hit="yes"))
    assert 2 <= hits <= 16 * workers + 8, hits
    asked = [r["path"] for c in instance.connections for r in c["requests"] if r["path"] != "/"]
    assert sorted(asked) == sorted("/%d" % n for n in range(clients)), "a request was sent twice, or not at all"
    # One burst is no demand for as many.
    assert settled(lambda: count(instance), seconds=1) <= 8 + clients + 16 * workers
    m.sections["relay r"]["ready_tunnels"] = "off"
    m.write()
    m.reload()


def test_a_burst(case):
    burst(case, case.instance(), 1)


def test_a_burst_with_two_workers(case):
    burst(case, case.instance(), 2)


def test_two_workers_share_a_number(case):
    instance = case.instance()
    m = start(case, instance, number="3", process={"workers": "2"})
    ready(m, 4)
    assert settled(lambda: count(instance)) == 4
    demand(m, times=1, size=2)
    m.session(2)
    assert [s["ready_hit"] for s in m.events("session")] == ["yes"] * 2


def test_clients_come_first(case):
    """Clients and ready tunnels together are at most max_connections."""
    instance = case.instance()
    m = start(case, instance, number="4", process={"max_connections": "4"})
    ready(m, 4)
    with contextlib.ExitStack() as stack:
        for n in range(1, 5):
            sock = stack.enter_context(m.connect())
            assert harness.ask(sock, path="/%d" % n).status == 200
            wait_until(lambda: sum(not r["done"] for r in instance.connections) <= 4, "the pool to give way")
        assert settled(lambda: sum(not r["done"] for r in instance.connections)) == 4
    assert all(s["end"] == "ok" for s in m.events("session"))


def test_clients_of_another_relay_come_first(case):
    """What waits for one relay is let go of for the clients of another."""
    instance, other = case.instance(), case.instance()
    m = case.start({"midrelay": {"log_level": "debug", "max_connections": "4"},
                    "relay a": case.keys(instance, ready_tunnels="4", ready_max_age="1h"),
                    "relay b": case.keys(other, ready_tunnels="off")})
    ready(m, 4)
    with contextlib.ExitStack() as stack:
        for n in range(1, 4):
            sock = stack.enter_context(m.connect("b"))
            assert harness.ask(sock, path="/%d" % n).status == 200
            wait_until(lambda: sum(not r["done"] for r in instance.connections) <= 4 - n, "the pool to give way")


def test_it_gives_way_when_descriptors_run_short(case):
    """With hardly any descriptors left, clients are served and what waited is let go of."""
    instance = case.instance()
    m = start(case, instance, number="8")
    ready(m, 8)
    limit = m.descriptors() + 5
    before = resource.prlimit(m.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(m.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(m.connect()) for _ in range(6)]
        for n, sock in enumerate(socks):
            sock.sendall(request_bytes(path="/%d" % n, keep=True))
            assert read_response(sock).status == 200
    assert all(s["end"] == "ok" for s in m.events("session"))
    assert m.events("ready-tunnel", state="let-go")
    resource.prlimit(m.pid, resource.RLIMIT_NOFILE, before)


def test_check_uses_none(case):
    """`midrelay check` walks the path by itself, as ever."""
    instance = case.instance()
    m = start(case, instance, number="1")
    ready(m, 1)
    before = count(instance)
    assert case.run("check", "-c", m.config).returncode == 0
    assert count(instance) > before and waiting(m) == 1
    assert re.search(r"ready_tunnels = 1\n", case.run("config", "-c", m.config).stdout)


if __name__ == "__main__":
    harness.main()
