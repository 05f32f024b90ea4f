#!/usr/bin/python3
"""
The lab: a throw-away PKI, CONNECT proxies and mutual-TLS instances that misbehave on request.

    lab.py [--dir DIR] [SCENARIO…]

As a process it starts one instance and two proxies in front of it (an honest one that wants Basic
credentials, and one that inspects TLS), prints one line of JSON with every address and path, and stops when
stdin ends or at SIGTERM.  A SCENARIO is a JSON object {"kind": "proxy" | "instance", …} to be started too.
`control` in that line is an HTTP address on loopback:

    GET  /                    everything that runs
    GET  /ID                  its records: one object a connection
    POST /proxy  /instance    starts another one; the body is its scenario, the answer says where it listens
    POST /ID                  changes its scenario
    POST /ID/release          lets a paused instance read on

Tests use it in-process: `with Lab() as lab: instance = lab.instance(mode="echo")`.
Everything binds port 0 on loopback.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import pki as pki_maker
from instance import Instance
from proxy import Proxy

USER, PASSWORD = "svc-mid", "lab:pass word"


class Lab:
    """Runs its loop in a thread; what it hands out are Instance and Proxy objects with `port` and `connections`."""

    def __init__(self, directory=None, pki=None):
        self.own = directory is None
        self.dir = directory or tempfile.mkdtemp(prefix="midrelay-lab-")
        os.makedirs(self.dir, mode=0o700, exist_ok=True)
        self.pki = pki or pki_maker.make(os.path.join(self.dir, "pki"))
        self.servers = {}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="lab", daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def start(self, kind, scenario):
        maker = {"proxy": Proxy, "instance": Instance}[kind]
        name = "%s-%d" % (kind, 1 + sum(server.kind == kind for server in self.servers.values()))
        server = maker(name, self.pki, self.dir, **scenario)
        await server.start()
        self.servers[name] = server
        return server

    def instance(self, **scenario):
        return self.call(self.start("instance", scenario))

    def proxy(self, target=None, **scenario):
        """`target`: an Instance, or what the scenario takes."""
        return self.call(self.start("proxy", dict(scenario, target=address(target))))

    def stop_server(self, server):
        """Its port answers no more (connection refused)."""
        self.servers.pop(server.name, None)
        self.call(server.stop())

    def stop(self):
        for server in list(self.servers.values()):
            self.stop_server(server)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
        if self.own:
            shutil.rmtree(self.dir, ignore_errors=True)


def address(target):
    if target is None or isinstance(target, (str, dict)):
        return target
    return "%s:%d" % ("[%s]" % target.host if ":" in target.host else target.host, target.port)


class Control:
    """The HTTP endpoint of a lab that runs as a process."""

    def __init__(self, lab):
        self.lab = lab

    async def start(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = 0
            for line in head.split("\r\n"):
                if line.lower().startswith("content-length:"):
                    length = int(line.split(":")[1])
            body = json.loads(await reader.readexactly(length) or b"{}")
            method, path = head.split(" ")[:2]
            try:
                status, answer = await self._answer(method, path.strip("/").split("/"), body)
            except (ValueError, KeyError, TypeError) as error:
                status, answer = "400 Bad Request", {"error": str(error)}
            text = json.dumps(answer, indent=1).encode() + b"\n"
            writer.write(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                         b"Connection: close\r\n\r\n%s" % (status.encode(), len(text), text))
            await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, method, parts, body):
        servers = self.lab.servers
        if method == "GET" and parts == [""]:
            return "200 OK", [server.describe() for server in servers.values()]
        if method == "POST" and parts[0] in ("proxy", "instance"):
            return "200 OK", (await self.lab.start(parts[0], body)).describe()
        if parts[0] not in servers:
            return "404 Not Found", {"error": "nothing is called %r" % parts[0]}
        server = servers[parts[0]]
        if method == "GET":
            return "200 OK", server.connections
        if parts[1:] == ["release"]:
            server.release()
        else:
            server.configure(**dict(server.scenario, **body))
        return "200 OK", server.describe()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", help="where PKI, transcripts and key logs go (kept; default: temporary, removed)")
    parser.add_argument("scenario", nargs="*", type=json.loads)
    args = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Lab(args.dir) as lab:
        instance = lab.instance()
        proxy = lab.proxy(instance, auth=[USER, PASSWORD])
        inspecting = lab.proxy(instance, auth=[USER, PASSWORD], tunnel="inspect", inspect={"ask": "optional"})
        more = []
        for scenario in args.scenario:
            kind = scenario.pop("kind")
            more.append(lab.call(lab.start(kind, dict({"target": address(instance)} if kind == "proxy" else {},
                                                      **scenario))).describe())
        ready = {"control": "http://127.0.0.1:%d" % lab.call(Control(lab).start()), "dir": lab.dir, "pki": lab.pki,
                 "target": "instance.lab.test:443", "proxy_user": USER, "proxy_password": PASSWORD,
                 "instance": instance.describe(), "proxy": proxy.describe(),
                 "inspecting_proxy": inspecting.describe(), "more": more}
        print(json.dumps(ready), flush=True)
        threading.Thread(target=lambda: (sys.stdin.buffer.read(), stop.set()), daemon=True).start()
        stop.wait()


if __name__ == "__main__":
    main()
