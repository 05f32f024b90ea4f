#!/usr/bin/python3
"""Proves that the codes of every stage up to the client certificate, and their causes, arise through `run`."""

import os
import resource
import socket
import ssl

import codes
import harness
import real
from codes import Situation, case_of, in_namespaces
from harness import Skip, url


def relay(case, target, proxies=(), *facts, start=None, drive=None, before=None, **keys):
    """The situation of one relay `r`."""
    return Situation({"relay r": case.keys(target, proxies, **keys)}, *facts, start=start, drive=drive, before=before)


# local

@case_of("local-denied", only="run")
def denied_by_address(case):
    """A client outside allow_address is told so, with its address."""
    return relay(case, case.instance(), (), "127.0.0.1:", "is not in allow_address", allow_address="10.0.0.0/8")


@case_of("local-denied", only="run")
def denied_by_account(case):
    """A client whose account is not in allow_user is told so, with the account."""
    return relay(case, case.instance(), (), "uid %d" % os.geteuid(), "is not in allow_user", allow_user="60001")


@case_of("local-limit", only="run")
def limit_of_connections(case):
    """One connection too many is told the limit."""
    held = []

    def hold(m):
        held.append(m.connect())
        harness.ask(held[0])
    return Situation({"midrelay": {"max_connections": "1"}, "relay r": case.keys(case.instance())},
                     "max_connections (1)", before=hold, after=lambda m: held[0].close())


@case_of("local-limit", "descriptors", only="run")
@harness.counts_dials
def limit_of_descriptors(case):
    """A dial that gets no descriptor says that, and is not taken for a failure of the path."""
    instance = case.instance()

    def leave_one(m):
        taken = {int(fd) for fd in os.listdir("/proc/%d/fd" % m.pid)}
        free = next(fd for fd in range(1 << 20) if fd not in taken)
        resource.prlimit(m.pid, resource.RLIMIT_NOFILE, (next(
            fd for fd in range(free + 1, 1 << 20) if fd not in taken), resource.prlimit(
                m.pid, resource.RLIMIT_NOFILE)[1]))
    return relay(case, instance, (), "127.0.0.1:%d: Too many open files" % instance.port, before=leave_one)


@case_of("local-spoke-tls", only="run")
def spoke_tls(case):
    """A ClientHello on a plain listener."""
    def hello(m):
        with m.connect() as sock:
            harness.try_send(sock, bytes.fromhex("1603010200010001fc0303") + bytes(range(200)))
            harness.read_all(sock)
    return relay(case, case.instance(), (), "TLS", drive=hello)


def http_drive(case, code, request, status):
    """A request of its own bytes, and its answer: status line, Proxy-Status, body."""
    def drive(m):
        info = codes.explained(case, code)
        with m.connect() as sock:
            sock.sendall(request)
            response = harness.read_response(sock)
        assert response.status == info["http_status"] == status, response.status
        sentence = response.reason.split(": ", 2)[2]
        assert response.reason == "midrelay: %s: %s" % (code, sentence), response.reason
        (proxy, parameters), = codes.parse_proxy_status(response.headers["proxy-status"])
        assert proxy == "midrelay" and parameters["error"] == info["proxy_status"], parameters
        assert parameters["error"] in codes.ERROR_TYPES and parameters["details"] == "%s: %s" % (code, sentence)
        assert info["remedy"] in response.body.decode("ascii"), response.body
        assert m.session()["msg"] == sentence
    return drive


@case_of("local-bad-request", only="run")
def bad_request(case):
    """A body with two ends."""
    request = (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"0\r\n\r\n")
    return relay(case, case.instance(), (), "Content-Length", "Transfer-Encoding", mode="http",
                 drive=http_drive(case, "local-bad-request", request, 400))


@case_of("local-connect-denied", only="run")
def connect_denied(case):
    """A host that connect_allow has not."""
    request = b"CONNECT www.example.com:443 HTTP/1.1\r\nHost: www.example.com:443\r\n\r\n"
    return relay(case, case.instance(), (), "www.example.com:443", "connect_allow", "download.example:8443", mode="http",
                 connect_allow="download.example:8443",
                 drive=http_drive(case, "local-connect-denied", request, 502))


def local_tls(case, *facts, client_cas=None, **more):
    """The situation of a client whose TLS with a tls:// listener comes to nothing."""
    keys = dict(case.keys(case.instance()), listen="tls://127.0.0.1:0", listen_cert=case.pki["server-chain.pem"],
                listen_key=case.pki["server.key"], listen_client_ca=client_cas, **more)

    def shake(m):
        context = ssl.create_default_context(cafile=case.pki["root.pem"] if client_cas else None)
        try:
            with context.wrap_socket(m.connect(), server_hostname="instance.lab.test") as sock:
                sock.recv(1)
        except (ssl.SSLError, OSError):
            pass
    return Situation({"relay r": {key: value for key, value in keys.items() if value}}, *facts, drive=shake,
                     start={"env": {"STATE_DIRECTORY": case.path("state")}})


@case_of("local-denied", "certificate", only="run")
def no_certificate_for_the_listener(case):
    """listen_client_ca, and a client without a certificate."""
    return local_tls(case, "the client showed no certificate", client_cas=case.pki["client-root.pem"])


@case_of("local-tls", only="run")
def handshake_not_done(case):
    """A client that goes in the middle of its ClientHello."""
    situation = local_tls(case, "closed the connection in the middle of the TLS handshake")

    def half_a_hello(m):
        with m.connect() as sock:
            sock.sendall(b"\x16\x03\x01\x02\x00\x01")
    situation.drive = half_a_hello
    return situation


@case_of("local-tls", "plain", only="run")
def plain_http_on_a_tls_listener(case):
    """A plain request is answered in plain."""
    situation = local_tls(case, "the client sent no TLS", "GET / HTTP/1.1")
    situation.drive = None
    return situation


@case_of("local-tls", "untrusted", only="run")
def listener_not_trusted(case):
    """A client that does not know the CA of listen_cert."""
    return local_tls(case, "does not accept the certificate of listen_cert (alert: unknown CA)")


@case_of("local-tls", "local-ca", only="run")
def local_ca_not_trusted(case):
    """The same with the local CA."""
    situation = local_tls(case, "alert: unknown CA", "midrelay bundle show --local-ca instance.lab.test")
    situation.sections["relay r"].update(listen_cert="auto", listen_key=None)
    return situation


# resolve

def name_service(case, switch, *facts, resolver="", **keys):
    around = in_namespaces(case, ":", files={"/etc/nsswitch.conf": "hosts: %s\n" % switch, "/etc/resolv.conf": resolver})
    return relay(case, "instance.lab.test", ["http://proxy.lab.test:3128"], "proxy.lab.test", *facts,
                 start={"around": around}, **keys)


@case_of("resolve-failed")
def name_unknown(case):
    """A name that does not exist, and whose name it is."""
    return name_service(case, "files", "the proxy http://proxy.lab.test:3128", "Name or service not known")


@case_of("resolve-failed", "no-answer")
def name_servers_silent(case):
    """No name server runs where resolv.conf says: the name is not at fault."""
    return name_service(case, "dns", "no name server gave an answer", resolver="nameserver 127.77.0.2\n",
                        connect_timeout="9s")


@case_of("resolve-failed", "resolver-failed")
def name_service_broken(case):
    """A name service that does not exist on this host."""
    return name_service(case, "no-such-service", "the name service failed")


@case_of("resolve-timeout")
def name_servers_swallow(case):
    """A name server that takes the question and never answers."""
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    case.cleanups.append(silent.close)
    try:
        silent.bind(("127.77.0.1", 53))
    except OSError as error:
        raise Skip("no name server can be played: %s" % error)
    return name_service(case, "dns", "connect_timeout, 400ms", connect_timeout="400ms",
                        resolver="nameserver 127.77.0.1\noptions timeout:1 attempts:1\n")


# connect

@case_of("connect-refused")
def proxy_port_closed(case):
    """Nobody listens on the proxy's port."""
    port = case.closed_port()
    return relay(case, "instance.lab.test", ["http://127.0.0.1:%d" % port], "the proxy http://127.0.0.1:%d" % port,
                 "Connection refused")


@case_of("connect-refused", "target")
def target_port_closed(case):
    """Nobody listens on the target's port, on a direct path."""
    port = case.closed_port()
    return relay(case, "instance.lab.test:%d" % port, (), "the target instance.lab.test:%d at 127.0.0.1:%d" % (port, port),
                 "Connection refused", target_address="127.0.0.1")


@case_of("connect-timeout")
def proxy_drops_packets(case):
    """A proxy that never takes the connection."""
    proxy = case.proxy(never_accept=True)
    with socket.socket() as probe:
        probe.settimeout(0.3)
        try:
            probe.connect(("127.0.0.1", proxy.port))
            raise Skip("this kernel completes connections past a full backlog")
        except TimeoutError:
            pass
    return relay(case, "instance.lab.test", [proxy], "127.0.0.1:%d" % proxy.port, "connect_timeout, 400ms",
                 connect_timeout="400ms")


@case_of("connect-unreachable", "no-route")
def no_route(case):
    """The kernel has no route for TCP to that address."""
    return relay(case, "instance.lab.test", ["http://255.255.255.255:3128"], "255.255.255.255:3128",
                 "Network is unreachable")


def with_route(case, kind, *facts):
    """A network of its own, in which 203.0.113.9 has a route of that kind."""
    around = in_namespaces(case, "ip link set lo up; ip route add %s 203.0.113.9" % kind, net=True)
    return relay(case, "instance.lab.test", ["http://203.0.113.9:3128"], "203.0.113.9:3128", *facts,
                 start={"around": around}, listen="unix:" + case.path("listener"))


def without_ports(case, **keys):
    """A network of its own, in which the kernel has no port to dial from."""
    around = in_namespaces(case, "cd /proc/sys/net/ipv4; ip link set lo up; echo 40000 40001 > ip_local_port_range; "
                           "echo 40000-40001 > ip_local_reserved_ports", net=True)
    return relay(case, "instance.lab.test", ["http://127.0.0.1:3128"], "127.0.0.1:3128",
                 "Cannot assign requested address", start={"around": around}, listen="unix:" + case.path("listener"),
                 **keys)


@case_of("local-limit", "ports", only="run")
def no_port_left(case):
    """The kernel has no port to dial from."""
    return without_ports(case)


@case_of("local-limit", "ports", only="run")
def no_port_left_at_the_source_address(case):
    """The same of a source_address, which is not what is wrong."""
    return without_ports(case, source_address="127.0.0.2")


@case_of("connect-unreachable", "host-unreachable")
def host_unreachable(case):
    """A way that ends in "host unreachable"."""
    return with_route(case, "unreachable", "No route to host")


@case_of("connect-unreachable", "forbidden-here")
def forbidden_by_this_host(case):
    """A way that this host itself forbids."""
    return with_route(case, "prohibit", "Permission denied")


@case_of("connect-unreachable")
def black_hole(case):
    """Any other word of the kernel is passed on as it is."""
    return with_route(case, "blackhole", "Invalid argument")


@case_of("connect-unreachable", "source-address")
def source_address_of_somebody_else(case):
    """A source_address that this host does not have is named."""
    return relay(case, case.instance(), (), "source_address = 192.0.2.77", "Cannot assign requested address",
                 source_address="192.0.2.77")


@case_of("connect-loop")
def our_own_listener(case):
    """The proxy is a listener of this very process."""
    port = real.free_port()
    listener = "127.0.0.1:%d" % port
    return Situation({"relay r": case.keys("instance.lab.test", ["http://" + listener]),
                      "relay other": case.keys("instance.lab.test", listen=listener)}, listener, "midrelay itself listens")


# proxy: what it answers

def answered(case, reply, *facts, auth=False, **scenario):
    proxy = case.proxy(case.instance(), reply=reply, **scenario)
    return relay(case, "instance.lab.test", [proxy], "127.0.0.1:%d" % proxy.port, "CONNECT instance.lab.test:443", *facts,
                 auth=auth)


@case_of("proxy-auth-required")
def no_credentials_configured(case):
    """407 with Basic, and none configured."""
    return answered(case, "squid-407", '"HTTP/1.1 407 Proxy Authentication Required"', "offering Basic",
                    "no credentials were sent", "X-Squid-Error: ERR_CACHE_ACCESS_DENIED 0", "Server: squid/5.7",
                    "Via: 1.1 proxy.lab.test (squid/5.7)")


@case_of("proxy-auth-rejected")
def credentials_refused(case):
    """407 with Basic among others, and ours were sent."""
    return answered(case, "skyhigh-407", '"HTTP/1.0 407 authenticationrequired"', "offering Negotiate, Basic",
                    "our credentials were sent", "Via: 1.0 10.1.1.1 (McAfee Web Gateway 8.2)", auth=True)


@case_of("proxy-auth-rejected", "quota")
def quota_used_up(case):
    """A 407 that speaks of a quota is not blamed on the password."""
    return answered(case, "metered-407", '"HTTP/1.1 407 TRAFFIC_EXHAUSTED"', "a used-up quota", auth=True)


@case_of("proxy-auth-ntlm-only")
def windows_schemes_only(case):
    """Negotiate, Kerberos and NTLM, no Basic."""
    return answered(case, "isa-407", "offering Negotiate, Kerberos, NTLM", "The ISA Server requires authorization",
                    "Via: 1.1 ISA01")


@case_of("proxy-auth-ntlm-only")
def negotiate_only(case):
    """Negotiate alone."""
    return answered(case, "negotiate-407", "offering Negotiate (our credentials were sent)", auth=True)


@case_of("proxy-auth-unsupported")
def digest_only(case):
    """Digest alone."""
    return answered(case, "digest-407", "offering Digest (our credentials were sent)", auth=True)


@case_of("proxy-auth-unsupported", "no-scheme")
def no_scheme_offered(case):
    """A 407 without any scheme."""
    return answered(case, "HTTP/1.1 407 Device not registered\r\n\r\n", "offering no scheme", "Device not registered")


@case_of("proxy-denied")
def forbidden(case):
    """403."""
    return answered(case, "403", '"HTTP/1.1 403 Forbidden"', "X-Squid-Error: ERR_ACCESS_DENIED 0", "Server: squid/5.7")


@case_of("proxy-denied", "block-page")
def block_page(case):
    """403 URLBlocked is called a block page."""
    return answered(case, "skyhigh-block-403", '"HTTP/1.1 403 URLBlocked"', "the block page of a web filter",
                    "Via: 1.1 10.1.1.1 (McAfee Web Gateway 8.2)")


@case_of("proxy-upstream-failed")
def bad_gateway(case):
    """502 without a reason."""
    return answered(case, "502", '"HTTP/1.1 502 Bad Gateway"')


@case_of("proxy-upstream-failed", "dns")
def proxy_cannot_resolve(case):
    """Squid's ERR_DNS_FAIL."""
    return answered(case, "squid-dns-503", "X-Squid-Error: ERR_DNS_FAIL 0")


@case_of("proxy-upstream-failed", "dns")
def proxy_cannot_resolve_by_proxy_status(case):
    """The same in the words of RFC 9209."""
    return answered(case, "HTTP/1.1 502 Bad Gateway\r\nProxy-Status: edge; error=dns_error\r\n\r\n",
                    "Proxy-Status: edge; error=dns_error")


@case_of("proxy-upstream-failed", "connect")
def proxy_cannot_connect(case):
    """Squid's ERR_CONNECT_FAIL."""
    return answered(case, "squid-connect-503", "X-Squid-Error: ERR_CONNECT_FAIL 111")


@case_of("proxy-upstream-failed", "forward")
def proxy_cannot_forward(case):
    """Squid's ERR_CANNOT_FORWARD."""
    return answered(case, "squid-forward-500", "X-Squid-Error: ERR_CANNOT_FORWARD 0")


@case_of("proxy-status")
def another_status(case):
    """A status that means nothing in particular."""
    return answered(case, "HTTP/1.1 426 Upgrade Required\r\nProxy-Agent: odd/1\r\n\r\n", '"HTTP/1.1 426 Upgrade Required"',
                    "Proxy-Agent: odd/1")


@case_of("proxy-status", "portal")
def captive_portal_by_redirect(case):
    """A redirect is called a captive portal, with its address."""
    return answered(case, "302", "a redirect to a login or block page (captive portal)", "Location: http://portal.corp.example/login")


@case_of("proxy-status", "portal")
def captive_portal_by_511(case):
    """511 is called a captive portal."""
    return answered(case, "HTTP/1.1 511 Network Authentication Required\r\nContent-Type: text/html\r\n\r\n<html>",
                    "demands a login (captive portal)", '"HTTP/1.1 511 Network Authentication Required"')


@case_of("proxy-status", "no-proxy")
def web_server(case):
    """405 is a web server's."""
    return answered(case, "405", "a web server", '"HTTP/1.1 405 Method Not Allowed"')


@case_of("proxy-status", "too-many")
def too_many_requests(case):
    """429."""
    return answered(case, "429", '"HTTP/1.1 429 Too Many Requests"')


@case_of("proxy-malformed")
def ssh_server(case):
    """What is no HTTP is named."""
    return answered(case, "ssh", "an SSH banner", "SSH-2.0-OpenSSH_9.2")


@case_of("proxy-malformed", "wants-tls")
def tls_port(case):
    """A TLS alert in answer to plain HTTP."""
    return answered(case, "\x15\x03\x01\x00\x02\x02\x28\r\n\r\n", "a TLS alert record")


@case_of("proxy-malformed", "broken-reply")
def broken_reply(case):
    """A reply past every bound."""
    return answered(case, "large-head", "a head longer than 65536 bytes")


@case_of("proxy-closed")
def closed_without_a_word(case):
    """The end in place of an answer, and whether credentials had been sent."""
    return answered(case, "squid-200", "without a word", "our credentials were sent", auth=True, close_at="request")


@case_of("proxy-closed", "wrong-port")
def closed_after_foreign_words(case):
    """The beginning of something that is no HTTP."""
    return answered(case, "smtp", "220 ", "an SMTP or FTP greeting", close_at="head:8")


@case_of("proxy-timeout")
def silent_proxy(case):
    """No answer to the CONNECT, and whether credentials had been sent."""
    proxy = case.proxy(case.instance(), silent=True)
    return relay(case, "instance.lab.test", [proxy], "127.0.0.1:%d" % proxy.port, "proxy_timeout, 400ms",
                 "CONNECT instance.lab.test:443", "our credentials were sent", auth=True, proxy_timeout="400ms")


# proxy: TLS with it

def https_proxy(case, *facts, keys=None, **tls):
    proxy = case.proxy(case.instance(), tls=tls)
    return relay(case, "instance.lab.test", [proxy], "the proxy https://127.0.0.1:%d" % proxy.port, *facts,
                 **dict({"proxy_trust": case.pki["root.pem"]}, **(keys or {})))


@case_of("proxy-timeout", "handshake")
def silent_tls_proxy(case):
    """An https:// proxy that never ends the handshake."""
    return https_proxy(case, "TLS handshake", "proxy_timeout, 400ms", handshake="silent", keys={"proxy_timeout": "400ms"})


@case_of("proxy-tls")
def proxy_sends_an_alert(case):
    """An alert that is about nothing of ours."""
    return https_proxy(case, "alert: handshake failure", handshake="alert")


@case_of("proxy-tls", "untrusted")
def proxy_untrusted(case):
    """A CA that proxy_trust does not name."""
    return https_proxy(case, "issued by CN=", cert="untrusted")


@case_of("proxy-tls", "hostname")
def proxy_with_another_name(case):
    """A certificate for another name."""
    return https_proxy(case, "somebody-else.lab.test", cert="wrong-name")


@case_of("proxy-tls", "expired")
def proxy_expired(case):
    """A certificate past its end."""
    return https_proxy(case, "expired at", cert="expired")


@case_of("proxy-tls", "not-tls")
def proxy_is_plain(case):
    """https:// before a port that speaks HTTP."""
    return https_proxy(case, "a plain HTTP response", handshake="http")


@case_of("proxy-tls", "wants-certificate")
def proxy_demands_a_certificate(case):
    """It demands a certificate of its own."""
    return https_proxy(case, "demands a client certificate", ask="required", tls_max="1.2")


@case_of("proxy-tls", "own-certificate")
def certificate_for_the_proxy_expired(case):
    """Ours for the proxy is past its end."""
    return https_proxy(case, "expired at", keys={"proxy_client_bundle": case.pki["client-expired-bundle.pem"]})


# tls

def server(case, *facts, keys=None, **scenario):
    instance = case.instance(**scenario)
    return relay(case, instance, (), "instance.lab.test", "127.0.0.1:%d" % instance.port, *facts, **(keys or {}))


def inside_tunnel(case, inject, *facts):
    """What comes in the place of a ServerHello."""
    proxy = case.proxy(case.instance(), inject=inject, tunnel="stall")
    return relay(case, "instance.lab.test", [proxy], "through the proxy http://127.0.0.1:%d" % proxy.port, *facts)


@case_of("tls-inspected")
def inspected(case):
    """A product in the issuer."""
    proxy = case.proxy(case.instance(), tunnel="inspect", inspect={"cert": "product", "ask": "optional"})
    return relay(case, "instance.lab.test", [proxy], "names Zscaler", "issued by", "through the proxy " + url(proxy))


@case_of("tls-untrusted")
def untrusted(case):
    """An issuer that is not trusted."""
    return server(case, "issued by CN=", cert="untrusted")


@case_of("tls-hostname")
def other_name(case):
    """Which names it is for."""
    return server(case, "is for somebody-else.lab.test, not for instance.lab.test", cert="wrong-name")


@case_of("tls-expired")
def expired(case):
    """When it expired."""
    return server(case, "expired at 20", cert="expired")


@case_of("tls-expired")
def not_yet_valid(case):
    """When it begins."""
    return server(case, "is not valid before 20", cert="not-yet-valid")


@case_of("tls-revoked")
def no_staple(case):
    """A server that sends no proof that it is not revoked."""
    return server(case, "staple", keys={"revocation": "staple"})


@case_of("tls-pin")
def not_pinned(case):
    """The issuer of what is not pinned."""
    return server(case, "issued by CN=Lab Intermediate CA", keys={"pin": "sha256//" + "A" * 43 + "="})


@case_of("tls-issuer")
def unexpected_issuer(case):
    """What was expected, and what came."""
    return server(case, '"DigiCert"', "issued by CN=Lab Intermediate CA", keys={"expect_issuer": "DigiCert"})


@case_of("tls-version")
def old_version(case):
    """A server that ends at TLS 1.2."""
    return server(case, "protocol version", keys={"tls_min": "1.3"}, tls_max="1.2")


@case_of("tls-alert")
def internal_error(case):
    """An alert of the server's own."""
    return inside_tunnel(case, "hex:15030300020250", "alert: internal error")


@case_of("tls-alert", "handshake-failure")
def nothing_in_common(case):
    """Static RSA alone."""
    return server(case, "alert: handshake failure", cert="server-rsa", tls_max="1.2", ciphers="AES256-GCM-SHA384")


@case_of("tls-alert", "unrecognized-name")
def unrecognized_name(case):
    """A server that does not know the name."""
    return inside_tunnel(case, "hex:15030300020270", "alert: unrecognized name")


@case_of("tls-alert", "ended-here")
def ended_here(case):
    """A ServerHello that is none."""
    return inside_tunnel(case, "hex:160303000402000000", "was ended here")


@case_of("tls-not-tls")
def other_service(case):
    """Another service at the tunnel's end."""
    return inside_tunnel(case, "SSH-2.0-OpenSSH_9.2\r\n", "an SSH banner", "where TLS was expected")


@case_of("tls-not-tls", "page")
def page_in_the_tunnel(case):
    """A 200 and then a web page: a block page or a portal."""
    return inside_tunnel(case, "<!DOCTYPE html><title>Blocked</title>", "a web page (a block page or a login portal)",
                         "<!DOCTYPE html>")


@case_of("tls-not-tls", "page")
def page_as_the_answer(case):
    """A captive portal that takes the CONNECT for a GET and answers it with a page."""
    proxy = case.proxy(case.instance(), tunnel="stall", reply="HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                       "Content-Length: 27\r\n\r\n<html><p>Log in</p></html>\n")
    return relay(case, "instance.lab.test", [proxy], "a web page (a block page or a login portal)", "<html><p>Log in",
                 "through the proxy " + url(proxy))


@case_of("tls-not-tls", "plain-http")
def plain_http_in_the_tunnel(case):
    """An HTTP response where TLS was expected."""
    return inside_tunnel(case, "HTTP/1.1 403 Forbidden\r\n\r\n", "a plain HTTP response where TLS was expected",
                         "HTTP/1.1 403 Forbidden")


@case_of("tls-closed")
def closed_in_the_handshake(case):
    """Closed behind some bytes of the server's."""
    return server(case, "in the middle of the TLS handshake", handshake="close-mid", at=200)


@case_of("tls-closed", "no-answer")
def closed_without_a_server_hello(case):
    """Reset without a byte."""
    return server(case, "reset without an answer to the TLS ClientHello", handshake="reset-after-hello")


@case_of("tls-closed", "after-certificate")
def closed_after_our_certificate(case):
    """Closed when our certificate had been sent, and which one it was."""
    instance = case.instance(tls_max="1.2")
    proxy = case.proxy(instance, close_at="up:900")
    # A ClientHello with a key share for ML-KEM would take the 900 bytes alone.
    return relay(case, "instance.lab.test", [proxy], "after the client certificate", "CN=mid-one",
                 "through the proxy " + url(proxy), tls_groups="X25519:P-256")


@case_of("tls-timeout")
def silent_server(case):
    """A tunnel without a word."""
    proxy = case.proxy(case.instance(), tunnel="stall")
    return relay(case, "instance.lab.test", [proxy], "instance.lab.test:443", "tls_timeout, 400ms",
                 "through the proxy " + url(proxy), tls_timeout="400ms")


# client certificate

@case_of("client-cert-not-requested")
def not_requested(case):
    """A server that does not ask."""
    return server(case, "did not ask for a client certificate", ask="none")


@case_of("client-cert-rejected")
def rejected(case):
    """Which certificate, and the alert."""
    return server(case, "CN=mid-one", "alert: unknown CA", reject=True, tls_max="1.2")


@case_of("client-cert-rejected", "none-configured")
def none_configured(case):
    """A server that demands one, and there is none."""
    return server(case, "none is configured", "alert: handshake failure", keys={"client_bundle": None}, tls_max="1.2")


@case_of("client-cert-expired")
def our_certificate_expired(case):
    """Which one, and when."""
    return relay(case, case.instance(), (), "expired at 20", "CN=", client_bundle=case.pki["client-expired-bundle.pem"])


@case_of("client-cert-expired", "not-yet-valid")
def our_certificate_not_yet_valid(case):
    """Which one, and from when."""
    return relay(case, case.instance(), (), "is not valid before 20", "CN=",
                 client_bundle=case.pki["client-not-yet-valid-bundle.pem"])


@case_of("client-cert-unusable")
def our_key_of_no_use(case):
    """A server that takes RSA signatures alone, and our key is an EC one."""
    nginx = real.nginx(case, more="ssl_conf_command ClientSignatureAlgorithms RSA+SHA256:RSA-PSS+SHA256;")
    return relay(case, "instance.lab.test:%d" % nginx.port, (), "CN=mid-one", "takes no signature",
                 target_address="127.0.0.1")


codes.tests(globals(), codes.through_run)

if __name__ == "__main__":
    harness.main()
