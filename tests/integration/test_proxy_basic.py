#!/usr/bin/python3
"""Proves what the CONNECT looks like: one write, Basic at once, own header lines, credentials for their proxy alone."""

import harness
from harness import PASSWORD, USER, records_done
import replies


@harness.counts_dials
def test_request_and_credentials(case):
    instance = case.instance()
    proxy = case.proxy(instance, auth=[USER, PASSWORD])
    m = case.relay("instance.lab.test", [proxy], auth=True)
    answer = m.get("/through").json()
    assert answer["path"] == "/through" and answer["client_cert"]["subject"].endswith("mid-one")
    record = records_done(proxy)[0]
    lines = record["request"].split("\r\n")
    assert lines[0] == "CONNECT instance.lab.test:443 HTTP/1.1", lines
    assert "Host: instance.lab.test:443" in lines, lines
    assert "Proxy-Authorization: " + replies.basic(USER, PASSWORD) in lines, lines
    agents = [line for line in lines if line.lower().startswith("user-agent:")]
    assert len(agents) == 1 and agents[0].startswith("User-Agent: midrelay/"), lines
    assert not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines), lines
    assert record["reads"] == 1, "the request came in %d pieces" % record["reads"]
    assert len(proxy.connections) == 1, "a connection without credentials was tried first"
    assert m.session()["path"].startswith("http://127.0.0.1:%d" % proxy.port)


def test_no_credentials_configured_none_sent(case):
    proxy = case.proxy(case.instance(), drop_authorized=True)
    m = case.relay("instance.lab.test", [proxy])
    assert m.get("/").status == 200
    assert "authorization" not in proxy.connections[0]["request"].lower()


def test_header_lines_and_user_agent(case):
    proxy = case.proxy(case.instance())
    m = case.relay("instance.lab.test", [proxy],
                   proxy_header=["X-Site: Berlin, Mitte", "User-Agent: Mozilla/5.0 (compatible; x)"])
    assert m.get("/").status == 200
    lines = proxy.connections[0]["request"].split("\r\n")
    assert "X-Site: Berlin, Mitte" in lines, lines
    assert [line for line in lines if line.lower().startswith("user-agent:")] == \
        ["User-Agent: Mozilla/5.0 (compatible; x)"], lines


def test_a_token_in_a_header_line_is_not_shown(case):
    token = "token-4711-of-this-host"
    proxy = case.proxy(case.instance())
    m = case.relay("instance.lab.test", [proxy], proxy_header=["X-Token: " + token],
                   process={"log_level": "debug", "status": "unix:" + case.path("status.sock")},
                   start={"secrets": [token]})
    assert m.get("/").status == 200 and "X-Token: " + token in proxy.connections[0]["request"].split("\r\n")
    m.reload()
    for command in (["config"], ["config", "--json"], ["status"], ["status", "--json"], ["check"], ["check", "--json"]):
        done = case.run(*command, "-c", m.config)
        assert done.stdout and token not in done.stdout + done.stderr, (command, done)
        assert command[0] != "config" or "X-Token: (literal)" in done.stdout, done
    # The loader says what is wrong with a line without saying what is in it.
    m.sections["relay r"]["proxy_header"] = ["X-Token = " + token + ":1", token]
    m.write()
    done = case.run("config", "-c", m.config)
    assert done.returncode == 78 and token not in done.stderr and len(done.stderr.splitlines()) == 2, done


def test_sections_keep_their_credentials(case):
    instance = case.instance()
    first = case.proxy(instance, auth=["only-first", "secret-first"], reply="502")
    second = case.proxy(instance, auth=["only-second", "secret-second"], reply="502")
    third = case.proxy(instance)
    second_secret = case.write("second", "secret-second\r\n")
    m = case.start({
        "relay r": dict(case.keys("instance.lab.test", ["first", "second", third], auth=True)),
        "proxy first": {"url": "http://127.0.0.1:%d" % first.port, "user": "only-first",
                        "password": "env:FIRST_SECRET", "header": "X-For: first"},
        "proxy second": {"url": "http://127.0.0.1:%d" % second.port, "user": "only-second",
                         "password": "file:" + second_secret},
    }, env={"FIRST_SECRET": "secret-first"}, secrets=["secret-first", "secret-second"])
    assert m.get("/").status == 200
    assert first.connections[0]["authorized"] == replies.basic("only-first", "secret-first")
    assert "X-For: first" in first.connections[0]["request"]
    assert second.connections[0]["authorized"] == replies.basic("only-second", "secret-second")
    assert "X-For" not in second.connections[0]["request"]
    assert third.connections[0]["authorized"] == replies.basic(USER, PASSWORD)


def test_section_without_credentials_gets_none_of_the_relays(case):
    proxy = case.proxy(case.instance())
    m = case.start({"relay r": case.keys("instance.lab.test", ["plain"], auth=True),
                    "proxy plain": {"url": "http://127.0.0.1:%d" % proxy.port}})
    assert m.get("/").status == 200
    assert proxy.connections[0]["authorized"] is None


def test_ipv6_proxy_and_target(case):
    instance = case.instance(family="inet6")
    proxy = case.proxy(family="inet6")
    m = case.relay("[::1]:%d" % instance.port, [proxy])
    assert m.get("/").status == 200
    assert proxy.connections[0]["request"].startswith("CONNECT [::1]:%d HTTP/1.1\r\n" % instance.port)


def test_the_target_is_not_resolved_behind_a_proxy(case):
    proxy = case.proxy({"does-not-exist.invalid:443": harness.address(case.instance())})
    m = case.relay("does-not-exist.invalid", [proxy])
    m.fails("tls-hostname")
    assert proxy.connections[0]["request"].startswith("CONNECT does-not-exist.invalid:443 ")


def test_systemd_credential(case):
    proxy = case.proxy(case.instance(), auth=[USER, PASSWORD])
    directory = case.path("creds")
    harness.os.mkdir(directory)
    case.write("creds/proxy", PASSWORD)
    m = case.relay("instance.lab.test", [proxy], proxy_user=USER, proxy_password="cred:proxy",
                   start={"env": {"CREDENTIALS_DIRECTORY": directory}})
    assert m.get("/").status == 200


if __name__ == "__main__":
    harness.main()
