# SPDX-License-Identifier: MIT
"""promtail's stages, run over real lines of the program. promtail itself is no package of Debian's;
its JSON stage is JMESPath, which is (python3-jmespath), and the other stages used are small enough
to do as its manual says: timestamp, template with one known form, labels."""
import json
import os
import re

import jmespath
import yaml

import dashboards

STAGES = ("json", "timestamp", "template", "labels")
# {{ if .NAME }}{{ trunc 1 .NAME }}xx{{ end }}: trunc is Sprig's, and so would slice be, which takes
# no text there.
TEMPLATE = re.compile(r"\{\{ if \.(\w+) \}\}\{\{ trunc 1 \.(\w+) \}\}(\w*)\{\{ end \}\}")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
CARDINALITY_MAX = 24
ACCESS_FIELDS = {"ts", "level", "event", "method", "path", "route", "status_code", "duration_ms",
                 "request_id", "trace_id", "client", "service", "compliance", "mtls_subject"}


def _load(deploy, name):
    with open(os.path.join(deploy, name, name + ".yml"), encoding="utf-8") as file:
        return yaml.safe_load(file)


def _json_stage(settings, line, extracted):
    try:
        value = json.loads(line)
    except ValueError:
        return
    for name, expression in settings["expressions"].items():
        found = jmespath.search(expression or name, value)
        if found is not None:
            extracted[name] = found


def _template_stage(settings, extracted):
    match = TEMPLATE.fullmatch(settings["template"])
    assert match and match[1] == match[2], f"a template that the test does not know: {settings}"
    value = extracted.get(match[1])
    if value is not None:
        extracted[settings["source"]] = str(value)[:1] + match[3]


def run_stages(stages, line):
    """(labels, all that was extracted, whether the line's own time was taken) of a line."""
    extracted, labels, timed = {}, {}, False
    for stage in stages:
        (kind, settings), = stage.items()
        if kind == "json":
            _json_stage(settings, line, extracted)
        elif kind == "template":
            _template_stage(settings, extracted)
        elif kind == "timestamp":
            assert settings["format"] in ("RFC3339", "RFC3339Nano")
            timed = bool(RFC3339.fullmatch(str(extracted.get(settings["source"], ""))))
        elif kind == "labels":
            for name, source in settings.items():
                if (source or name) in extracted:
                    labels[name] = extracted[source or name]
    return labels, extracted, timed


def _check_access(report, stages, lines):
    requests = [line for line in lines if json.loads(line)["event"] == "http_request"]
    fields = set.intersection(*(set(json.loads(line)) for line in requests))
    report.point("an access line has the contract's fields",
                 len(requests) > 5 and ACCESS_FIELDS <= fields, ACCESS_FIELDS - fields)
    wanted = set(next(stage["json"]["expressions"] for stage in stages if "json" in stage))
    got = set.intersection(*(set(run_stages(stages, line)[1]) for line in requests))
    report.point("every expression finds its field in every access line", wanted <= got,
                 wanted - got)
    wrong = [line for line in requests if run_stages(stages, line)[0] != {
        "level": "info", "event": "http_request", "service": json.loads(line)["service"],
        "method": json.loads(line)["method"],
        "status_class": f"{json.loads(line)['status_code'] // 100}xx"}]
    report.point("an access line gets its labels", not wrong, "\n".join(wrong[:3]))


def _check_labels(report, stages, lines):
    values, untimed, labelled = {}, [], 0
    for line in lines:
        labels, _, timed = run_stages(stages, line)
        untimed += [] if timed else [line]
        labelled += {"level", "event"} <= set(labels)
        for name, value in labels.items():
            values.setdefault(name, set()).add(str(value))
    report.point("every line brings its time", lines and not untimed, "\n".join(untimed[:3]))
    report.point("every line has a level and an event", labelled == len(lines))
    many = {name: len(found) for name, found in values.items() if len(found) > CARDINALITY_MAX}
    report.point("labels have few values", not many, many)
    loose = {value for found in values.values() for value in found
             if re.search(r"[/@.]|\d{4}|[0-9a-f]{8}-", value)}
    report.point("no label holds a path, a person or an id", not loose, loose)
    report.point("a line that is no JSON passes without labels",
                 run_stages(stages, "portcullis 1.0 answers on") == ({}, {}, False))


def _check_queries(report, deploy, stages, static, lines):
    """Panels ask Loki for labels that promtail gives and for fields that lines have."""
    known = set(static) | {name for stage in stages for name in stage.get("labels", {})}
    fields = {name for line in lines for name in json.loads(line)}
    bad, count = [], 0
    for panel, query in dashboards.log_queries(deploy):
        count += 1
        selector, _, rest = query.partition("}")
        bad += [f"{panel}: label {name}" for name in re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selector)
                if name not in known]
        bad += [f"{panel}: field {name}" for name in re.findall(r"(\w+)\s*(?:>=|<=|>|<|==)", rest)
                if name not in fields]
    report.point("the panels' log queries fit", count and not bad, "\n".join(bad))


def _check_loki(report, deploy, static, stages):
    loki, promtail = _load(deploy, "loki"), _load(deploy, "promtail")
    port = loki["server"]["http_listen_port"]
    urls = [client["url"] for client in promtail["clients"]]
    report.point("promtail pushes where Loki listens",
                 urls == [f"http://127.0.0.1:{port}/loki/api/v1/push"], urls)
    schema = loki["schema_config"]["configs"]
    report.point("Loki's schema is the present one", all(
        one["store"] == "tsdb" and one["schema"] == "v13" and one["index"]["period"] == "24h"
        for one in schema) and
        loki["compactor"]["delete_request_store"] == schema[0]["object_store"])
    labels = len(set(static) | {name for stage in stages for name in stage.get("labels", {})}) + 1
    report.point("Loki takes as many labels as promtail gives",
                 labels <= loki["limits_config"]["max_label_names_per_series"], labels)


def check(report, deploy, world):
    job = _load(deploy, "promtail")["scrape_configs"][0]
    stages = job["pipeline_stages"]
    kinds = [kind for stage in stages for kind in stage]
    report.point("the stages are those that the test can run", set(kinds) <= set(STAGES), kinds)
    static = {name for name in job["static_configs"][0]["labels"] if not name.startswith("__")}
    lines = world.lines()
    static.add("filename")
    _check_access(report, stages, lines)
    _check_labels(report, stages, lines)
    _check_queries(report, deploy, stages, static, lines)
    _check_loki(report, deploy, static - {"filename"}, stages)
