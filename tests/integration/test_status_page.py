#!/usr/bin/python3
"""Proves that the status page is well-formed, can be read in light and dark, and needs nothing but itself: Chromium.

The pages are those of `tests/show-page`; MIDRELAY_SHOTS=DIRECTORY keeps pictures of them.
"""

import html.parser
import http.client
import http.server
import os
import re
import subprocess
import threading

import harness
from harness import BINARY, LIMIT, WRAPPER, Skip, ask, wait_until
import browser

SHOW = os.path.join(os.environ.get("builddir", os.path.dirname(BINARY)), "tests", "show-page")
# `endless` is about its length, which the unit test looks at.
NAMES = ("one-healthy", "one-broken", "twenty-healthy", "twenty-broken", "ending", "fresh", "empty", "stopping",
         "hostile")
VOID = {"meta", "link", "br", "hr", "img", "input"}
ELEMENTS = set("html head meta link title style body header h1 h2 h3 h4 b i ul ol li a p small time nav main section span div "
               "code dl dt dd table caption thead tbody tr th td footer".split())
PHRASING = set("b i a small time span code".split())
# What may stand directly in what; where nothing is said: anything.
CHILDREN = {"ul": {"li"}, "ol": {"li"}, "dl": {"div"}, "table": {"caption", "thead", "tbody"}, "thead": {"tr"},
            "tbody": {"tr"}, "tr": {"th", "td"}, "html": {"head", "body"}, "head": {"meta", "link", "title", "style"},
            "body": {"header", "nav", "main", "p", "section", "footer"}, "main": {"section"}, "title": set(),
            "style": set()}
CHILDREN.update({name: PHRASING for name in PHRASING | {"p", "h1", "h2", "h3", "h4", "dt", "dd", "th", "td", "caption"}})
PARENTS = {"li": {"ul", "ol"}, "dt": {"div"}, "dd": {"div"}, "th": {"tr"}, "td": {"tr"}}
WIDTHS = (400, 1400)
# WCAG 2.1, 1.4.3 for text and 1.4.11 for what is drawn.
TEXT_CONTRAST, DRAWN_CONTRAST = 4.5, 3.0


def show(*args):
    return subprocess.run(WRAPPER + [SHOW, *args], check=True, capture_output=True, timeout=LIMIT).stdout


def get(where):
    """The headers, by lower-case name, and the body of the page that midrelay serves."""
    connection = http.client.HTTPConnection(where, timeout=LIMIT)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.status == 200, response.status
        return {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


class Document(html.parser.HTMLParser):
    """Takes HTML strictly: every element is known, closed, and in its place."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.wanted, self.seen, self.words = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        assert tag in ELEMENTS, tag
        parent = self.open[-1] if self.open else None
        assert tag in CHILDREN.get(parent, ELEMENTS) and parent in PARENTS.get(tag, {parent}), (parent, tag)
        assert not (tag == "a" and "a" in self.open)
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names) and not [name for name in names if name.startswith("on")], attrs
        attrs = dict(attrs)
        self.seen.append((tag, attrs))
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if tag == "a":
            assert attrs["href"].startswith("#"), attrs
            self.wanted.append(attrs["href"][1:])
        if "aria-labelledby" in attrs:
            self.wanted.append(attrs["aria-labelledby"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, "</%s> in %s at %s" % (tag, self.open, self.getpos())
        self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            assert "<" not in data or "lt" not in data, data
            self.words.append(data)

    def of(self, tag):
        return [attrs for name, attrs in self.seen if name == tag]


def test_pages_are_well_formed(case):
    assert show().decode().split() == list(NAMES) + ["endless"]
    for name in NAMES:
        text = show(name).decode("utf-8")
        document = Document(text)
        assert text.startswith("<!DOCTYPE html>\n")
        assert len(set(document.ids)) == len(document.ids), name
        assert set(document.wanted) <= set(document.ids), set(document.wanted) - set(document.ids)
        assert len(document.of("h1")) == 1 and document.of("html")[0]["lang"] == "en"
        assert not document.of("script") and not document.of("img")
        assert [link["href"] for link in document.of("link")] == ["data:,"]
        assert all("scope" in attrs for attrs in document.of("th"))
        assert len(document.of("caption")) == len(document.of("table"))
        assert all(attrs["role"] == "img" and re.search(r"\d m?s", attrs["aria-label"])
                   for attrs in document.of("div") if attrs.get("class") == "bar")
        assert {"http-equiv": "refresh", "content": "10"} in document.of("meta")
        if name.startswith("twenty"):
            assert len(document.of("section")) == 21
            assert len([attrs for attrs in document.of("div") if attrs.get("class") == "bar"]) >= 20


def luminance(colour):
    """WCAG 2.1, relative luminance of (r, g, b)."""
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def colours(declarations):
    found = {}
    for name, value in re.findall(r"--(\w+):#([0-9a-f]+)", declarations):
        value = "".join(c * 2 for c in value) if len(value) == 3 else value
        found[name] = tuple(int(value[i:i + 2], 16) for i in (0, 2, 4))
    return found


def test_colours_have_contrast(case):
    style = re.search(r"<style>(.*?)</style>", show("one-healthy").decode(), re.S).group(1)
    roots = re.findall(r":root\{(.*?)\}", style)
    light, dark = colours(roots[0]), colours(roots[1])
    assert light.keys() == dark.keys() and len(light) == 18, light
    for scheme in (light, dark):
        for under in ("page", "card"):
            for ink in ("ink", "soft", "link", "good", "idle", "warn", "bad"):
                assert contrast(scheme[ink], scheme[under]) >= TEXT_CONTRAST, (ink, under)
        for level in ("good", "idle", "warn", "bad"):
            assert contrast(scheme[level], scheme[level + "bg"]) >= TEXT_CONTRAST, level
        for stage in ("s0", "s1", "s2", "s3"):
            for under in ("card", "idlebg"):
                assert contrast(scheme[stage], scheme[under]) >= DRAWN_CONTRAST, (stage, under)


def start(case):
    """midrelay with a status endpoint, and one session behind it."""
    relay = case.keys(case.instance(), ready_tunnels="off")
    m = case.start({"midrelay": {"status": "127.0.0.1:0"}, "relay acme": relay})
    m.where = m.wait_event("status-listening")["address"]
    with m.connect() as sock:
        assert ask(sock).status == 200
    wait_until(lambda: m.events("session"), "the session's end")
    return m


class Site:
    """
    Serves the pages of show-page, each under its name, with the security policy that midrelay sends; remembers who
    asks for what.
    """

    def __init__(self, case):
        pages = {"/" + name: show(name) for name in NAMES}
        policy = get(start(case).where)[0]["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, policy
        asked = self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                body = pages.get(self.path)
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Security-Policy", policy)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        case.cleanups.append(lambda: (self.server.shutdown(), thread.join(), self.server.server_close()))
        self.url = "http://127.0.0.1:%d/" % self.server.server_address[1]


# Every text with the colour it has and the one that is under it; and how far the page is wider than the window.
READ = """
const texts = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const parse = value => value.match(/[\\d.]+/g).map(Number);
while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.data.trim())
        continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    let under = element, back;
    do {
        back = parse(getComputedStyle(under).backgroundColor);
        under = under.parentElement;
    } while (back.length == 4 && back[3] == 0 && under);
    texts.push({text: node.data.trim(), ink: parse(getComputedStyle(element).color), under: back,
        left: box.left, right: box.right, height: box.height, size: parseFloat(getComputedStyle(element).fontSize)});
}
return {texts: texts, width: document.scrollingElement.scrollWidth, title: document.title,
    dark: matchMedia('(prefers-color-scheme: dark)').matches};
"""


def look_at(shown, site, name, width, dark):
    shown.look(width, dark=dark)
    shown.go(site.url + name)
    page = shown.run(READ)
    what = (name, width, "dark" if dark else "light")
    assert page["dark"] == dark, what
    assert page["width"] <= width, (what, page["width"])
    assert page["texts"], what
    for text in page["texts"]:
        assert text["height"] > 0 and text["size"] >= 11, (what, text)
        assert text["left"] >= 0 and text["right"] <= width + 0.5, (what, text)
        assert contrast(text["ink"][:3], text["under"][:3]) >= TEXT_CONTRAST, (what, text)
    assert shown.console() == [], what
    asked = shown.requests()
    assert asked == [site.url + name], (what, asked)
    kept = os.environ.get("MIDRELAY_SHOTS")
    if kept:
        os.makedirs(kept, exist_ok=True)
        shown.screenshot(os.path.join(kept, "%s-%d-%s.png" % what))
    return page


def open_browser(case):
    missing = browser.missing()
    if missing:
        raise Skip(missing + " is not installed")
    os.mkdir(case.path("browser"))
    shown = browser.Browser(case.path("browser"))
    case.cleanups.append(shown.close)
    return shown


def test_chromium_shows_all_of_it(case):
    shown, site = open_browser(case), Site(case)
    shown.requests()
    for name in NAMES:
        for width in WIDTHS:
            for dark in (False, True):
                look_at(shown, site, name, width, dark)
    assert set(site.asked) == {"/" + name for name in NAMES}, site.asked


def test_foreign_text_is_shown_as_text(case):
    shown, site = open_browser(case), Site(case)
    shown.look(1400)
    shown.go(site.url + "hostile")
    assert shown.run("return document.querySelectorAll('script, img').length") == 0
    heading = shown.run("return document.querySelector('h2').textContent")
    assert heading.startswith("\"><script>alert('x')</script><img src=x onerror=alert(1)>&amp;</style></title>"), heading
    assert shown.console() == []


def test_links_lead_to_their_relay_without_scripts(case):
    shown, site = open_browser(case), Site(case)
    shown.look(400, scripts=False)
    shown.go(site.url + "twenty-broken")
    shown.click("nav a[href='#relay-19']")
    shown.look(400, scripts=True)
    assert shown.run("return location.hash") == "#relay-19"
    top = shown.run("return document.getElementById('relay-19').getBoundingClientRect().top")
    assert 0 <= top < 900, top


def test_it_prints_without_the_overview(case):
    shown, site = open_browser(case), Site(case)
    shown.look(1000)
    shown.cdp("Emulation.setEmulatedMedia", media="print")
    shown.go(site.url + "twenty-broken")
    assert shown.run("return getComputedStyle(document.querySelector('nav')).display") == "none"
    assert shown.run("return document.querySelector('.relay').offsetHeight") > 100


def test_midrelay_serves_it(case):
    m = start(case)
    headers, body = get(m.where)
    assert headers["content-type"] == "text/html; charset=utf-8", headers
    Document(body.decode("utf-8"))
    shown = open_browser(case)
    shown.requests()
    shown.look(400)
    shown.go("http://%s/" % m.where)
    page = shown.run(READ)
    assert page["title"].endswith(" acme works - midrelay"), page["title"]
    words = [text["text"] for text in page["texts"]]
    for word in ("direct", "works", "CN=mid-one", "connections so far"):
        assert word in words or [w for w in words if w.startswith(word)], (word, words)
    assert page["width"] <= 400 and shown.console() == [], page["width"]
    asked = shown.requests()
    assert asked == ["http://%s/" % m.where], asked
    shown.close()
    m.assert_ends_clean()


if __name__ == "__main__":
    harness.main()
