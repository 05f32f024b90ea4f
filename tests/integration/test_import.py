#!/usr/bin/python3
"""
Proves what `midrelay import` makes of the files in tests/import: the configuration, the changes to config.xml and the words
(UPDATE_GOLDEN=1 writes them anew); that the changes apply, and go back without a trace; that no secret is shown.
"""

import os
import pwd
import re
import shutil
import stat
import subprocess
import xml.etree.ElementTree

import harness

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "import")
WAYS = ("url", "proxy", "tls")
SECRET = "hunter2"   # every password of the cases begins so
GOLDEN = ("midrelay.ini", "stdout", "stderr")


def names():
    found = sorted(name for name in os.listdir(CASES) if os.path.isdir(os.path.join(CASES, name)))
    assert len(found) > 40, found
    return found


def good(name):
    return not name.startswith("fault-") and name != "installer"


def arguments(name):
    path = os.path.join(CASES, name, "args")
    return open(path).read().split("\n")[:-1] if os.path.exists(path) else []


def without_way(args):
    return args[:args.index("--way")] + args[args.index("--way") + 2:] if "--way" in args else args


def room(case, name, suffix=""):
    """A directory with the case's config.xml, as its owner keeps it."""
    directory = case.path(name + suffix)
    os.mkdir(directory)
    shutil.copy(os.path.join(CASES, name, "config.xml"), directory)
    os.chmod(os.path.join(directory, "config.xml"), 0o640)
    return directory


def run(directory, *args, around=()):
    """stdout and stderr as bytes: a diff is in the encoding of the file."""
    done = subprocess.run([*around, *harness.WRAPPER, harness.BINARY, "import", *args], stdin=subprocess.DEVNULL,
                          capture_output=True, cwd=directory, timeout=harness.LIMIT)
    assert SECRET.encode() not in done.stdout + done.stderr, (args, done)
    return done


def content(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def parameters(data):
    return [(p.get("name"), p.get("value")) for p in xml.etree.ElementTree.fromstring(data).findall("parameter")]


def neutral(data, directory):
    """Without what differs from host to host; `allow_user` is a comment in versions that do not know it."""
    data = data.replace(os.path.realpath(directory).encode(), b"@DIR@")
    data = data.replace(b" (a later version of midrelay takes this)", b"").replace(b";allow_user    =", b"allow_user     =")
    owner = pwd.getpwuid(os.stat(directory).st_uid).pw_name
    return re.sub(rb"(allow_user +=) %s\n" % re.escape(owner.encode()), rb"\1 @OWNER@\n", data)


def test_cases(case):
    wrong = []
    for name in names():
        directory = room(case, name)
        done = run(directory, "config.xml", "-o", "midrelay.ini", *arguments(name))
        ini = os.path.join(directory, "midrelay.ini")
        assert done.returncode == (0 if good(name) else 78), (name, done)
        assert os.path.exists(ini) == good(name), name
        assert content(directory, "config.xml") == content(CASES, name, "config.xml"), name
        if not good(name):
            assert os.listdir(directory) == ["config.xml"] and done.stdout == b"" and done.stderr, (name, done)
        got = {"stdout": done.stdout, "stderr": done.stderr, "midrelay.ini": content(ini) if good(name) else b""}
        for file, data in got.items():
            data = neutral(data, directory)
            path = os.path.join(CASES, name, file)
            if os.environ.get("UPDATE_GOLDEN"):
                if data:
                    with open(path, "wb") as out:
                        out.write(data)
                elif os.path.exists(path):
                    os.unlink(path)
            elif data != (content(path) if os.path.exists(path) else b""):
                wrong.append((name, file))
                print("--- %s: %s is now\n%s" % (name, file, data.decode("utf-8", "replace")))
    assert not wrong, wrong


def expected_changes(way, target, listen):
    host, port = listen.rsplit(":", 1)
    url = {"url": "http://%s/" % listen, "proxy": "http://%s/" % target.split(":")[0], "tls": "https://%s/" % target}[way]
    changes = {"url": url}
    if way == "proxy":
        changes.update({"mid.proxy.host": host.strip("[]"), "mid.proxy.port": port})
    return changes


def check_changed(name, way, before, after, args):
    """What the way needs is there, everywhere, and nothing else has changed."""
    ours = ("url", "mid.proxy.use_proxy", "mid.instance.use_proxy", "mid.proxy.host", "mid.proxy.port",
            "glide.mid.autoupgrade.proxy_host", "glide.mid.autoupgrade.proxy_port")
    old, new = parameters(before), parameters(after)
    canonical = lambda pairs: [(k.strip().lower(), v) for k, v in pairs]
    target = "mid.acme.example:8443" if name == "other-domain" else "acme.service-now.com"
    listen = "127.0.0.1:8080"
    if "--listen" in args:
        listen = args[args.index("--listen") + 1]
        target += ":" + listen.rsplit(":", 1)[1]
    for key, value in expected_changes(way, target, listen).items():
        values = [v.rstrip("/") for k, v in canonical(new) if k == key]
        folded = [v.lower() for v in values] if way == "tls" else values
        assert values and all(v == value.rstrip("/") for v in folded), (name, way, key, values)
    uses = [v for k, v in canonical(new) if k in ("mid.proxy.use_proxy", "mid.instance.use_proxy")]
    assert all(use == ("true" if way == "proxy" else "false") for use in uses), (name, way, uses)
    assert uses or way != "proxy", name
    assert [pair for pair in canonical(old) if pair[0] not in ours] == [
        pair for pair in canonical(new) if pair[0] not in ours], (name, way)


def test_diffs_apply(case):
    """By patch(1), on every way; what comes out is well-formed XML with the parameters that the way needs."""
    patched = 0
    for name in filter(good, names()):
        args = without_way(arguments(name))
        before = content(CASES, name, "config.xml")
        for way in WAYS:
            directory = room(case, name, "-" + way)
            done = run(directory, "config.xml", "--way", way, "--diff", *args)
            assert os.listdir(directory) == ["config.xml"], name
            if done.returncode == 1:
                assert name in ("one-line", "secret-by-one-mark") and b"--apply makes the change" in done.stderr, (name, done)
                continue
            assert done.returncode == 0, (name, done)
            if done.stdout and not name.startswith("utf-16"):
                subprocess.run(["patch", "-s", "--binary", "config.xml"], input=done.stdout, cwd=directory, check=True,
                               timeout=harness.LIMIT)
                patched += 1
            if not name.startswith("utf-16"):
                check_changed(name, way, before, content(directory, "config.xml"), args)
    assert patched > 60, patched


def test_apply_and_revert(case):
    """--apply gives what the diff says, in the file's own encoding and line ends; --revert the very bytes of before."""
    for name in filter(good, names()):
        args = without_way(arguments(name))
        before = content(CASES, name, "config.xml")
        for way in WAYS:
            directory = room(case, name, "-apply-" + way)
            path = os.path.join(directory, "config.xml")
            diff = run(directory, "config.xml", "--way", way, "--diff", *args)
            done = run(directory, "config.xml", "--way", way, "--apply", *args)
            assert done.returncode == 0, (name, done)
            after = content(path)
            check_changed(name, way, before, after, args)
            if diff.returncode == 0 and not diff.stdout:
                assert after == before and os.listdir(directory) == ["config.xml"], name
                continue
            assert sorted(os.listdir(directory)) == ["config.xml", "config.xml.midrelay-backup"], name
            assert content(path + ".midrelay-backup") == before
            assert {stat.S_IMODE(os.stat(p).st_mode) for p in (path, path + ".midrelay-backup")} == {0o640}
            if b"\r\n" in before and not name.startswith("utf-16"):
                assert after.count(b"\r\n") == after.count(b"\n"), name
            assert after[:2] == before[:2], name
            again = run(directory, "config.xml", "--target", "acme.service-now.com", "--way", way, "--apply",
                        "--listen", "127.0.0.1:9999")
            assert again.returncode in ([0, 1] if way == "tls" else [1]), again
            assert content(path) == after
            done = run(directory, "config.xml", "--revert")
            assert done.returncode == 0, done
            assert content(path) == before and os.listdir(directory) == ["config.xml"], name
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o640


def test_owner_is_kept(case):
    """By root, for another account: the MID Server can read its file afterwards, and so is the backup its own."""
    if os.geteuid() != 0:
        raise harness.Skip("needs root")
    directory = room(case, "basic-behind-proxy")
    path = os.path.join(directory, "config.xml")
    os.chown(path, 12345, 54321)
    done = run(directory, "config.xml", "-o", "midrelay.ini", "--apply")
    assert done.returncode == 0, done
    for file in (path, path + ".midrelay-backup"):
        st = os.stat(file)
        assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (12345, 54321, 0o640), file
    assert re.search(rb"allow_user += 12345\n", content(directory, "midrelay.ini"))
    assert run(directory, "config.xml", "--revert").returncode == 0
    st = os.stat(path)
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (12345, 54321, 0o640)
    assert content(path) == content(CASES, "basic-behind-proxy", "config.xml")


def test_owner_that_cannot_be_kept(case):
    """Nothing changes: the MID Server could not read root's file, and a new group would read the passwords."""
    if os.geteuid() != 0:
        raise harness.Skip("needs root")
    for uid in (12345, 0):
        directory = room(case, "basic-behind-proxy", "-%d" % uid)
        path = os.path.join(directory, "config.xml")
        os.chown(path, uid, 54321)
        before = os.stat(path)
        done = run(directory, "config.xml", "--apply", around=["setpriv", "--bounding-set=-chown", "--inh-caps=-chown"])
        assert done.returncode == 1 and b"(%d:54321)" % uid in done.stderr, done
        assert os.stat(path).st_ino == before.st_ino and os.listdir(directory) == ["config.xml"]
        assert content(path) == content(CASES, "basic-behind-proxy", "config.xml")


def test_the_directory_tells_the_account(case):
    """Where root unpacked config.xml, the account is that of the directory."""
    if os.geteuid() != 0:
        raise harness.Skip("needs root")
    directory = room(case, "direct")
    os.chown(directory, 12345, 54321)
    assert run(directory, "config.xml", "-o", "midrelay.ini").returncode == 0
    assert re.search(rb"allow_user += 12345\n", content(directory, "midrelay.ini"))


def test_revert_minds_what_came_since(case):
    """A MID Server writes into config.xml itself; that is told, and lost only by --force."""
    directory = room(case, "basic-behind-proxy")
    path = os.path.join(directory, "config.xml")
    before = content(path)
    assert run(directory, "config.xml", "--revert").returncode == 1
    assert run(directory, "config.xml", "--apply").returncode == 0
    applied = content(path)
    edits = {
        b"mid_sys_id was added since": applied.replace(
            b"</parameters>", b'<parameter name="mid_sys_id" value="1"/></parameters>'),
        b"mid.instance.password was changed since": applied.replace(b"hunter2-instance", b"encrypted:hunter2"),
        b"threads.max was changed since": applied.replace(b'value="40"', b'value="4 0"'),
        b"threads.max was taken out since": applied.replace(b'<parameter name="threads.max" value="40"/>', b""),
        b"comments or other text were changed since": applied.replace(b"the way there", b"our way there"),
    }
    for sentence, data in edits.items():
        with open(path, "wb") as out:
            out.write(data)
        done = run(directory, "config.xml", "--revert")
        assert done.returncode == 1 and sentence in done.stderr and b"--force" in done.stderr, (sentence, done)
        assert content(path) == data
    # What --apply may change itself, and white space, is nobody's loss.
    with open(path, "wb") as out:
        out.write(applied.replace(b":8080/", b":9090/").replace(b"\n", b"\n\n"))
    assert run(directory, "config.xml", "--revert").returncode == 0
    assert content(path) == before
    assert run(directory, "config.xml", "--apply").returncode == 0
    with open(path, "wb") as out:
        out.write(b"no XML any more")
    assert run(directory, "config.xml", "--revert").returncode == 1
    assert run(directory, "config.xml", "--revert", "--force").returncode == 0
    assert content(path) == before


def test_files_and_modes(case):
    """The password in a file for its owner alone, whatever the umask; nothing is overwritten, nothing is left half done."""
    directory = room(case, "basic-behind-proxy")
    done = run(directory, "config.xml", "-o", "midrelay.ini", around=["sh", "-c", "umask 0; exec \"$@\"", "sh"])
    assert done.returncode == 0, done
    password = os.path.join(directory, "acme-proxy-password")
    assert content(password) == b"hunter2-proxy\n" and stat.S_IMODE(os.stat(password).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.join(directory, "midrelay.ini")).st_mode) == 0o640
    kept = content(directory, "midrelay.ini")
    for missing in ("midrelay.ini", "acme-proxy-password"):
        os.rename(os.path.join(directory, missing), os.path.join(directory, "away"))
        done = run(directory, "config.xml", "-o", "midrelay.ini", "--apply")
        assert done.returncode == 1 and b"is there already" in done.stderr and b"nothing was written" in done.stderr, done
        assert sorted(os.listdir(directory)) == sorted({"config.xml", "away", "midrelay.ini", "acme-proxy-password"} - {missing})
        os.rename(os.path.join(directory, "away"), os.path.join(directory, missing))
    with open(password, "w") as out:
        out.write("other")
    done = run(directory, "config.xml", "-o", "midrelay.ini", "--force")
    assert done.returncode == 0 and content(password) == b"hunter2-proxy\n" and content(directory, "midrelay.ini") == kept, done
    os.symlink("config.xml", os.path.join(directory, "link"))
    for out in ("config.xml", "link"):
        done = run(directory, "config.xml", "-o", out, "--force")
        assert done.returncode == 1 and b"config.xml itself" in done.stderr and b"<parameters>" in content(
            directory, "config.xml"), done
    done = run(directory, "config.xml", "-o", "none/midrelay.ini")
    assert done.returncode == 1 and b"its directory" in done.stderr, done


def test_the_group_of_the_directory(case):
    """In /etc/midrelay as the packages make it, the unit's account can read what root has imported, and nobody else."""
    if os.geteuid() != 0:
        raise harness.Skip("needs root")
    for number, (owner, mode, group, secret) in enumerate(((0, 0o750, 54321, 0o640), (0, 0o755, 0, 0o600), (0, 0o700, 0, 0o600),
                                                           (12345, 0o750, 0, 0o600))):
        directory = room(case, "basic-behind-proxy", str(number))
        os.chown(directory, owner, 54321)
        os.chmod(directory, mode)
        for force in ((), ("--force",)):
            done = run(directory, "config.xml", "-o", "midrelay.ini", *force)
            assert done.returncode == 0, done
            for name, expected in (("acme-proxy-password", secret), ("midrelay.ini", 0o640)):
                st = os.stat(os.path.join(directory, name))
                assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (0, group, expected), (number, name, st)


def test_nothing_is_left_when_apply_fails(case):
    directory = room(case, "basic-behind-proxy")
    with open(os.path.join(directory, "config.xml.midrelay-backup"), "w"):
        pass
    done = run(directory, "config.xml", "-o", "midrelay.ini", "--apply")
    assert done.returncode == 1 and b"--revert" in done.stderr, done
    assert sorted(os.listdir(directory)) == ["config.xml", "config.xml.midrelay-backup"]
    assert b"nothing was written" in done.stderr, done


def test_what_force_replaced_is_told(case):
    """Where --apply fails behind it: nobody is told that nothing was written."""
    if os.geteuid() != 0:
        raise harness.Skip("needs root")
    directory = room(case, "direct")
    os.chown(os.path.join(directory, "config.xml"), 12345, 54321)
    with open(os.path.join(directory, "midrelay.ini"), "w") as out:
        out.write("other")
    done = run(directory, "config.xml", "-o", "midrelay.ini", "--force", "--apply",
               around=["setpriv", "--bounding-set=-chown", "--inh-caps=-chown"])
    assert done.returncode == 1 and b"--force has replaced" in done.stderr and b"nothing was" not in done.stderr, done
    assert content(directory, "midrelay.ini") != b"other"
    assert content(directory, "config.xml") == content(CASES, "direct", "config.xml")


def test_what_a_file_cannot_hold(case):
    """A value that midrelay.ini could not give back is a fault, and nothing is written."""
    directory = room(case, "basic-behind-proxy")
    os.mkdir(os.path.join(directory, "two\nlines"))
    done = run(directory, "config.xml", "-o", "two\nlines/midrelay.ini")
    assert done.returncode == 78 and b"cannot be there" in done.stderr and not done.stdout, done
    assert os.listdir(os.path.join(directory, "two\nlines")) == []


def test_apply_that_was_cut_off(case):
    """Between its two steps the file has two names; --revert takes the second one away."""
    directory = room(case, "basic-behind-proxy")
    path = os.path.join(directory, "config.xml")
    os.link(path, path + ".midrelay-backup")
    assert run(directory, "config.xml", "--revert").returncode == 0
    assert os.listdir(directory) == ["config.xml"]
    assert content(path) == content(CASES, "basic-behind-proxy", "config.xml")


def test_tls_on_another_port(case):
    """A MID Server connects to the port in its url."""
    directory = room(case, "direct")
    done = run(directory, "config.xml", "--way", "tls", "--listen", "127.0.0.1:8443", "--diff")
    assert b'+    <parameter name="url" value="https://acme.service-now.com:8443/"/>' in done.stdout, done
    done = run(directory, "config.xml", "--way", "tls", "--diff")
    assert done.returncode == 0 and done.stdout == b"", done


def test_no_loop(case):
    """A config.xml that names midrelay as its proxy already."""
    directory = room(case, "basic-behind-proxy")
    assert run(directory, "config.xml", "--apply", "--way", "proxy").returncode == 0
    done = run(directory, "config.xml", "-o", "midrelay.ini")
    assert done.returncode == 78 and b"where midrelay is to listen" in done.stderr, done
    with open(os.path.join(directory, "config.xml"), "r+b") as file:
        changed = file.read().replace(b'"127.0.0.1"', b'"LocalHost"')
        file.seek(0)
        file.write(changed)
    done = run(directory, "config.xml", "--target", "acme.service-now.com", "-o", "midrelay.ini")
    assert b"LocalHost" in changed and done.returncode == 78 and b"where midrelay is to listen" in done.stderr, done
    assert not os.path.exists(os.path.join(directory, "midrelay.ini"))


def test_to_stdout(case):
    """Without -o, stdout is the configuration and nothing else, and nothing is written."""
    directory = room(case, "basic-behind-proxy")
    done = run(directory, "config.xml")
    assert done.returncode == 0 and done.stdout.startswith(b"; From ") and b"+++ config.xml" in done.stderr, done
    assert b"Way" not in done.stdout and b"; GAP: put the proxy's password into" in done.stdout
    assert os.listdir(directory) == ["config.xml"]


def test_a_named_bundle(case):
    directory = room(case, "direct")
    shutil.copy(case.pki["client-bundle.pem"], os.path.join(directory, "b.pem"))
    done = run(directory, "config.xml", "--client-bundle", "b.pem")
    assert done.returncode == 0 and b"GAP" not in done.stdout, done
    assert re.search(rb"client_bundle  = /.*/b.pem\n", done.stdout)
    done = run(directory, "config.xml", "--client-bundle", "none.pem")
    assert done.returncode == 1 and b"--client-bundle: none.pem" in done.stderr, done


def accepted(case, ways):
    for name in filter(good, names()):
        for way in ways:
            directory = room(case, name, "-accepted-" + way)
            done = run(directory, "config.xml", "-o", "midrelay.ini", "--way", way, *without_way(arguments(name)))
            assert done.returncode == 0, (name, done)
            shutil.copy(case.pki["client-bundle.pem"], os.path.join(directory, "midserver-bundle.pem"))
            for gap in re.findall(rb"^proxy_password += file:(.*)$", content(directory, "midrelay.ini"), re.M):
                if not os.path.exists(gap):
                    case.write(gap.decode(), "filled in\n")
            done = case.run("config", "-c", os.path.join(directory, "midrelay.ini"),
                            env=dict(os.environ, STATE_DIRECTORY=directory))
            assert done.returncode == 0, (name, way, done)


def test_the_configuration_is_accepted(case):
    """Once its gaps are filled, `midrelay config` finds no fault in it."""
    accepted(case, ["url", "proxy"])


def test_the_configuration_for_tls_is_accepted(case):
    accepted(case, ["tls"])


def test_what_was_imported_works(case):
    """From config.xml to an answer: through the proxy with its credentials, under the client certificate."""
    instance = case.instance()
    proxy = case.proxy(instance, auth=(harness.USER, SECRET))
    directory = case.path("mid")
    os.mkdir(directory)
    values = {"url": "https://instance.lab.test:%d" % instance.port, "mid.proxy.use_proxy": "true",
              "mid.proxy.host": proxy.host, "mid.proxy.port": proxy.port, "mid.proxy.username": harness.USER,
              "mid.proxy.password": SECRET}
    with open(os.path.join(directory, "config.xml"), "w") as out:
        out.write("<parameters>%s</parameters>" % "".join(
            '<parameter name="%s"\n value="%s"/>' % pair for pair in values.items()))
    done = run(directory, "config.xml", "-o", "midrelay.ini", "--client-bundle", case.pki["client-bundle.pem"])
    assert done.returncode == 0, done
    text = content(directory, "midrelay.ini").decode().replace("127.0.0.1:8080", "127.0.0.1:0")
    m = case.start(text + "trust = %s\n" % case.pki["root.pem"], secrets=[SECRET])
    answer = m.get("/").json()
    assert answer["client_cert"]["subject"].endswith("=mid-one"), answer


def test_large_and_strange_files(case):
    directory = room(case, "direct")
    path = os.path.join(directory, "config.xml")
    for data, sentence in ((b"<parameters>" + b" " * (1 << 20) + b"</parameters>", b"larger than 1 MiB"),
                           (b"<parameters>" + b'<parameter name="a"/>' * 2001 + b"</parameters>", b"more than 2000"),
                           (b"<parameters>" + b"<a>" * 100000, b"well-formed"), (b"\0" * 100, b"")):
        with open(path, "wb") as out:
            out.write(data)
        done = run(directory, "config.xml", "-o", "midrelay.ini")
        assert done.returncode == 78 and sentence in done.stderr and os.listdir(directory) == ["config.xml"], done
    os.unlink(path)
    os.mkfifo(path)
    assert run(directory, "config.xml").returncode == 78
    assert run(directory, "none.xml").returncode == 78


def test_usage(case):
    directory = room(case, "direct")
    for args in ([], ["config.xml", "config.xml"], ["config.xml", "--way", "smoke"], ["config.xml", "--nothing"],
                 ["config.xml", "-o"], ["config.xml", "--listen", "0.0.0.0:8080"], ["config.xml", "--listen", "unix:/x"],
                 ["config.xml", "--listen", "127.0.0.1:0"], ["config.xml", "--listen", "here"],
                 ["config.xml", "--revert", "--apply"], ["config.xml", "--diff", "-o", "x.ini"],
                 ["config.xml", "--way", "url", "--way", "tls"]):
        done = run(directory, *args)
        assert done.returncode == 64 and b"usage: midrelay import" in done.stderr and done.stdout == b"", (args, done)
    assert os.listdir(directory) == ["config.xml"]


if __name__ == "__main__":
    harness.main()
