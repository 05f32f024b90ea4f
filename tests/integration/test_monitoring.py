#!/usr/bin/python3
"""Proves that alert rules, dashboard, operating guide and the index of doc/ name what there is, and that rules fire."""

import json
import os
import re
import shutil
import subprocess

import harness
from harness import BINARY, LIMIT, TOP, WRAPPER, Skip, ask, wait_until

RULES = os.path.join(TOP, "contrib", "prometheus", "midrelay-alerts.yml")
RULE_TESTS = os.path.join(TOP, "tests", "prometheus", "midrelay-alerts-test.yml")
DASHBOARD = os.path.join(TOP, "contrib", "grafana", "midrelay-dashboard.json")
DOC = os.path.join(TOP, "doc")
OF_THE_PROCESS = {"MidrelayDown", "MidrelayAbsent", "MidrelayReloadFailed", "MidrelayDescriptorsNearlyExhausted",
                  "MidrelayConnectionsNearlyExhausted", "MidrelayLoopLate"}
# What Prometheus adds by itself.
ADDED = {"job", "instance"}
VARIABLES = {"$instance": ".*", "$relay": ".*", "$__rate_interval": "5m"}


def read(*names):
    with open(os.path.join(*names)) as file:
        return file.read()


def run(argv, **keys):
    return subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, stdin=subprocess.DEVNULL, **keys)


def promtool(*args):
    if not shutil.which("promtool"):
        raise Skip("promtool is not installed")
    done = run(["promtool", *args])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def documented():
    """Each metric of doc/metrics.md with its labels."""
    metrics = {"up": set()}
    for row in re.findall(r"^\| (`.*?) \| (\w+) \|", read(DOC, "metrics.md"), re.M):
        for name, labels in re.findall(r"`(\w+)(?:\{([\w,]+)\})?`", row[0]):
            found = set(labels.split(",")) if labels else set()
            metrics[name] = found
            if row[1] == "histogram":
                metrics.update({name + "_sum": found, name + "_count": found, name + "_bucket": found | {"le"}})
    assert len(metrics) > 30, sorted(metrics)
    return metrics


def assert_known(expression, metrics):
    """Every metric in a PromQL expression, or a label_values() of Grafana, and every label asked of it, is documented."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    names = re.findall(r"\b(?:midrelay|process)_\w+|\bup\b", bare)
    assert names, expression
    for name in names:
        assert name in metrics, "%s in %s" % (name, expression)
    for name, selector in re.findall(r"(\w+)\{(.*?)\}", bare):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
        assert labels <= metrics[name] | ADDED, "%s%s" % (name, labels)
    possible = set().union(*(metrics[name] for name in names)) | ADDED
    for group in re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", bare):
        labels = {label.strip() for label in group.split(",")}
        assert labels <= possible, (labels - possible, expression)


def rules():
    """(name, expression, the whole text) of each alert."""
    found = []
    for text in re.split(r"^      - alert: ", read(RULES), flags=re.M)[1:]:
        expression = re.search(r"expr:(.*?)^        \w+:", text, re.S | re.M).group(1)
        found.append((text.split("\n")[0], " ".join(expression.replace(">-", "").split()), text))
    assert len(found) > 10
    return found


def test_rules_fire_when_they_should(case):
    assert "SUCCESS" in promtool("check", "rules", RULES)
    assert "SUCCESS" in promtool("test", "rules", RULE_TESTS)


def test_every_rule_is_tested_and_explained(case):
    tests, guide = read(RULE_TESTS), read(DOC, "operating.md")
    fires = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:", tests))
    silent = set(re.findall(r"eval_time: \w+, alertname: (\w+) \}", tests))
    names = [name for name, _, _ in rules()]
    assert len(set(names)) == len(names)
    assert fires == set(names), fires ^ set(names)
    assert silent == set(names), silent ^ set(names)
    listed = set(re.findall(r"`(Midrelay\w+)`", guide))
    assert listed == set(names), listed ^ set(names)


def test_rules_ask_for_metrics_that_there_are(case):
    metrics = documented()
    for _, expression, text in rules():
        assert_known(expression, metrics)
        for query in re.findall(r'printf "(midrelay_[^}]*\})"', text):
            assert_known(query.replace("%q", '""'), metrics)


def test_every_alert_says_what_to_do_first(case):
    for name, _, text in rules():
        assert re.search(r"severity: (critical|warning|info) ", text), name
        assert "summary:" in text and "description:" in text, name
        first = re.search(r"[Ff]irst: (.*)", " ".join(text.split())).group(1)
        assert "`midrelay " in first or "`systemctl " in first, name
        if name not in OF_THE_PROCESS:
            assert "$labels.relay" in text, name
        for code in re.findall(r"`midrelay\s+explain\s+([a-z-]+)`", " ".join(text.split())):
            assert run(WRAPPER + [BINARY, "explain", code]).returncode == 0, (name, code)


def panels():
    dashboard = json.loads(read(DASHBOARD))
    return dashboard, [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_dashboard_is_whole(case):
    dashboard, shown = panels()
    assert dashboard["schemaVersion"] >= 36 and dashboard["title"] == "midrelay" and dashboard["uid"]
    variables = [variable["name"] for variable in dashboard["templating"]["list"]]
    assert variables == ["datasource", "instance", "relay"], variables
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    taken = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    for panel in shown:
        assert panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"], panel
        assert panel["datasource"]["uid"] == "${datasource}" and panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert '"$instance"' in target["expr"] or "build_info" in target["expr"], target
    assert len({panel["title"] for panel in shown}) == len(shown)


def test_dashboard_asks_for_metrics_that_there_are(case):
    metrics = documented()
    dashboard, shown = panels()
    for panel in shown:
        for target in panel["targets"]:
            assert_known(target["expr"], metrics)
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert label in ADDED or any(label in metrics[name] for name in metrics if name in target["expr"])
    for variable in dashboard["templating"]["list"][1:]:
        assert_known(variable["query"]["query"], metrics)
    used = " ".join(target["expr"] for panel in shown for target in panel["targets"])
    for name in ("path_up", "connections_open", "dials_total", "dial_stage_seconds_bucket", "bytes_total",
                 "ready_hits_total", "certificate_expiry_timestamp_seconds", "inspections_total",
                 "config_last_reload_successful", "loop_lag_seconds"):
        assert "midrelay_" + name in used, name
    assert "process_open_fds" in used


def test_dashboard_speaks_promql(case):
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    for panel in panels()[1]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            assert "$" not in expression, expression
            lines += ["      - record: a:%d%s" % (panel["id"], target["refId"]), "        expr: '%s'" % expression]
    assert "SUCCESS" in promtool("check", "rules", case.write("dashboard.yml", "\n".join(lines) + "\n"))


def test_metrics_of_a_running_midrelay_are_those_of_the_rules(case):
    m = case.start({"midrelay": {"status": "127.0.0.1:0"}, "relay acme": case.keys(case.instance())})
    where = m.wait_event("status-listening")["address"]
    with m.connect() as sock:
        assert ask(sock).status == 200
    wait_until(lambda: m.events("session"), "the session's end")
    text = run(["curl", "-sS", "--noproxy", "*", "http://%s/metrics" % where]).stdout
    there = set(re.findall(r"^(\w+)", text, re.M)) | {"up"}
    asked = {name for _, expression, _ in rules() for name in re.findall(r"\b(?:midrelay|process)_\w+", expression)}
    asked |= {name for panel in panels()[1] for target in panel["targets"]
              for name in re.findall(r"\b(?:midrelay|process)_\w+", target["expr"])}
    # There only as long as a path fails.
    assert asked - there <= {"midrelay_path_failing"}, asked - there
    m.assert_ends_clean()


def commands(guide):
    """The lines of its sh blocks, without comments."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```$", guide, re.S | re.M):
        for line in block.splitlines():
            yield re.sub(r"\s+# .*", "", line.strip())


def test_commands_of_the_operating_guide_work(case):
    """Those of midrelay and promtool are run, beside a midrelay that runs; the others are at least well-formed."""
    m = case.start({"midrelay": {"status": "127.0.0.1:0"}, "relay acme": case.keys(case.instance())})
    where = m.wait_event("status-listening")["address"]
    with open(m.config) as file:
        text = file.read()
    config = case.write("midrelay.ini", re.sub(r"(status *= *).*", r"\g<1>" + where, text))
    bundle = case.pki["client-bundle.pem"]
    ran = []
    for line in commands(read(DOC, "operating.md")):
        assert run(["sh", "-n", "-c", line]).returncode == 0, line
        if line.startswith("promtool"):
            promtool(*[os.path.join(TOP, word) if "/" in word else word for word in line.split()[1:]])
            continue
        for part in line.split(" && "):
            words = part.replace(">/dev/null", "").split()
            if words[0] != "midrelay" or "--watch" in words:
                continue
            if words[1:3] == ["bundle", "make"]:
                words = words[1:3] + ["-o", case.path("new.pem"), bundle]
            else:
                words = [word.replace("/etc/midrelay/new.pem", bundle) for word in words[1:]]
            if words[0] in ("status", "check", "config"):
                words += ["-c", config]
            done = run(WRAPPER + [BINARY] + words)
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            ran.append(words[0])
    assert {"status", "check", "config", "explain", "bundle", "--version"} <= set(ran), ran
    m.assert_ends_clean()


def test_the_index_lists_every_document(case):
    index = read(DOC, "README.md")
    linked = set(re.findall(r"\]\(([^)#]+)\)", index))
    for name in os.listdir(DOC):
        if name != "README.md" and not name.startswith("."):
            assert name in linked, "doc/README.md does not list " + name
    for name in linked:
        assert os.path.exists(os.path.join(DOC, name)), "doc/README.md lists %s, which is not there" % name


def test_links_of_the_operating_guide_lead_somewhere(case):
    for name in re.findall(r"\]\(([^)#:]+)\)", read(DOC, "operating.md")):
        assert os.path.exists(os.path.join(DOC, name)), name


if __name__ == "__main__":
    harness.main()
