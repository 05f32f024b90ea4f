#!/usr/bin/python3
"""Proves how a server is judged before it gets anything (inspected, pinned, its issuer), and what that leads to."""

import base64
import hashlib
import os
import shutil
import subprocess

import harness
from harness import Skip, assert_nothing_left

VERSIONS = ("1.2", "1.3")


def store(case, *names):
    """The environment that makes these CAs the system's store."""
    text = "".join(open(case.pki[name + ".pem"]).read() for name in names)
    return {"SSL_CERT_FILE": case.write("store.pem", text, 0o644), "SSL_CERT_DIR": case.path("no-such-directory")}


def system(case, target, proxies, *names, env=None, **keys):
    return case.relay(target, proxies, trust="system", start={"env": env or store(case, *names)}, **keys)


def pin(case, name):
    """curl's form of a certificate's public key."""
    der = subprocess.run("openssl x509 -noout -pubkey -in '%s' | openssl pkey -pubin -outform DER" % case.pki[name],
                         shell=True, check=True, capture_output=True).stdout
    return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()


OTHER_PIN = "sha256//" + base64.b64encode(bytes(32)).decode()


def refused(case, code, m, proxy, instance=None, text="", **how):
    answer = m.fails(code)
    assert text in answer.reason, (text, answer.reason)
    assert_nothing_left(instance, proxy, **how)
    return m.wait_event("path-failed", code=code)


def test_inspector_with_its_root_in_the_system_store(case):
    """It verifies, and asks for our certificate: the missing SCT betrays it, and it gets nothing."""
    for version in VERSIONS:
        instance = case.instance()
        proxy = case.proxy(instance, tunnel="inspect", inspect={"ask": "optional", "tls_max": version})
        m = system(case, "instance.lab.test", [proxy], "inspect-root")
        event = refused(case, "tls-inspected", m, proxy, text="no SCT came with the certificate")
        assert "issued by CN=Corporate Inspection CA,O=Corporate IT" in event["msg"], event
        for piece in ("chain: verified by CN=Corporate Inspection CA", "sct: none (inspected)",
                      "client-cert: asked for"):
            assert piece in event["evidence"], event


def test_inspector_that_asks_for_no_certificate(case):
    """Judged after the handshake, before any data."""
    for version in VERSIONS:
        instance = case.instance()
        proxy = case.proxy(instance, tunnel="inspect", inspect={"ask": "none", "tls_max": version})
        for keys in ({}, {"require_client_cert_request": "no"}, {"client_bundle": None}):
            m = system(case, "instance.lab.test", [proxy], "inspect-root", **keys)
            event = refused(case, "tls-inspected", m, proxy, hello_only=False)
            assert "did not ask for a client certificate" in event["msg"], event


def test_no_client_certificate_is_no_excuse(case):
    for version in VERSIONS:
        instance = case.instance(ask="optional", tls_max=version)
        proxy = case.proxy(instance)
        m = system(case, "instance.lab.test", [proxy], "root", client_bundle=None)
        refused(case, "tls-inspected", m, proxy, instance)


def test_an_sct_makes_the_system_store_enough(case):
    for version in VERSIONS:
        m = system(case, case.instance(cert="server-sct", tls_max=version), [], "root")
        assert "mid-one" in m.get("/").json()["client_cert"]["subject"]
        assert m.session()["end"] == "ok" and not m.events("inspection-found")


def test_a_pin_or_trust_decides_about_scts(case):
    for version in VERSIONS:
        instance = case.instance(tls_max=version)
        for name in ("root.pem", "intermediate.pem", "server.pem"):
            m = system(case, instance, [], "root", pin=pin(case, name))
            assert m.get("/").status == 200
            noted = m.events("pin-on-leaf")
            assert len(noted) == (name == "server.pem") and m.get("/").status == 200, noted
        m = system(case, instance, [], "root", pin=[OTHER_PIN, pin(case, "server.pem"), pin(case, "root.pem")])
        assert m.get("/").status == 200 and not m.events("pin-on-leaf")
        m = case.relay(instance)
        assert m.get("/").status == 200 and not m.events("inspection-found")


def test_expect_issuer_does_not_decide_about_scts(case):
    m = system(case, case.instance(), [], "root", expect_issuer="Lab Root CA")
    m.fails("tls-inspected")


def test_pin_that_does_not_match(case):
    for version in VERSIONS:
        for inspection in ("refuse", "ignore"):
            instance = case.instance(tls_max=version)
            proxy = case.proxy(instance)
            m = case.relay("instance.lab.test", [proxy], pin=OTHER_PIN, inspection=inspection)
            refused(case, "tls-pin", m, proxy, instance, text="issued by CN=Lab Intermediate CA")
    instance = case.instance(ask="none")
    proxy = case.proxy(instance)
    m = case.relay("instance.lab.test", [proxy], pin=OTHER_PIN, require_client_cert_request="no")
    refused(case, "tls-pin", m, proxy, instance, hello_only=False)


def test_a_key_that_is_only_sent_is_not_pinned(case):
    """The pin must be in the verified chain; what else the server sends proves nothing."""
    chain = case.write("extra.pem", "".join(open(case.pki[name]).read() for name in (
        "inspect-chain.pem", "intermediate.pem", "root.pem")))
    lab = case.lab
    lab.pki = dict(lab.pki, **{"extra-chain.pem": chain, "extra.key": case.pki["inspect.key"]})
    for version in VERSIONS:
        instance = case.instance(cert="extra", tls_max=version)
        proxy = case.proxy(instance)
        m = case.relay("instance.lab.test", [proxy], trust=case.pki["inspect-root.pem"], pin=pin(case, "root.pem"))
        refused(case, "tls-pin", m, proxy, instance)
        m = case.relay("instance.lab.test", [proxy], trust=case.pki["inspect-root.pem"], expect_issuer="Lab Root CA")
        m.fails("tls-issuer")


@harness.counts_dials
def test_expect_issuer(case):
    for version in VERSIONS:
        instance = case.instance(tls_max=version)
        for good in ("Lab Root CA", "lab intermediate", ["DigiCert", "LAB ROOT"], "CN=Lab Intermediate CA,O=Lab"):
            m = case.relay(instance, expect_issuer=good)
            assert m.get("/").status == 200, good
        proxy = case.proxy(instance)
        m = case.relay("instance.lab.test", [proxy], expect_issuer=["DigiCert", "instance.lab.test"])
        before = len(instance.connections)
        m.fails("tls-issuer")
        assert_nothing_left(None, proxy)
        assert all(r["client_certificates"] == 0 for r in harness.records_done(instance, before + 1)[before:])
        assert 'contains "DigiCert" or another expected name' in m.events("path-failed")[0]["msg"]


def test_a_product_is_named(case):
    """In the issuer, with an SCT or without, by explicit trust or the system's, and when the chain fails."""
    for version in VERSIONS:
        for cert, keys, env in (("product", {}, None), ("product", {"trust": "product-root"}, None),
                                ("product-sct", {"trust": "system"}, "product-root"),
                                ("inspect-expired", {"trust": "product-root"}, None)):
            keys = {key: case.pki[value + ".pem"] if value != "system" else value for key, value in keys.items()}
            instance = case.instance()
            proxy = case.proxy(instance, tunnel="inspect", inspect={"cert": cert, "ask": "optional",
                                                                    "tls_max": version})
            m = case.relay("instance.lab.test", [proxy], start={"env": store(case, env)} if env else None, **keys)
            event = refused(case, "tls-inspected", m, proxy, text="names Zscaler")
            assert "naming Zscaler (inspected)" in event["evidence"], event


def test_ignore_does_not_excuse_a_chain_that_fails(case):
    instance = case.instance()
    proxy = case.proxy(instance, tunnel="inspect", inspect={"cert": "product", "ask": "optional"})
    m = case.relay("instance.lab.test", [proxy], inspection="ignore")
    refused(case, "tls-inspected", m, proxy)


@harness.counts_dials
def test_warn_and_ignore_connect_and_say_so(case):
    for inspection, level in (("warn", "warn"), ("ignore", "info")):
        for version in VERSIONS:
            instance = case.instance(ask="none")
            proxy = case.proxy(instance, tunnel="inspect", inspect={"ask": "optional", "tls_max": version})
            m = system(case, "instance.lab.test", [proxy], "inspect-root", inspection=inspection)
            for _ in range(3):
                assert m.get("/").status == 200
            found = m.wait_event("inspection-found")
            assert found["level"] == level and "LOOKS INSPECTED" in found["msg"], found
            assert "sct: none (inspected)" in found["evidence"], found
            assert len(m.events("inspection-found")) == 1
            # This is what it costs.
            assert harness.records_done(proxy)[0]["inspected"]["client_certificates"] > 0
            assert "GET / HTTP/1.1" in proxy.connections[0]["inspected"]["plaintext"]
            # The path becomes honest.
            proxy.configure(target=harness.address(case.instance(cert="server-sct")), tunnel="relay")
            again = system(case, "instance.lab.test", [proxy], "root", inspection=inspection)
            assert again.get("/").status == 200 and not again.events("inspection-found")


def test_a_change_is_told(case):
    instance = case.instance(tickets=0)
    m = system(case, instance, [], "root", "inspect-root", inspection="warn")
    for cert, events in (("server", (1, 0)), ("server", (1, 0)), ("server-sct", (1, 1)), ("inspect", (2, 1))):
        instance.configure(cert=cert, tickets=0)
        assert m.get("/").status == 200
        found = len(m.events("inspection-found")), len(m.events("inspection-gone"))
        assert found == events, (cert, found)


def test_inspection_moves_on_to_the_next_path(case):
    """Nothing was shown to the inspector, so the next path may be tried."""
    instance = case.instance(cert="server-sct")
    bad = case.proxy(instance, tunnel="inspect", inspect={"ask": "optional"})
    good = case.proxy(instance)
    m = system(case, "instance.lab.test", [bad, good], "root", "inspect-root")
    assert m.get("/").status == 200
    assert m.session()["path"].endswith(":%d" % good.port)
    assert_nothing_left(None, bad)


def test_certificate_in_clear(case):
    """TLS 1.2 shows our certificate: told once for each path, and not with TLS 1.3 or without a certificate."""
    for version, keys, told in (("1.2", {}, 1), ("1.3", {}, 0), ("1.2", {"client_bundle": None}, 0)):
        instance = case.instance(tls_max=version, ask="optional")
        proxies = [case.proxy(instance)]
        m = case.relay("instance.lab.test", proxies, **keys)
        for _ in range(3):
            assert m.get("/").status == 200
        found = m.events("certificate-in-clear")
        assert len(found) == told, (version, keys, found)
        assert not found or (found[0]["level"] == "warn" and "tls_min = 1.3" in found[0]["msg"])
    m = case.relay(case.instance(tls_max="1.2", reject=True))
    m.fails("client-cert-rejected")
    assert len(m.events("certificate-in-clear")) == 1


def test_a_ca_added_to_the_system_locally(case):
    """In a mount name-space of its own, where the store's directory holds the lab's root besides the distribution's."""
    unshare = shutil.which("unshare")
    where = subprocess.run(["openssl", "version", "-d"], capture_output=True, text=True).stdout.split('"')[1]
    certs = os.path.realpath(os.path.join(where, "certs"))
    if not os.path.exists("/var/lib/dpkg/info/ca-certificates.list"):
        raise Skip("ca-certificates was not installed by dpkg")
    added = case.path("certs")
    os.mkdir(added, 0o755)
    shutil.copy(case.pki["root.pem"], added)
    subprocess.run(["openssl", "rehash", added], check=True, capture_output=True)
    script = case.write("in-namespace", '#!/bin/sh\nmount --bind "%s" "%s" && exec "$@"\n' % (added, certs), 0o755)
    wrapper = [unshare, "-r", "-m", script] if os.geteuid() != 0 else [unshare, "-m", script]
    if unshare is None or subprocess.run(wrapper + ["true"], capture_output=True).returncode != 0:
        raise Skip("no mount name-space")
    environment = {"SSL_CERT_FILE": None, "SSL_CERT_DIR": None}
    saved, harness.WRAPPER[:] = list(harness.WRAPPER), wrapper + harness.WRAPPER
    try:
        for version in VERSIONS:
            instance = case.instance(cert="server-sct", tls_max=version)
            proxy = case.proxy(instance)
            m = case.relay("instance.lab.test", [proxy], trust="system", pin=pin(case, "root.pem"),
                           start={"env": environment})
            event = refused(case, "tls-inspected", m, proxy, instance, text="was added to this system's store locally")
            assert "added to this system locally (inspected)" in event["evidence"], event
            m = case.relay(instance, trust="system", inspection="warn", start={"env": environment})
            assert m.get("/").status == 200 and m.wait_event("inspection-found")
            m = case.relay(instance)   # the same CA, named
            assert m.get("/").status == 200 and not m.events("inspection-found")
            # Who names the store has chosen it.
            m = system(case, instance, [], "root")
            assert m.get("/").status == 200 and not m.events("inspection-found")
    finally:
        harness.WRAPPER[:] = saved


if __name__ == "__main__":
    harness.main()
