"""What README.md and doc/ tell a reader to type: their blocks of commands, for the tests that type them."""

import os
import re
import textwrap

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FENCE = re.compile(r"^( *)```(sh|console)\n(.*?)^\1```$", re.S | re.M)


class Block:
    def __init__(self, page, heading, number, kind, text):
        self.page, self.heading, self.number, self.kind = page, heading, number, kind
        self.text = textwrap.dedent(text)

    def lines(self):
        return self.text.splitlines()

    def commands(self):
        """As they are pasted, one of several lines as one; of a console what stands behind the prompt."""
        text = self.text.replace("\\\n", "\\\0")
        found = [line.replace("\0", "\n") for line in text.splitlines()]
        if self.kind == "console":
            found = [line[2:] for line in found if line.startswith("$ ")]
        return [line for line in found if line.strip()]

    def __str__(self):
        return "%s, \"%s\", block %d" % (self.page, self.heading, self.number)


def pages():
    return ["README.md"] + sorted("doc/" + name for name in os.listdir(os.path.join(TOP, "doc")) if name.endswith(".md"))


def read(page):
    with open(os.path.join(TOP, page), encoding="utf-8") as file:
        return file.read()


def blocks(page):
    """In their order; `number` counts from 0 under each heading."""
    text = read(page)
    # A comment in a block looks like a heading.
    bare = re.sub(r"^( *)```.*?^\1```$", lambda match: re.sub("[^\n]", " ", match[0]), text, flags=re.S | re.M)
    headings = [(match.start(), match[1]) for match in re.finditer(r"^#+ (.+)$", bare, re.M)]
    found = []
    for match in FENCE.finditer(text):
        heading = [title for start, title in headings if start < match.start()][-1]
        number = sum(block.heading == heading for block in found)
        found.append(Block(page, heading, number, match[2], match[3]))
    return found


def under(page, heading):
    found = [block for block in blocks(page) if block.heading == heading]
    assert found, "%s has no commands under \"%s\"" % (page, heading)
    return found
