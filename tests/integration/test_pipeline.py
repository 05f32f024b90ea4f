#!/usr/bin/python3
"""Proves `proxy_pipeline`: the ClientHello with the CONNECT, and clients that do not fail where a proxy loses it."""

import json
import socket
import threading
import time

import harness
from harness import SLOW, both_versions, in_thread, records_done

HOUR = "this proxy loses a ClientHello"


def relay(case, target, proxies, pipeline, **keys):
    return case.relay(target, proxies, **dict({"proxy_pipeline": pipeline, "proxy_trust": case.pki["root.pem"]}, **keys))


def early(proxy, count):
    """How many bytes came behind each CONNECT, before the answer."""
    return [record["early"] for record in records_done(proxy, count)]


def both_proxies(function):
    """A test that runs once with an http:// proxy and once with an https:// one."""
    def run(case):
        for tls in (None, {}):
            function(case, tls)
    run.__name__ = function.__name__
    return run


# on, off

@harness.counts_dials
@both_proxies
def test_on_sends_it_with_the_connect(case, tls):
    """In the one read that brings the CONNECT; resumption, the certificate and the stages are as ever."""
    instance = case.instance()
    proxy = case.proxy(instance, tls=tls, delay=0.1)
    # TLS sessions are each worker's own.
    m = relay(case, instance, [proxy], "on", process={"workers": "1"})
    for n in range(3):
        assert m.get("/%d" % n).json()["client_cert"]["subject"].endswith("mid-one")
        session = m.session(n + 1)
        assert session["end"] == "ok" and int(session["proxy_ms"]) >= 99, session
        assert session["resumed"] == ("yes" if n else "no"), session
    assert all(count > 200 for count in early(proxy, 3)), early(proxy, 3)
    if tls is None:
        assert [record["reads"] for record in proxy.connections] == [1, 1, 1]
    shown = [record["client_certificates"] for record in records_done(instance, 3)]
    assert [count > 0 for count in shown] == [True, False, False], shown


@harness.counts_dials
@both_proxies
def test_off_waits_for_the_answer(case, tls):
    instance = case.instance()
    proxy = case.proxy(instance, tls=tls)
    m = relay(case, instance, [proxy], "off")
    for _ in range(3):
        assert m.get().status == 200
    assert early(proxy, 3) == [0, 0, 0]


@harness.counts_dials
def test_proxy_section(case):
    """`pipeline` of a [proxy NAME] is its own."""
    instance = case.instance()
    named, listed = case.proxy(instance), case.proxy(instance)
    m = case.start({"relay a": case.keys(instance, ["named"], proxy_pipeline="off"),
                    "relay b": case.keys(instance, [listed], proxy_pipeline="off"),
                    "proxy named": {"url": harness.url(named), "pipeline": "on"}})
    assert m.get(relay="a").status == 200 and m.get(relay="b").status == 200
    assert early(named, 1)[0] > 200 and early(listed, 1) == [0]


@harness.counts_dials
@both_versions
def test_answer_in_any_pieces(case, version):
    """The head split at every byte, and the ServerHello in the same segment as its end."""
    instance = case.instance(tls_max=version)
    for tls in (None, {}):
        proxy = case.proxy(instance, tls=tls, split=1)
        m = relay(case, instance, [proxy], "on", proxy_timeout="30s")
        assert m.get().status == 200
    coalescing = Coalescing(case, instance)
    m = relay(case, instance, ["http://127.0.0.1:%d" % coalescing.port], "on")
    assert m.get().status == 200
    assert coalescing.joined > 100


class Coalescing:
    """Answers the CONNECT in one send with the target's first bytes."""

    def __init__(self, case, instance):
        self.instance, self.joined = instance, 0
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.threads = [threading.Thread(target=self._serve, daemon=True)]
        self.threads[0].start()
        case.cleanups.append(self._stop)

    def _stop(self):
        self.sock.close()

    def _serve(self):
        client, _ = self.sock.accept()
        got = b""
        while not got.partition(b"\r\n\r\n")[2]:
            got += client.recv(65536)
        target = socket.create_connection((self.instance.host, self.instance.port))
        target.sendall(got.partition(b"\r\n\r\n")[2])
        first = target.recv(65536)
        self.joined = len(first)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n" + first)
        back = threading.Thread(target=self._copy, args=(target, client), daemon=True)
        back.start()
        self._copy(client, target)
        back.join(harness.LIMIT)
        client.close()
        target.close()

    @staticmethod
    def _copy(source, sink):
        try:
            while part := source.recv(65536):
                sink.sendall(part)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@harness.counts_dials
def test_refusals_are_told_as_without(case):
    """Same code, and the same words, for a 407, also one behind which the connection is reset, and a 403."""
    told = {}
    instance = case.instance()
    for pipeline in ("off", "on", "auto"):
        for reply, how in (("squid-407", "close"), ("squid-407", "reset"), ("403", "close")):
            proxy = case.proxy(instance, auth=["a", "b"], auth_reply=reply, how=how)
            m = relay(case, instance, [proxy], pipeline)
            code = "proxy-denied" if reply == "403" else "proxy-auth-required"
            for _ in range(3):
                response = m.fails(code)
                said = response.body.decode().replace(str(proxy.port), "PORT")
                assert told.setdefault((reply, how), said) == said, (pipeline, told, said)
            assert len(records_done(proxy, 3)) == 3


@harness.counts_dials
@both_versions
def test_inspection_is_refused_as_without(case, version):
    """With the ClientHello sent early nothing else leaves either."""
    instance = case.instance()
    for pipeline in ("on", "auto"):
        proxy = case.proxy(instance, tunnel="inspect", inspect={"tls_max": version, "ask": "optional"})
        m = relay(case, instance, [proxy], pipeline)
        for _ in range(2):
            m.fails("tls-untrusted")
        assert [count > 0 for count in early(proxy, 2)] == [pipeline == "on"] * 2
        harness.assert_nothing_left(proxy=proxy)


LOSSES = {"drop": "tls-timeout", "refuse": "proxy-status", "reset": "proxy-closed", "silent": "proxy-timeout",
          "text": "tls-not-tls", "hang-up": "tls-closed"}


@harness.counts_dials
def test_on_says_why_it_may_have_failed(case):
    instance = case.instance()
    for how, code in LOSSES.items():
        proxy = case.proxy(instance, early=how)
        m = relay(case, instance, [proxy], "on", proxy_timeout="700ms", tls_timeout="700ms")
        body = m.fails(code).body.decode()
        assert "proxy_pipeline = on" in body and "off" in body, body
        assert early(proxy, 1)[0] > 200
        harness.assert_nothing_left(proxy=proxy)


# auto

@harness.counts_dials
def test_auto_tries_once_it_works(case):
    """Plain first, and with the ClientHello from then on; one path knows nothing of another."""
    instance = case.instance()
    first, other = case.proxy(instance), case.proxy(instance)
    m = case.start({"relay a": case.keys(instance, [first], proxy_pipeline="auto"),
                    "relay b": case.keys(instance, [other], proxy_pipeline="auto")})
    for _ in range(4):
        assert m.get(relay="a").status == 200
    sizes = early(first, 4)
    assert sizes[0] == 0 and all(size > 200 for size in sizes[1:]), sizes
    assert m.get(relay="b").status == 200 and early(other, 1) == [0]
    assert m.events("pipeline-off") == []


@harness.counts_dials
def test_auto_fails_no_client(case):
    """Whatever the proxy does to the ClientHello: every client is served, one of them later; it is told once."""
    instance = case.instance()
    for tls in (None, {}):
        for how in LOSSES:
            proxy = case.proxy(instance, early=how, tls=tls)
            m = relay(case, instance, [proxy], "auto")
            for n in range(5):
                began = time.monotonic()
                assert m.get("/%d" % n).status == 200
                assert time.monotonic() - began < (4 if n == 1 else 2) * SLOW
            sizes = early(proxy, 6)
            assert len(sizes) == 6 and [size > 0 for size in sizes] == [False, True] + [False] * 4, (how, sizes)
            assert {e["end"] for e in m.events("session")} == {"ok"}
            found = m.events("pipeline-off")
            assert len(found) == 1 and found[0]["msg"].startswith(HOUR) and found[0]["level"] == "info", found
            assert found[0]["path"] == harness.url(proxy) and m.events("path-failed") == []
    # Nothing of ours but a ClientHello went twice.
    assert all(len(record["requests"]) == 1 for record in records_done(instance) if record["handshake_done"])


@harness.counts_dials
def test_auto_tries_with_one_client_at_a_time(case):
    """Many at once, on all workers: while one tries, the others go without, and are not held up."""
    instance = case.instance()
    proxy = case.proxy(instance, early="drop")
    m = relay(case, instance, [proxy], "auto", process={"workers": "4", "log_level": "debug"})
    assert m.get().status == 200
    clients = [in_thread(m.get) for _ in range(30)]
    assert all(client().status == 200 for client in clients)
    sizes = early(proxy, 32)
    assert len(sizes) == 32 and sum(size > 0 for size in sizes) == 1, sizes
    assert len(m.events("pipeline-off")) == 1


@harness.counts_dials
def test_auto_after_a_proxy_has_changed(case):
    """One that took it and then loses it costs its clients time, but no connection."""
    instance = case.instance()
    proxy = case.proxy(instance)
    m = relay(case, instance, [proxy], "auto", tls_timeout="2s")
    for _ in range(3):
        assert m.get().status == 200
    before = len(records_done(proxy, 3))
    proxy.configure(target=harness.address(instance), early="drop")
    clients = [in_thread(m.get) for _ in range(5)]
    assert all(client().status == 200 for client in clients)
    assert m.get().status == 200
    assert sum(record["early"] > 0 for record in records_done(proxy, before + 6)[before:]) == 5
    assert proxy.connections[-1]["early"] == 0
    m.session(9, end="ok")
    ends, off = {e["end"] for e in m.events("session")}, m.events("pipeline-off")
    assert ends == {"ok"} and len(off) == 1, (ends, off)


@harness.counts_dials
def test_auto_does_not_blame_the_proxy_for_a_dead_target(case):
    """Where it fails without the ClientHello too, that is the failure; the next path gets its turn in time."""
    instance = case.instance()
    dead, good = case.proxy(instance), case.proxy(instance)
    m = relay(case, instance, [dead, good], "auto", tls_timeout="1s")
    for _ in range(2):
        assert m.get().status == 200
    dead.configure(target=harness.address(instance), tunnel="stall")
    assert m.get().status == 200
    assert m.events("pipeline-off") == []
    assert [e["code"] for e in m.events("path-failed")] == ["tls-timeout"]
    assert [record["early"] > 0 for record in records_done(dead, 4)] == [False, True, True, False]
    assert early(good, 1) == [0]


@harness.counts_dials
def test_check_goes_without(case):
    """`check` shows the stages apart, whatever the relay does."""
    instance = case.instance()
    proxy = case.proxy(instance, early="reset")
    config = case.path("check.ini")
    harness.write_config(config, {"relay r": case.keys(instance, [proxy], proxy_pipeline="on")})
    done = case.run("check", "-c", config, "--json")
    path = json.loads(done.stdout)["paths"][0]
    assert path["path"] == harness.url(proxy), path
    assert all(record["early"] == 0 and record["end"] != "early" for record in records_done(proxy, 1)), done


# What it is for

@harness.counts_dials
def test_saves_a_round_trip(case):
    """On a path of 100 ms a round trip the first byte comes after two, without a ready tunnel; without, after three."""
    times = {}
    for pipeline in ("off", "on"):
        instance = case.instance(tls_max="1.3")
        far = Far(case, case.proxy(instance).port)
        m = relay(case, instance, ["http://127.0.0.1:%d" % far.port], pipeline)
        m.get()
        spent = []
        for _ in range(5):
            began = time.monotonic()
            assert m.get().status == 200
            spent.append((time.monotonic() - began) * 1000)
        times[pipeline] = min(spent)
    print("first answer over a path of 100 ms: %(off).0f ms without, %(on).0f ms with" % times)
    assert times["off"] >= 300 and 200 <= times["on"] < times["off"] - 50, times


class Far:
    """A path of 100 ms to and fro: what is sent arrives 50 ms later, in order."""

    def __init__(self, case, port):
        self.to = port
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        case.cleanups.append(self.sock.close)

    def _accept(self):
        while True:
            try:
                client, _ = self.sock.accept()
            except OSError:
                return
            proxy = socket.create_connection(("127.0.0.1", self.to))
            for sock in (client, proxy):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for pair in ((client, proxy), (proxy, client)):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    @staticmethod
    def _copy(source, sink):
        waiting, woken = [], threading.Condition()

        def deliver():
            while True:
                with woken:
                    woken.wait_for(lambda: waiting)
                    due, part = waiting.pop(0)
                harness.pace(max(0, due - time.monotonic()))
                try:
                    if not part:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    sink.sendall(part)
                except OSError:
                    return
        threading.Thread(target=deliver, daemon=True).start()
        while True:
            try:
                part = source.recv(65536)
            except OSError:
                part = b""
            with woken:
                waiting.append((time.monotonic() + 0.05, part))
                woken.notify()
            if not part:
                return


harness.main()
