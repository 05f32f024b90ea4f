#!/usr/bin/python3
"""Proves that TLS messages behind the handshake that come in parts cost neither bytes, nor CPU, nor the process."""

import socket
import threading

import harness
import real
from harness import LIMIT, read_response, request_bytes, wait_until

DATA_RECORD = 23


class Holder:
    """A way to a server on which its tickets come with their first record alone, until release()."""

    def __init__(self, case, port):
        self.port_behind = port
        self.flight_sent = threading.Event()
        self.holds = threading.Event()
        self.released = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = [self.listener]
        case.cleanups.append(self.close)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            near = self.listener.accept()[0]
            far = socket.create_connection(("127.0.0.1", self.port_behind), LIMIT)
        except OSError:
            return
        self.sockets += [near, far]
        threading.Thread(target=self._pass_up, args=(near, far), daemon=True).start()
        self._pass_down(far, near)

    @staticmethod
    def _records(sock):
        with sock.makefile("rb") as file:
            while len(head := file.read(5)) == 5:
                yield head[0], head + file.read(int.from_bytes(head[3:], "big"))

    def _pass_up(self, near, far):
        try:
            for kind, record in self._records(near):
                far.sendall(record)
                if kind == DATA_RECORD:
                    self.flight_sent.set()
            far.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _pass_down(self, far, near):
        try:
            for _, record in self._records(far):
                if self.holds.is_set():
                    self.released.wait(LIMIT)
                near.sendall(record)
                if self.flight_sent.is_set():
                    self.holds.set()
            near.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.released.set()
        for sock in self.sockets:
            sock.close()


def server(case):
    """Its tickets hold the client's certificate, and so need several of its records."""
    pki = case.pki

    def command(s):
        return [real.program("openssl"), "s_server", "-accept", "127.0.0.1:%d" % s.port, "-www", "-tls1_3",
                "-max_send_frag", "512", "-cert", pki["server.pem"], "-key", pki["server.key"],
                "-cert_chain", pki["intermediate.pem"], "-CAfile", pki["client-cas.pem"], "-Verify", "3"]
    return real.Server(case, "s_server", lambda s: None, command)


def test_a_request_within_a_ticket(case):
    holder = Holder(case, server(case).port)
    m = case.relay("instance.lab.test:%d" % holder.port, [], target_address="127.0.0.1", ready_tunnels="off")
    m.opened = None
    with m.connect() as sock:
        wait_until(holder.holds.is_set, "the first part of a ticket")
        m.assert_idle()
        sock.sendall(request_bytes())
        m.assert_idle()
        holder.released.set()
        response = read_response(sock)
        assert response.status == 200 and b"Ciphers" in response.body, response.body[:200]
    assert m.session()["end"] == "ok"


if __name__ == "__main__":
    harness.main()
