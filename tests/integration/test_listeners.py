#!/usr/bin/python3
"""Proves UNIX sockets with their mode, both address families, several listeners and relays, source_address."""

import os
import stat

import harness
from harness import records_done


def test_unix_socket_and_mode(case):
    for mode in (None, "0660"):
        path = case.path("relay-%s.sock" % mode)
        m = case.relay(case.instance(), listen="unix:" + path, listen_mode=mode)
        assert m.address() == "unix:" + path
        assert stat.S_IMODE(os.stat(path).st_mode) == (0o660 if mode else 0o600)
        assert m.get("/unix").json()["path"] == "/unix"
        m.assert_ends_clean()
        assert not os.path.exists(path), "the socket file was left behind"


def test_stale_unix_socket_is_replaced(case):
    path = case.path("stale.sock")
    with harness.socket.socket(harness.socket.AF_UNIX) as old:
        old.bind(path)
    m = case.relay(case.instance(), listen="unix:" + path)
    assert m.get("/").status == 200


def test_a_unix_socket_that_was_removed_is_made_again_by_a_reload(case):
    path = case.path("removed.sock")
    m = case.relay(case.instance(mode="echo"), listen="unix:" + path, listen_mode="0660")
    with m.connect() as before:
        os.unlink(path)
        m.reload()
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
        with m.connect() as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
        before.sendall(b"y")
        assert before.recv(1) == b"y"
    m.session(2)
    # One that somebody else has put there is left alone, and told.
    os.unlink(path)
    with harness.socket.socket(harness.socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        os.chmod(path, 0o640)
        m.reload()
        told = m.events("config-note")[-1]
        assert "another program is listening" in told["msg"] and "nobody can connect" in told["msg"], told
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
        m.assert_ends_clean()
        assert os.path.exists(path), "somebody else's socket was removed"


def test_living_unix_socket_is_not_taken(case):
    path = case.path("living.sock")
    instance = case.instance()
    first = case.relay(instance, listen="unix:" + path)
    first.opened = None  # finding out whether somebody listens takes a connection
    config = case.path("second.ini")
    harness.write_config(config, {"relay r": case.keys(instance, listen="unix:" + path)})
    done = case.run("run", "-c", config)
    assert done.returncode != 0 and path in done.stderr, done
    assert first.get("/").status == 200, "the first one lost its socket"


def test_ordinary_file_is_not_removed(case):
    path = case.write("precious", "do not delete")
    config = case.path("second.ini")
    harness.write_config(config, {"relay r": case.keys("instance.lab.test", listen="unix:" + path)})
    done = case.run("run", "-c", config)
    assert done.returncode != 0 and open(path).read() == "do not delete", done


def test_both_families_and_several_relays(case):
    instance = case.instance()
    renewed = case.pki["client-renewed-bundle.pem"]
    m = case.start({"relay one": case.keys(instance, listen=["127.0.0.1:0", "[::1]:0", "127.0.0.1:0"]),
                    "relay two": case.keys(instance, client_bundle=renewed)})
    for index in range(3):
        answer = m.get("/", relay="one", index=index).json()
        assert answer["client_cert"]["subject"].endswith("=mid-one")
    assert m.get("/", relay="two").json()["client_cert"]["subject"].endswith("-renewed")
    addresses = {m.address("one", index) for index in range(3)} | {m.address("two")}
    assert len(addresses) == 4, addresses
    m.session(4)
    assert {e["relay"] for e in m.events("session")} == {"one", "two"}


@harness.counts_dials
def test_source_address(case):
    instance = case.instance()
    proxy = case.proxy(instance)
    m = case.start({"relay direct": case.keys(instance, source_address="127.0.0.7"),
                    "relay proxy": case.keys("instance.lab.test", [proxy], source_address="127.0.0.8")})
    assert m.get("/", relay="direct").status == 200 and m.get("/", relay="proxy").status == 200
    assert records_done(instance, 2)[0]["peer"].startswith("127.0.0.7:")
    assert proxy.connections[0]["peer"].startswith("127.0.0.8:")


def test_port_in_use_is_said(case):
    with harness.socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        config = case.path("used.ini")
        port = other.getsockname()[1]
        harness.write_config(config, {"relay r": case.keys("instance.lab.test", listen="127.0.0.1:%d" % port)})
        done = case.run("run", "-c", config)
        assert done.returncode != 0 and "127.0.0.1:%d" % port in done.stderr, done


def test_outside_loopback_is_refused(case):
    config = case.path("open.ini")
    harness.write_config(config, {"relay r": case.keys("instance.lab.test", listen="0.0.0.0:0")})
    done = case.run("run", "-c", config)
    assert done.returncode == 78 and "allow_nonlocal" in done.stderr, done


def test_a_loop_is_seen(case):
    """A path that leads back to our own listener."""
    m = case.relay(case.instance())
    port = m.port()
    m.sections["relay r"]["proxy"] = ["http://127.0.0.1:%d" % port]
    m.sections["relay r"]["listen"] = "127.0.0.1:%d" % port
    m.write()
    m.assert_ends_clean()
    again = case.start(m.sections)
    again.opened = None
    assert "connect-loop" in again.get("/").reason


if __name__ == "__main__":
    harness.main()
