"""
The measures: what work each gives a relay, and which rows of the table come of it.

A measure takes the rig and a kind of relay, and returns one figure or several.
"""

import statistics
import time

import http_mode
import relays
from relays import Failed, NotForThis, pause
from rig import MIB, Turn, counted_by

PACE = 200 * MIB
DELAY_MS = 100


class Size:
    """How much work one turn is.  In a full run what has noise takes its turn in every round, and what is merely
    counted (memory, system calls, round trips) in the first two."""

    def __init__(self, quick):
        self.quick = quick
        self.rounds = 1 if quick else 5
        self.counted_rounds = 1 if quick else 2
        self.paced_bytes = (60 if quick else 300) * MIB
        self.saturated_bytes = (96 if quick else 512) * MIB
        self.connections = 200 if quick else 1000
        self.full_connections = 100 if quick else 500
        self.requests = 1500 if quick else 10000
        self.first_bytes = 2 if quick else 7
        self.counted_bytes = (32 if quick else 100) * MIB
        self.counted_connections = 50 if quick else 300
        self.pace_share = 0.5 if quick else 0.9    # of the pace, without which a turn has failed
        self.silence = 1.5 if quick else 3
        self.scale = (10, 100, 1000) if quick else (10, 100, 1000, 8000)
        self.scale_connections = 100 if quick else 400
        self.scale_requests = 500 if quick else 3000


def paced(size):
    return size.paced_bytes


def saturated(size):
    return size.saturated_bytes


def some(size):
    return size.connections


def fewer(size):
    return size.full_connections


def bulk(direction, total, rate=0, workers=1):
    def measure(rig, kind):
        each = total(rig.size) // 4
        with Turn(rig, kind, workers) as turn:
            cpu, result = turn.cpu_of(4, up=each if direction == "up" else 0, down=each if direction == "down" else 1,
                                      rate=rate // 4)
        done = each * 4 / MIB
        if rate:
            pace = done * MIB / result["seconds"]
            if pace < rig.size.pace_share * rate:
                raise Failed("only %.0f MiB/s of %.0f" % (pace / MIB, rate / MIB))
            return cpu / done * 1024
        return cpu / done * 1024, done / result["seconds"]
    return measure


def new_connections(count, resumed=True, algorithm="p256", workers=1):
    def measure(rig, kind):
        connections = count(rig.size)
        with Turn(rig, kind, workers, algorithm, 2 if resumed else 0) as turn:
            cpu, _ = turn.cpu_of(connections, at_a_time=4)
            turn.handshakes(connections, resumed)
        return cpu / connections * 1e3
    return measure


def idle_memory(*counts, resumed=True):
    """A figure for each count; later ones come on top of those before, with the relay running."""
    def grow(turn, before, left, figures, opened):
        if not left:
            turn.handshakes(opened, resumed)
            return
        with turn.held(left[0] - opened):
            figures.append((turn.relay.settled_pss(turn.size.silence) - before) / left[0] / 1000)
            grow(turn, before, left[1:], figures, left[0])

    def measure(rig, kind):
        figures = []
        with Turn(rig, kind, tickets=2 if resumed else 0) as turn:
            grow(turn, turn.relay.pss(), counts, figures, 0)
        return tuple(figures)
    return measure


def requests(rig, kind):
    with Turn(rig, kind) as turn:
        cpu, _ = turn.cpu_of(1, exchanges=rig.size.requests, up=300, down=1000)
    return cpu / rig.size.requests * 1e6


def bulk_calls(direction):
    def measure(rig, kind):
        each = rig.size.counted_bytes // 4
        up, down = (each, 1) if direction == "up" else (0, each)
        with Turn(rig, kind) as turn:
            calls = counted_by(turn.relay, lambda: turn.load(4, up=up, down=down, rate=PACE // 4))
        return calls / (each * 4 / MIB)
    return measure


def connection_calls(rig, kind):
    count = rig.size.counted_connections
    with Turn(rig, kind) as turn:
        calls = counted_by(turn.relay, lambda: turn.load(count, at_a_time=1))
        turn.handshakes(count, True)
    return calls / count


def first_byte(*options, ready=False):
    """The options that this is about; where midrelay does not know them, there is no such row."""
    def measure(rig, kind):
        named = dict(options)
        if named and not issubclass(kind, relays.Midrelay):
            raise NotForThis("has nothing of the kind")
        for key, value in named.items():
            if not kind.knows(key, value):
                raise NotForThis("this midrelay does not know %s = %s" % (key, value))
        if issubclass(kind, relays.Midrelay):
            off = {key: "off" for key in ("ready_tunnels", "proxy_pipeline") if kind.knows(key, "off")}
            named = {**off, **named}
        with Turn(rig, kind, delay_ms=DELAY_MS, options=named.items()) as turn:
            return statistics.median(one_first_byte(turn, ready) for _ in range(rig.size.first_bytes))
    return measure


def one_first_byte(turn, ready):
    if ready:
        await_quiet(turn)
    return turn.load(1, up=300, down=1000)["first_ms"]


def await_quiet(turn):
    """A tunnel ahead of need takes three round trips after the last one was taken: no handshake in seven of them means
    that it is there, or that none is coming, which the figure will show."""
    began = last = time.monotonic()
    while time.monotonic() - last < 7 * DELAY_MS / 1e3:
        if time.monotonic() - began > 15:
            raise Failed("tunnels are made without end")
        pause(0.02)
        if turn.at_server()["handshakes"]:
            last = time.monotonic()


# name | what it measures | the rows of the table that come of it | whether it is merely counted
MEASURES = [
    ("paced-up", bulk("up", paced, PACE), ["CPU s per GiB, up, paced"], False),
    ("paced-down", bulk("down", paced, PACE), ["CPU s per GiB, down, paced"], False),
    ("saturated-up", bulk("up", saturated), ["CPU s per GiB, up, saturated", "MiB/s, up, saturated"], False),
    ("saturated-down", bulk("down", saturated), ["CPU s per GiB, down, saturated", "MiB/s, down, saturated"], False),
    ("new-resumed", new_connections(some), ["CPU ms per connection, resumed"], False),
    ("new-p256", new_connections(fewer, False), ["CPU ms per connection, P-256"], False),
    ("new-rsa", new_connections(fewer, False, "rsa"), ["CPU ms per connection, RSA-2048"], False),
    ("idle", idle_memory(1000, 4000), ["kB per idle connection, of 1,000", "kB per idle connection, of 4,000"], True),
    ("idle-full", idle_memory(1000, resumed=False), ["kB per idle connection, full handshakes"], True),
    ("requests", requests, ["CPU µs per request, kept connection"], False),
    ("calls-up", bulk_calls("up"), ["system calls per MiB, up"], True),
    ("calls-down", bulk_calls("down"), ["system calls per MiB, down"], True),
    ("calls-new", connection_calls, ["system calls per connection"], True),
    ("first-byte", first_byte(), ["ms to first byte, no ready tunnel"], True),
    ("first-byte-pipeline", first_byte(("proxy_pipeline", "on")),
     ["ms to first byte, ClientHello behind CONNECT"], True),
    ("first-byte-ready", first_byte(("ready_tunnels", "1"), ready=True), ["ms to first byte, ready tunnel"], True),
    ("two-up", bulk("up", saturated, workers=2), ["CPU s per GiB, up, 2 workers", "MiB/s, up, 2 workers"], False),
    ("two-down", bulk("down", saturated, workers=2),
     ["CPU s per GiB, down, 2 workers", "MiB/s, down, 2 workers"], False),
    ("http-up", http_mode.bulk("up", False), ["CPU, mode = http to tcp, up"], False),
    ("http-up-chunked", http_mode.bulk("up", True), ["CPU, mode = http to tcp, up in chunks"], False),
    ("http-down", http_mode.bulk("down", False), ["CPU, mode = http to tcp, down"], False),
    ("http-down-chunked", http_mode.bulk("down", True), ["CPU, mode = http to tcp, down in chunks"], False),
    ("http-requests", http_mode.requests,
     ["CPU µs per HTTP request, mode = tcp", "CPU µs more per HTTP request, mode = http"], False),
    ("two-new", new_connections(some, workers=2), ["CPU ms per connection, 2 workers"], False),
]

# row | what midrelay must not exceed, as a ratio to another relay of the same run (or None: the figure itself)
TARGETS = [
    ("CPU s per GiB, up, paced", "stunnel", 0.81),
    ("CPU s per GiB, down, paced", "stunnel", 0.87),
    ("CPU ms per connection, resumed", "stunnel", 0.53),
    ("CPU ms per connection, P-256", None, 0.80),
    ("CPU ms per connection, RSA-2048", None, 0.92),
    ("kB per idle connection, of 1,000", None, 19),
    ("kB per idle connection, of 4,000", None, 19),
    ("kB per idle connection, full handshakes", None, 28),
    ("system calls per MiB, up", None, 75),
    ("system calls per MiB, down", None, 60),
    ("system calls per connection", None, 40),
    ("CPU µs per request, kept connection", None, 33),
    ("CPU µs per request, kept connection", "stunnel", 0.80),
    ("CPU, mode = http to tcp, up", None, 1.15),
    ("CPU, mode = http to tcp, up in chunks", None, 1.15),
    ("CPU, mode = http to tcp, down", None, 1.15),
    ("CPU, mode = http to tcp, down in chunks", None, 1.15),
    ("CPU µs more per HTTP request, mode = http", None, 10),
    ("ms to first byte, ready tunnel", None, 105),
    ("ms to first byte, ClientHello behind CONNECT", None, 204),
]
