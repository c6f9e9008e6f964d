# SPDX-License-Identifier: MIT
"""A real portcullis on free loopback ports with a little traffic: its log and its metrics."""
import base64
import datetime
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.abspath(os.environ.get("PORTCULLIS", os.path.join(ROOT, "build", "portcullis")))
LISTENERS = ("gateway", "auth", "account", "transaction", "audit", "monitoring")
SETTINGS = ("PORT", "AUTH_PORT", "ACCOUNT_PORT", "TRANSACTION_PORT", "AUDIT_PORT",
            "MONITORING_PORT")
SERIES = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def certificate(folder, *options):
    """A certificate of this machine by the program's own command."""
    subprocess.run([PROGRAM, "certs", "dev", "--folder", folder, *options], check=True,
                   capture_output=True)
    return os.path.join(folder, "server.crt"), os.path.join(folder, "server.key")


class World:
    """with World() as world: the program runs, and is stopped by its own process id."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.ports = dict(zip(LISTENERS, free_ports(len(LISTENERS))))
        self.log_path = os.path.join(self.folder.name, "log")
        environment = {**os.environ, "HOST": "127.0.0.1", "ENVIRONMENT": "development",
                       "PORTCULLIS_DATA": os.path.join(self.folder.name, "data"),
                       "RATE_LIMIT_REQUESTS_PER_MINUTE": "600"}
        environment.update(zip(SETTINGS, map(str, self.ports.values())))
        with open(self.log_path, "wb") as log:
            self.server = subprocess.Popen([PROGRAM, "serve", *self.arguments()], env=environment,
                                           cwd=self.folder.name, stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log)
        end = time.monotonic() + 20
        while self.ask("gateway", "GET", "/readyz")[0] != 200:
            if self.server.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise RuntimeError("the program does not start")
            time.sleep(0.05)
        return self

    def arguments(self):
        """One listener with TLS, so that there is a certificate to tell of."""
        tls = os.path.join(self.folder.name, "tls")
        path, key = certificate(tls)
        config = os.path.join(self.folder.name, "portcullis.yaml")
        with open(config, "w", encoding="utf-8") as out:
            out.write(f"account:\n  tls:\n    certificate: {path}\n    key: {key}\n")
        return ["--config", config]

    def __exit__(self, *_):
        self.server.send_signal(signal.SIGTERM)
        try:
            self.server.wait(15)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        self.folder.cleanup()

    def ask(self, listener, method, path, headers=None, body=None):
        """(status, text); (0, "") when nobody answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[listener]}{path}",
                                         method=method, headers=headers or {},
                                         data=body.encode() if body is not None else None)
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (urllib.error.URLError, OSError):
            return 0, ""

    def post(self, listener, path, value, token=None):
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self.ask(listener, "POST", path, headers, json.dumps(value))

    def token(self, client, secret="change-me", **form):
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        status, text = self.ask("auth", "POST", "/auth/token",
                                {"Authorization": f"Basic {basic}",
                                 "Content-Type": "application/x-www-form-urlencoded"},
                                urllib.parse.urlencode(form))
        return json.loads(text)["access_token"] if status == 200 else None

    def traffic(self):
        """Something of everything that has a number, good and bad."""
        self.post("gateway", "/api/v1/auth/login", {"email": "admin@example.com", "password": "no"})
        status, text = self.post("gateway", "/api/v1/auth/login",
                                 {"email": "admin@example.com", "password": "admin123"})
        session = json.loads(text)["access_token"]
        self.ask("gateway", "GET", "/api/v1/users/profile", {"Authorization": f"Bearer {session}"})
        self.ask("gateway", "GET", "/api/v1/users/profile")
        self.token("risk-engine", "wrong", grant_type="client_credentials")
        self.token("nobody@example.com", "wrong", grant_type="client_credentials")
        self.token("alertmanager", grant_type="client_credentials", scope="monitoring:write")
        money = self.token("web-portal", grant_type="password", username="analyst@example.com",
                           password="P@ssw0rd!", scope="accounts:read accounts:write "
                           "transactions:read transactions:write")
        status, text = self.post("gateway", "/api/v1/accounts", {
            "user_id": 2, "account_number": "100200301", "account_type": "checking",
            "currency": "EUR", "initial_deposit": 100}, money)
        account = json.loads(text)["id"] if status == 201 else 0
        given, _ = self.post("transaction", "/transactions", {
            "account_id": account, "amount": 5, "currency": "EUR", "direction": "debit",
            "description": "card 4111 1111 1111 1111"}, money)
        status, text = self.post("gateway", "/api/v1/accounts", {
            "user_id": 1, "account_number": "100200302", "account_type": "checking",
            "currency": "EUR", "initial_deposit": 100}, money)
        ordered, _ = self.post("gateway", "/api/v1/trading/orders", {
            "symbol": "ACME", "side": "buy", "quantity": 1, "type": "limit", "limit_price": 5,
            "currency": "EUR", "account_id": json.loads(text)["id"] if status == 201 else 0},
            session)
        for path in ("/random/4111111111111111/x", "/api/v1/accounts/77", "/api/v1/users/ada"):
            self.ask("gateway", "GET", path)
        return (bool(session), bool(money), given, ordered) == (True, True, 201, 201)

    def metrics(self, listener="gateway"):
        """{name: [labels as a dict]} of what /metrics tells."""
        found = {}
        for line in self.ask(listener, "GET", "/metrics")[1].splitlines():
            match = SERIES.match(line)
            if match and not line.startswith("#"):
                found.setdefault(match[1], []).append(dict(LABEL.findall(match[2] or "")))
        return found

    def value(self, name, **labels):
        """The number of one series, or None."""
        for line in self.ask("gateway", "GET", "/metrics")[1].splitlines():
            match = SERIES.match(line)
            if match and match[1] == name and dict(LABEL.findall(match[2] or "")) == labels:
                return float(match[3])
        return None

    def certificate_end(self):
        """When the certificate of the listener with TLS ends, by OpenSSL; seconds since 1970."""
        text = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601",
                               "-in", os.path.join(self.folder.name, "tls", "server.crt")],
                              check=True, capture_output=True, text=True).stdout
        end = datetime.datetime.strptime(text.strip(), "notAfter=%Y-%m-%d %H:%M:%SZ")
        return end.replace(tzinfo=datetime.timezone.utc).timestamp()

    def certificate_renew(self):
        """Another certificate in its place, and the signal to take it over."""
        certificate(os.path.join(self.folder.name, "tls"), "--days", "60", "--force")
        self.server.send_signal(signal.SIGHUP)

    def lines(self):
        """The lines of its log that are JSON objects, as they are written."""
        with open(self.log_path, encoding="utf-8") as log:
            return [line.rstrip("\n") for line in log if line.startswith("{")]
