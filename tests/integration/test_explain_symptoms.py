#!/usr/bin/python3
"""Proves that `explain` finds every symptom of its table by its words, and what it says of words that it does not know."""

import json
import re

import codes
import harness

LINE = "2026-03-02 09:00:00 (123) StartupSequencer SEVERE *** ERROR *** %s [agent0.log.0]"

# As people copy or remember them, and a word of the answer.
ASKED = {
    "user cannot be AUTHENTICATED": ("User cannot be authenticated or is missing the proper roles", "session"),
    "missing the proper roles": ("User cannot be authenticated or is missing the proper roles", "mid_server"),
    "Forbidden username/password combo": ("Forbidden username/password combo", "403"),
    "404 not found": ("404 reported as an authentication problem", "never answers 404"),
    "Unable to subscribe to AMB channel /glide": ("Unable to subscribe to AMB channel", "Secure cookies"),
    "Method failed: (http://127.0.0.1:8080/ecc_queue.do?SOAP)HTTP/1.1 502 Bad Gateway with code: 502":
        ("Method failed: HTTP/1.1 502 with code: 502", "reason phrase"),
    "method failed with code 504": ("Method failed: HTTP/1.1 504 with code: 504", "ran out of time"),
    "mid server is down": ("MID Server status is Down", "5 minutes"),
    "cookies dropped over http": ("Cookies are dropped, every request logs in anew", "Secure"),
    "redirected around midrelay": ("Redirected to https://, around midrelay", "Location"),
    "java.security.cert.CertificateException: Certificate chain is not end with a CA cert":
        ("Certificate chain is not end with a CA cert", "root"),
    "The SSL certificate error": ("400 The SSL certificate error", "Active"),
    "no required ssl certificate was sent": ("No required SSL certificate was sent", "client_bundle"),
    "hibernating": ("The instance is hibernating", "Wake"),
    "no tls support": ("The instance does not support mutual TLS", "ADCv2"),
    "expired certificate": ("CertificateExpiredException: NotAfter", "renew"),
    "cannot read pfx": ("PFX or keystore cannot be read: password was incorrect", "passphrase"),
    "upgrade download failing": ("Upgrade download from install.service-now.com failed", "install.service-now.com"),
    "missing proxy": ("User cannot be authenticated or is missing the proper roles", "proxy"),
}


def table(case):
    """The symptoms that the list names."""
    shown = case.run("explain")
    assert shown.returncode == 0, shown
    found = re.findall(r"^  (.*)$", shown.stdout.split('(explain "WORDS")\n')[1], re.M)
    assert len(found) > 20, found
    return found


def asked(case, *words):
    done = case.run("explain", "--json", *words)
    assert done.returncode == 0, (words, done)
    return json.loads(done.stdout)


def test_every_symptom_is_found(case):
    """By its own words, within a line of a log, in capitals, and without quotation marks."""
    known = {info["code"] for info in codes.explained(case)}
    for says in table(case):
        for words in ([says], [LINE % says], [says.upper()], says.split(" "), ["SEVERE", "-", *says.split(" ")]):
            answer = asked(case, *words)
            assert answer["symptom"] == says, (words, answer)
        assert len(answer["meaning"]) > 60 and len(answer["remedy"]) > 40, answer
        assert set(answer["codes"]) <= known, answer
        shown = case.run("explain", says)
        assert shown.returncode == 0 and shown.stdout.startswith("symptom "), shown
        assert all(code in shown.stdout for code in answer["codes"]), shown.stdout


def test_as_people_ask(case):
    for words, (says, piece) in ASKED.items():
        answer = asked(case, words)
        assert answer["symptom"] == says, (words, answer)
        assert piece in answer["meaning"] + answer["remedy"], (piece, answer)


def test_a_line_with_a_code_is_that_code(case):
    line = "Method failed: (http://127.0.0.1:8080/)HTTP/1.1 502 midrelay: proxy-denied: http://p:1 answered with code: 502"
    assert asked(case, line)["code"] == "proxy-denied"


def test_a_line_of_our_own_log_is_its_code(case):
    """As text and as JSON; one without a code is none."""
    for log_format in ("text", "json"):
        m = case.relay("instance.lab.test", [case.proxy("instance.lab.test", reply="skyhigh-block-403")],
                       process={"log_format": log_format})
        m.fails("proxy-denied")
        m.session()
        lines = m.log_bytes().decode().splitlines()
        for event in ("path-failed", "session"):
            line = next(line for line in lines if event in re.split(r'[\s"]+', line)[:12])
            assert asked(case, line)["code"] == "proxy-denied", line
        ready = next(line for line in lines if "ready" in line)
        assert case.run("explain", ready).returncode == 64, ready


def test_unknown_words(case):
    """Exit status 64, and what is near."""
    done = case.run("explain", "flux capacitor")
    assert done.returncode == 64 and "lists them all" in done.stderr and done.stdout == "", done
    done = case.run("explain", "strange certificate of a dragon")
    assert done.returncode == 64 and "near it: '" in done.stderr, done
    done = case.run("explain", "proxy-denid")
    assert done.returncode == 64 and "did you mean 'proxy-denied'" in done.stderr, done
    done = case.run("explain", "proxy-denied", "proxy-status")
    assert done.returncode == 64 and "one code at a time" in done.stderr, done
    assert case.run("explain", "").returncode == 64


if __name__ == "__main__":
    harness.main()
