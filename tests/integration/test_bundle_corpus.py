#!/usr/bin/python3
"""
Proves the verdict of `midrelay bundle` on files as people have them, good and bad, and that what `bundle make` writes is
taken by midrelay, openssl, curl with nginx, and Java's keytool.
"""

import base64
import json
import os
import re
import resource
import signal
import subprocess
import time

import harness
import real
from harness import Skip

PASSPHRASE = "p\u00e4ss word"

EXTENSIONS = """\
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[any]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:www.lab.test, IP:127.0.0.1
[nosign]
keyUsage = critical, keyAgreement
extendedKeyUsage = clientAuth
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[caclient]
basicConstraints = critical, CA:TRUE
extendedKeyUsage = clientAuth
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[signer]
new_certs_dir = DIR
database = DIR/index.txt
rand_serial = yes
default_md = sha256
policy = anything
unique_subject = no
[anything]
organizationName = optional
commonName = supplied
"""

KEYS = {
    "ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "k1": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
    "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
    "ed25519": ["-algorithm", "ED25519"],
}

LONG = (-2, 3650)
# name: (issuer or None, extensions, validity in days from now, key, digest)
CERTIFICATES = {
    "root": (None, "ca", LONG, "ec", "sha256"),
    "mid": ("root", "ca", LONG, "ec", "sha256"),
    "mid-expired": ("root", "ca", (-60, -1), "ec", "sha256"),
    "leaf": ("mid", "client", LONG, "ec", "sha256"),
    "rsa": ("mid", "client", LONG, "rsa", "sha256"),
    "p384": ("mid", "client", LONG, "p384", "sha384"),
    "ed25519": ("mid", "client", LONG, "ed25519", "sha256"),
    "under-root": ("root", "client", LONG, "ec", "sha256"),
    "self": (None, "client", LONG, "ec", "sha256"),
    "no-eku": ("mid", "any", LONG, "ec", "sha256"),
    "server": ("mid", "server", LONG, "ec", "sha256"),
    "nosign": ("mid", "nosign", LONG, "ec", "sha256"),
    "ca-leaf": ("mid", "caclient", LONG, "ec", "sha256"),
    "expired": ("mid", "client", (-60, -1), "ec", "sha256"),
    "early": ("mid", "client", (2, 365), "ec", "sha256"),
    "weak": ("mid", "client", LONG, "rsa1024", "sha256"),
    "sha1": ("mid", "client", LONG, "ec", "sha1"),
    "k1": ("mid", "client", LONG, "k1", "sha256"),
    "under-expired": ("mid-expired", "client", LONG, "ec", "sha256"),
}


class Parts:
    """Certificates and keys as bytes, by name, and the openssl command to make other forms of them."""

    def __init__(self, case):
        self.dir = case.path("parts")
        os.mkdir(self.dir)
        for name, spec in CERTIFICATES.items():
            self.make(name, *spec)

    def openssl(self, *args, **kwargs):
        done = subprocess.run(["openssl", *args], cwd=self.dir, capture_output=True,
                              env=dict(os.environ, PASSPHRASE=PASSPHRASE), **kwargs)
        assert done.returncode == 0, (args, done.stderr)
        return done.stdout

    def file(self, name, content=None):
        path = os.path.join(self.dir, name)
        if content is not None:
            with open(path, "wb") as out:
                out.write(content)
        return path

    def __getitem__(self, name):
        with open(self.file(name), "rb") as file:
            return file.read()

    def make(self, name, issuer, extensions, validity, key, digest):
        own = self.file(name + ".ca")
        os.mkdir(own)
        self.file(name + ".ca/index.txt", b"")
        config = self.file(name + ".cnf", EXTENSIONS.replace("DIR", own).encode())
        self.openssl("genpkey", *KEYS[key], "-out", name + ".key")
        self.openssl("req", "-new", "-config", config, "-key", name + ".key", "-subj", "/O=Corpus/CN=" + name,
                     "-out", name + ".csr")
        signer = ["-cert", issuer + ".pem", "-keyfile", issuer + ".key"] if issuer else \
            ["-selfsign", "-keyfile", name + ".key"]
        day = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400)) for days in validity]
        self.openssl("ca", "-batch", "-notext", "-config", config, "-name", "signer", "-md", digest, "-in",
                     name + ".csr", "-out", name + ".pem", "-extensions", extensions, "-startdate", day[0],
                     "-enddate", day[1], *signer)

    def pems(self, *names):
        return b"".join(self[name + ".pem"] for name in names)

    def pfx(self, name, *options, chain=("mid", "root"), passphrase="env:PASSPHRASE"):
        certs = self.file("pfx-certs.pem", self.pems(name, *chain))
        return self.openssl("pkcs12", "-export", "-in", certs, "-inkey", name + ".key", "-passout", passphrase, *options)

    def der(self, name):
        return self.openssl("x509", "-in", name + ".pem", "-outform", "DER")


def bag(text):
    return b"Bag Attributes\r\n    localKeyID: 01 00 00 00\r\nsubject=CN = x\r\n" + text


def good(p):
    """name: the files, in the order in which they are named.  All of them make a bundle that works."""
    leaf, mid, root, key = p["leaf.pem"], p["mid.pem"], p["root.pem"], p["leaf.key"]
    full = leaf + mid + root + key
    encrypted = p.openssl("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", "leaf.key", "-passout", "env:PASSPHRASE")
    scrypt = p.openssl("pkcs8", "-topk8", "-scrypt", "-in", "leaf.key", "-passout", "env:PASSPHRASE")
    traditional = p.openssl("ec", "-in", "leaf.key", "-aes128", "-passout", "env:PASSPHRASE")
    p7 = p.openssl("crl2pkcs7", "-nocrl", "-certfile", p.file("p7.pem", mid + root))
    p7_der = p.openssl("crl2pkcs7", "-nocrl", "-certfile", "p7.pem", "-outform", "DER")
    rsa = p.pems("rsa", "mid", "root")
    # In a PFX made on Windows the whole chain is in, and RC2-40 hides the certificates.
    pfx_legacy = p.pfx("rsa", "-legacy")
    assert b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x06" in pfx_legacy, "no RC2-40 in what -legacy makes"
    return {
        "the how-to's order": [full],
        "key first": [key + leaf + mid + root],
        "key behind the leaf": [leaf + key + mid + root],
        "backwards": [root + mid + leaf + key],
        "one file each": [root, key, mid, leaf],
        "CRLF": [full.replace(b"\n", b"\r\n")],
        "CR": [full.replace(b"\n", b"\r")],
        "UTF-8 mark": [b"\xef\xbb\xbf" + full],
        "blank lines": [b"\n\n" + leaf + b"\r\n\r\n" + mid + b" \n\t\n" + root + key],
        "0x1A at the joins": [leaf + b"\x1a", mid + b"\x1a" + root + b"\x1a" + key + b"\x1a"],
        "no line end at the joins": [leaf.strip() + mid.strip() + root.strip() + key],
        "bag attributes": [bag(leaf) + bag(mid) + bag(root) + bag(key)],
        "UTF-16 little, with mark": [b"\xff\xfe" + full.decode().encode("utf-16-le")],
        "UTF-16 big, with mark": [b"\xfe\xff" + full.decode().encode("utf-16-be")],
        "UTF-16 little, no mark": [full.decode().replace("\n", "\r\n").encode("utf-16-le")],
        "UTF-16 big, no mark": [full.decode().encode("utf-16-be")],
        "UTF-16 joined": [b"".join(b"\xff\xfe" + part.decode().encode("utf-16-le") for part in (leaf, mid, root, key))],
        "DER": [p.der("leaf"), p.der("mid"), p.der("root"), p.openssl("pkey", "-in", "leaf.key", "-outform", "DER")],
        "DER and PEM": [p.der("leaf"), mid + root, key],
        "SEC1 key": [leaf + mid + root, p.openssl("ec", "-in", "leaf.key")],
        "SEC1 DER key": [leaf + mid + root, p.openssl("ec", "-in", "leaf.key", "-outform", "DER")],
        "PKCS#1 key": [rsa, p.openssl("rsa", "-traditional", "-in", "rsa.key")],
        "PKCS#8 RSA key": [rsa, p["rsa.key"]],
        "encrypted PKCS#8": [leaf + mid + root, encrypted],
        "scrypt": [leaf + mid + root, scrypt],
        "encrypted the traditional way": [leaf + mid + root, traditional],
        "P-384": [p.pems("p384", "mid", "root"), p["p384.key"]],
        "Ed25519": [p.pems("ed25519", "mid", "root"), p["ed25519.key"]],
        "no intermediate needed": [p.pems("under-root", "root"), p["under-root.key"]],
        "twice the same": [full, full],
        "PKCS#7": [leaf + key, p7],
        "PKCS#7 in DER": [leaf + key, p7_der],
        "PFX": [p.pfx("rsa")],
        "PFX with 3DES": [p.pfx("rsa", "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1")],
        "PFX with RC2": [pfx_legacy],
        "PFX without MAC": [p.pfx("leaf", "-nomac")],
        "PFX without chain": [p.pfx("leaf", chain=()), mid, root],
        "PFX as PEM": [b"-----BEGIN PKCS12-----\n" + base64.encodebytes(p.pfx("leaf")) + b"-----END PKCS12-----\n"],
        "PFX with the key beside it": [p.pfx("leaf"), key],
        "server certificates in the file": [full + p["server.pem"]],
    }


def bad(p):
    """name: (files, the codes `show` and `make` refuse with)."""
    mid_root = p.pems("mid", "root")

    def one(name, *codes):
        return [p[name + ".pem"] + mid_root, p[name + ".key"]], codes
    return {
        "self-signed": ([p["self.pem"] + p["self.key"]], ["self-signed"]),
        "no EKU": one("no-eku", "no-client-auth"),
        "a server's": one("server", "no-client-auth"),
        "expired": one("expired", "expired"),
        "not yet valid": one("early", "not-yet-valid"),
        "weak key": one("weak", "weak-key"),
        "SHA-1": one("sha1", "weak-hash"),
        "expired intermediate": ([p.pems("under-expired", "mid-expired", "root"), p["under-expired.key"]], ["expired"]),
        "no root": ([p.pems("leaf", "mid"), p["leaf.key"]], ["chain-incomplete"]),
        "no intermediate": ([p.pems("leaf", "root"), p["leaf.key"]], ["chain-incomplete"]),
        "leaf alone": ([p["leaf.pem"], p["leaf.key"]], ["chain-incomplete"]),
        "another's key": ([p["leaf.pem"] + mid_root, p["rsa.key"]], ["key-mismatch"]),
        "no key": ([p["leaf.pem"] + mid_root], ["no-key"]),
        "no certificate": ([p["leaf.key"]], ["no-certificate"]),
        "all at once": ([p["expired.pem"], p["expired.key"]], ["chain-incomplete", "expired"]),
        "PFX of a self-signed": ([p.pfx("self", chain=())], ["self-signed"]),
    }


def unreadable(p):
    """name: (files, words of the message)."""
    leaf, key = p["leaf.pem"], p["leaf.key"]
    return {
        "two keys": ([leaf + key + p["rsa.key"]], "is a second private key"),
        "request": ([p["leaf.csr"], key], "is a certificate request"),
        "public key": ([p.openssl("pkey", "-in", "leaf.key", "-pubout")], "public key only"),
        "cut": ([leaf[:200]], "block 1"),
        "bad base64": ([leaf.replace(leaf[100:104], b"!!!!")], "block 1"),
        "empty": ([b""], "is empty"),
        "text": ([b"Dear customer, your certificate is attached.\n"], "neither PEM"),
        "cut DER": ([p.der("leaf")[:-20]], "damaged or cut short"),
        "cut PFX": ([p.pfx("leaf")[:-20]], "damaged or cut short"),
        "OpenSSH key": ([b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"], "ssh-keygen"),
        "PFX, other passphrase": ([p.pfx("leaf", passphrase="pass:other")], "the passphrase does not open"),
        "RC2 PFX, other passphrase": ([p.pfx("rsa", "-legacy", passphrase="pass:other")],
                                      "the passphrase does not open"),
        "key, other passphrase": ([p.openssl("pkcs8", "-topk8", "-in", "leaf.key", "-passout", "pass:other")],
                                  "the passphrase does not open"),
    }


def write(case, name, contents):
    slug = re.sub("[^A-Za-z0-9]+", "-", name)
    return [case_write(case, "%s-%d" % (slug, i), content) for i, content in enumerate(contents)]


def case_write(case, name, content, mode=0o600):
    path = case.path(name)
    with open(path, "wb") as out:
        out.write(content)
    os.chmod(path, mode)
    return path


def bundle(case, *args, env=None, **kwargs):
    done = case.run("bundle", *args, env=dict(os.environ, PASSPHRASE=PASSPHRASE, **(env or {})), **kwargs)
    assert done.returncode in (0, 1, 64) and not any(w in done.stderr for w in harness.SANITIZER_WORDS), done
    assert PASSPHRASE not in done.stdout + done.stderr, done
    return done


def show(case, files):
    done = bundle(case, "show", "--json", "--passphrase", "env:PASSPHRASE", *files)
    assert done.returncode in (0, 1), done
    return done, json.loads(done.stdout) if done.stdout else None


def make(case, files, *more):
    out = case.path("out.pem")
    if os.path.exists(out):
        os.unlink(out)
    return bundle(case, "make", "-o", out, "--passphrase", "env:PASSPHRASE", *more, *files), out


def refused(report):
    return sorted(f["code"] for f in report["findings"] if f["severity"] == "refused")


def block_types(path):
    with open(path, "rb") as file:
        text = file.read()
    assert b"\r" not in text and text.endswith(b"-----\n")
    return re.findall("-----BEGIN ([A-Z ]+)-----", text.decode("ascii"))


def verify(case, p, out):
    """openssl's own opinion: chain, purpose, and that key and certificate belong together."""
    p.openssl("verify", "-purpose", "sslclient", "-CAfile", p.file("root.pem"), "-untrusted", out, out)
    assert p.openssl("pkey", "-in", out, "-pubout") == p.openssl("x509", "-in", out, "-noout", "-pubkey")


def test_good(case):
    p = Parts(case)
    cases = good(p)
    assert len(cases) >= 30, len(cases)
    for name, contents in cases.items():
        files = write(case, name, contents)
        done, report = show(case, files)
        assert report is not None and refused(report) == [] and done.returncode == 0, (name, done)
        assert report["key"]["matches"] and report["certificates"][0]["role"] == "leaf", (name, report)
        assert [c["role"] for c in report["certificates"]][-1] in ("root", "other"), (name, report)
        done, out = make(case, files)
        assert done.returncode == 0, (name, done)
        assert os.stat(out).st_mode & 0o777 == 0o600, name
        types = block_types(out)
        assert types == ["CERTIFICATE"] * (len(types) - 1) + ["PRIVATE KEY"], (name, types)
        verify(case, p, out)
        _, again = show(case, [out])
        assert not again["findings"] and not again["key"]["encrypted"], (name, again["findings"])


def test_bad(case):
    p = Parts(case)
    for name, (contents, codes) in bad(p).items():
        files = write(case, name, contents)
        done, report = show(case, files)
        assert done.returncode == 1 and refused(report) == sorted(codes), (name, refused(report), codes)
        for finding in report["findings"]:
            assert finding["text"] and finding["remedy"], finding
            if finding["code"] not in ("no-key", "no-certificate"):
                assert any(finding["where"].startswith(file + ": ") for file in files), (name, finding)
        done, out = make(case, files)
        assert done.returncode == 1 and not os.path.exists(out), (name, done)
        assert "nothing was written" in done.stderr and "refused: " in done.stderr, (name, done)


def test_unreadable(case):
    p = Parts(case)
    for name, (contents, words) in unreadable(p).items():
        files = write(case, name, contents)
        done, report = show(case, files)
        assert done.returncode == 1 and words in done.stderr, (name, words, done)
        assert done.stderr.startswith("midrelay: %s: " % files[0]), done.stderr
        done, out = make(case, files)
        assert done.returncode == 1 and words in done.stderr and not os.path.exists(out), (name, done)


def with_iterations(der, count):
    """DER with every INTEGER 2048 made `count`."""
    out, at = b"", 0
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            length, at = int.from_bytes(der[at:at + (length & 0x7f)], "big"), at + (length & 0x7f)
        value, at = der[at:at + length], at + length
        if tag & 0x20:
            value = with_iterations(value, count)
        elif tag == 2 and value == b"\x08\x00":
            value = count.to_bytes(4, "big")
        size = len(value).to_bytes(4, "big").lstrip(b"\0") or b"\0"
        out += bytes([tag]) + (size if len(value) < 0x80 else bytes([0x80 | len(size)]) + size) + value
    return out


def test_hours_of_work_are_refused(case):
    """A file names its own number of iterations."""
    p = Parts(case)
    key = p.openssl("pkcs8", "-topk8", "-in", "leaf.key", "-passout", "env:PASSPHRASE", "-outform", "DER")
    scrypt = p.openssl("pkcs8", "-topk8", "-scrypt", "-scrypt_N", "2048", "-in", "leaf.key", "-passout", "env:PASSPHRASE",
                       "-outform", "DER")
    for name, der in (("key", key), ("scrypt", scrypt), ("pfx", p.pfx("leaf"))):
        assert with_iterations(der, 0x7fffffff) != der
        done, _ = show(case, write(case, name, [der]))
        assert "opens" not in done.stderr and "more work" not in done.stderr, done
        began = time.monotonic()
        done, _ = show(case, write(case, name, [with_iterations(der, 0x7fffffff)]))
        assert done.returncode == 1 and "more work" in done.stderr, (name, done)
        assert time.monotonic() - began < harness.LIMIT / 2


def test_notes(case):
    """What is accepted with a word: the order, other certificates, an exposed key, what may be refused elsewhere."""
    p = Parts(case)
    full = p.pems("leaf", "mid", "root")

    def codes(*contents, mode=0o600):
        files = [case_write(case, "note-%d" % i, content, mode) for i, content in enumerate(contents)]
        done, report = show(case, files)
        assert done.returncode == 0, done
        return sorted((f["code"], f["severity"]) for f in report["findings"])
    assert codes(full + p["leaf.key"]) == []
    assert codes(p.pems("root", "mid", "leaf"), p["leaf.key"]) == [("chain-order", "note")]
    assert codes(full + p["rsa.pem"], p["leaf.key"]) == [("several-leaves", "note")]
    assert codes(full + p["mid-expired.pem"], p["leaf.key"]) == [("left-out", "note")]
    assert codes(full + p["leaf.key"], mode=0o644) == [("key-exposed", "warning")]
    assert codes(p.pems("nosign", "mid", "root"), p["nosign.key"]) == [("no-signing", "warning")]
    assert codes(p.pems("ca-leaf", "mid", "root"), p["ca-leaf.key"]) == [("ca-as-leaf", "warning")]
    assert codes(p.pems("k1", "mid", "root"), p["k1.key"]) == [("unusual-curve", "warning")]


def test_missing_issuer_is_named(case):
    p = Parts(case)
    for names, missing in ((["leaf"], "CN=mid,O=Corpus"), (["leaf", "mid"], "CN=root,O=Corpus")):
        done = bundle(case, "show", *write(case, "missing", [p.pems(*names) + p["leaf.key"]]))
        assert "the certificate of %s is missing" % missing in done.stdout, done.stdout


def test_odd_file_names_are_escaped(case):
    """Neither a terminal nor a reader of JSON gets bytes from a file's name."""
    p = Parts(case)
    path = os.fsencode(case.dir) + b"/\xff\x1b[31m\n.pem"
    with open(path, "wb") as out:
        out.write(p["leaf.pem"] + p["rsa.key"])
    os.chmod(path, 0o600)
    done = subprocess.run(harness.WRAPPER + [harness.BINARY, "bundle", "show", "--json", path], capture_output=True)
    report = json.loads(done.stdout)
    assert b"\x1b" not in done.stdout and refused(report) == ["key-mismatch"], report
    assert "\\xff\\x1b[31m\\x0a.pem: block 2 (PRIVATE KEY" in report["findings"][0]["where"], report
    done = subprocess.run(harness.WRAPPER + [harness.BINARY, "bundle", "show", path], capture_output=True)
    assert b"\x1b" not in done.stdout + done.stderr, done


def test_show_other_certificates(case):
    """A server's certificates, and a CA's, are not a client's that lack something."""
    p = Parts(case)
    done, report = show(case, write(case, "server", [p.pems("server", "mid")]))
    assert done.returncode == 0 and report["purpose"] == "server", report
    assert [(f["code"], f["severity"]) for f in report["findings"]] == [("chain-incomplete", "note")]
    assert report["certificates"][0]["names"] == "DNS:www.lab.test,IP Address:127.0.0.1", report
    assert report["certificates"][0]["usages"] == "serverAuth" and report["key"] is None
    done, report = show(case, write(case, "ca", [p.pems("root", "mid")]))
    assert done.returncode == 0 and report["purpose"] == "ca", report
    assert [c["role"] for c in report["certificates"]] == ["intermediate", "root"]


def test_fingerprints_are_those_of_openssl(case):
    p = Parts(case)
    _, report = show(case, write(case, "f", [p.pems("leaf", "mid", "root") + p["leaf.key"]]))
    said = p.openssl("x509", "-in", "leaf.pem", "-noout", "-fingerprint", "-sha256").decode()
    assert report["certificates"][0]["sha256"] == said.strip().split("=")[1]
    public = p.openssl("pkey", "-in", "leaf.key", "-pubout", "-outform", "DER")
    pin = base64.b64encode(p.openssl("dgst", "-sha256", "-binary", input=public)).decode()
    assert report["certificates"][0]["pin"] == report["key"]["pin"] == "sha256//" + pin


def test_upload_files(case):
    """--leaf and --chain hold no key, and OUT may be one of the inputs."""
    p = Parts(case)
    files = write(case, "in", [p.pems("root", "leaf", "mid"), p["leaf.key"]])
    leaf, chain = case.path("leaf.pem"), case.path("chain.pem")
    done, out = make(case, files, "--leaf", leaf, "--chain", chain)
    assert done.returncode == 0, done
    assert block_types(leaf) == ["CERTIFICATE"] and block_types(chain) == ["CERTIFICATE"] * 2
    assert p.openssl("x509", "-in", leaf, "-outform", "DER") == p.der("leaf")
    assert p.openssl("x509", "-in", chain, "-outform", "DER") == p.der("mid")
    before = os.stat(files[0]).st_ino
    link = case.path("link.pem")
    os.symlink(files[0], link)
    done = bundle(case, "make", "-o", link, *files)
    assert done.returncode == 0 and os.path.islink(link) and os.stat(files[0]).st_ino != before, done
    assert block_types(files[0])[-1] == "PRIVATE KEY"
    assert not [name for name in os.listdir(case.dir) if re.search(r"\.pem\.......$|-0\.......$", name)]


def test_old_file_stays_when_refused(case):
    p = Parts(case)
    out = case_write(case, "old.pem", b"old")
    done = bundle(case, "make", "-o", out, *write(case, "bad", [p["leaf.pem"] + p["leaf.key"]]))
    assert done.returncode == 1 and open(out, "rb").read() == b"old", done
    done = bundle(case, "make", "-o", case.dir, *write(case, "ok", [p.pems("leaf", "mid", "root") + p["leaf.key"]]))
    assert done.returncode == 1 and "no regular file" in done.stderr, done


def test_old_file_stays_when_the_disk_is_full(case):
    p = Parts(case)
    files = write(case, "in", [p.pems("leaf", "mid", "root") + p["leaf.key"]])
    out = case_write(case, "old.pem", b"old")
    before = sorted(os.listdir(case.dir))

    def full():
        # A limit on the size of files stands for the full disk: EFBIG, as long as the signal is ignored.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
    done = bundle(case, "make", "-o", out, *files, preexec_fn=full, restore_signals=False)
    assert done.returncode == 1 and out in done.stderr, done
    assert open(out, "rb").read() == b"old" and sorted(os.listdir(case.dir)) == before, os.listdir(case.dir)


def test_owner_stays(case):
    """root renews the bundle of an unprivileged service, which must still be able to read it."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    p = Parts(case)
    out = case_write(case, "old.pem", b"old")
    os.chown(out, 12345, 23456)
    done = bundle(case, "make", "-o", out, *write(case, "in", [p.pems("leaf", "mid", "root") + p["leaf.key"]]))
    now = os.stat(out)
    assert done.returncode == 0 and (now.st_uid, now.st_gid, now.st_mode & 0o777) == (12345, 23456, 0o600), (done, now)


def test_a_planted_file_gets_no_key(case):
    """In a directory like /tmp the owner of what is there would get the key."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    p = Parts(case)
    files = write(case, "in", [p.pems("leaf", "mid", "root") + p["leaf.key"]])
    os.chmod(case.dir, 0o711)
    shared = case.path("shared")
    os.mkdir(shared)
    os.chmod(shared, 0o1777)
    out = os.path.join(shared, "mid.pem")
    with open(out, "w") as file:
        file.write("old")
    os.chown(out, 12345, 12345)
    for name in (out, case.path("to-it.pem")):
        if name != out:
            os.symlink(out, name)
        done = bundle(case, "make", "-o", name, *files)
        assert done.returncode == 1 and "another user's" in done.stderr, done
        assert open(out).read() == "old" and os.listdir(shared) == ["mid.pem"]
    os.chown(out, 0, 0)
    assert bundle(case, "make", "-o", out, *files).returncode == 0


def test_what_is_read_stays(case):
    """The parts to upload have no key: written over what is read they would be all that is left of it."""
    p = Parts(case)
    files = write(case, "in", [p.pems("leaf", "mid", "root") + p["leaf.key"]])
    link, before = case.path("link.pem"), open(files[0]).read()
    os.symlink(files[0], link)
    for option in ("--leaf", "--chain"):
        for name in (files[0], link):
            done = bundle(case, "make", option, name, *files)
            assert done.returncode == 64 and open(files[0]).read() == before, done


def test_old_ciphers_of_keys(case):
    """Refused with the cipher's name and a command that helps, as it stands there."""
    legacy = ["-provider", "legacy", "-provider", "default"]
    plain = case.pki["client-rsa.key"]
    secret = case.write("old-pass", "x\n")
    for words, cipher in (("pkcs8 -topk8 -v1 PBE-SHA1-RC2-40", "pbeWithSHA1And40BitRC2-CBC"),
                          ("pkcs8 -topk8 -v1 PBE-MD5-DES", "pbeWithMD5AndDES-CBC"),
                          ("pkcs8 -topk8 -v2 rc2", "rc2-cbc"), ("pkcs8 -topk8 -v2 des", "des-cbc"),
                          ("rsa -traditional -des", "DES-CBC")):
        old, new = case.path("old.key"), case.path("new.key")
        subprocess.run(["openssl", *words.split(), *legacy, "-in", plain, "-passout", "pass:x", "-out", old], check=True,
                       capture_output=True)
        done = case.run("bundle", "show", "--passphrase", "file:" + secret, old)
        assert done.returncode == 1 and "is encrypted with %s, " % cipher in done.stderr, done.stderr
        command = re.search(r"with: (openssl .*)", done.stderr)[1].replace("OLD", old).replace("NEW", new).split()
        subprocess.run(command + ["-passin", "pass:x", "-passout", "pass:x"], check=True, capture_output=True)
        done = case.run("bundle", "show", "--passphrase", "file:" + secret, new)
        assert "  key          RSA 2048" in done.stdout, done.stderr


def test_legacy_provider_is_for_rc2_alone(case):
    """Without the provider's module RC2 is refused by name, and nothing else notices."""
    p = Parts(case)
    nowhere = {"OPENSSL_MODULES": case.path("nowhere")}
    for name, der, words in (("rc2", p.pfx("rsa", "-legacy"), "legacy provider"), ("aes", p.pfx("rsa"), None)):
        done = bundle(case, "show", "--passphrase", "env:PASSPHRASE", *write(case, name, [der]), env=nowhere)
        assert done.returncode == (1 if words else 0) and (words or "") in done.stderr, done


def test_usage(case):
    secret = "do-not-show-me"
    for args in (["show"], ["make", "x"], ["make", "-o", "a"], ["make", "-o", "a", "--leaf", "a", "x"], ["request"], [],
                 ["shwo", "x"], ["show", "--what", "x"], ["show", "--passphrase", secret, "x"],
                 ["show", "--passfrase=" + secret, "x"], ["show", "--passphrase=" + secret, "x"],
                 ["show", "--passphrase", "env:A", "--passphrase", secret, "x"], ["show", "--passphrase"],
                 ["make", "-o", "a", "--passphrase", secret, "x"], ["request", "-o", "x"],
                 ["request", "-o", "x", "--subject", "CN=x"], ["request", "-o", "x", "--subject", "/O=x"],
                 ["request", "-o", "x", "--subject", "/CN=x/Nonsense=y"], ["request", "-o", "x", "--subject", "/CN="],
                 ["request", "-o", "x", "--subject", "/CN=x", "--key", "rsa:1024"]):
        done = bundle(case, *args)
        assert done.returncode == 64, (args, done)
        assert secret not in done.stdout + done.stderr, done
    assert bundle(case, "show", "--passphrase", "env:NOT_SET_ANYWHERE", "x").returncode == 1


def test_request(case):
    p = Parts(case)
    for kind, lines in (("rsa:2048", ["2048 bit", "Digital Signature, Key Encipherment"]), ("rsa:3072", ["3072 bit"]),
                        ("p256", ["prime256v1", "Digital Signature\n"]), ("p384", ["secp384r1"])):
        prefix = case.path("request-" + kind.replace(":", ""))
        done = bundle(case, "request", "-o", prefix, "--subject", r"/CN=mid-01/O=A\/B/OU=G\u00e4rtner", "--key", kind)
        assert done.returncode == 0, done
        assert os.stat(prefix + ".key").st_mode & 0o777 == 0o600 and block_types(prefix + ".key") == ["PRIVATE KEY"]
        text = p.openssl("req", "-in", prefix + ".csr", "-noout", "-verify", "-text").decode()
        for line in lines + ["TLS Web Client Authentication", "CN=mid-01, O=A/B"]:
            assert line in text or line in text.replace(" = ", "="), (line, text)
        assert p.openssl("pkey", "-in", prefix + ".key", "-pubout") == \
            p.openssl("req", "-in", prefix + ".csr", "-noout", "-pubkey")
        before = open(prefix + ".key").read(), open(prefix + ".csr").read()
        assert bundle(case, "request", "-o", prefix, "--subject", "/CN=x", "--key", kind).returncode == 1
        assert before == (open(prefix + ".key").read(), open(prefix + ".csr").read())
        os.rename(prefix + ".csr", case.path("sent.csr"))
        done = bundle(case, "request", "-o", prefix, "--subject", "/CN=x", "--key", kind)
        assert done.returncode == 1 and not os.path.exists(prefix + ".csr"), done
        assert before[0] == open(prefix + ".key").read(), "the key was overwritten"
        os.rename(case.path("sent.csr"), prefix + ".csr")
        os.unlink(prefix + ".key")
        done = bundle(case, "request", "-o", prefix, "--subject", "/CN=x", "--key", kind)
        assert done.returncode == 1 and not os.path.exists(prefix + ".key"), "a key beside a request that is not its"


def windows_pfx(case):
    """The lab's RSA client, as a PFX with RC2."""
    pki = case.pki
    out = case.path("client.pfx")
    subprocess.run(["openssl", "pkcs12", "-export", "-legacy", "-inkey", pki["client-rsa.key"], "-in",
                    pki["client-rsa.pem"], "-certfile", pki["client-cas.pem"], "-passout", "env:PASSPHRASE", "-out", out],
                   check=True, capture_output=True, env=dict(os.environ, PASSPHRASE=PASSPHRASE))
    os.chmod(out, 0o600)
    return out


def test_midrelay_takes_pfx_and_what_it_made(case):
    pfx = windows_pfx(case)
    done, out = make(case, [pfx])
    assert done.returncode == 0, done
    secret = case.write("passphrase", PASSPHRASE + "\n")
    instance = case.instance()
    utf16 = case_write(case, "utf16.pem", open(out).read().encode("utf-16"))
    for keys in ({"client_bundle": out}, {"client_bundle": utf16},
                 {"client_bundle": pfx, "client_passphrase": "file:" + secret},
                 {"client_cert": pfx, "client_key": pfx, "client_passphrase": "file:" + secret}):
        section = case.keys(instance)
        del section["client_bundle"]
        m = case.start({"relay r": dict(section, **keys)}, secrets=[PASSPHRASE])
        assert m.get("/").status == 200
        assert m.session()["end"] == "ok"


def test_curl_and_nginx_take_it(case):
    done, out = make(case, [windows_pfx(case)])
    assert done.returncode == 0, done
    server = real.nginx(case)
    said = real.curl(case, "--cacert", case.pki["root.pem"], "--cert", out, "--resolve",
                     "instance.lab.test:%d:127.0.0.1" % server.port, "https://instance.lab.test:%d/" % server.port)
    assert b"subject CN=mid-rsa,O=Lab\nverify SUCCESS" in said, said


def test_java_takes_it(case):
    keytool = real.program("keytool")
    if harness.WRAPPER:
        raise Skip("Java is the same under a wrapper")
    leaf, chain = case.path("leaf.pem"), case.path("chain.pem")
    done, out = make(case, [windows_pfx(case)], "--leaf", leaf, "--chain", chain)
    assert done.returncode == 0, done

    def run(*args):
        done = subprocess.run(args, capture_output=True, text=True, timeout=60 * harness.SLOW)
        assert done.returncode == 0, done
        return done.stdout
    store = case.path("keystore.p12")
    run("openssl", "pkcs12", "-export", "-in", out, "-out", store, "-name", "mid", "-passout", "pass:changeit")
    listed = run(keytool, "-list", "-v", "-keystore", store, "-storepass", "changeit")
    assert "PrivateKeyEntry" in listed and "chain length: 3" in listed, listed
    trust = case.path("trust.jks")
    for alias, file in (("leaf", leaf), ("ca", chain)):
        run(keytool, "-importcert", "-noprompt", "-alias", alias, "-file", file, "-keystore", trust, "-storepass",
            "changeit")
    assert "2 entries" in run(keytool, "-list", "-keystore", trust, "-storepass", "changeit")


if __name__ == "__main__":
    harness.main()
