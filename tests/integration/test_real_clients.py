#!/usr/bin/python3
"""
Proves that the clients a MID Server is made of run unchanged through midrelay, in each of the three ways to connect: Apache
Commons HttpClient 3.1, Jetty's HttpClient, java.net.http and curl, by URL, with midrelay as their proxy, and by local TLS;
with Squid, and nginx that demands a client certificate, in front of an instance that sets the real cookies.
"""

import hashlib
import http.server
import itertools
import json
import os
import shlex
import subprocess
import threading

import harness
import real

NAME = "instance.lab.test"
HOLD = 2
COOKIES = ("JSESSIONID", "glide_user_route", "glide_session_store", "BIGipServerpool_lab")
SOAP = ("<soap>" + "".join("row %d" % n for n in range(5000))).encode()


class Instance(http.server.ThreadingHTTPServer):
    """The instance behind its edge: sessions by cookies, a redirect to its own https:// address, SOAP, and channels."""
    daemon_threads = True

    def __init__(self, case):
        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        self.lock, self.numbers = threading.Condition(), itertools.count(1)
        self.clients = {}      # clientId: (channels, waiting messages)
        self.hosts, self.faults = set(), []
        threading.Thread(target=self.serve_forever, daemon=True).start()
        case.cleanups.append(self.end)

    def end(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        pass

    def answer(self, body, status=200, headers=()):
        body = body.encode()
        self.send_response(status)
        for pair in (("Content-Length", str(len(body))), *headers):
            self.send_header(*pair)
        self.end_headers()
        self.wfile.write(body)

    def missing(self, *more):
        sent = {pair.split("=", 1)[0].strip() for pair in "; ".join(self.headers.get_all("Cookie", [])).split(";")}
        return [name for name in (*COOKIES, *more) if name not in sent]

    def check(self):
        self.server.hosts.add(self.headers["Host"])
        if self.headers.get("X-Verified") != "SUCCESS":
            self.server.faults.append("no certificate")

    def do_GET(self):
        self.check()
        path, _, query = self.path.partition("?")
        if path == "/login":
            attributes = "; Path=/; HttpOnly; SameSite=None; Secure"
            self.answer("in", headers=[*(("Set-Cookie", name + "=v1" + attributes) for name in COOKIES),
                                       ("Strict-Transport-Security", "max-age=63072000; includeSubDomains")])
        elif path == "/old":
            self.answer("", 302, [("Location", "https://%s/next?moved" % self.headers["Host"])])
        elif path == "/publish":
            with self.server.lock:
                for channels, messages in self.server.clients.values():
                    if query in channels:
                        messages.append({"channel": query, "data": "from " + query})
                self.server.lock.notify_all()
            self.answer("published")
        else:
            missing = self.missing()
            self.answer("%s: %s" % (self.path, "without " + ",".join(missing) if missing else "session"))

    def do_POST(self):
        self.check()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.path.startswith("/cometd/"):
            self.answer("%s %s" % (self.path, hashlib.sha256(body).hexdigest()))
            return
        message = json.loads(body)[0]
        reply, headers = {"channel": message["channel"], "successful": True}, []
        if message["channel"] == "/meta/handshake":
            reply.update(clientId="c%d" % next(self.server.numbers), version="1.0",
                         supportedConnectionTypes=["long-polling"],
                         advice={"reconnect": "retry", "interval": 0, "timeout": HOLD * 1000})
            self.server.clients[reply["clientId"]] = (set(), [])
            headers = [("Set-Cookie", "BAYEUX_BROWSER=b1; Path=/; HttpOnly; Secure")]
        elif missing := self.missing("BAYEUX_BROWSER"):
            self.server.faults.append("%s without %s" % (message["channel"], missing))
        replies = [reply]
        if "clientId" in message:
            channels, messages = self.server.clients[message["clientId"]]
            if message["channel"] == "/meta/subscribe":
                channels.add(message["subscription"])
            elif message["channel"] == "/meta/connect":
                with self.server.lock:
                    self.server.lock.wait_for(lambda: messages, HOLD)
                    replies += messages
                    messages.clear()
        self.answer(json.dumps(replies, separators=(",", ":")), headers=[("Content-Type", "application/json"), *headers])


class Parts:
    def __init__(self, case):
        self.case, self.instance = case, Instance(case)
        self.edge = real.nginx(case, root=False, more="""
  location / {
   proxy_pass http://127.0.0.1:%d; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header Connection "";
   proxy_set_header X-Verified $ssl_client_verify;
  }""" % self.instance.port)
        self.downloads = real.edge(case, verify="off")
        squid = real.squid(case, self.edge.port, access=["http_access allow connect"])
        self.target = "%s:%d" % (NAME, self.edge.port)
        common = case.keys(self.target, [squid.url])
        self.state = case.path("state")
        self.m = case.start({
            "relay plain": {**common, "mode": "http", "connect_allow": "%s:%d" % (NAME, self.downloads.port)},
            "relay tls": {**common, "listen": "tls://127.0.0.1:0", "listen_cert": "auto"},
        }, env={"STATE_DIRECTORY": self.state})
        self.m.opened = None
        self.plain, self.tls = self.m.port("plain"), self.m.port("tls")

    def ways(self):
        """way: (proxy, base URL, the Host that the instance sees, may it fetch upgrades through midrelay)"""
        return {"url": ("-", "http://127.0.0.1:%d" % self.plain, self.target, False),
                "proxy": ("127.0.0.1:%d" % self.plain, "http://" + self.target, self.target, True),
                "tls": ("-", "https://%s:%d" % (NAME, self.tls), "%s:%d" % (NAME, self.tls), False)}

    def local_ca(self):
        """The file, and the printed keytool line."""
        done = self.case.run("bundle", "show", "--local-ca", env=dict(os.environ, STATE_DIRECTORY=self.state))
        assert done.returncode == 0, done
        return (self.case.write("local-ca.pem", done.stdout, 0o644),
                next(line for line in done.stderr.split("\n") if line.startswith("jre/bin/keytool ")))

    def truststore(self):
        """As the printed line makes it; and, as a Java that knows public CAs would, it trusts the host of the upgrades."""
        ca, line = self.local_ca()
        own = {"jre/bin/keytool": real.program("keytool"), "midrelay-local-ca.pem": ca,
               "jre/lib/security/cacerts": self.case.path("cacerts")}
        words = [own.get(word, word) for word in shlex.split(line)]
        for command in (words, [real.program("keytool"), "-importcert", "-noprompt", "-alias", "public", "-file",
                                self.case.pki["root.pem"], "-keystore", self.case.path("cacerts"), "-storepass", "changeit"]):
            done = subprocess.run(command, capture_output=True, text=True, timeout=60 * harness.SLOW)
            assert done.returncode == 0, done
        return self.case.path("cacerts")

    def upgrade(self):
        return "https://%s:%d/upgrade" % (NAME, self.downloads.port)

    def went_well(self, host):
        assert self.instance.faults == [] and self.instance.hosts == {host}, (self.instance.faults, self.instance.hosts)
        self.m.session()
        assert {event["end"] for event in self.m.events("session")} == {"ok"}, self.m.tail()


def in_java(case, kind):
    p = Parts(case)
    java = real.java_client("InstanceClient", real.COMMONS_JARS + real.JETTY_JARS)
    options = ["-Djdk.net.hosts.file=" + case.write("hosts", "127.0.0.1 %s\n" % NAME),
               "-Djavax.net.ssl.trustStore=" + p.truststore(), "-Djavax.net.ssl.trustStorePassword=changeit"]
    for way, (proxy, base, host, upgrades) in p.ways().items():
        p.instance.hosts.clear()
        done = subprocess.run([*java[:-1], *options, java[-1], kind, proxy, base, *([p.upgrade()] if upgrades else [])],
                              capture_output=True, text=True, timeout=60 * harness.SLOW)
        assert done.returncode == 0, (way, done)
        expected = ["login 200 in", "next 200 /next: session", "old 200 /next?moved: session",
                    "soap 200 /InstanceInfo.do?SOAP " + hashlib.sha256(SOAP).hexdigest(),
                    "amb from /amb/one nothing from /amb/two", *(["download 200"] if upgrades else [])]
        assert done.stdout.splitlines() == expected, (way, done)
        p.went_well(host)
    # The upgrade's bytes were none of the instance's, and had no certificate of ours.
    fetched = real.edge_log(p.downloads)
    assert [(one["path"], one["subject"]) for one in fetched] == [("/upgrade", "-")], fetched


def test_commons(case):
    in_java(case, "commons")


def test_jetty(case):
    in_java(case, "jetty")


def test_java_net_http(case):
    in_java(case, "jdk")


def test_curl(case):
    p = Parts(case)
    ca, _ = p.local_ca()
    body = case.path("soap")
    with open(body, "wb") as out:
        out.write(SOAP)
    for way, (proxy, base, host, upgrades) in p.ways().items():
        p.instance.hosts.clear()
        jar = case.path("jar-" + way)
        common = ["-L", "-b", jar, "-c", jar, "--cacert", ca, "--http1.1", "--resolve", "%s:%d:127.0.0.1" % (NAME, p.tls)]
        if proxy != "-":
            common += ["--noproxy", "", "-x", "http://" + proxy]
        for path, more, expected in (
                ("/login", [], b"in"), ("/next", [], b"/next: session"), ("/old", [], b"/next?moved: session"),
                ("/InstanceInfo.do?SOAP", ["--data-binary", "@" + body],
                 b"/InstanceInfo.do?SOAP " + hashlib.sha256(SOAP).hexdigest().encode())):
            got = real.curl(case, *common, *more, base + path)
            assert got == expected, (way, path, got)
        if upgrades:
            got = real.curl(case, "--noproxy", "", "-x", "http://" + proxy, "--cacert", case.pki["root.pem"], p.upgrade())
            assert got == b"\n", got
        p.went_well(host)
    assert len(real.edge_log(p.downloads)) == 1


if __name__ == "__main__":
    harness.main()
