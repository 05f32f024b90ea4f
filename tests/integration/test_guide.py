#!/usr/bin/python3
"""Proves that what doc/network-teams.md shows is what the commands in it print, in the lab that it names.

UPDATE_GUIDE=1 writes the outputs anew.
"""

import os
import re
import shlex
import shutil
import subprocess

import harness
from harness import BINARY, LIMIT, TOP, WRAPPER
import bypass

GUIDE = os.path.join(TOP, "doc", "network-teams.md")
SAMPLE = os.path.join(TOP, "etc", "check-rules.ini")
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.S | re.M)
LEFT_OUT = "[...]"


def parts(block):
    """(command, lines of output) of each command in a block."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def same_for_all(line):
    """Without what differs from run to run: ports, times, bars, fingerprints."""
    line = line.replace(" //=not to scale", "")
    line = re.sub(r"[rcptei/]+(✗?) (<1|\d+)$", r"BAR\1", line)
    line = re.sub(r"\b([0-9A-F]{2}:){7}[0-9A-F]{2}\b", "FINGERPRINT", line)
    return re.sub(r"\s+", " ", re.sub(r"<1|\d+(\.\d+)?", "N", line)).rstrip()


def assert_shown(shown, got, command):
    """A line "[...]" stands for any number of lines."""
    pattern = "\n".join("(?:.*\n)*?.*" if line == LEFT_OUT else re.escape(same_for_all(line)) for line in shown)
    text = "\n".join(same_for_all(line) for line in got)
    assert re.fullmatch(pattern, text), "%s\n--- the guide\n%s\n--- printed\n%s" % (
        command, "\n".join(shown), "\n".join(got))


def surroundings(case):
    tools = case.path("bin")
    os.mkdir(tools)
    with open(os.path.join(tools, "midrelay"), "w") as script:
        script.write("#!/bin/sh\nexec %s \"$@\"\n" % shlex.join(WRAPPER + [BINARY]))
    os.chmod(os.path.join(tools, "midrelay"), 0o755)
    env = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    return dict(env, **bypass.start(case.lab), PATH=tools + ":" + os.environ["PATH"], LC_ALL="C.UTF-8", COLUMNS="80")


def test_the_guide_shows_what_is_printed(case):
    for tool in ("bash", "jq", "curl"):
        if shutil.which(tool) is None:
            raise harness.Skip("there is no %s" % tool)
    with open(GUIDE) as file:
        text = file.read()
    env, room = surroundings(case), case.path("room")
    os.mkdir(room)
    written = []

    def run_block(match):
        lines = []
        for command, output in parts(match[1]):
            done = subprocess.run(["bash", "-c", command], cwd=room, env=env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=2 * LIMIT)
            got = done.stdout.splitlines()
            written.append(command)
            lines += ["$ " + command] + got
            if not os.environ.get("UPDATE_GUIDE"):
                assert_shown(output, got, command)
        return "```console\n%s\n```" % "\n".join(lines)

    updated = BLOCK.sub(run_block, text)
    assert len(written) >= 8, "there are hardly any commands in the guide: %r" % written
    if os.environ.get("UPDATE_GUIDE"):
        with open(GUIDE, "w") as file:
            file.write(updated)


def test_the_sample_of_rules_is_read(case):
    """Nobody is at the addresses that take the place of its names; what counts is that each rule is read and tried."""
    with open(SAMPLE) as file:
        text = file.read()
    rules = len(re.findall(r"^\[", text, re.M))
    here = re.sub(r"(?m)^(target *= *)\S+", lambda m: m[1] + "127.0.0.1:1", text)
    seen = iter(range(1, rules + 1))
    here = re.sub(r"(?m)^path *= *\S+", lambda m: "path = http://127.0.0.1:%d" % next(seen), here)
    done = case.run("check", "--expect", case.write("rules.ini", here), "--format", "tap")
    assert done.returncode == 1 and rules >= 4 and done.stdout.count("not ok") >= rules, (done, rules)
    broken = case.write("broken.ini", text.replace("expect = clean", "expect = cleen", 1))
    done = case.run("check", "--expect", broken)
    assert done.returncode == 78 and "did you mean clean?" in done.stderr and done.stderr.count("broken.ini:") == 1, done


if __name__ == "__main__":
    harness.main()
