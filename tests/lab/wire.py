"""TLS on the wire: what can be told from bytes alone, without keys (RFC 8446 section 5.1 and 4.1.2)."""

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23


def records(stream):
    """The records in `stream` as (type, length) pairs; a cut last one counts with the bytes that are there."""
    found = []
    at = 0
    while at + 5 <= len(stream):
        length = int.from_bytes(stream[at + 3:at + 5], "big")
        found.append((stream[at], min(length, len(stream) - at - 5)))
        at += 5 + length
    return found


def only_hello_and_alert(stream):
    """
    True when a client's bytes are a ClientHello and at most an alert: nothing that could be a certificate or
    data.  In TLS 1.3 everything after the ServerHello looks like application data; an encrypted alert is 2 bytes,
    a content type and a 16 byte tag, and nothing else of a handshake is that short.
    """
    seen = records(stream)
    if not seen or seen[0][0] != HANDSHAKE or stream[5:6] != b"\x01":
        return False
    for kind, length in seen[1:]:
        if kind == CHANGE_CIPHER_SPEC and length == 1:
            continue
        if kind == ALERT and length == 2:
            continue
        if kind == APPLICATION_DATA and length == 19:
            continue
        return False
    return True


class _Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise ValueError("short")
        part = self.data[self.at:self.at + count]
        self.at += count
        return part

    def number(self, count):
        return int.from_bytes(self.take(count), "big")

    def vector(self, count):
        return _Cursor(self.take(self.number(count)))

    def more(self):
        return self.at < len(self.data)


def client_hello(message):
    """Server name, ALPN list, versions and offers of resumption in a ClientHello message (header included)."""
    hello = {"sni": None, "alpn": [], "versions": [], "ticket": False, "psk": False, "status_request": False,
             "sct": False, "ciphers": []}
    body = _Cursor(message)
    body.take(4)
    hello["versions"].append(body.number(2))
    body.take(32)
    body.vector(1)
    ciphers = body.vector(2)
    while ciphers.more():
        hello["ciphers"].append(ciphers.number(2))
    body.vector(1)
    extensions = body.vector(2) if body.more() else _Cursor(b"")
    while extensions.more():
        kind, value = extensions.number(2), extensions.vector(2)
        if kind == 0:
            name = value.vector(2)
            name.take(1)
            hello["sni"] = name.vector(2).data.decode("latin-1")
        elif kind == 5:
            hello["status_request"] = True
        elif kind == 16:
            names = value.vector(2)
            while names.more():
                hello["alpn"].append(names.vector(1).data.decode("latin-1"))
        elif kind == 18:
            hello["sct"] = True
        elif kind == 35:
            hello["ticket"] = value.more()
        elif kind == 41:
            hello["psk"] = True
        elif kind == 43:
            versions = value.vector(1)
            hello["versions"] = []
            while versions.more():
                hello["versions"].append(versions.number(2))
    return hello


def certificate_count(message, tls13):
    """How many certificates a Certificate message (header included) carries; a client without one sends none."""
    body = _Cursor(message)
    body.take(4)
    if tls13:
        body.vector(1)
    entries = body.vector(3)
    count = 0
    while entries.more():
        entries.vector(3)
        if tls13:
            entries.vector(2)
        count += 1
    return count
