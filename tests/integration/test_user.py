#!/usr/bin/python3
"""Proves `user`: addresses are bound as root, files are read and clients served as that user, and no way leads back."""

import os
import pwd
import shutil
import socket

import harness
from harness import Skip, ask


def account():
    if os.geteuid() != 0:
        raise Skip("needs root")
    return pwd.getpwnam("nobody")


def open_to(user, case, name):
    """A copy of a file of the PKI that only `user` may read, where `user` gets at it."""
    os.chmod(case.dir, 0o711)
    copy = case.path(os.path.basename(name))
    shutil.copyfile(case.pki[name], copy)
    os.chmod(copy, 0o400)
    os.chown(copy, user.pw_uid, user.pw_gid)
    return copy


def relay_as(case, user, instance, **keys):
    keys = dict({"client_bundle": open_to(user, case, "client-bundle.pem"), "trust": open_to(user, case, "root.pem")},
                **keys)
    return case.start({"midrelay": {"user": user.pw_name}, "relay r": case.keys(instance, **keys)})


def privileged_port():
    for port in range(1023, 600, -1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Skip("no free port below 1024")


def status(pid):
    with open("/proc/%d/status" % pid) as lines:
        return dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)


def test_serves_as_the_user(case):
    user = account()
    instance = case.instance()
    port = privileged_port()
    m = relay_as(case, user, instance, listen="127.0.0.1:%d" % port)
    with m.connect() as sock:
        assert ask(sock, path="/").status == 200
    now = status(m.process.pid)
    assert now["Uid"].split() == [str(user.pw_uid)] * 4, now["Uid"]
    assert now["Gid"].split() == [str(user.pw_gid)] * 4, now["Gid"]
    assert "0" not in now["Groups"].split(), now["Groups"]
    assert int(now["CapEff"], 16) == 0 and int(now["CapPrm"], 16) == 0, now["CapEff"]
    m.reload()
    with m.connect() as sock:
        assert ask(sock, path="/after").status == 200


def test_a_file_that_the_user_cannot_read_starts_nothing(case):
    user = account()
    instance = case.instance()
    bundle = case.write("root-only.pem", open(case.pki["client-bundle.pem"]).read(), mode=0o600)
    os.chmod(case.dir, 0o711)
    text = ("[midrelay]\nuser = %s\n[relay r]\nlisten = 127.0.0.1:0\ntarget = instance.lab.test:%d\n"
            "client_bundle = %s\n" % (user.pw_name, instance.port, bundle))
    config = case.write("midrelay.ini", text, mode=0o644)
    done = case.run("run", "-c", config)
    assert done.returncode == 78 and "root-only.pem: Permission denied" in done.stderr, done.stderr
    assert "midrelay.ini:6:" in done.stderr, done.stderr
    # Those who look before it does say the same.
    for command in ("config", "check"):
        before = case.run(command, "-c", config)
        assert before.returncode == 78 and "midrelay.ini:6:" in before.stderr, before
        assert "root-only.pem: Permission denied" in before.stderr, before.stderr


def test_a_file_beside_the_anchors_that_only_root_may_read(case):
    """It is left out with a word, at the start as at a reload."""
    user = account()
    instance = case.instance()
    anchors = case.path("anchors")
    os.mkdir(anchors)
    os.chmod(anchors, 0o755)
    shutil.copyfile(case.pki["root.pem"], os.path.join(anchors, "root.pem"))
    shutil.copyfile(case.pki["client-bundle.pem"], os.path.join(anchors, "private.pem"))
    os.chmod(os.path.join(anchors, "root.pem"), 0o644)
    os.chmod(os.path.join(anchors, "private.pem"), 0o600)
    m = relay_as(case, user, instance, trust=anchors)
    for count in (1, 2):
        notes = [event for event in m.events("config-note") if "private.pem: left out: Permission denied" in event["msg"]]
        assert len(notes) == count, m.events("config-note")
        with m.connect() as sock:
            assert ask(sock, path="/").status == 200
        m.reload()


def test_a_configuration_that_the_user_cannot_read_starts_nothing(case):
    user = account()
    instance = case.instance()
    os.chmod(case.dir, 0o711)
    config = case.write("midrelay.ini", "[midrelay]\nuser = %s\n[relay r]\nlisten = 127.0.0.1:0\ntarget = h:%d\n" % (
        user.pw_name, instance.port), mode=0o600)
    for command in ("run", "config", "check"):
        done = case.run(command, "-c", config)
        assert done.returncode == 78 and "reload would fail" in done.stderr, done.stderr


def test_unknown_user(case):
    account()
    config = case.write("midrelay.ini", "[midrelay]\nuser = no-such-user\n[relay r]\nlisten = 127.0.0.1:0\ntarget = h\n")
    for command in ("run", "config", "check"):
        done = case.run(command, "-c", config)
        assert done.returncode == 78 and "midrelay.ini:2:" in done.stderr and "no-such-user" in done.stderr, done.stderr


def stranger():
    """A number that is no user of this host."""
    known = {entry.pw_uid for entry in pwd.getpwall()}
    return next(number for number in range(40000, 60000) if number not in known)


def test_a_number_without_an_entry_needs_a_group(case):
    """It would keep root's group otherwise."""
    account()
    number = stranger()
    text = "[relay r]\nlisten = 127.0.0.1:0\ntarget = h\n"
    os.chmod(case.dir, 0o711)
    config = case.write("midrelay.ini", "[midrelay]\nuser = %d\n%s" % (number, text), mode=0o644)
    for command in ("run", "config", "check"):
        done = case.run(command, "-c", config)
        assert done.returncode == 78 and "midrelay.ini:2:" in done.stderr and "set group" in done.stderr, done.stderr
    m = case.start("[midrelay]\nuser = %d\ngroup = %d\n%s" % (number, number, text))
    now = status(m.process.pid)
    assert now["Uid"].split() == now["Gid"].split() == [str(number)] * 4, now
    assert now["Groups"].split() == [str(number)], now["Groups"]


def test_config_and_check_read_as_the_user(case):
    user = account()
    os.chmod(case.dir, 0o711)
    text = "[midrelay]\nuser = %s\n[relay r]\nlisten = 127.0.0.1:0\n" % user.pw_name
    keys = case.keys(case.instance(), client_bundle=open_to(user, case, "client-bundle.pem"),
                     trust=open_to(user, case, "root.pem"))
    text += "".join("%s = %s\n" % item for item in keys.items() if item[0] != "listen")
    config = case.write("midrelay.ini", text, mode=0o644)
    for command in ("config", "check"):
        done = case.run(command, "-c", config)
        assert done.returncode == 0, done


if __name__ == "__main__":
    harness.main()
