#!/usr/bin/python3
"""
Proves that a renewed client certificate which the target does not take yet is put aside for the one before, loudly, and
taken again when the target takes it; under which certificate each connection arrived is the server's word.
"""

import datetime
import os
import time

import harness
import pki as pki_maker
import real
from harness import ask, both_versions, in_thread, read_all, request_bytes, try_send, wait_until
from test_first_answer import fingerprint

OLD, NEW, THIRD = "mid-one", "mid-one-renewed", "mid-rsa"
BUNDLES = {OLD: "client", NEW: "client-renewed", THIRD: "client-rsa", "mid-unknown": "client-unknown"}


class Bundle:
    """The file that client_bundle names, and what is in it at the moment."""

    def __init__(self, case, name=OLD):
        self.case, self.path = case, case.path("bundle.pem")
        self.put(name)

    def put(self, name):
        with open(self.case.pki[BUNDLES[name] + "-bundle.pem"]) as bundle:
            self.case.write("bundle.new", bundle.read())
        os.rename(self.case.path("bundle.new"), self.path)

    def swap(self, m, name):
        self.put(name)
        m.reload()


def start(case, nginx, bundle, workers=1, process=None, **keys):
    return case.relay("instance.lab.test:%d" % nginx.port,
                      process=dict({"watch": "0", "workers": str(workers)}, **(process or {})),
                      **dict({"target_address": "127.0.0.1", "client_bundle": bundle.path}, **keys))


def touch(case, m):
    """A reload by `watch`, because of a file that is not the certificate's."""
    before = len(m.events("reloaded"))
    os.utime(m.config, ns=(before, before))
    m.wait_event("reloaded", before + 1)


def names(nginx):
    """Who asked, in the order of the answers, and what became of it: "+" or "-"."""
    return [one["name"] + ("+" if one["status"] == "200" else "-") for one in real.edge_log(nginx)]


def statuses(m, count):
    return [m.get("/%d" % n).status for n in range(count)]


def test_back_and_forth(case):
    """The whole course, with two workers, an open connection that stays, and no request twice."""
    nginx, bundle = real.edge(case, [NEW]), Bundle(case)
    m = start(case, nginx, bundle, workers=2)
    held = m.connect()
    asked = ["/held"]
    assert ask(held, path="/held").body == b"CN=mid-one,O=Lab\n"

    def get(path):
        asked.append(path)
        return m.get(path, method="POST", body=b"x" * 1000)

    assert [get("/before/%d" % n).status for n in range(4)] == [200] * 4
    bundle.swap(m, NEW)
    refused = get("/refused")
    assert refused.status == 400 and b"The SSL certificate error" in refused.body
    new, old = (fingerprint(case.pki[BUNDLES[name] + ".pem"]) for name in (NEW, OLD))
    went = m.wait_event("certificate-fallback")
    assert (went["level"], went["relay"], went["code"], went["sha256"], went["old_sha256"], went["subject"],
            went["old_subject"]) == ("warn", "r", "instance-cert-refused", new, old, "CN=%s,O=Lab" % NEW,
                                     "CN=%s,O=Lab" % OLD), went
    at = [datetime.datetime.fromisoformat(went[key]).timestamp() for key in ("ts", "next_try", "old_not_after")]
    # time(2), which next_try is counted from, is behind by milliseconds at times, and may so be a second behind.
    assert 58 <= at[1] - at[0] <= 61 and at[2] - at[0] > 86400, went
    assert [e["sha256"] for e in m.events("certificate-refused")] == [new]
    # Side by side on both workers.
    parallel = [in_thread(get, "/back/%d" % n) for n in range(20)]
    assert {one().body for one in parallel} == {b"CN=mid-one,O=Lab\n"}
    assert ask(held, path="/held-still").status == 200
    asked.append("/held-still")
    # Who sends SIGHUP asks for a try: it costs one request, which is not sent again.
    m.reload()
    tried = [get("/tried/%d" % n).status for n in range(6)]
    assert tried == [400] + [200] * 5, tried
    assert m.events("certificate-accepted") == [] and len(m.events("certificate-fallback")) == 1
    # The new one becomes active at the target.
    real.edge_refuses(case, nginx, [], BUNDLES[NEW] + "-bundle.pem", 200)
    assert get("/not-yet").body == b"CN=mid-one,O=Lab\n"
    m.reload()
    assert get("/accepted").body == b"CN=mid-one-renewed,O=Lab\n"
    taken = m.wait_event("certificate-accepted")
    assert (taken["level"], taken["relay"], taken["sha256"]) == ("info", "r", new), taken
    assert {get("/after/%d" % n).body for n in range(6)} == {b"CN=mid-one-renewed,O=Lab\n"}
    held.close()
    m.session(m.opened)
    log = real.edge_log(nginx)
    assert sorted(one["path"] for one in log) == sorted(asked), names(nginx)
    assert len({e["end"] for e in m.events("session")}) == 2
    assert len(m.events("session", end="instance-cert-refused")) == names(nginx).count(NEW + "-") == 2


@harness.counts_dials
def test_no_session_of_one_is_resumed_with_the_other(case):
    for version in ("1.2", "1.3"):
        nginx, bundle = real.edge(case, [NEW], tls="TLSv" + version), Bundle(case)
        m = start(case, nginx, bundle)

        def reused(name, count):
            before = len(real.edge_log(nginx))
            for n in range(count):
                assert m.get("/").body == b"CN=%s,O=Lab\n" % name.encode()
                m.session(m.opened)
            return [one["reused"] for one in real.edge_log(nginx)[before:]]
        assert reused(OLD, 3) == [".", "r", "r"]
        bundle.swap(m, NEW)
        assert m.get("/").status == 400
        assert reused(OLD, 3) == [".", "r", "r"]
        m.reload()
        assert m.get("/").status == 400
        real.edge_refuses(case, nginx, [], BUNDLES[NEW] + "-bundle.pem", 200)
        m.reload()
        # The trial leaves nothing behind to be resumed.
        assert reused(NEW, 4) == [".", ".", "r", "r"]


@harness.counts_dials
@both_versions
def test_refused_by_an_alert(case, version):
    """With TLS 1.2 the dial fails, with 1.3 the first read: either is a refusal like the page."""
    instance, bundle = case.instance(tls_max=version), Bundle(case)
    m = case.relay(instance, process={"watch": "0"}, client_bundle=bundle.path)
    assert m.get("/").status == 200
    bundle.swap(m, "mid-unknown")
    with m.connect() as sock:
        try_send(sock, request_bytes())
        got, end = read_all(sock)
    assert got.startswith(b"HTTP/1.1 502 midrelay: client-cert-rejected: ") or end == "reset", (got, end)
    assert m.session(2)["end"] == "client-cert-rejected"
    went = m.wait_event("certificate-fallback")
    assert (went["code"], went["subject"]) == ("client-cert-rejected", "CN=mid-unknown,O=Elsewhere"), went
    for _ in range(4):
        assert m.get("/").json()["client_cert"]["subject"].endswith("=mid-one")
    assert sum(len(record["requests"]) for record in harness.records_done(instance, 6)) == 5


def test_reloads_in_between(case):
    """What was accepted last is what is gone back to, over any number of reloads; trust and policy are the newest."""
    nginx, bundle = real.edge(case, [NEW, THIRD]), Bundle(case)
    m = start(case, nginx, bundle)
    assert statuses(m, 2) == [200, 200]
    bundle.swap(m, NEW)
    assert statuses(m, 3) == [400, 200, 200]
    bundle.swap(m, THIRD)
    assert statuses(m, 3) == [400, 200, 200]
    went = m.events("certificate-fallback")
    assert [e["old_subject"] for e in went] == ["CN=mid-one,O=Lab"] * 2
    assert [e["subject"] for e in went] == ["CN=%s,O=Lab" % name for name in (NEW, THIRD)]
    # A reload that changes nothing of the certificate asks for no new proof, and tries nothing.
    m.sections["midrelay"]["watch"] = "100ms"
    m.write()
    m.reload()
    assert m.get("/").status == 400
    for _ in range(2):
        touch(case, m)
        assert statuses(m, 2) == [200, 200]
    # The policy is that of the configuration in force, whichever certificate is in use.
    m.sections["relay r"]["tls_max"] = "1.2"
    m.write()
    m.wait_event("reloaded", 6)
    assert m.get("/").status == 200
    assert m.session(m.opened)["tls_version"] == "TLSv1.2"
    m.sections["relay r"]["pin"] = "sha256//" + "A" * 43 + "="
    m.write()
    m.wait_event("reloaded", 7)
    m.fails("tls-pin")
    del m.sections["relay r"]["pin"]
    # The old one put back is no renewal that would need a proof.
    bundle.put(OLD)
    m.write()
    m.reload()
    assert statuses(m, 2) == [200, 200]
    assert len(m.events("certificate-fallback")) == 2 and m.events("certificate-accepted") == []
    assert names(nginx) == [OLD + "+"] * 2 + [NEW + "-"] + [OLD + "+"] * 2 + [THIRD + "-"] + [OLD + "+"] * 2 + \
        [THIRD + "-"] + [OLD + "+"] * 7, names(nginx)


def test_refused_renewals_gain_nothing(case):
    """Neither descriptors nor memory, however many come after each other."""
    rounds = 400 if os.environ.get("MIDRELAY_LONG") else 40
    nginx, bundle = real.edge(case, [NEW, THIRD]), Bundle(case)
    m = start(case, nginx, bundle)
    assert m.get("/").status == 200
    early = None
    for n in range(rounds):
        bundle.swap(m, (NEW, THIRD)[n % 2])
        assert statuses(m, 2) == [400, 200]
        if n == rounds // 4:
            early = m.rss_kb()
    assert len(m.events("certificate-fallback")) == rounds
    assert harness.INSTRUMENTED or m.rss_kb() - early < 2048, (early, m.rss_kb())


def test_nothing_to_go_back_to(case):
    """No certificate before, a relay of another name, one for another target, and one that was never accepted."""
    nginx, other, bundle = real.edge(case, [NEW], verify="optional"), real.edge(case, [NEW]), Bundle(case, NEW)
    m = start(case, nginx, bundle, process=harness.NO_SANDBOX, client_bundle=None)
    changes = (lambda relay: relay.update(client_bundle=bundle.path), None,
               lambda relay: m.sections.update({"relay s": m.sections.pop("relay r")}), None,
               lambda relay: relay.update(target="instance.lab.test:%d" % other.port), None)
    assert m.get("/").status == 200
    for number, change in enumerate(changes):
        relay = m.sections["relay s" if "relay s" in m.sections else "relay r"]
        if change is None:
            # Accepted as the old one, until the next change.
            bundle.put(OLD)
            m.reload()
            assert m.get("/", relay=m.events("listening")[-1]["relay"], index=-1).status == 200, number
            bundle.put(NEW)
            continue
        change(relay)
        m.write()
        m.reload()
        name = m.events("listening")[-1]["relay"]
        assert [m.get("/", relay=name, index=-1).status for _ in range(3)] == [400] * 3, number
    assert m.events("certificate-fallback") == []


@harness.counts_dials
def test_the_old_one_is_refused_too(case):
    """Then the new one is used, so that it serves as soon as the target takes it."""
    nginx, bundle = real.edge(case, [NEW]), Bundle(case)
    m = start(case, nginx, bundle)
    assert m.get("/").status == 200
    bundle.swap(m, NEW)
    assert statuses(m, 2) == [400, 200]
    real.edge_refuses(case, nginx, [OLD, NEW], BUNDLES[OLD] + "-bundle.pem", 400)
    assert statuses(m, 3) == [400] * 3
    assert m.wait_event("certificate-fallback-over")["subject"] == "CN=mid-one,O=Lab"
    real.edge_refuses(case, nginx, [], BUNDLES[OLD] + "-bundle.pem", 200)
    assert statuses(m, 2) == [200, 200]
    assert names(nginx) == [OLD + "+", NEW + "-", OLD + "+", OLD + "-", NEW + "-", NEW + "-", NEW + "+", NEW + "+"]


def test_the_old_one_ends(case):
    life = 4 * harness.SLOW
    ends = time.time() + life
    pki_maker.issue(case.pki, case.dir, "client-short", life / 86400)
    nginx = real.edge(case, [NEW])
    bundle = Bundle(case)
    with open(case.path("client-short-bundle.pem")) as short:
        case.write("bundle.pem", short.read())
    m = start(case, nginx, bundle)
    assert m.get("/").status == 200
    bundle.swap(m, NEW)
    assert statuses(m, 2) == [400, 200]
    wait_until(lambda: m.get("/").status == 400, "the old certificate's end", life + harness.LIMIT)
    assert time.time() > ends - 1
    assert statuses(m, 2) == [400, 400] and names(nginx)[-2:] == [NEW + "-"] * 2


@harness.counts_dials
def test_accepted_at_once_is_told_once(case):
    nginx, bundle = real.edge(case), Bundle(case)
    m = start(case, nginx, bundle, workers=2)
    assert statuses(m, 3) == [200] * 3
    bundle.swap(m, NEW)
    assert statuses(m, 4) == [200] * 4
    assert len(m.events("certificate-accepted")) == 1 and m.events("certificate-accepted")[0]["subject"] == \
        "CN=mid-one-renewed,O=Lab"
    # Taken back at the target after that: no older one would help.
    real.edge_refuses(case, nginx, [NEW], BUNDLES[NEW] + "-bundle.pem", 400)
    assert statuses(m, 2) == [400, 400]
    assert m.events("certificate-fallback") == []


if __name__ == "__main__":
    harness.main()
