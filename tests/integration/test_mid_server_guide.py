#!/usr/bin/python3
"""Proves that the commands of doc/mid-server.md work on a MID Server's config.xml, and change the lines that it shows."""

import os
import re
import shlex
import shutil

import harness
from harness import TOP

GUIDE = os.path.join(TOP, "doc", "mid-server.md")
SAMPLE = os.path.join(TOP, "tests", "import", "basic-behind-proxy", "config.xml")
CONFIG, INI = "/opt/servicenow/mid/agent/config.xml", "/etc/midrelay/midrelay.ini"


def guide():
    with open(GUIDE) as file:
        return file.read()


def blocks(kind):
    return re.findall(r"^```%s\n(.*?)^```$" % kind, guide(), re.S | re.M)


def commands():
    """The `midrelay import` lines, in the guide's order."""
    found = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in found if line.startswith("midrelay import ")]


def run(case, command, env=None):
    words = [{CONFIG: case.path("agent/config.xml"), INI: case.path("midrelay.ini")}.get(word, word)
             for word in shlex.split(command)[1:]]
    done = case.run(*words, env=env)
    assert done.returncode == 0, (command, done)
    return done


def read(path):
    with open(path, "rb") as file:
        return file.read()


def test_commands_in_their_order(case):
    """import -o, --apply, --revert, as they stand there; the configuration is complete but for the named gaps."""
    os.mkdir(case.path("agent"))
    shutil.copyfile(SAMPLE, case.path("agent/config.xml"))
    before = read(SAMPLE)
    write, apply, revert = commands()
    assert "-o " + INI in write and apply.endswith("--apply") and revert.endswith("--revert"), commands()
    run(case, write)
    assert read(case.path("agent/config.xml")) == before
    ini = read(case.path("midrelay.ini")).decode()
    assert "target         = acme.service-now.com" in ini and "; GAP" in ini, ini
    password = os.stat(case.path("acme-proxy-password"))
    assert password.st_mode & 0o777 == 0o600
    shutil.copyfile(case.pki["client-bundle.pem"], case.path("midserver-bundle.pem"))
    os.chmod(case.path("midserver-bundle.pem"), 0o600)
    done = case.run("config", "-c", case.path("midrelay.ini"))
    assert done.returncode == 0 and "mode" in done.stdout, done
    run(case, apply)
    applied = read(case.path("agent/config.xml")).decode()
    for line in blocks("diff")[0].splitlines():
        assert (line[1:].strip() in applied) == line.startswith("+"), line
    assert read(case.path("agent/config.xml.midrelay-backup")) == before
    run(case, revert)
    assert read(case.path("agent/config.xml")) == before
    assert not os.path.exists(case.path("agent/config.xml.midrelay-backup"))


def test_diffs_are_those_shown(case):
    shown = dict(zip(("url", "proxy"), blocks("diff")))
    assert len(blocks("diff")) == 2
    for way, diff in shown.items():
        done = case.run("import", SAMPLE, "--diff", "--way", way)
        assert done.returncode == 0, done
        lines = [line for line in done.stdout.splitlines() if re.match(r"[-+](?![-+])", line)]
        assert lines == diff.splitlines(), (way, lines)


if __name__ == "__main__":
    harness.main()
