#!/usr/bin/python3
"""Proves that every refusal a proxy is known to give ends in its own diagnosis, and shows what the proxy said."""

import harness
import replies


def refusals(case, auth, column):
    instance = case.instance()
    names = list(replies.REFUSALS)
    proxies = {name: case.proxy(instance, reply=name) for name in names}
    m = case.start({"relay " + name: case.keys("instance.lab.test", [proxies[name]], auth=auth, proxy_timeout="2s")
                    for name in names})
    wrong = []
    for name in names:
        expected = replies.REFUSALS[name][1][column]
        try:
            response = m.fails(expected, relay=name)
        except AssertionError as error:
            wrong.append("%s: %s" % (name, error))
            continue
        assert response.status == 502, (name, response.status)
        assert proxies[name].connections[0]["bytes_up"] == 0
    assert not wrong, "\n".join(wrong)
    assert instance.connections == [], "a refused CONNECT reached the target"
    return m


def test_with_credentials(case):
    m = refusals(case, True, 0)
    failed = {event["relay"]: event for event in m.events("path-failed")}
    for name, words in {"skyhigh-407": ["407 authenticationrequired", "Negotiate", "Basic"],
                        "ntlm-407": ["NTLM"], "skyhigh-block-403": ["403 URLBlocked"],
                        "squid-dns-503": ["ERR_DNS_FAIL"], "isa-407": ["ISA Server requires authorization"]}.items():
        text = " ".join(failed[name].values())
        for word in words:
            assert word in text, (word, text)
    # Foreign bytes are shown escaped.
    assert b"\x1b" not in m.log_bytes()


def test_without_credentials(case):
    refusals(case, False, 1)


def test_wrong_credentials(case):
    proxy = case.proxy(case.instance(), auth=["svc-mid", "another"])
    m = case.relay("instance.lab.test", [proxy], auth=True)
    m.fails("proxy-auth-rejected")


def test_credentials_missing(case):
    proxy = case.proxy(case.instance(), auth=["svc-mid", "another"])
    m = case.relay("instance.lab.test", [proxy])
    m.fails("proxy-auth-required")


def test_refusal_split_byte_by_byte(case):
    proxy = case.proxy(case.instance(), reply="joined-407", split=1)
    m = case.relay("instance.lab.test", [proxy], auth=True, proxy_timeout="30s")
    m.fails("proxy-auth-rejected")


if __name__ == "__main__":
    harness.main()
