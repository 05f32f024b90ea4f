"""
The relays that are compared: how each is configured for the same work, started, and what its process tree has used.

Each gets the same client certificate, verifies the same server, and keeps its own defaults otherwise.
"""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

NAME = "origin.bench.test"


class Failed(Exception):
    """A relay did not do the work."""


class NotForThis(Exception):
    """A relay has no such feature: nothing is wrong, and there is no figure."""


_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def ends_with_us(with_signal):
    """A preexec_fn: the process gets the signal when this script is gone, however that came."""
    def before_exec():
        _libc.prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
    return before_exec


def program(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")


def pause(seconds):
    threading.Event().wait(seconds)


def wait_until(condition, what, seconds):
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise Failed("waited in vain for %s" % what)
        pause(0.005)


def free_port():
    """Below the range from which the kernel gives ports to others."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
        lowest = int(limits.read().split()[0])
    for port in range(10000 + os.getpid() % 7000, lowest):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    raise Failed("no free port")


def answers(port):
    """Does somebody listen there?  Asked of the kernel: a connection would be work for the relay."""
    wanted = "0100007F:%04X" % port
    with open("/proc/net/tcp") as sockets:
        return any(fields[1] == wanted and fields[3] == "0A" for fields in map(str.split, sockets))


class Relay:
    name = None
    programs = ()
    connects = True     # through a proxy, by CONNECT
    stop_signal = signal.SIGTERM
    many_workers = True
    resumes = 0.9       # of the sessions, in a measure of resumed ones

    def __init__(self, place, pki, hop, workers=1, options=()):
        """`hop`: the port of the proxy, or of the server for one that makes no CONNECT.  `options`: (key, value) of
        midrelay's relay section."""
        self.place, self.pki, self.hop, self.workers, self.options = place, pki, hop, workers, tuple(options)
        if workers > 1 and not self.many_workers:
            raise NotForThis("one thread only")
        self.port = free_port()
        os.makedirs(place)
        config = os.path.join(place, "config")
        with open(config, "w") as out:
            out.write(self.configuration())
        os.chmod(config, 0o600)
        with open(os.path.join(place, "output"), "wb") as output:
            self.process = subprocess.Popen(self.command(config), stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, cwd=place, start_new_session=True,
                                            preexec_fn=ends_with_us(self.stop_signal))
        try:
            wait_until(lambda: answers(self.port) or self.process.poll() is not None, self.name, 10)
            if self.process.poll() is not None:
                raise Failed("%s does not start: %s" % (self.name, self.said()))
        except BaseException:
            self.stop()
            raise

    @classmethod
    def executable(cls):
        return next(filter(None, map(program, cls.programs)), None)

    def said(self):
        with open(os.path.join(self.place, "output"), errors="replace") as output:
            return " / ".join(output.read().strip().splitlines()[-3:])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)     # what it may have left of its session
        except ProcessLookupError:
            pass

    def pids(self):
        """The process tree."""
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open("/proc/%s/stat" % entry) as stat:
                        parent = int(stat.read().rpartition(")")[2].split()[1])
                except (OSError, IndexError):
                    continue
                children.setdefault(parent, []).append(int(entry))
        found = [self.process.pid]
        for pid in found:
            found.extend(children.get(pid, []))
        return found

    def cpu(self):
        """User and system time in seconds, to the nanosecond, threads that have ended included: the kernel's CPU clock
        of a process, whose number is made from its id (see clock_getcpuclockid(3))."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids())

    def settled_cpu(self):
        """cpu() once what follows the work is over."""
        before, limit = self.cpu(), time.monotonic() + 2
        while True:
            pause(0.03)
            now = self.cpu()
            if now - before < 0.0003 or time.monotonic() > limit:
                return now
            before = now

    def pss(self):
        """Bytes of memory, what is shared divided among those who share it; without the pages of files, programs and
        libraries, whose share changes as other programs come and go."""
        kilobytes = 0
        for pid in self.pids():
            with open("/proc/%d/smaps_rollup" % pid) as file:
                sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB", file.read(), re.M))
            kilobytes += int(sizes["Pss"]) - int(sizes.get("Pss_File", 0))
        return kilobytes * 1024

    def settled_pss(self, at_least):
        """pss() once it has hardly changed for a second; a relay may give memory back a moment after it fell silent."""
        began = same_since = time.monotonic()
        value = now = self.pss()
        while time.monotonic() - began < at_least + 8:
            pause(0.1)
            now = self.pss()
            if abs(now - value) > 64 * 1024:
                value, same_since = now, time.monotonic()
            if time.monotonic() - began > at_least and time.monotonic() - same_since > 1:
                break
        return now


class Midrelay(Relay):
    name = "midrelay"
    binary = None
    always = ()         # options of every midrelay, from the command line
    _known = {}

    def configuration(self):
        way = "http://127.0.0.1:%d" % self.hop
        return "\n".join([
            "[midrelay]", "workers = %d" % self.workers, "max_connections = 10000", "[relay bench]",
            "listen = 127.0.0.1:%d" % self.port, "target = %s:443" % NAME, "proxy = %s" % way,
            "client_bundle = %s" % self.pki["bundle"], "trust = %s" % self.pki["ca"]] +
            ["%s = %s" % option for option in {**dict(self.always), **dict(self.options)}.items()] + [""])

    @classmethod
    def knows(cls, key, value):
        """Does this midrelay take such an option?  Asked of the program."""
        if (key, value) not in cls._known:
            with tempfile.TemporaryDirectory(prefix="midrelay-bench-") as place:
                path = os.path.join(place, "midrelay.ini")
                with open(path, "w") as out:
                    out.write("[relay bench]\nlisten = 127.0.0.1:1\ntarget = %s\nproxy = http://127.0.0.1:1\n"
                              "%s = %s\n" % (NAME, key, value))
                said = subprocess.run([cls.binary, "config", "-c", path], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            cls._known[key, value] = said.returncode == 0
        return cls._known[key, value]

    @classmethod
    def executable(cls):
        return cls.binary

    def command(self, config):
        return [self.binary, "run", "-c", config]

    @classmethod
    def version(cls):
        return first_line([cls.binary, "--version"])


class MidrelayDirect(Midrelay):
    """Beside those that make no CONNECT."""
    name = "midrelay-direct"
    connects = False

    def configuration(self):
        return super().configuration().replace(
            "target = %s:443" % NAME, "target = %s:%d\ntarget_address = 127.0.0.1" % (NAME, self.hop)).replace(
            "proxy = http://127.0.0.1:%d" % self.hop, "proxy = direct")


class Bare(Relay):
    """The bound: tests/bench/bare.c."""
    name = "bare"
    binary = None       # built by the rig
    many_workers = False

    def configuration(self):
        return ""

    @classmethod
    def executable(cls):
        return True

    def command(self, config):
        return [self.binary, str(self.port), str(self.hop), "connect" if self.connects else "plain", NAME,
                self.pki["chain"], self.pki["key"], self.pki["ca"]]

    @classmethod
    def version(cls):
        return ""


class Stunnel(Relay):
    name = "stunnel"
    programs = ("stunnel4", "stunnel")

    def configuration(self):
        return "\n".join([
            "foreground = yes", "pid =", "syslog = no", "output = %s" % os.path.join(self.place, "log"), "[bench]",
            "client = yes", "accept = 127.0.0.1:%d" % self.port, "connect = 127.0.0.1:%d" % self.hop,
            "protocol = connect", "protocolHost = %s:443" % NAME, "cert = %s" % self.pki["chain"],
            "key = %s" % self.pki["key"], "CAfile = %s" % self.pki["ca"], "verifyChain = yes", "checkHost = %s" % NAME,
            "sni = %s" % NAME, ""])

    def command(self, config):
        return [self.executable(), config]

    @classmethod
    def version(cls):
        return first_line([cls.executable(), "-version"])


class Haproxy(Relay):
    name = "haproxy"
    programs = ("haproxy",)
    connects = False
    stop_signal = signal.SIGINT

    def configuration(self):
        return "\n".join([
            "global", "  nbthread %d" % self.workers, "  maxconn 9500", "defaults", "  mode tcp",
            "  timeout connect 10s", "  timeout client 1h", "  timeout server 1h", "listen bench",
            "  bind 127.0.0.1:%d" % self.port,
            "  server origin 127.0.0.1:%d ssl crt %s ca-file %s verify required sni str(%s) verifyhost %s" % (
                self.hop, self.pki["bundle"], self.pki["ca"], NAME, NAME), ""])

    def command(self, config):
        return [self.executable(), "-db", "-f", config]

    @classmethod
    def version(cls):
        return first_line([cls.executable(), "-v"])


class Nginx(Relay):
    name = "nginx"
    programs = ("nginx",)
    connects = False
    resumes = 0.8       # one session for all connections, which is lost now and then
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"

    def configuration(self):
        return "\n".join([
            "load_module %s;" % self.module if os.path.exists(self.module) else "",
            "user root;" if os.geteuid() == 0 else "",
            "daemon off; worker_processes %d; pid %s; error_log stderr;" % (
                self.workers, os.path.join(self.place, "pid")),
            "events { worker_connections %d; }" % (20000 // self.workers), "stream { server {",
            "listen 127.0.0.1:%d; proxy_pass 127.0.0.1:%d; proxy_timeout 1h;" % (self.port, self.hop),
            "proxy_ssl on; proxy_ssl_verify on; proxy_ssl_verify_depth 3; proxy_ssl_server_name on;",
            "proxy_ssl_name %s; proxy_ssl_trusted_certificate %s; proxy_ssl_protocols TLSv1.2 TLSv1.3;" % (
                NAME, self.pki["ca"]),
            "proxy_ssl_certificate %s; proxy_ssl_certificate_key %s;" % (self.pki["chain"], self.pki["key"]),
            "} }", ""])

    def command(self, config):
        return [self.executable(), "-p", self.place, "-c", config, "-e", "stderr"]

    @classmethod
    def version(cls):
        return first_line([cls.executable(), "-v"])


ALL = [Midrelay, Stunnel, Haproxy, Nginx, Bare, MidrelayDirect]


def first_line(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()
    found = [line for line in lines if re.search(r"\d+\.\d+", line) and not line.startswith("[")]
    return re.sub(r"^.*?(\d+\.\d+\S*).*$", r"\1", found[0]) if found else "?"
