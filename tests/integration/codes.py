"""
The table of cases in which a diagnosis arises, and what is proved of each.

A case is a function that starts the parts and gives a Situation: the configuration, and the facts that the sentence must
hold.  `@case_of(CODE, cause=…)` enters it; `tests(globals(), through_run)` makes one test of each, so that it runs by
itself.  A driver, through_run or through_check, takes midrelay through the situation in its own way.
"""

import inspect
import json
import os
import re
import subprocess

import harness
from harness import Skip

# RFC 9209 section 2.3.
ERROR_TYPES = set("""
    dns_timeout dns_error destination_not_found destination_unavailable destination_ip_prohibited
    destination_ip_unroutable connection_refused connection_terminated connection_timeout connection_read_timeout
    connection_write_timeout connection_limit_reached tls_protocol_error tls_certificate_error tls_alert_received
    http_request_error http_request_denied http_response_incomplete http_response_header_section_size
    http_response_header_size http_response_body_size http_response_trailer_section_size http_response_trailer_size
    http_response_transfer_coding http_response_content_coding http_response_timeout http_upgrade_failed
    http_protocol_error proxy_internal_response proxy_internal_error proxy_configuration_error proxy_loop_detected
    """.split())


class Situation:
    """
    sections   the configuration; the relay that fails is `r`
    facts      texts that the sentence must hold
    start      further arguments of Case.start (env, around)
    drive      what makes it fail, given the running midrelay, where a request does not get an answer: the session line
               alone is then looked at
    before     what is done to the running midrelay before a request, and after it
    probe      what `check` asks the target (--probe)
    stops      the column in which `check` shows the failure, where the code's own stage is none or another one
    """

    def __init__(self, sections, *facts, start=None, drive=None, before=None, after=None, probe="auto", stops=None):
        self.sections, self.facts, self.start = sections, facts, start or {}
        self.drive, self.before, self.after = drive, before, after
        self.probe, self.stops = probe, stops


COMMANDS = ("run", "check")


class Entry:
    def __init__(self, code, cause, only, function):
        self.code, self.cause, self.function, self.name = code, cause, function, function.__name__
        self.commands = (only,) if only else COMMANDS


def case_of(code, cause=None, only=None):
    """`only`: the one command that can come into this situation, where the other has no part in it."""
    assert only is None or only in COMMANDS, only

    def enter(function):
        function.entry = Entry(code, cause, only, function)
        return function
    return enter


def entries(module):
    return [value.entry for value in list(module.values()) if hasattr(value, "entry")]


def tests(module, driver, of=None):
    """
    Makes a test_<case>, or test_check_<case>, of every case that the driver's command can come into; its first line is
    the case's.  `of`: the globals in which the cases are, if these are not the tests' own.
    """
    for entry in entries(module if of is None else of):
        if driver.command not in entry.commands:
            continue

        def test(case, entry=entry):
            driver(case, entry, entry.function(case))
        test.__name__ = driver.prefix + entry.name
        test.ready = getattr(entry.function, "ready", None)
        test.__doc__ = inspect.getdoc(entry.function)
        assert test.__doc__, "%s does not say what it proves" % entry.name
        assert test.__name__ not in module, test.__name__
        module[test.__name__] = test


# Proxy-Status: a list of items with parameters (RFC 8941 sections 3.1 and 3.3, as far as RFC 9209 uses them)

_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*")
_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_INTEGER = re.compile(r"-?[0-9]{1,15}")


class Token(str):
    pass


def _bare_item(text):
    """(value, what follows)"""
    if found := _STRING.match(text):
        return re.sub(r"\\(.)", r"\1", found[1]), text[found.end():]
    if found := _TOKEN.match(text):
        return Token(found[0]), text[found.end():]
    if found := _INTEGER.match(text):
        return int(found[0]), text[found.end():]
    raise AssertionError("no item of a structured field: %r" % text)


def parse_proxy_status(text):
    """[(proxy, {parameter: value})]"""
    members = []
    while True:
        name, text = _bare_item(text)
        parameters = {}
        while text.startswith(";"):
            text = text[1:].lstrip(" ")
            key = _KEY.match(text)
            assert key, "no parameter: %r" % text
            text = text[key.end():]
            value = True
            if text.startswith("="):
                value, text = _bare_item(text[1:])
            parameters[key[0]] = value
        members.append((name, parameters))
        text = text.lstrip(" \t")
        if not text:
            return members
        assert text.startswith(","), "behind a member of a list: %r" % text
        text = text[1:].lstrip(" \t")


# What is known of the codes

def explained(case, code=None):
    """What `explain --json` says of a code, or of all."""
    done = case.run("explain", *([code] if code else []), "--json")
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def remedy_of(info, cause):
    if cause is None:
        return info["remedy"]
    found = [c["remedy"] for c in info["causes"] if c["cause"] == cause]
    assert found, "%s has no cause %s" % (info["code"], cause)
    return found[0]


# Places

def in_namespaces(case, script, net=False, files=None):
    """
    A command that becomes midrelay in a mount namespace, and with `net` in a network namespace of its own; `script` is run
    there first.  `files`: {"/etc/…": text} that midrelay sees instead.
    """
    lines = [script]
    for number, (path, text) in enumerate((files or {}).items()):
        lines.append("mount --bind %s %s" % (case.write("namespace-%d" % number, text, 0o644), path))
    command = ["unshare", "--map-root-user", "--mount"] + (["--net"] if net else [])
    command += ["sh", "-c", "set -e\n" + "\n".join(lines) + '\nexec "$@"', "sh"]
    try:
        done = subprocess.run(command + ["true"], capture_output=True, text=True)
    except FileNotFoundError:
        raise Skip("unshare is not installed")
    if done.returncode != 0:
        raise Skip("no namespaces here: %s" % done.stderr.strip())
    return command


# The drivers

def check_answer(info, entry, situation, response):
    """The answer to an HTTP client: status line, Proxy-Status, body."""
    sentence = response.reason.split(": ", 2)[2]
    for fact in situation.facts:
        assert fact in sentence, "%r is not in %r" % (fact, sentence)
    assert response.status == info["http_status"] and response.status in (502, 503, 504), response.status
    assert response.reason == "midrelay: %s: %s" % (entry.code, sentence)
    (proxy, parameters), = parse_proxy_status(response.headers["proxy-status"])
    assert proxy == "midrelay" and isinstance(parameters["error"], Token), (proxy, parameters)
    assert parameters["error"] in ERROR_TYPES and parameters["error"] == info["proxy_status"], parameters
    assert parameters["details"] == "%s: %s" % (entry.code, sentence), (parameters, sentence)
    assert not isinstance(parameters["details"], Token)
    body = response.body.decode("ascii")
    assert "%s: %s" % (entry.code, sentence) in body, body
    assert remedy_of(info, entry.cause) in body, (entry.cause, body)
    return sentence


def check_path_event(m, info, entry, sentence):
    """The path's failure in the log, where it was one of a path."""
    found = m.events("path-failed", relay="r")
    if not found:
        assert entry.code == "client-cert-expired" or info["stage"] == "local", "no path-failed:\n" + m.tail()
        return
    event = found[0]
    assert event["code"] == entry.code and event.get("cause") == entry.cause, event
    assert event["remedy"] == remedy_of(info, entry.cause), event
    assert sentence.startswith(event["msg"]), (sentence, event)


def through_run(case, entry, situation):
    """`midrelay run`: what the client is answered, and what the log says."""
    info = explained(case, entry.code)
    sections = {"midrelay": {"log_level": "debug", "drain_timeout": "2s"}, **situation.sections}
    m = case.start(sections, **situation.start)
    if situation.drive:
        situation.drive(m)
        session = m.session(end=entry.code, relay="r")
        for fact in situation.facts:
            assert fact in session["msg"], "%r is not in %r" % (fact, session["msg"])
        return
    if situation.before:
        situation.before(m)
    response = m.fails(entry.code, relay="r")
    assert response.session["msg"] == response.reason.split(": ", 2)[2], response.session
    sentence = check_answer(info, entry, situation, response)
    check_path_event(m, info, entry, sentence)
    if situation.after:
        situation.after(m)


through_run.command, through_run.prefix = "run", "test_"

COLUMNS = 80
CHECK_STAGES = ["resolve", "connect", "proxy", "tls", "certificate", "instance"]
# The proxy did not refuse anything: it is not there, or no proxy.
NOT_BLOCKED = ("proxy-timeout", "proxy-malformed", "proxy-closed", "proxy-tls")


def run_check(case, situation, *args):
    config = case.path("check.ini")
    harness.write_config(config, situation.sections)
    environment = dict(os.environ, LC_ALL="C", COLUMNS=str(COLUMNS), TERM="xterm", **situation.start.get("env", {}))
    done = case.run("check", "-c", config, "--probe", situation.probe, *args, "r", env=environment,
                    around=situation.start.get("around", ()))
    for word in harness.SANITIZER_WORDS:
        assert word not in done.stderr, done.stderr
    for secret in case.secrets() + situation.start.get("secrets", []):
        assert secret not in done.stdout + done.stderr, "a secret was printed"
    return done


def check_stops(path, stop, dialled):
    """Which stages passed, the one that failed, and that nothing behind it was reached."""
    at = CHECK_STAGES.index(stop)
    for number, stage in enumerate(CHECK_STAGES):
        outcome = path["stages"][stage]["outcome"]
        spared = stage == "resolve" or (stage == "proxy" and path["direct"])
        if number == at:
            assert outcome == "failed", (stage, path["stages"])
            assert path["stages"][stage]["ms"] is not None or not dialled, (stage, path["stages"])
        elif number < at and dialled:
            assert outcome in ("passed", "warned", "not-applicable" if spared else "passed"), (stage, path["stages"])
        else:
            assert outcome in ("not-reached", "not-applicable" if spared else "not-reached"), (stage, path["stages"])


def verdict_of(entry, info):
    if entry.code == "tls-inspected":
        return "inspected"
    return "blocked" if info["stage"] == "proxy" and entry.code not in NOT_BLOCKED else "broken"


def through_check(case, entry, situation):
    """`midrelay check`: what it says as JSON, and what it shows on 80 columns."""
    info = explained(case, entry.code)
    status = 3 if entry.code == "tls-inspected" else 1
    done = run_check(case, situation, "--json")
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    found = json.loads(done.stdout)
    assert found["exit_status"] == status, found
    path, = found["paths"]
    failure = path["failure"]
    assert failure and (failure["code"], failure["cause"]) == (entry.code, entry.cause), path
    for fact in situation.facts:
        assert fact in failure["sentence"], "%r is not in %r" % (fact, failure["sentence"])
    assert failure["remedy"] == remedy_of(info, entry.cause) and failure["stage"] == info["stage"], failure
    assert path["verdict"] == verdict_of(entry, info), path
    stop = situation.stops or {"client certificate": "certificate"}.get(info["stage"], info["stage"])
    check_stops(path, stop, dialled=entry.code != "client-cert-expired")
    table = run_check(case, situation)
    assert table.returncode == status, (table.returncode, table.stdout, table.stderr)
    assert "\x1b" not in table.stdout, table.stdout
    # A line ends between words: what is longer than a line, as a sample of bytes, can be copied whole.
    long = [line for line in table.stdout.split("\n") if len(line) > COLUMNS and " " in line.strip()]
    assert not long, "\n".join(long)
    shown = "".join(table.stdout.split())
    for text in (entry.code, *situation.facts, failure["remedy"]):
        assert "".join(text.split()) in shown, "%r is not in\n%s" % (text, table.stdout)


through_check.command, through_check.prefix = "check", "test_check_"
