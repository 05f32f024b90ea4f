"""
The rig of a measurement: the programs that are built for it, keys, servers and proxies, and turns of a relay in front.
"""

import json
import os
import shlex
import signal
import subprocess
import sys

import relays
from relays import NAME, Failed, ends_with_us, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20
THREADS = min(4, max(2, len(os.sched_getaffinity(0))))    # of the client, the proxy and the server


def build(place):
    for name in ("load", "origin", "proxy", "bare"):
        command = shlex.split(os.environ.get("CC", "cc")) + ["-std=gnu11", "-O2", "-pthread", "-o",
                                                             os.path.join(place, name)]
        command += [os.path.join(HERE, file) for file in (name + ".c", "bench.c")]
        done = subprocess.run(command + ["-lssl", "-lcrypto"] * (name in ("origin", "bare")), check=False)
        if done.returncode:
            sys.exit("%s does not build" % name)
    relays.Bare.binary = os.path.join(place, "bare")


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def make_pki(place, algorithm):
    """A CA, a server and a client with keys of one kind; the dict of their files."""
    os.makedirs(place)

    def at(name):
        return os.path.join(place, name)
    kind = ["-newkey", "rsa:2048"] if algorithm == "rsa" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    common = ["req", "-x509", "-sha256", "-nodes", "-days", "30", *kind]
    openssl(*common, "-subj", "/CN=bench CA", "-keyout", at("ca.key"), "-out", at("ca.pem"),
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    for name, usage in (("server", "serverAuth"), ("client", "clientAuth")):
        # `req -x509 -CA` is not known before OpenSSL 3: the request, and then the CA.
        with open(at("extensions"), "w") as out:
            out.write("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                      "extendedKeyUsage=%s\nsubjectAltName=DNS:%s\n" % (usage, NAME))
        openssl("req", "-new", "-sha256", "-nodes", *kind, "-subj", "/CN=bench %s" % name,
                "-keyout", at(name + ".key"), "-out", at(name + ".csr"))
        openssl("x509", "-req", "-sha256", "-days", "30", "-in", at(name + ".csr"), "-CA", at("ca.pem"),
                "-CAkey", at("ca.key"), "-CAcreateserial", "-extfile", at("extensions"), "-out", at(name + ".pem"))

    def join(out, *names):
        text = "".join(open(at(name)).read() for name in names)
        with open(os.open(at(out), os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(text)
        return at(out)
    return {"ca": at("ca.pem"), "server": at("server.pem"), "server_key": at("server.key"), "key": at("client.key"),
            "chain": join("chain.pem", "client.pem", "ca.pem"),
            "bundle": join("bundle.pem", "client.pem", "ca.pem", "client.key")}


class Helper:
    """The server or the proxy: says its port, and ends when its input does."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=ends_with_us(signal.SIGKILL), start_new_session=True)
        self.port = int(self.process.stdout.readline() or 0)
        if not self.port:
            sys.exit("%s does not start" % command[0])

    def ask(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Rig:
    """Everything but the relay; servers and proxies are started when they are first wanted, and stay."""

    def __init__(self, place, size):
        self.place, self.size = place, size
        self.helpers, self.pkis = {}, {}
        self.turns = 0

    def pki(self, algorithm):
        if algorithm not in self.pkis:
            self.pkis[algorithm] = make_pki(os.path.join(self.place, "pki-" + algorithm), algorithm)
        return self.pkis[algorithm]

    def helper(self, *key):
        if key not in self.helpers:
            command = [os.path.join(self.place, key[0]), *key[1:], str(THREADS)]
            self.helpers[key] = Helper(*command)
        return self.helpers[key]

    def origin(self, algorithm, tickets):
        pki = self.pki(algorithm)
        return self.helper("origin", pki["server"], pki["server_key"], pki["ca"], str(tickets))

    def close(self):
        for helper in self.helpers.values():
            helper.stop()


class Turn:
    """One relay, freshly started and warmed up, in front of one server."""

    def __init__(self, rig, kind, workers=1, algorithm="p256", tickets=2, delay_ms=0, options=()):
        self.rig, self.size = rig, rig.size
        self.origin = rig.origin(algorithm, tickets)
        hop = self.origin
        if kind.connects or delay_ms:
            hop = rig.helper("proxy", str(self.origin.port), str(delay_ms), "connect" if kind.connects else "plain")
        rig.turns += 1
        place = os.path.join(rig.place, "%d-%s" % (rig.turns, kind.name))
        self.relay = kind(place, rig.pki(algorithm), hop.port, workers, options)

    def __enter__(self):
        try:
            for _ in range(3):
                self.load(1, up=64, down=64)
            self.relay.settled_cpu()
            self.origin.ask()
        except BaseException:
            self.relay.stop()
            raise
        return self

    def __exit__(self, *_error):
        self.relay.stop()

    def at_server(self):
        """What the server has counted since it was last asked."""
        return self.origin.ask()

    def command(self, connections, at_a_time=None, exchanges=1, up=0, down=1, rate=0, end="close", seconds=60):
        return [os.path.join(self.rig.place, "load")] + [str(word) for word in (
            self.relay.port, connections, at_a_time or connections, exchanges, up, down, rate, end, seconds, THREADS)]

    def checked(self, said, connections, exchanges, up, down):
        result = json.loads(said or '{"errors": 1, "error": "the load generator died"}')
        if result["errors"]:
            raise Failed(result["error"])
        if (result["finished"], result["exchanges"]) != (connections, connections * exchanges) or \
           (result["bytes_up"], result["bytes_down"]) != (connections * exchanges * up, connections * exchanges * down):
            raise Failed("not all of the work was done: %r" % result)
        return result

    def load(self, connections, exchanges=1, up=0, down=1, **more):
        return self.checked(self.run_load(connections, exchanges=exchanges, up=up, down=down, **more),
                            connections, exchanges, up, down)

    def run_load(self, *words, **more):
        done = subprocess.run(self.command(*words, **more), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True, check=False, preexec_fn=ends_with_us(signal.SIGKILL))
        return done.stdout

    def held(self, connections, up=300, down=1000, at_a_time=50):
        """A context: connections that have done an exchange, and stay."""
        return Held(self, connections, up, down, min(at_a_time, connections))

    def cpu_of(self, *words, **more):
        """The relay's CPU seconds for a load, and the load's own result."""
        before = self.relay.cpu()
        result = self.load(*words, **more)
        return self.relay.settled_cpu() - before, result

    def handshakes(self, expected, resumed):
        """Proves that the server saw what is being measured."""
        seen = self.origin.ask()
        if seen["failed"] or seen["wrong"] or seen["handshakes"] < expected:
            raise Failed("at the server: %r" % seen)
        share = seen["resumed"] / seen["handshakes"]
        if (share < self.relay.resumes) if resumed else (share > 0):
            raise Failed("%.0f %% of the sessions were resumed" % (100 * share))


class Held:
    """Connections that stay open, and must all be there at the end."""

    def __init__(self, turn, connections, up, down, at_a_time):
        self.turn, self.work = turn, (connections, 1, up, down)
        self.process = subprocess.Popen(
            turn.command(connections, at_a_time=at_a_time, up=up, down=down, end="hold", seconds=180),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=ends_with_us(signal.SIGKILL))

    def __enter__(self):
        try:
            self.result = self.turn.checked(self.process.stdout.readline(), *self.work)
        except BaseException:
            self.process.communicate()
            raise
        return self

    def __exit__(self, kind, *_error):
        last = self.process.communicate()[0]
        if kind is None:
            self.turn.checked(last, *self.work)


def counted_by(relay, work):
    """The system calls of the relay's process tree during work()."""
    pids = relay.pids()
    output = os.path.join(relay.place, "calls")
    counter = subprocess.Popen(["strace", "-f", "-c", "-U", "calls,name", "-o", output] +
                               [word for pid in pids for word in ("-p", str(pid))],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               start_new_session=True, preexec_fn=ends_with_us(signal.SIGINT))

    def traced():
        if counter.poll() is not None:
            raise Failed("strace: %s" % counter.stderr.read().decode(errors="replace").strip())
        for pid in pids:
            for task in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/status" % (pid, task)) as status:
                    if "TracerPid:\t0\n" in status.read():
                        return False
        return True
    try:
        wait_until(traced, "strace", 10)
        work()
        relay.settled_cpu()
    finally:
        if counter.poll() is None:
            counter.send_signal(signal.SIGINT)
            counter.wait()
        counter.stderr.close()
    with open(output) as file:
        table = [line.split() for line in file]
    return sum(int(row[0]) for row in table if len(row) == 2 and row[0].isdigit() and row[1] != "total")
