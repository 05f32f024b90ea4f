"""
A mutual-TLS target that does what a test tells it, byte by byte: each connection is given to a function of the test's
as a Stream.  The lab's instance speaks HTTP by itself; this one is for messages that no library writes.
"""

import contextlib
import socket
import ssl
import threading

import harness


@contextlib.contextmanager
def reader(sock):
    """For read_response(), where more than one response may come at once: what was read ahead stays in it."""
    box = harness._Borrowed(sock)
    try:
        yield box
    finally:
        box.file.close()


class Stream:
    """One connection, as the target sees it."""

    def __init__(self, tls):
        self.tls, self.file = tls, tls.makefile("rb")

    def head(self):
        """The next request's head as a list of lines, [] at the end of the stream."""
        lines = []
        while (line := self.file.readline()) not in (b"\r\n", b""):
            lines.append(line.rstrip(b"\r\n").decode("latin-1"))
        return lines

    def read(self, count):
        return self.file.read(count)

    def rest(self):
        """Everything up to the end, however it comes."""
        try:
            return self.file.read()
        except OSError:
            return b""

    def send(self, data):
        self.tls.sendall(data)

    def end(self):
        """close_notify, which is not answered before the client ends too."""
        try:
            self.tls.unwrap()
        except OSError:
            pass


class Target:
    """`serve(stream)` runs in a thread for each connection; what it raises fails the test at its end."""

    def __init__(self, case, serve):
        self.serve, self.errors, self.connections, self.threads = serve, [], 0, []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(case.pki["server-chain.pem"], case.pki["server.key"])
        self.context.load_verify_locations(case.pki["client-cas.pem"])
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port, self.host = self.sock.getsockname()[1], "127.0.0.1"
        case.cleanups.append(self.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._run, args=(sock,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _run(self, sock):
        sock.settimeout(harness.LIMIT * 3)
        try:
            with self.context.wrap_socket(sock, server_side=True) as tls:
                self.connections += 1
                self.serve(Stream(tls))
        except Exception as error:
            self.errors.append(error)

    def close(self):
        self.sock.close()

    def done(self):
        """Waits for its connections to end; what went wrong in them is raised."""
        for thread in list(self.threads):
            thread.join(harness.LIMIT * 3)
            assert not thread.is_alive(), "a connection at the target did not end"
        if self.errors:
            raise self.errors[0]


def response(body=b"", status="200 OK", headers=(), length=True):
    lines = ["HTTP/1.1 " + status, *headers] + (["Content-Length: %d" % len(body)] if length else [])
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
