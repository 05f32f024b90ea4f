"""
The table of cases in which a diagnosis arises, and what is proved of each.

A case is a function that starts the parts and gives a Situation: the configuration, and the facts that the sentence must
hold.  `@case_of(CODE, cause=…)` enters it; `tests(globals(), through_run)` makes one test of each, so that it runs by
itself.  A driver, such as through_run, takes midrelay through the situation in its own way.
"""

import inspect
import json
import re
import socket
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
    """

    def __init__(self, sections, *facts, start=None, drive=None, before=None, after=None):
        self.sections, self.facts, self.start = sections, facts, start or {}
        self.drive, self.before, self.after = drive, before, after


class Entry:
    def __init__(self, code, cause, function):
        self.code, self.cause, self.function, self.name = code, cause, function, function.__name__


def case_of(code, cause=None):
    def enter(function):
        function.entry = Entry(code, cause, function)
        return function
    return enter


def entries(module):
    return [value.entry for value in list(module.values()) if hasattr(value, "entry")]


def tests(module, driver):
    """Makes a test_<case> of every case in the module's globals; its first line is the case's."""
    for entry in entries(module):
        def test(case, entry=entry):
            driver(case, entry, entry.function(case))
        test.__name__ = "test_" + entry.name
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

def closed_port(case):
    """A port that is taken, and where nobody listens."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    case.cleanups.append(sock.close)
    return sock.getsockname()[1]


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
