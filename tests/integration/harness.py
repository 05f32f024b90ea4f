"""
What every integration test needs: the lab, midrelay under a configuration, clients, and the ending that proves that
nothing was left behind.

A test file holds functions test_<behaviour>(case) and ends in `harness.main()`.  Environment:

    MIDRELAY           the binary (default: build/midrelay or midrelay at the top of the tree)
    MIDRELAY_WRAPPER   what it runs under, e.g. "valgrind -q --leak-check=full --error-exitcode=99"
    MIDRELAY_WORKERS   the `workers` of every relay whose test does not set it
    MIDRELAY_PIPELINE  the `proxy_pipeline` of every relay with a proxy, where the test does not set it
    MIDRELAY_READY     off, on (two) or a number: the `ready_tunnels` of every relay whose test does not set it and is no
                       @counts_dials
    MIDRELAY_SLOW      factor for every time limit of the tests (default 1; 3 with a sanitizer, 10 with a wrapper)
    MIDRELAY_LAB_CACHE where the PKI shared by all tests is kept (default: beside the binary)
    MIDRELAY_KEEP      keep the directories of tests
"""

import base64
import hashlib
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

import pki as pki_maker
import wire
from lab import Lab, address
from instance import pattern_sha256, pattern_stream  # noqa: F401 (for the tests)
from tlsside import reset  # noqa: F401

# For a test whose reloads name ports and directories that the start did not.
NO_SANDBOX = {"sandbox": "off"}

USER, PASSWORD = "svc-mid", "pass:word 7%"


class Skip(Exception):
    """What the test needs is not there."""


def _binary():
    named = os.environ.get("MIDRELAY")
    candidates = [named] if named else [os.path.join(TOP, "build", "midrelay"), os.path.join(TOP, "midrelay")]
    for path in candidates:
        if os.access(path, os.X_OK):
            return os.path.abspath(path)
    sys.exit("no midrelay at %s: set MIDRELAY" % " or ".join(candidates))


BINARY = _binary()
WRAPPER = shlex.split(os.environ.get("MIDRELAY_WRAPPER", ""))
with open(BINARY, "rb") as _file:
    # Under valgrind or a sanitizer time and memory mean little.
    SANITIZED = re.search(b"__[at]san_init", _file.read()) is not None
INSTRUMENTED = bool(WRAPPER) or SANITIZED
SLOW = float(os.environ.get("MIDRELAY_SLOW", 10 if WRAPPER else 3 if SANITIZED else 1))
LIMIT = 10 * SLOW


def cache_directory():
    """Where what is made once for all tests is kept."""
    named = os.environ.get("MIDRELAY_LAB_CACHE") or os.path.join(os.path.dirname(BINARY), "lab-cache")
    try:
        os.makedirs(named, mode=0o700, exist_ok=True)
        return named
    except OSError:
        return tempfile.mkdtemp(prefix="midrelay-lab-cache-")


def wait_until(condition, what="condition", timeout=None):
    """Polls; returns what the condition gave when it is true."""
    limit = time.monotonic() + (LIMIT if timeout is None else timeout)
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < limit, "waited in vain for %s" % (what() if callable(what) else what)
        pace(0.005)


def pace(seconds):
    """The interval of traffic that has a rhythm; to wait for something there is wait_until."""
    threading.Event().wait(seconds)


def settled(value, seconds=0.3, timeout=None):
    """Waits until value() has been the same for `seconds`; returns it."""
    seconds *= SLOW
    seen = [value(), time.monotonic()]

    def look():
        now = value()
        if now != seen[0]:
            seen[:] = [now, time.monotonic()]
        return time.monotonic() - seen[1] >= seconds
    wait_until(look, lambda: "%r to settle" % seen[0], timeout)
    return seen[0]


# The log

_PAIR = re.compile(r'([A-Za-z0-9_-]+)=("(?:[^"\\]|\\.)*"|[^ ]*)')
_HEAD = re.compile(r"(\d{4}-\d\d-\d\dT[0-9:.]+Z) (error|warn|info|debug) ([a-z0-9-]+)(?: |$)")


def _unquote(value):
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(x[0-9a-fA-F]{2}|.)", lambda m: chr(int(m[1][1:], 16)) if len(m[1]) == 3 else m[1], value[1:-1])


def parse_log_line(line):
    """A dict of ts, level, event and the keys, or None for what is no event.  Numbers stay text in both formats."""
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except ValueError:
            return None
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()}
    head = _HEAD.match(line)
    if not head:
        return None
    event = {"ts": head[1], "level": head[2], "event": head[3]}
    event.update((key, _unquote(value)) for key, value in _PAIR.findall(line[head.end():]))
    return event


# Proofs

def records_done(server, count=1):
    """Waits until the server's connections have ended; returns their records."""
    wait_until(lambda: len(server.connections) >= count and all(c["done"] for c in server.connections),
               lambda: "%d ended connections at %s: %r" % (count, server.name, server.connections[-2:]))
    return server.connections


def assert_nothing_left(instance=None, proxy=None, hello_only=True):
    """
    No certificate of ours and no application byte left: by the instance's record of the handshake, and by the bytes
    that crossed the proxy.  hello_only=False: the handshake was finished (no certificate had been asked for).
    """
    if instance is not None:
        for record in records_done(instance):
            assert record["client_certificates"] == 0, record
            assert ["read", "CERTIFICATE"] not in record["handshake"], record["handshake"]
            assert record["bytes_in"] == 0 and record["requests"] == [], record
            assert not hello_only or not record["handshake_done"], record
    if proxy is not None:
        for record in records_done(proxy):
            with open(record["up_file"], "rb") as up:
                sent = up.read()
            assert len(sent) == record["bytes_up"]
            if hello_only and sent:
                assert wire.only_hello_and_alert(sent), wire.records(sent)
            seen = record.get("inspected")
            if seen:
                assert seen["client_certificates"] == 0 and seen["plaintext"] == "" and seen["bytes_in"] == 0, seen


def url(proxy):
    """How a lab proxy is listed."""
    return "%s://%s" % ("http" if proxy.scenario["tls"] is None else "https", address(proxy))


# Clients

class Response:
    def __init__(self, status, reason, headers, body):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body

    def json(self):
        return json.loads(self.body)


class _Borrowed:
    """http.client closes what it reads from; a connection that is kept must survive that."""

    def __init__(self, sock):
        self.file = sock.makefile("rb")

    def makefile(self, *_args, **_kwargs):
        return self

    def __getattr__(self, name):
        return getattr(self.file, name)

    def close(self):
        pass


def read_response(sock, method="GET"):
    """One HTTP response; the socket may be used again only if the response has a length."""
    response = http.client.HTTPResponse(_Borrowed(sock), method=method)
    response.begin()
    body = response.read()
    return Response(response.status, response.reason, dict((k.lower(), v) for k, v in response.getheaders()), body)


def request_bytes(method="GET", path="/", body=b"", headers=(), keep=False):
    lines = ["%s %s HTTP/1.1" % (method, path), "Host: instance.lab.test"]
    lines += ["%s: %s" % pair for pair in headers]
    if body or method == "POST":
        lines.append("Content-Length: %d" % len(body))
    if not keep:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def ask(sock, *args, **kwargs):
    """Sends one request and reads its response on a connection that stays."""
    sock.sendall(request_bytes(*args, keep=True, **kwargs))
    return read_response(sock)


def read_all(sock):
    """(bytes, how it ended: "eof" or "reset")"""
    got = bytearray()
    try:
        while part := sock.recv(262144):
            got += part
    except (ConnectionResetError, BrokenPipeError):
        return bytes(got), "reset"
    return bytes(got), "eof"


def read_head(sock):
    """The head of an answer, and nothing of what stands behind it."""
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        part = sock.recv(1)
        assert part, got
        got += part
    return got


def try_send(sock, data):
    """Sends to a peer that may be gone already; what it did is seen by reading."""
    try:
        sock.sendall(data)
    except (ConnectionResetError, BrokenPipeError):
        pass


def read_hashed(sock):
    """(count, sha256, how it ended) without keeping the bytes."""
    count, digest = 0, hashlib.sha256()
    try:
        while part := sock.recv(262144):
            count += len(part)
            digest.update(part)
    except (ConnectionResetError, BrokenPipeError):
        return count, digest.hexdigest(), "reset"
    return count, digest.hexdigest(), "eof"


class Upload:
    """Sends the pattern and a FIN, in a thread; `sent` is how far it has come."""

    def __init__(self, sock, size):
        self.sent = 0
        self.wait = in_thread(self._send, sock, size)

    def _send(self, sock, size):
        for part in pattern_stream(size):
            sock.sendall(part)
            self.sent += len(part)
        sock.shutdown(socket.SHUT_WR)


def both_versions(function):
    """A test that runs once with TLS 1.2 and once with 1.3."""
    def run(case):
        for version in ("1.2", "1.3"):
            function(case, version)
    run.__name__ = function.__name__
    return run


def counts_dials(function):
    """
    A test of what arrives at the lab, and in which order: tunnels that are dialled ahead of need are off.  A file of which
    every test is one says READY = "off".
    """
    function.ready = "off"
    return function


def in_thread(function, *args):
    """Starts function; the returned call waits for its result and raises what it raised."""
    box = {}

    def run():
        try:
            box["result"] = function(*args)
        except BaseException as error:
            box["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result(seconds=LIMIT * 3):
        thread.join(seconds)
        assert not thread.is_alive(), "%s did not end" % function.__name__
        if "error" in box:
            raise box["error"]
        return box["result"]
    return result


# midrelay

SANITIZER_WORDS = ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer", "LeakSanitizer",
                   "ERROR: MemorySanitizer", "assertion failed", "Assertion")


def write_config(path, sections):
    """`sections`: {"midrelay": {...}, "relay NAME": {...}}; a list gives one line each."""
    lines = []
    for section, keys in sections.items():
        lines.append("[%s]" % section)
        for key, value in keys.items():
            for one in value if isinstance(value, list) else [value]:
                if one is not None:
                    lines.append("%s = %s" % (key, one))
        lines.append("")
    temporary = path + ".new"
    with open(temporary, "w") as out:
        out.write("\n".join(lines))
    os.rename(temporary, path)


def set_pipeline(sections, word):
    """For every proxy of a configuration that does not say it itself."""
    for name, keys in sections.items():
        listed = keys.get("proxy") or []
        if name.startswith("relay ") and any("://" in one for one in ([listed] if isinstance(listed, str) else listed)):
            keys.setdefault("proxy_pipeline", word)
        elif name.startswith("proxy "):
            keys.setdefault("pipeline", word)


class Midrelay:
    def __init__(self, directory, sections, secrets=(), env=None, wait=True, args=(), around=(), ready=None):
        self.ready = ready
        self.config = os.path.join(directory, "midrelay.ini")
        self.log_path = os.path.join(directory, "midrelay.log")
        self.sections = sections if isinstance(sections, str) else {k: dict(v) for k, v in sections.items()}
        if isinstance(self.sections, dict) and "MIDRELAY_WORKERS" in os.environ:
            process = self.sections.setdefault("midrelay", {})
            process.setdefault("workers", os.environ["MIDRELAY_WORKERS"])
        if isinstance(self.sections, dict) and WRAPPER and "valgrind" in WRAPPER[0]:
            # It makes system calls of its own.
            self.sections.setdefault("midrelay", {}).setdefault("sandbox", "off")
        if isinstance(self.sections, dict) and "MIDRELAY_PIPELINE" in os.environ:
            set_pipeline(self.sections, os.environ["MIDRELAY_PIPELINE"])
        self.kept = 0          # ready tunnels that are there always
        self.secrets = [s.encode() if isinstance(s, str) else s for s in secrets]
        self.opened = 0        # connections the test made; None: not counted
        self.status = None
        self._lines, self._rest, self._at = [], b"", 0
        self._lock = threading.Lock()
        self.write()
        self.log = open(self.log_path, "wb")
        environment = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "detect_leaks=1"), **(env or {}))
        environment = {name: value for name, value in environment.items() if value is not None}
        self.process = subprocess.Popen([*around, *WRAPPER, BINARY, "run", "-c", self.config, *args],
                                        stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, env=environment, cwd=directory)
        self.pid = self.process.pid
        if wait:
            self.wait_event("ready")
            self.baseline = self.descriptors()

    def write(self):
        if isinstance(self.sections, str):
            with open(self.config, "w") as out:
                out.write(self.sections)
        else:
            write_config(self.config, self.with_ready(self.sections))

    def with_ready(self, sections):
        """The same with ready tunnels as they are for this run; `kept` follows."""
        mode = self.ready or os.environ.get("MIDRELAY_READY")
        mode = {"on": "2"}.get(mode, mode)
        sections = {name: dict(keys) for name, keys in sections.items()}
        workers = str(sections.get("midrelay", {}).get("workers", 1))
        kept = 0
        for name, keys in sections.items():
            if not name.startswith("relay "):
                continue
            if mode is not None:
                keys.setdefault("ready_tunnels", mode)
            number = str(keys.get("ready_tunnels", "auto"))
            if number != "off" or keys.get("mode") == "http":
                keys.setdefault("ready_max_age", "2s")   # what is kept for a while is gone before a test's patience
            if number.isdigit():
                loops = int(workers) if workers.isdigit() else os.cpu_count()
                kept += -(-int(number) // loops) * loops
        self.kept = max(kept, self.kept)
        return sections

    # Its log

    def log_bytes(self):
        with open(self.log_path, "rb") as log:
            return log.read()

    def events(self, event=None, **match):
        with self._lock:
            with open(self.log_path, "rb") as log:
                log.seek(self._at)
                new = log.read()
            self._at += len(new)
            *lines, self._rest = (self._rest + new).split(b"\n")
            self._lines += filter(None, (parse_log_line(line.decode("latin-1")) for line in lines))
            return [e for e in self._lines if (event is None or e["event"] == event) and
                    all(e.get(key) == str(value) for key, value in match.items())]

    def wait_event(self, event, count=1, timeout=None, **match):
        """The count-th such event."""
        def look():
            found = self.events(event, **match)
            if len(found) < count and self.process.poll() is not None:
                raise AssertionError("midrelay ended with %d; log:\n%s" % (self.process.returncode, self.tail()))
            return found[count - 1] if len(found) >= count else None
        return wait_until(look, lambda: "event %s %r; log:\n%s" % (event, match, self.tail()), timeout)

    def tail(self, count=40):
        return "\n".join(self.log_bytes().decode("latin-1").split("\n")[-count:])

    def session(self, count=1, timeout=None, **match):
        return self.wait_event("session", count, timeout, **match)

    # Its process

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def rss_kb(self):
        with open("/proc/%d/status" % self.pid) as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.pid) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def assert_idle(self):
        """Less than a fifth of a CPU over a while in which nothing moves."""
        cpu, began = self.cpu_seconds(), time.monotonic()
        wait_until(lambda: time.monotonic() - began > 0.5 * SLOW, "half a second")
        used = (self.cpu_seconds() - cpu) / (time.monotonic() - began)
        assert INSTRUMENTED or used < 0.2, "%.0f %% of a CPU while nothing moves" % (used * 100)

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self, ok=True, **match):
        """SIGHUP, then the event that it led to."""
        event = "reloaded" if ok else "reload-failed"
        before = len(self.events(event))
        self.signal(signal.SIGHUP)
        return self.wait_event(event, before + 1)

    def wait(self, timeout=None):
        self.status = self.process.wait(LIMIT if timeout is None else timeout)
        return self.status

    # Its clients

    def address(self, relay=None, index=0):
        found = [e["address"] for e in self.events("listening") if relay is None or e.get("relay") == relay]
        return found[index]

    def port(self, relay=None, index=0):
        return int(self.address(relay, index).rsplit(":", 1)[1])

    def connect(self, relay=None, index=0, rcvbuf=None):
        where = self.address(relay, index).removeprefix("tls://")
        if where.startswith("unix:"):
            sock = socket.socket(socket.AF_UNIX)
            to = where[5:]
        else:
            host, port = where.rsplit(":", 1)
            sock = socket.socket(socket.AF_INET6 if host.startswith("[") else socket.AF_INET)
            to = (host.strip("[]"), int(port))
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.settimeout(LIMIT)
        sock.connect(to)
        with self._lock:
            if self.opened is not None:
                self.opened += 1
        return sock

    def get(self, path="/", relay=None, index=0, **kwargs):
        """One request over one connection."""
        with self.connect(relay, index) as sock:
            sock.sendall(request_bytes(path=path, **kwargs))
            response = read_response(sock)
            response.rest = read_all(sock)
            return response

    def fails(self, code, relay=None, status=None):
        """A connection that must end in `code`: the answer to an HTTP client, and the session line."""
        before = len(self.events("session"))
        response = self.get(relay=relay)
        assert response.status in ([status] if status else [502, 503, 504]), (response.status, response.reason)
        said = "midrelay: %s: " % code
        assert response.reason.startswith(said), "expected %r, got %r" % (said, response.reason)
        assert len(response.reason) > len(said) and "proxy-status" in response.headers, response.headers
        assert response.headers["content-type"].startswith("text/plain") and response.body
        assert response.headers["connection"] == "close" and response.rest == (b"", "eof"), response.rest
        session = self.session(before + 1)
        assert session["end"] == code, session
        response.session = session
        return response

    # Its end

    def assert_ends_clean(self):
        if self.status is None:
            # Those that are kept always may have come before the first count or after it; while they are renewed there
            # may be twice as many.
            wait_until(lambda: -self.kept <= self.descriptors() - self.baseline <= 2 * self.kept,
                       lambda: "descriptors to be %d, there are %d: %s" % (
                           self.baseline, self.descriptors(), descriptor_targets(self.pid)))
            self.signal(signal.SIGTERM)
            self.wait(LIMIT * 3)
        self.log.close()
        log = self.log_bytes()
        assert self.status == 0, "exit status %d; log:\n%s" % (self.status, self.tail())
        for word in SANITIZER_WORDS:
            assert word.encode() not in log, "%s; log:\n%s" % (word, self.tail(120))
        summary = re.search(rb"ERROR SUMMARY: (\d+) errors", log)
        assert not summary or summary[1] == b"0", self.tail(120)
        sessions = self.events("session")
        ids = [event["id"] for event in sessions]
        assert len(ids) == len(set(ids)), "a session has two lines"
        if self.opened is not None:
            told = len(ids) + sum(int(event.get("repeated", 0)) for event in sessions)
            assert told == self.opened, "%d connections, %d are told in %d session lines" % (
                self.opened, told, len(ids))
        for secret in self.secrets:
            assert secret not in log, "a secret is in the log"

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if not self.log.closed:
            self.log.close()


def descriptor_targets(pid):
    found = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            found.append(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
        except OSError:
            pass
    return found


# A test

class Case:
    """The room of one test: a directory, the lab, the processes it starts, and the check at the end."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="midrelay-test-")
        self.pki = pki_maker.cached(cache_directory())
        self._lab = None
        self.ready = None      # `ready_tunnels` where nothing else says so; None: the default
        self.midrelays, self.cleanups = [], []

    @property
    def lab(self):
        if self._lab is None:
            self._lab = Lab(os.path.join(self.dir, "lab"), self.pki)
        return self._lab

    def instance(self, **scenario):
        return self.lab.instance(**scenario)

    def proxy(self, target=None, **scenario):
        return self.lab.proxy(target, **scenario)

    def path(self, name):
        return os.path.join(self.dir, name)

    def closed_port(self):
        """A port that is taken, and where nobody listens."""
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        self.cleanups.append(sock.close)
        return sock.getsockname()[1]

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w") as out:
            out.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def keys(self, target, proxies=(), auth=False, **keys):
        """A [relay …] section.  `target`: an Instance; `proxies`: Proxy objects, "direct" or texts, in order."""
        section = {"listen": "127.0.0.1:0", "client_bundle": self.pki["client-bundle.pem"],
                   "trust": self.pki["root.pem"]}
        if isinstance(target, str):
            section["target"] = target
        else:
            section["target"] = "instance.lab.test:%d" % target.port
            section["target_address"] = target.host
        if proxies:
            section["proxy"] = [p if isinstance(p, str) else url(p) for p in proxies]
        if auth:
            section["proxy_user"] = USER
            section["proxy_password"] = "file:" + self.write("proxy-password", PASSWORD + "\n")
        section.update(keys)
        return section

    def secrets(self):
        with open(self.pki["client.key"]) as key:
            lines = key.read().split("\n")
        return [PASSWORD, base64.b64encode(("%s:%s" % (USER, PASSWORD)).encode()).decode(), pki_maker.KEY_PASSPHRASE,
                lines[1]]

    def start(self, sections, **kwargs):
        """`sections`: the whole configuration, as dicts or as text.  `around`: a command that becomes midrelay."""
        directory = tempfile.mkdtemp(prefix="run-", dir=self.dir)
        os.chmod(directory, 0o711)   # the test's own directory is closed; see test_user.py
        secrets = self.secrets() + kwargs.pop("secrets", [])
        relay = Midrelay.__new__(Midrelay)
        self.midrelays.append(relay)
        relay.process = None
        relay.__init__(directory, sections, secrets=secrets, ready=self.ready, **kwargs)
        return relay

    def relay(self, target, proxies=(), process=None, start=None, **keys):
        """Starts midrelay with the one relay `r`."""
        sections = {"midrelay": dict({"log_level": "debug", "drain_timeout": "2s"}, **(process or {})),
                    "relay r": self.keys(target, proxies, **keys)}
        return self.start(sections, **(start or {}))

    def run(self, *args, around=(), **kwargs):
        """A midrelay command that ends by itself.  `around`: a command that becomes midrelay."""
        return subprocess.run([*around, *WRAPPER, BINARY, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=LIMIT, **kwargs)

    def finish(self):
        for midrelay in self.midrelays:
            midrelay.assert_ends_clean()

    def close(self, failed):
        for midrelay in self.midrelays:
            if midrelay.process is None:
                continue
            midrelay.kill()
            if failed:
                print("--- log\n" + midrelay.tail(60))
        if self._lab is not None:
            if failed:
                for server in self._lab.servers.values():
                    for record in server.connections[-3:]:
                        shown = {k: v for k, v in record.items() if k not in ("client_hello", "requests")}
                        print("--- %s %s" % (server.name, str(shown)[:1500]))
            self._lab.stop()
        for cleanup in reversed(self.cleanups):
            cleanup()
        if not os.environ.get("MIDRELAY_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)


def run_one(name, function):
    """True, False, or None when skipped."""
    began = time.monotonic()
    case = Case()
    case.ready = getattr(function, "ready", None) or getattr(sys.modules["__main__"], "READY", None)
    failed, why = True, ""
    try:
        function(case)
        case.finish()
        failed = False
    except Skip as reason:
        failed = False
        print("skip %s: %s" % (name, reason), flush=True)
        return None
    except (Exception, subprocess.TimeoutExpired) as error:
        traceback.print_exc(file=sys.stdout)
        at = traceback.extract_tb(error.__traceback__)[-1]
        why = ": line %d of %s: %s" % (at.lineno, at.filename, repr(error)[:400])
    finally:
        case.close(failed)
    # Why, again: whoever reads the end of all those logs is to see it.
    print("%s %s (%.2f s)%s" % ("FAIL" if failed else "ok", name, time.monotonic() - began, why), flush=True)
    return not failed


def main():
    """Runs the test_ functions of the calling script (those named on the command line, or all)."""
    module = sys.modules["__main__"]
    tests = {name: value for name, value in vars(module).items() if name.startswith("test_") and callable(value)}
    chosen = sys.argv[1:] or list(tests)
    results = [run_one(name, tests[name]) for name in chosen]
    if False in results:
        sys.exit(1)
    sys.exit(0 if True in results else 77)
