"""
Asking a status endpoint: at an address or a UNIX socket, by one request or by raw bytes, and Prometheus' text as a dict.
"""

import http.client
import re
import socket

import harness


class _Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=harness.LIMIT)
        self.unix_path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.unix_path)


def connection(address):
    """`address`: as the log has it."""
    if address.startswith("unix:"):
        return _Unix(address[len("unix:"):])
    host, port = address.rsplit(":", 1)
    return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=harness.LIMIT)


def raw(address):
    """A connected socket."""
    one = connection(address)
    one.connect()
    return one.sock


def get(address, path, method="GET", headers=()):
    one = connection(address)
    try:
        one.request(method, path, headers=dict(headers))
        response = one.getresponse()
        return harness.Response(response.status, response.reason,
                                dict((k.lower(), v) for k, v in response.getheaders()), response.read())
    finally:
        one.close()


_SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')


def _value(text):
    return re.sub(r'\\(.)', lambda m: "\n" if m[1] == "n" else m[1], text)


class Metrics:
    def __init__(self, text):
        self.text = text
        self.samples = {}
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = _SAMPLE.fullmatch(line).groups()
            found = _LABEL.findall(labels or "")
            assert ",".join('%s="%s"' % pair for pair in found) == (labels or ""), line
            key = (name, frozenset((key, _value(text)) for key, text in found))
            assert key not in self.samples, "there twice: " + line
            self.samples[key] = float(value)

    def get(self, name, **labels):
        """None: there is no such series."""
        return self.samples.get((name, frozenset(labels.items())))

    def named(self, name):
        return {key[1]: value for key, value in self.samples.items() if key[0] == name}


def metrics(address):
    response = get(address, "/metrics")
    assert response.status == 200, (response.status, response.body)
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8", response.headers
    return Metrics(response.body.decode())


def status(address):
    response = get(address, "/status")
    assert response.status == 200 and response.headers["content-type"] == "application/json", response.headers
    return response.json()
