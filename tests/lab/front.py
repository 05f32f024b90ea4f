"""
TLS in front of a proxy: what makes it an https:// one.

Answers for the TLS session with the client alone; what is inside goes on to the proxy through a pair of sockets, as it
would behind a terminator of its own.  Scenario (all optional):

  cert, ask, reject, tls_min, tls_max, tickets, ciphers   as the instance's
  handshake   one of tlsside.HANDSHAKES: what goes wrong before TLS is up;  at: bytes of our flight that leave before
  record      plain bytes in one TLS record (default: as they come, 16 kB at most)
  hold        seconds of silence from inside that are waited for, so that what came until then leaves at once
  end         close_notify | truncate | reset: how our direction ends
  end_after   bytes towards the client after which it ends so
"""

import asyncio
import socket

import tlsside
from tlsside import CHUNK, Ended, TlsSide


class Front:
    def __init__(self, pki, keylog, **scenario):
        known = {"cert": "server", "ask": "none", "reject": False, "tls_min": "1.2", "tls_max": "1.3", "tickets": 2,
                 "ciphers": None, "handshake": "normal", "at": 0, "record": None, "hold": None, "end": "close_notify",
                 "end_after": None}
        for key in scenario:
            if key not in known:
                raise ValueError("TLS in front of a proxy has no %r" % key)
        self.scenario = s = dict(known, **scenario)
        self.context = tlsside.server_context(pki, s["cert"], s["ask"], s["reject"], s["tls_min"], s["tls_max"],
                                              s["tickets"], s["ciphers"], keylog=keylog)

    async def open(self, sock, seen, tap):
        """The session, and the inner socket; None: it did not come to be.  `tap` gets all ciphertext that arrives."""
        s = self.scenario
        limit = s["at"] if s["handshake"] in tlsside.MID_HANDSHAKES else None
        try:
            if not await tlsside.before_handshake(sock, s["handshake"], seen):
                return None, None
            side = TlsSide(sock, self.context, seen, flight_limit=limit, tap=tap)
            if not await side.handshake():
                await tlsside.cut(sock, s["handshake"])
                return None, None
        except Ended:
            await tlsside.close_clean(sock)
            return None, None
        return side, _pair()

    async def relay(self, side, inner):
        """Until both directions have ended."""
        tasks = [asyncio.ensure_future(self._up(side, inner)), asyncio.ensure_future(self._down(side, inner))]
        try:
            await asyncio.gather(*tasks)
            await tlsside.close_clean(side.sock)
        except Ended:
            tlsside.reset(inner)
        except OSError:
            tlsside.reset(side.sock)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            side.sock.close()
            inner.close()

    async def _up(self, side, inner):
        loop = asyncio.get_running_loop()
        while part := await side.read():
            await loop.sock_sendall(inner, part)
        inner.shutdown(socket.SHUT_WR)

    async def _next(self, inner):
        """What comes from inside."""
        loop = asyncio.get_running_loop()
        part = await loop.sock_recv(inner, CHUNK)
        while part and self.scenario["hold"] is not None:
            try:
                async with asyncio.timeout(self.scenario["hold"]):
                    more = await loop.sock_recv(inner, CHUNK)
            except TimeoutError:
                break
            if not more:
                break
            part += more
        return part

    async def _down(self, side, inner):
        s = self.scenario
        left = s["end_after"]
        while part := await self._next(inner):
            if left is not None:
                part = part[:left]
                left -= len(part)
            for at in range(0, len(part) if s["record"] else 0, s["record"] or 1):
                side.obj.write(part[at:at + s["record"]])
            if s["record"]:
                await side.flush()
            else:
                await side.write(part)
            if left == 0:
                break
        if s["end"] == "reset":
            raise ConnectionResetError
        if s["end"] == "truncate":
            side.sock.shutdown(socket.SHUT_WR)
        else:
            await side.close_notify()


def _pair():
    """Both ends of a TCP connection (a reset passes through it); the proxy's is `inner.other`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        inner = _Inner()
        inner.connect(listener.getsockname())
        inner.other, _ = listener.accept()
    for sock in (inner, inner.other):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return inner


class _Inner(socket.socket):
    other = None

    def __init__(self):
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
