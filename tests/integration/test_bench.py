#!/usr/bin/python3
"""Proves that the programs of tests/bench do the work they are asked for, see what goes wrong, and leave nothing."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import xml.dom.minidom

import harness
from harness import wait_until

BENCH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench")
sys.path.insert(0, BENCH)

import http_mode
import measures
import picture
import relays
import results
import rig as bench_rig
import scale

MIB = 1 << 20


class Tiny(measures.Size):
    def __init__(self):
        super().__init__(quick=True)
        self.paced_bytes = self.saturated_bytes = 4 * MIB
        self.connections = self.full_connections = 20
        self.requests = 50
        self.first_bytes = 1
        self.pace_share = 0.01
        self.silence = 0.2
        self.scale = (10, 40)
        self.scale_connections = self.scale_requests = 10


class Wasteful(relays.Bare):
    """The bound with somebody in its process tree who burns CPU."""
    name = "wasteful"

    def command(self, config):
        burn = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
        return ["sh", "-c", "while :; do %s; done & \"$@\"" % burn, "burner", *super().command(config)]


class Deaf(relays.Bare):
    """Accepts, and says nothing."""
    name = "deaf"

    def command(self, config):
        return [sys.executable, "-c", "import socket, threading\ns = socket.create_server(('127.0.0.1', %d))\n"
                "while True:\n    s.accept()[0].close()" % self.port]


class SmallRig:
    """The rig with programs that are built once for all tests."""
    place = None

    def __enter__(self):
        if not relays.program("cc"):
            raise harness.Skip("no compiler")
        if not SmallRig.place:
            SmallRig.place = tempfile.TemporaryDirectory(prefix="midrelay-bench-test-")
            bench_rig.build(SmallRig.place.name)
            relays.Midrelay.binary = harness.BINARY
        self.rig = bench_rig.Rig(SmallRig.place.name, Tiny())
        self.rig.turns = SmallRig.turns = getattr(SmallRig, "turns", 0) + 100
        self.rig.pkis = SmallRig.pkis = getattr(SmallRig, "pkis", {})
        return self.rig

    def __exit__(self, *_error):
        self.rig.close()


def test_figures_come_out(case):
    with SmallRig() as rig:
        for name, measure, rows, counted in measures.MEASURES:
            if counted or name.startswith(("two", "saturated-down")):
                continue
            for kind in (relays.Midrelay, relays.Bare):
                try:
                    outcome = measure(rig, kind)
                except relays.NotForThis:
                    assert kind is relays.Bare and name.startswith("http-"), (name, kind.name)
                    continue
                figures = outcome if isinstance(outcome, tuple) else (outcome,)
                # With so little work a difference of two may be anything.
                assert len(figures) == len(rows) and all(
                    figure > 0 for figure, row in zip(figures, rows) if " more " not in row), (name, kind.name, figures)
        figure, = measures.idle_memory(60)(rig, relays.Midrelay)
        assert figure > 1, figure


def test_modes_are_told_apart(case):
    """Every request of the measure in mode = http was read as one, and none of the other's."""
    with SmallRig() as rig:
        both = http_mode.Both(rig)
        try:
            both.costs(lambda client: (client.small(3), client.down(MIB, True), client.up(MIB, False)), 1)
            for client in both.clients.values():
                client.close()
            wait_until(lambda: both.relay.read().count(" session ") == 2, "both sessions")
            said = both.relay.read()
        finally:
            both.close()
    requests = re.findall(r"relay=(\w+).*? requests=(\d+).*? end=ok", said)
    assert requests == [("http", "10")], said


def test_who_burns_cpu_looks_worse(case):
    measure = measures.new_connections(measures.some)
    with SmallRig() as rig:
        honest = measure(rig, relays.Bare)
        # On a busy machine who burns may not have its turn within one.
        wasteful = next((cost for cost in (measure(rig, Wasteful) for _ in range(5)) if cost > 2 * honest), None)
    assert wasteful, honest


def test_who_does_not_work_has_failed(case):
    with SmallRig() as rig:
        for measure in (measures.requests, measures.new_connections(measures.some)):
            try:
                figure = measure(rig, Deaf)
            except relays.Failed as why:
                assert "receiving" in str(why), why
            else:
                raise AssertionError("a relay that does nothing costs %r" % figure)


def test_resumption_is_proved(case):
    """A server that gives no tickets: what is measured then is not what the row says."""
    with SmallRig() as rig, bench_rig.Turn(rig, relays.Bare, tickets=0) as turn:
        turn.load(5, at_a_time=1)
        try:
            turn.handshakes(5, resumed=True)
        except relays.Failed as why:
            assert "0 %" in str(why), why
        else:
            raise AssertionError("nobody noticed")


def test_first_byte_counts_round_trips(case):
    with SmallRig() as rig:
        figure = measures.first_byte()(rig, relays.Midrelay)
    assert figure > 2.9 * measures.DELAY_MS, figure


def test_burst_counts_whom_it_lost(case):
    """Half of the connections are answered, the others are closed: all are told."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    said = b"\0"        # the first byte of the pattern

    def serve():
        for number in range(40):
            sock, _ = listener.accept()
            sock.recv(4096)
            if number % 2:
                sock.sendall(said)
            sock.close()
    thread = threading.Thread(target=serve)
    thread.start()
    with SmallRig():
        load = os.path.join(SmallRig.place.name, "load")
        done = subprocess.run([load, str(listener.getsockname()[1])] + "40 40 1 0 1 0 burst 20 3".split(),
                              stdout=subprocess.PIPE, check=False)
    thread.join()
    listener.close()
    got = json.loads(done.stdout)
    assert done.returncode == 1 and got["finished"] == 20 and got["errors"] == 20, got
    assert got["failed"]["receiving"] == 20 and got["first_ms_max"] >= got["first_ms"] > 0, got


def test_scale_draws_what_it_measured(case):
    scale.IDLE_SECONDS = 0.1
    with SmallRig() as rig:
        found = scale.measure_scale(rig, [relays.Bare], lambda what: None)
    assert not found["failures"] and set(found["points"]["bare"]) == {10, 40}, found
    assert found["bursts"]["bare"]["served"] == 40, found
    drawn = xml.dom.minidom.parseString(scale.svg(found, ["x < y"]))
    assert len(drawn.getElementsByTagName("polyline")) == len(scale.CURVES)
    assert len(scale.csv(found).splitlines()) == 3


def test_axes_hold_all_points(case):
    for highest in (0.0004, 0.3, 1, 19, 99, 128.4, 5001):
        step = picture.nice_step(highest)
        assert 2.4 < highest / step <= 5.01, (highest, step)


def made_up(midrelay, stunnel, date="2026-01-01"):
    made = results.Results([relays.Midrelay, relays.Stunnel], versions={"midrelay": "1"}, quick=False, rounds=1,
                           counted_rounds=1, options=[], busy={"others": 0.0, "interrupts": 0.0, "steal": 0.0},
                           machine={"date": date, "cpu": "some", "cpus": 2, "kernel": "6", "system": "x",
                                    "openssl": "3"})
    made.add(["CPU ms per connection, resumed"], relays.Midrelay, midrelay)
    made.add(["CPU ms per connection, resumed"], relays.Stunnel, stunnel)
    return made


def test_targets_and_merging(case):
    assert results.Results.targets(made_up(0.5, 1.0))[1] == 0
    lines, missed = made_up(0.6, 1.0).targets()
    assert missed == 1 and lines[1][-1] == "missed", lines
    paths = []
    for number, run in enumerate((made_up(0.5, 1.0), made_up(0.9, 1.0, "2026-01-02"), made_up(0.1, 0.2))):
        paths.append(os.path.join(case.dir, "%d.json" % number))
        run.write(paths[-1])
    done = subprocess.run([os.path.join(BENCH, "run"), "merge", *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"resumed +0\.50 \(0\.10–0\.90\) 0\.50× +1\.00 \(0\.20–1\.00\)", done.stdout), done.stdout
    assert "3 runs" in done.stdout and "2026-01-01, 2026-01-02" in done.stdout and "1 met, 0 missed" in done.stdout


def test_only_the_place_between_the_markers_changes(case):
    path = os.path.join(case.dir, "page.md")
    for _ in range(2):
        with open(path, "a+") as page:
            if page.tell() == 0:
                page.write("before\n%s\nold\n%s\nafter\n" % (results.BEGIN, results.END))
        results.write_between_markers(path, results.markdown(made_up(0.5, 1.0)))
    text = open(path).read()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert text.count("| CPU ms per connection, resumed | 0.50 0.50× | 1.00 |") == 1, text


def test_interrupted_it_leaves_no_process(case):
    """Killed outright, which no clean-up sees."""
    place = os.path.join(case.dir, "tmp")
    os.mkdir(place)
    run = subprocess.Popen([os.path.join(BENCH, "run"), "--only", "idle", "--peers", "midrelay"],
                           env={**os.environ, "MIDRELAY": harness.BINARY, "TMPDIR": place},
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def there():
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % entry, "rb") as words:
                    words = words.read().split(b"\0")
            except OSError:
                continue
            if any(word.startswith(place.encode()) for word in words) and int(entry) != run.pid:
                found.append((int(entry), words[:2]))
        return found
    try:
        wait_until(lambda: {os.path.basename(words[0]) for _, words in there()} >= {b"load", b"origin", b"proxy"} and
                   any(b"run" in words for _, words in there()), "the measurement", timeout=60)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    try:
        wait_until(lambda: not there(), "the end of all", timeout=30)
    finally:
        for pid, _ in there():
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    harness.main()
