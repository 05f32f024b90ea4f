#!/usr/bin/python3
"""Proves `sandbox`: what somebody who has taken midrelay over could not do; that all its own work goes on inside."""

import ctypes
import errno
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys

import harness
from harness import Skip, wait_until

PROBE_SOURCE = os.path.join(harness.HERE, "sandbox_probe.c")

# Runs what follows as a kernel would that answers a system call with that error.
WITHOUT = """
import ctypes, os, sys
calls, error = sys.argv[1].split(","), int(sys.argv[2])
lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
lib.seccomp_init.restype = ctypes.c_void_p
ctx = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(0x7fff0000)))
for call in calls:
    number = int(call) if call.isdigit() else lib.seccomp_syscall_resolve_name(call.encode())
    assert lib.seccomp_rule_add(ctx, ctypes.c_uint32(0x00050000 | error), number, 0) == 0
# prctl(PR_SET_SECCOMP) is the other way in.
if "seccomp" in calls:
    class Compare(ctypes.Structure):
        _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]
    which = (Compare * 1)(Compare(0, 4, 22, 0))
    assert lib.seccomp_rule_add_array(ctx, ctypes.c_uint32(0x00050000 | error),
                                      lib.seccomp_syscall_resolve_name(b"prctl"), 1, which) == 0
assert lib.seccomp_load(ctx) == 0
os.execv(sys.argv[3], sys.argv[3:])
"""

REFUSED = {
    "shadow": "EACCES", "elsewhere": "EACCES", "write": "EACCES", "create": "EACCES", "chmod": "EPERM",
    "unlink": "EPERM",
    "connect": "EACCES", "fastopen": "EPERM", "bind": "EACCES", "abstract": "EPERM", "packet": "EPERM", "raw": "EPERM",
    "fork": "EPERM", "exec": "EPERM", "ptrace": "EPERM", "signal": "EPERM", "vm_read": "EPERM",
    "unshare": "EPERM", "mount": "EPERM", "bpf": "EPERM", "perf": "EPERM", "io_uring": "EPERM", "keyctl": "EPERM",
    "by_handle": "EPERM", "clone3": "ENOSYS", "write_and_run": "EPERM",
}


def needs_a_sandbox():
    if harness.INSTRUMENTED:
        raise Skip("an instrumented build has no sandbox")


def landlock_abi():
    return ctypes.CDLL(None).syscall(444, None, 0, 1)


def needs_landlock(abi=1):
    needs_a_sandbox()
    if landlock_abi() < abi:
        raise Skip("this kernel has no Landlock of ABI %d" % abi)


def needs_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


def probe(case):
    """The environment with which midrelay carries the probe."""
    compiler = shutil.which(os.environ.get("CC", "").split(" ")[0] or "gcc") or shutil.which("clang")
    if compiler is None:
        raise Skip("no compiler")
    library = case.path("probe.so")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, PROBE_SOURCE], check=True)
    os.chmod(library, 0o755)
    os.mkdir(case.path("elsewhere"))
    os.chmod(case.path("elsewhere"), 0o777)
    case.write("elsewhere/file", "not for midrelay\n", mode=0o644)
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    abstract = socket.socket(socket.AF_UNIX)
    name = "midrelay-probe-%d" % os.getpid()
    abstract.bind("\0" + name)
    abstract.listen(100)
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    case.cleanups += [listener.close, abstract.close]
    return {"LD_PRELOAD": library, "PROBE_FILE": case.path("elsewhere/file"), "PROBE_NEW": case.path("elsewhere/new"),
            "PROBE_CONFIG": case.path("elsewhere/file"), "PROBE_PORT": str(listener.getsockname()[1]),
            "PROBE_FREE_PORT": str(port), "PROBE_ABSTRACT": name}


def results(m, threads=("main", "worker", "resolver")):
    """{thread: {what: errno}}"""
    def look():
        found = {}
        for thread, what, error in re.findall(rb"^probe (\w+) (\w+) (\w+)$", m.log_bytes(), re.M):
            name = errno.errorcode.get(int(error), "0")
            found.setdefault(thread.decode(), {}).setdefault(what.decode(), name)
        return found if all("end" in found.get(thread, {}) for thread in threads) else None
    found = wait_until(look, lambda: "the probe; log:\n" + m.tail())
    for thread in found.values():
        del thread["end"]
    return found


def start(case, sections, **kwargs):
    """With the log of every session."""
    process = dict({"log_level": "debug", "drain_timeout": "2s"}, **sections.get("midrelay", {}))
    return case.start(dict(sections, midrelay=process), **kwargs)


def start_probed(case, sections, environment):
    """Counts its descriptors when no loop's probe holds one open any more."""
    workers = sections.setdefault("midrelay", {}).setdefault("workers", "1")
    m = start(case, sections, env=environment)
    wait_until(lambda: len(re.findall(rb"^probe (?:main|worker) end ", m.log_bytes(), re.M)) == 1 + int(workers),
               lambda: "the probe of each loop; log:\n" + m.tail())
    m.baseline = m.descriptors()
    return m


def by_name(case, instance, proxy, **keys):
    """A relay that has a name to resolve."""
    return case.keys(instance, ["http://localhost:%d" % proxy.port], **keys)


def in_force(m):
    return m.wait_event("sandbox")["in_force"]


def threads(m, key):
    found = set()
    for task in os.listdir("/proc/%d/task" % m.pid):
        with open("/proc/%d/task/%s/status" % (m.pid, task)) as status:
            found.add(re.search(r"^%s:\s+(\d+)" % key, status.read(), re.M)[1])
    return found


# What is refused

def test_a_taken_over_process_of_root(case):
    """From each kind of thread of the real program: the main one, a worker, a resolver."""
    needs_root()
    needs_landlock(6)
    instance = case.instance()
    proxy = case.proxy(instance)
    m = start_probed(case, {"midrelay": {"workers": "2"}, "relay r": by_name(case, instance, proxy)}, probe(case))
    assert m.get("/").status == 200
    for thread, found in results(m).items():
        assert found == REFUSED, (thread, {k: v for k, v in found.items() if REFUSED[k] != v})
    assert in_force(m) == "landlock ABI %d (files, TCP ports), seccomp" % landlock_abi()
    assert threads(m, "Seccomp") == {"2"} and threads(m, "NoNewPrivs") == {"1"}
    assert m.get("/").status == 200


def test_a_taken_over_process_of_a_user(case):
    """Who may read nothing of root's sees all of /etc, and still nothing else."""
    needs_root()
    needs_landlock(6)
    user = pwd.getpwnam("nobody")
    instance = case.instance()
    proxy = case.proxy(instance)
    environment = probe(case)
    os.chmod(case.dir, 0o711)
    files = {}
    os.mkdir(case.path("files"))
    os.chmod(case.path("files"), 0o755)
    for name in ("client-bundle.pem", "root.pem"):
        files[name] = case.path("files/" + name)
        shutil.copyfile(case.pki[name], files[name])
        os.chown(files[name], user.pw_uid, user.pw_gid)
        os.chmod(files[name], 0o400)
    m = start_probed(case, {"midrelay": {"user": user.pw_name}, "relay r": by_name(
        case, instance, proxy, client_bundle=files["client-bundle.pem"], trust=files["root.pem"])}, environment)
    assert m.get("/").status == 200
    for thread, found in results(m).items():
        assert found == REFUSED, (thread, {k: v for k, v in found.items() if REFUSED[k] != v})
    m.reload()
    assert m.get("/").status == 200


def test_off(case):
    """Which also proves that the probe can do what it tries."""
    needs_root()
    needs_a_sandbox()
    instance = case.instance()
    proxy = case.proxy(instance)
    m = start_probed(case, {"midrelay": {"sandbox": "off"}, "relay r": by_name(case, instance, proxy)}, probe(case))
    assert m.get("/").status == 200
    for thread, found in results(m).items():
        done = {what for what, error in found.items() if error == "0"}
        assert done >= {"shadow", "elsewhere", "write", "create", "chmod", "connect", "bind", "abstract", "fork", "exec",
                        "signal", "unlink", "unshare", "write_and_run"}, (thread, found)
        assert not [what for what, error in found.items() if error == "EPERM" and what not in ("packet", "raw", "mount",
                    "bpf", "perf", "io_uring")], found
    assert in_force(m) == "off"
    assert threads(m, "Seccomp") == {"0"}


# What the kernel does not have

def without(calls, error):
    return [sys.executable, "-c", WITHOUT, calls, str(error)]


def test_a_kernel_without_landlock(case):
    needs_a_sandbox()
    instance = case.instance()
    for error, said in ((38, "landlock: not in this kernel"), (95, "landlock: switched off in this kernel (lsm=)"),
                        (1, "landlock: not allowed here")):
        m = start(case, {"relay r": case.keys(instance)}, around=without("444,445,446", error))
        assert in_force(m) == said + ", seccomp", in_force(m)
        assert m.get("/").status == 200
        m.assert_ends_clean()


def test_a_kernel_without_seccomp(case):
    needs_landlock(4)
    instance = case.instance()
    m = start(case, {"relay r": case.keys(instance)}, around=without("seccomp", 22))
    said = in_force(m)
    assert said.startswith("landlock ABI %d (files, TCP ports), no seccomp (" % landlock_abi()), said
    assert m.get("/").status == 200


# What goes on inside

def subject(response):
    return response.json()["client_certificate"]["subject"] if response.status == 200 else response.reason


def copy(source, target, mode=0o600):
    shutil.copyfile(source, target)
    os.chmod(target, mode)


def put(target, source):
    """As certificate managers do."""
    copy(source, target + ".new")
    os.rename(target + ".new", target)


def test_renewals(case):
    """Renamed over, written over, Kubernetes' ..data swapped, a link turned to its neighbour."""
    needs_landlock()
    instance = case.instance()
    bundle = case.pki["client-bundle.pem"]
    os.makedirs(case.path("live/v1")), os.makedirs(case.path("mount/..1"))
    copy(bundle, case.path("live/v1/bundle.pem"))
    os.symlink("v1", case.path("live/current"))
    copy(bundle, case.path("mount/..1/bundle.pem"))
    os.symlink("..1", case.path("mount/..data"))
    os.symlink("..data/bundle.pem", case.path("mount/bundle.pem"))
    os.mkdir(case.path("plain"))
    copy(bundle, case.path("plain/bundle.pem"))
    os.mkdir(case.path("linked"))
    os.symlink(case.path("plain/bundle.pem"), case.path("linked/bundle.pem"))
    files = {"plain": "plain/bundle.pem", "linked": "linked/bundle.pem", "live": "live/current/bundle.pem",
             "mount": "mount/bundle.pem"}
    m = start(case, {"midrelay": {"watch": "100ms"}, **{
        "relay " + name: case.keys(instance, client_bundle=case.path(file)) for name, file in files.items()}})
    count = 0

    def serves():
        nonlocal count
        count += 1
        m.wait_event("reloaded", count)
        for name in files:
            assert m.get("/", relay=name).status == 200

    put(case.path("plain/bundle.pem"), bundle)
    serves()
    with open(bundle, "rb") as new, open(case.path("plain/bundle.pem"), "r+b") as old:
        old.write(new.read() + b"\n")
    serves()
    os.mkdir(case.path("mount/..2"))
    copy(bundle, case.path("mount/..2/bundle.pem"))
    os.symlink("..2", case.path("mount/..tmp"))
    os.rename(case.path("mount/..tmp"), case.path("mount/..data"))
    shutil.rmtree(case.path("mount/..1"))
    serves()
    os.mkdir(case.path("live/v2"))
    copy(bundle, case.path("live/v2/bundle.pem"))
    os.symlink("v2", case.path("live/next"))
    os.rename(case.path("live/next"), case.path("live/current"))
    serves()
    assert not m.events("reload-failed"), m.tail()


def test_a_reload_that_needs_more(case):
    """Each at its line, before anything is opened; what runs goes on, and what was there at the start is taken."""
    needs_landlock(4)
    instance, other = case.instance(), case.instance()
    os.mkdir(case.path("inside")), os.mkdir(case.path("outside"))
    for place in ("inside", "outside"):
        copy(case.pki["client-bundle.pem"], case.path(place + "/bundle.pem"))
    sections = {"relay r": case.keys(instance, client_bundle=case.path("inside/bundle.pem"))}
    m = start(case, sections)
    good = m.sections
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    os.symlink(case.path("outside/bundle.pem"), case.path("inside/link.pem"))
    for key, value, said in (
            ("client_bundle", case.path("outside/bundle.pem"), "client_bundle: %s/outside/bundle.pem lies" % case.dir),
            ("client_bundle", case.path("inside/link.pem"), "client_bundle: %s/inside/link.pem leads" % case.dir),
            ("trust", case.path("outside"), "trust: %s lies outside" % case.path("outside")),
            ("proxy", "http://127.0.0.1:%d" % other.port, "proxy: TCP port %d was not connected to" % other.port),
            ("listen", "127.0.0.1:%d" % port, "listen: TCP port %d was not listened at" % port),
            ("listen", "unix:" + case.path("outside/sock"), "listen: %s was not a directory of" % case.path("outside")),
            ("client_key", "pkcs11:object=key", "client_key: the sandbox was entered without")):
        keys = dict(good["relay r"], **{key: value})
        if key == "client_key":
            keys.update(client_cert=keys["client_bundle"], client_bundle=None)
        m.sections = dict(good, **{"relay r": keys})
        m.write()
        failed = len(m.events("reload-failed"))
        event = m.reload(ok=False)
        assert event["msg"].startswith(said) and "restart" in event["msg"], event
        with open(m.config) as lines:
            line = lines.read().split("\n")[int(event["line"]) - 1]
        assert line.startswith(key), (event, line)
        assert len(m.events("reload-failed")) == failed + 1, m.events("reload-failed")[failed:]
        assert m.get("/").status == 200
    m.sections = good
    m.write()
    m.reload()
    assert m.get("/").status == 200
    # The port that the kernel chose may be named from now on: its socket stays.
    m.sections = dict(good, **{"relay r": dict(good["relay r"], listen="127.0.0.1:%d" % m.port())})
    m.write()
    m.reload()
    assert m.get("/").status == 200


def test_sockets_and_sources(case):
    """UNIX sockets are made, left over and removed inside; a source address is bound; another port 0 is listened at."""
    needs_landlock(4)
    instance = case.instance()
    os.mkdir(case.path("run"))
    unix, later = case.path("run/a.sock"), case.path("run/b.sock")
    m = start(case, {"relay r": case.keys(instance, listen=["unix:" + unix, "127.0.0.1:0"], source_address="127.0.0.1")})
    assert m.get("/").status == 200 and m.get("/", index=1).status == 200
    left = socket.socket(socket.AF_UNIX)
    left.bind(later)
    left.close()
    m.sections["relay r"]["listen"] = ["unix:" + later, "127.0.0.1:0"]
    m.write()
    m.reload()
    assert m.get("/", index=2).status == 200 and not os.path.exists(unix)
    m.baseline = harness.settled(m.descriptors)
    m.assert_ends_clean()
    assert not os.path.exists(later), "a socket was left behind"


def test_key_log(case):
    needs_a_sandbox()
    instance = case.instance()
    log = case.path("keys.log")
    m = start(case, {"relay r": case.keys(instance)}, env={"SSLKEYLOGFILE": log}, args=["--keylog"])
    assert m.get("/").status == 200
    assert os.path.getsize(log) > 0


def test_a_local_ca_comes_with_a_reload(case):
    """Where one is kept, another host's is made, written and renamed; where none is, it takes a restart."""
    needs_landlock()
    instance, state = case.instance(), case.path("state")
    keys = case.keys(instance, listen="tls://127.0.0.1:0", listen_cert="auto")
    m = start(case, {"relay r": keys}, env={"STATE_DIRECTORY": state})
    before = os.listdir(state)
    m.sections["relay s"] = dict(keys, target="other.lab.test:%d" % instance.port)
    m.write()
    m.reload()
    assert len(os.listdir(state)) == len(before) + 1, os.listdir(state)
    m.baseline = harness.settled(m.descriptors)
    plain = start(case, {"relay r": case.keys(instance)}, env={"STATE_DIRECTORY": case.path("none")})
    plain.sections["relay r"] = keys
    plain.write()
    event = plain.reload(ok=False)
    assert event["msg"].startswith("listen_cert: nothing was kept in") and "restart" in event["msg"], event
    assert not os.path.exists(case.path("none"))


def test_a_reload_that_needs_more_calls(case):
    """Where there is no Landlock, the system calls that no listener and no local CA needed at the start are missing."""
    needs_a_sandbox()
    instance = case.instance()
    plain = case.keys(instance)
    m = start(case, {"relay r": plain}, around=without("444,445,446", 38), env={"STATE_DIRECTORY": case.path("state")})
    for keys, said in (
            ({"listen": "unix:" + case.path("sock")}, "listen: %s was not a directory of UNIX sockets" % case.dir),
            ({"listen": "tls://127.0.0.1:0", "listen_cert": "auto"}, "listen_cert: nothing was kept in")):
        m.sections["relay r"] = dict(plain, **keys)
        m.write()
        failed = len(m.events("reload-failed"))
        event = m.reload(ok=False)
        assert event["msg"].startswith(said) and "restart" in event["msg"], event
        assert len(m.events("reload-failed")) == failed + 1, m.events("reload-failed")[failed:]
        assert m.get("/").status == 200
    m.sections["relay r"] = dict(plain, trust=case.pki["root.pem"])
    m.write()
    m.reload()
    assert m.get("/").status == 200


# Refusals that are no loss: the C library takes another call, or asks whether it may.
EXPECTED_REFUSALS = re.compile(r'^clone3\(|^access\("/etc/shadow"|^faccessat2?\(AT_FDCWD, "/etc/shadow"|^setuid\(0\)')


def test_no_call_of_our_own_is_refused(case):
    """By strace, over much of what midrelay does; the failure it would cause may be one that nothing else shows."""
    needs_landlock()
    strace = shutil.which("strace")
    if strace is None:
        raise Skip("no strace")
    trace = case.path("trace")
    around = [strace, "-D", "-f", "-qq", "-e", "status=failed", "-o", trace]
    instance, web = case.instance(), case.instance(mode="http")
    cut = case.instance(mode="source", bytes=100000, end="truncate")
    proxy = case.proxy(instance)
    os.mkdir(case.path("run"))
    user = str(os.geteuid())
    m = start(case, {"midrelay": {"workers": "2", "watch": "100ms"},
                     "relay r": by_name(case, instance, proxy, allow_user=user, auth=True,
                                        listen=["127.0.0.1:0", "unix:" + case.path("run/sock")]),
                     "relay cut": case.keys(cut, source_address="127.0.0.1"),
                     "relay tls": case.keys(web, listen="tls://127.0.0.1:0", listen_cert="auto"),
                     "relay dead": case.keys(instance, ["http://127.0.0.1:1", "direct"])},
              around=around, env={"STATE_DIRECTORY": case.path("state")})
    assert m.get("/").status == 200 and m.get("/", index=1).status == 200 and m.get("/", relay="dead").status == 200
    with m.connect("cut", rcvbuf=4096) as sock:
        sock.sendall(harness.request_bytes())
        harness.read_all(sock)
    os.utime(m.config)
    m.wait_event("reloaded")
    m.sections["relay r"]["listen_mode"] = "0660"
    m.write()
    m.wait_event("reloaded", 2)
    assert m.get("/", index=1).status == 200
    m.baseline = harness.settled(m.descriptors)
    m.assert_ends_clean()
    with open(trace) as lines:
        refused = [re.sub(r"^\d+ +", "", line.rstrip()) for line in lines
                   if re.search(r"= -1 (EPERM|EACCES|ENOSYS)", line)]
    assert any(call.startswith("clone3(") for call in refused), "strace saw nothing"
    refused = [call for call in refused if not EXPECTED_REFUSALS.match(call)]
    assert not refused, refused


def test_sandbox_takes_effect_at_the_next_start(case):
    needs_a_sandbox()
    instance = case.instance()
    m = start(case, {"relay r": case.keys(instance)})
    m.sections["midrelay"]["sandbox"] = "off"
    m.write()
    m.reload()
    assert m.wait_event("restart-needed")["msg"] == "sandbox = off takes effect at the next start"


def test_a_name_file_is_replaced(case):
    """Whom root runs is told when /etc/hosts was renamed over, which no rule on a file survives."""
    needs_root()
    needs_landlock()
    os.mkdir(case.path("etc"))
    for name in ("hosts", "nsswitch.conf", "passwd", "group", "shadow"):
        if os.path.exists("/etc/" + name):
            shutil.copyfile("/etc/" + name, case.path("etc/" + name))
    around = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc && exec "$@"', case.path("etc")]
    if shutil.which("unshare") is None or subprocess.run([*around, "true"], capture_output=True).returncode != 0:
        raise Skip("no mount namespaces here")
    m = start(case, {"midrelay": {"watch": "100ms"}, "relay r": case.keys(case.instance())}, around=around)
    assert m.get("/").status == 200
    put(case.path("etc/hosts"), "/etc/hosts")
    said = m.wait_event("restart-needed")
    assert said["level"] == "error" and said["msg"].startswith("/etc/hosts was replaced"), said
    put(case.path("etc/nsswitch.conf"), "/etc/nsswitch.conf")
    m.wait_event("restart-needed", 2)
    assert len([e for e in m.events("restart-needed") if "hosts" in e["msg"]]) == 1


# What lies in memory

def memory_maps(pid):
    """[(start, end, flags)] of what is readable and not of a file."""
    found = []
    with open("/proc/%d/smaps" % pid) as lines:
        for line in lines:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)", line)
            if head:
                at = (int(head[1], 16), int(head[2], 16), head[3], head[4])
            elif line.startswith("VmFlags:") and at[2].startswith("rw") and at[3] == "0":
                found.append((at[0], at[1], line.split()[1:]))
    return found


def test_secrets_are_in_no_dump(case):
    """A proxy's credentials lie in pages that no dump holds and that are locked, and nowhere else."""
    needs_root()
    needs_a_sandbox()
    instance = case.instance()
    proxy = case.proxy(instance)
    m = start(case, {"relay r": case.keys(instance, [proxy], auth=True)})
    assert m.get("/").status == 200
    m.reload()
    assert m.get("/").status == 200
    basic = harness.base64.b64encode(("%s:%s" % (harness.USER, harness.PASSWORD)).encode())
    inside, outside = 0, []
    with open("/proc/%d/mem" % m.pid, "rb") as memory:
        for start_at, end, flags in memory_maps(m.pid):
            memory.seek(start_at)
            part = memory.read(end - start_at)
            if "dd" in flags:
                inside += part.count(basic)
                assert "lo" in flags, flags
            else:
                outside += [(hex(start_at), part.count(secret)) for secret in (basic, harness.PASSWORD.encode())
                            if secret in part]
    assert inside > 0, "the scan sees nothing"
    assert not outside, outside


def locked_kb(m):
    with open("/proc/%d/status" % m.pid) as status:
        return int(re.search(r"VmLck:\s+(\d+)", status.read())[1])


def with_lock_limit(limit):
    return ["sh", "-c", 'ulimit -l "$0" && exec "$@"', limit]


def test_a_limit_of_locked_memory_is_kept_to(case):
    """No more than the secrets: later allocations would fail."""
    m = start(case, {"relay r": case.keys(case.instance(), ["http://127.0.0.1:1", "direct"], auth=True)},
              around=with_lock_limit("64"))
    assert m.get("/").status == 200
    assert harness.INSTRUMENTED or 0 < locked_kb(m) <= 64, locked_kb(m)


def test_all_memory_is_locked_where_no_limit_is(case):
    if subprocess.run([*with_lock_limit("unlimited"), "true"], capture_output=True).returncode != 0:
        raise Skip("the limit of locked memory cannot be raised here")
    m = start(case, {"relay r": case.keys(case.instance())}, around=with_lock_limit("unlimited"))
    assert m.get("/").status == 200
    assert harness.INSTRUMENTED or locked_kb(m) > 1000, locked_kb(m)


if __name__ == "__main__":
    harness.main()
