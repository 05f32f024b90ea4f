#!/usr/bin/python3
"""
Proves that each command of README.md and doc/ is run by a test: here, as it stands there, or where the table says; and that
links, options, codes, names and paths that the documents have exist.
"""

import json
import os
import re
import shutil
import signal
import subprocess

import harness
from harness import BINARY, LIMIT, TOP, WRAPPER, wait_until
import bypass
import documents

SYSTEMD, PACKAGES, GUIDE = "contrib/test-systemd", "contrib/test-packages", "tests/integration/test_guide.py"
MONITORING, TPM = "tests/integration/test_monitoring.py", "tests/integration/test_real_tpm.py"
MID_SERVER, BENCH = "tests/integration/test_mid_server_guide.py", "tests/integration/test_bench.py"

# Page, heading, number: in which file they are run, and what that file must contain besides the page's name (default: the
# heading, quoted).  None: they are run nowhere, and the section says "not tried".
ELSEWHERE = {
    ("README.md", "Two commands", 0): ("contrib/test", "one demo 'contrib/demo' contrib/demo"),
    ("doc/certificates.md", "A key in a TPM", 0): (TPM, "A key in a TPM"),
    ("doc/certificates.md", "A key in a TPM", 1): (TPM, "A key in a TPM"),
    ("doc/certificates.md", "A key in a TPM", 2): (TPM, "A key in a TPM"),
    ("doc/handshake.md", "The bytes themselves: `--keylog`", 1): ("tests/integration/test_keylog.py", "tls.keylog_file:"),
    ("doc/installation.md", "Debian, Ubuntu", 0): (PACKAGES, None),
    ("doc/installation.md", "Configure and start", 0): (SYSTEMD, None),
    ("doc/installation.md", "Configure and start", 1): (SYSTEMD, None),
    ("doc/installation.md", "Remove it", 0): (SYSTEMD, None),
    ("doc/installation.md", "Fedora, RHEL", 0): None,
    ("doc/installation.md", "From source", 0): (PACKAGES, None),
    ("doc/installation.md", "Container", 0): ("contrib/test-container", None),
    ("doc/installation.md", "Container", 1): None,
    ("doc/installation.md", "Container", 2): None,
    ("doc/installation.md", "Kubernetes", 0): ("tests/integration/test_manifests.py", "kubectl kustomize"),
    ("doc/installation.md", "Kubernetes", 1): None,
    ("doc/mid-server.md", "1. Write midrelay.ini", 0): (MID_SERVER, "midrelay import "),
    ("doc/mid-server.md", "2. See that the way is open, before the MID Server takes it", 0): (SYSTEMD, None),
    ("doc/mid-server.md", "3. Change config.xml", 0): (MID_SERVER, "--apply"),
    ("doc/mid-server.md", "How to go back", 0): (MID_SERVER, "--revert"),
    ("doc/operating.md", "What to look at", 0): (SYSTEMD, None),
    ("doc/operating.md", "What to look at", 1): (SYSTEMD, None),
    ("doc/operating.md", "What to look at", 2): (SYSTEMD, None),
    ("doc/operating.md", "Prometheus, Grafana, alerts", 0): (MONITORING, 'line.startswith("promtool")'),
    ("doc/operating.md", "Renewing a certificate while it runs", 0): (SYSTEMD, None),
    ("doc/operating.md", "Renewing a certificate while it runs", 1): (SYSTEMD, None),
    ("doc/operating.md", "Renewing a certificate while it runs", 2): (SYSTEMD, None),
    ("doc/operating.md", "Reading a session line", 0): (SYSTEMD, None),
    ("doc/operating.md", "Capacity", 0): (SYSTEMD, None),
    ("doc/operating.md", "Changing the configuration, upgrading", 0): (SYSTEMD, None),
    ("doc/operating.md", "Changing the configuration, upgrading", 1): (SYSTEMD, None),
    ("doc/operating.md", "Logs to elsewhere", 0): (SYSTEMD, None),
    ("doc/systemd.md", "midrelay under systemd", 0): (SYSTEMD, None),
    ("doc/systemd.md", "A restart that refuses nobody", 0): (SYSTEMD, None),
    ("doc/systemd.md", "Several on one host", 0): (SYSTEMD, None),
    ("doc/upgrading.md", "Before and after", 0): (SYSTEMD, None),
}


RUN_HERE = {
    ("README.md", "A complete configuration", 0), ("README.md", "Pointing a MID Server at it", 0),
    ("doc/certificates.md", "You have nothing yet", 0), ("doc/certificates.md", "Renewal", 0),
    ("doc/handshake.md", "The bytes themselves: `--keylog`", 0),
    ("doc/check-json.md", "What `midrelay check --json` prints", 0),
    ("doc/network-teams.md", "Testing proxy bypass rules", 0), ("doc/network-teams.md", "Trying it without a network", 0),
    ("doc/network-teams.md", "While you change things", 0),
    ("doc/performance.md", "What it costs, and how to measure that", 0),
    ("doc/performance.md", "With many connections open", 0),
}


# In backticks, and of other programs.
FOREIGN = {"systemd-journal"}


class Room:
    """A directory for one page, with what its reader has at hand; /etc/midrelay and the like are in it, too."""

    def __init__(self, case):
        self.case, self.dir = case, case.path("room")
        for name in ("bin", "etc/midrelay", "opt/servicenow/mid/agent", "root", "tmp"):
            os.makedirs(os.path.join(self.dir, name))
        with open(self.path("bin/midrelay"), "w") as script:
            script.write("#!/bin/sh\nexec %s \"$@\"\n" % " ".join(WRAPPER + [BINARY]))
        os.chmod(self.path("bin/midrelay"), 0o755)
        os.symlink(TOP, self.path("midrelay"))
        env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        self.env = dict(env, PATH=self.path("bin") + ":" + env["PATH"], HOME=self.dir, LC_ALL="C.UTF-8", COLUMNS="80",
                        PYTHONDONTWRITEBYTECODE="1")
        self.names = {}

    def path(self, name):
        return os.path.join(self.dir, name)

    def here(self, text):
        """The same with the directories of this host, and the names of the network, those of the room."""
        text = re.sub(r"(?<![\w.~])/(etc/midrelay|opt/servicenow|root|tmp)(?=/)", self.dir + r"/\1", text)
        for name, value in self.names.items():
            text = text.replace(name, value)
        # The default of the configuration's place is not the room's.
        return re.sub(r"\bmidrelay (config|check|run)(?! +-c)(?! --target)\b", r"midrelay \1 -c %s" % self.path(
            "etc/midrelay/midrelay.ini"), text)

    def popen(self, text):
        return subprocess.Popen(["bash", "-ec", "set -o pipefail\n" + self.here(text)], cwd=self.dir, env=self.env,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                start_new_session=True)

    def paste(self, text, status=0, tells="", typed=""):
        """`tells`: a pattern of the output."""
        with self.popen(text) as process:
            out = process.communicate(typed, timeout=2 * LIMIT)[0]
        assert process.returncode == status, (text, process.returncode, out)
        assert re.search(tells, out), "%s tells nothing of %r:\n%s" % (text, tells, out)
        return out

    def until(self, text, tells, number, status):
        """One that goes on until it is told to stop."""
        seen = []
        with self.popen(text) as process:
            reader = harness.in_thread(lambda: [seen.append(line) for line in process.stdout])
            wait_until(lambda: process.poll() is not None or re.search(tells, "".join(seen)),
                       lambda: "%s to tell of %r: %s" % (text, tells, "".join(seen)))
            os.killpg(process.pid, number)
            wait_until(lambda: process.poll() is not None, "its end")
            reader()
        assert process.returncode == status, (text, process.returncode, seen)


def corporate(room, names=("http://proxy.corp.example:3128",)):
    """The documents' instance and proxies, as the lab has them; the certificate has SCTs, as a public one."""
    case = room.case
    instance = case.instance(cert="server-sct")
    proxy = case.proxy(instance, auth=[harness.USER, harness.PASSWORD])
    room.env.update(SSL_CERT_FILE=case.pki["root.pem"], SSL_CERT_DIR=room.path("none"))
    room.names = {"acme.service-now.com": "instance.lab.test", "127.0.0.1:8080": "127.0.0.1:0"}
    room.names.update((name, harness.url(proxy)) for name in names)
    return instance


def configure(room):
    """README.md's configuration in the place of midrelay.ini, and the files that it names."""
    ini = re.findall(r"^```ini\n(.*?)^```$", documents.read("README.md"), re.S | re.M)[0]
    for name, text in (("midrelay.ini", room.here(ini)), ("etc/midrelay/midrelay.ini", room.here(ini)),
                       ("etc/midrelay/proxy-password", harness.PASSWORD + "\n")):
        with open(os.open(room.path(name), os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
            out.write(text)
    shutil.copy(room.case.pki["client-bundle.pem"], room.path("etc/midrelay/midserver-bundle.pem"))


def readme(room):
    corporate(room)
    configure(room)
    block, = documents.under("README.md", "A complete configuration")
    config, check, run = block.commands()
    room.paste(config, tells=r"proxy_user = svc-mid")
    room.paste(check, tells=r"1 of 1 path passed")
    room.until("exec " + run, r" info ready ", signal.SIGTERM, 0)
    yield block
    os.unlink(room.path("etc/midrelay/midrelay.ini"))
    shutil.copy(os.path.join(TOP, "tests/import/basic-behind-proxy/config.xml"), room.path("opt/servicenow/mid/agent"))
    block, = documents.under("README.md", "Pointing a MID Server at it")
    write, check, change = block.commands()
    room.paste(write, tells=r"Wrote .*midrelay.ini")
    with open(room.path("etc/midrelay/midrelay.ini")) as file:
        ini = file.read()
    ini = re.sub(r"(?m)^(listen|target|allow_user|proxy) .*", lambda match: room.here(
        match[0].replace("127.0.0.1:8080", "127.0.0.1:0")), ini)
    with open(room.path("etc/midrelay/acme-proxy-password"), "w") as out:
        out.write(harness.PASSWORD)
    with open(room.path("etc/midrelay/midrelay.ini"), "w") as out:
        out.write(ini)
    room.paste(check, tells=r"1 of 1 path passed")
    room.paste(change, tells=r"Changed .*config\.xml; the former one is .*midrelay-backup")
    yield block


def certificates(room):
    block, = documents.under("doc/certificates.md", "You have nothing yet")
    room.paste(block.text)
    room.paste("openssl req -in mid-01.csr -noout -text -verify", tells=r"(?s)CN ?= ?mid-01.*TLS Web Client Authentication")
    yield block
    for name, mode in (("midserver-bundle.pem", 0o640), ("new.pem", 0o600)):
        with open(os.open(room.path(name), os.O_WRONLY | os.O_CREAT, mode), "w") as out:
            out.write(name)
        os.chmod(room.path(name), mode)
    block, = documents.under("doc/certificates.md", "Renewal")
    room.paste(block.text)
    room.paste("cat midserver-bundle.pem; stat -c ' %a' midserver-bundle.pem", tells="^new.pem 640$")
    yield block


def handshake(room):
    corporate(room)
    configure(room)
    block = documents.under("doc/handshake.md", "The bytes themselves: `--keylog`")[0]
    room.until(block.text.replace(" midrelay run", " exec midrelay run"), r" info ready ", signal.SIGTERM, 0)
    assert os.stat(room.path("root/keys")).st_mode & 0o777 == 0o600
    yield block


def check_json(room):
    """Of two paths the one that fails is told."""
    instance = corporate(room)
    configure(room)
    refuses = harness.url(room.case.proxy(instance, reply="403"))
    with open(room.path("etc/midrelay/midrelay.ini"), "a") as out:
        out.write("proxy = %s\n" % refuses)
    block, = documents.under("doc/check-json.md", "What `midrelay check --json` prints")
    out = room.paste(block.text.replace("check --json |", "check --json | tee all.json |"), status=1)
    assert out == "acme\t%s\tproxy-denied\n" % refuses, out
    with open(room.path("all.json")) as file:
        found = json.load(file)
    keys = set(re.findall(r"^\| `(\w+)`", documents.read("doc/check-json.md"), re.M))
    keys |= set(re.findall(r"`(\w+)`", re.search(r"(?m)^\| `began_ms.*", documents.read("doc/check-json.md"))[0]))
    assert set(found) | set(found["paths"][0]) <= keys, (set(found) | set(found["paths"][0])) - keys
    yield block


def network_teams(room):
    corporate(room, ("http://proxy.corp.example:3128",))
    block, = documents.under("doc/network-teams.md", "Testing proxy bypass rules")
    room.names["--direct"] = "--direct --timeout 3s"
    room.paste(block.text, status=1, tells=r"proxy-auth-required")
    yield block
    room.names = {}
    block, = [one for one in documents.under("doc/network-teams.md", "Trying it without a network") if one.kind == "sh"]
    room.paste(block.text, tells=r"(?m)^TARGET +localhost:\d+$", typed="pwd; midrelay --version\nexit 0\n")
    yield block
    room.env.update(bypass.start(room.case.lab))
    block, = documents.under("doc/network-teams.md", "While you change things")
    room.until("exec " + block.text, r"1 of 2 paths passed", signal.SIGINT, 1)
    yield block


def performance(room):
    """The programs of tests/bench are tried with little work in test_bench.py; here is how they are called."""
    page = "doc/performance.md"
    block, = documents.under(page, "What it costs, and how to measure that")
    deps, build, *runs = [line.split("#")[0].strip() for line in block.commands()]
    assert deps.split()[1:] == ["bench"] and build == "contrib/build build", (deps, build)
    os.symlink(os.path.join(TOP, "contrib"), room.path("contrib"))
    os.symlink(os.path.join(TOP, "tests"), room.path("tests"))
    room.paste(deps.replace("bench", "--list bench"))
    usage = room.paste("tests/bench/run --help")
    for line in runs:
        for word in line.split()[1:]:
            assert word.endswith(".json") or word in usage, (line, word)
    yield block
    block, = documents.under(page, "With many connections open")
    room.paste(block.text, tells="load")
    yield block


def key(block):
    return block.page, block.heading, block.number


HERE = {"README.md": readme, "doc/certificates.md": certificates, "doc/check-json.md": check_json,
        "doc/handshake.md": handshake,
        "doc/network-teams.md": network_teams, "doc/performance.md": performance}


def run_page(case, page):
    for tool in ("bash", "jq", "openssl", "cc"):
        if shutil.which(tool) is None:
            raise harness.Skip("there is no %s" % tool)
    ran = {key(block) for block in HERE[page](Room(case))}
    assert ran == {one for one in RUN_HERE if one[0] == page}, ran


def test_readme(case):
    run_page(case, "README.md")


def test_certificates(case):
    run_page(case, "doc/certificates.md")


def test_check_json(case):
    run_page(case, "doc/check-json.md")


def test_handshake(case):
    run_page(case, "doc/handshake.md")


def test_network_teams(case):
    run_page(case, "doc/network-teams.md")


def test_performance(case):
    run_page(case, "doc/performance.md")


# Every command, and every name

def section(page, heading):
    return re.search(r"^#+ %s$(.*?)(?=^## |\Z)" % re.escape(heading), documents.read(page), re.M | re.S)[1]


def test_every_command_is_accounted_for(case):
    """A new block that no test runs fails here, and so does a line of the table that no document has any more."""
    found = {key(block): block for page in documents.pages() for block in documents.blocks(page)}
    guide = {one for one, block in found.items() if one[0] == "doc/network-teams.md" and block.kind == "console"}
    assert len(guide) >= 6 and "console" in read(GUIDE) and "network-teams.md" in read(GUIDE)
    assert not RUN_HERE & set(ELSEWHERE) and not guide & (RUN_HERE | set(ELSEWHERE))
    missing = set(found) - guide - RUN_HERE - set(ELSEWHERE)
    assert not missing, "run by no test: %r" % missing
    assert not (RUN_HERE | set(ELSEWHERE)) - set(found), (RUN_HERE | set(ELSEWHERE)) - set(found)
    for (page, heading, number), where in ELSEWHERE.items():
        if where is None:
            assert "not tried" in section(page, heading), "%s, %s: the reader is not told that it was not tried" % (page, heading)
            continue
        text = read(where[0])
        if where[1] is None:
            assert '"%s"' % heading in text and page in text, "%s does not take %s, \"%s\"" % (where[0], page, heading)
        else:
            assert where[1] in text, "%s has no %r" % where


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8", errors="replace") as file:
        return file.read()


def all_documents():
    found = documents.pages() + ["CONTRIBUTING.md", "NEWS.md", "src/README.md"]
    for parent, _, names in os.walk(os.path.join(TOP, "tests")):
        found += [os.path.relpath(os.path.join(parent, name), TOP) for name in names if name == "README.md"]
    return found


def anchors(page):
    """As GitHub makes them of headings."""
    text = re.sub(r"^( *)```.*?^\1```$", "", documents.read(page), flags=re.S | re.M)
    found = {}
    for title in re.findall(r"^#+ (.+)$", text, re.M):
        name = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        found[name if name not in found else "%s-%d" % (name, len(found))] = title
    return found


def test_links(case):
    for page in all_documents():
        text = re.sub(r"`[^`\n]*`", "", re.sub(r"^( *)```.*?^\1```$", "", documents.read(page), flags=re.S | re.M))
        for name, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", text):
            target = os.path.normpath(os.path.join(os.path.dirname(page), name)) if name else page
            assert os.path.exists(os.path.join(TOP, target)), "%s links to %s, which is not there" % (page, name)
            assert not anchor or anchor in anchors(target), "%s links to %s#%s" % (page, name, anchor)


def words():
    """What stands in backticks outside of blocks: (page, text)."""
    for page in documents.pages():
        text = re.sub(r"^( *)```.*?^\1```$", "", documents.read(page), flags=re.S | re.M)
        for word in re.findall(r"`([^`]+)`", text):
            yield page, " ".join(word.split())


def test_commands_and_options_in_sentences(case):
    """`midrelay …` in a sentence: there is such a command, and its help has the options."""
    told = {"": case.run("--help").stdout}
    names = re.findall(r"^  ([a-z]+) ", told[""], re.M)
    assert {"run", "check", "status"} <= set(names), names
    for name in names:
        told[name] = case.run(name, "--help").stdout
        assert told[name], name
    checked = 0
    for page, text in words():
        match = re.match(r"(?:[A-Z]+=\S+ )?midrelay (-?-?[a-z]+)\b(.*)", text)
        if not match:
            continue
        name, rest = match.groups()
        if name.startswith("-"):
            assert name in told[""], (page, text)
            continue
        assert name in told, "%s: there is no `midrelay %s`" % (page, name)
        for option in re.findall(r"(?<=\s)--?[a-z][a-z-]*", rest.split("|")[0]):
            assert option in told[name], "%s: `%s`: %s is not in its help" % (page, text, option)
            checked += 1
    assert checked > 20, checked


def test_settings_in_sentences(case):
    """`key = value` in a sentence is a key of midrelay.ini."""
    keys = set(re.findall(r"^;?([a-z_]+) *=", read("etc/midrelay.ini"), re.M)) | set("url user password header".split())
    rules = {"target", "path", "expect"}
    found = 0
    for page, text in words():
        match = re.fullmatch(r"([a-z_]+) = (?!=).*", text)
        if match and "midrelay-" not in text:
            assert match[1] in keys | rules, "%s: `%s`: there is no such option" % (page, text)
            found += 1
    assert found > 30, found


def test_codes_and_events(case):
    """What looks like a code, an event or a name of the program stands in its source."""
    source = ""
    for top in ("src", "etc", "contrib", "tests"):
        for parent, _, names in os.walk(os.path.join(TOP, top)):
            for name in names:
                if name.endswith((".c", ".h", ".ini", ".py", ".in", ".socket", ".yml", ".yaml", ".json", ".cases")) and \
                        name != os.path.basename(__file__):
                    source += read(os.path.join(parent, name))
    there = set(re.findall(r"[A-Za-z0-9_-]+", source))
    for page, text in words():
        if re.fullmatch(r"[a-z]+([_-][a-z0-9]+)+", text) and text not in FOREIGN:
            assert text in there, "%s: `%s` is nothing that midrelay knows" % (page, text)


def test_paths(case):
    """A file of this tree that is named is there."""
    for page in documents.pages():
        for name in re.findall(r"(?<![\w/.~-])((?:contrib|tests|doc|etc|src)/[\w@./-]*\w)", documents.read(page)):
            beside = os.path.join(TOP, os.path.dirname(page), name)
            assert os.path.exists(os.path.join(TOP, name)) or os.path.exists(beside), "%s: there is no %s" % (page, name)


if __name__ == "__main__":
    harness.main()
