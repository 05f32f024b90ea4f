#!/usr/bin/python3
"""Proves sealed secrets: made from stdin or in place, opened at start and reload, kept when a new key cannot open them."""

import contextlib
import fcntl
import os
import pty
import signal
import stat
import subprocess
import termios

import harness
from harness import PASSWORD, USER


def seal(case, *args, secret=None):
    return subprocess.run(harness.WRAPPER + [harness.BINARY, "seal", *args], input=secret, capture_output=True, text=True,
                          timeout=harness.LIMIT)


def sealed_for(case, *names, secret=PASSWORD):
    done = seal(case, "--cert", *[case.pki[name] for name in names], secret=secret + "\n")
    assert done.returncode == 0 and done.stdout.startswith("sealed:") and done.stdout.count("\n") == 1, done
    assert secret not in done.stdout + done.stderr
    return done.stdout.strip()


def test_a_sealed_proxy_password(case):
    for bundle in ("client-bundle.pem", "client-rsa-bundle.pem"):
        proxy = case.proxy(case.instance(), auth=(USER, PASSWORD))
        m = case.relay("instance.lab.test", [proxy], proxy_user=USER, client_bundle=case.pki[bundle],
                       proxy_password=sealed_for(case, bundle))
        assert m.get("/").status == 200
        m.reload()
        assert m.get("/again").status == 200


def test_sealed_to_the_next_certificate_too(case):
    """Sealed to the old and the new certificate: a renewal in between changes nothing."""
    proxy = case.proxy(case.instance(), auth=(USER, PASSWORD))
    m = case.relay("instance.lab.test", [proxy], proxy_user=USER,
                   proxy_password=sealed_for(case, "client-bundle.pem", "client-renewed-bundle.pem"))
    assert m.get("/").status == 200
    m.sections["relay r"]["client_bundle"] = case.pki["client-renewed-bundle.pem"]
    m.write()
    m.reload()
    assert m.get("/").json()["client_cert"]["subject"].endswith("=mid-one-renewed")
    assert not m.events("sealed-stale")


def test_a_key_that_cannot_open_it(case):
    proxy = case.proxy(case.instance(), auth=(USER, PASSWORD))
    ref = sealed_for(case, "client-bundle.pem")
    m = case.relay("instance.lab.test", [proxy], proxy_user=USER, proxy_password=ref)
    assert m.get("/").status == 200
    m.sections["relay r"]["client_bundle"] = case.pki["client-renewed-bundle.pem"]
    m.write()
    for count in (1, 2):  # what was opened once is kept, over any number of reloads
        m.reload()
        m.wait_event("sealed-stale", count=count)
        assert m.get("/").json()["client_cert"]["subject"].endswith("=mid-one-renewed")
    # A new process has never opened it.
    done = case.run("config", "-c", m.config)
    assert done.returncode == 78 and "none of the configured client keys opens" in done.stderr, done


def test_in_place(case):
    text = ("; kept\n[relay r]\nlisten = 127.0.0.1:0\ntarget = t.example\nproxy = http://p.example:1, corp\n"
            "  proxy_user=%s\n# kept, too\nproxy_password   =  %s  \nclient_bundle = %s\n\n"
            "[proxy corp]\nurl = http://c.example:2\nuser = %s\npassword = other ; secret\n" %
            (USER, PASSWORD, case.pki["client-bundle.pem"], USER))
    config = case.write("in-place.ini", text, mode=0o640)
    done = seal(case, "--in-place", config)
    assert done.returncode == 0 and "sealed 2 secrets" in done.stderr, done
    now = open(config).read()
    assert PASSWORD not in now and "other ; secret" not in now
    assert stat.S_IMODE(os.stat(config).st_mode) == 0o640
    assert [line.split("sealed:")[0] for line in now.split("\n")] == [
        line.replace(PASSWORD + "  ", "").replace("other ; secret", "") for line in text.split("\n")]
    assert case.run("config", "-c", config).returncode == 0
    again = seal(case, "--in-place", config)
    assert again.returncode == 0 and "no literal secret" in again.stderr and open(config).read() == now, again


def test_a_passphrase_of_the_key_that_would_open_it(case):
    config = case.write("locked.ini", "[relay r]\nlisten = 127.0.0.1:0\ntarget = t.example\nclient_bundle = %s\n"
                        "client_passphrase = %s\n" % (case.pki["client-encrypted-bundle.pem"], harness.pki_maker.KEY_PASSPHRASE))
    before = open(config).read()
    for args in ([], ["--cert", case.pki["client-bundle.pem"]]):
        done = seal(case, "--in-place", config, *args)
        assert done.returncode == 1 and "locked.ini:5:" in done.stderr and "nothing was changed" in done.stderr, done
        assert open(config).read() == before
    # Another relay's key, which nothing locks, can open it.
    config = case.write("two.ini", before + "[relay other]\nlisten = 127.0.0.1:0\ntarget = u.example\nclient_bundle = %s\n" %
                        case.pki["client-renewed-bundle.pem"])
    done = seal(case, "--in-place", config)
    assert done.returncode == 0, done
    assert harness.pki_maker.KEY_PASSPHRASE not in open(config).read()
    assert case.run("config", "-c", config).returncode == 0


def test_a_terminal_shows_nothing_and_is_given_back(case):
    """Also by who breaks off with Ctrl-C."""
    for typed in (b"typed-secret\n", b"typed\x03"):
        ours, theirs = pty.openpty()
        process = subprocess.Popen([*harness.WRAPPER, harness.BINARY, "seal", "--cert", case.pki["client.pem"]], stdin=theirs,
                                   stdout=subprocess.PIPE, stderr=theirs, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY),
                                   start_new_session=True)
        seen = b""
        while b"Secret: " not in seen:
            seen += os.read(ours, 100)
        assert not termios.tcgetattr(theirs)[3] & termios.ECHO
        os.write(ours, typed)
        out = process.communicate(timeout=harness.LIMIT)[0]
        assert termios.tcgetattr(theirs)[3] & termios.ECHO, typed
        os.set_blocking(ours, False)
        with contextlib.suppress(BlockingIOError):
            seen += os.read(ours, 1000)
        assert b"typed" not in seen, seen
        if typed.endswith(b"\n"):
            assert process.returncode == 0 and out.startswith(b"sealed:"), (process.returncode, out)
        else:
            assert process.returncode == -signal.SIGINT and out == b"", (process.returncode, out)
        os.close(ours)
        os.close(theirs)


def test_what_cannot_be_sealed_says_why(case):
    done = seal(case, "--cert", case.pki["client-encrypted-bundle.pem"], secret="x")
    assert done.returncode == 1 and "with the certificate alone" in done.stderr, done
    assert "--passphrase" not in done.stderr, done   # which seal does not take
    done = seal(case, "--cert", case.pki["client.pem"], secret="x" * 60000)
    assert done.returncode == 1 and "too long" in done.stderr, done


def test_usage(case):
    assert seal(case, secret="x").returncode == 64
    done = seal(case, "hunter2", secret="")
    assert done.returncode == 64 and "never an argument" in done.stderr, done
    assert seal(case, "--cert", case.pki["client-bundle.pem"], secret="").returncode == 1
    assert seal(case, "--cert", "/nonexistent", secret="x").returncode == 1


if __name__ == "__main__":
    harness.main()
