# SPDX-License-Identifier: MIT
"""Grafana's files: whether they hold together, and what their panels ask for."""
import glob
import json
import os
import re
import subprocess
import tempfile

import yaml

PANELS = {"row", "stat", "timeseries", "table", "heatmap", "state-timeline", "logs"}
# What Grafana puts in place of its variables.
VARIABLES = {"$__rate_interval": "1m", "$__range": "1h", "$service": ".*", "$node": ".*"}


def _load(deploy):
    for path in sorted(glob.glob(os.path.join(deploy, "grafana", "dashboards", "*.json"))):
        with open(path, encoding="utf-8") as file:
            yield os.path.basename(path), json.load(file)


def _sources(deploy):
    found = {}
    for path in glob.glob(os.path.join(deploy, "grafana", "provisioning", "datasources", "*.yml")):
        with open(path, encoding="utf-8") as file:
            for source in yaml.safe_load(file)["datasources"]:
                found[source["uid"]] = source["type"]
    return found


def _targets(deploy, kind):
    for _, board in _load(deploy):
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                if target["datasource"]["type"] == kind:
                    yield panel["title"], _plain(target["expr"])
        if kind == "prometheus":
            for note in board["annotations"]["list"]:
                yield note["name"], _plain(note["expr"])


def _plain(expression):
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def expressions(deploy):
    """(panel, PromQL) with the variables filled in."""
    return _targets(deploy, "prometheus")


def log_queries(deploy):
    """(panel, LogQL)."""
    return _targets(deploy, "loki")


def _overlaps(panels):
    taken = {}
    for panel in panels:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if (x, y) in taken or x >= 24:
                    yield f"{panel['title']} lies over {taken.get((x, y), 'the edge')}"
                    return
                taken[(x, y)] = panel["title"]


def _flaws(board, sources):
    ids = [panel["id"] for panel in board["panels"]]
    if len(set(ids)) != len(ids):
        yield "two panels have one id"
    yield from _overlaps(board["panels"])
    for panel in board["panels"]:
        title = panel["title"]
        if panel["type"] not in PANELS:
            yield f"{title}: {panel['type']} is no panel we know"
        if panel["type"] == "row":
            continue
        if not panel.get("description"):
            yield f"{title}: says nothing of itself"
        if not panel["targets"]:
            yield f"{title}: asks for nothing"
        for target in panel["targets"]:
            if sources.get(target["datasource"]["uid"]) != target["datasource"]["type"]:
                yield f"{title}: {target['datasource']} is not provisioned"
            if "$" in _plain(target["expr"]):
                yield f"{title}: {target['expr']} uses a variable that is none"
    for variable in board["templating"]["list"]:
        if sources.get(variable["datasource"]["uid"]) != "prometheus":
            yield f"variable {variable['name']}: no datasource"


def _check_promql(report, deploy):
    """promtool reads every panel's expression, as a rule of a file that nobody keeps."""
    found = list(expressions(deploy))
    rules = {"groups": [{"name": "panels", "rules": [
        {"record": f"panel:{number}", "expr": expression}
        for number, (_, expression) in enumerate(found)]}]}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "panels.yml")
        with open(path, "w", encoding="utf-8") as out:
            yaml.safe_dump(rules, out)
        done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True,
                              timeout=60)
    report.point("every panel's expression is PromQL", len(found) > 40 and done.returncode == 0,
                 done.stdout + done.stderr)


def check(report, deploy):
    sources = _sources(deploy)
    report.point("Prometheus and Loki are provisioned",
                 {"prometheus", "loki"} <= set(sources.values()), sources)
    for path in glob.glob(os.path.join(deploy, "grafana", "provisioning", "dashboards", "*.yml")):
        with open(path, encoding="utf-8") as file:
            providers = yaml.safe_load(file)["providers"]
        report.point("dashboards come from files", all(
            one["type"] == "file" and one["options"]["path"] for one in providers))
    for name, board in _load(deploy):
        flaws = list(_flaws(board, sources))
        report.point(f"{name} holds together", board["uid"] and not flaws, "\n".join(flaws))
        wanted = {"traffic", "errors", "latency", "limits", "breakers", "sign-ins", "money",
                  "audit", "store", "alerts"}
        titles = " ".join(panel["title"] for panel in board["panels"]).lower()
        missing = {word for word in wanted if not re.search(rf"\b{word}\b", titles)}
        report.point(f"{name} shows what an operator asks for", not missing, missing)
    _check_promql(report, deploy)
