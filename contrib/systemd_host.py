"""The booted root of contrib/test-systemd with midrelay in it: what its administrator types and sees, and its clients."""

import glob
import os
import re
import subprocess
import threading

from booted_root import wait_until
from fresh_root import documents, fail, must

from lab import PASSWORD, USER

INI = "/etc/midrelay/midrelay.ini"
SECONDS = 30


class Host:
    """The booted root with midrelay in it, as its administrator sees it, and the lab around it."""

    def __init__(self, root, lab, package):
        self.root, self.lab, self.package = root, lab, package
        self.instance = lab.instance()
        self.proxy = lab.proxy(self.instance, auth=[USER, PASSWORD])
        self.pasted = set()

    # What the documents say

    def paste(self, page, heading, number=0, lines=slice(None), directory="/root", around=(), may_fail=False):
        """These lines of a block, in one shell, as one who stops at the first that fails would."""
        block = documents.under(page, heading)[number]
        self.pasted.add(str(block))
        text = "cd %s\n%s" % (directory, "\n".join(block.lines()[lines]))
        done = self.root.ask(*around, "bash", "-ec", text)
        must(may_fail or done.returncode == 0, "%s\n%s\nexit status %d" % (block, text, done.returncode), done.stdout)
        return done if may_fail else done.stdout

    def inline(self, page, command):
        """A command that stands within a sentence."""
        must("`%s`" % command in " ".join(documents.read(page).split()), page, "does not have", command)
        return self.shell(command)

    def shell(self, text):
        return self.root.shell(text)

    # What midrelay says and does

    def log(self, since=""):
        return self.shell("journalctl -u 'midrelay*' -o cat --no-pager %s" % since)

    def logged(self, pattern, count=1):
        """Waits for the count-th such line."""
        return wait_until(lambda: self.count(pattern) >= count, "%d × %s in the journal" % (count, pattern))

    def count(self, pattern):
        return len(re.findall(pattern, self.log()))

    def show(self, name, unit="midrelay"):
        return self.shell("systemctl show -P %s %s" % (name, unit)).strip()

    def outside(self, pid):
        """The process id out here of one in there."""
        for status in glob.glob("/proc/[0-9]*/status"):
            with open(status) as text:
                if re.search(r"^NSpid:\t(\d+)\t%s$" % pid, text.read(), re.M):
                    return status.split("/")[2]
        return fail("no process %s" % pid)

    def active(self, unit="midrelay"):
        return self.root.ask("systemctl", "is-active", unit).stdout.strip() == "active"

    def get(self, port=8080, user="root"):
        """curl's exit status and the HTTP status of a request through midrelay, made as somebody."""
        done = self.root.ask("runuser", "-u", user, "--", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                             "--max-time", "20", "-H", "Host: instance.lab.test", "http://127.0.0.1:%d/" % port)
        return done.returncode, done.stdout

    def works(self, port=8080):
        got = self.get(port)
        must(got == (0, "200"), "a request through midrelay:", got)

    # What its administrator writes

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.root.path(name)), exist_ok=True)
        with open(self.root.path(name), "w") as out:
            out.write(text)
        os.chmod(self.root.path(name), mode)

    def edit(self, replace=(), more="", name=INI):
        """In place: owner and mode stay.  Each pair is a pattern and what stands there instead."""
        with open(self.root.path(name)) as file:
            text = file.read()
        for pattern, other in replace:
            text, times = re.subn(pattern, lambda _, other=other: other, text, flags=re.M)
            must(times == 1, "%d times in %s: %s" % (times, name, pattern))
        with open(self.root.path(name), "w") as out:
            out.write(text + more)
        return text

    def here(self):
        """What is to be put into the documented configuration: that of the lab."""
        return [("^target .*", "target = instance.lab.test:443\ntrust = /etc/midrelay/server-ca.pem"),
                ("^proxy  .*", "proxy = http://127.0.0.1:%d" % self.proxy.port)]

    def reload(self):
        """Until it is in force."""
        before = self.count(" info reloaded ")
        self.shell("systemctl reload midrelay")
        self.logged(" info reloaded ", before + 1)


class Load:
    """Clients that come one after the other, several at once, until told to stop."""

    def __init__(self, port=8080):
        self.port, self.stop, self.served, self.lost = port, threading.Event(), [0] * 4, []
        self.threads = [threading.Thread(target=self.client, args=(number,)) for number in range(4)]

    def client(self, number):
        while not self.stop.is_set():
            done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--max-time", str(SECONDS), "-w", "%{http_code}", "-o",
                                   "/dev/null", "http://127.0.0.1:%d/" % self.port], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, check=False)
            if done.stdout == "200":
                self.served[number] += 1
            else:
                self.lost.append(done.stderr.strip() or done.stdout)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
