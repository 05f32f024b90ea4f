#!/usr/bin/python3
"""Proves that every "yes" a proxy is known to give opens the tunnel, however the head is split."""

import harness
import replies


def relays(case, scenarios):
    """One relay a scenario: {name: keyword arguments of the proxy}"""
    instance = case.instance()
    proxies = {name: case.proxy(instance, **scenario) for name, scenario in scenarios.items()}
    return case.start({"relay " + name: case.keys("instance.lab.test", [proxy], proxy_timeout="30s")
                       for name, proxy in proxies.items()})


def all_pass(m, names):
    for name in names:
        answer = m.get("/" + name, relay=name)
        assert answer.status == 200 and answer.json()["path"] == "/" + name, (name, answer.status, answer.reason)


def test_in_one_write(case):
    m = relays(case, {name: {"reply": name} for name in replies.YES})
    all_pass(m, replies.YES)


def test_byte_by_byte(case):
    names = [name for name in replies.YES if len(replies.YES[name]) < 400]
    m = relays(case, {name: {"reply": name, "split": 1} for name in names})
    all_pass(m, names)


def test_cut_at_every_byte(case):
    reply = "1xx-200"
    cuts = range(1, len(replies.YES[reply]))
    m = relays(case, {"at-%d" % at: {"reply": reply, "split": [at]} for at in cuts})
    all_pass(m, ["at-%d" % at for at in cuts])


def test_late_answer(case):
    m = relays(case, {"late": {"delay": 0.3}})
    all_pass(m, ["late"])
    assert int(m.session()["proxy_ms"]) >= 290


def test_bytes_behind_the_head_belong_to_tls(case):
    m = relays(case, {"text": {"inject": "220 hello\r\n"}, "alert": {"inject": "hex:15030300020228"}})
    m.fails("tls-not-tls", relay="text")
    m.fails("tls-alert", relay="alert")


if __name__ == "__main__":
    harness.main()
