#!/usr/bin/python3
"""
Proves mode = http with the real programs around it: curl and the MID's own Java HTTP client, by the relay's URL and with
the relay as their proxy, through Squid, to nginx that demands a client certificate.
"""

import hashlib
import subprocess

import harness
import real

# The cookies, redirects and headers of an instance, as far as they are in the way of plain http.
INSTANCE = """
  location = /login {
   add_header Set-Cookie "JSESSIONID=A1B2C3; Path=/; Secure; HttpOnly; SameSite=None";
   add_header Set-Cookie "glide_user_route=glide.77; Domain=.lab.test; Path=/; Max-Age=2147483647; Secure; HttpOnly";
   add_header Strict-Transport-Security "max-age=63072000; includeSubDomains";
   return 200 "in\\n";
  }
  location = /next { return 200 "cookie $http_cookie host $http_host\\n"; }
  location = /old { return 302 https://instance.lab.test:$server_port/next?moved=1; }
"""


class Parts:
    def __init__(self, case, **nginx):
        self.nginx = real.nginx(case, more=INSTANCE, **nginx)
        self.squid = real.squid(case, self.nginx.port)
        self.authority = "instance.lab.test:%d" % self.nginx.port
        self.m = case.start({"relay r": case.keys(self.authority, [self.squid.url], auth=True, mode="http")})
        self.m.opened = None
        self.at = "127.0.0.1:%d" % self.m.port()

    def all_ok(self):
        ends = {event["end"] for event in self.m.events("session")}
        assert ends <= {"ok"}, ends


def test_curl_by_url(case):
    """Several requests on one connection; the target sees its own name and our certificate."""
    p = Parts(case)
    url = "http://%s" % p.at
    seen = real.curl(case, url + "/a", url + "/next", url + "/b?x=1").decode()
    assert seen.count("verify SUCCESS") == 2 and "uri /b?x=1" in seen and "host " + p.authority in seen, seen
    session = p.m.session()
    assert session["requests"] == "3" and session["end"] == "ok", session


def test_curl_by_proxy(case):
    """The same with midrelay as curl's proxy, and the target's name in the URL."""
    p = Parts(case)
    url = "http://%s" % p.authority
    seen = real.curl(case, "--noproxy", "", "-x", "http://" + p.at, url + "/a", url + "/next").decode()
    assert "verify SUCCESS" in seen and "uri /a" in seen and "host " + p.authority in seen, seen
    assert p.m.session()["requests"] == "2"


def test_redirects_stay_here(case):
    """A redirect to the target's https:// address leads back to where the client was."""
    p = Parts(case)
    seen = real.curl(case, "-L", "http://%s/old" % p.at).decode()
    assert seen.startswith("cookie  host " + p.authority), seen
    seen = real.curl(case, "-L", "--noproxy", "", "-x", "http://" + p.at, "http://%s/old" % p.authority).decode()
    assert seen.startswith("cookie  host " + p.authority), seen
    p.all_ok()


def test_cookies_of_curl(case, tmp="jar"):
    """A cookie store keeps what was Secure, and HSTS does not come through."""
    p = Parts(case)
    url, jar = "http://%s" % p.at, case.path(tmp)
    head = real.curl(case, "-c", jar, "-D", "-", url + "/login").decode()
    assert "Set-Cookie" in head and "Secure" not in head and "SameSite" not in head and "Strict-" not in head, head
    seen = real.curl(case, "-b", jar, url + "/next").decode()
    assert "JSESSIONID=A1B2C3" in seen and "glide_user_route=glide.77" in seen, seen


def run_java(case, *args):
    done = subprocess.run(real.java_client("CookieClient") + list(args), capture_output=True, text=True,
                          timeout=120 * harness.SLOW)
    assert done.returncode == 0, done
    return done.stdout


def test_session_cookie_of_commons_by_url(case):
    """Commons HttpClient 3.1 sends the session's cookie with its second request; without mode = http it does not."""
    p = Parts(case)
    url = "http://%s" % p.at
    seen = run_java(case, "-", url + "/login", url + "/next", url + "/old")
    assert seen.startswith("200 in\n200 cookie ") and seen.count("JSESSIONID=A1B2C3") == 2, seen
    assert seen.count("glide_user_route=glide.77") == 2, seen
    plain = case.start({"relay r": case.keys(p.authority, [p.squid.url], auth=True)})
    plain.opened = None
    url = "http://127.0.0.1:%d" % plain.port()
    seen = run_java(case, "-", url + "/login", url + "/next")
    assert "JSESSIONID" not in seen, "the cookie came back without help: this test proves nothing: " + seen


def test_session_cookie_of_commons_by_proxy(case):
    """The same with midrelay as its proxy (mid.proxy.host) and url = http://TARGET/."""
    p = Parts(case)
    url = "http://%s" % p.authority
    seen = run_java(case, p.at, url + "/login", url + "/next", url + "/old")
    assert seen.startswith("200 in\n200 cookie ") and seen.count("JSESSIONID=A1B2C3") == 2, seen
    assert seen.count("glide_user_route=glide.77") == 2, seen
    p.all_ok()


def test_soap_of_commons(case):
    """Many threads post SOAP and keep their connections."""
    p = Parts(case)
    done = subprocess.run(real.java_client() + ["http://%s/soap" % p.at, "20", "20", "5000"], capture_output=True,
                          text=True, timeout=120 * harness.SLOW)
    assert done.returncode == 0 and done.stdout.strip() == "ok 400", done
    p.m.session(20)
    assert sum(int(event["requests"]) for event in p.m.events("session")) == 400
    p.all_ok()


SIZE = 100 << 20


def test_large_bodies(case):
    """100 MiB down, and up with a length and in chunks, arrive with equal hashes."""
    p = Parts(case, big_bytes=SIZE)
    down = real.curl(case, "http://%s/big" % p.at, timeout=120)
    assert hashlib.sha256(down).hexdigest() == harness.pattern_sha256(SIZE)
    file = case.path("up")
    with open(file, "wb") as out:
        out.write(down)
    for name, how in (("length", []), ("chunks", ["-H", "Transfer-Encoding: chunked"])):
        real.curl(case, *how, "-T", file, "http://%s/put/%s" % (p.at, name), timeout=120)
        digest = hashlib.sha256()
        with open("%s/www/put/%s" % (p.nginx.directory, name), "rb") as stored:
            while part := stored.read(1 << 20):
                digest.update(part)
        assert digest.hexdigest() == harness.pattern_sha256(SIZE), name
    p.all_ok()


if __name__ == "__main__":
    harness.main()
