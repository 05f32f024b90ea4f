"""
The server's side of TLS on a socket, driven by hand (ssl.MemoryBIO), with a record of all that was seen.

Answers for TLS alone: handshake, reading until a named end, writing, close_notify, half-close.  What is said inside
is the caller's.
"""

import asyncio
import hashlib
import socket
import ssl
import struct

import wire

CHUNK = 256 * 1024


def reset(sock):
    """Closes with RST."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()


async def close_clean(sock, seconds=5):
    """Closes with FIN, taking what still arrives: unread bytes would turn it into a reset."""
    loop = asyncio.get_running_loop()
    try:
        sock.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(seconds):
            while await loop.sock_recv(sock, CHUNK):
                pass
    except (OSError, TimeoutError):
        pass
    sock.close()


HANDSHAKES = ("normal", "silent", "plaintext", "http", "garbage", "alert", "close", "reset", "close-after-hello",
              "reset-after-hello", "close-mid", "reset-mid", "stall-mid")
MID_HANDSHAKES = ("close-mid", "reset-mid", "stall-mid")


async def cut(sock, how):
    """The end of a connection whose handshake goes wrong."""
    if how.startswith("stall"):
        await _drain(sock)
    elif how.startswith("reset"):
        reset(sock)
    else:
        await close_clean(sock)


async def _drain(sock):
    loop = asyncio.get_running_loop()
    while await loop.sock_recv(sock, 65536):
        pass


async def before_handshake(sock, how, record):
    """What replaces the handshake; True: go on with TLS."""
    loop = asyncio.get_running_loop()
    if how == "normal" or how in MID_HANDSHAKES:
        return True
    if how == "silent":
        await _drain(sock)
        return False
    if how not in ("close", "reset"):
        await loop.sock_recv(sock, 65536)
    said = {"plaintext": b"220 mail.lab.test ESMTP ready\r\n",
            "http": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "garbage": bytes(range(200, 256)) * 4,
            "alert": b"\x15\x03\x03\x00\x02\x02\x28"}.get(how)
    if said:
        await loop.sock_sendall(sock, said)
    record["end"] = how
    await cut(sock, "reset" if how.startswith("reset") else "close")
    return False


def server_context(pki, cert="server", ask="required", reject=False, tls_min="1.2", tls_max="1.3", tickets=2,
                   ciphers=None, alpn=None, keylog=None):
    """An SSL_CTX for a server.  `reject`: verify against a CA that did not issue the client's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki[cert + "-chain.pem"], pki[cert + ".key"])
    versions = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2,
                "1.3": ssl.TLSVersion.TLSv1_3}
    if tls_max in ("1.0", "1.1"):
        context.set_ciphers(ciphers or "DEFAULT:@SECLEVEL=0")
    elif ciphers:
        context.set_ciphers(ciphers)
    context.minimum_version = versions[min(tls_min, tls_max)]
    context.maximum_version = versions[tls_max]
    context.verify_mode = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}[ask]
    if ask != "none":
        context.load_verify_locations(pki["unknown-client-root.pem" if reject else "client-cas.pem"])
    if alpn:
        context.set_alpn_protocols(alpn)
    if tickets == 0:
        context.options |= ssl.OP_NO_TICKET
    context.num_tickets = tickets
    if keylog:
        context.keylog_filename = keylog
    context._msg_callback = _on_message
    return context


def _name(value):
    return getattr(value, "name", None) or str(value)


def _on_message(conn, direction, version, content_type, msg_type, data):
    record = getattr(conn, "lab_record", None)
    if record is None:
        return
    if content_type == 22:
        record["handshake"].append([direction, _name(msg_type)])
        try:
            if direction == "read" and data[:1] == b"\x01" and record["client_hello"] is None:
                record["client_hello"] = wire.client_hello(data)
            elif direction == "read" and data[:1] == b"\x0b":
                tls13 = any(message[1] == "ENCRYPTED_EXTENSIONS" for message in record["handshake"])
                record["client_certificates"] = wire.certificate_count(data, tls13)
        except ValueError as error:
            record["error"] = "unreadable handshake message: %s" % error
    elif content_type == 21:
        record["alerts"].append([direction, _name(msg_type).lower()])


def new_record(**more):
    """What is known of a TLS session before it begins; plain data, fit for JSON."""
    record = {"handshake": [], "alerts": [], "client_hello": None, "client_certificates": 0, "client_cert": None,
              "version": None, "cipher": None, "resumed": None, "handshake_done": False, "bytes_in": 0,
              "bytes_out": 0, "end": None, "error": None, "done": False}
    record.update(more)
    return record


def _certificate(obj):
    der = obj.getpeercert(True)
    if not der:
        return None
    shown = obj.getpeercert() or {}
    return {"subject": ",".join("%s=%s" % pair for part in shown.get("subject", ()) for pair in part),
            "issuer": ",".join("%s=%s" % pair for part in shown.get("issuer", ()) for pair in part),
            "serial": shown.get("serialNumber"), "sha256": hashlib.sha256(der).hexdigest()}


class Ended(Exception):
    """The other side is gone; record["end"] says how."""


class TlsSide:
    def __init__(self, sock, context, record, **limits):
        self.sock, self.record = sock, record
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.obj = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.obj.lab_record = record
        self.hash = hashlib.sha256()
        self.plain = bytearray()
        self.ended = False
        self.flight_limit = limits.get("flight_limit")   # bytes of our own flight that may leave
        self.flight_sent = 0
        self.tap = limits.get("tap")                     # called with all ciphertext that arrives
        self.sending = asyncio.Lock()

    async def flush(self):
        """Sends what TLS wants sent; False when flight_limit has been reached."""
        loop = asyncio.get_running_loop()
        async with self.sending:
            while self.outgoing.pending:
                part = self.outgoing.read(CHUNK)
                if self.flight_limit is not None:
                    part = part[:max(0, self.flight_limit - self.flight_sent)]
                    self.flight_sent += len(part)
                if part:
                    await loop.sock_sendall(self.sock, part)
        return self.flight_limit is None or self.flight_sent < self.flight_limit

    async def fill(self):
        """More ciphertext; raises Ended after noting a cut or a reset."""
        try:
            part = await asyncio.get_running_loop().sock_recv(self.sock, CHUNK)
        except OSError as error:
            self._end("reset", error)
        if not part:
            self.incoming.write_eof()
            self._end("truncated")
        if self.tap:
            self.tap(part)
        self.incoming.write(part)

    def _end(self, how, error=None):
        self.ended = True
        if self.record["end"] is None:
            self.record["end"] = how
        if error is not None and self.record["error"] is None:
            self.record["error"] = str(error)
        raise Ended(how)

    async def handshake(self):
        """Raises Ended; False when flight_limit stopped it."""
        while True:
            try:
                self.obj.do_handshake()
                break
            except ssl.SSLWantReadError:
                if not await self.flush():
                    return False
                await self.fill()
            except (ssl.SSLError, OSError) as error:
                try:
                    await self.flush()
                except OSError:
                    pass
                self._end("handshake-failed", error)
        self.record.update(handshake_done=True, version=self.obj.version(), cipher=self.obj.cipher()[0],
                           resumed=self.obj.session_reused, client_cert=_certificate(self.obj))
        await self.flush()
        return True

    def decrypt(self):
        """All plain text that is there, b"" for none yet, None at close_notify."""
        found = bytearray()
        while True:
            try:
                part = self.obj.read(65536)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                part = b""
            except (ssl.SSLError, OSError) as error:
                self._end("tls-error", error)
            if not part:
                if not found:
                    return None
                break
            found += part
            if len(found) >= CHUNK:
                break
        self.record["bytes_in"] += len(found)
        self.hash.update(found)
        return bytes(found)

    async def read(self):
        """Some bytes; b"" at close_notify; raises Ended when the stream was cut."""
        while True:
            if self.plain:
                found, self.plain = bytes(self.plain), bytearray()
                return found
            found = self.decrypt()
            if self.outgoing.pending:
                await self.flush()
            if found is None:
                self.ended = True
                self.record["end"] = self.record["end"] or "close_notify"
                return b""
            if found:
                return found
            await self.fill()

    async def write(self, data):
        view = memoryview(data)
        for at in range(0, len(view), CHUNK):
            part = view[at:at + CHUNK]
            while len(part):
                part = part[self.obj.write(part):]
            try:
                await self.flush()
            except OSError as error:
                self._end("reset", error)
        self.record["bytes_out"] += len(view)

    async def close_notify(self):
        """Ends our direction; reading goes on."""
        # SSL_shutdown fails over unread data, so what has been received is taken out first.
        try:
            rest = None if self.ended else self.decrypt()
            while rest:
                self.plain += rest
                rest = self.decrypt()
        except Ended:
            pass
        try:
            self.obj.unwrap()
        except (ssl.SSLError, OSError):
            pass
        try:
            await self.flush()
        except OSError:
            pass
