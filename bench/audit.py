# SPDX-License-Identifier: MIT
"""The audit log at a million events: what adding, signing, proving, exporting and checking cost;
and how many events a second other services can hand in."""
import base64
import concurrent.futures
import http.client
import json
import os
import resource
import ssl
import subprocess
import time
import urllib.parse

import money
import procs

EVENTS = 1000000
WRITERS, BATCH = 4, 500     # connections, and events in one request


def timed(command, **more):
    """(seconds, processor seconds, most resident MiB, output) of a command that must succeed."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **more) as child:
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, output
    assert before is not None
    return (time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024,
            output)


class Intake(money.Books):
    """Portcullis with its audit listener behind mutual TLS."""

    def configure(self, workers):
        certificates = self.path("certificates")
        if not os.path.exists(certificates):
            subprocess.run([self.program, "certs", "dev", "--folder", certificates, "bench"],
                           check=True, capture_output=True)
        super().configure(workers)
        with open(self.path("portcullis.yaml"), encoding="utf-8") as file:
            text = file.read()
        listener = f"audit:\n  host: 127.0.0.1\n  port: {self.ports['audit']}\n"
        tls = (f"  tls:\n    certificate: {certificates}/server.crt\n"
               f"    key: {certificates}/server.key\n    client_ca: {certificates}/ca.crt\n"
               "    client_auth: required\n"
               "  events_per_minute: 10000000\n")  # what it can take is asked, not what it may
        assert listener in text
        limit = ("  routes:\n    - route: POST /audit/events/batch\n"
                 f"      requests_per_minute: {money.LIMIT}\n")
        text = text.replace(listener, listener + tls).replace("  routes:\n", limit)
        with open(self.path("portcullis.yaml"), "w", encoding="utf-8") as file:
            file.write(text)

    def sign_in(self):
        """A program of its own, with the scope for writing and no other."""
        made = subprocess.run([self.program, "client", "create", "--config",
                               self.path("portcullis.yaml"), "--name", "Bench", "--grant",
                               "client_credentials", "--scope", "audit:write", "--secret-stdin",
                               "bench-writer"], input=SECRET + "\n", text=True, check=True,
                              capture_output=True)
        assert made.returncode == 0
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["auth"], timeout=10)
        basic = base64.b64encode(f"bench-writer:{SECRET}".encode()).decode()
        connection.request("POST", "/auth/token", urllib.parse.urlencode(
            {"grant_type": "client_credentials", "scope": "audit:write"}),
            {"Content-Type": "application/x-www-form-urlencoded",
             "Authorization": f"Basic {basic}"})
        self.token = json.loads(connection.getresponse().read())["access_token"]


SECRET = "bench-" + os.urandom(24).hex()


def hand_in(port, certificates, token, writer, seconds):
    """Batches one behind the other on one connection; how many events were acknowledged."""
    context = ssl.create_default_context(cafile=f"{certificates}/ca.crt")
    context.load_cert_chain(f"{certificates}/bench.crt", f"{certificates}/bench.key")
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
    body = json.dumps({"events": [
        {"category": "compliance", "action": "report.filed", "actor": f"writer-{writer}",
         "resource": f"report:{number}", "severity": "info",
         "metadata": {"pages": number, "office": "Lisbon", "note": "filed as every month"},
         "compliance_tags": ["sox"]} for number in range(BATCH)]})
    run, number, until = os.urandom(8).hex(), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        connection.request("POST", "/audit/events/batch", body,
                           {"Content-Type": "application/json", "Authorization": f"Bearer {token}",
                            "Idempotency-Key": f"{run}-{number}"})
        reply = connection.getresponse()
        text = reply.read()
        if reply.status != 201:
            raise SystemExit(f"the batch was answered {reply.status}: {text.decode()}")
        number += 1
    return number * BATCH


def intake(chosen, out, folder, spread, median):
    server = Intake(os.path.join(folder, "intake"), chosen.portcullis)
    server.first = 0                # no accounts are needed
    server.ready(os.cpu_count())
    rates, costs = [], []
    for _ in range(chosen.rounds):
        pids = server.pids()
        used, began = sum(procs.cpu_seconds(pids)), time.monotonic()
        with concurrent.futures.ProcessPoolExecutor(WRITERS) as pool:
            count = sum(pool.map(hand_in, *zip(*[
                (server.ports["audit"], server.path("certificates"), server.token, writer,
                 chosen.seconds) for writer in range(WRITERS)])))
        rates.append(count / (time.monotonic() - began))
        costs.append(1e6 * (sum(procs.cpu_seconds(pids)) - used) / count)
    server.stop()
    disk = money.bare(chosen, folder, "disk")
    out.say(f"### Handing events in: {BATCH} in a request, {WRITERS} connections, mutual TLS, "
            "embedded store, durable\n")
    out.say(f"The disk: {money.DISK} took {disk['p50_us']:.0f} µs (p99 {disk['p99_us']:.0f}).\n")
    out.table(["events/s", "CPU µs/event"], [[spread(rates, 0), spread(costs)]])
    out.aim("events handed in, in batches, embedded", "≥ 15000 a second", f"{median(rates):.0f}",
            median(rates) >= 15000)


def run(chosen, out, folder, spread, median):
    intake(chosen, out, folder, spread, median)
    data = os.path.join(folder, "audit", "data")
    os.makedirs(data, mode=0o700)
    events = EVENTS // 10 if chosen.quick else EVENTS
    tool = os.path.join(os.path.dirname(chosen.portcullis), "bench/audit_log")
    made = json.loads(timed([tool, data, str(events)])[3])
    env = {"PATH": os.environ["PATH"], "PORTCULLIS_DATA": data}
    where = os.path.dirname(data)
    log, note = os.path.join(where, "log.jsonl"), os.path.join(where, "note.txt")
    with open(note, "w", encoding="utf-8") as file:
        file.write(timed([chosen.portcullis, "audit", "checkpoint"], env=env, cwd=where)[3])
    exported = timed([chosen.portcullis, "audit", "export", "--out", log], env=env, cwd=where)
    runs = [timed([chosen.portcullis, "audit", "verify", log, "--checkpoint", note])
            for _ in range(chosen.rounds)]
    seconds = median([one[0] for one in runs])
    size = os.path.getsize(log)
    out.say(f"### The audit log, {events} events ({size / events:.0f} bytes a line)\n")
    out.table(["what", "seconds", "events/s", "more"], [
        ["add, 1000 in a commit", f"{made['add_seconds']:.2f}",
         f"{events / made['add_seconds']:.0f}", ""],
        ["take all in, write tiles, sign", f"{made['keep_seconds']:.2f}",
         f"{events / made['keep_seconds']:.0f}", ""],
        ["export", f"{exported[0]:.2f}", f"{events / exported[0]:.0f}",
         f"{exported[2]:.0f} MiB resident"],
        ["verify", f"{seconds:.2f}", f"{events / seconds:.0f}",
         f"{median([one[1] for one in runs]):.2f} s of processors, "
         f"{max(one[2] for one in runs):.0f} MiB resident"],
        ["proof of one event", f"{made['proof_ms'] / 1000:.6f}", "",
         f"the slowest of 1000: {made['proof_slowest_ms']:.2f} ms"]])
    out.aim(f"verify {events} events", f"≤ {3 * events / EVENTS:.1f} s", f"{seconds:.2f} s",
            seconds <= 3 * events / EVENTS)
    out.aim(f"proof at {events} events", "≤ 2 ms", f"{made['proof_ms']:.2f} ms",
            made["proof_ms"] <= 2)
    os.unlink(log)
