"""Reads the message pairs of tests/http; README.md has the format."""
import pathlib
import re

MARKS = {">": "client_sends", ">>": "target_gets", "<": "target_sends", "<<": "client_gets"}
FAULTS = {"!>": "client_fault", "!<": "target_fault", "=": "state"}
ESCAPE = re.compile(rb"\\(?:([rnt\\])|x([0-9a-f]{2})|\((\d+) (.)\))")
SINGLE = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}


class Case:
    """One connection; what may be None was left out and has no default."""

    def __init__(self, name):
        self.name = name
        self.client_sends = self.target_sends = b""
        self.target_gets = self.client_gets = None
        self.client_fault = self.target_fault = None
        self.state = ""

    def complete(self):
        if self.target_gets is None:
            self.target_gets = b"" if self.client_fault else self.client_sends.replace(
                b"Host: 127.0.0.1:8080\r\n", b"Host: acme.service-now.com\r\n")
        if self.client_gets is None:
            self.client_gets = b"" if self.target_fault else self.target_sends


def line_bytes(text):
    def plain(match):
        single, byte, count, char = match.groups()
        if single:
            return SINGLE[single]
        return bytes.fromhex(byte.decode()) if byte else char * int(count)

    text = text.encode()
    # A backslash at the very end that does not belong to a pair.
    if len(re.search(rb"\\*$", text)[0]) % 2:
        return ESCAPE.sub(plain, text[:-1])
    return ESCAPE.sub(plain, text) + b"\r\n"


def read(path):
    case = None
    for line in path.read_text().splitlines():
        mark, _, rest = line.partition(" ")
        if mark == "==":
            if case:
                case.complete()
                yield case
            case = Case(f"{path.stem}/{rest}")
        elif mark in MARKS:
            key = MARKS[mark]
            setattr(case, key, (getattr(case, key) or b"") + line_bytes(rest))
        elif mark in FAULTS:
            setattr(case, FAULTS[mark], rest)
    if case:
        case.complete()
        yield case


def read_all(directory=pathlib.Path(__file__).parent):
    return [case for path in sorted(directory.glob("*.cases")) for case in read(path)]
