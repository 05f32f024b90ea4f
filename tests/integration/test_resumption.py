#!/usr/bin/python3
"""Proves that TLS sessions are resumed, only within one identity, target, path and policy, and dropped at a reload."""

import os

import harness
from harness import records_done

os.environ.pop("MIDRELAY_WORKERS", None)  # each worker keeps sessions of its own; counting them wants one worker


def resumed(server):
    return [record["resumed"] for record in records_done(server, 1)]


@harness.counts_dials
def test_resumes(case):
    for version in ("1.2", "1.3"):
        instance = case.instance(tls_max=version)
        m = case.relay(instance)
        for n in range(4):
            answer = m.get("/%d" % n).json()
            assert answer["client_cert"]["subject"].endswith("mid-one"), answer
            m.session(n + 1)
        assert resumed(instance)[0] is False and any(resumed(instance)[1:]), (version, resumed(instance))
        assert [s["resumed"] for s in m.events("session")] == \
            ["yes" if r else "no" for r in resumed(instance)]


def test_relays_share_nothing(case):
    """Two identities for one target: the ticket of one is never shown for the other."""
    instance = case.instance()
    m = case.start({"relay a": case.keys(instance),
                    "relay b": case.keys(instance, client_bundle=case.pki["client-renewed-bundle.pem"])})
    for n, name, subject in ((1, "a", "mid-one"), (2, "b", "mid-one-renewed"), (3, "a", "mid-one"),
                             (4, "b", "mid-one-renewed")):
        answer = m.get("/", relay=name).json()
        assert answer["client_cert"]["subject"].endswith("=" + subject), answer
        m.session(n)
    offers = [c["client_hello"]["psk"] for c in instance.connections]
    assert offers[:2] == [False, False], offers


@harness.counts_dials
def test_paths_share_nothing(case):
    instance = case.instance()
    proxy = case.proxy(instance)
    m = case.relay(instance, [proxy, "direct"])
    assert m.get("/").status == 200
    m.session()
    proxy.configure(reply="502")
    assert m.get("/").status == 200
    assert m.session(2)["path"] == "direct"
    assert [c["client_hello"]["psk"] for c in records_done(instance, 2)] == [False, False]


@harness.counts_dials
def test_a_reload_drops_them(case):
    for version in ("1.2", "1.3"):
        instance = case.instance(tls_max=version)
        m = case.relay(instance)
        for n in range(2):
            m.get("/").json()
            m.session(n + 1)
        assert resumed(instance)[1] is True, resumed(instance)
        m.reload()
        m.get("/").json()
        m.session(3)
        hello = records_done(instance, 3)[2]["client_hello"]
        assert not hello["psk"] and not hello["ticket"], hello
        assert resumed(instance)[2] is False


def test_renewed_certificate_is_used_after_a_reload(case):
    instance = case.instance()
    m = case.relay(instance)
    assert m.get("/").json()["client_cert"]["subject"].endswith("=mid-one")
    m.session()
    m.sections["relay r"]["client_bundle"] = case.pki["client-renewed-bundle.pem"]
    m.write()
    m.reload()
    assert m.get("/").json()["client_cert"]["subject"].endswith("=mid-one-renewed")


def test_server_without_tickets(case):
    for version in ("1.2", "1.3"):
        instance = case.instance(tickets=0, tls_max=version)
        m = case.relay(instance)
        for n in range(2):
            assert m.get("/").status == 200
            m.session(n + 1)


def test_server_with_many_tickets(case):
    instance = case.instance(tickets=200)
    m = case.relay(instance)
    for n in range(3):
        assert m.get("/").status == 200
        m.session(n + 1)


def test_never_without_a_request(case):
    """A session that was made without a request for a certificate is not resumed into one that needs it."""
    instance = case.instance(ask="none")
    m = case.relay(instance)
    for _ in range(3):
        m.fails("client-cert-not-requested")
    assert not any(c["client_hello"]["psk"] or c["client_hello"]["ticket"] for c in instance.connections)


@harness.counts_dials
def test_a_server_that_turns_bad_is_refused(case):
    """After a resumption was offered and declined the server is judged like any other."""
    instance = case.instance()
    m = case.relay(instance)
    assert m.get("/").status == 200
    m.session()
    records_done(instance)
    instance.configure(cert="untrusted")
    m.fails("tls-untrusted")
    record = records_done(instance, 2)[1]
    assert record["client_certificates"] == 0 and record["bytes_in"] == 0, record


if __name__ == "__main__":
    harness.main()
