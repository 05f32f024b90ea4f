#!/usr/bin/python3
"""Proves that the codes of what the target does behind the handshake arise: through `run`, and through `check`."""

import signal

import codes
import harness
import scripted
from codes import Situation, case_of


def relay(case, instance, *facts, drive=None, probe="auto", stops=None, **keys):
    """The situation of one relay `r` that goes straight to the instance."""
    return Situation({"relay r": case.keys(instance, **keys)}, *facts, drive=drive, probe=probe, stops=stops)


# instance

@case_of("instance-cert-refused")
def certificate_refused_by_a_page(case):
    """The edge's 400 page: the client gets it as it is, and the log has the code."""
    def read(m):
        assert m.get().status == 400
        told = m.wait_event("certificate-refused", relay="r")
        assert told["remedy"] == codes.explained(case, "instance-cert-refused")["remedy"], told
    return relay(case, case.instance(answer="cert-refused"), "400 Bad Request", '"The SSL certificate error"',
                 "Server: snow_adc", drive=read, stops="certificate")


@case_of("instance-hibernating", only="check")
def hibernating(case):
    """One page for everything."""
    return relay(case, case.instance(answer="hibernating"), "GET /adcv2/supports_tls", '"HTTP/1.1 200 OK"',
                 "Server: snow_adc", "the same page")


@case_of("instance-hibernating", only="check")
def hibernating_by_redirect(case):
    """A redirect to the page of an ended session."""
    return relay(case, case.instance(answer="session-timeout"), "GET /adcv2/supports_tls", '"HTTP/1.1 302 Found"',
                 "Location: https://instance.lab.test/session_timeout.do")


@case_of("instance-malformed", only="run")
def answer_with_two_ends(case):
    """With mode = http an answer that two readers could read differently is not passed on."""
    def serve(stream):
        stream.head()
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello")
        stream.rest()

    def ask(m):
        info = codes.explained(case, "instance-malformed")
        response = m.get()
        assert response.status == info["http_status"] == 502 and b"hello" not in response.body, response.status
        assert response.reason.startswith("midrelay: instance-malformed: "), response.reason
        assert "error=" + info["proxy_status"] in response.headers["proxy-status"]
        assert info["remedy"] in response.body.decode("ascii"), response.body
    return relay(case, scripted.Target(case, serve), "the target's answer is malformed", "Content-Length", drive=ask,
                 mode="http")


@case_of("instance-not-adcv2", only="check")
def no_edge(case):
    """Another web server's 404, and which one it is."""
    return relay(case, case.instance(answer="plain"), "GET /adcv2/server", '"HTTP/1.1 404 Not Found"', "Server: nginx",
                 probe="instance")


@case_of("instance-no-tls-support", only="check")
def mutual_tls_switched_off(case):
    """What the edge says of it."""
    return relay(case, case.instance(supports_tls="false"), "GET /adcv2/supports_tls", '"false"', "not true or mixed")


@case_of("instance-status", only="check")
def maintenance(case):
    """A 503, of the edge."""
    return relay(case, case.instance(answer="unavailable"), "GET /adcv2/server", '"HTTP/1.1 503 Service Unavailable"',
                 "Server: snow_adc")


@case_of("instance-status", only="check")
def no_http(case):
    """An answer that is none of HTTP."""
    return relay(case, case.instance(mode="source", bytes=1000), "GET /adcv2/server", "what is no HTTP/1.x",
                 probe="instance")


# relay

@case_of("relay-truncated")
def truncated(case):
    """A target that is gone without close_notify, in the middle of an answer."""
    def read(m):
        with m.connect() as sock:
            sock.sendall(harness.request_bytes())
            harness.read_all(sock)
    return relay(case, case.instance(answer="cut"), "close_notify", drive=read, stops="instance")


@case_of("relay-reset", only="run")
def reset_by_the_client(case):
    """Which side it was."""
    def reset(m):
        sock = m.connect()
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        harness.reset(sock)
    return relay(case, case.instance(mode="echo"), "the client reset the connection", drive=reset)


@case_of("relay-reset")
def reset_by_the_target(case):
    """Which side it was."""
    def read(m):
        with m.connect() as sock:
            harness.read_all(sock)
    return relay(case, case.instance(mode="source", bytes=0, end="reset"), "reset the connection", drive=read,
                 stops="certificate")


@case_of("relay-idle", only="run")
def idle(case):
    """Which time-out it was."""
    def wait(m):
        with m.connect() as sock:
            harness.read_all(sock)
    return relay(case, case.instance(mode="echo"), "idle_timeout", "400ms", drive=wait, idle_timeout="400ms")


@case_of("relay-drained", only="run")
def drained(case):
    """A stop that did not wait for it any longer."""
    def stop(m):
        sock = m.connect()
        case.cleanups.append(sock.close)
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        m.signal(signal.SIGTERM)
        m.wait()
    return Situation({"midrelay": {"drain_timeout": "100ms"}, "relay r": case.keys(case.instance(mode="echo"))},
                     "drain_timeout", drive=stop)


codes.tests(globals(), codes.through_run)
codes.tests(globals(), codes.through_check)

if __name__ == "__main__":
    harness.main()
