#!/usr/bin/python3
"""Proves what a service manager sees: sockets it passes, READY, RELOADING, STOPPING, STATUS, WATCHDOG; restarts without loss."""

import ctypes
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import threading

import harness
from harness import Skip, ask, read_response, request_bytes

# Becomes midrelay as systemd starts it: descriptors from 3 on, LISTEN_PID its own.
LAUNCH = """
import os, sys
names, fds, command = sys.argv[1], [int(fd) for fd in sys.argv[2].split(",")], sys.argv[3:]
for at, fd in enumerate(fds):
    os.dup2(fd, 500 + at)
for at in range(len(fds)):
    os.dup2(500 + at, 3 + at)
os.closerange(3 + len(fds), 600)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""


class Manager:
    """Receives sd_notify(3) datagrams."""

    def __init__(self, case):
        self.path = case.path("notify")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.setblocking(False)
        self.seen = []
        case.cleanups.append(self.sock.close)

    def messages(self):
        while select.select([self.sock], [], [], 0)[0]:
            self.seen.append(dict(line.split("=", 1) for line in self.sock.recv(4096).decode().split("\n") if line))
        return self.seen

    def wait(self, key, value=None, count=1, where=""):
        def look():
            found = [m for m in self.messages() if key in m and value in (None, m[key]) and where in m.get("STATUS", "")]
            return found[count - 1] if len(found) >= count else None
        harness.wait_until(look, "%s=%s" % (key, value or "…"))
        return look()

    def count(self, key):
        return len([m for m in self.messages() if key in m])


def listener(host="127.0.0.1"):
    sock = socket.create_server((host, 0), backlog=1000)
    sock.set_inheritable(True)
    return sock


def passed(names, socks):
    """The `around` of a start with these sockets."""
    return [sys.executable, "-c", LAUNCH, names, ",".join(str(sock.fileno()) for sock in socks)]


def start(case, sections, names, socks, **kwargs):
    """Popen closes what it does not know: the descriptors are kept open for it."""
    real = subprocess.Popen

    def popen(*args, **more):
        return real(*args, pass_fds=[sock.fileno() for sock in socks], **more)
    subprocess.Popen = popen
    try:
        return case.start(sections, around=passed(names, socks), **kwargs)
    finally:
        subprocess.Popen = real


def get(address):
    with socket.create_connection(address, timeout=harness.LIMIT) as sock:
        return ask(sock)


def test_a_passed_socket(case):
    instance = case.instance(mode="http")
    with listener() as sock:
        m = start(case, {"relay r": case.keys(instance, listen="systemd:web")}, "web", [sock])
        m.opened = None
        assert m.address() == "127.0.0.1:%d" % sock.getsockname()[1]
        assert get(sock.getsockname()).status == 200
        m.reload()
        assert get(sock.getsockname()).status == 200


def test_several_sockets(case):
    """By name, several under one name, and a UNIX socket, whose file stays systemd's."""
    instance = case.instance(mode="http")
    path = case.path("passed.sock")
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(path)
    unix.listen(10)
    unix.set_inheritable(True)
    with listener() as one, listener() as two, unix:
        m = start(case, {"relay a": case.keys(instance, listen="systemd:a"),
                         "relay b": case.keys(instance, listen=["systemd:b", "127.0.0.1:0"])}, "b:a:b", [one, two, unix])
        m.opened = None
        listening = [(e["relay"], e["address"]) for e in m.events("listening")]
        assert ("b", "127.0.0.1:%d" % one.getsockname()[1]) in listening, listening
        assert ("a", "127.0.0.1:%d" % two.getsockname()[1]) in listening, listening
        assert len(listening) == 4, listening
        assert get(one.getsockname()).status == 200 and get(two.getsockname()).status == 200
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            assert ask(sock).status == 200
        m.assert_ends_clean()
        assert os.path.exists(path), "the manager's socket file was removed"


def test_a_socket_that_no_relay_takes_is_told(case):
    with listener() as one, listener() as two:
        keys = case.keys(case.instance(), listen="systemd:a")
        m = start(case, {"relay r": keys}, "a:b", [one, two])
        told = m.wait_event("config-note")
        assert "under the name b," in told["msg"] and "systemd:b:" in told["msg"] and told["level"] == "warn", told
        m.sections["relay r"]["listen"] = ["systemd:a", "systemd:b"]
        m.write()
        m.reload()
        assert len(m.events("config-note")) == 1, m.tail()


def test_no_such_socket(case):
    config = case.path("m.ini")
    harness.write_config(config, {"relay r": case.keys(case.instance(), listen="systemd:web")})
    done = case.run("run", "-c", config)
    assert done.returncode == 1 and 'under the name "web" (there is none at all)' in done.stderr, done
    with listener() as sock:
        done = subprocess.run([*passed("other", [sock]), harness.BINARY, "run", "-c", config], capture_output=True,
                              text=True, timeout=harness.LIMIT, pass_fds=[sock.fileno()])
    assert done.returncode == 1 and "there are: other" in done.stderr, done
    assert "FileDescriptorName=web" in done.stderr


def test_sockets_for_somebody_else(case):
    """LISTEN_PID names another process: the environment was inherited, the sockets are not ours."""
    config = case.path("m.ini")
    harness.write_config(config, {"relay r": case.keys(case.instance(), listen="systemd:web")})
    with listener() as sock:
        env = dict(os.environ, LISTEN_PID="1", LISTEN_FDS="1", LISTEN_FDNAMES="web")
        done = subprocess.run([harness.BINARY, "run", "-c", config], capture_output=True, text=True, env=env,
                              timeout=harness.LIMIT, pass_fds=[sock.fileno()])
    assert done.returncode == 1 and "there is none at all" in done.stderr, done


def test_not_on_loopback(case):
    """An address outside loopback needs the same words as in listen."""
    config = case.path("m.ini")
    harness.write_config(config, {"relay r": case.keys(case.instance(), listen="systemd:web")})
    with listener("0.0.0.0") as sock:
        done = subprocess.run([*passed("web", [sock]), harness.BINARY, "run", "-c", config], capture_output=True,
                              text=True, timeout=harness.LIMIT, pass_fds=[sock.fileno()])
    assert done.returncode == 1 and "is not a loopback address" in done.stderr, done


def test_connect_loop(case):
    """A target that leads to a passed socket is our own listener, whoever bound it."""
    with listener() as sock:
        port = sock.getsockname()[1]
        keys = case.keys("instance.lab.test:%d" % port, target_address="127.0.0.1", listen="systemd:web")
        m = start(case, {"relay r": keys}, "web", [sock])
        m.opened = None
        response = get(sock.getsockname())
        assert response.status == 502 and "connect-loop" in response.reason, response.reason


def test_notify(case):
    manager = Manager(case)
    instance = case.instance(mode="http")
    m = case.start({"relay r": case.keys(instance)}, env={"NOTIFY_SOCKET": manager.path})
    ready = manager.wait("READY")
    assert re.match(r"1 relay, 0 connections open, 0 so far; CN=.* of relay r ends in \d+ days", ready["STATUS"]), ready
    with m.connect() as sock:
        assert ask(sock).status == 200
        m.reload()
        reloading = manager.wait("RELOADING")
        assert int(reloading["MONOTONIC_USEC"]) > 0
        manager.wait("READY", count=2)
        manager.wait("STATUS", where="1 connection open, 1 so far")
    order = [next(iter(message)) for message in manager.messages() if "STATUS" in message]
    assert order.index("RELOADING") < len(order) - 1 - order[::-1].index("READY"), order
    # A reload that fails is over, too.
    m.sections["relay r"]["client_bundle"] = "/nowhere.pem"
    m.write()
    m.reload(ok=False)
    manager.wait("READY", count=3)
    m.assert_ends_clean()
    manager.wait("STOPPING")
    assert "WATCHDOG" not in {key for message in manager.messages() for key in message}


def test_a_manager_that_is_busy(case):
    """Its queue is full when we are ready: it is told later, or it would end the start as timed out."""
    manager = Manager(case)
    filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    filler.setblocking(False)
    filler.connect(manager.path)
    with filler:
        harness.wait_until(lambda: not select.select([], [filler], [], 0)[1] or filler.send(b"OTHER=1\n") == 0, "a full queue")
    m = case.start({"relay r": case.keys(case.instance())}, env={"NOTIFY_SOCKET": manager.path})
    m.reload()   # behind which READY has been told in vain
    assert manager.count("OTHER") > 0
    manager.wait("READY")


def test_abstract_notify_socket(case):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    name = "midrelay-test-%d" % os.getpid()
    manager.bind("\0" + name)
    manager.settimeout(harness.LIMIT)
    with manager:
        case.start({"relay r": case.keys(case.instance())}, env={"NOTIFY_SOCKET": "@" + name})
        assert manager.recv(4096).startswith(b"READY=1\n")


def test_watchdog(case):
    """Told again and again, and not any more once one of the workers hangs."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    manager = Manager(case)
    m = case.start({"midrelay": {"workers": "2"}, "relay r": case.keys(case.instance())},
                   env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "100000"})
    harness.wait_until(lambda: manager.count("WATCHDOG") >= 5, "signs of life")
    threads = sorted(int(tid) for tid in os.listdir("/proc/%d/task" % m.pid))
    hanging = threads[-1]
    if libc.ptrace(0x4206, hanging, None, None) != 0:     # PTRACE_SEIZE
        raise Skip("no ptrace here")
    assert libc.ptrace(0x4207, hanging, None, None) == 0  # PTRACE_INTERRUPT
    os.waitpid(hanging, 0x40000000)                       # __WALL
    before = harness.settled(lambda: manager.count("WATCHDOG"), 0.3)
    assert harness.settled(lambda: manager.count("WATCHDOG"), 0.5) == before
    assert libc.ptrace(17, hanging, None, None) == 0      # PTRACE_DETACH
    harness.wait_until(lambda: manager.count("WATCHDOG") >= before + 3, "signs of life again")


def test_restart_refuses_nobody(case):
    """Clients that come while there is no midrelay wait in the socket that systemd holds; those in flight finish."""
    times = 100 if os.environ.get("MIDRELAY_LONG") else 10
    instance = case.instance(mode="http")
    stop, served, lost = threading.Event(), [0] * 4, []

    def client(number):
        while not stop.is_set():
            try:
                with socket.create_connection(address, timeout=harness.LIMIT) as sock:
                    sock.sendall(request_bytes())
                    assert read_response(sock).status == 200
                served[number] += 1
            except Exception as error:  # pylint: disable=broad-except
                lost.append(repr(error))
    with listener() as sock:
        address = sock.getsockname()
        keys = case.keys(instance, listen="systemd:web")
        m = start(case, {"relay r": keys}, "web", [sock])
        threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(times):
            before = sum(served)
            m.opened = None
            harness.wait_until(lambda: sum(served) > before + 8, "clients that are served")
            m.signal(harness.signal.SIGTERM)
            assert m.wait() == 0
            m.status = 0
            m = start(case, {"relay r": keys}, "web", [sock])
        m.opened = None
        stop.set()
        for thread in threads:
            thread.join()
        m.baseline = harness.settled(m.descriptors)   # at its start clients were there already
    assert not lost, (len(lost), lost[:3])
    print("%d restarts, %d connections, none lost" % (times, sum(served)))


def test_units(case):
    """systemd takes the units as they are, and judges them tight."""
    if not shutil.which("systemd-analyze"):
        raise Skip("systemd-analyze is not installed")
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "contrib", "systemd")
    units = []
    for name in ("midrelay.service.in", "midrelay@.service.in", "midrelay.socket"):
        with open(os.path.join(top, name)) as unit:
            text = unit.read().replace("@bindir@/midrelay", harness.BINARY).replace("@sysconfdir@", "/etc")
        text = re.sub(r"^Documentation=.*\n", "", text, flags=re.M)
        assert "@" not in text.replace("midrelay@", "").replace("@system-service", "").replace(
            "@privileged", "").replace("@resources", ""), text
        units.append(case.write(name.removesuffix(".in"), text, mode=0o644))
    shutil.copyfile(units[1], units[1].replace("@", "@x"))
    done = subprocess.run(["systemd-analyze", "verify", units[0], units[1].replace("@", "@x"), units[2]],
                          capture_output=True, text=True, timeout=harness.LIMIT)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    for unit in units[:2]:
        done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=15", "--no-pager", unit],
                              capture_output=True, text=True, timeout=harness.LIMIT)
        assert done.returncode == 0, done.stdout[-300:]


if __name__ == "__main__":
    harness.main()
