#!/usr/bin/python3
"""Proves that a client key can stay in a TPM 2: swtpm and Debian's tpm2-openssl, nginx with ssl_verify_client on."""

import glob
import os
import re
import subprocess

import harness
import real
from harness import Skip, wait_until

PROVIDERS = ["-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2"]
HANDLE, OTHER_HANDLE = "handle:0x81000001", "handle:0x81000002"


def run(argv, env=None, code=0, cwd=None):
    done = subprocess.run(argv, capture_output=True, text=True, env=env, cwd=cwd, timeout=60 * harness.SLOW)
    assert done.returncode == code, (argv, done.returncode, done.stdout, done.stderr)
    return done


class Tpm:
    """A TPM of our own on a UNIX socket, with nothing between it and its users that makes room for a fourth loaded key."""

    def __init__(self, case):
        real.program("swtpm"), real.program("tpm2_create")
        if not glob.glob("/usr/lib*/ossl-modules/tpm2.so") + glob.glob("/usr/lib*/*/ossl-modules/tpm2.so"):
            raise Skip("tpm2-openssl is not installed")
        if not glob.glob("/usr/lib*/libtss2-tcti-swtpm.so.0") + glob.glob("/usr/lib*/*/libtss2-tcti-swtpm.so.0"):
            raise Skip("libtss2-tcti-swtpm is not installed")
        self.case = case
        self.directory = case.path("tpm")
        os.makedirs(os.path.join(self.directory, "state"))
        self.socket = os.path.join(self.directory, "s")
        self.tcti = "swtpm:path=" + self.socket
        self.env = {"TPM2TOOLS_TCTI": self.tcti, "TPM2OPENSSL_TCTI": self.tcti}
        self.process = None
        self.start()
        case.cleanups.append(self.stop)

    def start(self):
        for left in (self.socket, self.socket + ".ctrl"):
            if os.path.exists(left):
                os.unlink(left)
        self.process = subprocess.Popen(
            [real.program("swtpm"), "socket", "--tpm2", "--tpmstate", "dir=%s/state" % self.directory,
             "--server", "type=unixio,path=" + self.socket, "--ctrl", "type=unixio,path=%s.ctrl" % self.socket,
             "--flags", "startup-clear"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(self.socket) and os.path.exists(self.socket + ".ctrl"), "swtpm")

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def run(self, *argv, code=0, cwd=None):
        env = dict(os.environ, **self.env)
        done = run(list(argv), env, code, cwd)
        # What /dev/tpmrm0 does for each program when it ends.
        run(["tpm2_flushcontext", "-t"], env)
        return done

    def persistent(self, kind, uri, *how):
        """A key that the TPM keeps."""
        files = {name: os.path.join(self.directory, name) for name in ("primary", "pub", "priv", "key")}
        for name in files.values():
            if os.path.exists(name):
                os.unlink(name)
        self.run("tpm2_createprimary", "-Q", "-C", "o", "-c", files["primary"])
        self.run("tpm2_create", "-Q", "-C", files["primary"], "-G", kind, "-u", files["pub"], "-r", files["priv"], *how)
        self.run("tpm2_load", "-Q", "-C", files["primary"], "-u", files["pub"], "-r", files["priv"], "-c", files["key"])
        self.run("tpm2_evictcontrol", "-Q", "-C", "o", "-c", files["key"], uri.split(":")[1])
        return uri

    def wrapped(self, kind):
        """A key that lies in a file, wrapped."""
        out = self.case.path("%s.tss2" % kind)
        how = {"RSA": "bits:2048", "EC": "group:P-256"}[kind]
        self.run("openssl", "genpkey", *PROVIDERS, "-algorithm", kind, "-pkeyopt", how, "-out", out)
        return out

    def certificate(self, key, name, *how):
        """The keys of a relay whose key is in the TPM, certified by the lab."""
        csr, cert = self.case.path(name + ".csr"), self.case.path(name + ".pem")
        self.run("openssl", "req", *PROVIDERS, "-new", "-key", key, "-subj", "/O=Lab/CN=" + name, "-out", csr, *how)
        return self.sign(csr, cert, key)

    def sign(self, csr, cert, key):
        pki = self.case.pki
        run(["openssl", "x509", "-req", "-in", csr, "-CA", pki["client-intermediate.pem"], "-CAkey",
             pki["client-intermediate.key"], "-days", "90", "-extfile", os.path.join(pki["dir"], "pki.cnf"),
             "-extensions", "client", "-out", cert])
        return {"client_cert": cert, "client_key": key, "client_chain": pki["client-chain.pem"], "client_bundle": None}


def relay(case, nginx, keys, paths=("direct",), **more):
    return case.keys("instance.lab.test:%d" % nginx.port, list(paths), target_address="127.0.0.1", **keys, **more)


def start(case, tpm, sections, **kwargs):
    process = dict({"log_level": "debug"}, **sections.get("midrelay", {}))  # every session has its line
    m = case.start(dict(sections, midrelay=process), env=tpm.env, **kwargs)
    m.opened = None
    return m


def config(case, tpm, sections, code, env=None):
    path = case.path("tried.ini")
    harness.write_config(path, sections)
    return run([harness.BINARY, "config", "-c", path], dict(os.environ, **tpm.env, **(env or {})), code)


@harness.both_versions
def test_keys_of_all_kinds(case, version):
    nginx = real.nginx(case)
    if not hasattr(case, "tpm"):
        tpm = case.tpm = Tpm(case)
        case.kinds = {
            "rsa-handle": tpm.certificate(tpm.persistent("rsa2048", HANDLE), "rsa-handle"),
            "ec-handle": tpm.certificate(tpm.persistent("ecc256", OTHER_HANDLE), "ec-handle"),
            "rsa-file": tpm.certificate(tpm.wrapped("RSA"), "rsa-file"),
            "ec-file": tpm.certificate(tpm.wrapped("EC"), "ec-file"),
        }
    m = start(case, case.tpm, {"relay " + name: relay(case, nginx, keys, tls_min=version, tls_max=version)
                          for name, keys in case.kinds.items()})
    for name in case.kinds:
        text = m.get("/", relay=name).body.decode()
        assert "verify SUCCESS" in text and "subject CN=%s,O=Lab" % name in text, text
    m.assert_ends_clean()


def test_hundred_at_once(case):
    """Two workers ask the TPM, which talks to one at a time; the proxy is Squid."""
    tpm = Tpm(case)
    keys = tpm.certificate(tpm.wrapped("EC"), "mid-tpm")
    nginx = real.nginx(case)
    squid = real.squid(case, nginx.port)
    m = start(case, tpm, {"midrelay": {"workers": "2"},
                          "relay r": case.keys("instance.lab.test:%d" % nginx.port, [squid.url], auth=True, **keys)})
    real.assert_serves_a_hundred_at_once(m)


def test_reloads(case):
    """What a reload loads of a key is let go; a connection that stands is not disturbed."""
    tpm = Tpm(case)
    key = tpm.wrapped("RSA")
    keys = tpm.certificate(key, "before")
    renewed = tpm.certificate(key, "after")
    nginx = real.nginx(case)
    m = start(case, tpm, {"relay r": relay(case, nginx, keys)})
    with m.connect() as sock:
        assert b"CN=before" in harness.ask(sock).body
        for _ in range(12):
            m.reload()
        assert b"CN=before" in harness.ask(sock).body
        os.replace(renewed["client_cert"], keys["client_cert"])
        m.reload()
        assert b"CN=before" in harness.ask(sock).body
        assert b"CN=after" in m.get("/").body


def test_watch_sees_the_wrapped_key(case):
    tpm = Tpm(case)
    keys = tpm.certificate(tpm.wrapped("EC"), "mid-tpm")
    nginx = real.nginx(case)
    m = start(case, tpm, {"midrelay": {"watch": "100ms"}, "relay r": relay(case, nginx, keys)})
    os.utime(keys["client_key"])
    with open(keys["client_key"], "a") as file:
        file.write("\n")
    assert m.wait_event("files-changed")["file"] == keys["client_key"]
    m.wait_event("reloaded")
    assert b"verify SUCCESS" in m.get("/").body


def test_tpm_gone_and_back(case):
    """Its relay says so, the others go on; when it is back its keys are loaded again."""
    tpm = Tpm(case)
    handle = tpm.certificate(tpm.persistent("ecc256", OTHER_HANDLE), "mid-handle")
    wrapped = tpm.certificate(tpm.wrapped("RSA"), "mid-file")
    nginx = real.nginx(case)
    m = start(case, tpm, {"relay handle": relay(case, nginx, handle), "relay file": relay(case, nginx, wrapped),
                          "relay soft": relay(case, nginx, {})})
    tpm.stop()
    for name in ("handle", "file"):
        response = m.fails("client-cert-unusable", relay=name)
        assert "the key of CN=mid-%s,O=Lab cannot be used: " % name in response.reason, response.reason
        assert "TPM" in response.reason, response.reason
    assert b"verify SUCCESS" in m.get("/", relay="soft").body
    assert "cannot reach the TPM" in m.reload(ok=False)["msg"]
    tpm.start()
    for name in ("handle", "file"):
        wait_until(lambda: b"CN=mid-%s" % name.encode() in m.get("/", relay=name).body, "the TPM's key to sign again")
    assert b"verify SUCCESS" in m.get("/", relay="soft").body
    m.baseline = harness.settled(m.descriptors)


@harness.counts_dials
def test_another_tpm_came_back(case):
    tpm = Tpm(case)
    keys = tpm.certificate(tpm.persistent("ecc256", OTHER_HANDLE), "mid-handle")
    nginx = real.nginx(case)
    m = start(case, tpm, {"relay r": relay(case, nginx, keys)})
    tpm.stop()
    for file in os.listdir(os.path.join(tpm.directory, "state")):
        os.unlink(os.path.join(tpm.directory, "state", file))
    tpm.start()
    tpm.persistent("ecc256", OTHER_HANDLE)
    assert "another key is there now" in m.fails("client-cert-unusable").reason
    m.baseline = harness.settled(m.descriptors)


def test_one_key_gone(case):
    """The other keys of that TPM go on signing."""
    tpm = Tpm(case)
    gone = tpm.certificate(tpm.persistent("ecc256", HANDLE), "mid-gone")
    there = tpm.certificate(tpm.persistent("ecc256", OTHER_HANDLE), "mid-there")
    nginx = real.nginx(case)
    # One relay for each connection that shall sign: the second of a relay would resume.
    names = ["there%d" % number for number in range(5)]
    m = start(case, tpm, dict({"relay " + name: relay(case, nginx, there) for name in names},
                              **{"relay gone": relay(case, nginx, gone)}))
    tpm.run("tpm2_evictcontrol", "-C", "o", "-c", HANDLE.split(":")[1])
    for name in names:
        assert "finds no private key there" in m.fails("client-cert-unusable", relay="gone").reason
        assert b"CN=mid-there" in m.get("/", relay=name).body
        m.session(relay=name)


def test_key_of_another_certificate(case):
    tpm = Tpm(case)
    keys = tpm.certificate(tpm.persistent("ecc256", OTHER_HANDLE), "mid-handle")
    nginx = real.nginx(case)
    keys["client_key"] = tpm.persistent("rsa2048", HANDLE)
    done = config(case, tpm, {"relay r": relay(case, nginx, keys)}, 78)
    assert "client_key: " in done.stderr and "belongs to none of" in done.stderr, done.stderr
    keys["client_key"] = "handle:0x81000077"
    done = config(case, tpm, {"relay r": relay(case, nginx, keys)}, 78)
    assert "finds no private key there" in done.stderr, done.stderr


def test_passphrase_of_the_key(case):
    tpm = Tpm(case)
    key = tpm.persistent("ecc256", OTHER_HANDLE, "-p", "lab-auth", "-a",
                         "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign")
    with open(case.path("auth"), "w") as file:
        file.write("lab-auth\n")
    os.chmod(case.path("auth"), 0o600)
    keys = tpm.certificate(key + "?pass", "mid-auth", "-passin", "pass:lab-auth")
    nginx = real.nginx(case)
    done = config(case, tpm, {"relay r": relay(case, nginx, keys)}, 78)
    assert "set client_passphrase" in done.stderr, done.stderr
    wrong = case.path("wrong")
    with open(wrong, "w") as file:
        file.write("wrong\n")
    os.chmod(wrong, 0o600)
    done = config(case, tpm, {"relay r": relay(case, nginx, keys, client_passphrase="file:" + wrong)}, 78)
    assert "does not sign" in done.stderr and "auth" in done.stderr, done.stderr
    counted = tpm.run("tpm2_getcap", "properties-variable").stdout
    assert re.search(r"TPM2_PT_LOCKOUT_COUNTER: 0x1$", counted, re.M), counted
    m = start(case, tpm, {"relay r": relay(case, nginx, keys, client_passphrase="file:" + case.path("auth"))},
              secrets=["lab-auth"])
    assert b"CN=mid-auth" in m.get("/").body


def test_missing_providers(case):
    """The sentence names the provider and its package; other relays' faults are told beside it."""
    tpm = Tpm(case)
    key = tpm.wrapped("EC")
    keys = tpm.certificate(key, "mid-tpm")
    nginx = real.nginx(case)
    none = {"OPENSSL_MODULES": case.path("no-modules")}
    for uri, package in ((key, "tpm2-openssl"), (HANDLE, "tpm2-openssl"), ("pkcs11:token=x", "pkcs11-provider")):
        keys["client_key"] = uri
        done = config(case, tpm, {"relay r": relay(case, nginx, keys)}, 78, none)
        assert "is not installed: install %s" % package in done.stderr, done.stderr
    keys["client_key"] = "pkcs11:token=x?pin-value=1234"
    done = config(case, tpm, {"relay r": relay(case, nginx, keys)}, 78)
    assert "set client_passphrase" in done.stderr and "1234" not in done.stderr, done.stderr


def test_bundle(case):
    """Shown and arranged like others; never written out."""
    tpm = Tpm(case)
    env = dict(os.environ, **tpm.env)
    chain = case.pki["client-chain.pem"]
    for key in (tpm.persistent("rsa2048", HANDLE), tpm.wrapped("EC")):
        cert = tpm.certificate(key, "mid-tpm")["client_cert"]
        done = run([harness.BINARY, "bundle", "show", chain, key, cert], env)
        assert "belongs to certificate 1" in done.stdout and key in done.stdout, done.stdout
        pins = re.findall(r"^  pin +(sha256//\S+)$", done.stdout, re.M)
        assert len(pins) == 4 and pins[0] == pins[-1], done.stdout
        out, leaf, above = case.path("out"), case.path("leaf"), case.path("above")
        done = run([harness.BINARY, "bundle", "make", "-o", out, "--leaf", leaf, chain, key, cert], env, 1)
        assert "cannot leave its TPM" in done.stderr and "--leaf" in done.stderr, done.stderr
        assert not os.path.exists(out) and not os.path.exists(leaf)
        run([harness.BINARY, "bundle", "make", "--leaf", leaf, "--chain", above, chain, key, cert], env)
        with open(leaf) as one, open(above) as two:
            assert one.read().count("BEGIN CERT") == 1 and two.read().count("BEGIN CERT") == 2
        os.unlink(leaf), os.unlink(above)


def test_sealed(case):
    """The key signs only: what was sealed to its certificate is refused with that reason."""
    tpm = Tpm(case)
    keys = tpm.certificate(tpm.persistent("rsa2048", HANDLE), "mid-tpm")
    nginx = real.nginx(case)
    sealed = subprocess.run([harness.BINARY, "seal", "--cert", keys["client_cert"]], input="pw", text=True,
                            capture_output=True, check=True).stdout.strip()
    done = config(case, tpm, {"relay r": relay(case, nginx, keys, ["http://127.0.0.1:1"], proxy_user="u",
                                               proxy_password=sealed)}, 78)
    assert "only signs: it opens no sealed secret" in done.stderr, done.stderr


def test_documentation(case):
    """The commands of doc/certificates.md, as they stand there."""
    tpm = Tpm(case)
    with open(os.path.join(harness.TOP, "doc", "certificates.md")) as file:
        chapter = file.read().split("## A key in a TPM")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", chapter, re.S)
    assert len(blocks) == 3, blocks
    work = case.path("doc")
    os.mkdir(work)
    tpm.env["PATH"] = os.path.dirname(harness.BINARY) + ":" + os.environ["PATH"]

    def paste(block):
        for line in block.strip().split("\n"):
            tpm.run("sh", "-e", "-c", line, cwd=work)

    nginx = real.nginx(case)
    with open(case.pki["client-chain.pem"]) as chain, open(os.path.join(work, "ca.pem"), "w") as copy:
        copy.write(chain.read())
    for number, key in ((0, HANDLE), (1, os.path.join(work, "mid.key"))):
        paste(blocks[number])
        tpm.sign(os.path.join(work, "mid.csr"), os.path.join(work, "mid.pem"), key)
        paste(blocks[2] if number == 1 else blocks[2].replace("mid.key", key))
        keys = {"client_cert": work + "/leaf.pem", "client_chain": work + "/chain.pem", "client_key": key,
                "client_bundle": None}
        m = start(case, tpm, {"relay r": relay(case, nginx, keys)})
        assert b"subject O=Example Ltd,CN=mid-01\n" in m.get("/").body


if __name__ == "__main__":
    harness.main()
