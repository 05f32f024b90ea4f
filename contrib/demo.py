"""The show of contrib/demo: starts the lab and midrelay, sends requests with curl, and checks what each party saw."""

import argparse
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import textwrap
import threading
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LAB = os.path.join(TOP, "tests", "lab", "lab.py")
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
SECONDS = 30
# The environment may name a proxy for everything; what is here is on this host.
LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))
BY_HAND = "curl --noproxy '*'" if {"http_proxy", "all_proxy", "ALL_PROXY"} & set(os.environ) else "curl"

NAME = "instance.lab.test"
BODY = "number=INC0010001&short_description=the+printer+is+on+fire"
URL_PATH = "/api/now/table/incident"

PICTURE = """\
 +------+  plain   +----------+  CONNECT  +-------+           +----------+
 | curl | -------> | midrelay | --------> | proxy | --------> | instance |
 +------+          +----------+           +-------+           +----------+
                         |============ mutual TLS 1.3 =============|"""


def paint(text, code):
    return "\033[%sm%s\033[0m" % (code, text) if COLOUR else text


def heading(text):
    print("\n" + paint(text, "1") + "\n" + paint("-" * len(text), "2"))


def show(text, label=""):
    """A paragraph, wrapped, behind a label if it has one."""
    first, rest = ("  %-11s" % label, " " * 13) if label else ("  ", "      ")
    for line in textwrap.wrap(text, 76, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False):
        print(line)


def command(text):
    print(paint("  $ " + text, "36"))


class Failed(Exception):
    """The show cannot go on."""


class Checks:
    def __init__(self):
        self.good = self.bad = 0

    def check(self, right, text):
        self.good += bool(right)
        self.bad += not right
        print("  %s %s" % (paint("ok  ", "32") if right else paint("FAIL", "1;31"), text))


class Lab:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, LAB], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        start_new_session=True)
        line = self.process.stdout.readline()
        if not line:
            raise Failed("the lab did not start")
        self.ready = json.loads(line)
        self.pki = self.ready["pki"]

    def records(self, server, count):
        """What it remembers of its first `count` connections, once they have ended."""
        for _ in range(SECONDS * 50):
            with LOCAL.open("%s/%s" % (self.ready["control"], self.ready[server]["id"])) as answer:
                found = json.load(answer)
            if len(found) >= count and all(record["done"] for record in found[:count]):
                return found
            threading.Event().wait(0.02)
        raise Failed("%s saw %d connections, %d were expected to end" % (server, len(found), count))

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Midrelay:
    def __init__(self, binary, directory, lab):
        self.config = os.path.join(directory, "midrelay.ini")
        self.log_path = os.path.join(directory, "midrelay.log")
        self.binary = binary
        # Its system store holds the inspecting proxy's CA alone.
        self.env = dict(os.environ, SSL_CERT_FILE=lab.pki["inspect-root.pem"],
                        SSL_CERT_DIR=os.path.join(directory, "none"))
        self.write_config(directory, lab)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([binary, "run", "-c", self.config], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True, env=self.env)
        for _ in range(SECONDS * 50):
            if re.search("^[^ ]+ info ready ", self.log(), re.M) or self.process.poll() is not None:
                break
            threading.Event().wait(0.02)
        self.address = dict(re.findall(" listening relay=([^ ]+) address=([^ ]+)", self.log()))
        if len(self.address) != 3:
            self.stop()
            raise Failed("midrelay did not start:\n" + self.log())

    def write_config(self, directory, lab):
        password = os.path.join(directory, "proxy-password")
        with open(os.open(password, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
            out.write(lab.ready["proxy_password"] + "\n")
        sections = []
        for name, proxy, trust in (("demo", "proxy", "root"), ("inspected", "inspecting_proxy", "root"),
                                   ("fooled", "inspecting_proxy", None)):
            sections.append("\n".join([
                "[relay %s]" % name,
                "listen         = 127.0.0.1:0",
                "target         = %s" % lab.ready["target"],
                "proxy          = http://127.0.0.1:%d" % lab.ready[proxy]["port"],
                "proxy_user     = %s" % lab.ready["proxy_user"],
                "proxy_password = file:%s" % password,
                "client_bundle  = %s" % lab.pki["client-bundle.pem"],
                "trust          = %s" % (lab.pki[trust + ".pem"] if trust else "system"), ""]))
        with open(self.config, "w") as out:
            out.write("\n".join(sections))

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def sessions(self):
        return [line for line in self.log().splitlines(True) if " info session " in line and line.endswith("\n")]

    def stop(self):
        """Its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def curl(address):
    """(exit status, HTTP status line, body)"""
    url = "http://%s%s" % (address, URL_PATH)
    command("curl -i -H 'Host: %s' -d '%s...' \\" % (NAME, BODY[:17]))
    print(paint("        " + url, "36"))
    done = subprocess.run(["curl", "-isS", "--noproxy", "*", "--max-time", str(SECONDS), "-H", "Host: " + NAME,
                           "-d", BODY, url], capture_output=True, text=True)
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    if done.stderr:
        show(done.stderr.strip(), "curl")
    return done.returncode, head.split("\n")[0], body


def pem_to_der(path):
    """The first certificate of a file."""
    with open(path) as file:
        found = re.search("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", file.read(), re.S)
    return ssl.PEM_cert_to_DER_cert(found[0])


def show_request(checks, lab, relay):
    heading("1. A plain request goes in, and arrives under a client certificate")
    status, line, _ = curl(relay.address["demo"])
    checks.check(status == 0 and line.startswith("HTTP/1.1 200"), "curl got %s" % (line or "no answer"))
    record = lab.records("instance", 1)[0]
    if not record["requests"]:
        raise Failed("no request arrived at the instance: %r" % record)
    request = record["requests"][0]
    headers = dict(request["headers"])
    certificate = record["client_cert"] or {"subject": "nobody", "issuer": "nobody"}
    print("\n  What the instance saw:")
    show("%s %s, Host: %s, %d bytes of body" % (request["method"], request["path"], headers.get("Host"),
                                               request["body_bytes"]), "request")
    show("%s, issued by %s" % (certificate["subject"].replace("organizationName", "O").replace("commonName", "CN"),
                               certificate["issuer"].replace("organizationName", "O").replace("commonName", "CN")),
         "client")
    show("%s, %s, SNI %s" % (record["version"], record["cipher"], record["client_hello"]["sni"]), "TLS")
    checks.check(request["path"] == URL_PATH and request["body_bytes"] == len(BODY), "the request arrived whole")
    checks.check("commonName=mid-one" in certificate["subject"],
                 "with the client certificate, which curl does not have")


def spaced_hex(data):
    return " ".join("%02x" % byte for byte in data)


def show_proxy(checks, lab):
    heading("2. What the proxy saw of it")
    record = lab.records("proxy", 1)[0]
    for line in record["request"].strip().split("\r\n"):
        name, colon, _ = line.partition(": ")
        secret = name.lower() == "proxy-authorization"
        print("    > " + (name + colon + "Basic (user and password of the proxy)" if secret else line))
    print("    < HTTP/1.1 200, and from there on:")
    with open(record["up_file"], "rb") as up, open(record["down_file"], "rb") as down:
        up, down = up.read(), down.read()
    last = up.rfind(b"\x17\x03\x03", 0, len(up) - 64)
    print("    > %s ...   (TLS ClientHello)" % spaced_hex(up[:11]))
    print("    > %s ...   (one of the records)" % spaced_hex(up[last:last + 11]))
    print("    %d bytes up, %d bytes down" % (len(up), len(down)))
    version = lab.records("instance", 1)[0]["version"]
    checks.check(record["request"].startswith("CONNECT %s:443 HTTP/1.1\r\n" % NAME) and record["reads"] == 1,
                 "one CONNECT, in one piece, with the credentials in it")
    checks.check(len(up) == record["bytes_up"] > 500 and len(down) == record["bytes_down"] > 500,
                 "the transcript of the tunnel is complete")
    both = up + down
    checks.check(NAME.encode() in up, "the instance's name is in it (SNI is not secret)")
    checks.check(BODY[:17].encode() not in both and URL_PATH.encode() not in both, "the request's text is not in it")
    leaf = pem_to_der(lab.pki["client-bundle.pem"])
    checks.check(version == "TLSv1.3" and b"mid-one" in leaf and b"mid-one" not in both and leaf not in both,
                 "the client certificate is not in it, nor its subject (TLS 1.3)")


def show_refusal(checks, lab, relay, name, code, count):
    """A request over the inspecting proxy."""
    status, line, body = curl(relay.address[name])
    checks.check(status == 0 and line.startswith("HTTP/1.1 502 midrelay: %s: " % code),
                 "refused: HTTP/1.1 502 midrelay: %s: ..." % code)
    for paragraph in body.strip().split("\n\n")[1:]:
        show(paragraph, "it says" if paragraph.startswith(code) else "remedy")
    seen = lab.records("inspecting_proxy", count)[count - 1].get("inspected")
    checks.check(seen and ["write", "CERTIFICATE"] in seen["handshake"],
                 "the proxy did play the instance, with a certificate of its own")
    checks.check(seen and seen["client_certificates"] == 0 and ["read", "CERTIFICATE"] not in seen["handshake"],
                 "it never got the client certificate")
    checks.check(seen and seen["bytes_in"] == 0 and seen["plaintext"] == "", "it never got a byte of the request")
    arrived = sum(len(record["requests"]) for record in lab.records("instance", 1))
    checks.check(arrived == 1, "nothing arrived at the instance")


def show_inspection(checks, lab, relay):
    heading("3. The same through a proxy that inspects TLS")
    show_refusal(checks, lab, relay, "inspected", "tls-untrusted", 1)
    heading("4. ... and on a host whose system store has the inspecting CA")
    show("The proxy asks for the client certificate, and its own certificate verifies. What gives it away is evidence: "
         "no Certificate Transparency timestamp (SCT) came with it, as one does with a public CA's.")
    show_refusal(checks, lab, relay, "fooled", "tls-inspected", 2)
    evidence = re.search(r' path-failed relay=fooled .* evidence="([^"]*)"', relay.log())
    for piece in evidence[1].split("; ") if evidence else []:
        show(piece, "evidence")
    checks.check(evidence and "sct: none (inspected)" in evidence[1] and "chain: verified by" in evidence[1],
                 "the log has each piece of the evidence")


def show_log(checks, relay):
    heading("5. What midrelay's log says of each connection")
    for _ in range(SECONDS * 50):
        lines = relay.sessions()
        if len(lines) >= 3:
            break
        threading.Event().wait(0.02)
    for line in lines:
        show(line.split(" info ", 1)[1].split(" msg=")[0])
    ends = sorted(re.search(r" relay=(\S+) .*? end=(\S+)", line).groups() for line in lines)
    checks.check(ends == [("demo", "ok"), ("fooled", "tls-inspected"), ("inspected", "tls-untrusted")],
                 "one line each, and each tells its end")


def run_check(relay, *relays):
    """(exit status, {heading: lines}) of `midrelay check`; the table itself is under ""."""
    command(" ".join(["midrelay check -c midrelay.ini", *relays]))
    done = subprocess.run([relay.binary, "check", "-c", relay.config, *relays], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, env=dict(relay.env, COLUMNS="78"), timeout=SECONDS)
    parts, under = {"": []}, ""
    for line in done.stdout.splitlines()[1:]:
        if re.fullmatch("[A-Z][a-z ]+", line):
            under = line
        parts.setdefault(under, []).append(line)
    return done.returncode, parts


def show_lines(lines):
    print("\n".join("  " + line if line else "" for line in lines).rstrip())


def show_check(checks, lab, relay):
    heading("6. What `midrelay check` says of the way to the instance")
    status, parts = run_check(relay, "demo")
    show_lines(parts[""])
    checks.check(status == 0, "exit status 0: every stage passed, and the instance took the certificate")
    heading("7. ... and of all three ways, two of them through the proxy that inspects")
    seen = len(lab.records("inspecting_proxy", 2))
    status, parts = run_check(relay)
    show_lines(parts[""] + parts.get("Comparison", []))
    checks.check(status == 3, "exit status 3: TLS is inspected on the way")
    told = " ".join(" ".join(parts.get("Comparison", [])).split())
    checks.check("the real server" in told and "Corporate Inspection CA" in told,
                 "it says who sees the real server, and who issued the other certificate")
    records = lab.records("inspecting_proxy", seen + 2)[seen:]
    checks.check(all(record["inspected"]["client_certificates"] == 0 for record in records),
                 "the inspecting proxy did not get the client certificate from it, either")


def keep(lab, relay):
    heading("All of it is still running; Ctrl-C ends it")
    print("  configuration  %s\n  log            %s\n  lab            %s" % (relay.config, relay.log_path,
                                                                        lab.ready["control"]))
    print("\n  Try, in another terminal:\n")
    command(BY_HAND + " -H 'Host: %s' http://%s/anything" % (NAME, relay.address["demo"]))
    command(BY_HAND + " -H 'Host: %s' http://%s/bytes/100000000 | sha256sum" % (NAME, relay.address["demo"]))
    command(BY_HAND + " -i -H 'Host: %s' http://%s/" % (NAME, relay.address["inspected"]))
    command(BY_HAND + " %s/%s      # what the instance saw" % (lab.ready["control"], lab.ready["instance"]["id"]))
    command(BY_HAND + " -d '{\"reply\": \"squid-403\"}' %s/%s" % (lab.ready["control"], lab.ready["proxy"]["id"]))
    command("SSL_CERT_FILE=%s %s check -c %s" % (lab.pki["inspect-root.pem"], relay.binary, relay.config))
    command("tail -f %s" % relay.log_path)
    command("kill -HUP %d      # reads the configuration again" % relay.process.pid)
    sys.stdout.flush()
    try:
        relay.process.wait()
    except KeyboardInterrupt:
        print()


def perform(binary, keep_running, directory):
    checks = Checks()
    lab = relay = None
    try:
        lab = Lab()
        relay = Midrelay(binary, directory, lab)
        print("\n" + PICTURE + "\n\n  All of this is on 127.0.0.1.")
        show_request(checks, lab, relay)
        show_proxy(checks, lab)
        show_inspection(checks, lab, relay)
        show_log(checks, relay)
        show_check(checks, lab, relay)
        if keep_running:
            keep(lab, relay)
    except Failed as failure:
        checks.check(False, str(failure))
    finally:
        # A second Ctrl-C must not leave anything behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        status = relay.stop() if relay else None
        if lab:
            lab.stop()
    if relay:
        heading("End")
        checks.check(status == 0, "midrelay ended cleanly")
    return checks


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    directory = tempfile.mkdtemp(prefix="midrelay-demo-")
    try:
        checks = perform(args.binary, args.keep, directory)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if checks.bad:
        print("\n" + paint("%d of %d checks failed." % (checks.bad, checks.good + checks.bad), "1;31"))
        sys.exit(1)
    print("\n" + paint("All %d checks hold." % checks.good, "1;32"))


if __name__ == "__main__":
    main()
