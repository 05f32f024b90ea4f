#!/usr/bin/python3
"""
Proves that the MID's own SOAP client, Apache Commons HttpClient 3.1, posts through midrelay, Squid and nginx, and that
both it and Jetty's client hear of a failed path by code and sentence.
"""

import subprocess

import codes
import harness
import real


def run(url, threads, requests, size):
    done = subprocess.run(real.java_client() + [url, str(threads), str(requests), str(size)], capture_output=True,
                          text=True, timeout=120 * harness.SLOW)
    assert done.returncode == 0 and done.stdout.strip() == "ok %d" % (threads * requests), done


def through_squid(case):
    nginx = real.nginx(case)
    squid = real.squid(case, nginx.port)
    m = case.start({"relay r": case.keys("instance.lab.test:%d" % nginx.port, [squid.url], auth=True)})
    m.opened = None
    return m, "http://127.0.0.1:%d/soap" % m.port()


def all_ok(m):
    ends = {event["end"] for event in m.events("session")}
    assert ends <= {"ok"}, ends


def test_keep_alive(case):
    m, url = through_squid(case)
    run(url, 1, 50, 2000)
    m.session()
    assert len(m.events("session")) == 1
    all_ok(m)


def test_fifty_threads(case):
    m, url = through_squid(case)
    run(url, 50, 20, 5000)
    m.session(50)
    assert len(m.events("session")) == 50
    all_ok(m)


def test_bodies_of_20_mb(case):
    m, url = through_squid(case)
    run(url, 4, 2, 20 << 20)
    all_ok(m)


def test_bodies_arrive_unchanged(case):
    """The lab's instance tells the digest of what arrived."""
    m = case.relay(case.instance())
    m.opened = None
    run("http://127.0.0.1:%d" % m.port(), 8, 5, 300000)
    all_ok(m)


# What a client's log has of a path that failed: the status line, with code and sentence

LARGE = 20 << 20


def credentials_missing(case):
    proxy = case.proxy(case.instance(), reply="squid-407")
    return case.keys("instance.lab.test", [proxy]), {}, "proxy-auth-required", (
        "offering Basic (no credentials were sent)", harness.url(proxy))


def name_unknown(case):
    around = codes.in_namespaces(case, ":", files={"/etc/nsswitch.conf": "hosts: files\n"})
    return case.keys("instance.lab.test", ["http://proxy.lab.test:3128"]), {"around": around}, "resolve-failed", (
        "the proxy http://proxy.lab.test:3128", "Name or service not known")


def inspected(case):
    proxy = case.proxy(case.instance(), tunnel="inspect", inspect={"cert": "product", "ask": "optional"})
    return case.keys("instance.lab.test", [proxy]), {}, "tls-inspected", ("names Zscaler", "issued by CN=")


def certificate_expired(case):
    return case.keys(case.instance(), client_bundle=case.pki["client-expired-bundle.pem"]), {}, "client-cert-expired", (
        "the client certificate CN=", "expired at 20")


def hears(case, start, command, before, sizes=(2000,)):
    """`before`: what the client's log puts before the reason phrase."""
    keys, how, code, facts = start(case)
    m = case.start({"midrelay": {"log_level": "debug"}, "relay r": keys}, **how)  # every session has its line
    m.opened = None
    url = "http://127.0.0.1:%d" % m.port()
    come = 0
    for size in sizes:
        # On a busy machine a client may need more than the second that it has to begin to speak before it is refused.
        for _ in range(3):
            done = subprocess.run(command(url, size), capture_output=True, text=True, timeout=60 * harness.SLOW)
            come += 1
            line = next((one for one in done.stderr.split("\n") if before in one), None)
            if line:
                break
        assert line and before + "midrelay: %s: " % code in line, (size, done)
        for fact in facts:
            assert fact in line, (fact, line)
        session = m.session(come)
        assert session["end"] == code and session["msg"] in line, (session, line)


def by_commons(case, start, **how):
    java = real.java_client()
    hears(case, start, lambda url, size: java + [url, "1", "1", str(size)], "Method failed: HTTP/1.1 502 ", **how)


def by_jetty(case, start, **how):
    java = real.jetty_client()
    hears(case, start, lambda url, size: java + [url + "/cometd/handshake", str(size)], "failed: 502 ", **how)


def test_commons_hears_of_missing_credentials(case):
    by_commons(case, credentials_missing)


def test_commons_hears_of_an_unknown_name(case):
    by_commons(case, name_unknown)


def test_commons_hears_of_inspection(case):
    by_commons(case, inspected)


def test_commons_hears_of_an_expired_certificate(case):
    by_commons(case, certificate_expired)


def test_commons_hears_it_while_it_is_still_sending(case):
    """20 MB are on their way: a reset must not overtake the answer."""
    by_commons(case, credentials_missing, sizes=[LARGE] * 3)


def test_jetty_hears_of_missing_credentials(case):
    by_jetty(case, credentials_missing)


def test_jetty_hears_of_an_unknown_name(case):
    by_jetty(case, name_unknown)


def test_jetty_hears_of_inspection(case):
    by_jetty(case, inspected)


def test_jetty_hears_of_an_expired_certificate(case):
    by_jetty(case, certificate_expired)


def test_jetty_hears_it_while_it_is_still_sending(case):
    by_jetty(case, credentials_missing, sizes=[LARGE] * 3)


if __name__ == "__main__":
    harness.main()
