#!/usr/bin/python3
"""Writes the seeds of corpus/judge/ anew (files named seed-*), from the lab's PKI with the keys that fuzz_judge has.

What a server presents is taken apart to the halves that are signed: fuzz_judge signs them (see hostile_input.h).
Needs openssl 3.  What the fuzzer found (other names) stays.
"""

import base64
import glob
import hashlib
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))
sys.dont_write_bytecode = True

import pki  # noqa: E402

OUT = os.path.join(HERE, "corpus", "judge")
CERT, ANCHOR, STAPLE, SCTS, CRL = range(5)
AS_IT_IS, SERVER, ISSUER, ROOT = range(4)
# The first flag byte; the lowest two bits are enum judge_inspection.
OFF, REFUSE, WARN, IGNORE = range(4)
SYSTEM, NEED_STAPLE, NEED_CRL, LOCAL, IP, TLS12 = 4, 8, 16, 32, 64, 128
# The second; the lowest four bits are pin and expect_issuer.
PIN_SERVER, PIN_ISSUER, PIN_ROOT, LAB, PRODUCT, NOBODY = 1, 2, 3, 4, 8, 12
ASKS, REQUIRES, HAS_CERT, AGAIN = 16, 32, 64, 128
ALL = ASKS | REQUIRES | HAS_CERT
SHA256_ECDSA = bytes.fromhex("300a06082a8648ce3d040302")


# DER

def tlv(tag, *parts):
    value = b"".join(parts)
    size = len(value)
    head = bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + head + value


def children(der):
    """The elements inside one."""
    found, at, end = [], *inside(der)
    while at < end:
        begin, stop = inside(der, at)
        found.append(der[at:stop])
        at = stop
    return found


def inside(der, at=0):
    """Where the value of the element at `at` begins and ends."""
    size, more = der[at + 1], 0
    if size >= 128:
        more = size - 128
        size = int.from_bytes(der[at + 2:at + 2 + more], "big")
    return at + 2 + more, at + 2 + more + size


def value(der):
    begin, end = inside(der)
    return der[begin:end]


def oid(dotted):
    first, second, *rest = map(int, dotted.split("."))
    out = bytes([first * 40 + second])
    for number in rest:
        part = [number & 127]
        while number > 127:
            number >>= 7
            part.insert(0, number & 127 | 128)
        out += bytes(part)
    return tlv(6, out)


def name(*parts):
    """Of (attribute's OID, string's tag, bytes)."""
    return tlv(0x30, *(tlv(0x31, tlv(0x30, oid(what), tlv(tag, text))) for what, tag, text in parts))


def extension(dotted, content, critical=False):
    return tlv(0x30, oid(dotted), b"\x01\x01\xff" if critical else b"", tlv(4, content))


# Certificates, as their fields

class Tbs:
    FIELDS = ("version", "serial", "algorithm", "issuer", "validity", "subject", "key", "extensions")

    def __init__(self, der, signer):
        """`der`: the whole certificate."""
        self.signer = signer
        for field, part in zip(self.FIELDS, children(children(der)[0])):
            setattr(self, field, part)

    def changed(self, **fields):
        other = object.__new__(Tbs)
        other.__dict__.update(self.__dict__, **fields)
        return other

    def without(self, dotted, *more):
        """Other extensions of this kind in their place."""
        kept = [e for e in children(children(self.extensions)[0]) if children(e)[0] != oid(dotted)]
        return self.changed(extensions=tlv(0xa3, tlv(0x30, *kept, *more)))

    def part(self, kind=CERT):
        return part(kind, self.signer, tlv(0x30, *(getattr(self, field) for field in self.FIELDS)))


def part(kind, how, content):
    return bytes([kind, how]) + len(content).to_bytes(2, "big") + content


def fixed_key(byte):
    return tlv(0x30, b"\x02\x01\x01", tlv(4, bytes([byte]) * 32), tlv(0xa0, bytes.fromhex("06082a8648ce3d030107")))


def key_of(directory, file_name, kind):
    """In the place of the lab's random ones."""
    if kind != "ec":
        return RANDOM_KEY(directory, file_name, kind)
    which = ROOT if file_name.endswith("root") else ISSUER if file_name.endswith("intermediate") else SERVER
    subprocess.run(("openssl", "pkey", "-inform", "DER", "-out", os.path.join(directory, file_name + ".key")),
                   input=fixed_key(0x11 * which), check=True)


RANDOM_KEY, pki._key = pki._key, key_of
# What is valid, and what is not yet, stays so.
DAYS = {pki.LONG: (-2, 36500), (2, 365): (36000, 36500)}
pki.CERTIFICATES = {file_name: spec[:3] + (DAYS.get(spec[3], spec[3]), spec[4])
                    for file_name, spec in pki.CERTIFICATES.items()}


def load():
    found = {}
    with tempfile.TemporaryDirectory() as directory:
        pki.make(directory)
        for file_name, (_, issuer, _, _, kind) in pki.CERTIFICATES.items():
            with open(os.path.join(directory, file_name + ".pem")) as file:
                text = file.read().split("-----")[2]
            signer = ISSUER if issuer and issuer.endswith("intermediate") else ROOT
            if kind == "ec":
                found[file_name] = Tbs(base64.b64decode(text), signer)
    return found


# Staples and lists

def sha1(data):
    return tlv(4, hashlib.sha1(data).digest())


def key_bits(tbs):
    return value(children(tbs.key)[1])[1:]


SCT_EXTENSION = extension("1.3.6.1.4.1.11129.2.4.5", tlv(4, pki.SCT_LIST))
SINCE, LATE, LONG_AGO = b"20240101000000Z", b"21250101000000Z", b"20200101000000Z"
GOOD, REVOKED, UNKNOWN = tlv(0x80), tlv(0xa1, tlv(0x18, LONG_AGO)), tlv(0x82)


def staple(leaf, issuer, status=GOOD, start=SINCE, end=LATE, more=b"", digest=sha1, algorithm="1.3.14.3.2.26"):
    """tbsResponseData of RFC 6960."""
    about = tlv(0x30, tlv(0x30, oid(algorithm), b"\x05\x00"), digest(issuer.subject), digest(key_bits(issuer)),
                leaf.serial)
    answer = tlv(0x30, about, status, tlv(0x18, start), tlv(0xa0, tlv(0x18, end)) if end else b"",
                 tlv(0xa1, tlv(0x30, more)) if more else b"")
    return tlv(0x30, tlv(0xa2, sha1(key_bits(issuer))), tlv(0x18, start), tlv(0x30, answer))


def crl(issuer, *serials, end=LATE, more=b""):
    """tbsCertList of RFC 5280."""
    revoked = tlv(0x30, *(tlv(0x30, serial, tlv(0x18, LONG_AGO)) for serial in serials)) if serials else b""
    return tlv(0x30, b"\x02\x01\x01", SHA256_ECDSA, issuer.subject, tlv(0x18, LONG_AGO), tlv(0x18, end), revoked,
               tlv(0xa0, tlv(0x30, extension("2.5.29.20", b"\x02\x01\x01"), more)))


def pem(kind, der):
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (kind, base64.encodebytes(der), kind)


def signed(tbs, scalar):
    """In earnest, for what is presented as it is."""
    with tempfile.NamedTemporaryFile() as key:
        key.write(fixed_key(scalar))
        key.flush()
        signature = subprocess.run(("openssl", "dgst", "-sha256", "-keyform", "DER", "-sign", key.name), input=tbs,
                                   check=True, capture_output=True).stdout
    return tlv(0x30, tbs, SHA256_ECDSA, tlv(3, b"\x00", signature))


def response(basic):
    return tlv(0x30, b"\x0a\x01\x00", tlv(0xa0, tlv(0x30, oid("1.3.6.1.5.5.7.48.1.1"), tlv(4, basic))))


# Seeds

def seed(seed_name, rules, server, *parts):
    with open(os.path.join(OUT, "seed-" + seed_name), "wb") as out:
        out.write(bytes([rules, server]) + b"".join(parts))


def common_name(text, tag=0x0c):
    return name(("2.5.4.3", tag, text))


def chains(c):
    above, root = c["intermediate"].part(), c["root"].part(ANCHOR)
    for leaf in ("server", "wrong-name", "expired", "not-yet-valid", "server-sct", "untrusted"):
        for tls, bits in (("12", TLS12), ("13", 0)):
            seed("%s-%s" % (leaf, tls), SYSTEM | REFUSE | bits, ALL, c[leaf].part(), above, root)
    good = c["server"].part()
    seed("sct-as-asked", SYSTEM | REFUSE, ALL, c["server-sct"].part(), above, root)
    seed("explicit", REFUSE, ALL, good, above, root)
    seed("explicit-12", REFUSE | TLS12, ALL, good, above, root)
    seed("not-asked", REFUSE, HAS_CERT, good, above, root)
    seed("not-asked-required", REFUSE, HAS_CERT | REQUIRES, good, above, root)
    seed("no-cert", REFUSE, ASKS, good, above, root)
    seed("resumed", REFUSE, ALL | AGAIN, good, above, root)
    seed("resumed-short", REFUSE, ALL | AGAIN, c["server"].changed(
        validity=tlv(0x30, tlv(0x18, LONG_AGO), tlv(0x18, b"20491231235959Z"))).part(), above, root)
    seed("not-resumed", REFUSE, HAS_CERT | AGAIN, good, above, root)
    seed("resumed-without-cert", REFUSE, AGAIN, good, above, root)
    seed("not-asked-inspected", SYSTEM | REFUSE, HAS_CERT, good, above, root)
    seed("all-missing", SYSTEM | REFUSE | NEED_STAPLE, ALL | PIN_ISSUER | NOBODY, c["untrusted"].part(),
         c["untrusted-root"].part(ANCHOR))
    seed("ip", REFUSE | IP, ALL, good, above, root)
    seed("intermediate-missing", REFUSE, ALL, good, root)
    seed("wrong-order", REFUSE, ALL, good, c["root"].part(), above, root)
    seed("anchor-is-leaf", REFUSE, ALL, good, c["server"].part(ANCHOR))
    seed("anchor-is-intermediate", REFUSE, ALL, good, c["intermediate"].part(ANCHOR))
    seed("no-anchor", REFUSE, ALL, good, above)
    seed("nothing", REFUSE, ALL)
    seed("rubbish", REFUSE, ALL, part(CERT, AS_IT_IS, b"rubbish"))
    seed("local", SYSTEM | REFUSE | LOCAL, ALL, c["server-sct"].part(), above, root)
    seed("pin-leaf", SYSTEM | REFUSE, ALL | PIN_SERVER, good, above, root)
    seed("pin-intermediate", SYSTEM | REFUSE | TLS12, ALL | PIN_ISSUER, good, above, root)
    seed("pin-missing", REFUSE, ALL | PIN_ISSUER, c["untrusted"].part(), c["untrusted-root"].part(ANCHOR))
    seed("issuer", REFUSE, ALL | LAB, good, above, root)
    seed("issuer-missing", REFUSE, ALL | NOBODY, good, above, root)
    for inspection in (OFF, REFUSE, WARN, IGNORE):
        seed("product-%d" % inspection, inspection | SYSTEM, ALL, c["product-sct"].part(),
             c["product-root"].part(ANCHOR))
        seed("product-untrusted-%d" % inspection, inspection | SYSTEM | TLS12, ALL, c["inspect-expired"].part(),
             c["product-root"].part(), root)
    seed("corporate", SYSTEM | REFUSE, ALL, c["inspect"].part(), c["inspect-root"].part(ANCHOR))


def odd_names(c):
    above, root = c["intermediate"].part(), c["root"].part(ANCHOR)
    san = "2.5.29.17"

    def alt(*names):
        return c["server"].without(san, extension(san, tlv(0x30, *names))).part()
    seed("san-nul", REFUSE, ALL, alt(tlv(0x82, b"instance.lab.test\0.evil.test")), above, root)
    seed("san-nul-first", REFUSE | TLS12, ALL, alt(tlv(0x82, b"\0instance.lab.test")), above, root)
    seed("san-wildcard", REFUSE, ALL, alt(tlv(0x82, b"*.lab.test")), above, root)
    seed("san-partial", REFUSE, ALL, alt(tlv(0x82, b"inst*.lab.test")), above, root)
    seed("san-long", REFUSE, ALL, alt(tlv(0x82, b"a" * 5000)), above, root)
    seed("san-many", REFUSE, ALL, alt(*(tlv(0x82, b"n%d.test" % i) for i in range(60))), above, root)
    seed("san-others", REFUSE, ALL, alt(tlv(0x87, b"\x7f\0\0\1\0"), tlv(0x81, b"a@b"), tlv(0x86, b"http://x/"),
                                        tlv(0xa0, oid("1.2.3"), tlv(0xa0, tlv(0x0c, b"x")))), above, root)
    seed("san-empty", REFUSE, ALL, alt(), above, root)
    seed("san-none", REFUSE, ALL, c["server"].without(san).part(), above, root)
    seed("san-controls", REFUSE, ALL, alt(tlv(0x82, b"\x1b[31m\xff\x80\n")), above, root)
    subjects = {"control": common_name(b"\x1b[2J\n\xc3\xbc,+\"\\<>;#="),
                "nul": common_name(b"a\0b", 0x16), "empty": tlv(0x30)}
    for which, subject in subjects.items():
        seed("subject-" + which, REFUSE, ALL, c["expired"].changed(subject=subject).part(), above, root)
    strange = {
        "bmp": name(("2.5.4.10", 0x1e, "Zscaler Üx".encode("utf-16-be"))),
        "universal": name(("2.5.4.10", 0x1c, "Zscaler 😀".encode("utf-32-be"))),
        "t61": name(("2.5.4.10", 0x14, b"Zscaler \xfc")),
        "bad-utf8": name(("2.5.4.10", 0x0c, b"Zscaler \xff\xfe")),
        "bits": name(("2.5.4.10", 0x03, b"\0Zscaler")),
        "nul": name(("2.5.4.10", 0x0c, b"\0Zscaler")),
        "last": name(("2.5.4.3", 0x0c, b"x" * 3000), ("2.5.4.10", 0x0c, b"zSCALER inc")),
        "first": name(("2.5.4.10", 0x0c, b"zSCALER inc"), ("2.5.4.3", 0x0c, b"x" * 3000)),
        "escaped": name(("2.5.4.10", 0x13, b"Fuzz, Z"), ("2.5.4.3", 0x0c, "Fuzz, Zürich".encode())),
        "unknown-type": name(("1.2.3.4.5", 0x0c, b"Netskope")),
        "many": name(*[("2.5.4.11", 0x0c, b"OU %d" % i) for i in range(100)]),
        "empty": tlv(0x30),
    }
    for which, subject in strange.items():
        issuer = c["intermediate"].changed(subject=subject)
        leaf = c["server-sct"].changed(issuer=subject)
        seed("issuer-" + which, SYSTEM | REFUSE, ALL | LAB, leaf.part(), issuer.part(), root)
        seed("untrusted-issuer-" + which, SYSTEM | REFUSE | TLS12, ALL, leaf.part(), root)


def extensions(c):
    above, root = c["intermediate"].part(), c["root"].part(ANCHOR)
    policy = extension("2.5.29.32", tlv(0x30, tlv(0x30, oid("2.5.29.32.0")), tlv(0x30, oid("2.23.140.1.2.2"), tlv(
        0x30, tlv(0x30, oid("1.3.6.1.5.5.7.2.1"), tlv(0x16, b"http://cps/"))))))
    constraints = extension("2.5.29.30", tlv(0x30, tlv(0xa0, tlv(0x30, tlv(0x82, b"lab.test"))), tlv(
        0xa1, tlv(0x30, tlv(0x82, b"evil.lab.test")))), True)
    critical = extension("1.2.3.4", b"\x05\x00", True)
    sct = "1.3.6.1.4.1.11129.2.4.2"
    leaf = c["server"]
    seed("policies", REFUSE, ALL, leaf.without("1.1", policy).part(), c["intermediate"].without("1.1", policy).part(),
         root)
    seed("constraints", REFUSE, ALL, leaf.part(), c["intermediate"].without("1.1", constraints).part(), root)
    seed("critical", REFUSE, ALL, leaf.without("1.1", critical).part(), above, root)
    seed("no-extensions", REFUSE | TLS12, ALL, leaf.changed(extensions=b"").part(), above, root)
    seed("no-ca", REFUSE, ALL, leaf.part(), c["intermediate"].without("2.5.29.19").part(), root)
    seed("client-only", REFUSE, ALL, leaf.without("2.5.29.37", extension(
        "2.5.29.37", tlv(0x30, oid("1.3.6.1.5.5.7.3.2")))).part(), above, root)
    for which, content in (("empty", tlv(4, b"\0\0")), ("short", tlv(4, pki.SCT_LIST[:-1])), ("none", b""),
                           ("double", tlv(4, b"\0\xf0" + 2 * pki.SCT_LIST[2:]))):
        seed("sct-cert-" + which, SYSTEM | REFUSE, ALL, leaf.without(sct, extension(sct, content)).part(), above, root)
    times = {
        "utc": (tlv(0x17, b"700101000000Z"), tlv(0x17, b"490101000000Z")),
        "for-ever": (tlv(0x18, LONG_AGO), tlv(0x18, b"99991231235959Z")),
        "short": (tlv(0x17, b"2001010000Z"), tlv(0x17, b"5001010000+0100")),
        "rubbish": (tlv(0x18, b"x"), tlv(0x18, b"")),
    }
    for which, (start, end) in times.items():
        seed("times-" + which, REFUSE | TLS12, ALL, leaf.changed(validity=tlv(0x30, start, end)).part(), above, root)
    rules = SYSTEM | REFUSE
    for which, listed in (("", pki.SCT_LIST), ("-short", pki.SCT_LIST[:-1]), ("-empty", b"\0\0"), ("-none", b"")):
        seed("sct-tls" + which, rules, ALL, leaf.part(), above, root, part(SCTS, 0, listed))
        seed("sct-tls12" + which, rules | TLS12, ALL, leaf.part(), above, root, part(SCTS, 0, listed))
    seed("sct-tls-elsewhere", rules, ALL, leaf.part(), above, root, part(SCTS, 1, pki.SCT_LIST))


def staples(c):
    leaf, issuer = c["server"], c["intermediate"]
    chain = leaf.part(), issuer.part(), c["root"].part(ANCHOR)
    rules = SYSTEM | REFUSE | NEED_STAPLE

    def sha256(data):
        return tlv(4, hashlib.sha256(data).digest())
    answers = {
        "good": staple(leaf, issuer, more=SCT_EXTENSION),
        "no-sct": staple(leaf, issuer),
        "revoked": staple(leaf, issuer, REVOKED),
        "unknown": staple(leaf, issuer, UNKNOWN),
        "old": staple(leaf, issuer, start=LONG_AGO, end=LONG_AGO),
        "open-ended": staple(leaf, issuer, start=LONG_AGO, end=None),
        "early": staple(leaf, issuer, start=LATE),
        "other": staple(leaf.changed(serial=b"\x02\x01\x07"), issuer),
        "sha256": staple(leaf, issuer, digest=sha256, algorithm="2.16.840.1.101.3.4.2.1"),
        "no-hash": staple(leaf, issuer, algorithm="1.2.3"),
        "bad-time": staple(leaf, issuer, start=b"x"),
        "empty": tlv(0x30),
    }
    for which, tbs in answers.items():
        seed("staple-" + which, rules, ALL, *chain, part(STAPLE, ISSUER, tbs))
        seed("staple12-" + which, REFUSE | NEED_STAPLE | TLS12, ALL, *chain, part(STAPLE, ISSUER, tbs))
    seed("staple-of-root", rules, ALL, *chain, part(STAPLE, ROOT, answers["good"]))
    seed("staple-of-server", rules, ALL, *chain, part(STAPLE, SERVER, answers["good"]))
    seed("staple-none", rules, ALL, *chain)
    seed("staple-try-later", rules, ALL, *chain, part(STAPLE, AS_IT_IS, b"\x30\x03\x0a\x01\x03"))
    seed("staple-leaf-alone", REFUSE | NEED_STAPLE, ALL, leaf.part(), leaf.part(ANCHOR),
         part(STAPLE, ISSUER, answers["good"]))
    seed("staple-sct-alone", SYSTEM | REFUSE, ALL, *chain, part(STAPLE, SERVER, answers["good"]))
    # A responder that the issuer names (RFC 6960 section 4.2.2.2).
    responder = leaf.without("2.5.29.37", extension("2.5.29.37", tlv(0x30, oid("1.3.6.1.5.5.7.3.9"))))
    responder = responder.changed(subject=common_name(b"responder"))
    begin = len(part(CERT, 0, b""))
    cert = signed(responder.part()[begin:], 0x11 * ISSUER)
    fields = children(answers["good"])[1:]
    basic = children(signed(tlv(0x30, tlv(0xa1, responder.subject), *fields), 0x11 * SERVER))
    seed("staple-responder", rules, ALL, *chain,
         part(STAPLE, AS_IT_IS, response(tlv(0x30, *basic, tlv(0xa0, tlv(0x30, cert))))))


def lists(c):
    leaf, issuer, root = c["server"], c["intermediate"], c["root"]
    chain = leaf.part(), issuer.part(), root.part(ANCHOR)
    rules = REFUSE | NEED_CRL
    of_root = part(CRL, ROOT, crl(root))
    seed("crl-good", rules, ALL, *chain, part(CRL, ISSUER, crl(issuer)), of_root)
    seed("crl-good-12", rules | TLS12, ALL, *chain, part(CRL, ISSUER, crl(issuer)), of_root)
    seed("crl-revoked", rules, ALL, *chain, part(CRL, ISSUER, crl(issuer, leaf.serial)), of_root)
    seed("crl-intermediate-revoked", rules, ALL, *chain, part(CRL, ISSUER, crl(issuer)),
         part(CRL, ROOT, crl(root, issuer.serial)))
    seed("crl-missing", rules, ALL, *chain, of_root)
    seed("crl-of-issuer-alone", rules, ALL, leaf.part(), issuer.part(ANCHOR), part(CRL, ISSUER, crl(issuer)))
    seed("crl-leaf-is-anchor", rules, ALL, leaf.part(), leaf.part(ANCHOR))
    seed("crl-old", rules, ALL, *chain, part(CRL, ISSUER, crl(issuer, end=LONG_AGO)), of_root)
    seed("crl-badly-signed", rules, ALL, *chain, part(CRL, SERVER, crl(issuer)), of_root)
    scope = extension("2.5.29.28", tlv(0x30, tlv(0x82, b"\xff")), True)
    seed("crl-scope", rules, ALL, *chain, part(CRL, ISSUER, crl(issuer, more=scope)), of_root)
    delta = extension("2.5.29.27", b"\x02\x01\x01", True)
    seed("crl-delta", rules, ALL, *chain, part(CRL, ISSUER, crl(issuer, leaf.serial, more=delta)), of_root)
    text = b"\r\n# of the root\r\n".join(
        pem(b"X509 CRL", signed(crl(of), 0x11 * key)) for of, key in ((issuer, ISSUER), (root, ROOT)))
    seed("crl-pem", rules, ALL, *chain, part(CRL, AS_IT_IS, text))
    seed("crl-pem-cut", rules, ALL, *chain, part(CRL, AS_IT_IS, text[:-40]))
    seed("crl-other-pem", rules, ALL, *chain, part(CRL, AS_IT_IS, pem(b"CERTIFICATE", b"0")))
    seed("crl-empty", rules, ALL, *chain, part(CRL, AS_IT_IS, b""))
    seed("crl-everything", SYSTEM | REFUSE | NEED_CRL | NEED_STAPLE, ALL | PIN_ISSUER | LAB, *chain,
         part(STAPLE, ISSUER, staple(leaf, issuer, more=SCT_EXTENSION)), part(SCTS, 0, pki.SCT_LIST),
         part(CRL, ISSUER, crl(issuer)), of_root)


def main():
    os.makedirs(OUT, exist_ok=True)
    for old in glob.glob(os.path.join(OUT, "seed-*")):
        os.unlink(old)
    certificates = load()
    for maker in (chains, odd_names, extensions, staples, lists):
        maker(certificates)


if __name__ == "__main__":
    main()
