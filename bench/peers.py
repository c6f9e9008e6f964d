# SPDX-License-Identifier: MIT
"""The servers that are measured: how each is configured and started, and what is asked of it.

The peers answer what Portcullis answers, byte for byte where it is constant: nginx and HAProxy get
the headers and the body that Portcullis was seen to send, a request id of their own making, and a
JSON access log with the same members.
"""
import functools
import http.client
import json
import os
import resource
import shutil
import socket
import ssl
import subprocess
import time

import procs

HEALTH, PROFILE = "/api/v1/health", "/api/v1/users/profile"
# Sent by the peer itself, or different for each request.
OWN_HEADERS = {"date", "server", "content-length", "connection", "keep-alive", "x-request-id",
               "content-type"}
LOG_MEMBERS = ["method", "path", "status_code", "duration_ms", "request_id", "client"]


class Answer:
    """What a target sends: the model for the peers."""

    def __init__(self, headers, body):
        self.headers, self.body = headers, body

    @property
    def bytes(self):
        return sum(len(name) + len(value) + 4 for name, value in self.headers) + 19 + len(self.body)


# For runs without Portcullis: what the contract promises.
SECURITY = [("X-Process-Time", "0.000012"), ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"), ("X-XSS-Protection", "1; mode=block"),
            ("Strict-Transport-Security", "max-age=63072000; includeSubDomains; preload"),
            ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
            ("Referrer-Policy", "no-referrer"),
            ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
            ("Content-Type", "application/json")]
MODELS = {
    HEALTH: Answer(SECURITY, '{"status":"healthy","service":"api-gateway",'
                             '"timestamp":"2026-01-01T00:00:00.000Z"}'),
    PROFILE: Answer(SECURITY + [("X-RateLimit-Limit", "60"), ("X-RateLimit-Remaining", "59"),
                                ("X-RateLimit-Reset", "1767225600")],
                    '{"user_id":1,"username":"bench","email":"bench@example.com",'
                    '"is_admin":false}'),
}


class Server:
    """One measured program. A subclass says how to configure and start it."""
    name = "?"
    tls = False
    held_max = 1 << 20

    def __init__(self, folder):
        self.folder = os.path.join(folder, self.name)
        os.makedirs(self.folder, exist_ok=True)
        self.port, self.process, self.token = procs.free_port(), None, None

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, cpu, workers):
        """Returns the seconds from exec to the first 200."""
        command, env = self.command(workers)
        with open(self.path("output"), "ab") as output:
            began = time.monotonic()
            self.process = procs.start(command, cpu, env, output)
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > began + 20:
                raise SystemExit(f"{self.name} did not start:\n{self.output()}")
            time.sleep(0.001)
        return time.monotonic() - began

    def output(self):
        with open(self.path("output"), encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:]

    def stop(self):
        if self.process is not None:
            procs.stop(self.process)
        self.process = None

    def pids(self):
        return procs.tree(self.process.pid)

    def connect(self, timeout=10, protocol="http/1.1"):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout)
        if not self.tls:
            return plain
        context = trusting()
        context.set_alpn_protocols([protocol])
        return context.wrap_socket(plain)

    def answers(self):
        try:
            with self.connect(1) as connection:
                connection.sendall(self.request(HEALTH))
                return connection.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def headers(self, path):
        return [f"Authorization: Bearer {self.token}"] if path == PROFILE and self.token else []

    def request(self, path):
        lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *self.headers(path), "", ""]
        return "\r\n".join(lines).encode()

    def log_path(self):
        return self.path("access.log")

    def log_bytes(self):
        return os.path.getsize(self.log_path()) if os.path.exists(self.log_path()) else 0

    def log_forget(self):
        """Gives the log's pages back just before others are needed. A virtual machine may have to
        ask its host for a page that nobody had lately, which costs more than all of a request."""
        if self.log_bytes() > 0:
            os.truncate(self.log_path(), 0)


@functools.cache
def trusting():
    """A client's side of TLS that takes any certificate: the servers here make their own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Portcullis(Server):
    """The program under test, with its whole pipeline on and a limit that is never reached."""
    name = "portcullis"

    def __init__(self, folder, program, certificate=None):
        super().__init__(folder)
        self.program, self.tls, self.certificate = program, certificate is not None, certificate

    def command(self, workers):
        tls = ""
        if self.tls:
            tls = f"\n  tls:\n    certificate: {self.certificate}.crt\n" \
                  f"    key: {self.certificate}.key"
        with open(self.path("portcullis.yaml"), "w", encoding="utf-8") as out:
            out.write(f"""environment: development
data: {self.path("data")}
gateway:
  host: 127.0.0.1
  port: {self.port}{tls}
auth:
  port: 0
account:
  port: 0
transaction:
  port: 0
audit:
  port: 0
monitoring:
  port: 0
workers:
  loops: {workers}
http:
  idle_timeout_ms: 600000
  connections_max: 20000
  connections_per_ip_max: 20000
limits:
  requests_per_minute: {os.environ.get("BENCH_LIMIT", "1000000000")}
jwt:
  access_minutes: 1440
log:
  path: {self.path("access.log")}
""")
        return [self.program, "serve", "--config", self.path("portcullis.yaml")], {}

    def sign_in(self):
        body = json.dumps({"username": f"bench{self.port}", "password": "correct horse battery 9",
                           "email": f"bench{self.port}@example.com"})
        status, _, text = self.ask("POST", "/api/v1/auth/register", body)
        if status != 201:
            raise SystemExit(f"portcullis: register answered {status}: {text}")
        self.token = json.loads(text)["access_token"]

    def ask(self, method, path, body=None):
        client = http.client.HTTPSConnection if self.tls else http.client.HTTPConnection
        more = {"context": trusting()} if self.tls else {}
        connection = client("127.0.0.1", self.port, timeout=10, **more)
        headers = {"Content-Type": "application/json"} if body else {}
        if path == PROFILE:
            headers["Authorization"] = f"Bearer {self.token}"
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        return reply.status, reply.getheaders(), text

    def models(self):
        """The answers the peers copy."""
        out = {}
        for path in (HEALTH, PROFILE):
            status, headers, body = self.ask("GET", path)
            if status != 200:
                raise SystemExit(f"portcullis: {path} answered {status}: {body}")
            out[path] = Answer(headers, body)
        return out


class Nginx(Server):
    """`return 200` with equal headers and a buffered JSON log."""
    name = "nginx"

    def __init__(self, folder, models, certificate=None):
        super().__init__(folder)
        self.models, self.tls, self.certificate = models, certificate is not None, certificate

    def command(self, workers):
        with open(self.path("nginx.conf"), "w", encoding="utf-8") as out:
            out.write(self.configuration(workers))
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-p", self.folder,
                "-e", self.path("error.log"), "-c", self.path("nginx.conf")], {}

    def configuration(self, workers):
        listen = f"127.0.0.1:{self.port}" + (" ssl http2" if self.tls else "") + " reuseport"
        tls = ""
        if self.tls:
            tls = f"ssl_certificate {self.certificate}.crt;\n" \
                  f"    ssl_certificate_key {self.certificate}.key;"
        members = ('"ts":"$time_iso8601","level":"info","event":"http_request",'
                   '"method":"$request_method","path":"$uri","route":"$uri",'
                   '"status_code":$status,"duration_ms":$request_time,"request_id":"$request_id",'
                   '"trace_id":"$request_id","client":"$remote_addr","service":"api-gateway",'
                   '"compliance":{"regimes":[],"data_classification":"internal"},'
                   '"mtls_subject":""')
        return f"""worker_processes {workers};
worker_rlimit_nofile 20000;
daemon off;
pid {self.path("pid")};
events {{ worker_connections 19000; }}
http {{
    log_format json escape=json '{{{members}}}';
    access_log {self.path("access.log")} json buffer=64k flush=1s;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_temp_path {self.path("t1")}; proxy_temp_path {self.path("t2")};
    fastcgi_temp_path {self.path("t3")}; uwsgi_temp_path {self.path("t4")};
    scgi_temp_path {self.path("t5")};
    default_type application/json;
    server {{
    listen {listen} backlog=4096;
    {tls}
{"".join(self.location(path) for path in self.models)}    }}
}}
"""

    def location(self, path):
        model = self.models[path]
        lines = "".join(f"        add_header {name} {quoted(value)};\n"
                        for name, value in model.headers if name.lower() not in OWN_HEADERS)
        return (f"    location = {path} {{\n        add_header X-Request-ID $request_id;\n{lines}"
                f"        return 200 {quoted(model.body)};\n    }}\n")


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "${dollar}") + '"'


class HAProxy(Server):
    """`http-request return` with equal headers; its log is a line a write, to a file."""
    name = "haproxy"
    # It asks for two descriptors a connection, since it is made to have a server behind it.
    held_max = resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 2 - 200

    def __init__(self, folder, models, certificate=None):
        super().__init__(folder)
        self.models, self.tls, self.certificate = models, certificate is not None, certificate

    def command(self, workers):
        rules = ""
        for at, (path, model) in enumerate(self.models.items()):
            with open(self.path(f"body{at}"), "w", encoding="utf-8") as out:
                out.write(model.body)
            headers = " ".join(f"hdr {name} {escaped(value)}" for name, value in model.headers
                               if name.lower() not in OWN_HEADERS)
            rules += (f"    http-request return status 200 content-type application/json "
                      f"file {self.path(f'body{at}')} hdr X-Request-ID %[unique-id] {headers} "
                      f"if {{ path {path} }}\n")
        tls = f" ssl crt {self.certificate}.pem alpn h2,http/1.1" if self.tls else ""
        line = ('{"event":"http_request","method":"%HM","path":"%HP","status_code":%ST,'
                '"duration_ms":%Ta,"request_id":"%ID","client":"%ci","service":"api-gateway"}')
        with open(self.path("haproxy.cfg"), "w", encoding="utf-8") as out:
            out.write(f"""global
    maxconn {self.held_max + 100}
    nbthread {workers}
    log stdout format raw local0
    tune.ssl.default-dh-param 2048
defaults
    mode http
    log global
    timeout client 600s
    timeout http-keep-alive 600s
    timeout connect 5s
    timeout server 5s
frontend all
    bind 127.0.0.1:{self.port}{tls} backlog 4096
    unique-id-format %{{+X}}o\\ %ci%cp%ts%rt%pid
    log-format {escaped(line)}
{rules}""")
        return [shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f",
                self.path("haproxy.cfg")], {}

    def log_path(self):
        return self.path("output")


def escaped(text):
    for letter in ("\\", '"', " ", "#", "'"):
        text = text.replace(letter, "\\" + letter)
    return text


def certificate(folder):
    """A P-256 certificate for 127.0.0.1, as FOLDER/tls.{crt,key,pem}."""
    base = os.path.join(folder, "tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", base + ".key", "-out", base + ".crt"],
                   check=True, capture_output=True)
    with open(base + ".pem", "w", encoding="utf-8") as out:
        for end in (".crt", ".key"):
            with open(base + end, encoding="utf-8") as part:
                out.write(part.read())
    os.chmod(base + ".key", 0o600)
    return base
