"""
What the figures were measured on, and how busy that was with other things.
"""

import datetime
import os
import platform
import re
import resource
import sys
import time

import relays


def description():
    """No names of hosts or people: this ends up in documents."""
    model = "unknown CPU"
    with open("/proc/cpuinfo") as cpus:
        found = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", cpus.read(), re.M)
    if found:
        model = " ".join(found[1].split())
    return {"date": datetime.date.today().isoformat(), "cpu": model, "cpus": len(os.sched_getaffinity(0)),
            "kernel": platform.release().split("-")[0], "system": system_name(),
            "openssl": relays.first_line(["openssl", "version"])}


def system_name():
    try:
        with open("/etc/os-release") as release:
            return re.search(r'^PRETTY_NAME="?([^"\n]+)', release.read(), re.M)[1]
    except (OSError, TypeError):
        return "Linux"


def raise_limits(connections):
    """Says so when the limit of files does not suffice for so many connections at once."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # A relay has two sides for each connection, and so has the proxy.
    needed = 2 * connections + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        print("bench: %d connections need %d file descriptors in a process, and the hard limit is %d (ulimit -Hn): "
              "such measures will fail" % (connections, needed, hard), file=sys.stderr)
    with open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
        lowest, highest = map(int, limits.read().split())
    if highest - lowest < connections + 2000:
        print("bench: %d connections need more local ports than net.ipv4.ip_local_port_range has (%d)" % (
            connections, highest - lowest), file=sys.stderr)


def _ticks():
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _wait, irq, soft, stolen = map(int, stat.readline().split()[1:9])
    return user + nice + system, irq + soft, stolen


def _own_seconds():
    return sum(used.ru_utime + used.ru_stime
               for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


class Busy:
    """What others used of the CPUs between begin and end.  All children must have been waited for at the end."""

    def __init__(self):
        self.began = time.monotonic(), _ticks(), _own_seconds()

    def end(self):
        seconds, (work, interrupts, stolen), own = time.monotonic(), _ticks(), _own_seconds()
        elapsed = max(seconds - self.began[0], 0.001) * (os.cpu_count() or 1)
        tick = 1 / os.sysconf("SC_CLK_TCK")
        others = (work - self.began[1][0]) * tick - (own - self.began[2])
        return {"others": round(max(others, 0) / elapsed, 4),
                "interrupts": round((interrupts - self.began[1][1]) * tick / elapsed, 4),
                "steal": round((stolen - self.began[1][2]) * tick / elapsed, 4)}


def busy_sentence(busy):
    text = "Meanwhile other programs used %.0f %% of the CPUs, and %.1f %% was stolen by the host." % (
        100 * busy["others"], 100 * busy["steal"])
    if busy["others"] > 0.1 or busy["steal"] > 0.03:
        text += " That is much: measure again when the machine is quiet."
    return text
