#!/usr/bin/python3
"""Bash completes midrelay's commands, options and their values, relays of the configuration, codes and files."""

import os
import shlex
import subprocess

import harness
from harness import Skip

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SCRIPT = os.path.join(TOP, "contrib", "completion", "midrelay.bash")
FRAMEWORK = "/usr/share/bash-completion/bash_completion"

# What readline hands over: the words as they are split at its word breaks, and what a `complete -F` function leaves.
DRIVER = """
source %s && source %s || exit 1
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_midrelay midrelay "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%%s\\n' "${COMPREPLY[@]}"
"""


def words_of(line):
    """`line` in the words of COMP_WORDBREAKS: `=` and `:` are words of their own."""
    words, last = [], ""
    for letter in line:
        if letter in " =:":
            if last:
                words.append(last)
            if letter != " ":
                words.append(letter)
            last = ""
        else:
            last += letter
    return words + [last]


def complete(case, line):
    if not os.path.exists(FRAMEWORK):
        raise Skip("bash-completion is not installed")
    env = dict(os.environ, PATH=os.path.dirname(harness.BINARY) + ":" + os.environ["PATH"])
    done = subprocess.run(["bash", "--norc", "-c", DRIVER % (FRAMEWORK, shlex.quote(SCRIPT)), "driver", line,
                           *words_of(line)], capture_output=True, text=True, timeout=harness.LIMIT, env=env, cwd=case.dir)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout.split()


def run(*args):
    return subprocess.run([harness.BINARY, *args], capture_output=True, text=True, timeout=harness.LIMIT).stdout


def test_commands(case):
    """Every command that --help lists, and the two flags; one that begins so."""
    listed = [line.split()[0] for line in run("--help").splitlines() if line.startswith("  ") and line[2].isalpha()]
    assert len(listed) > 6
    assert sorted(complete(case, "midrelay ")) == sorted(listed + ["--help", "--version"])
    assert complete(case, "midrelay bu") == ["bundle"]


def test_options(case):
    """The options of every command, as its own help has them."""
    assert set(complete(case, "midrelay run -")) == {"-c", "--keylog", "--help"}
    found = complete(case, "midrelay check --")
    assert {"--target", "--proxy", "--proxy-user", "--direct", "--json", "--expect", "--watch"} <= set(found), found
    assert complete(case, "midrelay bundle request --s") == ["--subject"]
    assert complete(case, "midrelay nonesuch --") == []


def test_values(case):
    """What an option takes: its words, also those with a colon, and files."""
    assert complete(case, "midrelay import x.xml --way ") == ["url", "proxy", "tls"]
    assert complete(case, "midrelay check --format j") == ["json", "junit"]
    # The word's part before the colon is on the line already.
    assert complete(case, "midrelay bundle request --key rsa:3") == ["3072"]
    case.write("here.ini", "", mode=0o644)
    assert complete(case, "midrelay run -c he") == ["here.ini"]
    assert complete(case, "midrelay check --trust s") == ["system"]
    assert "here.ini" in complete(case, "midrelay check --trust h")


def test_operands(case):
    """Relays of the configuration that is named, codes, subcommands, files."""
    case.write("two.ini", "[relay acme]\n[proxy a]\n  [relay  other one ]\n#[relay gone]\n", mode=0o644)
    assert complete(case, "midrelay check -c two.ini ") == ["acme", "other", "one"]
    assert complete(case, "midrelay check -c two.ini ac") == ["acme"]
    assert complete(case, "midrelay explain proxy-auth-n") == ["proxy-auth-ntlm-only"]
    assert len(complete(case, "midrelay explain ")) > 40
    assert complete(case, "midrelay bundle ") == ["show", "make", "request"]
    case.write("config.xml", "", mode=0o644)
    assert complete(case, "midrelay import con") == ["config.xml"]
    assert complete(case, "midrelay bundle show two") == ["two.ini"]


if __name__ == "__main__":
    harness.main()
