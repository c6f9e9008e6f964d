# SPDX-License-Identifier: MIT
"""Issuing tokens: Portcullis beside npm oidc-provider, one processor each, and beside what the
signatures alone would allow there. README.md here says what is compared."""
import base64
import http.client
import json
import os
import re
import sqlite3
import subprocess
import time
import urllib.parse

import load
import peers
import procs

HERE = os.path.dirname(os.path.abspath(__file__))
SECRET = "s" * 43
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KINDS = ["client_secret", "private_key_jwt"]
STORED = 100000         # live refresh tokens for the measure of memory
LOGIN_FACTOR = 10       # the flood, as a multiple of what can be hashed
TOKEN_RATE = 200        # asked for a second meanwhile


def make_key(folder):
    """A client's P-256 key: its PEM file, and its public part as a JWK set."""
    pem = os.path.join(folder, "client.pem")
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-out", pem], check=True, capture_output=True)
    os.chmod(pem, 0o600)
    der = subprocess.run(["openssl", "pkey", "-in", pem, "-pubout", "-outform", "DER"], check=True,
                         capture_output=True).stdout
    x, y = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (der[-64:-32],
                                                                               der[-32:]))
    return pem, {"keys": [{"kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": "ES256",
                           "use": "sig"}]}


class Issuer(peers.Server):
    """One token endpoint. `bench-secret` and `bench-key` are its clients."""
    audience, path_token = "", ""

    def __init__(self, folder, key):
        super().__init__(folder)
        self.pem, self.jwks = key

    def form(self, kind):
        form = {"grant_type": "client_credentials", "scope": "accounts:read"}
        if kind == "client_secret":
            form |= {"client_id": "bench-secret", "client_secret": SECRET}
        else:
            form |= {"client_id": "bench-key", "client_assertion_type": ASSERTION_TYPE}
        return urllib.parse.urlencode(form)

    def assertions(self, count):
        file = self.path("assertions")
        with open(file, "w", encoding="ascii") as out:
            subprocess.run(["node", os.path.join(HERE, "assertions.mjs"), self.pem, "bench-key",
                            self.audience, str(count)], check=True, stdout=out)
        return file

    def issue(self, kind):
        """One token, to see that it is one."""
        body = self.form(kind)
        if kind != "client_secret":
            with open(self.assertions(1), encoding="ascii") as file:
                body += "&client_assertion=" + file.read().strip()
        status, text = self.post(self.path_token, body)
        if status != 200 or "access_token" not in text:
            raise SystemExit(f"{self.name}: {kind} answered {status}: {text}")
        return json.loads(text)["access_token"]

    def post(self, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", path, body,
                           {"Content-Type": "application/x-www-form-urlencoded"})
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        return reply.status, text


class Ours(Issuer):
    """Portcullis: embedded store, durable, everything on. `port` is the auth service's."""
    name = "portcullis"
    audience, path_token = "https://auth-service.local", "/auth/token"

    def __init__(self, folder, key, program):
        super().__init__(folder, key)
        self.program, self.gateway_port = program, procs.free_port()

    def configure(self, workers):
        with open(self.path("portcullis.yaml"), "w", encoding="utf-8") as out:
            out.write(f"""environment: development
data: {self.path("data")}
gateway:
  host: 127.0.0.1
  port: {self.gateway_port}
auth:
  host: 127.0.0.1
  port: {self.port}
account:
  port: 0
transaction:
  port: 0
audit:
  port: 0
monitoring:
  port: 0
oauth:
  algorithm: ES256
trusted_proxies: [127.0.0.0/8]
workers:
  loops: {workers}
http:
  connections_per_ip_max: 20000
limits:
  requests_per_minute: 1000000000
  clients_max: 1048576
  routes:
    - route: POST /auth/token
      requests_per_minute: 1000000000
    - route: POST /auth/refresh
      requests_per_minute: 1000000000
log:
  path: {self.path("access.log")}
""")

    def command(self, workers):
        self.configure(workers)
        if not os.path.exists(self.path("data")):
            self.prepare()
        return [self.program, "serve", "--config", self.path("portcullis.yaml")], {}

    def prepare(self):
        """Keys and users as a first start makes them, and the two clients."""
        jwks = self.path("jwks.json")
        with open(jwks, "w", encoding="utf-8") as out:
            json.dump(self.jwks, out)
        process = procs.start([self.program, "serve", "--config", self.path("portcullis.yaml")])
        self.process = process
        deadline = time.monotonic() + 20
        while not self.answers() and time.monotonic() < deadline:
            time.sleep(0.01)
        procs.stop(process)
        common = [self.program, "client", "create", "--config", self.path("portcullis.yaml"),
                  "--grant", "client_credentials", "--scope", "accounts:read"]
        subprocess.run(common + ["--name", "Bench", "--secret-stdin", "bench-secret"], check=True,
                       input=SECRET + "\n", text=True, capture_output=True)
        subprocess.run(common + ["--name", "Bench", "--method", "private_key_jwt", "--jwks", jwks,
                                 "bench-key"], check=True, capture_output=True)

    def answers(self):
        return http_answers(self.port, "/livez")


class Peer(Issuer):
    """npm oidc-provider, in memory."""
    name = "oidc-provider"
    path_token = "/token"

    def command(self, workers):
        self.audience = f"http://127.0.0.1:{self.port}"
        with open(self.path("clients.json"), "w", encoding="utf-8") as out:
            json.dump({"secret": SECRET, "jwks": self.jwks}, out)
        return ["node", os.path.join(HERE, "oidc_peer.mjs"), str(self.port),
                self.path("clients.json")], {}

    def answers(self):
        return http_answers(self.port, "/.well-known/openid-configuration")


def http_answers(port, path):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False


def asked(server, kind, seconds, guess):
    """One closed-loop run of wrk from processor 1; assertions are made for it beforehand."""
    env = {"TOKEN_BODY": server.form(kind)}
    if kind != "client_secret":
        env["TOKEN_ASSERTIONS"] = server.assertions(int(guess * (seconds + 1)) + 1000)
    command = ["wrk", "-t1", f"-c{load.CONNECTIONS}", f"-d{seconds}s", "--latency", "-s",
               os.path.join(HERE, "token.lua"),
               f"http://127.0.0.1:{server.port}{server.path_token}"]
    return load.measured(server, lambda: load.wrk_run(command, seconds, 1, env))


def signatures():
    """(sign, verify) a second of ECDSA P-256 on processor 0, by openssl's own measure."""
    text = subprocess.run(["taskset", "-c", "0", "openssl", "speed", "-seconds", "2",
                           "ecdsap256"], capture_output=True, text=True, check=True).stdout
    numbers = text.strip().splitlines()[-1].split()
    return float(numbers[-2]), float(numbers[-1])


def speed(chosen, out, servers):
    runs, floors = {}, []
    for server in servers:
        for kind in KINDS:
            server.issue(kind)
            runs[server.name, kind] = []
            asked(server, kind, 1, 12000)
    for number in range(chosen.rounds):
        floors.append(signatures())
        for kind in KINDS:
            for server in servers if number % 2 == 0 else servers[::-1]:
                guess = max([run["rps"] for run in runs[server.name, kind]] + [8000]) * 1.3
                runs[server.name, kind].append(asked(server, kind, chosen.seconds, guess))
    return runs, floors


def allowed(floors, kind):
    """Requests a second if there were nothing but the signatures a request needs."""
    return [sign if kind == "client_secret" else 1 / (1 / sign + 1 / verify)
            for sign, verify in floors]


def speed_table(out, servers, runs, floors, spread, median):
    rows = []
    for kind in KINDS:
        floor = allowed(floors, kind)
        for server in servers:
            own, base = runs[server.name, kind], runs.get(("oidc-provider", kind))
            rates = [run["rps"] for run in own]
            ratio = [a["rps"] / b["rps"] for a, b in zip(own, base)] if base else []
            share = [rate / most for rate, most in zip(rates, floor)]
            rows.append([kind, server.name, spread(rates, 0),
                         spread([run["cpu_us"] for run in own], 0),
                         spread(ratio, 2) if ratio else "", spread(share, 2),
                         str(sum(run["errors"] for run in own))])
            if server.name == "portcullis":
                if ratio:
                    out.aim(f"tokens by {kind}, one processor", "≥ 3 × oidc-provider",
                            f"{median(ratio):.2f} ×", median(ratio) >= 3)
                out.aim(f"tokens by {kind} of what ES256 alone allows", "≥ 40 %",
                        f"{100 * median(share):.0f} %", median(share) >= 0.4)
    out.table(["client authentication", "server", "tokens/s", "CPU µs/token", "÷ oidc-provider",
               "of what the signatures allow", "errors"], rows)
    others = [run["others"] for own in runs.values() for run in own]
    out.say(f"Other processes took {100 * median(others):.0f} % of a processor "
            f"(at most {100 * max(others):.0f} %).\n")


def paced(chosen, port, path, rate, seconds, headers, body):
    command = [chosen.paced, "127.0.0.1", str(port), path, str(rate), str(seconds), "256",
               *headers]
    return subprocess.Popen(["taskset", "-c", "1", *command], stdout=subprocess.PIPE, text=True,
                            env={**os.environ, "PACED_BODY": body})


def flood(chosen, out, server):
    """Logins far beyond what can be hashed, each for another account from another address, while a
    client asks for tokens at a steady rate."""
    out.say(f"### Tokens during a login flood: {TOKEN_RATE} a second asked for, one processor\n")
    form = ["Content-Type: application/x-www-form-urlencoded"]
    login = ["Content-Type: application/json", "X-Forwarded-For: fd00:0:0:%n::1"]
    body = json.dumps({"email": "nobody%n@example.com", "password": "wrong horse"})
    # More than can be hashed, so that what all hash threads need is there before we look.
    paced(chosen, server.gateway_port, "/api/v1/auth/login", 2 * chosen.logins, 3, login,
          body).communicate(timeout=60)
    rows, before = [], load.settled(server.pids())
    rate, seconds = chosen.logins * LOGIN_FACTOR, max(5, chosen.seconds)
    for flooded in (False, True):
        if flooded:
            logins = paced(chosen, server.gateway_port, "/api/v1/auth/login", rate, seconds + 2,
                           login, body)
            time.sleep(1)
        tokens = paced(chosen, server.port, server.path_token, TOKEN_RATE, seconds, form,
                       server.form("client_secret"))
        seen = json.loads(tokens.communicate(timeout=seconds + 60)[0])
        grown = procs.rss_kib(server.pids()) - before
        if flooded:
            logins.communicate(timeout=seconds + 60)
        rows.append([f"{rate} logins/s" if flooded else "quiet"] +
                    [f"{seen[key] / 1000:.2f}" for key in ("p50_us", "p99_us", "max_us")] +
                    [str(seen["refused"] + seen["sent"] - seen["answered"]),
                     f"{grown / 1024:.1f}"])
        if flooded:
            out.aim("token p99 during a login flood", "≤ 20 ms", f"{seen['p99_us'] / 1000:.1f} ms",
                    seen["p99_us"] <= 20000)
    out.table(["meanwhile", "p50 ms", "p99 ms", "slowest ms", "errors", "memory grew MiB"], rows)


def fill(server):
    """STORED live refresh tokens, as the program would have stored them."""
    with sqlite3.connect(os.path.join(server.path("data"), "portcullis.db")) as db:
        now = time.time_ns()
        later = now + 7 * 86400 * 10**9
        client = db.execute("SELECT id FROM oauth_clients WHERE client_id = 'web-portal'"
                            ).fetchone()[0]
        for first in range(0, STORED, 1000):
            ids = [f"00000000-0000-4000-8000-{at:012d}" for at in range(first, first + 1000)]
            db.executemany("INSERT INTO sessions (id, user_id, created_at, expires_at, client) "
                           "VALUES (?, 2, ?, ?, 'web-portal')", [(i, now, later) for i in ids])
            db.executemany("INSERT INTO oauth_grants (session_id, client, scope, auth_at) "
                           "VALUES (?, ?, 'accounts:read', ?)", [(i, client, now) for i in ids])
            db.executemany("INSERT INTO oauth_refresh_tokens (hash, session_id, issued_at, "
                           "expires_at) VALUES (randomblob(32), ?, ?, ?)",
                           [(i, now, later) for i in ids])


def memory(out, server, load_wrk):
    out.say(f"### Memory with {STORED} live refresh tokens stored\n")
    fill(server)
    server.start(None, 1)
    idle = load.settled(server.pids())
    load_wrk(server)
    busy = load.settled(server.pids())
    server.stop()
    out.table(["idle MiB", "after issuing MiB"], [[f"{idle / 1024:.1f}", f"{busy / 1024:.1f}"]])
    out.aim(f"resident with {STORED} refresh tokens", "≤ 40 MiB", f"{busy / 1024:.1f} MiB",
            busy <= 40 * 1024)


def run(chosen, out, folder, spread, median):
    key = make_key(folder)
    ours = Ours(os.path.join(folder, "tokens"), key, chosen.portcullis)
    servers = [ours, Peer(os.path.join(folder, "tokens"), key)]
    out.say("### Tokens: client_credentials, ES256 access tokens, 64 connections, one processor\n")
    for server in servers:
        server.start(0, 1)
    runs, floors = speed(chosen, out, servers)
    speed_table(out, servers, runs, floors, spread, median)
    servers[1].stop()
    flood(chosen, out, ours)
    ours.stop()
    memory(out, ours, lambda server: asked(server, "client_secret", chosen.seconds, 0))
