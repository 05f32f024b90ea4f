#!/usr/bin/python3
"""Proves how the client certificate is read and sent, and what a refused, unasked or expired one ends in."""

import harness
from harness import assert_nothing_left, read_all, request_bytes
import pki


def test_rejected_by_alert(case):
    for version in ("1.2", "1.3"):
        instance = case.instance(reject=True, tls_max=version)
        m = case.relay(instance)
        with m.connect() as sock:
            sock.sendall(request_bytes())
            got, end = read_all(sock)
        # With TLS 1.3 the refusal comes after the handshake: the answer is a 502 or a reset, never an empty end.
        assert got.startswith(b"HTTP/1.1 502 midrelay: client-cert-rejected: ") or end == "reset", (got, end)
        assert m.session()["end"] == "client-cert-rejected", m.session()


def test_unknown_client_ca_is_rejected(case):
    instance = case.instance()
    m = case.relay(instance, client_bundle=case.pki["client-unknown-bundle.pem"])
    with m.connect() as sock:
        sock.sendall(request_bytes())
        read_all(sock)
    assert m.session()["end"] == "client-cert-rejected"


def test_not_requested(case):
    for version in ("1.2", "1.3"):
        instance = case.instance(ask="none", tls_max=version)
        proxy = case.proxy(instance)
        m = case.relay("instance.lab.test", [proxy])
        m.fails("client-cert-not-requested")
        assert_nothing_left(instance, proxy, hello_only=False)


def test_not_requested_may_be_allowed(case):
    for version in ("1.2", "1.3"):
        instance = case.instance(ask="none", tls_max=version)
        m = case.relay(instance, require_client_cert_request="no")
        assert m.get("/").json()["client_cert"] is None


def test_no_certificate_configured(case):
    instance = case.instance(ask="none")
    m = case.relay(instance, client_bundle=None)
    assert m.get("/").status == 200
    asking = case.instance(ask="optional")
    m = case.relay(asking, client_bundle=None)
    assert m.get("/").json()["client_cert"] is None


def test_refused_by_a_400_page(case):
    """An instance's edge says it in HTTP: that passes through untouched."""
    m = case.relay(case.instance(answer="cert-refused"))
    answer = m.get("/")
    assert answer.status == 400 and b"The SSL certificate error" in answer.body
    assert m.session()["end"] == "instance-cert-refused"


@harness.counts_dials
def test_forms_of_the_bundle(case):
    instance = case.instance()
    p = case.pki
    pieces = {name: open(p[name]).read() for name in ("client.pem", "client.key", "client-intermediate.pem",
                                                      "client-root.pem", "client-sec1.key")}
    shuffled = case.write("shuffled.pem", pieces["client-root.pem"] + pieces["client.key"] +
                          "Bag Attributes\n    localKeyID: 01\nsubject=CN = x\n" + pieces["client.pem"] +
                          "\n\n" + pieces["client-intermediate.pem"])
    bom = case.write("bom.pem", "\ufeff" + pieces["client.pem"] + pieces["client-intermediate.pem"] +
                     pieces["client-sec1.key"])
    passphrase = "file:" + case.write("passphrase", pki.KEY_PASSPHRASE + "\n")
    forms = {
        "howto": ({"client_bundle": p["client-bundle.pem"]}, "mid-one"),
        "crlf": ({"client_bundle": p["client-crlf-bundle.pem"]}, "mid-one"),
        "shuffled": ({"client_bundle": shuffled}, "mid-one"),
        "bom-sec1": ({"client_bundle": bom}, "mid-one"),
        "encrypted": ({"client_bundle": p["client-encrypted-bundle.pem"], "client_passphrase": passphrase}, "mid-one"),
        "rsa": ({"client_bundle": p["client-rsa-bundle.pem"]}, "mid-rsa"),
        "split": ({"client_bundle": None, "client_cert": p["client.pem"], "client_key": p["client.key"],
                   "client_chain": p["client-chain.pem"]}, "mid-one"),
        "split-pkcs1": ({"client_bundle": None, "client_cert": p["client-rsa.pem"],
                         "client_key": p["client-rsa-pkcs1.key"],
                         "client_chain": p["client-rsa-chain.pem"]}, "mid-rsa"),
    }
    m = case.start({"relay " + name: case.keys(instance, **keys) for name, (keys, _) in forms.items()})
    for name, (_, subject) in forms.items():
        cert = m.get("/" + name, relay=name).json()["client_cert"]
        assert cert["subject"].endswith("commonName=" + subject), (name, cert)
    # The chain goes along whatever the order in the file, so that a server that knows only the root is content.
    assert all(c["client_certificates"] >= 2 for c in instance.connections), instance.connections


@harness.counts_dials
def test_expired_stops_its_relay_alone(case):
    instance = case.instance()
    m = case.start({"relay " + name: case.keys(instance, client_bundle=case.pki[name + "-bundle.pem"])
                    for name in ("client-expired", "client-not-yet-valid", "client")})
    m.fails("client-cert-expired", relay="client-expired")
    m.fails("client-cert-expired", relay="client-not-yet-valid")
    assert instance.connections == [], "a path was dialled for nothing"
    assert m.get("/", relay="client").status == 200


def test_files_that_cannot_work_start_nothing(case):
    p = case.pki
    instance_port = "instance.lab.test:1"
    world = case.write("world.pem", open(p["client-bundle.pem"]).read(), 0o644)
    mismatch = case.write("mismatch.pem", open(p["client.pem"]).read() + open(p["client-rsa.key"]).read())
    config = case.path("bad.ini")
    for name, keys, word in (("world", {"client_bundle": world}, "every user"),
                             ("mismatch", {"client_bundle": mismatch}, "key"),
                             ("missing", {"client_bundle": case.path("nowhere.pem")}, "No such file"),
                             ("encrypted", {"client_bundle": p["client-encrypted-bundle.pem"]}, "client_passphrase")):
        harness.write_config(config, {"relay r": case.keys(instance_port, **keys)})
        done = case.run("run", "-c", config)
        assert done.returncode == 78, (name, done)
        assert "bad.ini:" in done.stderr and word.lower() in done.stderr.lower(), (name, done.stderr)


if __name__ == "__main__":
    harness.main()
