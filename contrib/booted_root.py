"""A fresh root (fresh_root.py) in which Debian's systemd is the first process, for contrib/test-systemd."""

import ctypes
import os
import subprocess
import tempfile
import threading
import time

from fresh_root import ENV, Root, call, fail, say

# The new namespaces are those of `unshare` below; what the kernel has one of for all is read-only in there.
BOOT = """
set -e
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
for name in sys sysrq-trigger; do
	[ -e proc/$name ] || continue
	mount --bind proc/$name proc/$name
	mount -o remount,bind,ro proc/$name
done
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -o remount,bind,ro sys
mount -t tmpfs -o mode=0755 tmpfs dev
for name in null zero full random urandom tty; do
	touch dev/$name
	mount --bind /dev/$name dev/$name
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir run/old
pivot_root . run/old
umount -l /run/old
rmdir /run/old
# Credentials are mounted in a namespace of their own, and come back by that.
mount --make-rshared /
exec setpriv --bounding-set -sys_module,-sys_time,-sys_rawio,-sys_boot,-mac_admin,-mac_override,-syslog,-wake_alarm \\
	/usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=other /lib/systemd/systemd --log-target=journal
"""
NAMESPACES = ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--cgroup", "--uts", "--ipc")
NEW_NETWORK = 0x40000000    # CLONE_NEWNET
SECONDS = 60


class NoBoot(Exception):
    """This kernel, or whoever guards it, does not let a systemd boot here."""


def wait_until(condition, what):
    """What the condition gave when it was true."""
    began = time.monotonic()
    while not (found := condition()):
        if time.monotonic() - began > SECONDS:
            fail("waited in vain for " + what)
        threading.Event().wait(0.05)
    return found


def own_network():
    """This process and all it starts from now on have a loopback of their own, and nothing else."""
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK) != 0:
        raise NoBoot("no network namespace: %s" % os.strerror(ctypes.get_errno()))
    call("ip", "link", "set", "lo", "up")


class Cgroup:
    """One of our own in the unified hierarchy, wherever this host has that mounted, or nowhere."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="midrelay-cgroup-")
        self.dir = os.path.join(self.root, os.path.basename(self.root))
        done = subprocess.run(["mount", "-t", "cgroup2", "cgroup2", self.root], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            try:
                os.mkdir(self.dir)
                return
            except OSError as error:
                done.stderr = str(error)
                subprocess.run(["umount", self.root], check=False)
        os.rmdir(self.root)
        raise NoBoot("no cgroup of our own: " + done.stderr.strip())

    def enter(self):
        with open(os.path.join(self.dir, "cgroup.procs"), "w") as procs:
            procs.write("0")

    def processes(self):
        with open(os.path.join(self.dir, "cgroup.events")) as events:
            return "populated 1" in events.read()

    def remove(self):
        for parent, _, _ in os.walk(self.dir, topdown=False):
            os.rmdir(parent)
        subprocess.run(["umount", self.root], check=True)
        os.rmdir(self.root)


class Booted(Root):
    """`packages` are there before it boots: it has no network but its loopback."""

    def __init__(self, build, packages):
        self.cgroup = self.process = None
        super().__init__(build)
        try:
            self.install(["systemd", "dbus", *packages])
        except BaseException:
            self.stop()
            raise
        self.unmount()
        with open(self.path("/etc/hostname"), "w") as out:
            out.write("relay-host\n")

    def install(self, packages):
        # Nothing is started by that: it would be on this host's network.
        with open(self.path("/usr/sbin/policy-rc.d"), "w") as out:
            out.write("#!/bin/sh\nexit 101\n")
        os.chmod(self.path("/usr/sbin/policy-rc.d"), 0o755)
        self.apt("install", *packages)
        os.unlink(self.path("/usr/sbin/policy-rc.d"))

    def boot(self):
        self.cgroup = Cgroup()
        with open("/dev/null") as null:
            # The launcher ends with this process, and its child, which is the first of all in there, with it.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, "sh", "-c", BOOT, "sh", self.dir], env=ENV,
                stdin=null, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=self.cgroup.enter)
        began = time.monotonic()
        wait_until(self.is_up, "systemd")
        state = self.ask("systemctl", "is-system-running", "--wait").stdout.strip()
        if state != "running":
            fail("the system is %s:\n%s" % (state, self.ask("systemctl", "--failed").stdout))
        say("%s is up after %.1f s" % (self.run("systemctl", "--version").split("(")[0].strip(), time.monotonic() - began))

    def is_up(self):
        if self.process.poll() is not None:
            raise NoBoot(self.process.stdout.read().decode(errors="replace").strip())
        return self.first() and self.ask("test", "-S", "/run/systemd/private").returncode == 0

    def first(self):
        """systemd's process id out here, once it is that."""
        try:
            with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)) as children:
                child = children.read().split()[0]
            with open("/proc/%s/comm" % child) as name:
                return child if name.read() == "systemd\n" else None
        except (OSError, IndexError):
            return None

    def inside(self, *args):
        """What runs a command in there."""
        return ["nsenter", "-t", self.first(), "-m", "-u", "-i", "-p", "-C", "-r", "-w", "--", *args]

    def ask(self, *args):
        """A command in there that may fail."""
        return subprocess.run(self.inside(*args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, errors="replace", env=ENV, timeout=3 * SECONDS, check=False)

    def run(self, *args):
        if self.process is None:
            return super().run(*args)
        return call(*self.inside(*args), timeout=3 * SECONDS)

    def stop(self):
        """No process is left."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            wait_until(lambda: not self.cgroup.processes(), "the last process to end")
        if self.cgroup is not None:
            self.cgroup.remove()
        super().stop()
