"""
The far end: a mutual-TLS server that can misbehave.

Scenario (all optional):
  cert        server | server-rsa | wrong-name | expired | not-yet-valid | untrusted | inspect
  ask         required | optional | none: does it ask for a client certificate
  reject      true: the client's certificate is refused by a TLS alert
  tls_min, tls_max   1.0 … 1.3;  ciphers;  tickets (0 … 255);  alpn (list)
  mode        http | echo | sink | source | duplex | hold
                http: HTTP/1.1 keep-alive, answers what arrived as JSON
                echo: bytes back;  sink: counts to the end, then answers JSON
                source: `bytes` of pattern, close_notify, then reads on to the end
                duplex: source and sink at once, no close_notify before the client's
                hold: reads and stays silent
  answer      http: cert-refused: every request gets the edge's 400 page
                hibernating: … the same page under 200;  session-timeout: … a redirect to /session_timeout.do
                plain: a server that is no instance (nginx, nothing under /adcv2);  unavailable: … 503
                soap-fault: /InstanceInfo.do gets a SOAP fault;  cut: less than was promised, then truncation
  supports_tls  http: what /adcv2/supports_tls says (true | mixed | false)
  end         close_notify | truncate | reset: how it ends its direction
  pause_after bytes read after which it reads no more until release
  rcvbuf      SO_RCVBUF of accepted sockets
  idle_close  seconds after the handshake at which it ends a connection on which nothing has come (as `end` says)
  unasked     true: it sends a byte as soon as the handshake is done
  handshake   one of tlsside.HANDSHAKES: what goes wrong before TLS is up
  at          handshake = close-mid | reset-mid | stall-mid: bytes of the server's flight that leave before
  family      inet | inet6
"""

import asyncio
import hashlib
import json
import os
import random
import socket
import time

import tlsside
from tlsside import Ended, TlsSide

CERT_REFUSED_PAGE = """\
<html>\r
<head><title>400 The SSL certificate error</title></head>\r
<body>\r
<center><h1>400 Bad Request</h1></center>\r
<center>The SSL certificate error</center>\r
<hr><center>snow_adc</center>\r
</body>\r
</html>\r
"""

HIBERNATING_PAGE = """\
<!DOCTYPE html>
<html><head><title>Instance Hibernating page</title></head>
<body><script>var hibernating = true;</script>Your instance is hibernating</body></html>
"""

SOAP_FAULT = """\
<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><SOAP-ENV:Fault>\
<faultcode>SOAP-ENV:Client</faultcode></SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>
"""

ANSWERS = (None, "cert-refused", "hibernating", "session-timeout", "plain", "unavailable", "soap-fault", "cut")

PATTERN_BYTES = 65521


def pattern(seed=0):
    """The block that sources repeat."""
    return random.Random(seed).randbytes(PATTERN_BYTES)


def pattern_stream(count, seed=0, chunk=16):
    """`count` bytes of the repeated pattern, in pieces."""
    block = pattern(seed) * chunk
    while count > 0:
        part = block[:min(count, len(block))]
        yield part
        count -= len(part)


def pattern_sha256(count, seed=0):
    digest = hashlib.sha256()
    for part in pattern_stream(count, seed):
        digest.update(part)
    return digest.hexdigest()


class Instance:
    kind = "instance"

    def __init__(self, name, pki, directory, **scenario):
        self.name, self.pki = name, pki
        self.keylog = os.path.join(directory, name + ".keylog")
        self.connections = []
        self.gate = asyncio.Event()
        self.tasks = set()
        self.sides = set()     # TLS sessions that are up
        self.sock = None
        self.configure(**scenario)

    def configure(self, **scenario):
        known = {"cert": "server", "ask": "required", "reject": False, "tls_min": "1.2", "tls_max": "1.3",
                 "ciphers": None, "tickets": 2, "alpn": None, "mode": "http", "answer": None, "supports_tls": "true", "bytes": 0, "seed": 0,
                 "end": "close_notify", "pause_after": None, "rcvbuf": None, "handshake": "normal", "at": 0,
                 "family": "inet", "idle_close": None, "unasked": False}
        for key in scenario:
            if key not in known:
                raise ValueError("an instance has no %r" % key)
        self.scenario = dict(known, **scenario)
        if self.scenario["handshake"] not in tlsside.HANDSHAKES:
            raise ValueError("no handshake is called %r" % self.scenario["handshake"])
        if self.scenario["answer"] not in ANSWERS:
            raise ValueError("no answer is called %r" % self.scenario["answer"])
        s = self.scenario
        self.context = tlsside.server_context(self.pki, s["cert"], s["ask"], s["reject"], s["tls_min"], s["tls_max"],
                                              s["tickets"], s["ciphers"], s["alpn"], self.keylog)

    async def start(self):
        inet6 = self.scenario["family"] == "inet6"
        self.sock = socket.socket(socket.AF_INET6 if inet6 else socket.AF_INET)
        if self.scenario["rcvbuf"]:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.scenario["rcvbuf"])
        self.sock.bind(("::1" if inet6 else "127.0.0.1", 0))
        self.sock.listen(1024)
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]
        self.host = "::1" if inet6 else "127.0.0.1"
        self._spawn(self._accept())

    def _spawn(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def stop(self):
        self.sock.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def describe(self):
        return {"id": self.name, "kind": self.kind, "host": self.host, "port": self.port, "keylog": self.keylog,
                "scenario": self.scenario}

    def release(self):
        """Lets paused readers go on."""
        self.gate.set()

    async def _accept(self):
        loop = asyncio.get_running_loop()
        while True:
            sock, peer = await loop.sock_accept(self.sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            record = tlsside.new_record(id=len(self.connections) + 1, peer="%s:%d" % peer[:2], time=time.time(),
                                        requests=[], sha256_in=None)
            self.connections.append(record)
            self._spawn(self._serve(sock, record))

    async def _serve(self, sock, record):
        side = None
        try:
            if not await tlsside.before_handshake(sock, self.scenario["handshake"], record):
                return
            s = self.scenario
            limit = s["at"] if s["handshake"] in tlsside.MID_HANDSHAKES else None
            side = TlsSide(sock, self.context, record, flight_limit=limit)
            if await side.handshake():
                self.sides.add(side)
                if s["unasked"]:
                    await side.write(b"!")
                if s["idle_close"] is not None:
                    asyncio.get_running_loop().call_later(s["idle_close"], self._end_idle, side, record)
                await getattr(self, "_mode_" + s["mode"])(side, record)
                await self._finish(side, record)
            else:
                await tlsside.cut(sock, s["handshake"])
        except Ended:
            if record["end"] == "handshake-failed":
                await tlsside.close_clean(sock)
        except (OSError, ValueError) as error:
            record["error"] = record["error"] or repr(error)
        finally:
            if side is not None:
                self.sides.discard(side)
                record["sha256_in"] = side.hash.hexdigest()
            sock.close()
            record["done"] = True

    def _end_idle(self, side, record):
        if side in self.sides and record["bytes_in"] == 0:
            self._spawn(self._end_one(side, self.scenario["end"]))

    async def _end_one(self, side, end):
        if end == "close_notify":
            await side.close_notify()
        side.sock.shutdown(socket.SHUT_WR)

    async def end_all(self, end):
        """Ends our direction of every connection (close_notify, truncate); what the other side sends is still read."""
        for side in list(self.sides):
            await self._end_one(side, end)

    async def _finish(self, side, record):
        """Ends our direction as the scenario says."""
        end = self.scenario["end"]
        if end == "reset":
            tlsside.reset(side.sock)
            return
        if end == "close_notify":
            await side.close_notify()
        await tlsside.close_clean(side.sock)

    async def _read(self, side, record):
        limit = self.scenario["pause_after"]
        if limit is not None and record["bytes_in"] >= limit and not self.gate.is_set():
            record["paused"] = True
            await self.gate.wait()
            record["paused"] = False
        return await side.read()

    async def _mode_hold(self, side, record):
        while await self._read(side, record):
            pass

    async def _mode_echo(self, side, record):
        while part := await self._read(side, record):
            await side.write(part)

    async def _mode_sink(self, side, record):
        while await self._read(side, record):
            pass
        await side.write(json.dumps({"bytes": record["bytes_in"], "sha256": side.hash.hexdigest()}).encode())

    async def _send_pattern(self, side):
        for part in pattern_stream(self.scenario["bytes"], self.scenario["seed"]):
            await side.write(part)

    async def _mode_source(self, side, record):
        await self._send_pattern(side)
        if self.scenario["end"] == "close_notify":
            await side.close_notify()
            while await self._read(side, record):
                pass

    async def _mode_duplex(self, side, record):
        async def sink():
            while await self._read(side, record):
                pass
        await asyncio.gather(self._send_pattern(side), sink())

    async def _mode_http(self, side, record):
        http = _Http(lambda: self._read(side, record), side.write)
        while True:
            request = await http.request()
            if request is None:
                return
            record["requests"].append({key: request[key] for key in ("method", "path", "headers", "body_bytes",
                                                                     "body_sha256")})
            keep = await self._answer(side, record, http, request)
            if not keep:
                return

    async def _answer(self, side, record, http, request):
        status, kind, extra = "200 OK", "application/json", []
        path = request["path"].split("?")[0]
        keep = request["keep"]
        answer = self.scenario["answer"]
        if answer == "cert-refused":
            status, kind, body, keep = "400 Bad Request", "text/html", CERT_REFUSED_PAGE.encode(), False
        elif answer == "hibernating":
            kind, body = "text/html;charset=UTF-8", HIBERNATING_PAGE.encode()
        elif answer == "session-timeout" and path == "/adcv2/supports_tls":
            status, kind, body = "302 Found", "text/html", b""
            extra = ["Location: https://instance.lab.test/session_timeout.do"]
        elif answer == "plain" and path != "/":
            status, kind, body = "404 Not Found", "text/html", b"<html>404 Not Found</html>"
        elif answer == "unavailable":
            status, kind, body = "503 Service Unavailable", "text/html", b"<html>maintenance</html>"
        elif answer == "soap-fault" and path == "/InstanceInfo.do":
            status, kind, body = "500 Internal Server Error", "text/xml;charset=UTF-8", SOAP_FAULT.encode()
        elif answer == "cut":
            await http.head(status, "text/plain", 1000, False, b"part")
            self.scenario = dict(self.scenario, end="truncate")
            return False
        elif path == "/adcv2/supports_tls":
            kind, body = "text/plain", self.scenario["supports_tls"].encode() + b"\n"
        elif path.startswith("/adcv2/"):
            kind, body = "text/plain", b"true\n"
        elif path.startswith("/bytes/"):
            kind = "application/octet-stream"
            count = int(path.split("/")[2])
            await http.head(status, kind, count, keep)
            for part in pattern_stream(count, self.scenario["seed"]):
                await side.write(part)
            return keep
        elif path.startswith("/cut/"):
            # Promises more than it sends.
            await http.head(status, "application/octet-stream", int(path.split("/")[2]) * 2, keep)
            for part in pattern_stream(int(path.split("/")[2]), self.scenario["seed"]):
                await side.write(part)
            return False
        else:
            shown = {"instance": "instance.lab.test", "connection": record["id"], "tls_version": record["version"],
                     "cipher": record["cipher"], "resumed": record["resumed"], "client_cert": record["client_cert"]}
            shown.update((key, request[key]) for key in ("method", "path", "headers", "body_bytes", "body_sha256"))
            body = json.dumps(shown, indent=1).encode() + b"\n"
        await http.head(status, kind, len(body), keep, body if request["method"] != "HEAD" else b"", extra,
                        "nginx" if answer == "plain" else "snow_adc")
        return keep


class _Http:
    """Enough of HTTP/1.1 to serve a client that keeps its connection (RFC 9112)."""

    def __init__(self, read, write):
        self.read, self.write = read, write
        self.buffer = bytearray()

    async def _more(self):
        part = await self.read()
        self.buffer += part
        return bool(part)

    async def request(self):
        """The next request with its body counted and hashed; None at the end of the stream."""
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > 256 * 1024 or not await self._more():
                return None
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        self.buffer = bytearray(rest)
        lines = head.decode("latin-1").split("\r\n")
        method, path, version = lines[0].split(" ", 2)
        headers = [[part.strip() for part in line.split(":", 1)] for line in lines[1:]]
        values = {name.lower(): value for name, value in headers}
        if values.get("expect", "").lower() == "100-continue":
            await self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.count, self.digest = 0, hashlib.sha256()
        if "chunked" in values.get("transfer-encoding", "").lower():
            whole = await self._chunks()
        else:
            whole = await self._take(int(values.get("content-length", 0)))
        if not whole:
            return None
        keep = "close" not in values.get("connection", "").lower() and version == "HTTP/1.1"
        return {"method": method, "path": path, "version": version, "headers": headers, "keep": keep,
                "body_bytes": self.count, "body_sha256": self.digest.hexdigest()}

    async def _take(self, count):
        while count > 0:
            if not self.buffer and not await self._more():
                return False
            part = bytes(self.buffer[:count])
            del self.buffer[:count]
            self.digest.update(part)
            self.count += len(part)
            count -= len(part)
        return True

    async def _line(self):
        while b"\r\n" not in self.buffer:
            if not await self._more():
                return None
        line, _, rest = bytes(self.buffer).partition(b"\r\n")
        self.buffer = bytearray(rest)
        return line

    async def _chunks(self):
        while (line := await self._line()) is not None:
            size = int(line.split(b";")[0], 16)
            if not await self._take(size):
                return False
            line = await self._line()
            if size == 0:
                while line:
                    line = await self._line()
                return line is not None
        return False

    async def head(self, status, kind, length, keep, body=b"", extra=(), server="snow_adc"):
        text = "HTTP/1.1 %s\r\nServer: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s%s\r\n" % (
            status, server, kind, length, "".join(line + "\r\n" for line in extra),
            "" if keep else "Connection: close\r\n")
        await self.write(text.encode() + body)
