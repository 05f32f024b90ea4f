#!/usr/bin/python3
"""Proves that log_level = debug tells every TLS handshake in words, with the target and with a proxy, and info nothing."""

import hashlib
import json
import os
import ssl

import harness
import real
from harness import both_versions, records_done

os.environ.pop("MIDRELAY_WORKERS", None)  # each worker keeps sessions of its own


def traced(m, number=1, peer="target"):
    """What was said of a session's TLS, in order; its keys are looked at, too."""
    found = [e for e in m.events("tls-trace") if e["id"] == str(number) and e["peer"] == peer]
    for event in found:
        assert set(event) == {"ts", "level", "event", "relay", "id", "path", "peer", "msg"}, event
        assert event["level"] == "debug" and event["relay"] == "r", event
        assert all(" " <= c <= "~" for c in event["msg"]) and len(event["msg"]) < 1600, event
    return [event["msg"] for event in found]


def says(lines, *starts):
    """Lines that begin so, in this order, perhaps with others between."""
    rest = iter(lines)
    for start in starts:
        assert any(line.startswith(start) for line in rest), (start, lines)


def fingerprints(path):
    with open(path) as file:
        blocks = file.read().split("-----END CERTIFICATE-----")
    ders = [ssl.PEM_cert_to_DER_cert(b[b.index("-----BEGIN"):] + "-----END CERTIFICATE-----")
            for b in blocks if "-----BEGIN CERTIFICATE" in b]
    return [hashlib.sha256(der).hexdigest().upper() for der in ders]


def certificates(lines, what):
    """The fingerprints of the certificates that were told as that."""
    found = [line for line in lines if line.startswith(what + " ")]
    for n, line in enumerate(found, 1):
        assert line.startswith("%s %d of %d: CN=" % (what, n, len(found))), line
        assert all("; %s" % word in line for word in ("issuer CN=", "valid 20", "key ", "signed with ", "SHA-256 ")), line
    return [line.rsplit(" ", 1)[1].replace(":", "") for line in found]


# What is said

@harness.counts_dials
@both_versions
def test_full_handshake(case, version):
    instance = case.instance(tls_max=version, alpn=["http/1.1"])
    m = case.relay(instance, tls_groups="X25519:P-256:P-384")
    assert m.get("/").status == 200
    m.session()
    lines = traced(m)
    new = "versions: TLSv1.3 TLSv1.2; SNI: instance.lab.test; ALPN: none; session offered: none"
    assert any(line.startswith("sent ClientHello, ") and line.endswith(new) for line in lines), lines
    for part in ("cipher suites: TLS_AES_256_GCM_SHA384 ", "groups: x25519 ", "signature algorithms: ",
                 "extensions: "):
        says(lines, "ClientHello " + part)
    hello = next(line for line in lines if line.startswith("received ServerHello, "))
    assert ": TLSv%s" % version in hello and "; cipher " in hello and "; a new session" in hello, hello
    if version == "1.3":
        assert "; group x25519;" in hello, hello
        says(lines, "our certificate 1 of 2: CN=mid-one,", "sent ClientHello", "received ServerHello",
             "received EncryptedExtensions", "received CertificateRequest", "received Certificate,",
             "the server's certificate 1 of 2: CN=instance.lab.test,", "received CertificateVerify", "verified chain 1",
             "received Finished", "sent Certificate,", "sent CertificateVerify", "sent Finished", "handshake done: TLSv1.3",
             "received NewSessionTicket", "sent alert: close_notify (0), warning")
    else:
        says(lines, "our certificate 1 of 2", "sent ClientHello", "received ServerHello", "received Certificate,",
             "received ServerKeyExchange", "received CertificateRequest", "verified chain 1", "received ServerHelloDone",
             "sent Certificate,", "sent ClientKeyExchange", "sent CertificateVerify", "sent ChangeCipherSpec",
             "sent Finished", "received NewSessionTicket", "received Finished", "handshake done: TLSv1.2")
    done = next(line for line in lines if line.startswith("handshake done: "))
    session = m.events("session")[0]
    assert done == ("handshake done: TLSv%s; cipher %s; group x25519; new session; server signature "
                    "ecdsa_secp256r1_sha256; our certificate sent; our signature ecdsa_secp256r1_sha256"
                    % (version, session["cipher"])), done
    # All of it happened, and in the order that the server saw.
    names = {"CLIENT_HELLO": "ClientHello", "CERTIFICATE": "Certificate", "CERTIFICATE_VERIFY": "CertificateVerify",
             "CLIENT_KEY_EXCHANGE": "ClientKeyExchange", "FINISHED": "Finished"}
    seen = [names[name] for way, name in records_done(instance)[0]["handshake"] if way == "read" and name in names]
    told = [line.split()[1].rstrip(",") for line in lines if line.startswith("sent ") and line.split()[1] != "alert:"]
    assert [name for name in told if name != "ChangeCipherSpec"] == seen, (told, seen)


@harness.counts_dials
def test_chains(case):
    """As received, as verified, and ours, to the last byte of the fingerprint."""
    instance = case.instance()
    m = case.relay(instance)
    m.get("/")
    m.session()
    lines = traced(m)
    sent = fingerprints(case.pki["server-chain.pem"])
    assert certificates(lines, "the server's certificate") == sent, lines
    assert certificates(lines, "verified chain") == sent + fingerprints(case.pki["root.pem"]), lines
    ours = certificates(lines, "our certificate")
    assert len(ours) == 2 and set(ours) < set(fingerprints(case.pki["client-bundle.pem"])), (ours, lines)


@harness.counts_dials
@both_versions
def test_resumption(case, version):
    instance = case.instance(tls_max=version)
    m = case.relay(instance)
    for n in range(2):
        assert m.get("/").status == 200
        m.session(n + 1)
    assert m.events("session")[1]["resumed"] == "yes"
    lines = traced(m, 2)
    says(lines, "sent ClientHello", "received ServerHello", "handshake done: TLSv%s" % version)
    assert any(line.endswith("session offered: a TLS %s ticket" % version) for line in lines), lines
    assert any("; the session that was offered is resumed; " in line for line in lines), lines
    says(lines, "no chain to verify: the session inherits the verdict")
    done = next(line for line in lines if line.startswith("handshake done: "))
    assert "; session resumed; server signature none; our certificate shown when the session was made;" in done, done
    assert certificates(lines, "verified chain") == []


@harness.counts_dials
def test_alert_from_the_server(case):
    instance = case.instance(handshake="alert")
    m = case.relay(instance)
    m.fails("tls-alert")
    says(traced(m), "sent ClientHello", "received alert: handshake_failure (40), fatal",
         "handshake failed: instance.lab.test sent the TLS alert")


@harness.counts_dials
def test_no_common_version(case):
    instance = case.instance(tls_max="1.2")
    m = case.relay(instance, tls_min="1.3")
    m.fails("tls-version")
    lines = traced(m)
    says(lines, "sent ClientHello", "received alert: protocol_version (70), fatal", "handshake failed: ")
    assert any("; versions: TLSv1.3; " in line for line in lines), lines


@harness.counts_dials
@both_versions
def test_refused_client_certificate(case, version):
    """In TLS 1.3 the refusal comes when the handshake is over; it is told all the same."""
    instance = case.instance(reject=True, tls_max=version)
    m = case.relay(instance)
    m.fails("client-cert-rejected")
    lines = traced(m)
    says(lines, "received CertificateRequest", "sent Certificate,", "sent Finished", "received alert: unknown_ca (48), fatal")
    says(lines, "handshake done: TLSv1.3" if version == "1.3" else "handshake failed: ")
    # Named by the server: whose certificates it takes.
    assert "our certificate sent" in lines[-1] or version == "1.3", lines


@harness.counts_dials
def test_refused_server(case):
    """The chain as far as it could be built, why it was refused, the alert, and that ours was not sent."""
    for cert, why, alert in (("untrusted", "unable to get local issuer certificate", "unknown_ca (48)"),
                             ("expired", "certificate has expired", "certificate_expired (45)"),
                             ("wrong-name", "hostname mismatch", "bad_certificate (42)")):
        instance = case.instance(cert=cert)
        m = case.relay(instance)
        m.get("/")
        m.session()
        lines = traced(m)
        says(lines, "the server's certificate 1 of ", "chain as far as it was built 1 of ",
             "the server's chain does not verify: ", "sent alert: " + alert, "handshake failed: ")
        assert any(line.startswith("the server's chain does not verify: ") and why in line for line in lines), (why, lines)
        assert lines[-1].endswith("; our certificate asked for, not sent"), lines
        assert not any(line.startswith("sent Certificate") for line in lines), lines


@harness.counts_dials
def test_inspected_server(case):
    """A chain that verifies, and a server that is refused all the same."""
    instance = case.instance()
    m = case.relay(instance, trust=None, inspection="refuse",
                   start={"env": {"SSL_CERT_FILE": case.pki["root.pem"]}})
    m.fails("tls-inspected")
    lines = traced(m)
    says(lines, "verified chain 3 of 3: ", "the server is refused: ", "sent alert: ", "handshake failed: ")
    assert not any(line.startswith("sent Certificate") for line in lines), lines


@harness.counts_dials
def test_no_certificate_of_ours(case):
    instance = case.instance()
    m = case.relay(instance, client_bundle=None)
    m.fails("client-cert-rejected")
    says(traced(m), "our certificate: none is configured", "sent ClientHello",
         "sent Certificate, 8 bytes: 0 certificates: the server asked, and gets none of ours",
         "received alert: certificate_required (116), fatal")


# The proxy's own TLS

@harness.counts_dials
@both_versions
def test_https_proxy(case, version):
    """Both layers are told, each as itself, and the credentials between them are not."""
    instance = case.instance()
    proxy = case.proxy(instance, tls={"tls_max": version, "ask": "required"})
    m = case.relay("instance.lab.test", ["https://localhost:%d" % proxy.port], auth=True,
                   proxy_trust=case.pki["root.pem"], proxy_client_bundle=case.pki["client-renewed-bundle.pem"])
    assert m.get("/").status == 200
    m.session()
    outer, inner = traced(m, peer="proxy"), traced(m)
    says(outer, "our certificate 1 of 2: CN=mid-one-renewed,", "sent ClientHello", "sent Certificate,",
         "handshake done: TLSv" + version)
    assert any("; SNI: localhost; " in line for line in outer), outer
    says(inner, "our certificate 1 of 2: CN=mid-one,", "sent ClientHello", "handshake done: TLSv1.3")
    assert any("; SNI: instance.lab.test; " in line for line in inner), inner
    assert {e["path"] for e in m.events("tls-trace")} == {"https://localhost:%d" % proxy.port}
    assert b"CONNECT" not in m.log_bytes() and b"Basic" not in m.log_bytes()


@harness.counts_dials
def test_https_proxy_that_refuses(case):
    proxy = case.proxy(case.instance(), tls={"cert": "untrusted"})
    m = case.relay("instance.lab.test", [proxy], proxy_trust=case.pki["root.pem"])
    m.fails("proxy-tls")
    says(traced(m, peer="proxy"), "the server's chain does not verify: ", "sent alert: unknown_ca (48), fatal",
         "handshake failed: ")
    assert traced(m) == []


def test_second_path(case):
    """Each line names the path that was dialled."""
    instance = case.instance()
    bad = case.proxy(instance, tls={"cert": "untrusted"})
    good = case.proxy(instance)
    m = case.relay("instance.lab.test", [bad, good], proxy_trust=case.pki["root.pem"])
    assert m.get("/").status == 200
    m.session()
    assert {(e["path"], e["peer"]) for e in m.events("tls-trace")} == {
        (harness.url(bad), "proxy"), (harness.url(good), "target")}


# When nothing is said

@harness.counts_dials
def test_nothing_at_info(case):
    """And no application data, whatever the level: the harness looks for secrets."""
    instance = case.instance()
    m = case.relay(instance, process={"log_level": "info"})
    assert m.get("/").status == 200
    m.session()
    assert m.events("tls-trace") == [] and b"ClientHello" not in m.log_bytes()
    # The level at the start of a dial decides: a reload to debug is enough, and what was there before stays silent to its
    # end, because no call-back was set.
    with m.connect() as sock:
        assert harness.ask(sock).status == 200
        m.sections["midrelay"]["log_level"] = "debug"
        m.write()
        m.reload()
    m.session(2)
    assert m.get("/").status == 200
    m.session(3)
    assert traced(m, 1) == [] and traced(m, 2) == [] and traced(m, 3) != []


@harness.counts_dials
def test_no_secret(case):
    """The bytes of keys, tickets and data stay out: what the lab knows of each is looked for."""
    instance = case.instance(tls_max="1.3")
    m = case.relay(instance)
    body = "a-body-that-nobody-logs"
    assert m.get("/", method="POST", body=body.encode()).status == 200
    m.session()
    with open(instance.keylog) as keys:
        secrets = [line.split()[-1] for line in keys if not line.startswith("#")]
    log = m.log_bytes().decode()
    assert secrets and traced(m)
    for secret in secrets + [body]:
        assert secret.lower() not in log.lower()


@harness.counts_dials
def test_json(case):
    instance = case.instance()
    m = case.relay(instance, process={"log_format": "json"})
    m.get("/")
    m.session()
    lines = [json.loads(line) for line in m.log_bytes().decode().strip().split("\n")]
    found = [line for line in lines if line["event"] == "tls-trace"]
    assert found and all(line["id"] == 1 and line["peer"] == "target" for line in found), found[:1]


# Real servers

@harness.counts_dials
def test_nginx(case):
    """With the names of the CAs that it accepts."""
    for version in ("1.2", "1.3"):
        nginx = real.nginx(case, tls="TLSv" + version)
        m = case.start({"midrelay": {"log_level": "debug"}, "relay r": case.keys(
            "instance.lab.test:%d" % nginx.port, target_address="127.0.0.1")})
        for n in range(2):
            assert b"verify SUCCESS" in m.get("/").body
            m.session(n + 1)
        says(traced(m), "sent ClientHello", "CertificateRequest acceptable CA 1 of ", "handshake done: TLSv" + version)
        assert any(line.startswith("CertificateRequest acceptable CA ") and "CN=Lab Client Root CA" in line
                   for line in traced(m)), traced(m)
        assert m.events("session")[1]["resumed"] == "yes"
        says(traced(m, 2), "sent ClientHello", "received ServerHello", "handshake done: TLSv" + version)


if __name__ == "__main__":
    harness.main()
