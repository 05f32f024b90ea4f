#!/usr/bin/python3
"""
The status endpoint: what it answers on TCP and UNIX sockets, that its counters are what was driven and outlive a reload,
when it says ready and alive, that nobody can hold it up, and `midrelay status`.
"""

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import threading
import time

import harness
import status_client
from harness import INSTRUMENTED, LIMIT, Skip, ask, in_thread, wait_until
from status_client import get, metrics, status

PAGES = ("/", "/livez", "/readyz", "/status", "/metrics", "/text")


def start(case, sections, at="127.0.0.1:0", **process):
    keys = {"status": at, "log_level": "debug", "drain_timeout": "2s", "workers": os.environ.get("MIDRELAY_WORKERS", "1")}
    keys.update(process)
    m = case.start(dict({"midrelay": keys}, **sections))
    m.where = m.wait_event("status-listening")["address"]
    return m


def relay(case, target, proxies=(), **keys):
    """Without tunnels ahead of need: they would be dials that nobody drove."""
    keys.setdefault("ready_tunnels", "off")
    return case.keys(target, proxies, **keys)


def one_request(m, name=None):
    """A session that is over when it returns."""
    before = len(m.events("session"))
    with m.connect(name) as sock:
        assert ask(sock).status == 200
    wait_until(lambda: len(m.events("session")) > before, "the session's end")


def clean(case, *texts):
    for secret in case.secrets():
        for text in texts:
            text = text if isinstance(text, bytes) else text.encode()
            assert secret.encode() not in text, "a secret is in the status"


def promtool(text):
    tool = shutil.which("promtool")
    if tool is None:
        raise Skip("no promtool (Debian: prometheus)")
    done = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0 and done.stdout == done.stderr == "", done.stdout + done.stderr


def check_pages(case, m):
    for path in PAGES:
        response = get(m.where, path)
        assert response.status == 200 and response.body, (path, response.status, response.body)
        assert response.headers["cache-control"] == "no-store", response.headers
        assert response.headers["x-content-type-options"] == "nosniff", response.headers
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, policy
        head = get(m.where, path, "HEAD")
        assert head.status == 200 and head.body == b"" and int(head.headers["content-length"]) > 0, path
        clean(case, response.body)
    assert get(m.where, "/livez").body == b"ok\n" and get(m.where, "/readyz").body == b"ready\n"
    assert get(m.where, "/nowhere").status == 404
    assert get(m.where, "/" + "x" * 3000).status == 404


def test_pages_on_tcp(case):
    instance = case.instance(mode="http")
    m = start(case, {"relay r": relay(case, instance, [case.proxy(instance, auth=[harness.USER, harness.PASSWORD])], auth=True)})
    one_request(m)
    check_pages(case, m)
    # One connection takes several requests.
    one = status_client.connection(m.where)
    for path in PAGES:
        one.request("GET", path)
        assert one.getresponse().read()
    one.close()


def test_pages_on_ipv6(case):
    m = start(case, {"relay r": relay(case, case.instance())}, "[::1]:0")
    assert m.where.startswith("[::1]:") and get(m.where, "/livez").status == 200


def test_pages_on_a_unix_socket(case):
    path = case.path("status.sock")
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.close()   # a file that nobody answers at any more
    m = start(case, {"relay r": relay(case, case.instance(mode="http"))}, "unix:" + path)
    assert os.stat(path).st_mode & 0o777 == 0o660
    one_request(m)
    check_pages(case, m)
    m.assert_ends_clean()
    assert not os.path.exists(path)


def test_an_address_that_is_taken(case):
    path = case.path("status.sock")
    with open(path, "w"):
        pass
    config = case.path("midrelay.ini")
    harness.write_config(config, {"midrelay": {"status": "unix:" + path}, "relay r": relay(case, case.instance())})
    done = case.run("run", "-c", config)
    assert done.returncode != 0 and "status: %s exists and is not a socket" % path in done.stderr, done.stderr
    assert os.path.exists(path)


def test_default_in_the_runtime_directory(case):
    directory = case.path("runtime")
    os.mkdir(directory)
    m = case.start({"relay r": relay(case, case.instance())}, env={"RUNTIME_DIRECTORY": directory + ":/nowhere"})
    assert m.wait_event("status-listening")["address"] == "unix:%s/status.sock" % directory
    assert get("unix:%s/status.sock" % directory, "/livez").status == 200


def test_nothing_without_it(case):
    m = case.start({"midrelay": {"workers": "1"}, "relay r": relay(case, case.instance())},
                   env={"RUNTIME_DIRECTORY": None})
    tasks = len(os.listdir("/proc/%d/task" % m.pid))
    assert not m.events("status-listening")
    n = start(case, {"relay r": relay(case, case.instance())}, workers="1")
    assert len(os.listdir("/proc/%d/task" % n.pid)) == tasks + 1


def drive(case):
    """Two relays; on `a` 3 clients that work, 1 path that fails before, 1 stranger; on `b` nothing works."""
    instance = case.instance(mode="http")
    good = case.proxy(instance)
    closed = "http://127.0.0.1:%d" % case.closed_port()
    m = start(case, {
        "relay a": relay(case, instance, [closed, good]),
        "relay b": relay(case, instance, [case.proxy(instance, reply="403")]),
        "relay nobody": relay(case, instance, [good], allow_user=str(os.getuid() + 1)),
    })
    m.good, m.closed = harness.url(good), closed
    return m


def test_counters_are_what_was_driven(case):
    m = drive(case)
    for _ in range(3):
        one_request(m, "a")
    m.fails("proxy-denied", relay="b")
    m.fails("local-denied", relay="nobody")
    before = metrics(m.where)
    with m.connect("a") as sock:
        assert ask(sock).status == 200
        during = metrics(m.where)
        assert during.get("midrelay_connections_open", relay="a") == 1
        assert during.get("midrelay_connections_total", relay="a") == 4
    wait_until(lambda: len(m.events("session", relay="a")) == 4, "the session's end")
    wait_until(lambda: metrics(m.where).get("midrelay_connections_open", relay="a") == 0, "the end of the connection")
    now = metrics(m.where)
    sessions = m.events("session", relay="a")
    assert before.get("midrelay_connections_total", relay="a") == 3
    for direction in ("up", "down"):
        told = sum(int(event["bytes_" + direction]) for event in sessions)
        assert now.get("midrelay_bytes_total", relay="a", direction=direction) == told > 0
    # The closed path rested after its first failure.
    assert now.get("midrelay_dials_total", relay="a", path=m.closed, code="connect-refused") == 1
    assert now.get("midrelay_dials_total", relay="a", path=m.closed, code="ok") == 0
    assert now.get("midrelay_dials_total", relay="a", path=m.good, code="ok") == 4
    assert now.get("midrelay_tls_resumptions_total", relay="a", path=m.good) == \
        len([event for event in sessions if event["resumed"] == "yes"]) > 0
    assert now.get("midrelay_path_up", relay="a", path=m.closed) == 0
    assert now.get("midrelay_path_failing", relay="a", path=m.closed, code="connect-refused") == 1
    assert now.get("midrelay_path_up", relay="a", path=m.good) == 1
    assert now.get("midrelay_path_failing", relay="a", path=m.good, code="ok") is None
    for stage, count in (("resolve", 4), ("connect", 4), ("proxy", 4), ("tls", 4)):
        labels = dict(relay="a", path=m.good, stage=stage)
        assert now.get("midrelay_dial_stage_seconds_count", **labels) == count
        assert now.get("midrelay_dial_stage_seconds_bucket", le="+Inf", **labels) == count
        assert 0 <= now.get("midrelay_dial_stage_seconds_sum", **labels) < LIMIT
    assert now.get("midrelay_dial_stage_seconds_count", relay="a", path=m.closed, stage="connect") == 1
    assert now.get("midrelay_dial_stage_seconds_count", relay="a", path=m.closed, stage="tls") == 0
    assert now.get("midrelay_relay_ready", relay="a") == 1 and now.get("midrelay_relay_ready", relay="b") == 0
    assert now.get("midrelay_connections_denied_total", relay="nobody") == 1
    assert now.get("midrelay_connections_denied_total", relay="a") == 0
    assert now.get("process_open_fds") > 0 and now.get("process_max_fds") > now.get("process_open_fds")
    promtool(now.text)


def test_a_reload_keeps_the_counters(case):
    m = drive(case)
    one_request(m, "a")
    m.fails("proxy-denied", relay="b")
    before, since = metrics(m.where), status(m.where)["relays"][0]["paths"][0]["since"]
    with m.connect("a") as sock:
        assert ask(sock).status == 200
        m.sections["relay c"] = m.sections.pop("relay b")
        m.sections["relay c"]["listen"] = "127.0.0.1:0"
        m.write()
        m.reload()
        # One connection of before the reload, one of after it.
        one_request(m, "a")
        wait_until(lambda: metrics(m.where).get("midrelay_connections_open", relay="a") == 1, "the end of the second")
    wait_until(lambda: metrics(m.where).get("midrelay_connections_open", relay="a") == 0, "the end of the connection")
    now = metrics(m.where)
    assert now.get("midrelay_connections_total", relay="a") == 3
    assert now.get("midrelay_dials_total", relay="a", path=m.closed, code="connect-refused") == \
        before.get("midrelay_dials_total", relay="a", path=m.closed, code="connect-refused") + 1
    assert now.get("midrelay_dials_total", relay="a", path=m.good, code="ok") == 3
    assert status(m.where)["relays"][0]["paths"][0]["since"] == since
    # A name that is gone disappears, a new one begins at 0.
    assert now.get("midrelay_connections_total", relay="b") is None
    assert now.get("midrelay_connections_total", relay="c") == 0
    assert now.get("midrelay_config_generation") == 2 and now.get("midrelay_config_last_reload_successful") == 1
    m.sections["relay a"]["client_bundle"] = "/nowhere.pem"
    m.write()
    m.reload(ok=False)
    wait_until(lambda: metrics(m.where).get("midrelay_config_last_reload_successful") == 0, "the failed reload")
    assert metrics(m.where).get("midrelay_config_generation") == 2
    assert "/nowhere.pem" in status(m.where)["configuration"]["last_reload"]["error"]
    m.opened = None


def test_status_json(case):
    m = drive(case)
    one_request(m, "a")
    m.fails("proxy-denied", relay="b")
    seen = status(m.where)
    assert seen["ready"] is False and seen["configuration"]["generation"] == 1
    a, b = seen["relays"][0], seen["relays"][1]
    assert a["name"] == "a" and a["listen"] == [m.address("a")] and a["ready"] and a["unready"] is None
    assert [path["state"] for path in a["paths"]] == ["failed", "ok"]
    failure = a["paths"][0]["last_failure"]
    assert failure["code"] == "connect-refused" and failure["remedy"] and failure["sentence"], failure
    assert a["paths"][1]["last_failure"] is None and a["paths"][1]["stages"]["tls"]["last_ms"] > 0
    assert a["failures"][0]["code"] == "connect-refused" and a["failures"][0]["path"] == m.closed
    certs = {cert["of"]: cert for cert in a["certificates"]}
    fingerprint = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", case.pki["client.pem"]],
                                 check=True, capture_output=True, text=True).stdout.strip().split("=")[1]
    assert certs["client"]["sha256"] == fingerprint and certs["client"]["days_left"] > 100, certs
    assert certs["client"]["not_before"] < certs["client"]["not_after"]
    # The one of its chain that ends first: a second may lie between any two that the lab has made.
    assert certs["server"]["subject"] in ("CN=instance.lab.test,O=Lab", "CN=Lab Intermediate CA,O=Lab",
                                          "CN=Lab Root CA,O=Lab"), a["certificates"]
    assert certs["server"]["path"] == m.good, a["certificates"]
    assert not b["ready"] and "proxy-denied" in b["unready"] and b["paths"][0]["state"] == "failed"
    clean(case, json.dumps(seen))


def test_a_tls_listener_is_told_as_one(case):
    """As in the log, and after a reload that makes it a plain one."""
    keys = relay(case, case.instance(), listen=["tls://127.0.0.1:0", "127.0.0.1:0"], listen_cert="auto")
    m = case.start({"midrelay": {"status": "127.0.0.1:0"}, "relay r": keys}, env={"STATE_DIRECTORY": case.path("state")})
    where = m.wait_event("status-listening")["address"]
    listens = status(where)["relays"][0]["listen"]
    assert listens == [event["address"] for event in m.events("listening")] and listens[0].startswith("tls://"), listens
    m.sections["relay r"].update(listen=[listens[0].removeprefix("tls://"), listens[1]], listen_cert=None)
    m.write()
    m.reload()
    assert status(where)["relays"][0]["listen"] == [listens[0].removeprefix("tls://"), listens[1]]


def test_the_same_failure_counts_up(case):
    instance = case.instance()
    m = start(case, {"relay r": relay(case, instance, [case.proxy(instance, reply="403")])})
    for _ in range(5):
        m.fails("proxy-denied")
    failures = status(m.where)["relays"][0]["failures"]
    assert [(one["code"], one["count"]) for one in failures] == [("proxy-denied", 5)], failures


def test_a_refused_certificate(case):
    instance = case.instance(mode="http", answer="cert-refused")
    m = start(case, {"relay r": relay(case, instance)})
    assert m.get().status == 400
    wait_until(lambda: metrics(m.where).get("midrelay_client_certificates_refused_total", relay="r") == 1, "the refusal")
    assert "refuses the client certificate" in get(m.where, "/readyz").body.decode()


def test_an_inspected_path(case):
    for inspection, used in (("warn", 1), ("refuse", 0)):
        instance = case.instance(mode="http", cert="product")
        m = start(case, {"relay r": relay(case, instance, trust=case.pki["product-root.pem"], inspection=inspection)})
        if used:
            one_request(m)
        else:
            m.fails("tls-inspected")
        now = metrics(m.where)
        assert now.get("midrelay_inspections_total", relay="r") == 1
        assert now.get("midrelay_path_inspected", relay="r", path="direct") == used
        assert now.get("midrelay_path_failing", relay="r", path="direct", code="tls-inspected") == (None if used else 1)


def test_ready_tunnels_are_counted(case):
    instance = case.instance(mode="http")
    m = start(case, {"relay r": case.keys(instance, ready_tunnels="2")})
    wait_until(lambda: metrics(m.where).get("midrelay_ready_tunnels", relay="r") == 2, "ready tunnels")
    one_request(m)
    wait_until(lambda: metrics(m.where).get("midrelay_ready_made_total", relay="r") == 3, "another one")
    now = metrics(m.where)
    assert now.get("midrelay_ready_hits_total", relay="r") == 1
    assert now.get("midrelay_ready_misses_total", relay="r") == 0
    wait_until(lambda: status(m.where)["relays"][0]["ready_tunnels"]["waiting"] == 2, "the third one")
    # What midrelay holds of its own is not what the test opened.
    m.sections["relay r"]["ready_tunnels"] = "off"
    m.write()
    m.reload()
    wait_until(lambda: metrics(m.where).get("midrelay_ready_tunnels", relay="r") == 0, "none")
    assert metrics(m.where).get("midrelay_ready_expired_total", relay="r") == 2
    m.baseline = harness.settled(m.descriptors)


def test_ready_says_why_not(case):
    instance = case.instance(mode="http")
    proxy = case.proxy(instance, reply="squid-407")
    expired = relay(case, instance, client_bundle=case.pki["client-expired-bundle.pem"])
    m = start(case, {"relay old": expired, "relay r": relay(case, instance, [proxy])}, **harness.NO_SANDBOX)
    response = get(m.where, "/readyz")
    assert response.status == 503 and response.body.count(b"\n") == 1, response.body
    assert response.body.startswith(b"relay old: client-cert-expired: "), response.body
    m.fails("proxy-auth-required", relay="r")
    lines = get(m.where, "/readyz").body.decode().splitlines()
    assert len(lines) == 2 and lines[1].startswith("relay r: %s: proxy-auth-required: " % harness.url(proxy)), lines
    # It never dials by itself.
    made = len(proxy.connections)
    for _ in range(20):
        get(m.where, "/readyz")
    assert len(proxy.connections) == made and instance.connections == []
    # A new password would help; here, another proxy under the same relay.
    m.sections["relay r"]["proxy"] = harness.url(case.proxy(instance))
    m.sections["relay old"]["client_bundle"] = case.pki["client-bundle.pem"]
    m.write()
    m.reload()
    one_request(m, "r")
    response = get(m.where, "/readyz")
    assert (response.status, response.body) == (200, b"ready\n"), response.body


def test_draining_is_not_ready(case):
    m = start(case, {"relay r": relay(case, case.instance(mode="http"))}, drain_timeout="20s")
    with m.connect() as sock:
        assert ask(sock).status == 200
        m.signal(signal.SIGTERM)
        m.wait_event("draining")
        response = get(m.where, "/readyz")
        assert response.status == 503 and response.body == b"draining\n", response.body
        assert get(m.where, "/livez").status == 200 and metrics(m.where).get("midrelay_draining") == 1
    assert m.wait() == 0


def stop_a_thread(m, comm_at):
    """Stops one thread of the process for good; the returned call lets it go on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    thread = sorted(int(tid) for tid in os.listdir("/proc/%d/task" % m.pid))[comm_at]
    if libc.ptrace(0x4206, thread, None, None) != 0:     # PTRACE_SEIZE
        raise Skip("no ptrace here")
    assert libc.ptrace(0x4207, thread, None, None) == 0  # PTRACE_INTERRUPT
    os.waitpid(thread, 0x40000000)                       # __WALL
    return lambda: libc.ptrace(17, thread, None, None)   # PTRACE_DETACH


def test_a_hanging_worker_is_not_alive(case):
    if harness.SANITIZED:
        raise Skip("a sanitizer has threads of its own")
    m = start(case, {"relay r": relay(case, case.instance())}, workers="2")
    wait_until(lambda: len(metrics(m.where).named("midrelay_loop_lag_seconds")) == 2, "a heartbeat")
    assert get(m.where, "/livez").status == 200
    # Threads in their order: main, two workers, the endpoint.
    go_on = stop_a_thread(m, 2)
    try:
        wait_until(lambda: get(m.where, "/livez").status == 503, "503", LIMIT * 2)
        response = get(m.where, "/livez")
        assert re.match(rb"worker 1 has not answered for \d+ s\n", response.body), response.body
        assert metrics(m.where).get("midrelay_loop_lag_seconds", worker="1") > 5
        assert metrics(m.where).get("midrelay_loop_lag_seconds", worker="0") < 5
    finally:
        go_on()
    wait_until(lambda: get(m.where, "/livez").status == 200, "life again")


def test_names_with_quotes_and_umlauts(case):
    """They come from certificates; a relay's and a path's have neither."""
    key, cert = case.path("odd.key"), case.path("odd.pem")
    subprocess.run(["openssl", "req", "-x509", "-utf8", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "10", "-subj", '/CN=b\u00fcro "one" \\\\ two'], check=True,
                   capture_output=True)
    os.chmod(key, 0o600)
    instance = case.instance(mode="http")
    m = start(case, {"relay r": relay(case, instance, client_bundle=None, client_cert=cert, client_key=key)})
    now = metrics(m.where)
    promtool(now.text)
    subjects = [cert["subject"] for cert in status(m.where)["relays"][0]["certificates"]]
    assert len(subjects) == 1 and '\\"one\\"' in subjects[0], subjects   # RFC 4514 has escapes of its own
    assert now.get("midrelay_certificate_expiry_timestamp_seconds", relay="r", of="client", path="",
                   subject=subjects[0]) > time.time() + 8 * 86400
    assert subjects[0].encode() in get(m.where, "/text?columns=200").body


def test_every_metric_is_documented(case):
    m = drive(case)
    one_request(m, "a")
    told = set(re.findall(r"^# TYPE (\S+)", metrics(m.where).text, re.M))
    with open(os.path.join(harness.TOP, "doc", "metrics.md")) as doc:
        written = set(re.findall(r"^\|[^|]*", doc.read(), re.M))
    named = {name for cell in written for name in re.findall(r"`((?:midrelay|process)_[a-z_]+)", cell)}
    assert told == {name for name in named if not name.endswith("_bucket")}, told ^ named


def test_no_secret_is_told(case):
    instance = case.instance(mode="http")
    proxy = case.proxy(instance, auth=[harness.USER, harness.PASSWORD])
    m = start(case, {"relay r": relay(case, instance, [proxy], proxy_user=harness.USER,
                                      proxy_password=harness.PASSWORD)})
    one_request(m)
    clean(case, *(get(m.where, path).body for path in PAGES))
    m.sections["relay r"]["proxy_password"] = "file:/nowhere/" + "x"
    m.write()
    m.reload(ok=False)
    clean(case, *(get(m.where, path).body for path in PAGES))


# Those who mean no good

def refused(m, request):
    """(status, rest) of what raw bytes are answered with."""
    with status_client.raw(m.where) as sock:
        harness.try_send(sock, request)
        got, _end = harness.read_all(sock)
    assert not got or got.startswith(b"HTTP/1.1 "), got
    return int(got[9:12]) if got else None


def test_requests_that_are_refused(case):
    m = start(case, {"relay r": relay(case, case.instance())})
    host = b"Host: 127.0.0.1\r\n"
    for request, expected in (
            (b"POST /status HTTP/1.1\r\n" + host + b"Content-Length: 5\r\n\r\nhello", 405),
            (b"GET / HTTP/1.1\r\n" + host + b"Content-Length: 5\r\n\r\nhello", 413),
            (b"GET / HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
            (b"GET / HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\n" + host + host + b"\r\n", 400),
            (b"GET / HTTP/2.0\r\n" + host + b"\r\n", 505),
            (b"GET http://127.0.0.1/ HTTP/1.1\r\n" + host + b"\r\n", 400),
            (b"GET /\x00 HTTP/1.1\r\n" + host + b"\r\n", 400),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400),
            (b"GET / HTTP/1.1\r\n" + host + b"X: " + b"x" * 20000 + b"\r\n\r\n", 431),
            (b"GET / HTTP/1.1\r\n" + host + b"X: x\r\n" * 200 + b"\r\n", 431)):
        assert refused(m, request) == expected, (request[:60], refused(m, request))
    assert get(m.where, "/livez").status == 200


def test_a_foreign_name_is_no_reader(case):
    """A web page whose name leads to 127.0.0.1 (DNS rebinding)."""
    m = start(case, {"relay r": relay(case, case.instance())})
    for host, expected in (("attacker.example", 421), ("attacker.example:9180", 421), ("127.0.0.1.attacker.example", 421),
                           ("localhost.attacker.example", 421), ("", 421), ("[::1", 421), ("127.0.0.1:x", 421),
                           ("127.0.0.1", 200), ("127.0.0.1:80", 200), ("localhost:9180", 200), ("[::1]:1", 200)):
        assert refused(m, b"GET /status HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host.encode()) == expected, host
    path = case.path("s.sock")
    n = start(case, {"relay r": relay(case, case.instance())}, "unix:" + path)
    assert refused(n, b"GET /livez HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n") == 200


def test_slow_and_many_clients_hold_nobody_up(case):
    m = start(case, {"relay r": relay(case, case.instance())})
    held = [status_client.raw(m.where) for _ in range(300)]
    try:
        for sock in held:
            harness.try_send(sock, b"GET / HTT")
        began = time.monotonic()
        assert get(m.where, "/livez").status == 200
        assert time.monotonic() - began < LIMIT / 2
        # No more than the limit are kept.
        wait_until(lambda: m.descriptors() < m.baseline + 70, "fewer connections")
        # One that drips has one deadline, whatever its progress.
        with status_client.raw(m.where) as sock:
            began = time.monotonic()
            ended = False
            while not ended:
                harness.try_send(sock, b"x")
                sock.settimeout(0.2)
                try:
                    ended = sock.recv(1) == b""
                except socket.timeout:
                    pass
                except ConnectionResetError:
                    ended = True
                assert time.monotonic() - began < 5 + LIMIT, "a dripping client is still there"
    finally:
        for sock in held:
            sock.close()
    wait_until(lambda: m.descriptors() == m.baseline, "their end")


def test_one_who_does_not_read(case):
    """Its answers pile up in the socket; others are served."""
    m = start(case, {"relay r": relay(case, case.instance())})
    with status_client.raw(m.where) as sock:
        sock.setblocking(False)
        request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
        sent = 0

        def full():
            nonlocal sent
            try:
                sent += sock.send(request * 5000)
            except BlockingIOError:
                return True
            return sent > 50 << 20
        wait_until(full, "a socket that is full")
        assert sent < 50 << 20
        assert get(m.where, "/livez").status == 200


# Load

def round_trips(sock, count):
    took = []
    for _ in range(count):
        began = time.perf_counter()
        assert ask(sock).status == 200
        took.append(time.perf_counter() - began)
    return took


def scrape(where, stop, counted):
    one = status_client.connection(where)
    while not stop.is_set():
        one.request("GET", "/metrics")
        assert one.getresponse().read()
        counted.append(1)
        harness.pace(0.003)
    one.close()


def test_a_thousand_scrapes_a_second(case):
    """The relay's latency does not move by more than the machine's own unrest."""
    if INSTRUMENTED:
        raise Skip("times mean nothing here")
    m = start(case, {"relay r": relay(case, case.instance(mode="http"))})
    with m.connect() as sock:
        quiet = round_trips(sock, 400)
        stop, counted = threading.Event(), []
        readers = [in_thread(scrape, m.where, stop, counted) for _ in range(4)]
        wait_until(lambda: len(counted) > 100, "scrapes")
        began, before = time.monotonic(), len(counted)
        loaded = round_trips(sock, 400)
        rate = (len(counted) - before) / (time.monotonic() - began)
        stop.set()
        for reader in readers:
            reader()
    one, other = statistics.median(quiet) * 1000, statistics.median(loaded) * 1000
    print("median round trip %.3f ms, with %.0f scrapes a second %.3f ms" % (one, rate, other))
    lag = max(metrics(m.where).named("midrelay_loop_lag_seconds").values())
    assert lag < 1, lag
    # The readers are threads of this very process and share its lock with the client: generous.
    assert other < 20 * one + 50, (one, other)


def test_scraping_while_all_happens(case):
    """For ThreadSanitizer: clients on two workers, reloads, failures and scrapes at the same time."""
    instance = case.instance(mode="http")
    m = start(case, {"relay a": relay(case, instance, ["http://127.0.0.1:%d" % case.closed_port(), "direct"]),
                     "relay b": relay(case, "127.0.0.1:%d" % case.closed_port())}, workers="2", max_connections="100")
    m.opened = None
    stop, counted = threading.Event(), []
    readers = [in_thread(scrape, m.where, stop, counted) for _ in range(2)]
    for _ in range(5):
        for _ in range(6):
            one_request(m, "a")
            m.get(relay="b")
        m.reload()
        get(m.where, "/status")
        get(m.where, "/text")
    stop.set()
    for reader in readers:
        reader()
    assert metrics(m.where).get("midrelay_connections_total", relay="a") == 30
    dials = metrics(m.where).named("midrelay_dials_total")
    assert sum(count for labels, count in dials.items() if ("relay", "b") in labels) == 30, dials


# The command

def test_the_command(case):
    path = case.path("status.sock")
    instance = case.instance(mode="http")
    proxy = case.proxy(instance, reply="403")
    m = start(case, {"relay good": relay(case, instance), "relay bad": relay(case, instance, [proxy])}, "unix:" + path)
    one_request(m, "good")
    done = case.run("status", "-c", m.config)
    assert done.returncode == 0 and done.stderr == "", done
    for word in ("midrelay 0", "ready", "good", "instance.lab.test", "direct  ok", "client", "days left"):
        assert word in done.stdout, (word, done.stdout)
    assert "\033" not in done.stdout
    m.fails("proxy-denied", relay="bad")
    done = case.run("status", "-c", m.config)
    assert done.returncode == 1 and "not ready: relay bad: " in done.stderr, done
    assert "NOT READY" in done.stdout and "proxy-denied" in done.stdout
    done = case.run("status", "-c", m.config, "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["ready"] is False
    clean(case, done.stdout)
    m.assert_ends_clean()
    done = case.run("status", "-c", m.config)
    assert done.returncode == 1 and done.stdout == "" and "unix:%s cannot be reached: nobody answers" % path in done.stderr


def test_the_command_asks_somebody_else(case):
    """Whoever took the port while midrelay does not run: no more than lines and colours come to the terminal."""
    said = "one\n\033[1;31mred\033[0m \033]0;title\007 \033[2J\033[6n \r\b\x7f \u009b2J b\u00fcro\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            for _ in range(3):
                sock, _peer = server.accept()
                with sock:
                    request = sock.recv(4096)
                    code = "503 No" if b"/readyz" in request else "200 OK"
                    body = said.encode()
                    sock.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (code.encode(), len(body), body))
        config = case.path("other.ini")
        harness.write_config(config, {"midrelay": {"status": "127.0.0.1:%d" % server.getsockname()[1]},
                                      "relay r": relay(case, case.instance())})
        served = in_thread(serve)
        done = case.run("status", "-c", config)
        probed = case.run("status", "-c", config, "--probe", "live")
        served()
    seen = "one\n\033[1;31mred\033[0m ?]0;title? ?[2J?[6n ??? ?2J b\u00fcro\n"
    assert (done.returncode, done.stdout, probed.stdout) == (1, seen, seen), (done, probed)
    assert done.stderr == "midrelay: not ready: one\n", done.stderr


def test_the_command_as_a_probe(case):
    instance = case.instance(mode="http")
    m = start(case, {"relay r": relay(case, instance, [case.proxy(instance, reply="403")])},
              "unix:" + case.path("status.sock"))
    for probe, said in (("live", "ok\n"), ("ready", "ready\n")):
        done = case.run("status", "-c", m.config, "--probe", probe)
        assert (done.returncode, done.stdout, done.stderr) == (0, said, ""), done
    m.fails("proxy-denied")
    # A path that fails is no reason to kill who waits for it.
    assert case.run("status", "-c", m.config, "--probe", "live").returncode == 0
    done = case.run("status", "-c", m.config, "--probe", "ready")
    assert done.returncode == 1 and done.stdout.startswith("relay r: "), done
    m.assert_ends_clean()
    assert case.run("status", "-c", m.config, "--probe", "live").returncode == 1
    assert case.run("status", "-c", m.config, "--probe", "health").returncode == 64
    assert case.run("status", "-c", m.config, "--probe", "live", "--json").returncode == 64


def test_a_broken_file_is_no_broken_relay(case):
    """A probe that failed for it would end a relay that keeps what it has, and could not start again."""
    path = case.path("status.sock")
    keys = {"relay r": relay(case, case.instance())}
    m = start(case, dict(keys), "unix:" + path)
    m.sections["relay r"]["targt"] = "x"
    m.write()
    m.reload(ok=False)
    environment = dict(os.environ, RUNTIME_DIRECTORY=case.dir)
    for env, fault in ((None, "unknown key targt"), (environment, "']' of the section is missing")):
        for args, said in ((["--probe", "live"], "ok\n"), (["--probe", "ready"], "ready\n"), (["--json"], '"version"')):
            done = case.run("status", "-c", m.config, *args, env=env)
            assert done.returncode == 0 and said in done.stdout and fault in done.stderr, done
        # Nor is it worse where nothing can be read, and the manager's directory tells where to ask.
        case.write(os.path.basename(os.path.dirname(m.config)) + "/midrelay.ini", "[relay r\n")
    os.unlink(m.config)
    done = case.run("status", "-c", m.config, "--probe", "live", env=environment)
    assert done.returncode == 0 and "No such file" in done.stderr, done
    environment["RUNTIME_DIRECTORY"] = case.path("elsewhere")
    done = case.run("status", "-c", m.config, "--probe", "live", env=environment)
    assert done.returncode == 78 and "No such file" in done.stderr, done


def test_the_command_without_an_endpoint(case):
    config = case.path("midrelay.ini")
    environment = {name: value for name, value in os.environ.items() if name != "RUNTIME_DIRECTORY"}
    harness.write_config(config, {"relay r": relay(case, case.instance())})
    done = case.run("status", "-c", config, env=environment)
    assert done.returncode == 78 and "set status = " in done.stderr, done
    harness.write_config(config, {"midrelay": {"status": "0.0.0.0:1"}, "relay r": relay(case, case.instance())})
    done = case.run("status", "-c", config)
    assert done.returncode == 78 and "not a loopback address" in done.stderr, done
    assert case.run("status", "-c", case.path("nothing.ini")).returncode == 78
    assert case.run("status", "--nonsense").returncode == 64


def test_what_answers_is_something_else(case):
    config = case.path("midrelay.ini")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        harness.write_config(config, {"midrelay": {"status": "127.0.0.1:%d" % other.getsockname()[1]},
                                      "relay r": relay(case, case.instance())})

        def speak():
            sock, _peer = other.accept()
            with sock:
                sock.recv(4096)
                sock.sendall(b"220 mail.example ESMTP\r\n")
        done_speaking = in_thread(speak)
        done = case.run("status", "-c", config)
        done_speaking()
    assert done.returncode == 1 and "no midrelay" in done.stderr, done


def test_the_command_watches(case):
    m = start(case, {"relay r": relay(case, case.instance(mode="http"))}, "unix:" + case.path("status.sock"))
    watch = subprocess.Popen([*harness.WRAPPER, harness.BINARY, "status", "-c", m.config, "--watch"], text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        heads = 0
        while heads < 2:
            heads += watch.stdout.readline().startswith("midrelay ")
        watch.send_signal(signal.SIGTERM)
        _rest, errors = watch.communicate(timeout=LIMIT)
    finally:
        watch.kill()
    assert watch.returncode == 0 and errors == "", (watch.returncode, errors)


def test_another_address_needs_a_restart(case):
    m = start(case, {"relay r": relay(case, case.instance())})
    m.sections["midrelay"]["status"] = "none"
    m.write()
    m.reload()
    assert m.wait_event("restart-needed")["msg"].startswith("status takes effect")
    assert get(m.where, "/livez").status == 200


if __name__ == "__main__":
    harness.main()
