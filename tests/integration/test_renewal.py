#!/usr/bin/python3
"""Proves that renewed files are picked up by themselves, whichever way they come, and that ending certificates are told."""

import os
import re
import shutil
import threading

import harness
import pki as pki_maker
from harness import ask, in_thread, pace, settled, wait_until

WATCH = {"watch": "100ms"}
NAMES = {"client": "mid-one", "client-renewed": "mid-one-renewed"}


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write_new(path, data):
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as out:
        out.write(data)


def subject(m, relay=None):
    """Under which certificate a fresh connection arrives, by the instance's word."""
    answer = m.get("/", relay=relay)
    assert answer.status == 200, (answer.status, answer.reason)
    return re.search("=([^=]*)$", answer.json()["client_cert"]["subject"])[1]


def count(m, event):
    return len(m.events(event))


class Files:
    """The client's files of one relay, and a way to renew them; between() is called while they are half renewed."""

    def __init__(self, case, name):
        self.case, self.dir, self.turn = case, case.path(name), 0
        os.mkdir(self.dir, 0o700)
        self.keys = {"client_bundle": self.path("bundle.pem")}
        self.make("client")

    def path(self, name):
        return os.path.join(self.dir, name)

    def source(self, name, ending):
        return read(self.case.pki[name + ending])

    def make(self, name):
        write_new(self.path("bundle.pem"), self.source(name, "-bundle.pem"))

    def renew(self, name, between):
        raise NotImplementedError


class RenamedOver(Files):
    """As most programs do it."""

    def renew(self, name, between):
        write_new(self.path("bundle.pem.new"), self.source(name, "-bundle.pem"))
        os.rename(self.path("bundle.pem.new"), self.path("bundle.pem"))


class WrittenInPlace(Files):
    """As cp does it, in two halves: the file is truncated first."""

    def renew(self, name, between):
        data = self.source(name, "-bundle.pem")
        with open(self.path("bundle.pem"), "r+b", buffering=0) as out:
            out.truncate(0)
            out.write(data[:len(data) // 2])
            between()
            out.write(data[len(data) // 2:])


class Kubernetes(Files):
    """As the kubelet does it: a new directory, and ..data, through which all files are reached, is swapped for it."""

    def __init__(self, case, name):
        super().__init__(case, name)
        self.keys = {"client_bundle": None, "client_cert": self.path("tls.crt"), "client_key": self.path("tls.key"),
                     "client_chain": self.path("ca.crt")}

    def make(self, name):
        for file in ("tls.crt", "tls.key", "ca.crt"):
            os.symlink("..data/" + file, self.path(file))
        self.renew(name, None)

    def renew(self, name, between):
        old = os.path.join(self.dir, os.readlink(self.path("..data"))) if self.turn else None
        self.turn += 1
        new = "..version-%d" % self.turn
        os.mkdir(self.path(new), 0o700)
        for file, ending in (("tls.crt", ".pem"), ("tls.key", ".key"), ("ca.crt", "-chain.pem")):
            write_new(os.path.join(self.path(new), file), self.source(name, ending))
        os.symlink(new, self.path("..data_tmp"))
        os.rename(self.path("..data_tmp"), self.path("..data"))
        if old:
            shutil.rmtree(old)


class CertThenKey(Files):
    """As people do it: the certificate is copied, and after a while the key."""

    def __init__(self, case, name):
        super().__init__(case, name)
        self.keys = {"client_bundle": None, "client_cert": self.path("tls.crt"), "client_key": self.path("tls.key"),
                     "client_chain": case.pki["client-chain.pem"]}

    def make(self, name):
        for file, ending in (("tls.crt", ".pem"), ("tls.key", ".key")):
            write_new(self.path(file), self.source(name, ending))

    def renew(self, name, between):
        with open(self.path("tls.crt"), "r+b") as out:
            out.truncate(0)
            out.write(self.source(name, ".pem"))
        between()
        with open(self.path("tls.key"), "r+b") as out:
            out.truncate(0)
            out.write(self.source(name, ".key"))


WAYS = (RenamedOver, WrittenInPlace, Kubernetes, CertThenKey)


def renew(m, files, name, relay, old):
    """
    Renews, and waits for the reload that it leads to; half renewed files keep the old in force.  A reload that comes
    without these files having been seen to change is not it: what was written while it was read is read once more.
    """
    before = len(m.events())

    def reloaded():
        seen = False
        for event in m.events()[before:]:
            seen = seen or event["event"] == "files-changed" and event["file"].startswith(files.dir + "/")
            if seen and event["event"] == "reloaded":
                return True
        return False

    def between():
        waiting = count(m, "reload-waiting")
        m.wait_event("reload-waiting", waiting + 1)
        assert subject(m, relay) == old and not reloaded()

    files.renew(name, between)
    wait_until(reloaded, lambda: "the reload; log:\n" + m.tail())
    if harness.INSTRUMENTED:    # so slow that a change may be seen while the reload for the one before is under way
        settled(lambda: count(m, "reloaded"), 0.06)


def test_renewed_under_load(case):
    """0 connections lost or disturbed, every dial after a swap under the new certificate, nothing gained."""
    rounds = 1000 if os.environ.get("MIDRELAY_LONG") else 24
    instance = case.instance()
    ways = {way.__name__: way(case, way.__name__) for way in WAYS}
    m = case.start(dict({"midrelay": dict(WATCH, drain_timeout="5s")},
                        **{"relay " + name: case.keys(instance, **files.keys) for name, files in ways.items()}))
    held = {name: m.connect(name) for name in ways}
    in_force = {name: "client" for name in ways}
    done = threading.Event()
    started = sum(1 for sock in held.values() if ask(sock, path="/held").status == 200)

    def load(name):
        served = 0
        while not done.is_set():
            assert m.get("/load", relay=name).status == 200
            served += 1
            pace(0.04)
        return served

    def memory():
        return m.rss_kb(), m.descriptors()

    loads = [in_thread(load, name) for name in ways]
    early = None
    try:
        for n in range(rounds):
            name = list(ways)[n % len(ways)]
            new = "client-renewed" if in_force[name] == "client" else "client"
            renew(m, ways[name], new, name, NAMES[in_force[name]])
            in_force[name] = new
            for _ in range(2):
                assert subject(m, name) == NAMES[new], (n, name)
            if n == rounds // 4:
                early = memory()
    finally:
        done.set()
    served = sum(result(harness.LIMIT) for result in loads)
    late = memory()
    assert started == len(ways)
    for sock in held.values():
        # The connection from before the first renewal still stands, and still under its certificate.
        assert ask(sock, path="/held").json()["client_cert"]["subject"].endswith("=mid-one")
        sock.close()
    m.session(m.opened)
    assert {e["end"] for e in m.events("session")} == {"ok"}
    print("%d renewals, %d connections besides, rss %d kB -> %d kB, descriptors %d -> %d" %
          (rounds, served, early[0], late[0], early[1], late[1]))
    assert harness.INSTRUMENTED or late[0] - early[0] < 4096, (early, late)


@harness.counts_dials
def test_sessions_of_the_old_are_not_resumed(case):
    instance = case.instance()
    files = RenamedOver(case, "files")
    m = case.relay(instance, process=dict(WATCH, workers="1"), **files.keys)
    for n in range(2):
        subject(m)
        m.session(n + 1)
    assert m.session(2)["resumed"] == "yes"
    renew(m, files, "client-renewed", None, "mid-one")
    assert subject(m) == "mid-one-renewed"
    assert m.session(3)["resumed"] == "no"
    assert not harness.records_done(instance, 3)[2]["client_hello"]["psk"]


def test_what_stays_broken_is_told_once(case):
    files = RenamedOver(case, "files")
    m = case.relay(case.instance(), process=WATCH, **files.keys)
    whole = read(files.path("bundle.pem"))
    for number, broken in enumerate((whole[:len(whole) // 2], b"", whole[:-100]), 1):
        write_new(files.path("new"), broken)
        os.rename(files.path("new"), files.path("bundle.pem"))
        failed = m.wait_event("reload-failed", number)
        assert "bundle.pem" in failed["msg"] and failed["level"] == "error", failed
        waiting = m.events("reload-waiting")
        assert len(waiting) == 2 * number and all(e["level"] == "info" for e in waiting), waiting
        assert subject(m) == "mid-one"
        # Some looks later there is still no more of it.
        settled(lambda: len([e for e in m.events() if e["event"].startswith("reload")]), 0.5)
        assert count(m, "reload-failed") == number
    os.unlink(files.path("bundle.pem"))
    m.wait_event("reload-failed", 4)
    write_new(files.path("bundle.pem"), read(case.pki["client-renewed-bundle.pem"]))
    m.wait_event("reloaded")
    assert subject(m) == "mid-one-renewed"
    assert m.events("files-changed")[0]["file"] == files.path("bundle.pem")


def test_what_breaks_anew_all_the_time_is_told(case):
    """Patience begins again with each change, but it has an end."""
    files = RenamedOver(case, "files")
    m = case.relay(case.instance(), process=WATCH, **files.keys)
    for number in range(1, 50):
        write_new(files.path("new"), b"broken %d\n" % number)
        os.rename(files.path("new"), files.path("bundle.pem"))
        wait_until(lambda: count(m, "reload-waiting") >= number or count(m, "reload-failed"), "the next look")
        if count(m, "reload-failed"):
            break
    assert count(m, "reload-failed") == 1 and 5 < count(m, "reload-waiting") < 10, m.tail()
    files.renew("client-renewed", None)
    m.wait_event("reloaded")
    assert subject(m) == "mid-one-renewed"


def test_a_touch_is_harmless(case):
    files = RenamedOver(case, "files")
    m = case.relay(case.instance(), process=WATCH, **files.keys)
    with m.connect() as held:
        ask(held)
        for n in range(3):
            os.utime(files.path("bundle.pem"), ns=(n, n))
            m.wait_event("reloaded", n + 1)
            assert subject(m) == "mid-one"
        assert ask(held).status == 200
    settled(lambda: count(m, "reloaded"), 0.5)
    assert count(m, "reloaded") == 3 and m.events("reload-waiting") == []


def test_nothing_changes_without_a_change(case):
    m = case.relay(case.instance(), process=WATCH)
    assert settled(lambda: count(m, "files-changed") + count(m, "reloaded"), 0.5) == 0


def test_off_waits_for_sighup(case):
    files = RenamedOver(case, "files")
    m = case.relay(case.instance(), process={"watch": "0"}, **files.keys)
    files.renew("client-renewed", None)
    assert settled(lambda: count(m, "files-changed"), 0.5) == 0
    assert subject(m) == "mid-one"
    m.reload()
    assert subject(m) == "mid-one-renewed"


def test_sighup_speaks_at_once(case):
    """Who asks gets the faults now, and the next look does not tell them again."""
    files = RenamedOver(case, "files")
    m = case.relay(case.instance(), process=WATCH, **files.keys)
    m.sections["relay r"]["no_such_key"] = "1"
    m.write()
    m.reload(ok=False)
    assert settled(lambda: count(m, "reload-failed"), 0.5) == 1
    del m.sections["relay r"]["no_such_key"]
    m.write()
    m.wait_event("reloaded")


@harness.counts_dials
def test_the_configuration_itself(case):
    first, second = case.instance(), case.instance()
    m = case.relay(first, process=dict(WATCH, **harness.NO_SANDBOX))
    m.sections["relay r"].update(case.keys(second))
    m.write()
    m.wait_event("reloaded")
    assert subject(m) == "mid-one"
    assert len(second.connections) == 1 and first.connections == []
    # A file that the new configuration names, and that comes later, is waited for.
    late = case.path("late.pem")
    m.sections["relay r"]["client_bundle"] = late
    m.write()
    m.wait_event("reload-failed")
    write_new(late, read(case.pki["client-renewed-bundle.pem"]))
    m.wait_event("reloaded", 2)
    assert subject(m) == "mid-one-renewed"
    # The looks can be switched off, and their interval changed, while it runs.
    m.sections["midrelay"]["watch"] = "0"
    m.write()
    m.wait_event("reloaded", 3)
    os.utime(late)
    assert settled(lambda: count(m, "reloaded"), 0.5) == 3


def test_a_secret_that_changes(case):
    """In a file, and as a credential."""
    os.mkdir(case.path("credentials"), 0o700)
    for number, (ref, path) in enumerate((("file:" + case.path("secret"), case.path("secret")),
                                          ("cred:secret", case.path("credentials/secret")))):
        write_new(path, b"first-word\n")
        instance = case.instance()
        proxy = case.proxy(instance, auth=["u", "first-word"])
        m = case.relay("instance.lab.test", [proxy], process=WATCH, proxy_user="u", proxy_password=ref,
                       start={"env": {"CREDENTIALS_DIRECTORY": case.path("credentials")},
                              "secrets": ["first-word", "second-word"]})
        assert m.get("/").status == 200, number
        proxy.configure(auth=["u", "second-word"], target=proxy.scenario["target"])
        write_new(path + ".new", b"second-word\n")
        os.rename(path + ".new", path)
        m.wait_event("reloaded")
        assert m.get("/").status == 200, number


def test_a_directory_of_anchors(case):
    anchors = case.path("anchors")
    os.mkdir(anchors, 0o700)
    shutil.copy(case.pki["untrusted-root.pem"], anchors)
    m = case.relay(case.instance(), process=WATCH, trust=anchors)
    m.fails("tls-untrusted")
    with open(os.path.join(anchors, "notes.txt"), "w") as out:
        out.write("not an anchor\n")
    assert settled(lambda: count(m, "files-changed"), 0.5) == 0
    shutil.copy(case.pki["root.pem"], anchors)
    wait_until(lambda: m.events("reloaded") and m.get("/").status == 200, "the new anchor")
    assert m.events("files-changed")[0]["file"] == anchors


def test_ending_client_certificates_are_told(case):
    instance = case.instance()
    names = {"weeks": 12.5, "hours": 0.4, "over": -3.5, "fine": 40}
    for name, days in names.items():
        pki_maker.issue(case.pki, case.dir, name, days)
    m = case.start(dict({"midrelay": {}}, **{"relay " + name: case.keys(
        instance, client_bundle=case.pki[name + "-bundle.pem"]) for name in names}))
    told = {e["relay"]: e for e in m.events("certificate-expiring")}
    assert len(m.events("certificate-expiring")) == 3 and sorted(told) == ["hours", "over", "weeks"], told
    for name, level, days in (("weeks", "warn", "12"), ("hours", "warn", "0"), ("over", "error", "-4")):
        event = told[name]
        assert (event["level"], event["days_left"], event["of"], event["which"]) == (level, days, "client", "leaf")
        assert event["subject"] == "CN=%s,O=Lab" % name and re.match(r"\d{4}-\d\d-\d\dT.*Z$", event["not_after"])
    assert told["hours"]["hours_left"] == "9" and "hours_left" not in told["weeks"]
    # What is over stops its own relay and no other.
    m.fails("client-cert-expired", relay="over")
    for name in ("weeks", "hours", "fine"):
        assert subject(m, name) == name
    m.sections["midrelay"]["expiry_warning"] = "50d"
    m.write()
    m.reload()
    assert {e["relay"] for e in m.events("certificate-expiring")[3:]} == set(names)
    m.sections["midrelay"]["expiry_warning"] = "0"
    m.write()
    m.reload()
    assert [e["relay"] for e in m.events("certificate-expiring")[7:]] == ["over"]


def test_an_issuer_that_ends_is_told(case):
    """Each certificate of the chain, not only the leaf."""
    spec = ("/O=Lab/CN=Ending CA", "client-root", "ca", (-60, 7.5), "ec")
    pki_maker.issue(case.pki, case.dir, "leaf", 3.5)
    pki_maker._certificate(case.dir, "ca", spec, case.pki["dir"])
    pki_maker._certificate(case.dir, "leaf-two", ("/O=Lab/CN=below", case.path("ca"), "client", (-60, 3.5), "ec"))
    bundle = case.write("ending.pem", "".join(open(path).read() for path in (
        case.path("leaf-two.key"), case.path("leaf-two.pem"), case.path("ca.pem"), case.pki["client-root.pem"])))
    m = case.relay(case.instance(), client_bundle=bundle)
    assert [(e["which"], e["subject"], e["days_left"]) for e in m.events("certificate-expiring")] == \
        [("leaf", "CN=below,O=Lab", "3"), ("intermediate", "CN=Ending CA,O=Lab", "7")]


def test_an_ending_server_certificate_is_told(case):
    """As dials saw it last, by path; once, not at each connection."""
    pki_maker.issue(case.pki, case.dir, "server-weeks", 20.5, server=True)
    pki_maker.issue(case.pki, case.dir, "server-days", 5.5, server=True)
    instance = case.instance(cert="server-weeks", tickets=0)
    proxy = case.proxy(instance)
    m = case.relay(instance, [proxy, "direct"])
    assert m.events("certificate-expiring") == []
    for _ in range(3):
        assert m.get("/").status == 200
    first = m.wait_event("certificate-expiring")
    assert (first["of"], first["which"], first["days_left"], first["level"]) == ("server", "leaf", "20", "warn")
    assert first["path"].startswith("http://127.0.0.1:") and first["subject"] == "CN=instance.lab.test,O=Lab"
    instance.configure(cert="server-days", tickets=0)
    for cert in ("server-days", "server", "server-days", "server-weeks"):
        instance.configure(cert=cert, tickets=0)
        assert m.get("/").status == 200
    m.wait_event("certificate-expiring", 2)
    settled(lambda: count(m, "certificate-expiring"))
    assert [e["days_left"] for e in m.events("certificate-expiring")] == ["20", "5"]
    proxy.configure(reply="502")
    assert m.get("/").status == 200
    assert m.wait_event("certificate-expiring", 3)["path"] == "direct"


if __name__ == "__main__":
    harness.main()
