#!/usr/bin/python3
"""Proves how commands end whose output nobody takes: a full disk, a reader that is gone, and one that is stuck."""

import os
import signal
import subprocess

import harness
from harness import BINARY, LIMIT, WRAPPER, wait_until

WORDS = "could not be written"


def start(stdout, *args):
    return subprocess.Popen(WRAPPER + [BINARY, *args], stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
                            text=True)


def ended(process):
    _, err = process.communicate(timeout=LIMIT)
    for word in harness.SANITIZER_WORDS:
        assert word not in err, err
    return process.returncode, err


def checks():
    return [["check", "--target", "localhost:1", "--format", form] for form in ("table", "json", "tap", "junit")]


def prints():
    return [["--version"], ["--help"], ["check", "--help"], ["explain"], ["explain", "--json"],
            ["explain", "proxy-denied"]]


def test_a_full_disk_is_told(case):
    for args in prints() + checks():
        with open("/dev/full", "w") as full:
            status, err = ended(start(full, *args))
        assert status == 1 and err.count(WORDS) == 1, (args, status, err)


def test_a_reader_that_is_gone_needs_no_words(case):
    for args in prints() + checks():
        reading, writing = os.pipe()
        os.close(reading)
        status, err = ended(start(writing, *args))
        os.close(writing)
        assert status == 1 and err == "", (args, status, err)


def test_watch_ends_with_its_reader(case):
    instance = case.instance()
    config = case.path("check.ini")
    harness.write_config(config, {"relay r": case.keys(instance)})
    reading, writing = os.pipe()
    process = start(writing, "check", "-c", config, "--watch", "1s")
    case.cleanups.append(lambda: process.poll() is None and process.kill())
    os.close(writing)
    assert os.read(reading, 1)
    os.close(reading)
    # Nothing changes, so that there is nothing more to write.
    status, err = ended(process)
    assert status == 1 and err == "", (status, err)


def test_watch_ends_where_nothing_can_be_written(case):
    with open("/dev/full", "w") as full:
        status, err = ended(start(full, "check", "--target", "localhost:1", "--watch", "1s"))
    assert status == 1 and err.count(WORDS) == 1, (status, err)


def test_a_reader_that_is_stuck_holds_nobody(case):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x")
    except BlockingIOError:
        os.set_blocking(writing, True)
    process = start(writing, "check", "--target", "localhost:1", "--json")
    case.cleanups.append(lambda: process.poll() is None and process.kill())

    def spent():
        with open("/proc/%d/stat" % process.pid) as stat:
            return stat.read().rsplit(")", 1)[1].split()[11:13]
    harness.settled(spent, 1)
    process.send_signal(signal.SIGTERM)
    status, err = ended(process)
    os.close(reading)
    os.close(writing)
    assert status == -signal.SIGTERM and err == "", (status, err)


def test_no_connection_gets_the_number_of_a_closed_stream(case):
    """What is printed or logged would go there."""
    silent = case.proxy(case.instance(), silent=True)
    # A wrapper has its own use for them.
    process = subprocess.Popen([BINARY, "check", "--target", "a.example", "--proxy", harness.url(silent)],
                               preexec_fn=lambda: os.closerange(0, 3))
    case.cleanups.append(lambda: process.poll() is None and process.kill())
    wait_until(lambda: silent.connections, "the dial")
    assert [os.readlink("/proc/%d/fd/%d" % (process.pid, fd)) for fd in range(3)] == ["/dev/null"] * 3
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT) == -signal.SIGTERM
    # A result for which there is nobody is none.
    assert subprocess.run([BINARY, "explain"], preexec_fn=lambda: os.close(1), stderr=subprocess.PIPE,
                          check=False).returncode == 1


if __name__ == "__main__":
    harness.main()
