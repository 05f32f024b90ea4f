#!/usr/bin/python3
"""Proves that keys are written for Wireshark with `run --keylog` alone, and that this is never silent."""

import os
import re
import stat
import struct
import subprocess

import harness
import real
from harness import both_versions, records_done


def start(case, instance, proxies=(), args=("--keylog",), keylog=None, **keys):
    sections = {"midrelay": {"log_level": "info"}, "relay r": case.keys(instance, proxies, **keys)}
    return case.start(sections, args=args, env={"SSLKEYLOGFILE": keylog or case.path("keys")})


def lines(path):
    with open(path) as file:
        return [line for line in file.read().split("\n") if line and not line.startswith("#")]


def secrets(path):
    """What both ends must agree on; each may log more of its own."""
    return sorted(line for line in lines(path)
                  if re.match(r"(CLIENT|SERVER)_(HANDSHAKE_TRAFFIC_SECRET|TRAFFIC_SECRET_0) |CLIENT_RANDOM ", line))


@harness.counts_dials
@both_versions
def test_same_keys_as_the_server(case, version):
    instance = case.instance(tls_max=version)
    path = case.path("keys-" + version)
    m = start(case, instance, keylog=path)
    for n in range(2):
        assert m.get("/").status == 200
        m.session(n + 1)
    records_done(instance, 2)
    assert len(secrets(path)) >= (8 if version == "1.3" else 1)
    assert secrets(path) == secrets(instance.keylog), (secrets(path), secrets(instance.keylog))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


@harness.counts_dials
def test_workers(case):
    """Lines of several threads do not mix."""
    instance = case.instance()
    m = case.start({"midrelay": {"workers": "4"}, "relay r": case.keys(instance)}, args=["--keylog"],
                   env={"SSLKEYLOGFILE": case.path("keys")})
    clients = [harness.in_thread(m.get, "/%d" % n) for n in range(40)]
    assert {client().status for client in clients} == {200}
    m.session(40)
    records_done(instance, 40)
    assert secrets(case.path("keys")) == secrets(instance.keylog)


@harness.counts_dials
def test_https_proxy(case):
    """Both layers."""
    instance = case.instance()
    proxy = case.proxy(instance, tls={})
    m = start(case, "instance.lab.test", [proxy], proxy_trust=case.pki["root.pem"])
    assert m.get("/").status == 200
    m.session()
    records_done(instance)
    assert len({line.split()[1] for line in lines(case.path("keys"))}) == 2


def test_nothing_without_the_option(case):
    """The variable alone does nothing, and that is said."""
    instance = case.instance()
    m = start(case, instance, args=())
    assert m.get("/").status == 200
    m.session()
    m.reload()
    assert m.get("/").status == 200
    m.session(2)
    assert not os.path.exists(case.path("keys"))
    told = m.events("keylog")
    assert len(told) == 1 and told[0]["level"] == "info" and told[0]["file"] == case.path("keys"), told
    assert "ignored" in told[0]["msg"] and "--keylog" in told[0]["msg"], told
    quiet = case.start({"relay r": case.keys(instance)}, env={"SSLKEYLOGFILE": None})
    assert quiet.events("keylog") == []


def test_warning_at_start_and_reload(case):
    instance = case.instance()
    m = start(case, instance)
    for count in (1, 2, 3):
        told = m.wait_event("keylog", count)
        assert told["level"] == "warn" and told["file"] == case.path("keys"), told
        assert "whoever has this file can read all traffic" in told["msg"], told
        m.reload()
    # What a reload builds writes its keys, too.
    before = len(lines(case.path("keys")))
    assert m.get("/").status == 200
    m.session()
    assert len(lines(case.path("keys"))) > before


def test_appends(case):
    path = case.write("keys", "# what was there\n")
    m = start(case, case.instance(), keylog=path)
    assert m.get("/").status == 200
    m.session()
    with open(path) as file:
        assert file.readline() == "# what was there\n" and len(file.readlines()) >= 4


def test_usage(case):
    config = case.write("midrelay.ini", "[relay r]\n")
    for named in (None, ""):
        env = {k: v for k, v in os.environ.items() if k != "SSLKEYLOGFILE"}
        if named is not None:
            env["SSLKEYLOGFILE"] = named
        done = case.run("run", "--keylog", "-c", config, env=env)
        assert done.returncode == 64 and "SSLKEYLOGFILE" in done.stderr, done


def test_refused_files(case):
    config = case.write("midrelay.ini", "[relay r]\n")
    os.symlink(case.write("plain", ""), case.path("link"))
    os.mkfifo(case.path("fifo"), 0o600)
    os.mkdir(case.path("directory"), 0o700)
    for path, why in ((case.path("link"), "symbolic link"), (case.path("fifo"), ""), (case.path("directory"), ""),
                      ("/dev/null", "not a regular file"), (case.write("readable", "", 0o604), "mode 0604"),
                      (case.write("writable", "", 0o602), "mode 0602"), (case.path("none/keys"), "No such file")):
        done = case.run("run", "--keylog", "-c", config, env=dict(os.environ, SSLKEYLOGFILE=path))
        assert done.returncode == 1 and path in done.stderr and why in done.stderr, (path, done)


# Wireshark

def pcap(path, up, down):
    """Both directions of a tunnel as one TCP connection: the ClientHello, what the server sent, the rest."""
    first = 5 + int.from_bytes(up[3:5], "big")
    sent = {True: 1, False: 1}

    def packet(is_up, flags, data=b""):
        ports = (40000, 443) if is_up else (443, 40000)
        tcp = struct.pack("!HHIIBBHHH", *ports, sent[is_up] - (flags & 2) // 2, sent[not is_up], 0x50, flags, 65535, 0, 0)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp) + len(data), 0, 0, 64, 6, 0, *(
            (b"\x7f\0\0\1", b"\x7f\0\0\2") if is_up else (b"\x7f\0\0\2", b"\x7f\0\0\1")))
        sent[is_up] += len(data)
        frame = ip + tcp + data
        return struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame

    def data(is_up, text):
        return b"".join(packet(is_up, 0x18, text[at:at + 1400]) for at in range(0, len(text), 1400))

    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
        out.write(packet(True, 2) + packet(False, 0x12) + packet(True, 0x10))
        out.write(data(True, up[:first]) + data(False, down) + data(True, up[first:]))
    return path


@harness.counts_dials
@both_versions
def test_tshark_reads_the_traffic(case, version):
    tshark = real.program("tshark")
    instance = case.instance(tls_max=version)
    proxy = case.proxy(instance)
    path = case.path("keys-" + version)
    m = start(case, "instance.lab.test", [proxy], keylog=path)
    assert m.get("/what-nobody-else-reads").status == 200
    m.session()
    record = records_done(proxy)[0]
    with open(record["up_file"], "rb") as up, open(record["down_file"], "rb") as down:
        capture = pcap(case.path("capture-" + version), up.read(), down.read())

    def requests(keys):
        done = subprocess.run([tshark, "-r", capture, "-o", "tls.keylog_file:" + keys, "-d", "tcp.port==443,tls", "-Y",
                               "http.request", "-T", "fields", "-e", "http.request.uri"], capture_output=True, text=True,
                              timeout=60 * harness.SLOW)
        assert done.returncode == 0, done
        return done.stdout.split()

    assert requests(path) == ["/what-nobody-else-reads"]
    assert requests("/dev/null") == []


if __name__ == "__main__":
    harness.main()
