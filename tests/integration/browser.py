"""Headless Chromium through chromedriver's HTTP interface (W3C WebDriver), for tests of pages."""

import base64
import http.client
import json
import os
import re
import select
import shutil
import subprocess
import time

LIMIT = 60 * float(os.environ.get("MIDRELAY_SLOW", 1))


def missing():
    """What is not there of the two programs, or None."""
    for name in ("chromium", "chromedriver"):
        if not shutil.which(name):
            return name
    return None


class Browser:
    """One browser with one window; a context manager that leaves no process behind."""

    def __init__(self, directory):
        self.session = None
        env = dict(os.environ, HOME=directory, TMPDIR=directory, LC_ALL="C.UTF-8")
        # It takes a port that is free for one family, and gives up when that is not free for the other.
        for left in (3, 2, 1, 0):
            self.driver = subprocess.Popen(
                ["chromedriver", "--port=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, env=env, start_new_session=True)
            self.port, said = self._port()
            if self.port is not None:
                break
            self.close()
            assert left > 0 and b"port not available" in said, "chromedriver did not start: %r" % said
        try:
            args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
                    "--disable-sync", "--no-proxy-server", "--hide-scrollbars",
                    "--user-data-dir=" + os.path.join(directory, "profile")]
            answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": args},
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}})
            self.session = "/session/" + answer["sessionId"]
            self.cdp("Network.enable")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _port(self):
        limit, said = time.monotonic() + LIMIT, b""
        while time.monotonic() < limit:
            if select.select([self.driver.stdout], [], [], 0.5)[0]:
                some = os.read(self.driver.stdout.fileno(), 4096)
                said += some
                found = re.search(rb"started successfully on port (\d+)", said)
                if found:
                    return int(found.group(1)), said
                if not some:
                    break
        return None, said

    def _call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        assert not (isinstance(value, dict) and "error" in value), "%s %s: %s" % (method, path, value)
        return value

    def cdp(self, command, **params):
        """A command of the DevTools protocol."""
        return self._call("POST", self.session + "/goog/cdp/execute", {"cmd": command, "params": params})

    def look(self, width, height=900, dark=False, scripts=True):
        """How the window is from now on."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.cdp("Emulation.setEmulatedMedia", media="", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.cdp("Emulation.setScriptExecutionDisabled", value=not scripts)

    def go(self, url):
        self._call("POST", self.session + "/url", {"url": url})

    def run(self, script, *args):
        """What the body of a function returns in the page."""
        return self._call("POST", self.session + "/execute/sync", {"script": script, "args": list(args)})

    def click(self, selector):
        found = self._call("POST", self.session + "/element", {"using": "css selector", "value": selector})
        self._call("POST", self.session + "/element/%s/click" % list(found.values())[0], {})

    def console(self):
        """What was written to the console since the last call."""
        return [entry["message"] for entry in self._call("POST", self.session + "/se/log", {"type": "browser"})]

    def requests(self):
        """
        URLs that the page has asked the network for since the last call, each once, in their order: it loads itself again
        after some seconds, and what a browser keeps to itself (data:, chrome:) is none.
        """
        urls = []
        for entry in self._call("POST", self.session + "/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if url not in urls and not url.startswith(("data:", "chrome:", "about:")):
                    urls.append(url)
        return urls

    def screenshot(self, file):
        """The whole page, as PNG."""
        size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        with open(file, "wb") as out:
            out.write(base64.b64decode(shot["data"]))

    def close(self):
        if self.driver.returncode is not None:
            return
        if self.session is not None:
            try:
                self._call("DELETE", self.session)
            except (OSError, AssertionError, http.client.HTTPException):
                pass
        self.driver.terminate()
        try:
            self.driver.wait(10)
        except subprocess.TimeoutExpired:
            self.driver.kill()
            self.driver.wait()
        self.driver.stdout.close()
