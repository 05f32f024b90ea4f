#!/usr/bin/python3
"""Proves that the MID's own SOAP client, Apache Commons HttpClient 3.1, posts through midrelay, Squid and nginx."""

import subprocess

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


def test_a_refusal_is_reported_with_its_reason(case):
    """The client shows the status line: that is where an administrator reads what is wrong."""
    m = case.relay("instance.lab.test", [case.proxy(case.instance(), reply="squid-407")], auth=True)
    m.opened = None
    done = subprocess.run(real.java_client() + ["http://127.0.0.1:%d" % m.port(), "1", "1", str(5 << 20)],
                          capture_output=True, text=True, timeout=60 * harness.SLOW)
    assert "Method failed: HTTP/1.1 502 midrelay: proxy-auth-rejected: " in done.stderr, done


if __name__ == "__main__":
    harness.main()
