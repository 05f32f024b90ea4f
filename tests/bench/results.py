"""
Figures of a run, or of several: the table, the targets, and how they are kept and written.
"""

import json
import os
import statistics

from machine import busy_sentence
from measures import MEASURES, TARGETS

FORMAT = 1
BEGIN, END = "<!-- tests/bench/run --write: begin -->", "<!-- tests/bench/run --write: end -->"
WITHOUT_CONNECT = ("haproxy", "nginx", "midrelay-direct")


def short(figure):
    return "%.0f" % figure if abs(figure) >= 100 else "%.1f" % figure if abs(figure) >= 10 else "%.2f" % figure


class Results:
    """What is written as JSON, and what is made of it.

    values: {row: {relay: figures}}; failures and absent: {measure: {relay: sentences}}."""

    def __init__(self, kinds=(), **about):
        self.relays = [kind.name for kind in kinds]
        self.about = about
        self.values, self.failures, self.absent = {}, {}, {}
        self.took = {}      # seconds of each measure's rounds

    def add(self, rows, kind, outcome):
        figures = outcome if isinstance(outcome, tuple) else (outcome,)
        for row, figure in zip(rows, figures):
            self.values.setdefault(row, {}).setdefault(kind.name, []).append(round(figure, 6))

    def fail(self, measure, kind, why):
        self.failures.setdefault(measure, {}).setdefault(kind.name, []).append(why)

    def leave_out(self, measure, kind, why):
        self.absent.setdefault(measure, {})[kind.name] = [why]

    def write(self, path):
        with open(path, "w") as out:
            json.dump({"format": FORMAT, "relays": self.relays, "about": self.about, "values": self.values,
                       "failures": self.failures, "absent": self.absent, "took": self.took}, out, indent=1,
                      ensure_ascii=False)
            out.write("\n")

    @classmethod
    def read(cls, path):
        with open(path) as file:
            kept = json.load(file)
        if kept.get("format") != FORMAT:
            raise ValueError("%s is not a result of this tests/bench/run" % path)
        results = cls()
        results.relays, results.about = kept["relays"], kept["about"]
        results.values, results.failures, results.absent = kept["values"], kept["failures"], kept["absent"]
        return results

    def median(self, row, relay):
        figures = self.values.get(row, {}).get(relay)
        return statistics.median(figures) if figures else None

    def ratio(self, row, relay, base):
        """Of medians; of several runs the median of each run's ratio."""
        if "ratios" in self.about:
            ratios = self.about["ratios"].get(row, {}).get("%s/%s" % (relay, base))
            return statistics.median(ratios) if ratios else None
        figure, against = self.median(row, relay), self.median(row, base)
        return figure / against if figure is not None and against else None

    def cell(self, measure, row, relay):
        failed = self.failures.get(measure, {}).get(relay)
        figures = self.values.get(row, {}).get(relay)
        if not figures:
            return "failed" if failed else "–" if self.absent.get(measure, {}).get(relay) else ""
        text = short(statistics.median(figures))
        if len(figures) > 1:
            text += " (%s–%s)" % (short(min(figures)), short(max(figures)))
        ratio = self.ratio(row, relay, "stunnel") if relay != "stunnel" else None
        text += " %.2f×" % ratio if ratio is not None else ""
        return text + (" %d failed" % len(failed) if failed else "")

    def table(self):
        head = ["measure"] + [name + (" *" if name in WITHOUT_CONNECT else "") for name in self.relays]
        lines = [head]
        for name, _, rows, _ in MEASURES:
            for row in rows:
                if row in self.values or name in self.failures or name in self.absent:
                    lines.append([row] + [self.cell(name, row, relay) for relay in self.relays])
        return lines

    def targets(self):
        """(lines of a table, how many are missed); the bound's figure stands beside, where it was measured."""
        lines, missed = [["target of midrelay", "limit", "measured", "of the bound", ""]], 0
        for row, base, limit in TARGETS:
            measure = next(name for name, _, rows, _ in MEASURES if row in rows)
            figure = self.ratio(row, "midrelay", base) if base else self.median(row, "midrelay")
            why = self.absent.get(measure, {}).get("midrelay")
            if figure is None and not why and measure not in self.failures:
                continue
            met = figure is not None and figure <= limit
            missed += not met
            sign, bound = ("× %s" % base if base else ""), self.ratio(row, "midrelay", "bare")
            lines.append([row, "≤ %s%s" % (("%.2f" if base else "%g") % limit, sign),
                          "–" if figure is None else ("%.2f" % figure + "×" if base else short(figure)),
                          "" if bound is None else "%.2f×" % bound,
                          "met" if met else "missed: %s" % why[0] if why else "missed"])
        return lines, missed

    def notes(self):
        about = self.about
        versions = ", ".join("%s %s" % pair if pair[1] else pair[0] for pair in about["versions"].items())
        machine = about["machine"]
        lines = ["%s; OpenSSL %s, TLS 1.3; %s, Linux %s; %d CPUs (%s); %s%s." % (
                     versions, machine["openssl"], machine["system"], machine["kernel"], machine["cpus"],
                     machine["cpu"], about["dates"] if "dates" in about else machine["date"],
                     ", --quick" if about.get("quick") else "")]
        if "runs" in about:
            lines.append("Medians of %d runs, of each its median (least–most of the runs); × = ratio to stunnel in "
                         "the same run; CPU is user+sys of the relay's process tree." % about["runs"])
        else:
            lines.append("Medians of %d round%s, %d for what is counted (least–most); × = ratio to stunnel; CPU is "
                         "user+sys of the relay's process tree." % (
                             about["rounds"], "" if about["rounds"] == 1 else "s", about["counted_rounds"]))
        if about.get("options"):
            lines.append("midrelay with %s." % ", ".join("%s = %s" % tuple(option) for option in about["options"]))
        if set(self.relays) & set(WITHOUT_CONNECT):
            lines.append("* without CONNECT: straight to the server, which is less work.")
        if "bare" in self.relays:
            lines.append("bare: the bound, a loop of epoll and OpenSSL without time-outs, log or half-close.")
        for measure, relay, why in self._sentences(self.absent):
            if relay == "midrelay":
                lines.append("–: %s: %s." % (measure, why))
        lines.append(busy_sentence(about["busy"]))
        return lines

    def failed(self):
        return ["FAILED: %s, %s: %s" % (relay, measure, why) for measure, relay, why in
                self._sentences(self.failures)]

    @staticmethod
    def _sentences(kept):
        return [(measure, relay, whys[0]) for measure, relays in kept.items() for relay, whys in relays.items()]


def merge(several):
    """One of several runs: the figures are the runs' medians, the ratios each run's own."""
    first = several[0]
    merged = Results(**{**first.about, "runs": len(several), "ratios": {},
                        "dates": ", ".join(sorted({run.about["machine"]["date"] for run in several})),
                        "quick": any(run.about.get("quick") for run in several),
                        "busy": {key: max(run.about["busy"][key] for run in several) for key in first.about["busy"]}})
    merged.relays = first.relays + [name for run in several for name in run.relays if name not in first.relays]
    merged.relays = list(dict.fromkeys(merged.relays))
    for run in several:
        for row, figures in run.values.items():
            for relay in figures:
                merged.values.setdefault(row, {}).setdefault(relay, []).append(run.median(row, relay))
                for base in figures:
                    ratio = run.ratio(row, relay, base)
                    if ratio is not None:
                        merged.about["ratios"].setdefault(row, {}).setdefault("%s/%s" % (relay, base),
                                                                              []).append(ratio)
        for kept, into in ((run.failures, merged.failures), (run.absent, merged.absent)):
            for measure, relays in kept.items():
                for relay, whys in relays.items():
                    into.setdefault(measure, {}).setdefault(relay, []).extend(whys)
    different = [run.about["versions"] for run in several if run.about["versions"] != first.about["versions"]]
    return merged, bool(different)


def aligned(table):
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in table)


def markdown_table(table):
    lines = ["| %s |" % " | ".join(cell.replace(" *", " \\*") for cell in line) for line in table]
    return "\n".join([lines[0], "| %s |" % " | ".join(["---"] * len(table[0]))] + lines[1:])


def text(results):
    targets, missed = results.targets()
    parts = [aligned(results.table())]
    if len(targets) > 1:
        parts += [aligned(targets), "targets: %d met, %d missed" % (len(targets) - 1 - missed, missed)]
    return "\n\n".join(parts + ["\n".join(results.notes())])


def markdown(results):
    targets, missed = results.targets()
    parts = [markdown_table(results.table())]
    if len(targets) > 1:
        parts += [markdown_table(targets), "Targets: %d met, %d missed." % (len(targets) - 1 - missed, missed)]
    parts.append("\n".join(("\\" if line[0] == "*" else "") + line + "\\" for line in results.notes()).rstrip("\\"))
    return "\n\n".join(parts + ["\n".join("- " + line for line in results.failed())]).strip() + "\n"


def write_between_markers(path, body):
    """Puts it between the markers of a document; all else stays."""
    with open(path) as file:
        document = file.read()
    if document.count(BEGIN) != 1 or document.count(END) != 1 or document.index(BEGIN) > document.index(END):
        raise ValueError("%s has no place between %s and %s" % (path, BEGIN, END))
    head, tail = document.split(BEGIN)[0], document.split(END)[1]
    with open(path + ".new", "w") as out:
        out.write("%s%s\n\n%s\n%s%s" % (head, BEGIN, body, END, tail))
    os.chmod(path + ".new", os.stat(path).st_mode & 0o777)
    os.replace(path + ".new", path)
