#!/usr/bin/python3
"""Proves the order of paths: failures move on, 403 and a refused certificate stop, a failed path rests."""

import os
import socket
import time

import harness
import replies


@harness.counts_dials
def test_each_failure_before_tls_moves_on(case):
    instance = case.instance()
    firsts = {"refused": "http://127.0.0.1:%d" % case.closed_port(),
              "resolve": "http://no-such-proxy.invalid:1"}
    for name, scenario in {"closed": {"close_at": "request"}, "reset": {"close_at": "accept", "how": "reset"},
                           "malformed": {"reply": "http2"}, "timeout": {"silent": True},
                           "407": {"reply": "squid-407"}, "401": {"reply": "tinyproxy-401"},
                           "ntlm": {"reply": "ntlm-407"}, "503": {"reply": "squid-dns-503"},
                           "status": {"reply": "429"}}.items():
        firsts[name] = case.proxy(instance, **scenario)
    good = case.proxy(instance)
    m = case.start({"relay " + name: case.keys("instance.lab.test", [first, good], auth=True, proxy_timeout="1500ms")
                    for name, first in firsts.items()})
    for name in firsts:
        assert m.get("/" + name, relay=name).status == 200, name
        session = m.wait_event("session", relay=name)
        assert session["end"] == "ok" and str(good.port) in session["path"], session
        assert m.events("path-failed", relay=name), name
    assert len(good.connections) == len(firsts)


def test_403_is_an_answer(case):
    instance = case.instance()
    first, second = case.proxy(instance, reply="403"), case.proxy(instance)
    m = case.relay("instance.lab.test", [first, second])
    m.fails("proxy-denied")
    assert second.connections == []


def test_a_server_judged_wrong_moves_on(case):
    good = case.instance()
    for cert in ("untrusted", "wrong-name", "expired"):
        bad = case.instance(cert=cert)
        first, second = case.proxy(bad), case.proxy(good)
        m = case.relay("instance.lab.test", [first, second])
        assert m.get("/" + cert).status == 200
        harness.assert_nothing_left(bad, first)


def test_an_inspecting_proxy_moves_on(case):
    instance = case.instance()
    first = case.proxy(instance, tunnel="inspect")
    m = case.relay(instance, [first, "direct"])
    assert m.get("/").status == 200
    assert m.session()["path"] == "direct"
    harness.assert_nothing_left(None, first)


def test_after_the_certificate_nothing_is_repeated(case):
    refusing = case.instance(reject=True, tls_max="1.2")
    second = case.proxy(case.instance())
    m = case.relay("instance.lab.test", [case.proxy(refusing), second])
    m.fails("client-cert-rejected")
    assert second.connections == []


def test_direct_as_a_last_resort(case):
    instance = case.instance()
    proxy = case.proxy(instance, reply="502")
    m = case.relay(instance, [proxy, "direct"])
    assert m.get("/").status == 200
    assert m.session()["path"] == "direct"


def test_all_fail_the_last_word_is_told(case):
    instance = case.instance()
    m = case.relay("instance.lab.test", [case.proxy(instance, reply="502"), case.proxy(instance, reply="ntlm-407")])
    response = m.get("/")
    assert response.status == 502 and response.reason.startswith("midrelay: proxy-"), response.reason
    m.session()


@harness.counts_dials
def test_a_failed_path_rests(case):
    instance = case.instance()
    first, second = case.proxy(instance, reply="502"), case.proxy(instance)
    m = case.relay("instance.lab.test", [first, second])
    for n in range(6):
        assert m.get("/%d" % n).status == 200
    assert len(first.connections) == 1, "a resting path was dialled %d times" % len(first.connections)
    assert len(second.connections) == 6


def test_when_all_rest_they_are_tried_all_the_same(case):
    instance = case.instance()
    proxy = case.proxy(instance, reply="502")
    m = case.relay("instance.lab.test", [proxy])
    m.fails("proxy-upstream-failed")
    proxy.configure(target=harness.address(instance))
    assert m.get("/").status == 200


def test_a_rested_path_returns(case):
    """30 s: only when asked for."""
    if not os.environ.get("MIDRELAY_LONG"):
        raise harness.Skip("takes 30 s; set MIDRELAY_LONG")
    instance = case.instance()
    first, second = case.proxy(instance, reply="502"), case.proxy(instance)
    m = case.relay("instance.lab.test", [first, second])
    assert m.get("/").status == 200
    first.configure(target=harness.address(instance))

    def back():
        assert m.get("/").status == 200
        return len(first.connections) > 1
    harness.wait_until(back, "the first path to be used again", 45)
    harness.wait_until(lambda: m.events("path-ok"), "path-ok")


def relay_by_name(case, good):
    """A relay whose proxy is a name with two addresses, ::1 before 127.0.0.1, in a hosts file of its own."""
    hosts = case.write("hosts", "127.0.0.1 localhost\n::1 two.lab.test\n127.0.0.1 two.lab.test\n", 0o644)
    probe = harness.subprocess.run(["unshare", "-m", "sh", "-c", "mount --bind %s /etc/hosts" % hosts],
                                   stderr=harness.subprocess.DEVNULL)
    if probe.returncode != 0:
        raise harness.Skip("no private /etc/hosts without privileges")
    wrapper = harness.WRAPPER[:]
    harness.WRAPPER[:] = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', hosts] + wrapper
    try:
        return case.relay("instance.lab.test", ["http://two.lab.test:%d" % good.port])
    finally:
        harness.WRAPPER[:] = wrapper


@harness.counts_dials
def test_name_with_a_silent_address(case):
    """The first address takes no connection and says nothing: the second is tried without waiting out connect_timeout."""
    with socket.socket(socket.AF_INET6) as silent:
        while True:
            good = case.proxy(case.instance())
            try:
                silent.bind(("::1", good.port))
                break
            except OSError:  # somebody else has this number on ::1
                continue
        silent.listen(0)
        waiting = []
        while len(waiting) < 8:
            waiting.append(socket.socket(socket.AF_INET6))
            waiting[-1].settimeout(0.2)
            try:
                waiting[-1].connect(("::1", good.port))
            except TimeoutError:
                break
        else:
            raise harness.Skip("this kernel completes connections past a full backlog")
        m = relay_by_name(case, good)
        began = time.monotonic()
        assert m.get("/").status == 200
        assert 0.2 < time.monotonic() - began < 3 * harness.SLOW
        for sock in waiting:
            sock.close()
    assert len(good.connections) == 1


@harness.counts_dials
def test_name_with_a_dead_address(case):
    """A name with several addresses: the dead one is not waited out."""
    good = case.proxy(case.instance())
    m = relay_by_name(case, good)
    for n in range(3):
        assert m.get("/%d" % n).status == 200
    assert replies.YES and len(good.connections) == 3


if __name__ == "__main__":
    harness.main()
