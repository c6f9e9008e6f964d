# SPDX-License-Identifier: MIT
"""Dockerfile, docker-compose.yml and the manifests for Kubernetes: read and held against each
other, the program, deploy/, and what others know of such files. Nothing here runs in a
container."""
import copy
import glob
import json
import os
import re
import tempfile

import yaml

from tap import ROOT, run

SERVICES = {"gateway": 8000, "auth": 8001, "account": 8002, "transaction": 8003, "audit": 8004,
            "monitoring": 8005}
# What differs between a machine where all listen on loopback and containers.
PLACES = {"127.0.0.1:9093": "alertmanager:9093", "127.0.0.1:8005": "monitoring:8005",
          "127.0.0.1:8001": "auth:8001", "127.0.0.1:3100": "loki:3100",
          "127.0.0.1:9090": "prometheus:9090",
          "http_listen_address: 127.0.0.1": "http_listen_address: 0.0.0.0",
          "secrets/portcullis-client-secret": "/run/secrets/alertmanager_client",
          "/var/log/portcullis/*.log": "/var/log/portcullis/*/*.log"}


def text_of(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def good_settings(report, what, text):
    """The program itself says whether it would start with them."""
    with tempfile.TemporaryDirectory() as folder:
        secret = os.path.join(folder, "secret")
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write(os.urandom(48).hex() + "\n")
        path = os.path.join(folder, "portcullis.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub(r"\njwt:\n.*\n", "\n", text))
        program = os.environ.get("PORTCULLIS", os.path.join(ROOT, "build/portcullis"))
        report.command(what, program, "check", "--config", path, env={
            "JWT_SECRET_KEY_FILE": secret, "JWT_SECRET_KEY": "", "DATABASE_URL": ""})


def check(report):
    check_image(report)
    check_compose(report)
    check_kubernetes(report)
    check_schemas(report)


def manifests():
    return [thing for path in sorted(glob.glob(os.path.join(ROOT, "packaging/kubernetes/*")))
            for thing in yaml.safe_load_all(text_of(path)) if thing]


def check_schemas(report):
    """By parts that others keep; a kustomization is no object of the API and has no schema there.
    Each is also shown a file with a mistake, which it must name."""
    good = {"dockerfile": text_of("Dockerfile"),
            "compose": yaml.safe_load(text_of("docker-compose.yml")),
            "kubernetes": [one for one in manifests() if one["kind"] != "Kustomization"]}
    bad = copy.deepcopy(good)
    bad["dockerfile"] = good["dockerfile"].replace("\nUSER 10001:10001", "\nUSERS 10001:10001")
    bad["compose"]["services"]["gateway"]["mem_limits"] = "1g"
    deployments = [one for one in bad["kubernetes"] if one["kind"] == "Deployment"]
    deployments[0]["spec"]["template"]["spec"]["runAsNonRoot"] = True
    deployments[1]["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = "x"
    said = [run("node", "tests/packages/schemas.mjs", input=json.dumps(one)) for one in (good, bad)]
    report.point("a linter of Dockerfiles and the schemas of Compose and Kubernetes find no fault",
                 said[0].returncode == 0 and said[0].stdout == "", said[0].stdout + said[0].stderr)
    for what, words in (("an instruction of a Dockerfile", r"dockerfile:\d+: Unknown instruction"),
                        ("a key of Compose", r"compose: /services/gateway .*mem_limits"),
                        ("a member of an object", r"kubernetes: .*runAsNonRoot.* does not exist"),
                        ("a value of an object", r"Deployment \S+: .*containerPort must be")):
        report.point(f"and they know a mistake: {what}", re.search(words, said[1].stdout),
                     said[1].stdout + said[1].stderr)


def check_image(report):
    text = text_of("Dockerfile")
    froms = re.findall(r"^FROM (\S+)", text, re.M)
    last = text[text.rindex("\nFROM "):]
    report.point("the image: two stages, a base with a version, no root, a health check",
                 len(froms) == 2 and all(":" in one and "latest" not in one for one in froms) and
                 re.search(r"^USER 10001:10001$", last, re.M) and "\nHEALTHCHECK " in last and
                 last.rindex("USER ") < last.rindex("ENTRYPOINT"), text)
    # soname -> package, of what the program itself asks for; glibc is in every image
    names = {"libuv.so.1": "libuv1", "libssl.so.3": "libssl3", "libcrypto.so.3": "libssl3",
             "libpq.so.5": "libpq5", "libsqlite3.so.0": "libsqlite3-0",
             "libcyaml.so.1": "libcyaml1", "libnghttp2.so.14": "libnghttp2-14",
             "libargon2.so.1": "libargon2-1", "libcrack.so.2": "libcrack2",
             "libhiredis.so.0.14": "libhiredis0.14", "libyaml-0.so.2": "libyaml-0-2",
             "libseccomp.so.2": "libseccomp2"}
    program = os.environ.get("PORTCULLIS", os.path.join(ROOT, "build/portcullis"))
    linked = set(re.findall(r"NEEDED +(\S+)", run("objdump", "-p", program).stdout))
    linked -= {"libc.so.6", "libm.so.6", "libcrypt.so.1", "ld-linux-x86-64.so.2"}
    installed = set(re.findall(r"[a-z0-9.+-]+", last))
    report.point("it installs the libraries that the program links, and knows of no other",
                 linked == set(names) and installed >= set(names.values()),
                 f"{sorted(linked ^ set(names))} {sorted(set(names.values()) - installed)}")


def check_compose(report):
    compose = yaml.safe_load(text_of("docker-compose.yml"))
    services = compose["services"]
    wanted = {*SERVICES, "postgres", "redis", "prometheus", "alertmanager", "loki", "promtail",
              "grafana"}
    report.point("compose has the gateway, five services, stores and what watches them",
                 set(services) == wanted, set(services) ^ wanted)
    bad = [name for name, one in services.items()
           if not one.get("read_only") or one.get("cap_drop") != ["ALL"] or
           one.get("security_opt") != ["no-new-privileges:true"] or
           one.get("user", "0").split(":")[0] in ("0", "root") or
           not ("build" in one or ":" in one["image"]) or "privileged" in one]
    report.point("each is read-only, without capabilities, not root, of a version", not bad, bad)
    bad = [f"{name}: {port}" for name, one in services.items() for port in one.get("ports", [])
           if not port.startswith("127.0.0.1:")]
    report.point("ports are open to this machine alone", not bad, bad)
    used = {net for one in services.values() for net in one["networks"]}
    store = {name for name, one in services.items() if "store" in one["networks"]}
    report.point("networks are those declared; the stores are reached by the program alone",
                 used == set(compose["networks"]) and store == {*SERVICES, "postgres", "redis"} and
                 compose["networks"]["store"]["internal"], store)
    mounts = [mount.split(":")[0] for one in services.values()
              for mount in one.get("volumes", [])]
    bad = [one for one in mounts if one not in compose["volumes"] and
           not os.path.exists(os.path.join(ROOT, one))]
    secrets = {name for one in services.values() for name in one.get("secrets", [])}
    report.point("volumes, files and secrets that are named are there",
                 not bad and secrets == set(compose["secrets"]), bad)
    good_settings(report, "its settings are good", text_of("packaging/compose/portcullis.yaml"))
    for name, source in (("prometheus.yml", "prometheus/prometheus.yml"),
                         ("alertmanager.yml", "alertmanager/alertmanager.yml"),
                         ("loki.yml", "loki/loki.yml"), ("promtail.yml", "promtail/promtail.yml"),
                         ("datasources.yml", "grafana/provisioning/datasources/portcullis.yml")):
        text = text_of("deploy/" + source)
        for here, there in PLACES.items():
            text = text.replace(here, there)
        report.point(f"packaging/compose/{name} is deploy/{source} with other places",
                     text == text_of("packaging/compose/" + name))


def check_kubernetes(report):
    things = manifests()
    of = lambda kind: [one for one in things if one["kind"] == kind]   # noqa: E731
    deployments = of("Deployment")
    bad = []
    for one in deployments:
        pod = one["spec"]["template"]["spec"]
        inner = pod["containers"][0]
        context, ports = inner["securityContext"], {p["name"]: p["containerPort"]
                                                    for p in inner["ports"]}
        rules = [pod["securityContext"]["runAsNonRoot"], not pod["automountServiceAccountToken"],
                 pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault",
                 not context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"],
                 context["capabilities"] == {"drop": ["ALL"]}, inner["resources"]["limits"],
                 all(SERVICES[name] == port for name, port in ports.items()),
                 ",".join(ports) == inner["args"][2]]
        rules += [inner[probe]["httpGet"]["path"] == path and
                  inner[probe]["httpGet"]["port"] in ports
                  for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"),
                                      ("readinessProbe", "/readyz"))]
        bad += [f"{one['metadata']['name']}: rule {i}" for i, rule in enumerate(rules) if not rule]
    report.point("every pod is restricted, bounded and probed where it answers",
                 len(deployments) == 2 and not bad, bad)
    names = {one["metadata"]["name"] for one in deployments}
    report.point("each deployment has a budget, scales, and has a policy beside the default deny",
                 {one["metadata"]["name"] for one in of("PodDisruptionBudget")} == names and
                 {one["spec"]["scaleTargetRef"]["name"]
                  for one in of("HorizontalPodAutoscaler")} == names and
                 {one["metadata"]["name"] for one in of("NetworkPolicy")} ==
                 names | {"default-deny"})
    report.point("each service has its port, and nothing is a secret",
                 {one["metadata"]["name"]: one["spec"]["ports"][0]["port"]
                  for one in of("Service")} == SERVICES and not of("Secret"))
    settings = of("ConfigMap")[0]["data"]["portcullis.yaml"]
    good_settings(report, "the ConfigMap's settings are good", settings)
