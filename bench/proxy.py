# SPDX-License-Identifier: MIT
"""Passing requests on: Portcullis with its whole chain before one backend, beside a byte relay,
HAProxy (TCP, plain, and with the same policies) and nginx (plain). README.md here says how."""
import json
import os
import shutil

import load
import peers
import procs

HERE = os.path.dirname(os.path.abspath(__file__))
PATH = "/v1/accounts/acc_0000000000000042/balance"
BODY = json.dumps({"account": "acc_0000000000000042", "currency": "EUR", "posted": "1250.00",
                   "held": "20.00", "available": "1230.00", "updated_at": "2026-01-01T00:00:00Z",
                   "links": {"self": PATH}, "note": "what the server behind would say here"})
MEMORY = "/dev/shm"


class Passage(peers.Server):
    """One program between the clients and the backend."""
    checks_token = False

    def __init__(self, folder, backend, certificate=None):
        super().__init__(folder)
        self.backend, self.tls, self.certificate = backend, certificate is not None, certificate

    def headers(self, path):
        return [f"Authorization: Bearer {self.token}"] if self.token else []

    def answers(self):
        """Whether it is there: the token comes later."""
        try:
            with self.connect(1) as connection:
                connection.sendall(self.request(PATH))
                return connection.recv(12).startswith(b"HTTP/1.1 ")
        except OSError:
            return False

    def status(self, token):
        with self.connect(5) as connection:
            held, self.token = self.token, token
            connection.sendall(self.request(PATH))
            self.token = held
            return int(connection.recv(64).split()[1])


class Backend(Passage):
    """nginx with an answer from memory; asked directly it is the floor of all."""
    name = "direct"

    def command(self, workers):
        with open(self.path("nginx.conf"), "w", encoding="utf-8") as out:
            out.write(nginx(self, workers, f"""server {{
        listen 127.0.0.1:{self.port} reuseport backlog=4096;
        default_type application/json;
        location / {{ return 200 {peers.quoted(BODY)}; }}
    }}"""))
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-p", self.folder,
                "-e", self.path("error.log"), "-c", self.path("nginx.conf")], {}


def nginx(server, workers, content):
    temporary = "".join(f"    {kind}_temp_path {server.path(kind)};\n" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""worker_processes {workers};
worker_rlimit_nofile 20000;
daemon off;
pid {server.path("pid")};
events {{ worker_connections 19000; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
{temporary}    {content}
}}
"""


class NginxPlain(Passage):
    """`proxy_pass` with kept connections, nothing else."""
    name = "nginx-plain"

    def command(self, workers):
        tls = listen = ""
        if self.tls:
            listen = " ssl http2"
            tls = f"""ssl_certificate {self.certificate}.crt;
        ssl_certificate_key {self.certificate}.key; ssl_protocols TLSv1.3;
        http2_max_requests 1000000000;"""
        with open(self.path("nginx.conf"), "w", encoding="utf-8") as out:
            out.write(nginx(self, workers, f"""upstream behind {{
        server 127.0.0.1:{self.backend.port};
        keepalive 256; keepalive_requests 1000000000; keepalive_timeout 600s;
    }}
    server {{
        listen 127.0.0.1:{self.port}{listen} reuseport backlog=4096;
        {tls}
        location / {{
            proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection "";
        }}
    }}"""))
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-p", self.folder,
                "-e", self.path("error.log"), "-c", self.path("nginx.conf")], {}


class Relay(Passage):
    name = "byte-relay"
    program = None

    def command(self, workers):
        return [self.program, str(self.port), str(self.backend.port)], {}


class HAProxyTCP(Passage):
    """HAProxy that looks at nothing: the reference of the ratios."""
    name = "haproxy-tcp"
    mode, rules, log, tables = "tcp", "", "", ""

    def command(self, workers):
        tls = f" ssl crt {self.certificate}.pem ssl-min-ver TLSv1.3 alpn h2,http/1.1" \
            if self.tls else ""
        reuse = "    http-reuse always\n" if self.mode == "http" else ""
        with open(self.path("haproxy.cfg"), "w", encoding="utf-8") as out:
            out.write(f"""global
    maxconn 4000
    nbthread {workers}
{self.log}defaults
    mode {self.mode}
    timeout client 600s
    timeout http-keep-alive 600s
    timeout connect 5s
    timeout server 600s
frontend front
    bind 127.0.0.1:{self.port}{tls} backlog 4096
{self.rules}    default_backend behind
backend behind
{reuse}    server one 127.0.0.1:{self.backend.port} pool-max-conn -1
{self.tables}""")
        return [shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f",
                self.path("haproxy.cfg")], {}


class HAProxyPlain(HAProxyTCP):
    """HAProxy that reads HTTP and passes it on."""
    name, mode = "haproxy-plain", "http"


class HAProxyPolicies(HAProxyTCP):
    """HAProxy with the policies of the route: token and the claims we look at, limits by address
    and by user, headers, a log in JSON."""
    name, mode, checks_token = "haproxy-policies", "http", True
    tables = "backend users\n    stick-table type string len 64 size 100k expire 60s " \
             "store http_req_rate(10s)\n"
    log = "    log stdout format raw local0\n"
    secret = ""

    def command(self, workers):
        line = ('{"event":"http_request","method":"%HM","path":"%HP","status_code":%ST,'
                '"duration_ms":%Ta,"request_id":"%ID","client":"%ci","user":"%[var(txn.user)]"}')
        headers = "".join(f"    http-response set-header {name} {peers.escaped(value)}\n"
                          for name, value in peers.SECURITY if name.startswith(("X-C", "X-F", "S",
                                                                               "C", "R", "P"))
                          and name != "Content-Type")
        found = "var(txn.token),jwt_payload_query"
        self.rules = f"""    log global
    log-format {peers.escaped(line)}
    unique-id-format %[uuid()]
    unique-id-header X-Request-ID
    stick-table type ip size 100k expire 60s store http_req_rate(10s)
    http-request track-sc0 src
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 100000000 }}
    http-request set-var(txn.token) http_auth_bearer
    http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
    http-request deny deny_status 401 unless {{ var(txn.alg) -m str HS256 }}
    http-request set-var(txn.good) var(txn.token),jwt_verify(txn.alg,"{self.secret}")
    http-request deny deny_status 401 unless {{ var(txn.good) -m int 1 }}
    http-request set-var(txn.exp) {found}('$.exp','int')
    http-request set-var(txn.now) date()
    http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 1 }}
    http-request deny deny_status 401 unless {{ {found}('$.iss') -m str portcullis }}
    http-request deny deny_status 401 unless {{ {found}('$.type') -m str access }}
    http-request set-var(txn.user) {found}('$.sub')
    http-request track-sc1 var(txn.user) table users
    http-request deny deny_status 429 if {{ sc_http_req_rate(1,users) gt 100000000 }}
    http-request set-header X-User %[var(txn.user)]
    http-request set-header X-Forwarded-For %[src]
{headers}    http-response set-header X-Request-ID %[unique-id]
"""
        return super().command(workers)

    def log_path(self):
        return self.path("output")


class Gateway(peers.Portcullis):
    """Everything a route can have: token, limits by address and by user, breaker, headers both
    ways, counters, a log line in JSON. The texts are settings besides, of the route and of all."""
    checks_token = True
    limits, of_route, of_all = "", "", ""
    limit = "requests_per_minute: 12000000\n    burst: 12000000"

    def __init__(self, folder, program, backend, secret, certificate=None):
        super().__init__(folder, program, certificate)
        self.backend, self.secret = backend, secret

    def command(self, workers):
        command, env = super().command(workers)
        with open(self.path("secret"), "w", encoding="ascii", opener=private) as out:
            out.write(self.secret)
        with open(self.path("portcullis.yaml"), encoding="utf-8") as file:
            text = file.read()
        with open(self.path("portcullis.yaml"), "w", encoding="utf-8") as out:
            text = text.replace("jwt:\n", f"jwt:\n  secret_file: {self.path('secret')}\n")
            out.write(text.replace("limits:\n", f"limits:\n{self.limits}") + f"""{self.of_all}
upstreams:
  - name: behind
    targets:
      - url: http://127.0.0.1:{self.backend.port}
routes:
  - path: /v1/*
    methods: [GET]
    upstream: behind
    access: bearer
    {self.limit}
{self.of_route}    request_headers:
      set:
        - {{name: X-Bench, value: "1"}}
""")
        return command, env

    def headers(self, path):
        return [f"Authorization: Bearer {self.token}"] if self.token else []

    status = Passage.status


def private(path, flags):
    return os.open(path, flags, 0o600)


def check(server):
    """None when it does what it is measured for."""
    if server.status(server.token) != 200:
        return f"answers {server.status(server.token)}"
    if server.checks_token and {server.status(None), server.status(server.token[:-6] + "AAAAAA")} \
            - {401, 403}:
        return "lets a forged token pass"
    return None


def make(chosen, folder, certificate=None):
    """(backend, servers), not started."""
    memory = os.path.join(folder, "passage") if not os.path.isdir(MEMORY) else \
        procs.folder_in(MEMORY)
    secret = os.urandom(32).hex()
    backend = Backend(memory, None)
    Relay.program = os.path.join(os.path.dirname(chosen.portcullis), "bench/relay")
    HAProxyPolicies.secret = secret
    kinds = [HAProxyPlain, NginxPlain] if certificate else \
        [HAProxyTCP, Relay, HAProxyPlain, HAProxyPolicies, NginxPlain]
    servers = [kind(memory, backend, certificate) for kind in kinds]
    return backend, servers, Gateway(memory, chosen.portcullis, backend, secret, certificate)


def start(backend, servers, gateway, cpu, workers):
    backend.start(1 if cpu is not None else None, workers)
    gateway.start(cpu, workers)
    gateway.sign_in()
    for server in servers:
        server.start(cpu, workers)
    for server in [backend, gateway, *servers]:
        server.token = gateway.token
        trouble = check(server)
        if trouble:
            raise SystemExit(f"{server.name}: {trouble}\n{server.output()}")


def rounds(chosen, servers, run, times=None):
    """{server: [runs]}, the order turned round in every second round."""
    runs = {}
    for server in servers:
        run(server, 1)
    for number in range(times or chosen.rounds):
        for server in servers if number % 2 == 0 else servers[::-1]:
            runs.setdefault(server.name, []).append(run(server, chosen.seconds))
    return runs


def ratios(runs, name, to):
    return [a["cpu_us"] / b["cpu_us"] for a, b in zip(runs[name], runs[to])]


def table(out, servers, runs, references, spread, median):
    rows = []
    for server in servers:
        own = runs[server.name]
        rows.append([server.name, spread([run["rps"] for run in own], 0),
                     spread([run["cpu_us"] for run in own])] +
                    ["1" if server.name == to else spread(ratios(runs, server.name, to), 2)
                     for to in references] +
                    [f"{100 * median([run['user_share'] for run in own]):.0f} %",
                     f"{median([run.get('p99_ms', 0) for run in own]):.2f}",
                     str(sum(run["errors"] for run in own))])
    out.table(["server", "requests/s", "CPU µs/request", *[f"÷ {to}" for to in references],
               "in user space", "p99 ms", "errors"], rows)
    others = [run["others"] for own in runs.values() for run in own]
    out.say(f"Other processes took {100 * median(others):.0f} % of a processor "
            f"(at most {100 * max(others):.0f} %).\n")


def speed(chosen, out, folder, spread, median, pinned):
    backend, servers, gateway = make(chosen, folder)
    cpu, threads, workers = (0, 1, 1) if pinned else (None, os.cpu_count(), os.cpu_count())
    start(backend, servers, gateway, cpu, workers)
    everyone = [backend, *servers, gateway]
    sender = 1 if pinned else None
    runs = rounds(chosen, everyone,
                  lambda server, seconds: load.closed_loop(server, PATH, seconds, sender, threads,
                                                           [backend] if server is not backend
                                                           else []))
    how = "pinned" if pinned else "unpinned"
    out.say(f"### Passing on, {how}: token, limits, breaker, headers, log\n")
    table(out, everyone, runs, ["haproxy-tcp", "nginx-plain", "haproxy-policies"], spread, median)
    for to, most in (("haproxy-tcp", 1.35), ("nginx-plain", 1.0), ("haproxy-policies", 0.5)):
        seen = median(ratios(runs, gateway.name, to))
        out.aim(f"CPU of a request passed on, {how}", f"≤ {most} × {to}", f"{seen:.2f} ×",
                seen <= most)
    if pinned:
        added(chosen, out, [backend, servers[0], gateway], runs, spread, median)
    for server in [*servers, gateway, backend]:
        server.stop()


def added(chosen, out, servers, runs, spread, median):
    """p99 at half of what the gateway managed, beside the backend asked directly."""
    rate = int(median([run["rps"] for run in runs[servers[-1].name]]) / 2)
    seen = {server.name: [] for server in servers}
    for number in range(chosen.rounds):
        for server in servers if number % 2 == 0 else servers[::-1]:
            seen[server.name].append(load.open_loop(chosen.paced, server, PATH, rate,
                                                    chosen.seconds, 1, shares=True))
    rows = [[name, *[spread([run[key] for run in own], 0)
                     for key in ("p50_us", "p99_us", "p999_us")]] for name, own in seen.items()]
    out.say(f"Open loop at {rate} a second, pinned (µs from the moment a request was due):\n")
    out.table(["server", "p50", "p99", "p99.9"], rows)
    own, direct = (median([run["p99_us"] for run in seen[server.name]])
                   for server in (servers[-1], servers[0]))
    out.aim("p99 added by passing on at half load", "≤ 0.5 ms", f"{(own - direct) / 1000:.2f} ms",
            own - direct <= 500)


def h2load(server, seconds, cpu):
    """HTTP/2 over TLS: 16 connections with 32 streams each."""
    command = ["h2load", "-D", str(seconds), "--warm-up-time=0", "-c16", "-m32", "-t1"]
    for header in server.headers(PATH):
        command += ["-H", header]
    command.append(f"https://127.0.0.1:{server.port}{PATH}")
    _, done, used = load.generated(command, r"requests: \d+ total.* (\d+) succeeded, (\d+) failed, "
                                   r"(\d+) errored", seconds, cpu)
    return {"requests": int(done.group(1)), "wall": float(seconds), "p99_ms": 0.0, "cpu": used,
            "errors": int(done.group(2)) + int(done.group(3))}


def tls(chosen, out, folder, spread, median):
    certificate = peers.certificate(folder)
    backend, servers, gateway = make(chosen, folder, certificate)
    start(backend, servers, gateway, 0, 1)
    everyone = [*servers, gateway]

    def run(kind):
        def once(server, seconds):
            send = {"h2": lambda: h2load(server, seconds, 1),
                    "close": lambda: load.wrk(server, PATH, seconds, 1, 1, closing=True),
                    "keep": lambda: load.wrk(server, PATH, seconds, 1, 1)}[kind]
            return load.undisturbed(server, send, [backend])
        return once

    for kind, what, peer in (("keep", "TLS 1.3, connections kept", "haproxy-plain"),
                             ("close", "TLS 1.3, a P-256 handshake for each request",
                              "nginx-plain"),
                             ("h2", "HTTP/2 over TLS 1.3", "haproxy-plain")):
        runs = rounds(chosen, everyone, run(kind))
        out.say(f"### Passing on over {what}, pinned\n")
        table(out, everyone, runs, ["haproxy-plain", "nginx-plain"], spread, median)
        seen = median(ratios(runs, gateway.name, peer))
        out.aim(f"CPU of a request passed on, {what}", f"≤ 1 × {peer}", f"{seen:.2f} ×",
                seen <= 1.0)
    for server in [*servers, gateway, backend]:
        server.stop()


def run(chosen, out, folder, spread, median):
    speed(chosen, out, folder, spread, median, True)
    speed(chosen, out, folder, spread, median, False)
    tls(chosen, out, folder, spread, median)
