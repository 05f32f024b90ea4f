#!/usr/bin/python3
"""
What mode = http costs beside mode = tcp: one midrelay has a relay of each, and both get the same HTTP in turns.

Only the relay's CPU is counted, so client and server are small programs of Python.  As a program this is the server:

    http_mode.py CERT KEY CA      prints its port; ends when its input does

It answers `GET /N` with N bytes, and with `?chunked` in chunks; of other requests it reads the body and answers with two
bytes.
"""

import os
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import threading

import relays
from relays import NAME, Failed, NotForThis, ends_with_us

MIB = 1 << 20
BLOCK = bytes(range(256)) * 256                 # 64 KiB
CHUNK = 8192                                    # what Java's clients and Tomcat send, more or less
CHUNKED_BLOCK = b"".join(b"2000\r\n" + BLOCK[at:at + CHUNK] + b"\r\n" for at in range(0, len(BLOCK), CHUNK))


# The wire, of both sides

def read_head(file):
    """(the first line, the fields); the first line is empty at the end."""
    first, fields = file.readline(), {}
    while (line := file.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip()
    return first, fields


def read_exactly(file, count):
    while count > 0:
        part = file.read(min(count, 1 << 20))
        if not part:
            raise Failed("the end came early")
        count -= len(part)


def read_body(file, fields):
    """Its length."""
    if fields.get(b"transfer-encoding") != b"chunked":
        count = int(fields.get(b"content-length", 0))
        read_exactly(file, count)
        return count
    total = 0
    while (size := int(file.readline(), 16)) > 0:
        read_exactly(file, size + 2)
        total += size
    file.readline()
    return total


def send_body(sock, count, chunked):
    for _ in range(count // len(BLOCK)):
        sock.sendall(CHUNKED_BLOCK if chunked else BLOCK)
    if chunked:
        sock.sendall(b"0\r\n\r\n")


def body_field(count, chunked):
    return b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: %d\r\n" % count


# The server

def serve(sock, context):
    with context.wrap_socket(sock, server_side=True) as stream, stream.makefile("rb", buffering=1 << 17) as file:
        while True:
            first, fields = read_head(file)
            if not first:
                return
            read_body(file, fields)
            path = first.split(b" ")[1]
            if not first.startswith(b"GET "):
                stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                continue
            count, chunked = int(path[1:].split(b"?")[0]), path.endswith(b"?chunked")
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nSet-Cookie: a=b; Path=/; Secure; HttpOnly\r\n" + \
                body_field(count, chunked) + b"\r\n"
            if count < len(BLOCK):
                stream.sendall(head + BLOCK[:count])
            else:
                stream.sendall(head)
                send_body(stream, count, chunked)


def serve_all(cert, key, ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED

    def quietly(sock):
        try:
            serve(sock, context)
        except (OSError, Failed, ValueError):
            pass

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        print(listener.getsockname()[1], flush=True)

        def accept():
            while True:
                threading.Thread(target=quietly, args=(listener.accept()[0],), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()
    os._exit(0)


# The relay and its clients

class BothModes(relays.Midrelay):
    """One process with a relay of each mode; tunnels ahead of need are off: they would be work for nobody here."""
    other_port = None

    def configuration(self):
        self.other_port = self.port + 1
        keys = ["target = %s:%d" % (NAME, self.hop), "target_address = 127.0.0.1", "proxy = direct",
                "client_bundle = %s" % self.pki["bundle"], "trust = %s" % self.pki["ca"]]
        options = {"ready_tunnels": "off"} if self.knows("ready_tunnels", "off") else {}
        keys += ["%s = %s" % pair for pair in {**options, **dict(self.always), **dict(self.options)}.items()]
        return "\n".join(["[relay tcp]", "listen = 127.0.0.1:%d" % self.port, *keys, "[relay http]", "mode = http",
                          "listen = 127.0.0.1:%d" % self.other_port, *keys, ""])

    def read(self):
        """Its log."""
        with open(os.path.join(self.place, "output"), errors="replace") as output:
            return output.read()

    def ports(self):
        return {"tcp": self.port, "http": self.other_port}


class Client:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb", buffering=1 << 17)
        self.host = b"Host: 127.0.0.1:%d\r\n" % port

    def close(self):
        self.file.close()
        self.sock.close()

    def answer(self, expected):
        first, fields = read_head(self.file)
        if not first.startswith(b"HTTP/1.1 200 "):
            raise Failed("answered with %r" % first)
        got = read_body(self.file, fields)
        if got != expected:
            raise Failed("%d bytes of %d" % (got, expected))

    def up(self, count, chunked):
        self.sock.sendall(b"POST /up HTTP/1.1\r\n" + self.host + body_field(count, chunked) + b"\r\n")
        send_body(self.sock, count, chunked)
        self.answer(2)

    def down(self, count, chunked):
        self.sock.sendall(b"GET /%d%s HTTP/1.1\r\n" % (count, b"?chunked" if chunked else b"") + self.host + b"\r\n")
        self.answer(count)

    def small(self, count):
        """What a MID's poll looks like: a body of 300 bytes."""
        asked = b"POST /ecc_queue.do?SOAP HTTP/1.1\r\n" + self.host + (
            b"User-Agent: internal_soap_client\r\nSOAPAction: Get\r\nContent-Type: text/xml;charset=UTF-8\r\n"
            b"Cookie: JSESSIONID=0123456789ABCDEF; glide_user_route=glide.0123456789abcdef\r\nContent-Length: 300\r\n\r\n")
        asked += BLOCK[:300]
        for _ in range(count):
            self.sock.sendall(asked)
            self.answer(2)


class Both:
    """A relay of both modes with a client at each, which share one life."""

    def __init__(self, rig):
        self.pki = rig.pki("p256")
        self.server = subprocess.Popen([sys.executable, os.path.abspath(__file__), self.pki["server"],
                                        self.pki["server_key"], self.pki["ca"]], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True, preexec_fn=ends_with_us(signal.SIGKILL))
        self.relay = None
        try:
            port = int(self.server.stdout.readline() or 0)
            rig.turns += 1
            self.relay = BothModes(os.path.join(rig.place, "%d-modes" % rig.turns), self.pki, port)
            self.clients = {mode: Client(at) for mode, at in self.relay.ports().items()}
        except BaseException:
            self.close()
            raise

    def close(self):
        for client in getattr(self, "clients", {}).values():
            client.close()
        if self.relay:
            self.relay.stop()
        self.server.stdin.close()
        self.server.wait(5)
        self.server.stdout.close()

    def costs(self, work, slices):
        """The CPU seconds of a slice in each mode, paired: the modes take turns."""
        for client in self.clients.values():
            work(client)
        found = {"tcp": [], "http": []}
        for number in range(slices):
            for mode in ("tcp", "http") if number % 2 else ("http", "tcp"):
                before = self.relay.settled_cpu()
                work(self.clients[mode])
                found[mode].append(self.relay.settled_cpu() - before)
        return found


def only_midrelay(kind):
    if not issubclass(kind, relays.Midrelay) or not kind.knows("mode", "http"):
        raise NotForThis("has no two modes")


def bulk(direction, chunked):
    """mode = http to mode = tcp, CPU for as many bytes."""
    def measure(rig, kind):
        only_midrelay(kind)
        count = rig.size.counted_bytes // 4
        both = Both(rig)
        try:
            found = both.costs(lambda client: getattr(client, direction)(count, chunked), 8)
        finally:
            both.close()
        return statistics.median(found["http"]) / statistics.median(found["tcp"])
    return measure


def requests(rig, kind):
    """CPU microseconds of a request on a kept connection in mode = tcp, and how many more in mode = http."""
    only_midrelay(kind)
    count = rig.size.requests // 10
    both = Both(rig)
    try:
        found = both.costs(lambda client: client.small(count), 10)
    finally:
        both.close()
    tcp, http = (statistics.median(found[mode]) / count * 1e6 for mode in ("tcp", "http"))
    return tcp, http - tcp


if __name__ == "__main__":
    serve_all(*sys.argv[1:4])
