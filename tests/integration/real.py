"""
Real parts around midrelay: Squid, tinyproxy, Apache, nginx, curl, and Java clients on Apache Commons HttpClient 3.1 and
Jetty's HttpClient.

Each is started with a configuration of its own in the test's directory, found ready by talking to it, and stopped by
its process id.  What is not installed skips the test.
"""

import fcntl
import glob
import hashlib
import os
import pwd
import random
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

import harness
from harness import PASSWORD, USER, Skip, wait_until


def program(name):
    """The path of a program, or the test is skipped."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")
    if not found:
        raise Skip("%s is not installed" % name)
    return found


_reserved = []  # locks that live as long as this process


def free_port():
    """A port for a program that cannot be told to take any: below the range from which the kernel gives ports to others,
    and reserved by a lock against other tests that are choosing one at the same time."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
        lowest = int(limits.read().split()[0])
    place = os.path.join(tempfile.gettempdir(), "midrelay-test-ports-%d" % os.getuid())
    os.makedirs(place, exist_ok=True)
    while True:
        port = random.randrange(min(10000, lowest // 2), lowest)
        lock = open(os.path.join(place, str(port)), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _reserved.append(lock)
        return port


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Server:
    """A foreign server process.  Between finding a free port and its bind somebody else may take it: then once more."""

    def __init__(self, case, name, configure, command, stop_signal=signal.SIGTERM):
        self.stop_signal = stop_signal
        self.scheme = "http"
        self.litter = None     # a pattern of files that it leaves outside its directory
        for _ in range(5):
            self.port = free_port()
            self.directory = os.path.join(case.dir, "%s-%d" % (name, self.port))
            os.mkdir(self.directory)
            configure(self)
            self.output = open(os.path.join(self.directory, "output"), "wb")
            self.process = subprocess.Popen(command(self), stdin=subprocess.DEVNULL, stdout=self.output,
                                            stderr=self.output, cwd=self.directory)
            wait_until(lambda: answers(self.port) or self.process.poll() is not None, name, 30 * harness.SLOW)
            if self.process.poll() is None:
                case.cleanups.append(self.stop)
                return
            self.output.close()
        said = "".join(self.read(file) for file in ("output", "cache.log", "error.log")
                       if os.path.exists(os.path.join(self.directory, file)))
        raise AssertionError("%s does not start: %s" % (name, said))

    @property
    def url(self):
        return "%s://127.0.0.1:%d" % (self.scheme, self.port)

    def file(self, name, text, mode=0o644):
        path = os.path.join(self.directory, name)
        with open(path, "w") as out:
            out.write(text)
        os.chmod(path, mode)
        return path

    def read(self, name):
        with open(os.path.join(self.directory, name), errors="replace") as file:
            return file.read()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()
        for left in glob.glob(self.litter) if self.litter else []:
            os.unlink(left)


def unprivileged():
    """Whom a server started as root becomes; None: we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("proxy", "squid", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            pass
    raise Skip("no unprivileged account")


def squid(case, target_port, user=USER, password=PASSWORD, tls=None, access=None, listen=""):
    """
    Squid that wants Basic credentials and lets CONNECT to the target's port through; access log in access.log.
    `tls`: further words of its https_port ("" for none), which replaces the http_port.
    `access`: the lines that say who may do what, in the place of Basic authentication; `target` and `connect` are ACLs.
    `listen`: further words of its http_port.
    """
    binary = program("squid")
    helpers = glob.glob("/usr/lib*/squid/basic_ncsa_auth") + glob.glob("/usr/lib*/*/squid/basic_ncsa_auth")
    if not helpers:
        raise Skip("squid's basic_ncsa_auth is not installed")
    if tls is not None and "--with-openssl" not in subprocess.run([binary, "-v"], capture_output=True, text=True).stdout:
        raise Skip("squid is built without OpenSSL")
    user_id = unprivileged()

    def configure(server):
        hashed = subprocess.run(["openssl", "passwd", "-apr1", "-stdin"], input=password, text=True,
                                capture_output=True, check=True).stdout.strip()
        passwords = server.file("passwords", "%s:%s\n" % (user, hashed))
        server.file("squid.conf", "\n".join([
            "http_port 127.0.0.1:%d %s" % (server.port, listen) if tls is None else
            "https_port 127.0.0.1:%d tls-cert=%s tls-key=%s %s" % (server.port, case.pki["server-chain.pem"],
                                                                  case.pki["server.key"], tls),
            "pid_filename %s/squid.pid" % server.directory,
            "cache_log %s/cache.log" % server.directory,
            "access_log stdio:%s/access.log" % server.directory,
            "logfile_rotate 0",
            "cache deny all",
            "cache_mem 8 MB",
            "memory_pools off",
            "coredump_dir %s" % server.directory,
            "netdb_filename none",
            "pinger_enable off",
            "visible_hostname proxy.lab.test",
            "cache_effective_user %s" % user_id if user_id else "",
            "hosts_file %s" % server.file("hosts", "127.0.0.1 instance.lab.test\n"),
            "shutdown_lifetime 0 seconds",
            "max_filedescriptors 8192",
            "acl target port %d" % target_port,
            "acl connect method CONNECT",
            *(access if access is not None else [
                'auth_param basic program %s %s' % (helpers[0], passwords),
                "auth_param basic children 2 startup=1 idle=1",
                'auth_param basic realm Lab proxy',
                "acl users proxy_auth REQUIRED",
                "http_access deny !connect",
                "http_access deny !target",
                "http_access allow users"]),
            "http_access deny all",
            ""]))
        if user_id:
            # It refuses to serve as root, and becomes somebody who must reach these files.
            os.chmod(case.dir, 0o711)
            for place in [server.directory] + glob.glob(server.directory + "/*"):
                shutil.chown(place, user_id)
    # Names of shared memory are per -n; without it two Squids at once disturb one another.  An orderly end takes it
    # 2 s, so it is killed, and its shared memory removed for it.
    server = Server(case, "squid", configure, lambda s: [binary, "-N", "-n", "lab%d" % s.port, "-f",
                                                         s.directory + "/squid.conf"], signal.SIGKILL)
    server.scheme = "http" if tls is None else "https"
    server.litter = "/dev/shm/lab%d-*" % server.port
    return server


def squid_bump(case, target_port, version):
    """Squid that plays every server, with the lab's inspecting CA."""
    binary, helpers = program("squid"), glob.glob("/usr/lib*/squid/security_file_certgen")
    if not helpers:
        raise Skip("squid's security_file_certgen is not installed")
    user = unprivileged()

    def configure(server):
        d = server.directory
        ca = server.file("ca.pem", open(case.pki["inspect-root.pem"]).read() + open(case.pki["inspect-root.key"]).read())
        server.file("squid.conf", "\n".join([
            "http_port 127.0.0.1:%d ssl-bump tls-cert=%s generate-host-certificates=on dynamic_cert_mem_cache_size=1MB%s"
            % (server.port, ca, " options=NO_TLSv1_3" if version == "1.2" else ""),
            "sslcrtd_program %s -s %s/certs -M 4MB" % (helpers[0], d),
            "sslcrtd_children 1 startup=1 idle=1",
            "ssl_bump bump all", "sslproxy_cert_error allow all", "tls_outgoing_options flags=DONT_VERIFY_PEER",
            "pid_filename %s/squid.pid" % d, "cache_log %s/cache.log" % d, "access_log stdio:%s/access.log" % d,
            "logfile_rotate 0", "cache deny all", "cache_mem 8 MB", "memory_pools off", "coredump_dir %s" % d,
            "netdb_filename none", "pinger_enable off", "visible_hostname proxy.lab.test",
            "cache_effective_user %s" % user if user else "",
            "hosts_file %s" % server.file("hosts", "127.0.0.1 instance.lab.test\n"),
            "shutdown_lifetime 0 seconds", "max_filedescriptors 1024", "acl target port %d" % target_port,
            "http_access allow target", "http_access deny all", ""]))
        if user:
            os.chmod(case.dir, 0o711)
            for place in [d] + glob.glob(d + "/*"):
                shutil.chown(place, user)
        subprocess.run((["runuser", "-u", user, "--"] if user else []) +
                       [helpers[0], "-c", "-s", d + "/certs", "-M", "4MB"], check=True, capture_output=True)
    server = Server(case, "squid-bump", configure, lambda s: [binary, "-N", "-n", "bump%d" % s.port, "-f",
                                                                   s.directory + "/squid.conf"], signal.SIGKILL)
    server.litter = "/dev/shm/bump%d-*" % server.port
    return server


def tinyproxy(case, target_port, user=USER, password="plain7word", filtered=None):
    """tinyproxy with BasicAuth.  Its configuration takes no blank in a password.  `filtered`: a host that it blocks."""
    binary = program("tinyproxy")

    def configure(server):
        server.file("tinyproxy.conf", "\n".join([
            "Port %d" % server.port, "Listen 127.0.0.1", "Timeout 60", "MaxClients 200",
            'LogFile "%s/tinyproxy.log"' % server.directory, "LogLevel Info",
            'PidFile "%s/tinyproxy.pid"' % server.directory,
            "BasicAuth %s %s" % (user, password),
            "ConnectPort %d" % target_port, "Allow 127.0.0.1",
            'Filter "%s"' % server.file("filter", filtered + "\n") if filtered else "", ""]))
    return Server(case, "tinyproxy", configure,
                  lambda s: [binary, "-d", "-c", os.path.join(s.directory, "tinyproxy.conf")])


def apache(case, target_port, auth=False):
    """Apache httpd as a proxy: mod_proxy_connect, which lets CONNECT to the target's port through, with Basic or without."""
    binary = program("apache2")
    modules = "/usr/lib/apache2/modules"
    if not os.path.exists(modules + "/mod_proxy_connect.so"):
        raise Skip("mod_proxy_connect is not installed")
    user_id = unprivileged()

    def configure(server):
        hashed = subprocess.run(["openssl", "passwd", "-apr1", "-stdin"], input=PASSWORD, text=True,
                                capture_output=True, check=True).stdout.strip()
        rule = ["Require local"] if not auth else [
            "AuthType Basic", 'AuthName "Lab proxy"', "AuthBasicProvider file",
            "AuthUserFile %s" % server.file("passwords", "%s:%s\n" % (USER, hashed)), "Require valid-user"]
        server.file("httpd.conf", "\n".join([
            *["LoadModule %s_module %s/mod_%s.so" % (name, modules, name) for name in (
                "mpm_event", "authn_core", "authn_file", "authz_core", "authz_host", "authz_user", "auth_basic", "proxy",
                "proxy_connect")],
            "ServerRoot %s" % server.directory, "ServerName proxy.lab.test", "Listen 127.0.0.1:%d" % server.port,
            "PidFile %s/httpd.pid" % server.directory, "ErrorLog %s/error.log" % server.directory,
            "DefaultRuntimeDir %s" % server.directory, "Mutex file:%s default" % server.directory,
            "User %s" % user_id if user_id else "", "StartServers 1", "ThreadsPerChild 8", "MinSpareThreads 1",
            "ProxyRequests On", "ProxyVia On", "ProxyTimeout 3", "AllowCONNECT %d" % target_port,
            "<Proxy *>", *rule, "</Proxy>", ""]))
        if user_id:
            os.chmod(case.dir, 0o711)
            for place in [server.directory] + glob.glob(server.directory + "/*"):
                shutil.chown(place, user_id)
    return Server(case, "apache", configure, lambda s: [binary, "-D", "FOREGROUND", "-f", s.directory + "/httpd.conf"])


def nginx(case, big_bytes=0, tls="TLSv1.2 TLSv1.3", keepalive_requests=100000, more=""):
    """
    nginx with `ssl_verify_client on`.  / answers what it saw of the certificate and the request, /soap takes a body and
    tells its length and by whom, PUT /put/NAME stores one, /big is a file of big_bytes sent by sendfile.  `more`: further directives.
    """
    binary = program("nginx")
    pki = case.pki

    def configure(server):
        d = server.directory
        for name in ("tmp", "logs", "www"):
            os.mkdir(os.path.join(d, name))
        if big_bytes:
            with open(os.path.join(d, "www", "big"), "wb") as out:
                for part in harness.pattern_stream(big_bytes):
                    out.write(part)
        server.file("nginx.conf", """\
daemon off; worker_processes 2; pid %(d)s/nginx.pid; error_log %(d)s/error.log info; %(user)s
events { worker_connections 4096; }
http {
 client_body_temp_path %(d)s/tmp; proxy_temp_path %(d)s/tmp; fastcgi_temp_path %(d)s/tmp; uwsgi_temp_path %(d)s/tmp;
 scgi_temp_path %(d)s/tmp; access_log %(d)s/access.log; sendfile on; keepalive_requests %(requests)d;
 client_max_body_size 0; client_body_buffer_size 64k; default_type text/plain;
 # Takes a body to its end, which `return` alone would not read.
 server { listen unix:%(d)s/inner.sock; location / { client_max_body_size 0; return 200 "length $http_x_length\\n"; } }
 server {
  listen 127.0.0.1:%(port)d ssl backlog=4096; server_name instance.lab.test; ssl_protocols %(tls)s;
  ssl_certificate %(cert)s; ssl_certificate_key %(key)s;
  ssl_client_certificate %(ca)s; ssl_verify_client on; ssl_verify_depth 3; ssl_session_cache shared:s:1m;
  %(more)s
  location / {
    return 200 "subject $ssl_client_s_dn\\nverify $ssl_client_verify\\nuri $request_uri\\nconnection $connection\\n";
   }
  location /put/ { root %(d)s/www; dav_methods PUT; create_full_put_path on; }
  location /big { root %(d)s/www; }
  location /soap {
   proxy_pass http://unix:%(d)s/inner.sock:/;
   proxy_set_header X-Length "$content_length of $request_uri by $ssl_client_s_dn";
  }
 }
}
""" % {"d": d, "port": server.port, "cert": pki["server-chain.pem"], "key": pki["server.key"],
            "ca": pki["client-cas.pem"], "tls": tls, "requests": keepalive_requests, "more": more,
            "user": "user root;" if os.geteuid() == 0 else ""})
    return Server(case, "nginx", configure, lambda s: [binary, "-e", s.directory + "/error.log", "-p", s.directory,
                                                       "-c", s.directory + "/nginx.conf"])


def edge(case, refused=(), tls="TLSv1.2 TLSv1.3", verify="on"):
    """
    nginx as an instance's edge: certificates of CAs that it does not know, and the names in `refused`, get its own page
    for a refused certificate (495), none gets that for a missing one (496).  edge_refuses() changes the names later.
    """
    binary = program("nginx")
    pki = case.pki

    def configure(server):
        d = server.directory
        os.mkdir(os.path.join(d, "tmp"))
        server.file("refused.map", _refused_map(refused))
        server.file("nginx.conf", """\
daemon off; worker_processes 2; pid %(d)s/nginx.pid; error_log %(d)s/error.log info; %(user)s
events { worker_connections 512; }
http {
 client_body_temp_path %(d)s/tmp; proxy_temp_path %(d)s/tmp; fastcgi_temp_path %(d)s/tmp; uwsgi_temp_path %(d)s/tmp;
 scgi_temp_path %(d)s/tmp; default_type text/plain; keepalive_requests 100000;
 log_format seen '$ssl_client_s_dn|$status|$request_method|$uri|$ssl_session_reused|$ssl_protocol|$connection';
 access_log %(d)s/access.log seen;
 map $ssl_client_s_dn $refuses { default 0; include %(d)s/refused.map; }
 server {
  listen 127.0.0.1:%(port)d ssl; server_name instance.lab.test; ssl_protocols %(tls)s;
  ssl_certificate %(cert)s; ssl_certificate_key %(key)s;
  ssl_client_certificate %(ca)s; ssl_verify_client %(verify)s; ssl_verify_depth 3; ssl_session_cache shared:s:1m;
  if ($refuses) { return 495; }
  location / { return 200 "$ssl_client_s_dn\\n"; }
 }
}
""" % {"d": d, "port": server.port, "cert": pki["server-chain.pem"], "key": pki["server.key"], "tls": tls,
            "ca": pki["client-cas.pem"], "verify": verify, "user": "user root;" if os.geteuid() == 0 else ""})
    return Server(case, "nginx", configure, lambda s: [binary, "-e", s.directory + "/error.log", "-p", s.directory,
                                                       "-c", s.directory + "/nginx.conf"])


def _refused_map(names):
    return "".join('"~CN=%s(,|$)" 1;\n' % name for name in names)


def edge_refuses(case, server, names, probe, status):
    """
    From now on these are refused: waits until its workers of before accept nobody any more, and a connection under
    `probe` (a bundle's name) gets this status.
    """
    before = _children(server.process.pid)
    server.file("refused.map", _refused_map(names))
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not any(_nginx_accepts(pid) for pid in before), "%s to retire its workers" % server.url)
    wait_until(lambda: (b" %d " % status) in edge_answer(case, server, probe, b"GET /probe HTTP/1.0\r\n\r\n"),
               "%s to take its new configuration" % server.url)


def _children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as children:
        return [int(child) for child in children.read().split()]


def _nginx_accepts(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as line:
            said = line.read()
        return bool(said) and b"shutting down" not in said
    except OSError:
        return False


def edge_answer(case, server, bundle, request):
    """All bytes that it answers with, without midrelay."""
    context = ssl.create_default_context(cafile=case.pki["root.pem"])
    if bundle:
        context.load_cert_chain(case.pki[bundle])
    with socket.create_connection(("127.0.0.1", server.port), harness.LIMIT) as sock, \
            context.wrap_socket(sock, server_hostname="instance.lab.test") as stream:
        stream.sendall(request)
        return harness.read_all(stream)[0]


def edge_log(server):
    """What it answered: one dict a request, without the probes of edge_refuses()."""
    keys = ("subject", "status", "method", "path", "reused", "tls", "connection")
    seen = [dict(zip(keys, line.split("|"))) for line in server.read("access.log").splitlines()]
    for one in seen:
        one["name"] = one["subject"].split("CN=")[-1].split(",")[0]
    return [one for one in seen if one["path"] != "/probe"]


def curl(case, *args, timeout=60):
    """curl's standard output; it must succeed."""
    done = subprocess.run([program("curl"), "-sS", "--noproxy", "*", *args], capture_output=True,
                          timeout=timeout * harness.SLOW)
    assert done.returncode == 0, done
    return done.stdout


COMMONS_JARS = ("commons-httpclient", "commons-logging", "commons-codec")
JETTY_JARS = ("jetty9-client", "jetty9-http", "jetty9-io", "jetty9-util")


def java_client(name="SoapClient", libraries=COMMONS_JARS):
    """The command that runs NAME.java, compiled once for all tests."""
    java, javac = program("java"), program("javac")
    jars = ["/usr/share/java/%s.jar" % library for library in libraries]
    for jar in jars:
        if not os.path.exists(jar):
            raise Skip("%s is not installed" % jar)
    source = os.path.join(harness.HERE, name + ".java")
    place = os.path.join(harness.cache_directory(), "java")
    os.makedirs(place, exist_ok=True)
    target = os.path.join(place, name + ".class")
    with open(os.path.join(place, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(source):
            subprocess.run([javac, "-nowarn", "-cp", ":".join(jars), "-d", place, source], check=True)
    return [java, "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", ":".join([place] + jars), name]


def jetty_client():
    """The command that runs JettyClient.java, on the other HTTP library that a MID Server has."""
    return java_client("JettyClient", JETTY_JARS)


# What a chain of real parts must do, whatever it is made of

def assert_moves_large_bodies(case, m, nginx, size):
    """`nginx` was started with big_bytes=size."""
    url = "http://127.0.0.1:%d" % m.port()
    body = case.path("body")
    with open(body, "wb") as out:
        for part in harness.pattern_stream(size, seed=5):
            out.write(part)
    curl(case, "-T", body, url + "/put/body")
    with open(os.path.join(nginx.directory, "www", "put", "body"), "rb") as stored:
        assert hashlib.file_digest(stored, "sha256").hexdigest() == harness.pattern_sha256(size, 5)
    assert hashlib.sha256(curl(case, url + "/big")).hexdigest() == harness.pattern_sha256(size)
    # A client that closes its connection in the middle disturbs nobody.
    with m.connect() as sock:
        sock.sendall(harness.request_bytes(path="/big"))
        sock.recv(100000)
    assert b"verify SUCCESS" in curl(case, url + "/")


def assert_serves_a_hundred_at_once(m):
    def one(number):
        with m.connect() as sock:
            for n in range(10):
                answer = harness.ask(sock, path="/%d/%d" % (number, n))
                assert b"uri /%d/%d\n" % (number, n) in answer.body, answer.body
        return 10

    clients = [harness.in_thread(one, number) for number in range(100)]
    assert sum(client() for client in clients) == 1000
    m.session(100)
    assert {e["end"] for e in m.events("session")} == {"ok"}
