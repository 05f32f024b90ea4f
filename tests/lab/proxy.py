"""
A CONNECT proxy that can misbehave, and remembers what it saw.

Scenario (all optional):
  target        "HOST:PORT" where every CONNECT really goes, or {"asked host:port": "HOST:PORT", "*": …};
                without it the name in the request is dialled
  reply         a name out of replies.py, or literal text: the answer to a CONNECT (default squid-200)
  auth          [user, password]: others get `auth_reply` (default squid-407)
  drop_authorized   true: a request with credentials is never answered
  delay         seconds before the answer
  split         0: one write; N: pieces of N bytes; [a, b, …]: cut at these offsets
  inject        text (or hex:…) in the same write as the head: the tunnel's first bytes
  close_at      accept | request | head:N | head | up:N | down:N: where the connection ends (N bytes into the
                answer, or of tunnel bytes from the client / the target)
  how           close | reset
  silent        true: the request is read and never answered
  drip          seconds between header lines of an answer that never ends
  early         take | drop | refuse | reset | silent | text | hang-up: what becomes of bytes that come behind the CONNECT,
                before the answer: passed on; forgotten; answered 400 alone; the connection reset, or silent; read as a
                second request, answered 400 inside the tunnel; the connection closed behind the 200
  tunnel        relay | plaintext | inspect | stall
  inspect       for tunnel = inspect: {"cert": "inspect", "ask": "none|optional", "tls_max": …}
  never_accept  true: connections never become established
  keep          bytes of each direction that are kept in the transcript (default 1 MiB)
  tls           {…}: TLS in front, see front.py; records then have `tls`, and `outer_file` with the ciphertext
  family        inet | inet6
"""

import asyncio
import fcntl
import os
import socket
import ssl
import struct
import termios
import time

import replies
import tlsside
from front import Front
from tlsside import CHUNK, Ended, TlsSide

MAX_REQUEST = 65536
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST = 4, 20, 1   # linux/netlink.h, linux/sock_diag.h
UNREAD_MAX_S = 1   # so long a piece is waited for that the other side does not read


def _unread(sock):
    """How many of the bytes that were sent the other side of this connection on this host has not read."""
    if sock.family == socket.AF_UNIX:
        return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]
    try:
        here, there = sock.getsockname(), sock.getpeername()
    except OSError:   # it has left
        return 0
    # sock_diag(7), for one socket: /proc/net/tcp would be all of them, for each piece.
    addresses = b"".join(socket.inet_pton(sock.family, name[0]).ljust(16, b"\0") for name in (there, here))
    asked = (struct.pack("=BBBxI", sock.family, socket.IPPROTO_TCP, 0, 0xffffffff) +
             struct.pack("!HH", there[1], here[1]) + addresses + struct.pack("=I8s", 0, b"\xff" * 8))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as diag:
        diag.send(struct.pack("=IHHII", 16 + len(asked), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0) + asked)
        answer = diag.recv(4096)
    if struct.unpack_from("=H", answer, 4)[0] != SOCK_DIAG_BY_FAMILY:   # an error: no such socket
        return 0
    return struct.unpack_from("=I", answer, 72)[0]


async def _until_read(sock):
    loop = asyncio.get_running_loop()
    limit = loop.time() + UNREAD_MAX_S
    while _unread(sock) and loop.time() < limit:
        await loop.run_in_executor(None, os.sched_yield)


def _bytes(text):
    return bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode("latin-1")


class Proxy:
    kind = "proxy"

    def __init__(self, name, pki, directory, **scenario):
        self.name, self.pki, self.directory = name, pki, directory
        self.connections = []
        self.tasks = set()
        self.fillers = []
        self.configure(**scenario)

    def configure(self, **scenario):
        known = {"target": None, "reply": "squid-200", "auth": None, "auth_reply": "squid-407",
                 "drop_authorized": False, "delay": 0, "split": 0, "inject": "", "close_at": None, "how": "close",
                 "silent": False, "drip": None, "tunnel": "relay", "inspect": {}, "never_accept": False,
                 "keep": 1 << 20, "early": "take", "tls": None, "family": "inet"}
        for key in scenario:
            if key not in known:
                raise ValueError("a proxy has no %r" % key)
        self.scenario = dict(known, **scenario)
        replies.text(self.scenario["reply"])
        replies.text(self.scenario["auth_reply"])
        if self.scenario["tls"] is not None:
            keylog = os.path.join(self.directory, self.name + ".keylog")
            self.front = Front(self.pki, keylog, **self.scenario["tls"])
        if self.scenario["tunnel"] == "inspect":
            how = dict({"cert": "inspect", "ask": "none"}, **self.scenario["inspect"])
            self.context = tlsside.server_context(self.pki, **how)

    async def start(self):
        inet6 = self.scenario["family"] == "inet6"
        self.sock = socket.socket(socket.AF_INET6 if inet6 else socket.AF_INET)
        self.host = "::1" if inet6 else "127.0.0.1"
        self.sock.bind((self.host, 0))
        self.port = self.sock.getsockname()[1]
        self.sock.setblocking(False)
        if self.scenario["never_accept"]:
            self._fill_backlog()
            return
        self.sock.listen(1024)
        self._spawn(self._accept())

    def _fill_backlog(self):
        # With the queue of a listener full the kernel drops further SYNs.
        self.sock.listen(0)
        for _ in range(4):
            filler = socket.socket(self.sock.family)
            filler.setblocking(False)
            filler.connect_ex((self.host, self.port))
            self.fillers.append(filler)

    def _spawn(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def stop(self):
        self.sock.close()
        for filler in self.fillers:
            filler.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def describe(self):
        return {"id": self.name, "kind": self.kind, "host": self.host, "port": self.port, "scenario": self.scenario}

    def release(self):
        pass

    async def _accept(self):
        loop = asyncio.get_running_loop()
        while True:
            sock, peer = await loop.sock_accept(self.sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = len(self.connections) + 1
            stem = os.path.join(self.directory, "%s-%d" % (self.name, number))
            record = {"id": number, "peer": "%s:%d" % peer[:2], "time": time.time(), "request": "", "reads": 0, "early": 0,
                      "reply": None, "answered": None, "authorized": None, "bytes_up": 0, "bytes_down": 0,
                      "first_up": None, "up_file": stem + ".up", "down_file": stem + ".down", "eof_up": False,
                      "eof_down": False, "reset_up": False, "end": None, "error": None, "done": False}
            self.connections.append(record)
            if self.scenario["tls"] is not None:
                record.update(tls=tlsside.new_record(), outer_file=stem + ".outer")
                self._spawn(self._serve_tls(sock, record))
            else:
                self._spawn(self._serve(sock, record))

    async def _serve_tls(self, sock, record):
        record["opened"] = False
        tasks = []
        try:
            with open(record["outer_file"], "wb", buffering=0) as outer:
                side, inner = await self.front.open(sock, record["tls"], outer.write)
                if side is None:
                    return
                record["opened"] = True
                tasks = [self._spawn(self._serve(inner.other, record)), self._spawn(self.front.relay(side, inner))]
                await asyncio.gather(*tasks)
        except OSError as error:
            record["error"] = record["error"] or repr(error)
        finally:
            await self._stop(tasks)
            sock.close()
            record["tls"]["done"] = record["done"] = True

    async def _serve(self, sock, record):
        try:
            with open(record["up_file"], "wb", buffering=0) as up, open(record["down_file"], "wb", buffering=0) as down:
                record["end"] = await self._serve_client(sock, record, up, down)
        except ConnectionResetError:
            record["reset_up"] = True
            record["end"] = record["end"] or "reset"
        except (OSError, ValueError) as error:
            record["error"] = repr(error)
        finally:
            sock.close()
            record["done"] = "tls" not in record  # there the front ends last

    async def _cut(self, sock):
        if self.scenario["how"] == "reset":
            tlsside.reset(sock)
        else:
            await tlsside.close_clean(sock)

    async def _serve_client(self, sock, record, up, down):
        s = self.scenario
        if s["close_at"] == "accept":
            await self._cut(sock)
            return "accept"
        early = await self._request(sock, record)
        if early is None:
            return "no-request"
        if s["close_at"] == "request":
            await self._cut(sock)
            return "request"
        record["early"] = len(early)
        reply = self._choose(record)
        if early and s["early"] == "reset":
            tlsside.reset(sock)
            return "early"
        if early and s["early"] == "refuse":
            reply = False, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
        if s["silent"] or (early and s["early"] == "silent") or (s["drop_authorized"] and record["authorized"] is not None):
            await self._until_gone(sock)
            return "silent"
        if s["delay"]:
            more = bytearray()
            if await self._gone_within(sock, s["delay"], more):
                return "gone"
            early += more
        if s["drip"] is not None:
            return await self._drip(sock)
        target = await self._dial(record) if reply[0] and s["tunnel"] in ("relay", "inspect") else None
        try:
            return await self._answer(sock, record, reply, target, early, (up, down))
        finally:
            if target is not None:
                target.close()

    async def _answer(self, sock, record, reply, target, early, transcripts):
        s = self.scenario
        opened, name = reply
        record["reply"], record["answered"] = name.split("\r\n")[0], time.time()
        if not await self._send_head(sock, replies.text(name)):
            return "head"
        if not opened or s["close_at"] == "head":
            await self._cut(sock)
            return "refused" if not opened else "head"
        if early and s["early"] == "drop":
            early = b""
        if early and s["early"] in ("text", "hang-up"):
            if s["early"] == "text":
                bad = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
                await asyncio.get_running_loop().sock_sendall(sock, bad)
            await tlsside.close_clean(sock)
            return "early"
        if s["tunnel"] == "stall":
            await self._until_gone(sock)
            return "stall"
        if s["tunnel"] == "plaintext":
            loop = asyncio.get_running_loop()
            if early:
                self._keep(record, "up", early, transcripts[0])
            else:
                await self._copy_one(sock, record, transcripts[0])
            await loop.sock_sendall(sock, b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            await tlsside.close_clean(sock)
            return "plaintext"
        if s["tunnel"] == "inspect":
            return await self._inspect(sock, record, target, early, transcripts[0])
        return await self._relay(sock, record, target, early, transcripts)

    async def _request(self, sock, record):
        """Reads a request head; returns what came behind it."""
        loop = asyncio.get_running_loop()
        got = b""
        while b"\r\n\r\n" not in got:
            part = await loop.sock_recv(sock, MAX_REQUEST)
            if not part or len(got) > MAX_REQUEST:
                record["request"] = got.decode("latin-1")
                return None
            record["reads"] += 1
            got += part
        head, _, rest = got.partition(b"\r\n\r\n")
        record["request"] = head.decode("latin-1") + "\r\n\r\n"
        for line in record["request"].split("\r\n"):
            if line.lower().startswith("proxy-authorization:"):
                record["authorized"] = line.split(":", 1)[1].strip()
        return rest

    def _choose(self, record):
        """(does it open a tunnel, the reply's name)"""
        s = self.scenario
        if s["auth"] and record["authorized"] != replies.basic(*s["auth"]):
            return False, s["auth_reply"]
        return s["reply"] in replies.YES or s["reply"].split(" ")[1:2] == ["200"], s["reply"]

    async def _send_head(self, sock, head):
        """False when the scenario ended the connection within the head."""
        s = self.scenario
        loop = asyncio.get_running_loop()
        data = head + _bytes(s["inject"])
        ends = bool(s["close_at"]) and s["close_at"].startswith("head:")
        if ends:
            data = data[:int(s["close_at"][5:])]
        cuts = s["split"]
        if isinstance(cuts, int):
            cuts = range(cuts, len(data), cuts) if cuts else []
        at = 0
        for cut in [*cuts, len(data)]:
            await loop.sock_sendall(sock, data[at:cut])
            at = cut
            # What was written apart the kernel joins, unless it has been read.
            if cut < len(data):
                await _until_read(sock)
        if ends:
            await self._cut(sock)
        return not ends

    async def _drip(self, sock):
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, b"HTTP/1.1 200 OK\r\n")
        while not await self._gone_within(sock, self.scenario["drip"]):
            await loop.sock_sendall(sock, b"X-Wait: a little longer\r\n")
        return "gone"

    async def _until_gone(self, sock, kept=None):
        loop = asyncio.get_running_loop()
        while part := await loop.sock_recv(sock, CHUNK):
            if kept is not None:
                kept += part

    async def _gone_within(self, sock, seconds, kept=None):
        """Holds the answer back, at most until the client has left; `kept` takes what it sends meanwhile."""
        try:
            await asyncio.wait_for(self._until_gone(sock, kept), seconds)
            return True
        except asyncio.TimeoutError:
            return False

    async def _dial(self, record):
        asked = record["request"].split(" ")[1]
        target = self.scenario["target"] or asked
        if isinstance(target, dict):
            target = target.get(asked) or target.get("*") or asked
        host, port = target.rsplit(":", 1)
        record["target"] = target
        loop = asyncio.get_running_loop()
        family, kind, proto, _, address = (await loop.getaddrinfo(host.strip("[]"), int(port),
                                                                  type=socket.SOCK_STREAM))[0]
        sock = socket.socket(family, kind, proto)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, address)
        return sock

    def _keep(self, record, direction, part, transcript):
        before = record["bytes_" + direction]
        if before < self.scenario["keep"]:
            transcript.write(part[:self.scenario["keep"] - before])
        record["bytes_" + direction] = before + len(part)

    async def _copy_one(self, sock, record, transcript):
        part = await asyncio.get_running_loop().sock_recv(sock, CHUNK)
        self._keep(record, "up", part, transcript)

    async def _relay(self, sock, record, target, early, transcripts):
        loop = asyncio.get_running_loop()
        limits = {}
        close_at = self.scenario["close_at"]
        if close_at and close_at.split(":")[0] in ("up", "down"):
            limits[close_at.split(":")[0]] = int(close_at.split(":")[1])
        if early:
            record["first_up"] = time.time()
            early = early[:limits.get("up", len(early))]
            self._keep(record, "up", early, transcripts[0])
            await loop.sock_sendall(target, early)
            if record["bytes_up"] == limits.get("up"):
                await self._cut(sock)
                return "up"

        async def copy(source, sink, direction, transcript):
            while True:
                part = await loop.sock_recv(source, CHUNK)
                if not part:
                    sink.shutdown(socket.SHUT_WR)
                    record["eof_" + direction] = True
                    return None
                if direction in limits:
                    left = limits[direction] - record["bytes_" + direction]
                    part = part[:left]
                if direction == "up" and record["first_up"] is None:
                    record["first_up"] = time.time()
                self._keep(record, direction, part, transcript)
                await loop.sock_sendall(sink, part)
                if direction in limits and record["bytes_" + direction] >= limits[direction]:
                    return direction

        tasks = [self._spawn(copy(sock, target, "up", transcripts[0])),
                 self._spawn(copy(target, sock, "down", transcripts[1]))]
        try:
            for finished in asyncio.as_completed(tasks):
                try:
                    limited = await finished
                except OSError:
                    # A reset on one leg is passed on to the other.
                    record["reset_up"] = tasks[0].done() and tasks[0].exception() is not None
                    tlsside.reset(sock)
                    tlsside.reset(target)
                    return "reset"
                if limited:
                    await self._stop(tasks)
                    await self._cut(sock)
                    return limited
        finally:
            await self._stop(tasks)
        return "closed"

    async def _stop(self, tasks):
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _inspect(self, sock, record, target, early, transcript):
        """Plays the server with a certificate of its own, and the client towards the real one."""
        seen = record["inspected"] = tlsside.new_record(plaintext="")
        side = TlsSide(sock, self.context, seen, tap=lambda part: self._keep(record, "up", part, transcript))
        side.incoming.write(early)
        self._keep(record, "up", early, transcript)
        try:
            await side.handshake()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            reader, writer = await asyncio.open_connection(sock=target, ssl=context,
                                                           server_hostname="instance.lab.test")
            await self._inspect_relay(side, seen, reader, writer)
        except Ended:
            pass
        except (ssl.SSLError, OSError) as error:
            seen["error"] = seen["error"] or repr(error)
        seen["done"] = True
        await tlsside.close_clean(sock)
        return "inspected"

    async def _inspect_relay(self, side, seen, reader, writer):
        async def up():
            while part := await side.read():
                seen["plaintext"] += part[:max(0, 65536 - len(seen["plaintext"]))].decode("latin-1")
                writer.write(part)
                await writer.drain()

        async def down():
            while part := await reader.read(CHUNK):
                await side.write(part)
            await side.close_notify()

        tasks = [self._spawn(up()), self._spawn(down())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._stop(tasks)
            writer.close()
