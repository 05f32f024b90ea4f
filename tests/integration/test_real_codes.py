#!/usr/bin/python3
"""Proves what the refusals of real proxies and servers end in: Squid, tinyproxy, Apache, nginx."""

import glob
import re
import subprocess

import codes
import harness
import real
from codes import Situation, case_of
from harness import Skip

SQUID = "Server: squid/"


def relay(case, target, proxy, *facts, port=None, start=None, drive=None, stops=None, **keys):
    """The relay `r`, through a real proxy, or direct."""
    if port is not None:
        target = "%s:%d" % (target, port)
    return Situation({"relay r": case.keys(target, [proxy.url] if proxy else (), **keys)}, *facts, start=start, drive=drive,
                     stops=stops)


# Squid

def squid(case, *facts, host="instance.lab.test", port=443, open_port=443, auth=True, proxy=None, **keys):
    proxy = proxy or real.squid(case, open_port)
    return relay(case, "%s:%d" % (host, port), proxy, proxy.url, "CONNECT %s:%d" % (host, port), *facts, auth=auth, **keys)


@case_of("proxy-auth-required")
def squid_without_credentials(case):
    """Squid with Basic, and none configured."""
    return squid(case, '"HTTP/1.1 407 Proxy Authentication Required"', "offering Basic (no credentials were sent)",
                 "X-Squid-Error: ERR_CACHE_ACCESS_DENIED", SQUID, "Via: 1.1 proxy.lab.test (squid/", auth=False)


@case_of("proxy-auth-rejected")
def squid_with_a_wrong_password(case):
    """Squid with Basic, and the wrong password."""
    return squid(case, "offering Basic (our credentials were sent)", "X-Squid-Error: ERR_CACHE_ACCESS_DENIED",
                 proxy=real.squid(case, 443, password="another"))


def squid_that_offers(case, *schemes):
    helper = glob.glob("/usr/lib*/squid/ntlm_fake_auth") + glob.glob("/usr/lib*/*/squid/ntlm_fake_auth")
    if not helper:
        raise Skip("squid's ntlm_fake_auth is not installed")
    lines = []
    for scheme in schemes:
        lines += ["auth_param %s program %s" % (scheme, helper[0]), "auth_param %s children 1 startup=1 idle=1" % scheme]
    return real.squid(case, 443, access=lines + ["acl users proxy_auth REQUIRED", "http_access allow users"])


@case_of("proxy-auth-ntlm-only")
def squid_with_ntlm_alone(case):
    """Squid with its fake NTLM helper."""
    return squid(case, "offering NTLM (our credentials were sent)", SQUID, proxy=squid_that_offers(case, "ntlm"))


@case_of("proxy-auth-ntlm-only")
def squid_with_negotiate_alone(case):
    """Squid that offers Negotiate."""
    return squid(case, "offering Negotiate (no credentials were sent)", SQUID, auth=False,
                 proxy=squid_that_offers(case, "negotiate"))


@case_of("proxy-auth-ntlm-only")
def squid_with_negotiate_and_ntlm(case):
    """Squid that offers both."""
    return squid(case, "offering Negotiate, NTLM", SQUID, proxy=squid_that_offers(case, "negotiate", "ntlm"))


@case_of("proxy-denied")
def squid_denies_by_acl(case):
    """Squid's http_access deny."""
    return squid(case, '"HTTP/1.1 403 Forbidden"', "X-Squid-Error: ERR_ACCESS_DENIED 0", SQUID, auth=False,
                 proxy=real.squid(case, 443, access=["http_access deny connect"]))


@case_of("proxy-denied")
def squid_denies_a_port(case):
    """A port that Squid's rules do not permit, with good credentials."""
    return squid(case, "X-Squid-Error: ERR_ACCESS_DENIED 0", port=444)


@case_of("proxy-upstream-failed", "connect")
def squid_cannot_connect(case):
    """A target that refuses connections, behind Squid."""
    port = case.closed_port()
    return squid(case, '"HTTP/1.1 503 Service Unavailable"', "X-Squid-Error: ERR_CONNECT_FAIL 111", port=port,
                 open_port=port)


@case_of("proxy-upstream-failed", "forward")
def squid_cannot_resolve(case):
    """A target whose name Squid 5 cannot resolve: it does not tell that from other ways to fail."""
    if not re.search(r"Version [1-5]\.", subprocess.run([real.program("squid"), "-v"], capture_output=True, text=True).stdout):
        raise Skip("newer versions of Squid say ERR_DNS_FAIL")
    proxy = real.squid(case, 443, access=["dns_nameservers 127.77.0.3", "dns_timeout 1 second",
                                          "dns_retransmit_interval 1 second", "http_access allow connect"])
    return squid(case, '"HTTP/1.1 500 Internal Server Error"', "X-Squid-Error: ERR_CANNOT_FORWARD", host="no-such-host.invalid",
                 auth=False, proxy=proxy, proxy_timeout="9s")


@case_of("proxy-tls", "not-tls")
def squid_is_plain(case):
    """https:// before Squid's plain port."""
    proxy = real.squid(case, 443)
    proxy.scheme = "https"
    return relay(case, "instance.lab.test", proxy, "TLS with the proxy " + proxy.url)


def bumped(case, *facts, **how):
    instance = case.instance()
    proxy = real.squid_bump(case, instance.port, "1.3")
    return relay(case, "instance.lab.test", proxy, "issued by CN=Corporate Inspection CA", "through the proxy " + proxy.url,
                 *facts, port=instance.port, proxy_pipeline="auto", **how)  # `on` is lost on it, see test_real_pipeline.py


@case_of("tls-untrusted")
def squid_bumps_with_an_unknown_root(case):
    """Squid's ssl_bump, whose CA nobody trusts."""
    return bumped(case, "does not verify")


@case_of("tls-inspected")
def squid_bumps_with_a_trusted_root(case):
    """Squid's ssl_bump, whose CA the system trusts."""
    env = {"SSL_CERT_FILE": case.pki["inspect-root.pem"], "SSL_CERT_DIR": case.path("no-such-directory")}
    return bumped(case, "no SCT came with the certificate", start={"env": env}, trust="system")


# tinyproxy

def tinyproxy(case, *facts, port=443, password="plain7word", host="127.0.0.1", **how):
    keys = {}
    if password:
        keys.update(proxy_user=harness.USER, proxy_password="file:" + case.write("tinyproxy-password", password))
    proxy = real.tinyproxy(case, how.pop("open_port", 443), **how)
    return relay(case, "%s:%d" % (host, port), proxy, proxy.url, "CONNECT %s:%d" % (host, port), *facts,
                 start={"secrets": [password] if password else []}, **keys)


@case_of("proxy-auth-rejected")
def tinyproxy_with_a_wrong_password(case):
    """tinyproxy says 401."""
    return tinyproxy(case, '401 Unauthorized"', "our credentials were sent", "Server: tinyproxy/", password="wrong-7-word")


@case_of("proxy-auth-required")
def tinyproxy_without_credentials(case):
    """tinyproxy says 407."""
    return tinyproxy(case, "407 Proxy Authentication Required", "offering Basic (no credentials were sent)",
                     "Server: tinyproxy/", password=None)


@case_of("proxy-denied")
def tinyproxy_denies_a_port(case):
    """A port that ConnectPort does not list."""
    return tinyproxy(case, " 403 ", "Server: tinyproxy/", port=444)


@case_of("proxy-denied", "block-page")
def tinyproxy_filters(case):
    """A host in its filter."""
    return tinyproxy(case, "403 Filtered", "the block page of a web filter", host="blocked.lab.test",
                     filtered="blocked.lab.test")


@case_of("proxy-upstream-failed", "connect")
def tinyproxy_cannot_connect(case):
    """A target that refuses connections."""
    port = case.closed_port()
    return tinyproxy(case, "500 Unable to connect", "Server: tinyproxy/", port=port, open_port=port)


# Apache

def apache(case, *facts, port=443, auth=False, **how):
    proxy = real.apache(case, how.pop("open_port", port), auth=how.pop("ask", False))
    return relay(case, "127.0.0.1", proxy, proxy.url, "CONNECT 127.0.0.1:%d" % port, "Server: Apache", *facts, port=port,
                 auth=auth)


@case_of("proxy-auth-required")
def apache_without_credentials(case):
    """Apache with Basic, and none configured."""
    return apache(case, "407 Proxy Authentication Required", "offering Basic (no credentials were sent)", ask=True)


@case_of("proxy-auth-rejected")
def apache_with_a_wrong_password(case):
    """Apache with Basic, and a user that it does not know."""
    situation = apache(case, "offering Basic (our credentials were sent)", ask=True, auth=True)
    situation.sections["relay r"]["proxy_user"] = "somebody-else"
    return situation


@case_of("proxy-denied")
def apache_denies_a_port(case):
    """A port that AllowCONNECT does not list."""
    return apache(case, "403 Proxy Error", port=444, open_port=443)


@case_of("proxy-upstream-failed")
def apache_cannot_connect(case):
    """A target that refuses connections; Apache says so in the page alone."""
    return apache(case, "503 Service Unavailable", port=case.closed_port())


# Servers as the target, and in a proxy's place

@case_of("tls-not-tls", "plain-http")
def apache_as_the_target(case):
    """A plain web server's port as the target."""
    server = real.apache(case, 443)
    return relay(case, "instance.lab.test", None, "a plain HTTP response where TLS was expected", "400 Bad Request",
                 "127.0.0.1:%d" % server.port, port=server.port, target_address="127.0.0.1")


@case_of("tls-version")
def nginx_of_old_versions(case):
    """nginx that ends at TLS 1.2."""
    nginx = real.nginx(case, tls="TLSv1.2")
    return relay(case, "instance.lab.test", None, "protocol version", "127.0.0.1:%d" % nginx.port, port=nginx.port,
                 target_address="127.0.0.1", tls_min="1.3")


def nginx_with_its_page(case, page, bundle):
    nginx = real.nginx(case)

    def read(m):
        response = m.get()
        assert response.status == 400 and page.encode() in response.body, response.body
    return relay(case, "instance.lab.test", None, "400 Bad Request", '"%s"' % page, "Server: nginx/", port=nginx.port,
                 target_address="127.0.0.1", client_bundle=bundle, drive=read, stops="certificate")


@case_of("instance-cert-refused")
def nginx_refuses_the_certificate(case):
    """nginx's page for a certificate of a CA that it does not know (its 495)."""
    return nginx_with_its_page(case, "The SSL certificate error", case.pki["client-unknown-bundle.pem"])


@case_of("instance-cert-refused")
def nginx_misses_a_certificate(case):
    """nginx's page for no certificate (its 496)."""
    return nginx_with_its_page(case, "No required SSL certificate was sent", None)


@case_of("proxy-status", "no-proxy")
def nginx_in_a_proxys_place(case):
    """The TLS port of a web server listed as a plain proxy."""
    nginx = real.nginx(case)
    return relay(case, "instance.lab.test", nginx, '400 Bad Request"', "Server: nginx", "a web server")


codes.tests(globals(), codes.through_run)

if __name__ == "__main__":
    harness.main()
