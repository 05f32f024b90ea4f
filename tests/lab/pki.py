#!/usr/bin/python3
"""A throw-away PKI for tests and the demo, made with the openssl command.

    pki.py DIR      makes it in DIR and prints the files as one JSON object

File names are stable: see NAMES below each maker.  Nothing here is a secret worth keeping.
"""

import concurrent.futures
import fcntl
import json
import os
import subprocess
import sys
import time
import zlib

SERVER_NAME = "instance.lab.test"
KEY_PASSPHRASE = "lab passphrase"

EXTENSIONS = """\
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash

[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:instance.lab.test, DNS:localhost, IP:127.0.0.1, IP:::1

[othername]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:somebody-else.lab.test

[sct]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:instance.lab.test, DNS:localhost, IP:127.0.0.1, IP:::1
1.3.6.1.4.1.11129.2.4.2 = DER:@SCT@

[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid

[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused

[signer]
new_certs_dir = .
database = index.txt
rand_serial = yes
default_md = sha256
policy = anything
unique_subject = no
email_in_dn = no
preserve = yes
[anything]
organizationName = optional
organizationalUnitName = optional
commonName = supplied
"""

# One Certificate Transparency timestamp (RFC 6962 section 3.3): form without truth, for nobody here validates it.
_SCT = bytes([0]) + b"L" * 32 + bytes(8) + bytes(2) + bytes([4, 3, 0, 64]) + b"S" * 64
SCT_LIST = (len(_SCT) + 2).to_bytes(2, "big") + len(_SCT).to_bytes(2, "big") + _SCT
EXTENSIONS = EXTENSIONS.replace("@SCT@", (bytes([4, len(SCT_LIST)]) + SCT_LIST).hex())

# name: (subject, issuer or None for a root, extensions, validity in days from now, key)
LONG = (-2, 3650)
CERTIFICATES = {
    "root": ("/O=Lab/CN=Lab Root CA", None, "ca", LONG, "ec"),
    "untrusted-root": ("/O=Elsewhere/CN=Unknown Root CA", None, "ca", LONG, "ec"),
    "inspect-root": ("/O=Corporate IT/CN=Corporate Inspection CA", None, "ca", LONG, "ec"),
    "product-root": ("/O=Zscaler Inc./CN=Zscaler Root CA", None, "ca", LONG, "ec"),
    "client-root": ("/O=Lab/CN=Lab Client Root CA", None, "ca", LONG, "ec"),
    "unknown-client-root": ("/O=Elsewhere/CN=Unknown Client CA", None, "ca", LONG, "ec"),

    "intermediate": ("/O=Lab/CN=Lab Intermediate CA", "root", "ca", LONG, "ec"),
    "client-intermediate": ("/O=Lab/CN=Lab Client Intermediate CA", "client-root", "ca", LONG, "ec"),

    "server": ("/O=Lab/CN=instance.lab.test", "intermediate", "server", LONG, "ec"),
    "server-rsa": ("/O=Lab/CN=instance.lab.test", "intermediate", "server", LONG, "rsa"),
    "wrong-name": ("/O=Lab/CN=instance.lab.test", "intermediate", "othername", LONG, "ec"),
    "expired": ("/O=Lab/CN=instance.lab.test", "intermediate", "server", (-60, -1), "ec"),
    "not-yet-valid": ("/O=Lab/CN=instance.lab.test", "intermediate", "server", (2, 365), "ec"),
    "untrusted": ("/O=Elsewhere/CN=instance.lab.test", "untrusted-root", "server", LONG, "ec"),
    "server-sct": ("/O=Lab/CN=instance.lab.test", "intermediate", "sct", LONG, "ec"),
    "product": ("/O=Zscaler Inc./CN=instance.lab.test", "product-root", "server", LONG, "ec"),
    "product-sct": ("/O=Zscaler Inc./CN=instance.lab.test", "product-root", "sct", LONG, "ec"),
    "inspect-expired": ("/O=Zscaler Inc./CN=instance.lab.test", "product-root", "server", (-60, -1), "ec"),
    "inspect": ("/O=Corporate IT/CN=instance.lab.test", "inspect-root", "server", LONG, "ec"),

    "client": ("/O=Lab/CN=mid-one", "client-intermediate", "client", LONG, "ec"),
    "client-renewed": ("/O=Lab/CN=mid-one-renewed", "client-intermediate", "client", LONG, "ec"),
    "client-rsa": ("/O=Lab/CN=mid-rsa", "client-intermediate", "client", LONG, "rsa"),
    "client-expired": ("/O=Lab/CN=mid-expired", "client-intermediate", "client", (-60, -1), "ec"),
    "client-not-yet-valid": ("/O=Lab/CN=mid-early", "client-intermediate", "client", (2, 365), "ec"),
    "client-unknown": ("/O=Elsewhere/CN=mid-unknown", "unknown-client-root", "client", LONG, "ec"),
}


def _openssl(directory, *args):
    done = subprocess.run(("openssl",) + args, cwd=directory, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise RuntimeError("openssl %s: %s" % (" ".join(args), done.stderr.decode(errors="replace")))
    return done.stdout


def _time(days):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400))


def _key(directory, name, kind):
    how = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    if kind == "rsa":
        how = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    _openssl(directory, "genpkey", *how, "-out", name + ".key")
    os.chmod(os.path.join(directory, name + ".key"), 0o600)


def _certificate(directory, name, spec=None, issuers=""):
    """`issuers`: where the issuer's files are, when not in `directory`."""
    subject, issuer, extensions, (start, end), kind = spec or CERTIFICATES[name]
    _key(directory, name, kind)
    _openssl(directory, "req", "-new", "-config", "pki.cnf", "-key", name + ".key", "-subj", subject,
             "-out", name + ".csr")
    signer = ("-selfsign", "-keyfile", name + ".key")
    if issuer is not None:
        issuer = os.path.join(issuers, issuer)
        signer = ("-cert", issuer + ".pem", "-keyfile", issuer + ".key")
    # openssl ca keeps a database; one for each certificate lets them be made side by side.
    own = os.path.join(directory, name + ".ca")
    os.mkdir(own)
    config = EXTENSIONS.replace("new_certs_dir = .", "new_certs_dir = " + own)
    config = config.replace("database = index.txt", "database = " + os.path.join(own, "index.txt"))
    _write(os.path.join(own, "ca.cnf"), config)
    _write(os.path.join(own, "index.txt"), "")
    _openssl(directory, "ca", "-batch", "-notext", "-config", os.path.join(own, "ca.cnf"), "-name", "signer",
             "-in", name + ".csr", "-out", name + ".pem", "-extensions", extensions,
             "-startdate", _time(start), "-enddate", _time(end), *signer)
    for leftover in os.listdir(own):
        os.unlink(os.path.join(own, leftover))
    os.rmdir(own)
    os.unlink(os.path.join(directory, name + ".csr"))


def _write(path, text, mode=0o644):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "w") as out:
        out.write(text)
    os.chmod(path, mode)


def _read(directory, name):
    with open(os.path.join(directory, name)) as file:
        return file.read()


def _join(directory, name, *parts, mode=0o644):
    _write(os.path.join(directory, name), "".join(_read(directory, part) for part in parts), mode)


def _bundles(directory):
    for leaf in CERTIFICATES:
        issuer = CERTIFICATES[leaf][1]
        if issuer is None or CERTIFICATES[leaf][2] == "ca":
            continue
        chain = [leaf + ".pem"]
        while issuer is not None:
            chain.append(issuer + ".pem")
            issuer = CERTIFICATES[issuer][1]
        if leaf.startswith("client"):
            # The order of the vendor's how-to: leaf, intermediate, root, PKCS#8 key.
            _join(directory, leaf + "-bundle.pem", *chain, leaf + ".key", mode=0o600)
            _join(directory, leaf + "-chain.pem", *chain[1:])
        else:
            # A server sends no root.
            _join(directory, leaf + "-chain.pem", *[part for part in chain if not part.endswith("root.pem")])
    _join(directory, "client-cas.pem", "client-root.pem", "client-intermediate.pem")


def _variants(directory):
    def convert(*args, out):
        _openssl(directory, *args, "-out", out)
        os.chmod(os.path.join(directory, out), 0o600)

    convert("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-iter", "2048", "-passout", "pass:" + KEY_PASSPHRASE,
            "-in", "client.key", out="client-encrypted.key")
    convert("rsa", "-traditional", "-in", "client-rsa.key", out="client-rsa-pkcs1.key")
    convert("ec", "-in", "client.key", out="client-sec1.key")
    _join(directory, "client-encrypted-bundle.pem", "client.pem", "client-intermediate.pem", "client-root.pem",
          "client-encrypted.key", mode=0o600)
    # The key right behind the leaf, CRLF line ends: as files made on Windows are.
    text = "".join(_read(directory, part) for part in
                   ("client.pem", "client.key", "client-intermediate.pem", "client-root.pem"))
    path = os.path.join(directory, "client-crlf-bundle.pem")
    _write(path, "", 0o600)
    with open(path, "w", newline="") as out:
        out.write(text.replace("\n", "\r\n"))


def issue(pki, directory, name, days, server=False):
    """
    A leaf NAME in `directory` that ends in so many days (a fraction will do), issued by the PKI `pki`; adds its files to
    `pki` as those of the others are there: NAME.pem, NAME.key, NAME-chain.pem and, for a client, NAME-bundle.pem.
    """
    issuer = "intermediate" if server else "client-intermediate"
    subject = "/O=Lab/CN=" + (SERVER_NAME if server else name)
    _write(os.path.join(directory, "pki.cnf"), EXTENSIONS)
    _certificate(directory, name, (subject, issuer, "server" if server else "client", (-60, days), "ec"), pki["dir"])
    own = {end: os.path.join(directory, name + end) for end in (".pem", ".key", "-chain.pem", "-bundle.pem")}
    if server:
        _join(directory, name + "-chain.pem", own[".pem"], pki["intermediate.pem"])
        del own["-bundle.pem"]
    else:
        above = [pki["client-intermediate.pem"], pki["client-root.pem"]]
        _join(directory, name + "-chain.pem", *above)
        _join(directory, name + "-bundle.pem", own[".pem"], *above, own[".key"], mode=0o600)
    pki.update((name + end, path) for end, path in own.items())


def make(directory):
    """Makes the PKI in `directory` (created when missing) and returns files(directory)."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    _write(os.path.join(directory, "pki.cnf"), EXTENSIONS)
    done = set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        while len(done) < len(CERTIFICATES):
            ready = [name for name, spec in CERTIFICATES.items()
                     if name not in done and (spec[1] is None or spec[1] in done)]
            list(pool.map(lambda name: _certificate(directory, name), ready))
            done.update(ready)
    _bundles(directory)
    _variants(directory)
    return files(directory)


def cached(directory):
    """
    The PKI in `directory`, made by whoever comes first and shared by all; older than a day, or of another form than
    this file says, it is made anew.
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with open(__file__, "rb") as source:
        form = zlib.crc32(source.read())
    place = os.path.join(directory, "pki-%d-%08x" % (time.time() // 86400, form))
    with open(os.path.join(directory, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(place, "complete")):
            subprocess.run(("rm", "-rf", "--", place), check=True)
            make(place)
            _write(os.path.join(place, "complete"), "")
    return files(place)


def files(directory):
    """Absolute paths by file name ("client-bundle.pem", …), and the directory itself as "dir"."""
    directory = os.path.abspath(directory)
    found = {name: os.path.join(directory, name) for name in sorted(os.listdir(directory))
             if name.endswith((".pem", ".key"))}
    found["dir"] = directory
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    json.dump(make(sys.argv[1]), sys.stdout, indent=1)
    print()
