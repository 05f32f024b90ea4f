"""
Real web servers as targets of mode = http: Apache and nginx that demand a client certificate and tell what they saw.

Any path is answered with the request as it arrived (method, target, headers, body).  /answer?x=HEX is answered with that
CGI response, /nph?x=HEX with those very bytes.  /static/ has files, /dav/ takes them, /gz/ compresses, /ws/ leads to a
WebSocket server; nginx's /add has the headers that are put right, from nginx itself.  nginx asks an Apache of its own
for what it cannot tell itself.
"""
import base64
import glob
import hashlib
import os
import random
import shutil
import socket
import threading

import harness
import real

NAME = "instance.lab.test"
MODULES = "/usr/lib/apache2/modules"

ECHO = r"""#!/usr/bin/perl
binmode STDIN; binmode STDOUT; undef $/;
my $body = <STDIN>; $body = '' unless defined $body;
my $out = join '', map { "$_=$ENV{$_}\n" } sort grep { /^(HTTP_|REQUEST_METHOD|REQUEST_URI|CONTENT_|SERVER_PROTOCOL)/ } keys %ENV;
$out .= "\n$body";
print "Content-Type: text/plain\r\nX-Body: ", length $body, "\r\nContent-Length: ", length $out, "\r\n\r\n", $out;
"""

# What is asked for in hexadecimal digits.
SCRIPTED = r"""#!/usr/bin/perl
binmode STDIN; binmode STDOUT; undef $/;
my $body = <STDIN>;
print pack 'H*', $ENV{QUERY_STRING} =~ s/^x=//r;
"""

COOKIES = [("Set-Cookie: JSESSIONID=A1B2; Path=/; HttpOnly; SameSite=None; Secure",
            "Set-Cookie: JSESSIONID=A1B2; Path=/; HttpOnly"),
           ("Set-Cookie: BIGipServerpool=1.2.3; Domain=.lab.test; Secure; SameSite=Lax",
            "Set-Cookie: BIGipServerpool=1.2.3; SameSite=Lax")]


class WebSocketServer:
    """Accepts every upgrade, sends `greeting` right behind its 101, then returns the bytes it gets, in capitals."""
    greeting = b"\x81\x05hello"

    def __init__(self, case):
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        case.cleanups.append(self.sock.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                threading.Thread(target=self.serve, args=(self.sock.accept()[0],), daemon=True).start()
        except OSError:
            pass

    def serve(self, sock):
        with sock:
            got = b""
            while b"\r\n\r\n" not in got:
                part = sock.recv(4096)
                if not part:
                    return
                got += part
            head, rest = got.split(b"\r\n\r\n", 1)
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            key = next(line.split(b": ", 1)[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
            assert fields[b"upgrade"] == b"websocket"
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + self.greeting)
            while rest or (rest := sock.recv(65536)):
                sock.sendall(rest.upper())
                rest = b""


def fill(directory):
    """The files of /static/; their times are fixed, so that ETag and Last-Modified are."""
    os.makedirs(directory)
    for name, body in (("text.txt", b"".join(b"line %d of a text\n" % n for n in range(3000))), ("empty.txt", b""),
                       ("bytes.bin", random.Random(3).randbytes(300000)), ("small.txt", b"small\n")):
        path = os.path.join(directory, name)
        with open(path, "wb") as out:
            out.write(body)
        os.utime(path, (1600000000, 1600000000))


def give(case, server):
    """Everything of a server's to the account that it becomes."""
    user = real.unprivileged()
    if user:
        os.chmod(case.dir, 0o711)
        for place in [server.directory] + glob.glob(server.directory + "/**", recursive=True):
            shutil.chown(place, user)
    return user


def apache(case, websocket):
    """Apache; `server.plain` is a port without TLS."""
    binary, _ = real.program("apache2"), real.program("perl")
    wanted = ("mpm_prefork", "ssl", "authz_core", "mime", "alias", "cgi", "dav", "dav_fs", "deflate", "filter", "proxy",
              "proxy_http", "proxy_wstunnel", "rewrite", "headers", "buffer", "reqtimeout", "env", "setenvif")
    for name in wanted:
        if not os.path.exists("%s/mod_%s.so" % (MODULES, name)):
            raise harness.Skip("mod_%s is not installed" % name)

    def configure(server):
        d, server.plain = server.directory, real.free_port()
        os.mkdir(d + "/dav")
        fill(d + "/static")
        for name, text in (("echo.cgi", ECHO), ("answer.cgi", SCRIPTED), ("nph-answer.cgi", SCRIPTED)):
            server.file(name, text, 0o755)
        site = """\
 DocumentRoot %(d)s/static
 CustomLog %(d)s/access.log "%%r|%%>s"
 TraceEnable on
 LimitRequestFieldSize 40000
 LimitRequestLine 40000
 LimitRequestFields 0
 SSLProxyEngine off
 Alias /static/ %(d)s/static/
 Alias /gz/ %(d)s/static/
 Alias /dav/ %(d)s/dav/
 ScriptAlias /answer %(d)s/answer.cgi
 ScriptAlias /nph %(d)s/nph-answer.cgi
 ProxyPass /ws/ ws://127.0.0.1:%(ws)d/
 ScriptAliasMatch "^/(?!ws/)" %(d)s/echo.cgi
 # Otherwise it depends on how fast a script is whether its answer has a length or comes in chunks.
 <Location />
  SetOutputFilter BUFFER
  BufferSize 2000000
 </Location>
 <Location /dav/>
  Dav On
 </Location>
 <Location /gz/>
  SetOutputFilter DEFLATE
 </Location>
"""
        server.file("httpd.conf", ("""\
%(modules)s
ServerRoot %(d)s
ServerName instance.lab.test
PidFile %(d)s/httpd.pid
ErrorLog %(d)s/error.log
DefaultRuntimeDir %(d)s
Mutex file:%(d)s default
%(user)s
StartServers 12
MinSpareServers 6
MaxRequestWorkers 60
KeepAliveTimeout 20
MaxKeepAliveRequests 0
RequestReadTimeout header=20 body=20
Timeout 20
TypesConfig /dev/null
AddType text/plain .txt
AddType application/octet-stream .bin
DAVLockDB %(d)s/locks
Listen 127.0.0.1:%(port)d
Listen 127.0.0.1:%(plain)d
<Directory />
 AllowOverride None
 Options +ExecCGI
 Require all granted
</Directory>
SSLSessionCache none
<VirtualHost 127.0.0.1:%(port)d>
 SSLEngine on
 SSLCertificateFile %(cert)s
 SSLCertificateKeyFile %(key)s
 SSLCACertificateFile %(ca)s
 SSLVerifyClient require
 SSLVerifyDepth 3
""" + site + """</VirtualHost>
<VirtualHost 127.0.0.1:%(plain)d>
""" + site.replace("access.log", "plain.log") + """</VirtualHost>
""") % {"d": d, "port": server.port, "plain": server.plain, "cert": case.pki["server-chain.pem"],
        "key": case.pki["server.key"], "ca": case.pki["client-cas.pem"], "ws": websocket.port,
        "modules": "\n".join("LoadModule %s_module %s/mod_%s.so" % (name, MODULES, name) for name in wanted),
        "user": "User %s" % real.unprivileged() if real.unprivileged() else ""})
        give(case, server)
    # With processes it ends by a signal to its whole process group, which must not be ours.
    return real.Server(case, "apache", configure, lambda s: [
        real.program("setsid"), binary, "-D", "FOREGROUND", "-f", s.directory + "/httpd.conf"])


def nginx(case, websocket):
    behind = apache(case, websocket)
    added = "".join('   add_header %s always;\n' % line.replace(": ", ' "', 1).__add__('"') for line, _ in COOKIES)
    server = real.nginx(case, more="""
  large_client_header_buffers 8 40k;
  location = /add {
%(added)s   add_header Strict-Transport-Security "max-age=63072000" always;
   return 302 https://instance.lab.test:$server_port/next;
  }
  location /static/ { root %(d)s; types { text/plain txt; application/octet-stream bin; } }
  location /gz/ { alias %(d)s/static/; types { text/plain txt; application/octet-stream bin; } gzip on; gzip_min_length 1; }
  location /dav/ { root %(www)s; dav_methods PUT DELETE MKCOL; create_full_put_path on; }
  location = /no-content { return 204; }
  location /ws/ {
   proxy_pass http://127.0.0.1:%(ws)d/; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
   proxy_set_header Connection "Upgrade"; proxy_buffering off;
  }
  location / {
   proxy_pass http://127.0.0.1:%(plain)d; proxy_http_version 1.1; proxy_set_header Host $http_host;
   proxy_set_header X-Verified $ssl_client_verify; proxy_buffer_size 80k; proxy_buffers 8 80k; proxy_busy_buffers_size 160k;
  }
""" % {"d": behind.directory, "added": added, "ws": websocket.port, "plain": behind.plain, "www": case.path("www")},
                        root=False)
    server.behind = behind
    return server
