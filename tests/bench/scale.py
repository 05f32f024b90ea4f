"""
What a connection costs when there are 10, 100, 1,000 and 8,000: to keep, to add one, and to be the busy one among them.
"""

import json
import statistics

from picture import Chart, draw
from relays import Failed, NotForThis, pause
from results import short
from rig import Turn

# key | title of the chart | unit
CURVES = [
    ("memory", "memory of an open, idle connection", "kB (PSS)"),
    ("new", "CPU of one more connection, resumed", "ms"),
    ("request", "CPU of a request on the busy one", "µs"),
    ("idle", "CPU of all the idle ones together", "ms a second"),
]
IDLE_SECONDS = 2


def measure_point(rig, kind, count):
    """The figures of a relay that has so many idle connections."""
    size = rig.size
    with Turn(rig, kind) as turn:
        before = turn.relay.settled_pss(size.silence)     # few connections are little beside what the warm-up left
        with turn.held(count):
            figures = {"memory": (turn.relay.settled_pss(size.silence) - before) / count / 1000}
            rest = turn.relay.cpu()
            pause(IDLE_SECONDS)
            figures["idle"] = (turn.relay.cpu() - rest) / IDLE_SECONDS * 1e3
            cpu, _ = turn.cpu_of(size.scale_connections, at_a_time=4)
            figures["new"] = cpu / size.scale_connections * 1e3
            figures["request"] = statistics.median(
                turn.cpu_of(1, exchanges=size.scale_requests, up=300, down=1000)[0] / size.scale_requests * 1e6
                for _ in range(3))
    return figures


def measure_burst(rig, kind, count):
    """All at once, as after an outage; failures are figures here."""
    with Turn(rig, kind) as turn:
        cpu = turn.relay.cpu()
        said = json.loads(turn.run_load(count, at_a_time=count, up=300, down=1000, end="burst", seconds=90) or "{}")
        if "finished" not in said:
            raise Failed("the load generator died")
        cpu = turn.relay.settled_cpu() - cpu
    return {"asked": count, "served": said["finished"], "seconds": said["seconds"], "cpu_ms": cpu / count * 1e3,
            "first_ms_p99": said["first_ms_p99"], "failed": {k: v for k, v in said["failed"].items() if v}}


def measure_scale(rig, kinds, say):
    """{"points": {relay: {count: figures}}, "bursts": {relay: figures}, "failures": sentences}"""
    found = {"points": {}, "bursts": {}, "failures": []}
    steps = [(count, measure_point) for count in rig.size.scale] + [(rig.size.scale[-1], measure_burst)]
    for count, measure in steps:
        for kind in kinds:
            say("scale: %d, %s" % (count, kind.name))
            try:
                figures = measure(rig, kind, count)
            except NotForThis:
                continue
            except Failed as why:
                found["failures"].append("%s, %d connections: %s" % (kind.name, count, why))
                continue
            if measure is measure_burst:
                found["bursts"][kind.name] = figures
            else:
                found["points"].setdefault(kind.name, {})[count] = figures
    return found


def tables(found, kinds):
    names = [kind.name for kind in kinds]
    counts = sorted({count for points in found["points"].values() for count in points})
    for key, title, unit in CURVES:
        yield [["%s, %s" % (title, unit)] + names] + [
            ["{:,} open".format(count)] + [
                short(found["points"][name][count][key]) if count in found["points"].get(name, {}) else "–"
                for name in names] for count in counts]
    if found["bursts"]:
        yield [["all at once"] + names] + [
            [what] + [(tell(found["bursts"][name]) if name in found["bursts"] else "–") for name in names]
            for what, tell in (("served", lambda burst: "%(served)d of %(asked)d" % burst),
                               ("seconds until the last", lambda burst: "%.1f" % burst["seconds"]),
                               ("CPU ms each", lambda burst: short(burst["cpu_ms"])))]


def csv(found):
    lines = ["relay,open_connections," + ",".join("%s_%s" % (key, unit.split()[0].replace("µ", "u"))
                                                  for key, _, unit in CURVES)]
    for name, points in found["points"].items():
        for count, figures in sorted(points.items()):
            lines.append("%s,%d,%s" % (name, count, ",".join("%.4g" % figures[key] for key, _, _ in CURVES)))
    return "\n".join(lines) + "\n"


def svg(found, caption):
    charts = [Chart(title, unit, {name: [(count, max(points[count][key], 0)) for count in sorted(points)]
                                  for name, points in found["points"].items()})
              for key, title, unit in CURVES]
    return draw(charts, "What a connection costs, by the number of open connections",
                "open connections (logarithmic)", caption)
