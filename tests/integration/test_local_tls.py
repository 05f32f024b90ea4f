#!/usr/bin/python3
"""Proves tls:// listeners: who gets in, whose certificate is shown, and that bytes, ends and refusals cross unchanged."""

import hashlib
import os
import select
import shlex
import shutil
import socket
import ssl
import stat
import subprocess

import codes
import harness
import pki as pki_maker
import real
from harness import both_versions, pattern_sha256, pattern_stream, records_done, wait_until

READY = "off"    # what arrives at the target is looked at in its order

NAME = "instance.lab.test"
SIZE = 8 << 20
LARGE = 100 << 20


def files(case, cert="server"):
    """listen_cert and listen_key of the lab's PKI, in files that a test may replace."""
    own = {"listen_cert": case.path("listen.pem"), "listen_key": case.path("listen.key")}
    shutil.copyfile(case.pki[cert + "-chain.pem"], own["listen_cert"])
    shutil.copyfile(case.pki[cert + ".key"], own["listen_key"])
    os.chmod(own["listen_key"], 0o600)
    return own


def relay(case, target, proxies=(), start=None, process=None, **keys):
    keys = dict(keys, listen="tls://127.0.0.1:0")
    if "listen_cert" not in keys:
        keys.update(files(case))
    return case.relay(target, proxies, start=start, process=process, **keys)


def auto(case, target, directory=None, **keys):
    """A relay with a local CA, in a state directory of its own."""
    where = directory or case.path("state")
    m = relay(case, target, start={"env": {"STATE_DIRECTORY": where}}, listen_cert="auto", **keys)
    return m, where


def shown(case, cert):
    """What a client sends: its certificate and the intermediate."""
    with open(case.pki[cert + ".pem"]) as leaf, open(case.pki["client-intermediate.pem"]) as above:
        return case.write("shown.pem", leaf.read() + above.read())


def context(case, ca=None, version=None, cert=None):
    made = ssl.create_default_context(cafile=ca or case.pki["root.pem"])
    made.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF   # an end without close_notify is to be seen
    if version:
        made.minimum_version = made.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2,
                                                       "1.3": ssl.TLSVersion.TLSv1_3}[version]
    if cert:
        made.load_cert_chain(shown(case, cert), case.pki[cert + ".key"])
    return made


def tls(case, m, name=NAME, index=0, **how):
    """A TLS client's socket."""
    return context(case, **how).wrap_socket(m.connect(index=index), server_hostname=name, suppress_ragged_eofs=False)


class Halves:
    """A TLS client that may end one direction and go on with the other, which Python's sockets cannot."""

    def __init__(self, case, m, **how):
        self.sock = m.connect()
        self.inp, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context(case, **how).wrap_bio(self.inp, self.out, server_hostname=NAME)
        self._drive(self.tls.do_handshake)

    def _drive(self, call, *args):
        while True:
            try:
                result = call(*args)
                self.sock.sendall(self.out.read())
                return result
            except ssl.SSLWantReadError:
                self.sock.sendall(self.out.read())
                part = self.sock.recv(65536)
                if part:
                    self.inp.write(part)
                else:
                    self.inp.write_eof()

    def send(self, data):
        self._drive(self.tls.write, data)

    def end(self):
        """close_notify, without waiting for the other's."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.sock.sendall(self.out.read())

    def read_hashed(self):
        """(count, sha256, how it ended)"""
        count, digest = 0, hashlib.sha256()
        while True:
            try:
                part = self._drive(self.tls.read, 65536)
            except ssl.SSLZeroReturnError:
                return count, digest.hexdigest(), "close_notify"
            except (ssl.SSLEOFError, ssl.SSLSyscallError):
                return count, digest.hexdigest(), "truncated"
            except ConnectionResetError:
                return count, digest.hexdigest(), "reset"
            if not part:
                return count, digest.hexdigest(), "close_notify"
            count += len(part)
            digest.update(part)


def local_ca(case, where, *names):
    """(the file with the CA, what else was said)"""
    done = case.run("bundle", "show", "--local-ca", *names, env=dict(os.environ, STATE_DIRECTORY=where))
    assert done.returncode == 0, done
    return case.write("local-ca.pem", done.stdout, 0o644), done.stderr


# Clients

def test_curl_with_both_versions(case):
    instance = case.instance()
    m = relay(case, instance)
    m.opened = None
    for number, version in enumerate(("1.2", "1.3")):
        got = real.curl(case, "--cacert", case.pki["root.pem"], "--tlsv" + version, "--tls-max", version, "--http1.1",
                        "--resolve", "%s:%d:127.0.0.1" % (NAME, m.port()), "--data-binary", "a body", "https://%s:%d/soap"
                        % (NAME, m.port()))
        assert b"a body" in got or hashlib.sha256(b"a body").hexdigest().encode() in got, got
        session = m.session(number + 1)
        assert session["end"] == "ok" and session["local_tls"] == "TLSv" + version, session
    assert m.address().startswith("tls://127.0.0.1:")


def test_alpn_is_http_1_1(case):
    """A client that prefers HTTP/2 gets HTTP/1.1; one that speaks nothing else is told so in the handshake."""
    m = relay(case, case.instance())
    both = context(case)
    both.set_alpn_protocols(["h2", "http/1.1"])
    with both.wrap_socket(m.connect(), server_hostname=NAME) as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"
        assert harness.ask(sock).status == 200
    only = context(case)
    only.set_alpn_protocols(["h2"])
    try:
        only.wrap_socket(m.connect(), server_hostname=NAME)
        raise AssertionError("h2 was accepted")
    except ssl.SSLError as error:
        assert "no application protocol" in str(error), error
    assert m.session(end="local-tls")


def test_java_with_the_local_ca(case):
    """java.net.http and HttpsURLConnection, the CA imported by the printed keytool line, the name by a hosts file."""
    instance = case.instance()
    m, where = auto(case, instance)
    m.opened = None
    ca, said = local_ca(case, where)
    line = next(one for one in said.split("\n") if one.startswith("jre/bin/keytool "))
    words = [{"jre/bin/keytool": real.program("keytool"), "midrelay-local-ca.pem": ca,
              "jre/lib/security/cacerts": case.path("cacerts")}.get(word, word) for word in shlex.split(line)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60 * harness.SLOW)
    assert done.returncode == 0, done
    java = real.java_client("TlsClient", ())
    hosts = case.write("hosts", "127.0.0.1 %s\n" % NAME)
    at = "https://%s:%d/soap" % (NAME, m.port())
    for version in ("TLSv1.2", "TLSv1.3"):
        run = [*java[:-1], "-Djdk.net.hosts.file=" + hosts, "-Djavax.net.ssl.trustStore=" + case.path("cacerts"),
               "-Djavax.net.ssl.trustStorePassword=changeit", "-Djdk.tls.client.protocols=" + version, java[-1], at]
        done = subprocess.run(run, capture_output=True, text=True, timeout=120 * harness.SLOW)
        assert done.returncode == 0 and done.stdout.split() == ["ok", "ok"], done
        assert m.session(2, local_tls=version)["end"] == "ok", m.tail()
    # Without the import, Java refuses by an alert that the log names with its remedy.
    done = subprocess.run([*java[:-1], "-Djdk.net.hosts.file=" + hosts, java[-1], at], capture_output=True, text=True,
                          timeout=120 * harness.SLOW)
    assert done.returncode != 0 and "PKIX" in done.stderr, done
    assert "not accept" in m.session(end="local-tls")["msg"], m.tail()


# Who gets in

@both_versions
def test_client_certificates(case, version):
    """With one that verifies a client is served; without, or with another CA's, it is denied inside the handshake."""
    instance = case.instance()
    m = relay(case, instance, listen_client_ca=case.pki["client-root.pem"])
    with tls(case, m, version=version, cert="client") as sock:
        assert harness.ask(sock).status == 200
    for cert, fact in ((None, "showed no certificate"), ("client-unknown", "CN=mid-unknown")):
        try:
            with tls(case, m, version=version, cert=cert) as sock:
                sock.sendall(harness.request_bytes())
                sock.recv(1)
            raise AssertionError("%s got in" % cert)
        except ssl.SSLError as error:
            assert "ALERT" in str(error).upper(), error
        wait_until(lambda: [e for e in m.events("session", end="local-denied") if fact in e["msg"]], fact)
    assert len(records_done(instance)) == 1


def test_plain_http_is_told(case):
    """A plain request gets a plain answer, and nothing is dialled."""
    instance = case.instance()
    m = relay(case, instance)
    response = m.fails("local-tls", status=502)
    assert b"https://" in response.body and "sent no TLS" in response.reason, response.body
    assert instance.connections == []


def test_other_bytes_are_reset(case):
    m = relay(case, case.instance())
    with m.connect() as sock:
        sock.sendall(b"\x00\x01 nonsense that is no request\r\n")
        assert harness.read_all(sock) == (b"", "reset")
    assert "sent no TLS" in m.session(end="local-tls")["msg"]


@both_versions
def test_distrust_is_named(case, version):
    """A client that does not know the local CA: the log says so, with the remedy."""
    instance = case.instance()
    m, _ = auto(case, instance)
    try:
        tls(case, m, version=version)
        raise AssertionError("a client trusts what it does not know")
    except ssl.SSLCertVerificationError:
        pass
    session = m.session()
    assert session["end"] == "local-tls" and "unknown CA" in session["msg"], session
    assert "midrelay bundle show --local-ca " + NAME in session["msg"], session
    assert instance.connections == []


def test_silent_client_is_dropped(case):
    """A client that does not finish the handshake in tls_timeout is let go, and nothing was dialled for it."""
    instance = case.instance()
    m = relay(case, instance, tls_timeout="300ms")
    with m.connect() as silent, m.connect() as partial:
        partial.sendall(bytes.fromhex("160301020001"))
        assert harness.read_all(silent)[0] == b"" and harness.read_all(partial)[0] == b""
        wait_until(lambda: "within 300ms (tls_timeout)" in m.log_bytes().decode(), "the line")
    assert instance.connections == []


@harness.counts_dials
def test_client_goes_before_the_handshake(case):
    """A pool's spare connection, and a port check: nothing has failed, and nothing was dialled for them."""
    instance = case.instance()
    m = relay(case, instance)
    m.connect().close()
    assert m.session()["end"] == "ok", m.tail()
    harness.reset(m.connect())
    session = m.session(2)
    assert session["end"] == "relay-reset" and "before the TLS handshake began" in session["msg"], session
    assert instance.connections == []


def test_client_goes_in_the_handshake(case):
    instance = case.instance()
    m = relay(case, instance)
    sock = m.connect()
    sock.sendall(bytes.fromhex("160301020001"))
    harness.reset(sock)
    m.session(end="local-tls")
    with tls(case, m) as sock:
        assert harness.ask(sock).status == 200


def test_handshake_in_small_pieces(case):
    """A ClientHello byte by byte, and the request in the same write as the client's Finished."""
    m = relay(case, case.instance())
    sock = m.connect()
    inp, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(case, version="1.3").wrap_bio(inp, out, server_hostname=NAME)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in out.read():
        sock.sendall(bytes([byte]))
    while True:
        inp.write(sock.recv(65536))
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            sock.sendall(out.read())
    client.write(harness.request_bytes())
    sock.sendall(out.read())
    inp.write(sock.recv(65536))
    assert client.read(12) == b"HTTP/1.1 200"
    sock.close()
    m.session()


def test_other_hosts_with_a_certificate(case):
    """allow_nonlocal with listen_client_ca needs no allow_address: the certificate decides."""
    nsenter = real.program("nsenter")
    around = codes.in_namespaces(case, "ip link set lo up\nip address add 192.0.2.7/32 dev lo", net=True)
    keys = dict(case.keys("127.0.0.1:9"), listen="tls://192.0.2.7:8443", allow_nonlocal="yes",
                listen_client_ca=case.pki["client-root.pem"], **files(case))
    m = case.start({"relay r": keys}, around=around)
    m.opened = None

    def ask(*args):
        return subprocess.run(
            [nsenter, "--target", str(m.pid), "--user", "--preserve-credentials", "--net", real.program("curl"), "-sS",
             "--noproxy", "*", "--cacert", case.pki["root.pem"], "--resolve", NAME + ":8443:192.0.2.7",
             "https://%s:8443/" % NAME, *args], capture_output=True, text=True, timeout=harness.LIMIT)
    done = ask("--cert", shown(case, "client"), "--key", case.pki["client.key"])
    assert done.returncode == 0 and "connect-refused" in done.stdout, done
    done = ask()
    assert done.returncode != 0 and done.stdout == "", done
    assert m.session(end="local-denied")["peer"].startswith("192.0.2.7:")


# Bytes and ends

def send_and_read(sock, parts):
    """Sends all and reads to the end, at once; by one thread, since an SSL object is not for two.  (count, sha256)"""
    wants, parts = (ssl.SSLWantReadError, ssl.SSLWantWriteError), iter(parts)
    pending, ended, count, digest = memoryview(next(parts)), False, 0, hashlib.sha256()
    sock.setblocking(False)
    while pending or not ended:
        moved = False
        try:
            if pending:
                pending = pending[sock.send(pending[:65536]):] or memoryview(next(parts, b""))
                moved = True
        except wants:
            pass
        try:
            if not ended:
                part = sock.recv(262144)
                ended, moved = not part, True
                count += len(part)
                digest.update(part)
        except wants:
            pass
        assert moved or any(select.select([sock], [sock] if pending else [], [], harness.LIMIT)), "nothing moves"
    sock.settimeout(harness.LIMIT)
    return count, digest.hexdigest()


@both_versions
def test_bytes_both_ways(case, version):
    """100 MiB each way at once arrive as they were sent."""
    size = LARGE if not harness.INSTRUMENTED else SIZE
    instance = case.instance(mode="source", bytes=size)
    m = relay(case, instance)
    client = tls(case, m, version=version)
    with client:
        assert send_and_read(client, pattern_stream(size, seed=5)) == (size, pattern_sha256(size))
        client.unwrap()
    record = records_done(instance)[0]
    assert record["sha256_in"] == pattern_sha256(size, 5) and record["end"] == "close_notify", record
    session = m.session()
    assert session["end"] == "ok" and session["bytes_up"] == session["bytes_down"] == str(size), session


@both_versions
def test_client_half_close(case, version):
    """close_notify of the client becomes that towards the target, whose answer still arrives."""
    instance = case.instance(mode="sink")
    m = relay(case, instance)
    client = Halves(case, m, version=version)
    for part in pattern_stream(SIZE):
        client.send(part)
    client.end()
    count, _, end = client.read_hashed()
    assert count > 0 and end == "close_notify"
    client.sock.close()
    record = records_done(instance)[0]
    assert record["end"] == "close_notify" and record["sha256_in"] == pattern_sha256(SIZE), record
    assert m.session()["end"] == "ok"


@both_versions
def test_target_half_close(case, version):
    instance = case.instance(mode="source", bytes=SIZE)
    m = relay(case, instance)
    client = Halves(case, m, version=version)
    assert client.read_hashed() == (SIZE, pattern_sha256(SIZE), "close_notify")
    client.end()
    client.sock.close()
    assert records_done(instance)[0]["end"] == "close_notify"
    assert m.session()["end"] == "ok"


@both_versions
def test_truncated_answer_is_no_clean_end(case, version):
    """A target gone without close_notify: the client gets none either."""
    m = relay(case, case.instance(mode="source", bytes=100000, end="truncate"))
    client = Halves(case, m, version=version)
    count, _, end = client.read_hashed()
    assert count <= 100000 and end in ("truncated", "reset"), end
    client.sock.close()
    assert m.session()["end"] == "relay-truncated"


@both_versions
def test_truncated_upload_is_no_clean_end(case, version):
    """A client gone without close_notify in the middle of an upload: the target is reset."""
    instance = case.instance(mode="sink")
    m = relay(case, instance)
    client = Halves(case, m, version=version)
    client.send(b"half a request")
    wait_until(lambda: instance.connections and instance.connections[0]["bytes_in"] == 14, "the bytes")
    client.sock.close()
    assert records_done(instance)[0]["end"] in ("reset", "truncated")
    session = m.session()
    assert session["end"] == "relay-truncated" and session["msg"].startswith("the client closed"), session


@both_versions
def test_bare_end_after_an_answer_is_clean(case, version):
    """Many programs close without close_notify when they have their answer."""
    instance = case.instance()
    m = relay(case, instance)
    sock = tls(case, m, version=version)
    assert harness.ask(sock).status == 200
    sock.close()
    assert records_done(instance)[0]["end"] == "close_notify"
    assert m.session()["end"] == "ok"


def test_client_resets(case):
    instance = case.instance(mode="sink")
    m = relay(case, instance)
    client = Halves(case, m)
    client.send(b"half a request")
    wait_until(lambda: instance.connections and instance.connections[0]["bytes_in"] == 14, "the bytes")
    harness.reset(client.sock)
    assert records_done(instance)[0]["end"] in ("reset", "truncated")
    assert m.session()["end"] == "relay-reset"


def test_slow_reader_holds_the_target_up(case):
    """What a client does not read is not read for it: memory stays, and all arrives in the end."""
    size = 64 << 20
    m = relay(case, case.instance(mode="source", bytes=size))
    sock = context(case).wrap_socket(m.connect(rcvbuf=16384), server_hostname=NAME)
    with sock:
        first = sock.recv(1)
        used = harness.settled(lambda: (m.cpu_seconds(), m.rss_kb()))
        assert harness.INSTRUMENTED or used[1] < 60000, used
        digest = hashlib.sha256(first)
        while part := sock.recv(262144):
            digest.update(part)
        assert digest.hexdigest() == pattern_sha256(size)
        sock.unwrap()
    assert m.session()["end"] == "ok"


def test_idle_sessions_hold_no_buffers(case):
    """Both streams give their buffers back: as many sessions again find room in what the idle ones left."""
    if harness.INSTRUMENTED:
        raise harness.Skip("memory means little under a sanitizer")
    count, body = 60, b"x" * 200000  # which fills a buffer once
    m = relay(case, case.instance(), process={"log_level": "info"})
    socks, used = [], []
    for _ in range(2):
        for _ in range(count):
            socks.append(tls(case, m))
            assert harness.ask(socks[-1], "POST", "/", body).status == 200
        used.append(harness.settled(m.rss_kb, 3))
    assert (used[1] - used[0]) / count < 75, "%r kB for %d sessions each" % (used, count)
    # And they come back.
    for sock in socks:
        assert harness.ask(sock).status == 200
        sock.close()
    m.session(2 * count)


# Refusals

@both_versions
def test_refusal_inside_tls(case, version):
    """The 502 comes through the client's TLS, with close_notify behind it."""
    proxy = case.proxy(case.instance(), reply="403")
    m = relay(case, NAME, [proxy])
    client = Halves(case, m, version=version)
    client.send(harness.request_bytes(method="POST", body=b"x" * 100))
    got = b""
    while True:
        try:
            part = client._drive(client.tls.read, 65536)
        except ssl.SSLZeroReturnError:
            part = b""
        if not part:
            break
        got += part
    assert got.startswith(b"HTTP/1.1 502 midrelay: proxy-denied: "), got
    client.sock.close()
    assert m.session()["end"] == "proxy-denied"


def test_refusal_of_a_rejected_certificate(case):
    """What the target says of our certificate after the handshake (TLS 1.3) is told inside TLS, too."""
    m = relay(case, case.instance(reject=True))
    with tls(case, m) as sock:
        sock.sendall(harness.request_bytes())
        assert harness.read_response(sock).reason.startswith("midrelay: client-cert-rejected: ")
    assert m.session()["end"] == "client-cert-rejected"


def test_refusal_of_a_large_upload(case):
    """The answer survives a client that is still sending."""
    m = relay(case, NAME, [case.proxy(case.instance(), reply="403")])
    sock = tls(case, m)
    with sock:
        # All of it first: no two threads may use one TLS connection.
        try:
            sock.sendall(harness.request_bytes(method="POST", body=b"x" * (4 << 20)))
        except (ssl.SSLError, OSError):
            pass
        assert harness.read_response(sock).status == 502
    m.session()


def test_a_loop_is_seen(case):
    """The hosts file that maps the target to us for the client's sake maps it for midrelay, too."""
    port = real.free_port()
    m = case.relay("localhost:%d" % port, listen="tls://127.0.0.1:%d" % port, **files(case))
    with tls(case, m, name="localhost") as sock:
        sock.sendall(harness.request_bytes())
        response = harness.read_response(sock)
    assert response.reason.startswith("midrelay: connect-loop: the target localhost:"), response.reason
    assert b"proxy" in response.body and b"target_address" in response.body, response.body
    assert m.session()["end"] == "connect-loop"


# Certificates

def served(case, m, **how):
    with tls(case, m, **how) as sock:
        der = sock.getpeercert(binary_form=True)
        assert harness.ask(sock).status == 200
    return hashlib.sha256(der).hexdigest(), sock


def test_renewed_files_are_picked_up(case):
    """Written over, they serve the next client; a half-written pair leaves the old one in force."""
    own = files(case)
    m = relay(case, case.instance(), process={"watch": "100ms"}, **own)
    first, _ = served(case, m)
    with open(case.pki["server-rsa.key"]) as key:
        case.write("listen.key", key.read())
    m.wait_event("reload-failed")
    assert served(case, m)[0] == first
    shutil.copyfile(case.pki["server-rsa-chain.pem"], own["listen_cert"])
    m.wait_event("reloaded")
    assert served(case, m)[0] != first


def test_one_file_with_the_key(case):
    """PEM with everything, and a PFX without passphrase."""
    with open(case.pki["server-chain.pem"]) as chain, open(case.pki["server.key"]) as key:
        bundle = case.write("all.pem", key.read() + chain.read())
    pfx = case.path("all.pfx")
    subprocess.run(["openssl", "pkcs12", "-export", "-in", bundle, "-passout", "pass:", "-out", pfx], check=True,
                   capture_output=True)
    os.chmod(pfx, 0o600)
    for cert in (bundle, pfx):
        m = relay(case, case.instance(), listen_cert=cert)
        served(case, m)


def test_expiring_certificate_is_warned_of(case):
    pki_maker.issue(case.pki, case.dir, "soon", 10, server=True)
    m = relay(case, case.instance(), **files(case, "soon"))
    event = m.wait_event("certificate-expiring")
    assert event["of"] == "listener" and event["which"] == "leaf" and event["days_left"] in ("9", "10"), event


def test_local_ca_stays(case):
    """Made once: the same over reloads and restarts; the leaf is another each time, in memory alone."""
    instance = case.instance()
    m, where = auto(case, instance)
    file = os.path.join(where, "local-ca-%s.pem" % NAME)
    assert os.listdir(where) == [os.path.basename(file)]
    assert stat.S_IMODE(os.stat(where).st_mode) == 0o700 and stat.S_IMODE(os.stat(file).st_mode) == 0o600
    with open(file, "rb") as one:
        content = one.read()
    ca, _ = local_ca(case, where)
    first, _ = served(case, m, ca=ca)
    m.reload()
    second, _ = served(case, m, ca=ca)
    m.assert_ends_clean()
    again, _ = auto(case, instance)
    third, _ = served(case, again, ca=ca)
    assert len({first, second, third}) == 3
    with open(file, "rb") as one:
        assert one.read() == content
    # What was issued: for the target alone, for 397 days at most, without a way to issue more.
    with tls(case, again, ca=ca) as sock:
        cert = sock.getpeercert()
        assert cert["subjectAltName"] == (("DNS", NAME),), cert
        days = (ssl.cert_time_to_seconds(cert["notAfter"]) - ssl.cert_time_to_seconds(cert["notBefore"]) + 1) / 86400
        assert 390 < days <= 397, days
        harness.ask(sock)


def sign(case, ca, san, name):
    """A leaf of the local CA for other names."""
    case.write(name + ".cnf", "[v]\nsubjectAltName=%s\nbasicConstraints=CA:FALSE\n" % san)

    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=case.dir)
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-subj",
            "/O=a forger", "-out", name + ".csr")
    openssl("x509", "-req", "-in", name + ".csr", "-CA", ca, "-CAkey", ca, "-days", "30", "-extfile", name + ".cnf",
            "-extensions", "v", "-out", name + ".pem")
    return subprocess.run(["openssl", "verify", "-CAfile", ca, "-purpose", "sslserver", case.path(name + ".pem")],
                          capture_output=True, text=True)


def test_local_ca_is_constrained(case):
    """Whoever has its key can vouch for the target's host, names below it, and for nothing else."""
    _, where = auto(case, case.instance())
    ca = os.path.join(where, "local-ca-%s.pem" % NAME)
    assert sign(case, ca, "DNS:" + NAME, "own").returncode == 0
    assert sign(case, ca, "DNS:www." + NAME, "below").returncode == 0
    for number, san in enumerate(("DNS:www.example.com", "DNS:lab.test", "IP:192.0.2.1", "IP:::1",
                                  "DNS:%s,DNS:www.example.com" % NAME)):
        done = sign(case, ca, san, "forged%d" % number)
        assert done.returncode != 0 and "subtree violation" in done.stderr, (san, done)


def test_local_ca_of_an_address(case):
    """A target that is an IP address: the CA permits that address alone, and no name."""
    for family, host, others in (("inet", "127.0.0.1", ("IP:127.0.0.2", "DNS:www.example.com", "IP:::1")),
                                 ("inet6", "::1", ("IP:::2", "DNS:www.example.com", "IP:127.0.0.1"))):
        instance = case.instance(family=family)
        m, where = auto(case, ("%s:%d" if family == "inet" else "[%s]:%d") % (host, instance.port))
        ca, _ = local_ca(case, where, host)
        served(case, m, ca=ca, name=host)
        kept = os.path.join(where, "local-ca-%s.pem" % host)
        for number, san in enumerate(others):
            done = sign(case, kept, san, "forged%d" % number)
            assert done.returncode != 0 and "subtree violation" in done.stderr, (san, done)


def test_a_ca_for_each_target(case):
    """Two relays with auto: a CA for each host, and `bundle show` wants to know which."""
    instance = case.instance()
    state = case.path("state")
    other = case.keys("127.0.0.1:%d" % instance.port, listen="tls://127.0.0.1:0", listen_cert="auto")
    m = case.start({"relay a": case.keys(instance, listen="tls://127.0.0.1:0", listen_cert="auto"), "relay b": other},
                   env={"STATE_DIRECTORY": state + ":/somewhere/else"})
    m.opened = None
    assert sorted(os.listdir(state)) == ["local-ca-127.0.0.1.pem", "local-ca-%s.pem" % NAME]
    environment = dict(os.environ, STATE_DIRECTORY=state)
    done = case.run("bundle", "show", "--local-ca", env=environment)
    assert done.returncode == 1 and done.stdout == "" and NAME in done.stderr and "127.0.0.1" in done.stderr, done
    ca, _ = local_ca(case, state, NAME)
    served(case, m, ca=ca)


def fails_at(case, keys, *facts, env=None, line=None):
    config = case.path("faulty.ini")
    harness.write_config(config, {"relay r": keys})
    done = case.run("run", "-c", config, env=dict(os.environ, **(env or {})))
    assert done.returncode == 78, done
    with open(config) as text:
        number = [one.split(" ")[0] for one in text.read().split("\n")].index(line) + 1
    assert "%s:%d: " % (config, number) in done.stderr or "line=%d" % number in done.stderr, done.stderr
    for fact in facts:
        assert fact in done.stderr, (fact, done.stderr)


def test_faults_of_local_certificates(case):
    """Each at the line of its key."""
    own = files(case)
    keys = case.keys(NAME, listen="tls://127.0.0.1:0")
    os.chmod(own["listen_key"], 0o644)
    fails_at(case, dict(keys, **own), "every user", line="listen_key")
    os.chmod(own["listen_key"], 0o600)
    fails_at(case, dict(keys, **dict(own, listen_key=case.pki["client.key"])), "listen_key", line="listen_key")
    fails_at(case, dict(keys, listen_cert=own["listen_cert"]), "no private key", line="listen_cert")
    fails_at(case, dict(keys, **own, listen_client_ca=case.path("absent.pem")), "No such file", line="listen_client_ca")
    fails_at(case, dict(keys, listen_cert=case.path("absent.pem")), "No such file", line="listen_cert")
    subprocess.run(["openssl", "pkey", "-in", case.pki["server.key"], "-aes128", "-passout", "pass:secret", "-out",
                    case.path("locked.key")], check=True, capture_output=True)
    fails_at(case, dict(keys, listen_cert=own["listen_cert"], listen_key=case.path("locked.key")), "is encrypted",
             line="listen_key")


def test_faults_of_the_local_ca(case):
    """A state directory that cannot be, a CA that others may read or that is another host's: at the line of listen_cert."""
    keys = case.keys(NAME, listen="tls://127.0.0.1:0", listen_cert="auto")
    case.write("in-the-way", "")
    fails_at(case, keys, "state directory", env={"STATE_DIRECTORY": case.path("in-the-way") + "/state"},
             line="listen_cert")
    fails_at(case, keys, "Not a directory", env={"STATE_DIRECTORY": case.path("in-the-way")}, line="listen_cert")
    m, where = auto(case, case.instance())
    file = os.path.join(where, "local-ca-%s.pem" % NAME)
    os.chmod(file, 0o644)
    assert "every user" in m.reload(ok=False)["msg"]
    fails_at(case, keys, "every user", env={"STATE_DIRECTORY": where}, line="listen_cert")
    os.chmod(file, 0o600)
    os.rename(file, os.path.join(where, "local-ca-other.lab.test.pem"))
    fails_at(case, dict(keys, target="other.lab.test"), "permitted subtree violation", env={"STATE_DIRECTORY": where},
             line="listen_cert")


def test_state_directory_belongs_to_the_user(case):
    """Started as root with `user`, the directory is made for that user, who then keeps the CA in it."""
    import test_user
    user = test_user.account()
    os.chmod(case.dir, 0o711)
    state = case.path("state")
    keys = {"client_bundle": test_user.open_to(user, case, "client-bundle.pem"),
            "trust": test_user.open_to(user, case, "root.pem"), "listen": "tls://127.0.0.1:0", "listen_cert": "auto"}
    m = case.start({"midrelay": {"user": user.pw_name}, "relay r": case.keys(case.instance(), **keys)},
                   env={"STATE_DIRECTORY": state})
    for path in (state, os.path.join(state, "local-ca-%s.pem" % NAME)):
        assert os.stat(path).st_uid == user.pw_uid, path
    assert stat.S_IMODE(os.stat(state).st_mode) == 0o700
    ca, _ = local_ca(case, state)
    served(case, m, ca=ca)
    m.reload()
    served(case, m, ca=ca)
    # One that is not the user's: said at the line, and nothing is started.
    closed = case.path("closed")
    os.mkdir(closed, 0o755)
    keys = case.keys(NAME, **keys)
    config = case.path("closed.ini")
    harness.write_config(config, {"midrelay": {"user": user.pw_name}, "relay r": keys})
    os.chmod(config, 0o644)
    done = case.run("run", "-c", config, env=dict(os.environ, STATE_DIRECTORY=closed))
    assert done.returncode == 78 and os.listdir(closed) == [], done
    assert "listen_cert: the local CA cannot be kept: " + closed in done.stderr and "Permission denied" in done.stderr, done


def test_a_ca_begun_by_a_reload(case):
    """listen_cert = auto that comes with a reload makes directory and CA then."""
    m = case.relay(case.instance(), process=harness.NO_SANDBOX, start={"env": {"STATE_DIRECTORY": case.path("state")}})
    m.sections["relay r"].update(listen="tls://127.0.0.1:0", listen_cert="auto")
    m.write()
    m.reload()
    ca, _ = local_ca(case, case.path("state"))
    served(case, m, ca=ca, index=1)


def test_config_and_check_make_nothing(case):
    """They look at what is there; the CA is made by `run`."""
    state = case.path("state")
    config = case.path("auto.ini")
    harness.write_config(config, {"relay r": case.keys(case.instance(), listen="tls://127.0.0.1:0", listen_cert="auto")})
    environment = dict(os.environ, STATE_DIRECTORY=state)
    done = case.run("config", "-c", config, env=environment)
    assert done.returncode == 0 and "listen = tls://127.0.0.1:0\n" in done.stdout and "listen_cert = auto\n" in done.stdout
    done = case.run("check", "-c", config, "--json", env=environment)
    assert done.returncode == 0, done
    assert "tls://127.0.0.1:0" in done.stdout and "made at the first start" in done.stdout, done.stdout
    assert not os.path.exists(state)


def test_listener_changes_its_kind_at_a_reload(case):
    """The same address, plain before and tls:// after: the socket stays, new clients make TLS."""
    m = case.relay(case.instance(), **files(case))
    with m.connect() as sock:
        assert harness.ask(sock).status == 200
    port = m.port()
    m.sections["relay r"]["listen"] = "tls://127.0.0.1:%d" % port
    m.write()
    m.reload()
    served(case, m, index=1)
    assert m.address(index=1) == "tls://127.0.0.1:%d" % port


if __name__ == "__main__":
    harness.main()
