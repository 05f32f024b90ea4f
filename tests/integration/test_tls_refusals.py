#!/usr/bin/python3
"""Proves that a wrong server ends in its own diagnosis, in TLS 1.2 and 1.3, and that no certificate, no byte left."""

import harness
from harness import assert_nothing_left


def both_ways(case, code, versions=("1.2", "1.3"), hello_only=True, keys=None, **scenario):
    """Through a proxy, whose transcript is the second proof, with the server limited to each version."""
    times = {"tls_timeout": "500ms"} if code == "tls-timeout" else {}
    for version in versions:
        limits = {} if "tls_max" in scenario else {"tls_min": version, "tls_max": version}
        instance = case.instance(**dict(scenario, **limits))
        proxy = case.proxy(instance)
        m = case.relay("instance.lab.test", [proxy], **dict(times, **(keys or {})))
        m.fails(code)
        assert_nothing_left(instance, proxy, hello_only)
        m.assert_ends_clean()


@harness.counts_dials
def test_the_proof_sees_a_certificate_that_leaves(case):
    """The control: on an honest path the same looks do find the certificate and the data."""
    for version in ("1.2", "1.3"):
        instance = case.instance(tls_max=version)
        proxy = case.proxy(instance)
        m = case.relay("instance.lab.test", [proxy])
        assert m.get("/").status == 200
        record = harness.records_done(instance)[0]
        assert record["client_certificates"] == 2 or record["client_certificates"] == 3, record
        assert ["read", "CERTIFICATE"] in record["handshake"] and record["bytes_in"] > 0
        with open(harness.records_done(proxy)[0]["up_file"], "rb") as up:
            assert not harness.wire.only_hello_and_alert(up.read())


def test_wrong_name(case):
    both_ways(case, "tls-hostname", cert="wrong-name")


def test_wrong_address(case):
    """What the certificate is for instead: its names, and its addresses."""
    instance = case.instance()
    m = case.relay("192.0.2.9:%d" % instance.port, [], target_address="127.0.0.1")
    said = m.fails("tls-hostname").reason
    assert "is for instance.lab.test, localhost, 127.0.0.1, ::1, not for 192.0.2.9" in said, said
    assert_nothing_left(instance)


def test_expired(case):
    both_ways(case, "tls-expired", cert="expired")


def test_not_yet_valid(case):
    both_ways(case, "tls-expired", cert="not-yet-valid")


def test_untrusted(case):
    both_ways(case, "tls-untrusted", cert="untrusted")


@harness.counts_dials
def test_untrusted_by_the_system_store(case):
    both_ways(case, "tls-untrusted", keys={"trust": "system"})


def test_alert_tells_the_server_why(case):
    for cert, alert in (("untrusted", "unknown_ca"), ("expired", "certificate_expired")):
        for version in ("1.2", "1.3"):
            instance = case.instance(cert=cert, tls_max=version)
            m = case.relay(instance)
            m.get("/")
            m.session()
            record = harness.records_done(instance)[0]
            assert ["read", alert] in record["alerts"], (cert, version, record["alerts"])


def test_a_wrong_server_that_asks_for_no_certificate(case):
    """Without a request the verdict falls all the same, before any data."""
    for cert, code in (("untrusted", "tls-untrusted"), ("wrong-name", "tls-hostname"), ("expired", "tls-expired")):
        both_ways(case, code, cert=cert, ask="none")
        both_ways(case, code, cert=cert, ask="none", keys={"require_client_cert_request": "no"})


def test_does_not_speak_tls(case):
    for what in ("plaintext", "http", "garbage"):
        both_ways(case, "tls-not-tls", versions=("1.3",), handshake=what)


def test_alert_instead_of_a_handshake(case):
    both_ways(case, "tls-alert", versions=("1.3",), handshake="alert")


def test_ends_within_the_handshake(case):
    for what in ("close", "reset", "close-after-hello", "reset-after-hello"):
        both_ways(case, "tls-closed", versions=("1.3",), handshake=what)
    for what in ("close-mid", "reset-mid"):
        both_ways(case, "tls-closed", handshake=what, at=200)


def test_stalls(case):
    both_ways(case, "tls-timeout", versions=("1.3",), handshake="silent")
    both_ways(case, "tls-timeout", handshake="stall-mid", at=200)


def test_old_versions(case):
    for version in ("1.0", "1.1"):
        both_ways(case, "tls-version", versions=("1.3",), tls_max=version)


def test_tls_min_and_max(case):
    both_ways(case, "tls-version", versions=("1.2",), keys={"tls_min": "1.3"})
    both_ways(case, "tls-version", versions=("1.3",), keys={"tls_max": "1.2"})


def test_static_rsa_is_not_offered(case):
    instance = case.instance(cert="server-rsa", tls_max="1.2", ciphers="AES256-GCM-SHA384")
    m = case.relay(instance)
    m.fails("tls-alert")
    offered = instance.connections[0]["client_hello"]["ciphers"]
    assert not {0x009c, 0x009d, 0x002f, 0x0035} & set(offered), offered


def test_ciphers_and_groups(case):
    instance = case.instance(tls_max="1.2")
    m = case.relay(instance, tls_ciphers="ECDHE-ECDSA-AES128-GCM-SHA256", tls_groups="P-256", tls_max="1.2")
    assert m.get("/").json()["cipher"] == "ECDHE-ECDSA-AES128-GCM-SHA256"
    instance = case.instance()
    m = case.relay(instance, tls_ciphersuites="TLS_CHACHA20_POLY1305_SHA256")
    assert m.get("/").json()["cipher"] == "TLS_CHACHA20_POLY1305_SHA256"


if __name__ == "__main__":
    harness.main()
