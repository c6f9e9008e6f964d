# SPDX-License-Identifier: MIT
"""Moving money: Portcullis through HTTP, JWT, idempotency and trail, beside a bare SQLite loop and
beside pgbench running the same transfer as a function. README.md here says what is compared."""
import concurrent.futures
import functools
import glob
import http.client
import json
import os
import pwd
import re
import subprocess
import tempfile
import threading
import time
import urllib.parse

import load
import peers
import procs

HERE = os.path.dirname(os.path.abspath(__file__))
ACCOUNTS = 10000
OPENERS = 32            # connections that open them
OPENING = "10000000.00"
BATCH = 100
GROWTH = [10000, 100000, 1000000, 5000000]
LIMIT = 1000000000
SCOPE = "profile accounts:read accounts:write transactions:read transactions:write"
ROUTES = ["POST /accounts", "GET /accounts/{id}", "POST /transfers", "POST /transfers/batch"]


class Books(peers.Server):
    """Portcullis with ACCOUNTS accounts. `port` is the transaction service's."""
    name = "portcullis"

    def __init__(self, folder, program, database=None):
        super().__init__(folder)
        self.program, self.database = program, database
        self.ports = {name: procs.free_port() for name in
                      ("gateway", "auth", "account", "audit", "monitoring")}
        self.first = None

    def configure(self, workers):
        listeners = {**self.ports, "transaction": self.port}
        text = f"environment: development\ndata: {self.path('data')}\n"
        for name, port in listeners.items():
            text += f"{name}:\n  host: 127.0.0.1\n  port: {port}\n"
        if self.database:
            text += f"database:\n  url: {self.database}\n  sslmode: disable\n"
        text += f"workers:\n  loops: {workers}\nhttp:\n  connections_per_ip_max: 20000\n"
        text += f"  body_bytes_max: 1048576\nlimits:\n  requests_per_minute: {LIMIT}\n  routes:\n"
        for route in ROUTES:
            text += f"    - route: {route}\n      requests_per_minute: {LIMIT}\n"
        text += f"log:\n  path: {self.path('access.log')}\n"
        with open(self.path("portcullis.yaml"), "w", encoding="utf-8") as out:
            out.write(text)

    def command(self, workers):
        self.configure(workers)
        return [self.program, "serve", "--config", self.path("portcullis.yaml")], {}

    def answers(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def sign_in(self):
        """analyst@example.com of the development data: role payments."""
        form = urllib.parse.urlencode({"grant_type": "password", "client_id": "web-portal",
                                       "client_secret": "change-me",
                                       "username": "analyst@example.com", "password": "P@ssw0rd!",
                                       "scope": SCOPE})
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["auth"], timeout=10)
        connection.request("POST", "/auth/token", form,
                           {"Content-Type": "application/x-www-form-urlencoded"})
        reply = json.loads(connection.getresponse().read())
        self.token = reply["access_token"]

    def open_accounts(self):
        """Through the API, as anybody would, by so many at once that the disk is shared."""
        with concurrent.futures.ThreadPoolExecutor(OPENERS) as pool:
            ids = [number for some in pool.map(self.open_some, range(OPENERS)) for number in some]
        self.first = min(ids)
        if sorted(ids) != list(range(self.first, self.first + ACCOUNTS)):
            raise SystemExit("the accounts' ids are not one behind the other")

    def open_some(self, opener):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["account"], timeout=30)
        ids = []
        for number in range(opener, ACCOUNTS, OPENERS):
            body = json.dumps({"user_id": 2, "account_number": f"BENCH-{number:08d}",
                               "account_type": "checking", "initial_deposit": OPENING})
            connection.request("POST", "/accounts", body,
                               {"Authorization": f"Bearer {self.token}",
                                "Content-Type": "application/json"})
            reply = connection.getresponse()
            text = reply.read()
            if reply.status != 201:
                raise SystemExit(f"POST /accounts answered {reply.status}: {text.decode()}")
            ids.append(json.loads(text)["id"])
        return ids

    def ready(self, workers):
        self.start(None, workers)
        self.sign_in()
        if self.first is None:
            self.open_accounts()

    def check(self):
        """Every invariant of the ledger, looked at by the program itself."""
        done = subprocess.run([self.program, "ledger", "check", "--config",
                               self.path("portcullis.yaml")], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"ledger check:\n{done.stdout}{done.stderr}")


_runs = [0]


def moved(server, seconds, batch=1, hot=False, connections=None):
    """One closed-loop run of wrk; processors are shared."""
    _runs[0] += 1
    connections = connections or (load.CONNECTIONS if batch == 1 else 16)
    env = {"TRANSFER_FIRST": str(server.first), "TRANSFER_ACCOUNTS": str(ACCOUNTS),
           "TRANSFER_BATCH": str(batch), "TRANSFER_HOT": "1" if hot else "0",
           "TRANSFER_RUN": f"{os.getpid()}-{_runs[0]}", "TRANSFER_TOKEN": server.token}
    path = "/transfers" if batch == 1 else "/transfers/batch"
    pids = server.pids()
    used = sum(procs.cpu_seconds(pids))
    run = load.wrk_run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
                        "--timeout", "20s", "-s", os.path.join(HERE, "transfer.lua"),
                        f"http://127.0.0.1:{server.port}{path}"], seconds, None, env)
    count = batch * run["requests"]
    return {"per_second": count / run["wall"], "count": count, "errors": run["errors"],
            "cpu_us": 1e6 * (sum(procs.cpu_seconds(pids)) - used) / max(1, count)}


def bare(chosen, folder, *what):
    program = os.path.join(os.path.dirname(chosen.paced), "bare")
    done = subprocess.run([program, what[0], os.path.join(folder, "bare.db"),
                           str(chosen.seconds), *what[1:]], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"bare: {done.stderr}")
    for end in ("", "-wal", "-shm"):
        if os.path.exists(os.path.join(folder, "bare.db" + end)):
            os.unlink(os.path.join(folder, "bare.db" + end))
    return json.loads(done.stdout)


class Postgres:
    """A server of our own on loopback, with two databases: ours and pgbench's."""

    def __init__(self, folder):
        self.folder, self.port = os.path.join(folder, "postgres"), procs.free_port()
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]

    def as_user(self, command):
        """initdb and postgres refuse to run as root."""
        if os.getuid() != 0:
            return command
        return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups",
                *command]

    def start(self):
        os.makedirs(self.folder)
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        data = os.path.join(self.folder, "data")
        subprocess.run(self.as_user([f"{self.bin}/initdb", "-D", data, "-A", "trust", "-U",
                                     "postgres", "--no-locale", "-E", "UTF8"]), check=True,
                       capture_output=True, cwd="/")
        with open(os.path.join(data, "postgresql.conf"), "a", encoding="utf-8") as out:
            out.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\n"
                      f"unix_socket_directories = '{self.folder}'\nshared_buffers = 1GB\n"
                      "max_wal_size = 8GB\nmin_wal_size = 2GB\ncheckpoint_timeout = 30min\n")
        self.process = procs.start(self.as_user([f"{self.bin}/postgres", "-D", data]))
        deadline = time.monotonic() + 30
        while subprocess.run([f"{self.bin}/pg_isready", "-q", "-h", self.folder, "-p",
                              str(self.port)]).returncode != 0:
            if time.monotonic() > deadline:
                raise SystemExit("postgres did not start")
            time.sleep(0.05)
        for name in ("portcullis", "bare", "tpcb"):
            self.sql("postgres", "-c", f"CREATE DATABASE {name}")
        self.sql("bare", "-f", os.path.join(HERE, "ledger.sql"))
        subprocess.run([f"{self.bin}/pgbench", *self.at(), "-i", "-s", "10", "-q", "tpcb"],
                       check=True, capture_output=True)

    def at(self):
        return ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]

    def sql(self, database, *what):
        subprocess.run([f"{self.bin}/psql", *self.at(), "-qX", "-v", "ON_ERROR_STOP=1", "-d",
                        database, *what], check=True, capture_output=True)

    def url(self):
        return f"postgresql://postgres@127.0.0.1:{self.port}/portcullis"

    def bench(self, chosen, database, script=None):
        """pgbench with 16 clients and prepared statements."""
        what = ["-f", script] if script else []
        done = subprocess.run([f"{self.bin}/pgbench", *self.at(), "-n", "-M", "prepared", "-c",
                               "16", "-j", "2", "-T", str(chosen.seconds), *what, database],
                              capture_output=True, text=True)
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        if not found:
            raise SystemExit(f"pgbench said:\n{done.stdout}{done.stderr}")
        return {"per_second": float(found.group(1)), "cpu_us": float("nan")}

    def script(self, folder, hot):
        path = os.path.join(folder, "hot.sql" if hot else "uniform.sql")
        with open(path, "w", encoding="utf-8") as out:
            payee = "1" if hot else ":payee"
            out.write("\\set payer random(2, 10000)\n\\set step random(1, 9998)\n"
                      "\\set payee 1 + (:payer - 1 + :step) % 10000\n\\set amount random(1, 100)\n"
                      f"SELECT move(:payer, {payee}, :amount);\n")
        return path

    def stop(self):
        procs.stop(self.process)


def rounds(chosen, jobs):
    """{name: [runs]}, interleaved, the order turned in every other round."""
    runs = {name: [] for name in jobs}
    for number in range(chosen.rounds):
        for name in list(jobs) if number % 2 == 0 else list(jobs)[::-1]:
            runs[name].append(jobs[name]())
    return runs


def ratios(runs, name, base):
    return [a["per_second"] / b["per_second"] for a, b in zip(runs[name], runs[base])]


def table(out, runs, base, spread):
    rows = []
    for name, own in runs.items():
        rows.append([name, spread([run["per_second"] for run in own], 0),
                     spread([run["cpu_us"] for run in own]) if own[0]["cpu_us"] ==
                     own[0]["cpu_us"] else "",
                     spread(ratios(runs, name, base), 2),
                     str(sum(run.get("errors", 0) for run in own))])
    out.table(["job", "transfers/s", "CPU µs/transfer", "÷ " + base, "errors"], rows)


DISK = "fdatasync of 4 KiB"
LOOP = "bare SQLite, 100 a commit"
SINGLE, BATCHES, HOT = "POST /transfers", f"POST /transfers/batch of {BATCH}", "one hot account"
UNTRAILED = ", no trail"
FUNCTION, FUNCTION_HOT = "pgbench: the function", "pgbench: the function, hot"


def disk_line(out, runs, spread):
    out.say(f"The disk meanwhile: {DISK} took " +
            spread([run["p50_us"] for run in runs], 0) + " µs (p99 " +
            spread([run["p99_us"] for run in runs], 0) + ").\n")


def embedded(chosen, out, folder, server, spread, median):
    out.say("### Transfers, embedded store: HTTP, JWT, idempotency and trail, durable; "
            "processors shared\n")
    disk = []
    jobs = {
        "bare SQLite, 1 a commit": lambda: bare(chosen, folder, "transfers", "1", str(ACCOUNTS)),
        LOOP: lambda: bare(chosen, folder, "transfers", str(BATCH), str(ACCOUNTS)),
        SINGLE: lambda: moved(server, chosen.seconds),
        HOT: lambda: moved(server, chosen.seconds, hot=True),
        BATCHES: lambda: moved(server, chosen.seconds, BATCH),
        BATCHES + ", hot": lambda: moved(server, chosen.seconds, BATCH, True),
    }
    jobs[DISK] = lambda: disk.append(bare(chosen, folder, "disk")) or {"per_second": 1}
    runs = rounds(chosen, jobs)
    del runs[DISK]
    disk_line(out, disk, spread)
    table(out, runs, LOOP, spread)
    server.check()
    single, batches = median(ratios(runs, SINGLE, LOOP)), median(ratios(runs, BATCHES, LOOP))
    hot = median(ratios(runs, HOT, SINGLE))
    out.aim("single transfers, embedded", "≥ 0.4 × the bare loop", f"{single:.2f} ×", single >= 0.4)
    out.aim(f"batches of {BATCH}, embedded", "≥ 0.8 × the bare loop", f"{batches:.2f} ×",
            batches >= 0.8)
    out.aim("one hot account, embedded", "≥ 90 % of uniform", f"{100 * hot:.0f} %", hot >= 0.9)
    return median([run["per_second"] for run in runs[SINGLE]])


def price(chosen, out, folder, spread, median):
    """What the trail costs: the same program without it, beside it, with the same history."""
    pair = [Books(os.path.join(folder, name), os.path.join(os.path.dirname(chosen.paced), name))
            for name in ("trailed", "untrailed")]
    for server in pair:
        server.ready(os.cpu_count())
    disk, jobs = [], {}
    for server, more in zip(pair, ("", UNTRAILED)):
        jobs[SINGLE + more] = functools.partial(moved, server, chosen.seconds)
        jobs[BATCHES + more] = functools.partial(moved, server, chosen.seconds, BATCH)
    jobs[DISK] = lambda: disk.append(bare(chosen, folder, "disk")) or {"per_second": 1}
    runs = rounds(chosen, jobs)
    del runs[DISK]
    out.say("### The price of the trail: two fresh servers, one of which keeps none\n")
    disk_line(out, disk, spread)
    table(out, runs, SINGLE + UNTRAILED, spread)
    for server in pair:
        server.stop()
    for name, about in ((SINGLE, "single"), (BATCHES, "batches")):
        more = [a["cpu_us"] - b["cpu_us"] for a, b in zip(runs[name], runs[name + UNTRAILED])]
        out.say(f"- {about}: the trail leaves {spread(ratios(runs, name, name + UNTRAILED), 2)} of "
                f"the throughput and takes {spread(more)} µs of processor an event.")
    out.say()
    share = 100 * (1 - median(ratios(runs, SINGLE, SINGLE + UNTRAILED)))
    out.aim("the trail's share of a posting's throughput", "≤ 5 %", f"{share:.1f} %", share <= 5)


class Probe:
    """The disk's own word while something else is measured: every 10 ms 4 KiB and their
    fdatasync, in a file beside. What it waits for is nobody's transfer."""

    def __init__(self, folder):
        self.file = os.open(os.path.join(folder, "probe"), os.O_RDWR | os.O_CREAT, 0o600)
        self.times, self.over = [], threading.Event()

    def look(self):
        block = os.urandom(4096)
        while not self.over.wait(0.01):
            began = time.monotonic()
            os.pwrite(self.file, block, 0)
            os.fdatasync(self.file)
            self.times.append(1000 * (time.monotonic() - began))

    def __enter__(self):
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        os.close(self.file)

    def p99(self):
        return sorted(self.times)[int(0.99 * len(self.times))]


def paced(chosen, server, number, rate):
    body = json.dumps({"from_account_id": server.first + number,
                       "to_account_id": server.first + 5000, "amount": "0.01"})
    headers = [f"Authorization: Bearer {server.token}", "Content-Type: application/json",
               f"Idempotency-Key: tail-{number}-%n"]
    with Probe(server.folder) as probe:
        done = subprocess.run([chosen.paced, "127.0.0.1", str(server.port), "/transfers",
                               str(int(rate)), str(chosen.seconds), "256", *headers],
                              env={**os.environ, "PACED_BODY": body}, capture_output=True,
                              text=True, timeout=chosen.seconds + 60)
    if done.returncode != 0:
        raise SystemExit(f"paced: {done.stderr}")
    return {**json.loads(done.stdout), "disk_p99": probe.p99(), "disk_max": max(probe.times)}


def tail(chosen, out, server, rate, spread, median):
    """Open loop at 70 % of what was just managed; and the same rate with the data in memory, where
    no disk can stand still: what is left is the program's own, and the machine's."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        other = Books(memory, chosen.portcullis)
        other.ready(os.cpu_count())
        jobs = {"on the disk": server, "in memory": other}
        runs = {name: [] for name in jobs}
        for number in range(chosen.rounds):
            for name in list(jobs) if number % 2 == 0 else list(jobs)[::-1]:
                runs[name].append(paced(chosen, jobs[name], number, 0.7 * rate))
        other.check()
        other.stop()
    out.say(f"### A transfer's latency at 70 % load ({int(0.7 * rate)} a second asked for), "
            "milliseconds from the moment it was due\n")
    keys = ("p50_us", "p99_us", "p999_us", "max_us")
    out.table(["data", "p50", "p99", "p99.9", "slowest", "probe p99", "probe slowest", "errors"],
              [[name, *(spread([run[key] / 1000 for run in own], 2) for key in keys),
                *(spread([run[key] for run in own], 2) for key in ("disk_p99", "disk_max")),
                str(sum(run["refused"] + run["sent"] - run["answered"] for run in own))]
               for name, own in runs.items()])
    for name, own in runs.items():
        p99 = median([run["p99_us"] for run in own]) / 1000
        out.aim(f"p99 of a transfer at 70 % load, {name}", "≤ 25 ms", f"{p99:.1f} ms", p99 <= 25)


class Path:
    """What load.wrk asks of a server, for one path and port."""

    def __init__(self, server, port):
        self.server, self.port, self.tls = server, port, False
        self.pids = server.pids
        self.log_bytes, self.log_forget = server.log_bytes, server.log_forget

    def headers(self, _):
        return [f"Authorization: Bearer {self.server.token}"]


def reads(chosen, out, server, spread, median):
    profile = Path(server, server.ports["gateway"])
    account = Path(server, server.ports["account"])
    jobs = {"GET /accounts/{id}": lambda: load.closed_loop(account, f"/accounts/{server.first}",
                                                          chosen.seconds, None, 1),
            "GET /api/v1/users/profile": lambda: load.closed_loop(profile, "/api/v1/users/profile",
                                                            chosen.seconds, None, 1)}
    runs = rounds(chosen, jobs)
    out.say("### Reading one account, beside a route whose answer needs no store\n")
    share = [a["rps"] / b["rps"] for a, b in zip(*runs.values())]
    out.table(["route", "requests/s", "CPU µs/request", "errors"],
              [[name, spread([run["rps"] for run in own], 0),
                spread([run["cpu_us"] for run in own]), str(sum(run["errors"] for run in own))]
               for name, own in runs.items()])
    out.aim("reads of one account", "≥ 30 % of the cached profile", f"{100 * median(share):.0f} %",
            median(share) >= 0.3)


def shared(chosen, out, folder, spread, median):
    out.say("### Transfers, PostgreSQL on the same machine, beside pgbench with 16 clients\n")
    database = Postgres(folder)
    database.start()
    server = Books(os.path.join(folder, "shared"), chosen.portcullis, database.url())
    server.ready(os.cpu_count())
    uniform, hot = (database.script(folder, flag) for flag in (False, True))
    disk = []
    jobs = {
        "pgbench: TPC-B": lambda: database.bench(chosen, "tpcb"),
        FUNCTION: lambda: database.bench(chosen, "bare", uniform),
        FUNCTION_HOT: lambda: database.bench(chosen, "bare", hot),
        SINGLE: lambda: moved(server, chosen.seconds),
        HOT: lambda: moved(server, chosen.seconds, hot=True),
        BATCHES: lambda: moved(server, chosen.seconds, BATCH),
        BATCHES + ", hot": lambda: moved(server, chosen.seconds, BATCH, True),
    }
    jobs[DISK] = lambda: disk.append(bare(chosen, folder, "disk")) or {"per_second": 1}
    runs = rounds(chosen, jobs)
    del runs[DISK]
    disk_line(out, disk, spread)
    table(out, runs, FUNCTION, spread)
    server.check()
    hot_ratio = median(ratios(runs, HOT, FUNCTION_HOT))
    out.aim("one hot account, PostgreSQL", "≥ 1.5 × the function, hot", f"{hot_ratio:.2f} ×",
            hot_ratio >= 1.5)
    server.stop()
    database.stop()


def growth(chosen, out, folder, spread, median):
    """Processor time a posting costs while the ledger grows."""
    out.say("### Cost of a posting while the ledger grows (embedded store)\n")
    server = Books(os.path.join(folder, "growth"), chosen.portcullis)
    server.ready(os.cpu_count())
    rows, costs, held = [], [], ACCOUNTS
    for size in [size for size in GROWTH if size <= chosen.transfers]:
        while held < size:
            held += moved(server, min(30, max(1, (size - held) // 20000)), BATCH)["count"]
        batches = [moved(server, chosen.seconds, BATCH) for _ in range(min(3, chosen.rounds))]
        singles = [moved(server, chosen.seconds) for _ in range(min(3, chosen.rounds))]
        disk = bare(chosen, folder, "disk")
        costs.append(median([run["cpu_us"] for run in singles]))
        rows.append([str(held), spread([run["per_second"] for run in batches], 0),
                     spread([run["cpu_us"] for run in batches]),
                     spread([run["per_second"] for run in singles], 0),
                     spread([run["cpu_us"] for run in singles]), f"{disk['p50_us']:.0f}",
                     f"{procs.rss_kib(server.pids()) / 1024:.0f}",
                     f"{os.path.getsize(server.path('data/portcullis.db')) / held:.0f}"])
        held += sum(run["count"] for run in batches + singles)
    out.table(["transfers held", f"batches of {BATCH}: transfers/s", "CPU µs/transfer",
               "single: transfers/s", "CPU µs/transfer", "fdatasync µs", "memory MiB",
               "bytes/transfer"], rows)
    if len(costs) > 1:
        worse = costs[-1] / costs[0]
        out.aim(f"cost of a posting, {GROWTH[0]} to {rows[-1][0]} transfers", "≤ 1.25 ×",
                f"{worse:.2f} ×", worse <= 1.25)
    server.check()
    server.stop()


def run(chosen, out, folder, spread, median):
    server = Books(os.path.join(folder, "money"), chosen.portcullis)
    server.ready(os.cpu_count())
    rate = embedded(chosen, out, folder, server, spread, median)
    tail(chosen, out, server, rate, spread, median)
    reads(chosen, out, server, spread, median)
    server.check()
    server.stop()
    price(chosen, out, folder, spread, median)
    shared(chosen, out, folder, spread, median)
