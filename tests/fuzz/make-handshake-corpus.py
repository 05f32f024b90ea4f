#!/usr/bin/python3
"""Writes corpus/handshake anew: the messages of real handshakes, and a few that no peer should send."""

import os
import ssl
import sys
import tempfile

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(TESTS, "fuzz", "corpus", "handshake")
sys.path.insert(0, os.path.join(TESTS, "lab"))
import pki as pki_maker

SENT, TLS13, ECDHE, OFFERS = 1, 2, 4, 8


def record(pki, version, ciphers=None, session=None):
    """The messages of one handshake with client certificates, as the client saw them: [(direction, type, bytes)]."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pki["server-chain.pem"], pki["server.key"])
    server.load_verify_locations(pki["client-cas.pem"])
    server.verify_mode = ssl.CERT_REQUIRED
    server.set_alpn_protocols(["http/1.1"])
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_cert_chain(pki["client-bundle.pem"])
    client.load_verify_locations(pki["root.pem"])
    client.set_alpn_protocols(["h2", "http/1.1"])
    client.minimum_version = client.maximum_version = version
    if ciphers:
        client.set_ciphers(ciphers)
    seen = []
    client._msg_callback = lambda conn, direction, _version, kind, what, data: seen.append((direction, kind, data))
    bios = [ssl.MemoryBIO(), ssl.MemoryBIO()]
    ends = [client.wrap_bio(bios[0], bios[1], server_hostname="instance.lab.test"),
            server.wrap_bio(bios[1], bios[0], server_side=True)]
    for end in ends * 4:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
    try:
        ends[0].read()
    except ssl.SSLWantReadError:
        pass
    return [(direction, data) for direction, kind, data in seen if kind == ssl._TLSContentType.HANDSHAKE]


def write(name, flags, data):
    with open(os.path.join(OUT, name), "wb") as out:
        out.write(bytes([flags]) + data)


def message(kind, body):
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def main():
    os.makedirs(OUT, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        pki = pki_maker.cached(place)
        for name, version, ciphers in (("tls13", ssl.TLSVersion.TLSv1_3, None),
                                       ("tls12", ssl.TLSVersion.TLSv1_2, "ECDHE")):
            seen = record(pki, version, ciphers)
            for direction in ("write", "read"):
                write("%s-%s" % (name, direction), SENT if direction == "write" else 0,
                      b"".join(data for which, data in seen if which == direction))
    hello = message(1, b"\x03\x03" + bytes(32) + b"\0" + b"\0\2\x13\x01" + b"\1\0" + b"\0\4" + b"\0\0\0\xff")
    write("hello-extension-too-long", SENT, hello)
    write("hello-no-extensions", SENT, message(1, b"\x03\x03" + bytes(32) + b"\0" + b"\0\2\x13\x01" + b"\1\0"))
    write("cas-many", 0, message(13, b"\1\1" + b"\0\2\4\3" + (4 * 50).to_bytes(2, "big") + b"\0\2\x30\0" * 50))
    write("certificates-many", 0, message(11, (3 * 50).to_bytes(3, "big") + bytes(3) * 50))
    write("certificate-no-der", TLS13, message(11, b"\0" + b"\0\0\7" + b"\0\0\2\x30\x05" + b"\0\0"))
    write("key-exchange-dhe", 0, message(12, b"\1\0" + bytes(256) + b"\0\1\2" + b"\0\1\3" + b"\4\1" + b"\0\1\0"))
    write("alert", 0, bytes([255, 2, 40]))
    write("alert-short", 0, bytes([255, 2]))
    write("unknown", 0, message(99, b"?"))
    write("cut", 0, b"\2\0\1")


if __name__ == "__main__":
    main()
