#!/usr/bin/python3
"""Proves `midrelay check`: every stage's failure with its code, exit statuses, all paths at once, the local side."""

import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
import time

import harness
from harness import BINARY, LIMIT, SLOW, WRAPPER, records_done, url, wait_until
import pki as pki_maker

STAGES = ["resolve", "connect", "proxy", "tls", "certificate", "instance"]


def check(case, *args, status=0, **kwargs):
    """Runs it with --json; returns the document."""
    done = case.run("check", "--json", *args, **kwargs)
    for word in harness.SANITIZER_WORDS:
        assert word not in done.stderr, done.stderr
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    for secret in case.secrets():
        assert secret not in done.stdout + done.stderr, "a secret was printed"
    found = json.loads(done.stdout)
    assert found["exit_status"] == status, found
    return found


def configured(case, sections):
    config = case.path("check-%d.ini" % len(os.listdir(case.dir)))
    harness.write_config(config, sections)
    return config


def check_relay(case, target, proxies=(), status=0, args=(), process=None, **keys):
    sections = {"relay r": case.keys(target, proxies, **keys)}
    if process:
        sections["midrelay"] = process
    return check(case, "-c", configured(case, sections), *args, status=status)


def outcomes(path):
    return [path["stages"][stage]["outcome"] for stage in STAGES]


def fails(found, code, stage, index=0, verdict="broken"):
    """This path failed with this code, in this stage; what comes behind it was not reached."""
    path = found["paths"][index]
    assert path["failure"] and path["failure"]["code"] == code, path
    assert path["failure"]["sentence"] and path["failure"]["remedy"], path
    assert path["verdict"] == verdict, path
    at = STAGES.index(stage)
    got = outcomes(path)
    assert got[at] == "failed", got
    assert all(one in ("passed", "warned", "not-applicable") for one in got[:at]), got
    assert all(one in ("not-reached", "not-applicable") for one in got[at + 1:]), got
    return path


def test_all_stages_pass(case):
    instance = case.instance()
    proxy = case.proxy(instance, auth=[harness.USER, harness.PASSWORD])
    found = check_relay(case, instance, [proxy, "direct"], auth=True)
    through, direct = found["paths"]
    assert (through["relay"], through["path"], direct["path"]) == ("r", url(proxy), "direct")
    assert outcomes(through) == ["not-applicable"] + ["passed"] * 5, through
    assert outcomes(direct) == ["not-applicable", "passed", "not-applicable"] + ["passed"] * 3, direct
    assert through["proxy_reply"].startswith("HTTP/1.1 200"), through
    assert through["address"] == "127.0.0.1:%d" % proxy.port and direct["address"] == "127.0.0.1:%d" % instance.port
    assert direct["tls"]["version"] == "TLSv1.3" and direct["tls"]["cipher"].startswith("TLS_"), direct
    assert direct["tls"]["group"], direct
    assert direct["server"]["chain_verified"] is True and "Lab Intermediate CA" in direct["server"]["issuer"]
    assert direct["client_certificate"] == {"requested": True, "in_clear": False}
    assert [p["request"] for p in direct["probes"]] == ["GET /adcv2/server", "GET /adcv2/supports_tls",
                                                       "POST /InstanceInfo.do?SOAP"], direct["probes"]
    assert all(p["status"] == 200 and p["outcome"] == "passed" for p in direct["probes"]), direct["probes"]
    assert all(direct["stages"][stage]["ms"] >= 0 for stage in ("connect", "tls", "certificate", "instance"))
    assert {item["what"] for item in found["local"]} >= {"client_bundle", "trust", "listen"}, found["local"]
    # The requests, as they came: a path's first by itself, the others on sessions that it gave.
    records = records_done(instance, 6)
    asked = sorted(r["path"] for record in records for r in record["requests"])
    assert asked == sorted(2 * ["/adcv2/server", "/adcv2/supports_tls", "/InstanceInfo.do?SOAP"]), asked
    assert [record["resumed"] for record in records].count(True) == 4, records
    headers = dict(map(tuple, records[0]["requests"][0]["headers"]))
    assert headers["Host"] == "instance.lab.test:%d" % instance.port and headers["Connection"] == "close", headers
    assert headers["User-Agent"].startswith("midrelay/"), headers


def test_resolve(case):
    found = check_relay(case, "instance.invalid", ["http://proxy.invalid:3128", "direct"], status=1,
                        target_address=None, connect_timeout="2s")
    for index in range(2):
        path = found["paths"][index]
        assert path["failure"]["stage"] == "resolve" and path["stages"]["resolve"]["outcome"] == "failed", path
        assert ".invalid" in path["failure"]["sentence"]


def test_connect(case):
    instance, proxy = case.instance(), case.proxy(never_accept=True)
    gone = case.proxy(instance)
    case.lab.stop_server(gone)
    found = check_relay(case, instance, [gone, proxy], status=1, connect_timeout="300ms")
    fails(found, "connect-refused", "connect")
    fails(found, "connect-timeout", "connect", 1)


def test_proxy(case):
    instance = case.instance()
    replies = {"squid-407": ("proxy-auth-required", "blocked"), "403": ("proxy-denied", "blocked")}
    for reply, (code, verdict) in replies.items():
        path = fails(check_relay(case, instance, [case.proxy(instance, reply=reply)], status=1), code, "proxy",
                     verdict=verdict)
        assert path["stages"]["proxy"]["ms"] >= 0, path
    silent = case.proxy(instance, silent=True)
    fails(check_relay(case, instance, [silent], status=1, proxy_timeout="200ms"), "proxy-timeout", "proxy")
    closing = case.proxy(instance, close_at="request")
    fails(check_relay(case, instance, [closing], status=1), "proxy-closed", "proxy")


def test_tls(case):
    for cert, code in (("untrusted", "tls-untrusted"), ("wrong-name", "tls-hostname"), ("expired", "tls-expired")):
        instance = case.instance(cert=cert)
        path = fails(check_relay(case, instance, status=1), code, "tls")
        assert path["server"]["issuer"], path
        harness.assert_nothing_left(instance)
    stalled = case.instance(handshake="silent")
    fails(check_relay(case, stalled, status=1, tls_timeout="300ms"), "tls-timeout", "tls")
    plain = case.proxy(case.instance(), tunnel="plaintext")
    fails(check_relay(case, case.instance(), [plain], status=1), "tls-not-tls", "tls")


def test_inspected_is_status_3(case):
    instance = case.instance(ask="optional")
    inspecting = case.proxy(instance, tunnel="inspect", inspect={"cert": "product", "ask": "optional"})
    both = case.write("both.pem", open(case.pki["root.pem"]).read() + open(case.pki["product-root.pem"]).read())
    found = check_relay(case, instance, [inspecting, "direct"], status=3, trust=both)
    path = fails(found, "tls-inspected", "tls", verdict="inspected")
    assert path["server"]["inspection_product"] == "Zscaler", path
    assert found["paths"][1]["verdict"] == "clean"
    # Used all the same: nothing fails, and it is inspected.
    found = check_relay(case, instance, [inspecting], status=3, trust=both, inspection="warn",
                        require_client_cert_request="no")
    path = found["paths"][0]
    assert path["verdict"] == "inspected" and path["failure"] is None, path
    assert path["stages"]["tls"]["outcome"] == "warned" and "inspection = warn" in path["notes"][0], path
    # Two reasons are two.
    config = configured(case, {"relay r": case.keys(instance, [inspecting], trust=None, inspection="warn",
                                                    require_client_cert_request="no")})
    path = check(case, "-c", config, status=3, env=dict(os.environ, SSL_CERT_FILE=both))["paths"][0]
    assert path["notes"][0] == "judged inspected, and used because of inspection = warn: the issuer looks like " \
        "Zscaler, no Certificate Transparency timestamp came with it", path


def test_a_chain_that_fails_here_and_verifies_there_is_status_3(case):
    instance = case.instance()
    inspecting = case.proxy(instance, tunnel="inspect")
    found = check_relay(case, instance, [inspecting, "direct"], status=3)
    assert found["paths"][0]["verdict"] == "inspected" and found["paths"][0]["failure"]["code"] == "tls-untrusted"


def test_client_certificate(case):
    for version in ("1.2", "1.3"):
        rejecting = case.instance(reject=True, tls_max=version)
        fails(check_relay(case, rejecting, status=1), "client-cert-rejected", "certificate")
        asking_none = case.instance(ask="none", tls_max=version)
        path = fails(check_relay(case, asking_none, status=1), "client-cert-not-requested", "certificate")
        assert path["client_certificate"]["requested"] is False
    fails(check_relay(case, case.instance(answer="cert-refused"), status=1), "instance-cert-refused", "certificate")


def test_client_certificate_that_has_ended(case):
    instance = case.instance()
    found = check_relay(case, instance, status=1, client_bundle=case.pki["client-expired-bundle.pem"])
    path = found["paths"][0]
    assert path["failure"]["code"] == "client-cert-expired" and path["stages"]["certificate"]["outcome"] == "failed"
    assert outcomes(path)[0] == "not-reached" and instance.connections == [], "it was dialled with"
    item = [i for i in found["local"] if i["what"] == "client_bundle" and i["outcome"] == "failed"]
    assert item and "ended" in item[0]["seen"] and item[0]["remedy"], found["local"]


def test_no_client_certificate(case):
    for ask, words in (("none", "asks for none"), ("optional", "none is configured")):
        path = check_relay(case, case.instance(ask=ask), client_bundle=None)["paths"][0]
        assert path["verdict"] == "clean" and path["stages"]["certificate"]["outcome"] == "not-applicable", path
        assert words in path["stages"]["certificate"]["seen"], path
    fails(check_relay(case, case.instance(), status=1, client_bundle=None), "client-cert-rejected", "certificate")


def test_instance(case):
    rows = [({"answer": "hibernating"}, "instance-hibernating"), ({"answer": "session-timeout"}, "instance-hibernating"),
            ({"answer": "unavailable"}, "instance-status"), ({"supports_tls": "false"}, "instance-no-tls-support"),
            ({"answer": "cut"}, "relay-truncated")]
    for scenario, code in rows:
        fails(check_relay(case, case.instance(**scenario), status=1), code, "instance")
    fails(check_relay(case, case.instance(answer="plain"), status=1, args=["--probe", "instance"]),
          "instance-not-adcv2", "instance")
    fails(check_relay(case, case.instance(mode="hold"), status=1, args=["--probe", "instance", "--timeout", "300ms"]),
          "instance-status", "instance")
    assert check_relay(case, case.instance(supports_tls="mixed"))["paths"][0]["stages"]["instance"]["outcome"] == "passed"
    path = check_relay(case, case.instance(answer="soap-fault"))["paths"][0]
    assert path["stages"]["instance"]["outcome"] == "warned" and "SOAP fault" in path["notes"][0], path


def test_who_is_no_instance(case):
    plain = case.instance(answer="plain")
    path = check_relay(case, plain)["paths"][0]
    assert path["verdict"] == "clean" and outcomes(path)[4:] == ["passed", "not-applicable"], path
    assert "404" in path["stages"]["instance"]["seen"] and "nginx" in path["stages"]["instance"]["seen"], path
    assert len(path["probes"]) == 1 and len(records_done(plain)) == 1
    http = case.instance(answer="plain")
    path = check_relay(case, http, args=["--probe", "http"])["paths"][0]
    assert [r["path"] for r in records_done(http)[0]["requests"]] == ["/"] and "200" in path["stages"]["instance"]["seen"]
    nothing = case.instance()
    path = check_relay(case, nothing, args=["--probe", "none"])["paths"][0]
    assert path["verdict"] == "clean" and path["stages"]["certificate"]["outcome"] == "warned", path
    assert "not proven" in path["stages"]["certificate"]["seen"] and records_done(nothing)[0]["requests"] == []
    # What speaks no HTTP has taken the certificate or not: nobody knows.
    path = check_relay(case, case.instance(mode="echo"))["paths"][0]
    assert path["verdict"] == "clean" and outcomes(path)[4:] == ["warned", "not-applicable"], path
    # Gone on the first request: so does one end that refuses the certificate without a word.
    reset = case.instance(mode="source", bytes=0, end="reset")
    path = check_relay(case, reset, status=1)["paths"][0]
    assert path["stages"]["certificate"]["outcome"] == "failed", path


def test_a_reset_that_the_write_is_told_of(case):
    """
    A reset that meets the request is no end without close_notify.  In TLS 1.2 it comes right behind the server's last word
    of the handshake, and among many at a time some requests are written when it is there.
    """
    instance = case.instance(mode="source", bytes=0, end="reset", tls_max="1.2")
    found = check(case, "-c", configured(case, {"relay r%d" % n: case.keys(instance) for n in range(20)}), status=1)
    assert {path["failure"]["code"] for path in found["paths"]} == {"relay-reset"}, found["paths"]


def test_notes(case):
    for name, server in (("server-soon", True), ("client-soon", False)):
        pki_maker.issue(case.pki, case.dir, name, 10.5, server)
    instance = case.instance(cert="server-soon", tls_max="1.2")
    found = check_relay(case, instance, client_bundle=case.pki["client-soon-bundle.pem"])
    path = found["paths"][0]
    notes = "\n".join(path["notes"])
    assert path["verdict"] == "clean" and path["client_certificate"]["in_clear"], path
    assert "the server's certificate (leaf) ends in 10 days" in notes, notes
    assert "the client's certificate (leaf) ends in 10 days" in notes and "TLS 1.2 showed" in notes, notes
    assert outcomes(path)[3:5] == ["warned", "warned"], path
    assert any(i["what"] == "client_bundle" and i["outcome"] == "warned" and "10 days" in i["seen"]
               for i in found["local"]), found["local"]
    found = check_relay(case, instance, client_bundle=case.pki["client-soon-bundle.pem"],
                        process={"expiry_warning": "5d"})
    assert "ends in" not in "\n".join(found["paths"][0]["notes"])


def test_half_of_twenty_paths_hang(case):
    instance = case.instance()
    ways = [{"never_accept": True}, {"silent": True}, {"tunnel": "stall"}]
    proxies = []
    for n in range(20):
        proxies.append(case.proxy(instance, **(ways[n % len(ways)] if n % 2 else {})))
    began = time.monotonic()
    found = check_relay(case, instance, proxies, status=1, args=["--timeout", "2s"])
    took = time.monotonic() - began
    assert took < 2 + 1 * SLOW, took
    verdicts = [path["verdict"] for path in found["paths"]]
    assert verdicts == ["clean", "broken"] * 10, verdicts
    codes = {path["failure"]["code"] for path in found["paths"] if path["failure"]}
    assert codes == {"connect-timeout", "proxy-timeout", "tls-timeout"}, codes


def test_more_paths_than_the_soft_limit_has_descriptors(case):
    silent = case.proxy(case.instance(), silent=True)
    rules = case.write("many.ini", "".join("[r%d]\ntarget = t%d.example\npath = %s\nexpect = proxy-timeout\n" %
                                           (i, i, url(silent)) for i in range(60)))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    found = check(case, "--expect", rules, "--trust", case.pki["root.pem"], "--timeout", "%dms" % (500 * SLOW),
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, hard)))
    assert len(found["paths"]) == 60, found["summary"]


def test_two_relays_and_a_filter(case):
    one, two = case.instance(), case.instance(answer="cert-refused")
    config = configured(case, {"relay one": case.keys(one), "relay two": case.keys(two)})
    found = check(case, "-c", config, status=1)
    assert [path["relay"] for path in found["paths"]] == ["one", "two"]
    found = check(case, "-c", config, "one")
    assert [path["relay"] for path in found["paths"]] == ["one"]
    assert {item["relay"] for item in found["local"]} == {"one"}
    done = case.run("check", "-c", config, "ones")
    assert done.returncode == 64 and "there is no [relay ones]" in done.stderr and "did you mean one?" in done.stderr


def test_target(case):
    instance = case.instance()
    proxy = case.proxy(instance, auth=[harness.USER, harness.PASSWORD])
    password = "file:" + case.write("password", harness.PASSWORD)
    target = "localhost:%d" % instance.port
    found = check(case, "--target", target, "--proxy", url(proxy), "--direct", "--proxy-user", harness.USER,
                  "--proxy-password", password, "--trust", case.pki["root.pem"], "--client-bundle",
                  case.pki["client-bundle.pem"])
    assert [(p["relay"], p["path"], p["verdict"]) for p in found["paths"]] == [
        (target, url(proxy), "clean"), (target, "direct", "clean")], found["paths"]
    assert found["file"] is None and not any(item["what"] == "listen" for item in found["local"])
    # An address has no name to resolve and needs its brackets.
    inet6 = case.instance(ask="none", family="inet6")
    path = check(case, "--target", "[::1]:%d" % inet6.port, "--trust", case.pki["root.pem"])["paths"][0]
    assert path["verdict"] == "clean" and outcomes(path)[0] == "not-applicable", path
    headers = dict(map(tuple, records_done(inet6, 3)[0]["requests"][0]["headers"]))
    assert headers["Host"] == "[::1]:%d" % inet6.port, headers
    # Direct is what there is without a proxy; no certificate, and the server asks for none.
    found = check(case, "--target", "localhost:%d" % case.instance(ask="none").port, "--trust", case.pki["root.pem"])
    assert found["paths"][0]["path"] == "direct" and outcomes(found["paths"][0])[4] == "not-applicable"


def test_usage(case):
    rows = [(["--nothing"], "there is no option --nothing"), (["--target"], "--target needs a value"),
            (["--target", "a", "-c", "x"], "--target takes the place"), (["--proxy", "http://a:1"], "go with --target"),
            (["--target", "a:b:c"], "--target: "), (["--target", "a", "--proxy", "http://a b:1"], "--proxy: "),
            (["--target", "a", "--proxy", "corp"], "--proxy takes a URL"),
            (["--target", "a", "--proxy-user", "u"], "--proxy-user needs --proxy-password"),
            (["--target", "a", "--proxy-user", "u", "--proxy-password", "open-secret"], "takes a reference"),
            (["--target", "a", "--proxy", "http://u:open-secret@a:1"], "--proxy: "),
            (["--target", "a\ninspection = ignore"], "control character"),
            (["--timeout", "soon"], "--timeout takes"), (["--probe", "soap"], "--probe takes"),
            (["--format", "xml"], "--format takes"), (["--watch", "1ms"], "--watch takes"),
            (["--trust", "x"], "--trust goes with --target"),
            (["-xy"], "there is no option -x"), (["--json=yes"], "--json takes no value"),
            (["--proxy-pasword=open-secret"], "there is no option --proxy-pasword")]
    for args, words in rows:
        done = case.run("check", *args)
        assert done.returncode == 64 and words in done.stderr and done.stdout == "", (args, done)
        assert "open-secret" not in done.stderr, done.stderr
    done = case.run("check", "--target", "localhost:1", "--client-bundle", case.path("nowhere.pem"))
    assert done.returncode == 78 and "--client-bundle: " in done.stderr and "No such file" in done.stderr, done
    # check has no --passphrase.
    done = case.run("check", "--target", "localhost:1", "--client-bundle", case.pki["client-encrypted-bundle.pem"])
    assert done.returncode == 78 and "set client_passphrase (for `midrelay bundle`: --passphrase)" in done.stderr, done


def test_faults_are_listed_as_config_does(case):
    config = case.write("bad.ini", "[relay r]\nlisten = 127.0.0.1:0\ntarget = a b\nclient_bundle = %s\nproxi = direct\n"
                        % case.path("nowhere.pem"))
    as_config, as_check = case.run("config", "-c", config), case.run("check", "-c", config)
    assert as_check.returncode == as_config.returncode == 78
    assert as_check.stderr == as_config.stderr and as_check.stderr.count("bad.ini:") == 3, as_check.stderr
    assert as_check.stdout == ""


def test_listen_addresses(case):
    instance = case.instance()
    m = case.relay(instance)
    with socket.socket() as other, socket.socket(socket.AF_UNIX) as left:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        left.bind(case.path("left"))
        left.close()
        listen = ["127.0.0.1:%d" % m.port(), "127.0.0.1:%d" % other.getsockname()[1], "unix:" + case.path("left"),
                  "unix:" + case.path("free"), "unix:" + case.write("file", ""), "127.0.0.1:0",
                  "unix:" + case.path("dangling") + "/socket"]
        os.symlink(case.path("nowhere"), case.path("dangling"))
        found = check_relay(case, instance, status=1, listen=listen)
        seen = {item["subject"]: item for item in found["local"] if item["what"] == "listen"}
        other.settimeout(0)
        try:
            other.accept()
            assert False, "somebody connected to it"
        except BlockingIOError:
            pass
    assert "a running midrelay (pid %d)" % m.pid in seen[listen[0]]["seen"], seen
    assert seen[listen[0]]["outcome"] == "passed" and m.events("session") == [], "a session was made for it"
    assert seen[listen[1]]["outcome"] == "failed" and "(pid %d)" % os.getpid() in seen[listen[1]]["seen"], seen
    assert seen[listen[2]]["outcome"] == "passed" and "left behind" in seen[listen[2]]["seen"], seen
    assert seen[listen[3]]["seen"] == "free" and not os.path.exists(case.path("free")), seen
    assert seen[listen[4]]["outcome"] == "failed" and "no socket" in seen[listen[4]]["seen"], seen
    assert seen[listen[5]]["outcome"] == "passed", seen
    assert seen[listen[6]]["outcome"] == "failed" and "No such" in seen[listen[6]]["seen"], seen


def test_listen_unix_of_a_running_midrelay(case):
    instance = case.instance()
    m = case.relay(instance, listen="unix:" + case.path("sock"))
    found = check_relay(case, instance, listen="unix:" + case.path("sock"))
    item = [i for i in found["local"] if i["what"] == "listen"][0]
    assert "a running midrelay (pid %d)" % m.pid in item["seen"] and m.events("session") == [], item


def test_a_new_certificate_before_the_swap(case):
    instance = case.instance()
    keys = case.keys(instance)
    sealed = subprocess.run(WRAPPER + [BINARY, "seal", "--cert", case.pki["client-bundle.pem"]], check=True,
                            input=harness.PASSWORD, capture_output=True, text=True).stdout.strip()
    proxy = case.proxy(instance, auth=[harness.USER, harness.PASSWORD])
    keys.update(proxy=url(proxy), proxy_user=harness.USER, proxy_password=sealed)
    config = configured(case, {"relay r": keys})
    check(case, "-c", config, "--client-bundle", case.pki["client-renewed-bundle.pem"])
    for record in records_done(instance, 3):
        assert record["client_cert"]["subject"].endswith("mid-one-renewed"), record["client_cert"]
    bare = configured(case, {"relay r": case.keys(instance, client_bundle=None)})
    done = case.run("check", "-c", bare, "--client-bundle", case.pki["client-renewed-bundle.pem"])
    assert done.returncode == 78 and "--client-bundle" in done.stderr, done


def test_quiet(case):
    config = configured(case, {"relay r": case.keys(case.instance(answer="cert-refused"))})
    done = case.run("check", "-c", config, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", ""), done


def test_formats(case):
    config = configured(case, {"relay r": case.keys(case.instance())})
    for form, words in (("table", "direct"), ("tap", "TAP version 13"), ("junit", "<testsuite"), ("json", '"paths"')):
        done = case.run("check", "-c", config, "--format", form)
        assert done.returncode == 0 and words in done.stdout and done.stderr == "", (form, done)


def test_expect(case):
    instance = case.instance()
    blocked = case.proxy(instance, reply="403")
    inspecting = case.proxy(instance, tunnel="inspect")
    target = "localhost:%d" % instance.port
    rules = "".join("[%s]\ntarget = %s\npath = %s\nexpect = %s\n" % row for row in (
        ("straight", target, "direct", "clean"), ("stopped", target, url(blocked), "blocked"),
        ("read", target, url(inspecting), "inspected")))
    plain = ["--trust", case.pki["root.pem"], "--probe", "none"]
    asks_none = case.instance(ask="none")
    # The rules alone: nothing is shown to anybody, so the target must not insist on a certificate.
    alone = rules.replace(target, "localhost:%d" % asks_none.port)
    for proxy in (blocked, inspecting):
        proxy.configure(**dict(proxy.scenario, target="127.0.0.1:%d" % asks_none.port))
    found = check(case, "--expect", case.write("alone.ini", alone), *plain)
    assert [p["expectation"]["held"] for p in found["paths"]] == [True] * 3, found["paths"]
    assert [item["what"] for item in found["local"]] == ["trust"], "what the rules share is told once"
    # With a configuration: its paths, and those that the rules have besides.
    config = configured(case, {"relay r": dict(case.keys(instance), target=target),
                               "proxy corp": {"url": url(blocked)}})
    more = rules.split("[stopped]")[0] + "[by name]\ntarget = localhost:%d\npath = corp\nexpect = proxy-denied\n" % \
        asks_none.port
    found = check(case, "-c", config, "--expect", case.write("more.ini", more))
    assert [(p["path"], p["expectation"]["held"]) for p in found["paths"]] == [("direct", True), ("corp", True)]
    wrong = case.write("wrong.ini", rules.split("[stopped]")[0].replace("clean", "blocked"))
    found = check(case, "-c", config, "--expect", wrong, status=1)
    assert found["paths"][0]["expectation"]["held"] is False
    # A file of rules is no configuration, whatever is wrong with it.
    for file in (case.path("nowhere.ini"), case.dir):
        done = case.run("check", "--expect", file)
        assert done.returncode == 78 and done.stderr.startswith(file) and "configuration" not in done.stderr, done
    # A rule about a proxy that nobody has is a fault of the rules.
    unknown = case.write("unknown.ini", rules.split("[stopped]")[0].replace("path = direct", "path = corb"))
    done = case.run("check", "-c", config, "--expect", unknown)
    assert done.returncode == 78 and "unknown.ini:1: " in done.stderr and "did you mean corp?" in done.stderr, done


def test_expect_tells_faults_where_they_are(case):
    """What a rule's path has from the configuration or from an option is not the rule's fault, and told once."""
    rules = case.write("rules.ini", "".join("[%s]\ntarget = %s.example\npath = http://p:1\nexpect = clean\n" %
                                            (name, name) for name in ("one", "two")))
    config = case.write("check.ini", "[relay r]\nlisten = 127.0.0.1:0\ntarget = t\nproxy = http://p:1\nproxy_user = u\n"
                        "proxy_password = file:/nowhere\n")
    done = case.run("check", "-c", config, "--expect", rules)
    assert done.returncode == 78 and re.findall(r":(\d+): ", done.stderr) == ["6"], done
    # A literal password is warned of at its line, and nowhere else.
    config = case.write("literal.ini", open(config).read().replace("file:/nowhere", "s3cret") + "trust = /nowhere\n")
    done = case.run("check", "-c", config, "--expect", rules)
    assert done.returncode == 78 and re.findall(r":(\d+): ", done.stderr) == ["6", "7"], done
    for options, named in ((["--trust", "/nowhere"], "--trust"),
                           (["--proxy-user", "u", "--proxy-password", "file:/nowhere"], "--proxy-password")):
        for more in ([], ["--target", "t"]):
            done = case.run("check", "--expect", rules, *options, *more)
            assert done.returncode == 78 and done.stderr.startswith("midrelay: %s: " % named), done
            assert done.stderr.count("/nowhere") == 1, done


def test_expect_takes_the_proxys_own_settings(case):
    instance = case.instance(ask="none")
    proxy = case.proxy(instance, auth=[harness.USER, harness.PASSWORD])
    config = configured(case, {"relay r": case.keys("instance.lab.test:1", [proxy], auth=True)})
    rules = case.write("rules.ini", "[a]\ntarget = localhost:%d\npath = %s\nexpect = tls-untrusted\n" %
                       (instance.port, url(proxy)))
    found = check(case, "-c", config, "--expect", rules)
    path = [p for p in found["paths"] if p["expectation"]][0]
    assert path["failure"]["code"] == "tls-untrusted" and path["proxy_reply"].startswith("HTTP/1.1 200"), path


def test_debug(case):
    instance = case.instance(ask="none")
    args = ["check", "--trust", case.pki["root.pem"], "--target", "localhost:%d" % instance.port, "--debug"]
    done = case.run(*args)
    assert done.returncode == 0 and "target: " in done.stderr and "ClientHello" in done.stderr, done
    # A line of the trace begins with its peer, and there is the end of the handshake in it.
    assert "Finished" in done.stderr, done.stderr
    done = case.run(*args, "--direct", "--proxy", "http://127.0.0.1:1")
    assert done.returncode == 64 and "--debug is for one path" in done.stderr and "http://127.0.0.1:1" in done.stderr


def start(case, *args):
    process = subprocess.Popen(WRAPPER + [BINARY, "check", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    case.cleanups.append(lambda: process.poll() is None and process.kill())
    return process


def test_watch(case):
    instance = case.instance()
    config = configured(case, {"relay r": case.keys(instance)})
    process = start(case, "-c", config, "--watch", "1s")
    wait_until(lambda: len(instance.connections) >= 3, "the first round")
    wait_until(lambda: len(instance.connections) >= 6, "the second round")
    instance.configure(answer="cert-refused")
    refused = len(instance.connections)
    wait_until(lambda: sum(len(r["requests"]) == 1 for r in instance.connections[refused:]) >= 2, "two rounds more")
    wait_until(lambda: len(instance.connections) >= refused + 3, "the round that follows")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 1, (process.returncode, out, err)
    assert out.count("instance-cert-refused") == 1 and err == "", (out, err)
    assert not re.search("Sanitizer", err), err


def test_watch_leaves_no_descriptor(case):
    instance = case.instance()
    config = configured(case, {"relay r": case.keys(instance)})
    process = start(case, "-c", config, "--watch", "1s")
    counts = []
    for rounds in range(1, 5):
        wait_until(lambda: len(records_done(instance, 3 * rounds)) >= 3 * rounds, "round %d" % rounds)
        counts.append(harness.settled(lambda: len(os.listdir("/proc/%d/fd" % process.pid)), 0.2))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0 and len(set(counts)) == 1, (process.returncode, counts, err)


def test_progress_on_a_terminal(case):
    """Drawn on stderr while it runs, and gone when the result is there; the result has none of it."""
    instance = case.instance()
    config = configured(case, {"relay r": case.keys(instance, [case.proxy(instance, silent=True), "direct"],
                                                    proxy_timeout="500ms")})
    leader, terminal = pty.openpty()
    process = subprocess.Popen(WRAPPER + [BINARY, "check", "-c", config, "--json"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=terminal, env=dict(os.environ, TERM="xterm"))
    os.close(terminal)
    drawn = harness.in_thread(read_terminal, leader)
    out, _ = process.communicate(timeout=LIMIT)
    drawn = drawn()
    os.close(leader)
    assert process.returncode == 1 and len(json.loads(out)["paths"]) == 2, out
    assert "direct" in drawn and "proxy" in drawn and drawn.endswith("\x1b[J"), drawn


def read_terminal(leader):
    got = b""
    try:
        while part := os.read(leader, 65536):
            got += part
    except OSError:   # the other side is closed
        pass
    return got.decode()


def test_an_interrupted_check_ends_at_once(case):
    instance = case.instance(handshake="silent")
    config = configured(case, {"relay r": case.keys(instance, tls_timeout="1d", setup_timeout="1d")})
    process = start(case, "-c", config)
    wait_until(lambda: instance.connections, "the dial")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == -signal.SIGINT and out == "" and err == "", (process.returncode, out, err)


if __name__ == "__main__":
    harness.main()
