#!/usr/bin/python3
"""Proves allow_user: by the kernel's socket table on loopback, by SO_PEERCRED on UNIX sockets; strangers get nothing."""

import os
import pwd
import subprocess
import sys

import harness
from harness import Skip, ask, read_all, request_bytes

# Connects as another account, sends a request, prints what comes back.
CLIENT = """
import socket, sys
where, request = sys.argv[1], sys.argv[2].encode().decode("unicode_escape").encode("latin-1")
if where.startswith("/"):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(where)
else:
    sock = socket.create_connection((where.rsplit(":", 1)[0].strip("[]"), int(where.rsplit(":", 1)[1])))
sock.settimeout(20)
try:
    sock.sendall(request)
    while data := sock.recv(65536):
        sys.stdout.write(data.decode("latin-1"))
except ConnectionResetError:
    print("reset")
"""


def stranger():
    if os.geteuid() != 0:
        raise Skip("needs root")
    return pwd.getpwnam("nobody")


def ask_as(account, where):
    text = request_bytes().decode().encode("unicode_escape").decode()
    done = subprocess.run([sys.executable, "-c", CLIENT, where, text], user=account.pw_uid, group=account.pw_gid,
                          extra_groups=[], capture_output=True, text=True, timeout=harness.LIMIT, cwd="/")
    assert done.returncode == 0, done
    return done.stdout


def me():
    return pwd.getpwuid(os.geteuid()).pw_name


def served_and_denied(case, listen, **keys):
    other = stranger()
    instance = case.instance(mode="http")
    m = case.relay(instance, listen=listen, allow_user=me(), **keys)
    m.opened = None
    where = m.address().removeprefix("unix:")
    if where.startswith("/"):
        for directory in (case.dir, os.path.dirname(where)):
            os.chmod(directory, 0o711)
    with m.connect() as sock:
        assert ask(sock).status == 200
    m.session(end="ok")
    before = len(instance.connections)
    answer = ask_as(other, where)
    assert answer.startswith("HTTP/1.1 502 midrelay: local-denied: uid %d (nobody)" % other.pw_uid), answer
    line = m.session(end="local-denied")
    assert int(line["uid"]) == other.pw_uid and "(nobody) is not in allow_user" in line["msg"], line
    assert len(instance.connections) == before, "a stranger made us dial"
    return m


def test_loopback(case):
    served_and_denied(case, "127.0.0.1:0")


def test_loopback_ipv6(case):
    served_and_denied(case, "[::1]:0")


def test_unix_socket(case):
    m = served_and_denied(case, "unix:" + case.path("s"), listen_mode="0666")
    assert int(m.session(end="ok")["uid"]) == os.geteuid()


def test_several_workers(case):
    """The one who accepts is not the one who refuses."""
    other = stranger()
    m = case.relay(case.instance(mode="http"), process={"workers": "3"}, allow_user=[me(), "60001"])
    m.opened = None
    for _ in range(6):
        assert "local-denied" in ask_as(other, m.address())
    with m.connect() as sock:
        assert ask(sock).status == 200


def test_another_account_by_number(case):
    other = stranger()
    instance = case.instance(mode="http")
    m = case.relay(instance, allow_user=str(other.pw_uid))
    m.opened = None
    assert ask_as(other, m.address()).startswith("HTTP/1.1 200")
    with m.connect() as sock:
        response = ask(sock)
    assert response.status == 502 and response.reason.startswith("midrelay: local-denied: uid %d" % os.geteuid())


@harness.counts_dials
def test_one_that_sent_and_left(case):
    """The kernel shows its closed socket as root's: it must not pass for root, whatever it sent."""
    instance = case.instance(mode="http")
    m = case.relay(instance, allow_user="0")
    m.opened = None
    # Stopped, midrelay accepts only when the client has gone.
    m.signal(harness.signal.SIGSTOP)
    harness.wait_until(lambda: open("/proc/%d/stat" % m.pid).read().rsplit(") ", 1)[1][0] == "T", "it stops")
    with m.connect() as sock:
        sock.sendall(request_bytes())
    m.signal(harness.signal.SIGCONT)
    line = m.session(end="local-denied")
    assert "cannot be told" in line["msg"] and "closed" in line["msg"] and "uid" not in line, line
    assert not instance.connections


def test_not_set(case):
    """Everybody may come, and nobody is looked up."""
    other = stranger()
    m = case.relay(case.instance(mode="http"))
    m.opened = None
    assert ask_as(other, m.address()).startswith("HTTP/1.1 200")
    assert "uid" not in m.session(end="ok")


def test_reload(case):
    """Another list holds for the next client."""
    m = case.relay(case.instance(mode="http"), allow_user="60001")
    with m.connect() as sock:
        assert ask(sock).status == 502
    m.sections["relay r"]["allow_user"] = me()
    m.write()
    m.reload()
    with m.connect() as sock:
        assert ask(sock).status == 200


def test_unknown_account(case):
    keys = case.keys(case.instance(), allow_user="root, no-such-user")
    m = case.path("midrelay.ini")
    harness.write_config(m, {"relay r": keys})
    done = case.run("config", "-c", m)
    assert done.returncode == 78 and 'allow_user: there is no user "no-such-user"' in done.stderr, done.stderr


def test_config_notes_an_open_listener(case):
    keys = case.keys(case.instance(), listen=["127.0.0.1:8080", "unix:" + case.path("s")])
    m = case.path("midrelay.ini")
    harness.write_config(m, {"relay r": keys})
    done = case.run("config", "-c", m)
    assert done.returncode == 0 and done.stderr.count("allow_user says which") == 1, done.stderr
    assert "127.0.0.1:8080" in done.stderr
    harness.write_config(m, {"relay r": dict(keys, allow_user="root")})
    done = case.run("config", "-c", m)
    assert done.returncode == 0 and "allow_user says" not in done.stderr, done.stderr
    assert "allow_user = root" in done.stdout


def test_many_denied(case):
    """Neither descriptors nor memory, however many strangers come."""
    many = 10000 if os.environ.get("MIDRELAY_LONG") else 1000
    m = case.relay(case.instance(mode="http"), process={"log_level": "info"}, allow_user="60001")
    early = 0
    for i in range(many):
        with m.connect() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert read_all(sock)[0].startswith(b"HTTP/1.1 502 midrelay: local-denied")
        if i == many // 5:
            early = m.rss_kb()
    if not harness.INSTRUMENTED:
        assert m.rss_kb() - early < 1000, (early, m.rss_kb())


if __name__ == "__main__":
    harness.main()
