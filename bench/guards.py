# SPDX-License-Identifier: MIT
"""What guards a route to an upstream, one at a time, each beside the same route without it: a token
that was never seen, a limit that several gateways share in Redis. README.md here says how."""
import os
import re
import socket
import subprocess

import load
import procs
import proxy

HERE = os.path.dirname(os.path.abspath(__file__))
ISSUER, AUDIENCE = "https://login.bench.example", "https://api.bench.example"
TOKENS = 65536          # four times what a loop remembers: none is found again
COLD = {"ES256": "ecdsap256", "RS256": "rsa2048"}
COLD_MOST = 1.15        # verifications that a new token may cost
# More a second than anything here manages; a burst that is leased by 50 at a time.
LIMIT = "limits:\n      - {per: second, requests: 1000000, burst: 1000, key: user}"


class Guarded(proxy.Gateway):
    """The gateway of the proxy's tables, with settings besides."""

    def __init__(self, name, folder, chosen, backend, **texts):
        self.name = name
        super().__init__(folder, chosen.portcullis, backend, os.urandom(32).hex())
        for text, value in texts.items():
            setattr(self, text, value)


def asked(server, seconds, tokens=None, redis=None):
    """A closed loop from processor 1, with one token or with those of a file in turn."""
    def send():
        trips, used = (redis.scripts(), redis.cpu()) if redis else (0, 0)
        run = load.wrk_run(command, seconds, 1, {"BEARER_TOKENS": tokens or ""})
        if redis:
            run["per_trip"] = run["requests"] / max(1, redis.scripts() - trips)
            run["redis_us"] = 1e6 * (redis.cpu() - used) / run["requests"]
        return run

    command = ["wrk", "-t1", f"-c{load.CONNECTIONS}", f"-d{seconds}s", "--latency"]
    if tokens:
        command += ["-s", os.path.join(HERE, "bearer.lua")]
    else:
        command += ["-H", server.headers(proxy.PATH)[0]]
    command.append(f"http://127.0.0.1:{server.port}{proxy.PATH}")
    return load.undisturbed(server, send, [server.backend, *([redis] if redis else [])])


def issue(chosen, folder, algorithm, count=TOKENS):
    """(file of the keys, file of the tokens, µs of verifying one)"""
    jwks, tokens = (os.path.join(folder, f"{algorithm}.{end}") for end in ("jwks", "tokens"))
    program = os.path.join(os.path.dirname(chosen.portcullis), "bench/issued")
    done = subprocess.run(["taskset", "-c", "0", program, algorithm, ISSUER, AUDIENCE, str(count),
                           jwks, tokens], capture_output=True, text=True, check=True)
    return jwks, tokens, float(done.stdout)


def openssl_us(what):
    """µs of one verification, as `openssl speed` has it."""
    text = subprocess.run(["taskset", "-c", "0", "openssl", "speed", "-seconds", "1", what],
                          capture_output=True, text=True, check=True).stdout
    return 1e6 / float(text.split()[-1])


def cold(chosen, out, folder, spread, median):
    out.say("### A token never seen before, beside one that is remembered, pinned\n")
    rows, backend = [], proxy.Backend(folder, None)
    backend.start(1, 1)
    for algorithm, speed in COLD.items():
        jwks, tokens, _ = issue(chosen, folder, algorithm)
        gateway = Guarded(f"cold-{algorithm}", folder, chosen, backend,
                          of_route="    issuers: [bench]\n", of_all=f"""
issuers:
  - name: bench
    issuer: {ISSUER}
    audience: [{AUDIENCE}]
    algorithms: [{algorithm}]
    jwks_file: {jwks}
""")
        gateway.start(0, 1)
        with open(tokens, encoding="ascii") as file:
            gateway.token = file.readline().strip()
        trouble = proxy.check(gateway)
        if trouble:
            raise SystemExit(f"{gateway.name}: {trouble}\n{gateway.output()}")
        known, new, alone, theirs = [], [], [], []
        for _ in range(chosen.rounds):
            known.append(asked(gateway, chosen.seconds))
            new.append(asked(gateway, chosen.seconds, tokens))
            alone.append(issue(chosen, gateway.folder, algorithm, 2000)[2])
            theirs.append(openssl_us(speed))
        gateway.stop()
        # The kernel's part depends on how many requests one wake-up finds, not on the token.
        own = [[run["cpu_us"] * run["user_share"] for run in runs] for runs in (known, new)]
        more = [b - a for a, b in zip(*own)]
        ratio = [a / b for a, b in zip(more, alone)]
        rows.append([algorithm, spread([run["cpu_us"] for run in known]),
                     spread([run["cpu_us"] for run in new]), spread(more), spread(alone),
                     spread(ratio, 2), spread(theirs), f"{median([a['rps'] for a in new]):.0f}",
                     str(sum(run["errors"] for run in known + new))])
        out.aim(f"a new {algorithm} token", f"≤ {COLD_MOST} verifications",
                f"{median(ratio):.2f}", median(ratio) <= COLD_MOST)
    out.table(["algorithm", "remembered: CPU µs/request", "new: CPU µs/request",
               "more in user space", "one verification, µs", "more ÷ verification",
               "openssl speed, µs", "new: requests/s", "errors"], rows)
    backend.stop()


class Redis:
    """A server of its own, on loopback, that keeps nothing."""

    def __init__(self, folder):
        self.port = procs.free_port()
        self.process = procs.start(["redis-server", "--bind", "127.0.0.1", "--port",
                                    str(self.port), "--dir", folder, "--save", "",
                                    "--appendonly", "no"], 1)

    def scripts(self):
        """How often it was asked for the script."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall(b"INFO commandstats\r\nQUIT\r\n")
            text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        return sum(map(int, re.findall(r"cmdstat_eval(?:sha)?:calls=(\d+)", text)))

    def pids(self):
        return [self.process.pid]

    def cpu(self):
        return sum(procs.cpu_seconds(self.pids()))


def shared(chosen, out, folder, spread, median):
    out.say("### A limit of one gateway, and one that is shared in Redis, pinned\n")
    backend, redis = proxy.Backend(folder, None), Redis(folder)
    backend.start(1, 1)
    servers = {}
    for mode in ("off", "leased", "exact"):
        # A laggard answer must not turn the exact limit into a local one while it is measured.
        servers[mode] = Guarded(f"limit-{mode}", folder, chosen, backend, limit=LIMIT,
                                of_all=f"redis:\n  url: redis://127.0.0.1:{redis.port}\n"
                                       "  timeout_ms: 1000",
                                of_route=f"    shared: {{mode: {mode}}}\n",
                                limits="  shared: {nodes: 2, lease_percent: 5, on_outage: deny}\n")
        servers[mode].start(0, 1)
        servers[mode].sign_in()
        asked(servers[mode], 1)
    runs = {mode: [] for mode in servers}
    for number in range(chosen.rounds):
        for mode in list(servers)[::1 if number % 2 == 0 else -1]:
            runs[mode].append(asked(servers[mode], chosen.seconds, redis=redis))
    rows = []
    for mode, own in runs.items():
        rows.append([mode, spread([run["rps"] for run in own], 0),
                     spread([run["cpu_us"] for run in own]),
                     spread([a["cpu_us"] / b["cpu_us"] for a, b in zip(own, runs["off"])], 2),
                     spread([run["per_trip"] for run in own]) if mode != "off" else "",
                     spread([run["redis_us"] for run in own], 2),
                     f"{median([run['p99_ms'] for run in own]):.2f}",
                     str(sum(run["errors"] for run in own))])
    out.table(["shared", "requests/s", "CPU µs/request", "÷ off", "requests/round trip",
               "Redis CPU µs/request", "p99 ms", "errors"], rows)
    for server in [*servers.values(), backend]:
        server.stop()
    procs.stop(redis.process)


def run(chosen, out, folder, spread, median):
    cold(chosen, out, folder, spread, median)
    shared(chosen, out, folder, spread, median)
