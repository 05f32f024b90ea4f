"""What proxies answer to a CONNECT: the shapes seen in the field, by name."""

import base64


def _lines(*lines, end="\r\n", body=""):
    return end.join(lines) + end + end + body


# Answers that open the tunnel.
YES = {
    "squid-200": _lines("HTTP/1.1 200 Connection established"),
    "http10-200": _lines("HTTP/1.0 200 Connection established"),
    "tinyproxy-200": _lines("HTTP/1.0 200 Connection established", "Proxy-agent: tinyproxy/1.11.1"),
    "ok-200": _lines("HTTP/1.1 200 OK"),
    "f5-200": _lines("HTTP/1.1 200 Connected"),
    "connect-ok-200": _lines("HTTP/1.1 200 CONNECT OK"),
    "no-reason-200": _lines("HTTP/1.1 200 "),
    "bare-200": _lines("HTTP/1.1 200"),
    "content-length-200": _lines("HTTP/1.1 200 OK", "Content-Length: 0"),
    "content-length-big-200": _lines("HTTP/1.1 200 OK", "Content-Length: 4711"),
    "tmg-200": _lines("HTTP/1.1 200 Connection established", "Via: 1.1 TMG01", "Transfer-Encoding: chunked"),
    "headers-200": _lines("HTTP/1.1 200 Connection Established", "Via: 1.1 wsa.corp.example:80 (Cisco-WSA/X)",
                          "Proxy-agent: Apache/2.4", "Connection: Keep-Alive", "Proxy-Connection: keep-alive",
                          "Age: 0", "Date: Mon, 02 Mar 2026 09:00:00 GMT"),
    "bare-lf-200": _lines("HTTP/1.1 200 OK", "Via: 1.1 old", end="\n"),
    "folded-200": _lines("HTTP/1.1 200 OK", "Via: 1.1 one,", "\t1.1 two", "X-Empty:"),
    "1xx-200": _lines("HTTP/1.1 100 Continue") + _lines("HTTP/1.1 102 Processing", "X-Wait: yes") +
               _lines("HTTP/1.1 200 OK"),
    "201": _lines("HTTP/1.1 201 Created"),
    "204": _lines("HTTP/1.1 204 No Content"),
    "299": _lines("HTTP/1.1 299 Odd but 2xx"),
    "latin1-200": _lines("HTTP/1.1 200 Verbindung \xfcbernommen"),
    "large-200": _lines("HTTP/1.1 200 OK", *["X-Filler-%d: %s" % (n, "f" * 1000) for n in range(40)]),
}

_HTML = "<html><head><title>Access</title></head><body>" + "<p>Ask your administrator.</p>\r\n" * 130 + "</body></html>"


def _sized(*lines, body=_HTML):
    return _lines(*lines, "Content-Type: text/html", "Content-Length: %d" % len(body), body=body)


# Answers that do not, and the diagnosis that each must end in when credentials were sent / when none were.
_RECEIVED = "proxy-auth-rejected", "proxy-auth-required"
_NO_BASIC = "proxy-auth-unsupported", "proxy-auth-unsupported"
_NTLM = "proxy-auth-ntlm-only", "proxy-auth-ntlm-only"


def _both(code):
    return code, code


REFUSALS = {
    "skyhigh-407": (_sized("HTTP/1.0 407 authenticationrequired", "Via: 1.0 10.1.1.1 (McAfee Web Gateway 8.2)",
                           "Proxy-Connection: Close", "Proxy-Authenticate: Negotiate",
                           'Proxy-Authenticate: Basic realm="McAfee Web Gateway"'), _RECEIVED),
    "skyhigh-block-403": (_sized("HTTP/1.1 403 URLBlocked", "Via: 1.1 10.1.1.1 (McAfee Web Gateway 8.2)"),
                          _both("proxy-denied")),
    "isa-407": (_sized("HTTP/1.1 407 Proxy Authentication Required ( The ISA Server requires authorization to fulfill"
                       " the request. Access to the Web Proxy filter is denied.  )", "Via: 1.1 ISA01",
                       "Proxy-Authenticate: Negotiate", "Proxy-Authenticate: Kerberos", "Proxy-Authenticate: NTLM",
                       "Connection: close", "Proxy-Connection: close", "Pragma: no-cache"), _NTLM),
    "squid-407": (_sized("HTTP/1.1 407 Proxy Authentication Required", "Server: squid/5.7", "Mime-Version: 1.0",
                         "X-Squid-Error: ERR_CACHE_ACCESS_DENIED 0", 'Proxy-Authenticate: Basic realm="Lab proxy"',
                         "Via: 1.1 proxy.lab.test (squid/5.7)", "Connection: keep-alive"), _RECEIVED),
    "tinyproxy-407": (_sized("HTTP/1.1 407 Proxy Authentication Required", "Server: tinyproxy/1.11.1",
                             'Proxy-Authenticate: Basic realm="tinyproxy"', "Connection: close"), _RECEIVED),
    "tinyproxy-401": (_sized("HTTP/1.1 401 Unauthorized", "Server: tinyproxy/1.11.1", "Connection: close"),
                      ("proxy-auth-rejected", "proxy-auth-unsupported")),
    "joined-407": (_lines("HTTP/1.1 407 Proxy Authentication Required",
                          'proxy-authenticate: Negotiate, NTLM, Basic realm="proxy"', "Content-Length: 0"), _RECEIVED),
    "case-407": (_lines("HTTP/1.1 407 Denied", 'PROXY-AUTHENTICATE: bAsIc REALM="x, NTLM"', "Content-Length: 0"),
                 _RECEIVED),
    "ntlm-407": (_lines("HTTP/1.1 407 Proxy Authentication Required", "Proxy-Authenticate: NTLM", "Content-Length: 0"),
                 _NTLM),
    "negotiate-407": (_lines("HTTP/1.1 407 Proxy Authentication Required", "Proxy-Authenticate: Negotiate",
                             "Content-Length: 0"), _NTLM),
    "digest-407": (_lines("HTTP/1.1 407 Proxy Authentication Required", "Content-Length: 0",
                          'Proxy-Authenticate: Digest realm="x", nonce="y", qop="auth"'), _NO_BASIC),
    "metered-407": (_lines("HTTP/1.1 407 TRAFFIC_EXHAUSTED", 'Proxy-Authenticate: Basic realm="metered"'), _RECEIVED),
    "silent-close-407": (_lines("HTTP/1.1 407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="p"',
                                "Connection: keep-alive", "Content-Length: 100000"), _RECEIVED),
    "403": (_sized("HTTP/1.1 403 Forbidden", "Server: squid/5.7", "X-Squid-Error: ERR_ACCESS_DENIED 0"),
            _both("proxy-denied")),
    "squid-dns-503": (_sized("HTTP/1.1 503 Service Unavailable", "Server: squid/5.7", "X-Squid-Error: ERR_DNS_FAIL 0"),
                      _both("proxy-upstream-failed")),
    "squid-connect-503": (_sized("HTTP/1.1 503 Service Unavailable", "Server: squid/5.7",
                                 "X-Squid-Error: ERR_CONNECT_FAIL 111"), _both("proxy-upstream-failed")),
    "squid-forward-500": (_sized("HTTP/1.1 500 Internal Server Error", "Server: squid/5.7",
                                 "X-Squid-Error: ERR_CANNOT_FORWARD 0"), _both("proxy-upstream-failed")),
    "tinyproxy-500": (_sized("HTTP/1.1 500 Unable to connect", "Server: tinyproxy/1.11.1", "Connection: close"),
                      _both("proxy-upstream-failed")),
    "502": (_lines("HTTP/1.1 502 Bad Gateway", "Content-Length: 0"), _both("proxy-upstream-failed")),
    "504": (_lines("HTTP/1.1 504 Gateway Timeout", "Content-Length: 0"), _both("proxy-upstream-failed")),
    "302": (_lines("HTTP/1.1 302 Found", "Location: http://portal.corp.example/login"), _both("proxy-status")),
    "405": (_lines("HTTP/1.1 405 Method Not Allowed", "Allow: GET, POST"), _both("proxy-status")),
    "429": (_lines("HTTP/1.1 429 Too Many Requests"), _both("proxy-status")),
    "101": (_lines("HTTP/1.1 101 Switching Protocols", "Upgrade: x"), _both("proxy-closed")),
    "http2": (_lines("HTTP/2 200"), _both("proxy-malformed")),
    "icy": (_lines("ICY 200 OK"), _both("proxy-malformed")),
    "four-digits": (_lines("HTTP/1.1 2000 OK"), _both("proxy-malformed")),
    "two-digits": (_lines("HTTP/1.1 20 OK"), _both("proxy-malformed")),
    "nul-status": (_lines("HTTP/1.1 200 O\0K"), _both("proxy-malformed")),
    "control-status": (_lines("HTTP/1.1 200 O\x1b[31mK"), _both("proxy-malformed")),
    "smtp": ("220 mail.corp.example ESMTP\r\n\r\n", _both("proxy-malformed")),
    "ssh": ("SSH-2.0-OpenSSH_9.2\r\n\r\n", _both("proxy-malformed")),
    "html": ("<html>\r\nno head at all\r\n\r\n", _both("proxy-malformed")),
    "long-line": ("HTTP/1.1 200 OK\r\nX-Long: " + "a" * 20000 + "\r\n\r\n", _both("proxy-malformed")),
    "many-lines": ("HTTP/1.1 200 OK\r\n" + "X: y\r\n" * 150 + "\r\n", _both("proxy-malformed")),
    "large-head": ("HTTP/1.1 200 OK\r\n" + ("X: " + "z" * 8000 + "\r\n") * 20 + "\r\n", _both("proxy-malformed")),
}


def text(name):
    """The bytes of a reply: by name, or a literal that holds a line end."""
    if name in YES:
        return YES[name].encode("latin-1")
    if name in REFUSALS:
        return REFUSALS[name][0].encode("latin-1")
    if "\n" in name:
        return name.encode("latin-1")
    raise ValueError("no reply is called %r" % name)


def basic(user, password):
    """The value of Proxy-Authorization (RFC 7617)."""
    return "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()
