"""
A fresh root for contrib/test-packages, contrib/test-container and contrib/test-systemd: a minimal Debian that ends with
the test.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "lab"))
import documents

ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb",
       "DEBIAN_FRONTEND": "noninteractive"}
# What package managers and adduser leave by themselves.
THEIRS = re.compile("/(var/(cache|log|lib/(apt|dpkg|rpm|systemd/deb-systemd-helper-(en|mask)abled))(/|$)"
                    "|etc/(passwd|group|shadow|gshadow|subuid|subgid)-$|(tmp|dev|proc|run)(/|$))")


def fail(text):
    sys.exit("%s: %s" % (os.path.basename(sys.argv[0]), text))


def call(*args, **keys):
    """What it prints; its failure is ours."""
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                          errors="replace", env=keys.pop("env", ENV), check=False, **keys)
    if done.returncode != 0:
        print(done.stdout[-6000:])
        fail("exit status %d: %s" % (done.returncode, " ".join(args)))
    return done.stdout


def say(text):
    print("  " + text, flush=True)


class Root:
    """A minimal Debian of its own, in a mount namespace that ends with this process."""

    def __init__(self, build):
        self.dir = tempfile.mkdtemp(prefix="midrelay-root-")
        self.share = None
        archive = os.path.join(build, "packages", "root.tar")
        if not os.path.exists(archive):
            self.bootstrap(archive)
        call("tar", "-xpf", archive, "-C", self.dir)
        with open(self.path("/etc/apt/apt.conf.d/99yes"), "w") as out:
            out.write('APT::Get::Assume-Yes "true";\nAPT::Install-Recommends "false";\n')
        for name in ("proc", "dev"):
            call("mount", "--rbind", "/" + name, os.path.join(self.dir, name))

    def bootstrap(self, archive):
        with open("/etc/os-release") as text:
            suite = re.search("^VERSION_CODENAME=(.+)$", text.read(), re.M)[1]
        mirror = call("apt-get", "indextargets", "--format", "$(REPO_URI)", "Codename: " + suite,
                      "Component: main", "Created-By: Packages").split("\n")[0]
        fresh = self.dir + ".new"
        call("debootstrap", "--variant=minbase", suite, fresh, mirror)
        # From now on as this host does.
        for name in ("sources.list", "sources.list.d", "apt.conf.d", "preferences.d", "trusted.gpg.d", "keyrings"):
            target = os.path.join(fresh, "etc/apt", name)
            if os.path.isdir(target):
                shutil.rmtree(target)
            elif os.path.exists(target):
                os.unlink(target)
            if os.path.isdir("/etc/apt/" + name):
                shutil.copytree("/etc/apt/" + name, target)
            elif os.path.exists("/etc/apt/" + name):
                shutil.copy("/etc/apt/" + name, target)
        for name in ("/etc/resolv.conf", "/etc/hosts"):
            shutil.copy(name, fresh + name)
        if os.path.isdir("/usr/share/keyrings"):
            shutil.copytree("/usr/share/keyrings", fresh + "/usr/share/keyrings", dirs_exist_ok=True)
        call("chroot", fresh, "apt-get", "update")
        call("tar", "-cf", archive + ".new", "-C", fresh, ".")
        os.rename(archive + ".new", archive)
        shutil.rmtree(fresh)

    def run(self, *args):
        return call("chroot", self.dir, *args)

    def apt(self, *args):
        return self.run("apt-get", *args)

    def shell(self, text, directory="/root"):
        return self.run("sh", "-euc", "cd %s\n%s" % (directory, text))

    def path(self, name):
        return self.dir + name

    def files(self):
        found = set()
        for parent, dirs, names in os.walk(self.dir):
            inside = parent[len(self.dir):]
            dirs[:] = [name for name in dirs if not THEIRS.match(inside + "/" + name)]
            found.update(inside + "/" + name for name in dirs + names)
        return {name for name in found if not THEIRS.match(name)}

    def demo(self, made, prefix=""):
        """
        contrib/demo with the lab out here and midrelay in there; both see one directory under the same name.
        `prefix` is a command in the root that runs midrelay, perhaps as somebody of group 0.
        """
        self.share = tempfile.mkdtemp(prefix="midrelay-share-")
        inside = self.path(self.share)
        os.makedirs(inside)
        call("mount", "--bind", self.share, inside)
        program = os.path.join(self.share, "midrelay")
        with open(program, "w") as out:
            out.write("#!/bin/sh\nchmod -R g+rX %s\nexec chroot %s %s /usr/bin/midrelay \"$@\"\n" %
                      (self.share, self.dir, prefix))
        os.chmod(program, 0o755)
        told = call("/usr/bin/python3", os.path.join(TOP, "contrib/demo.py"), program,
                    env=dict(ENV, TMPDIR=self.share, PYTHONDONTWRITEBYTECODE="1"))
        call("umount", inside)
        os.rmdir(inside)
        shutil.rmtree(self.share)
        say("%s: %s" % (made, told.strip().split("\n")[-1]))

    def stop(self):
        self.unmount()
        shutil.rmtree(self.dir)

    def unmount(self):
        for name in ("proc", "dev"):
            if os.path.ismount(os.path.join(self.dir, name)):
                call("umount", "-l", os.path.join(self.dir, name))


def must(right, *what):
    if not right:
        fail("not so: " + " ".join(str(word) for word in what))


def documented(heading):
    """The lines of the first block of commands under a heading of doc/installation.md, as they would be pasted."""
    return documents.under("doc/installation.md", heading)[0].lines()


def next_version(package, directory):
    """The same .deb as version VERSION-2, in a directory; its path and that version."""
    version = re.search("_([0-9.]+)-", package)[1] + "-2"
    tree, made = os.path.join(directory, "two"), os.path.join(directory, "two.deb")
    call("dpkg-deb", "-R", package, tree)
    control = os.path.join(tree, "DEBIAN/control")
    with open(control) as text:
        changed = re.sub("^Version: .*$", "Version: " + version, text.read(), flags=re.M)
    with open(control, "w") as out:
        out.write(changed)
    call("dpkg-deb", "-b", tree, made)
    shutil.rmtree(tree)
    return made, version


def unshared():
    """Comes back in a mount namespace of its own: what is mounted there ends with this process."""
    if "MIDRELAY_UNSHARED" not in os.environ:
        os.environ["MIDRELAY_UNSHARED"] = "yes"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    # So that the root goes, whatever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
