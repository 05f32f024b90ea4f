#!/usr/bin/python3
"""Proves `revocation`: lists from a file, staples from a server; what is missing, stale or bad refuses, by name."""

import base64
import os
import shutil
import subprocess
import time

import harness
import real
from harness import Skip, assert_nothing_left
import pki as pki_maker

VERSIONS = ("1.2", "1.3")


def openssl(*args):
    return subprocess.run(("openssl",) + args, check=True, capture_output=True, text=True).stdout


def index(case, *revoked, known=("server",)):
    """A CA's data base, as `openssl ca` and `openssl ocsp` read it."""
    lines = []
    for name in known:
        serial = openssl("x509", "-noout", "-serial", "-in", case.pki[name + ".pem"]).strip().split("=")[1]
        state = "R\t351231235959Z\t260101000000Z" if name in revoked else "V\t351231235959Z\t"
        lines.append("%s\t%s\tunknown\t/CN=%s\n" % (state, serial, name))
    directory = case.path("ca-%d" % len(os.listdir(case.dir)))
    os.mkdir(directory)
    for name, text in (("index", "".join(lines)), ("index.attr", "unique_subject = no\n"), ("ca.cnf", """\
[ca]
default_ca = one
[one]
database = %s/index
default_md = sha256
""" % directory)):
        with open(os.path.join(directory, name), "w") as out:
            out.write(text)
    return directory


def crl(case, issuer, *revoked, days=(-1, 1), der=False):
    """The text of one list."""
    directory = index(case, *revoked, known=revoked)
    when = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + day * 86400)) for day in days]
    out = os.path.join(directory, "crl")
    openssl("ca", "-gencrl", "-config", os.path.join(directory, "ca.cnf"), "-cert", case.pki[issuer + ".pem"],
            "-keyfile", case.pki[issuer + ".key"], "-crl_lastupdate", when[0], "-crl_nextupdate", when[1], "-out", out)
    if der:
        openssl("crl", "-in", out, "-outform", "DER", "-out", out + ".der")
        return out + ".der"
    with open(out) as file:
        return file.read()


def crl_keys(case, *lists):
    return {"revocation": "crl", "crl_file": case.write("crl.pem", "".join(lists), 0o644)}


def both_versions(case, code, text, keys, **scenario):
    for version in VERSIONS:
        for ask in ("required", "none"):
            instance = case.instance(tls_max=version, ask=ask, **scenario)
            proxy = case.proxy(instance)
            m = case.relay("instance.lab.test", [proxy], require_client_cert_request="no", **keys)
            if code is None:
                assert m.get("/").status == 200
                assert m.session()["end"] == "ok"
                continue
            answer = m.fails(code)
            assert text in answer.reason, (text, answer.reason)
            # Without a request the verdict on a staple falls after the handshake; that on a chain within it.
            assert_nothing_left(instance, proxy, hello_only=ask == "required")


def test_lists_that_cover_the_chain(case):
    both_versions(case, None, "", crl_keys(case, crl(case, "intermediate"), crl(case, "root")))


def test_revoked_certificates(case):
    both_versions(case, "tls-revoked", "CN=instance.lab.test,O=Lab is revoked, says the list of CN=Lab Intermediate CA",
                  crl_keys(case, crl(case, "intermediate", "server"), crl(case, "root")))
    both_versions(case, "tls-revoked", "CN=Lab Intermediate CA,O=Lab is revoked, says the list of CN=Lab Root CA",
                  crl_keys(case, crl(case, "intermediate"), crl(case, "root", "intermediate")))


def test_missing_lists(case):
    both_versions(case, "tls-revoked", "no revocation list of CN=Lab Root CA",
                  crl_keys(case, crl(case, "intermediate")))
    both_versions(case, "tls-revoked", "no revocation list of CN=Lab Intermediate CA",
                  crl_keys(case, crl(case, "root")))


def test_stale_list(case):
    keys = crl_keys(case, crl(case, "intermediate", days=(-3, -1)), crl(case, "root"))
    both_versions(case, "tls-revoked", "the revocation list of CN=Lab Intermediate CA,O=Lab is out of date since", keys)
    assert b"out of date since" in case.midrelays[-1].log_bytes().split(b"info ready")[0], "not said at start"


def test_the_anchor_needs_no_list(case):
    """A root's list is demanded for what it issued, not for itself; an intermediate that is trusted by name is a root."""
    keys = crl_keys(case, crl(case, "intermediate"))
    both_versions(case, None, "", dict(keys, trust=case.pki["intermediate.pem"]))
    path = crl(case, "untrusted-root", der=True)
    both_versions(case, None, "", {"revocation": "crl", "crl_file": path, "trust": case.pki["untrusted-root.pem"]},
                  cert="untrusted")


def test_a_list_by_another_key_counts_for_nothing(case):
    """The CA's name, but not its key."""
    pki = case.pki
    forged = case.path("forged.pem")
    subprocess.run(["openssl", "req", "-new", "-x509", "-subj", "/O=Lab/CN=Lab Root CA", "-key", pki["client.key"],
                    "-out", forged, "-days", "2"], check=True, capture_output=True)
    case.pki = dict(pki, **{"forged.pem": forged, "forged.key": pki["client.key"]})
    text = crl(case, "forged")
    case.pki = pki
    both_versions(case, "tls-revoked", "", crl_keys(case, crl(case, "intermediate"), text))


def test_files_that_are_no_lists(case):
    for name, text, says in (("none", "", "holds no revocation list"), ("cert", open(case.pki["root.pem"]).read(),
                                                                       "holds no revocation list"),
                             ("cut", crl(case, "root")[:-100], "cannot be read"), ("gone", None, "No such file")):
        path = case.path(name)
        if text is not None:
            case.write(name, text)
        case.write("bad.ini", "[relay r]\nlisten = 127.0.0.1:0\ntarget = t.example\nrevocation = crl\n"
                   "crl_file = %s\n" % path)
        done = case.run("run", "-c", case.path("bad.ini"))
        assert done.returncode == 78 and ":5: crl_file: %s: " % path in done.stderr and says in done.stderr, done


def test_a_reload_reads_the_lists_again(case):
    """And drops the sessions that were verified against the old ones."""
    m = case.relay(case.instance(), **crl_keys(case, crl(case, "intermediate"), crl(case, "root")))
    assert m.get("/").status == 200
    m.wait_event("session")
    crl_keys(case, crl(case, "intermediate", "server"), crl(case, "root"))
    assert m.get("/").status == 200
    m.reload()
    m.fails("tls-revoked")


# Staples: openssl s_server sends what it is told to.

def staple(case, *revoked, signer="intermediate"):
    directory = index(case, *revoked)
    request, out = os.path.join(directory, "request"), os.path.join(directory, "response")
    issuer = case.pki["intermediate.pem"]
    openssl("ocsp", "-issuer", issuer, "-cert", case.pki["server.pem"], "-no_nonce", "-reqout", request)
    openssl("ocsp", "-index", os.path.join(directory, "index"), "-CA", issuer, "-rsigner", case.pki[signer + ".pem"],
            "-rkey", case.pki[signer + ".key"], "-reqin", request, "-respout", out, "-ndays", "1")
    return out


def server(case, *more, version="1.3"):
    """Answers every request with a page about its TLS session."""
    pki = case.pki

    def command(s):
        return [real.program("openssl"), "s_server", "-accept", "127.0.0.1:%d" % s.port, "-www", "-cert",
                pki["server.pem"], "-key", pki["server.key"], "-cert_chain", pki["intermediate.pem"],
                "-CAfile", pki["client-cas.pem"], "-Verify", "3", "-tls1_2" if version == "1.2" else "-tls1_3", *more]
    return real.Server(case, "s_server", lambda s: None, command)


def relay(case, port, **keys):
    m = case.relay("instance.lab.test:%d" % port, [], target_address="127.0.0.1", **keys)
    m.opened = None
    return m


def test_staples(case):
    good, bad = staple(case), staple(case, "server")
    foreign = staple(case, signer="untrusted-root")
    for version in VERSIONS:
        m = relay(case, server(case, "-status_file", good, version=version).port, revocation="staple")
        assert m.get("/").status == 200 and m.session()["end"] == "ok"
        for args, text in ((["-status_file", bad], "was revoked at 2026-01-01T00:00:00Z"),
                           (["-status_file", foreign], "not signed by"), ([], "sent no OCSP staple")):
            m = relay(case, server(case, *args, version=version).port, revocation="staple")
            said = m.fails("tls-revoked")
            assert text in said.reason, (text, said.reason)


def test_both(case):
    lists = crl_keys(case, crl(case, "intermediate"), crl(case, "root"))["crl_file"]
    m = relay(case, server(case, "-status_file", staple(case)).port, revocation="staple, crl", crl_file=lists)
    assert m.get("/").status == 200
    m = relay(case, server(case).port, revocation="staple, crl", crl_file=lists)
    m.fails("tls-revoked")


def test_an_sct_in_tls(case):
    """Delivered by the TLS extension it counts as one in the certificate does."""
    # SSL_CTX_use_serverinfo_ex(3), version 2: where it may stand (ClientHello, TLS 1.2 ServerHello, TLS 1.3
    # Certificate, not when resumed), type, length, value.
    data = bytes.fromhex("000011c0") + bytes([0, 18]) + len(pki_maker.SCT_LIST).to_bytes(2, "big") + pki_maker.SCT_LIST
    info = case.write("serverinfo.pem", "-----BEGIN SERVERINFOV2 FOR SCT-----\n%s-----END SERVERINFOV2 FOR SCT-----\n" %
                      base64.encodebytes(data).decode())
    env = {"SSL_CERT_FILE": case.pki["root.pem"], "SSL_CERT_DIR": case.path("none")}
    for version in VERSIONS:
        m = relay(case, server(case, "-serverinfo", info, version=version).port, trust="system", start={"env": env})
        assert m.get("/").status == 200, m.tail()
        m = relay(case, server(case, version=version).port, trust="system", start={"env": env})
        m.fails("tls-inspected")


@harness.counts_dials
def test_relays_with_the_same_trust_share_it(case):
    """And nobody else does: neither one with another trust between them, nor one with lists of revoked certificates."""
    instance = case.instance()
    trusts = {"first": {}, "other": {"trust": case.pki["inspect-root.pem"]}, "third": {},
              "lists": crl_keys(case, crl(case, "intermediate", "server"), crl(case, "root")), "last": {}}
    m = case.start({"relay " + name: case.keys(instance, **keys) for name, keys in trusts.items()})
    for name in ("first", "third", "last"):
        assert m.get(relay=name).status == 200
    assert m.get(relay="other").status == 502 and m.get(relay="lists").status == 502
    codes = {event["relay"]: event["code"] for event in m.events("path-failed")}
    assert codes == {"other": "tls-untrusted", "lists": "tls-revoked"}, codes
    if not shutil.which("strace") or harness.INSTRUMENTED:
        raise Skip("strace is not installed, or cannot look (LeakSanitizer)")
    trace = case.path("trace")
    done = case.run("config", "-c", m.config, around=["strace", "-f", "-qq", "-e", "trace=openat", "-o", trace])
    assert done.returncode == 0, done
    opened = sum(line.count('"%s"' % case.pki["root.pem"]) for line in open(trace))
    assert opened == 2, opened    # one for the three, one for the one with lists


if __name__ == "__main__":
    harness.main()
