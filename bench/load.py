# SPDX-License-Identifier: MIT
"""What is done to a server and what is read off meanwhile."""
import json
import os
import re
import socket
import subprocess
import time

import http2
import peers
import procs

CONNECTIONS = 64
ERRORS = r"(?:Non-2xx or 3xx responses: |connect |read |write |timeout )(\d+)"
DISTURBED = 0.20        # of one processor, taken by others; such a run is done again


def wrk(server, path, seconds, cpu, threads, closing=False):
    """Closed loop: 64 connections, each asks again as soon as it was answered; `closing` opens a
    new one for each request."""
    scheme = "https" if server.tls else "http"
    command = ["wrk", f"-t{threads}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    for header in server.headers(path):
        command += ["-H", header]
    if closing:
        command += ["-H", "Connection: close"]
    command.append(f"{scheme}://127.0.0.1:{server.port}{path}")
    return wrk_run(command, seconds, cpu)


def wrk_run(command, seconds, cpu, env=None):
    text, found, used = generated(command, r"(\d+) requests in ([\d.]+)(ms|s|m)", seconds, cpu, env)
    wall = float(found.group(2)) * {"ms": 0.001, "s": 1, "m": 60}[found.group(3)]
    return {"requests": int(found.group(1)), "wall": wall, "cpu": used,
            "errors": sum(map(int, re.findall(ERRORS, text))), "p99_ms": percentile(text, 99)}


def generated(command, wanted, seconds, cpu, env=None):
    """Runs a load generator; (what it printed, the match of `wanted`, its processor seconds)."""
    if cpu is not None:
        command = ["taskset", "-c", str(cpu), *command]
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 90,
                          env={**os.environ, **(env or {})})
    after = os.times()
    found = re.search(wanted, done.stdout)
    if done.returncode != 0 or not found:
        raise SystemExit(f"{' '.join(command)} said:\n{done.stdout}{done.stderr}")
    return done.stdout, found, after.children_user + after.children_system \
        - before.children_user - before.children_system


def percentile(text, percent):
    """Milliseconds, of what wrk printed."""
    found = re.search(rf"^ +{percent}% +([\d.]+)(us|ms|s)$", text, re.MULTILINE)
    return float(found.group(1)) * {"us": 0.001, "ms": 1, "s": 1000}[found.group(2)] \
        if found else float("nan")


def closed_loop(server, path, seconds, cpu, threads, besides=()):
    """One measured run; `besides` are servers that work for it, whose time is not its own."""
    return undisturbed(server, lambda: wrk(server, path, seconds, cpu, threads), besides)


def undisturbed(server, send, besides=()):
    """A measured run; repeated, twice at most, when something else used the machine."""
    best = None
    for _ in range(3):
        run = measured(server, send, besides)
        if best is None or run["others"] < best["others"]:
            best = run
        if best["others"] <= DISTURBED:
            break
    return best


def measured(server, send, besides=()):
    pids, more = server.pids(), [pid for other in besides for pid in other.pids()]
    server.log_forget()
    busy, used, began = procs.machine_busy(), procs.cpu_seconds(pids), time.monotonic()
    helped = sum(procs.cpu_seconds(more))
    run = send()
    took = time.monotonic() - began
    user, system = (after - before for after, before in zip(procs.cpu_seconds(pids), used))
    run["rps"] = run["requests"] / run["wall"]
    run["cpu_us"] = 1e6 * (user + system) / max(1, run["requests"])
    run["user_share"] = user / max(0.001, user + system)
    helped = sum(procs.cpu_seconds(more)) - helped
    run["others"] = max(0.0, procs.machine_busy() - busy - user - system - helped
                        - run["cpu"]) / took
    run["logged"] = server.log_bytes()
    return run


def open_loop(paced, server, path, rate, seconds, cpu, shares=False):
    """Requests at a fixed rate, latency from the moment each was due (microseconds). A sender that
    shares its processor sleeps between requests; one that does not is more exact."""
    server.log_forget()
    command = [paced, "127.0.0.1", str(server.port), path, str(rate), str(seconds),
               str(CONNECTIONS), *server.headers(path)]
    if cpu is not None:
        command = ["taskset", "-c", str(cpu), *command]
    env = {**os.environ, "PACED_SLEEPS": "1"} if shares else None
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, env=env)
    if done.returncode != 0:
        raise SystemExit(f"paced: {done.stderr}")
    return json.loads(done.stdout)


def held(server, count, protocol):
    """Bytes of resident memory a connection costs that was used once and now waits. The protocol
    is "h2" or "http/1.1"."""
    pids = server.pids()
    before = settled(pids)
    open_ones, failed = [], 0
    for _ in range(count):
        try:
            connection = server.connect(protocol=protocol)
            if protocol == "h2":
                http2.begin(connection)
            failed += not answers(server, connection, protocol, 1)
            open_ones.append(connection)
        except OSError:
            failed += 1
    after = settled(pids)
    awake = sum(still_answers(server, connection, protocol) for connection in open_ones[::100])
    for connection in open_ones:
        connection.close()
    return {"open": len(open_ones), "failed": failed, "bytes": 1024 * (after - before) /
            max(1, len(open_ones)), "awake": awake, "asked": len(open_ones[::100]),
            "rss_before": before, "rss_after": after}


def answers(server, connection, protocol, time_of_asking):
    """Whether the 1st, 2nd … request on a connection is answered with 200."""
    if protocol == "h2":
        return http2.ask(connection, peers.HEALTH, 2 * time_of_asking - 1)
    connection.sendall(server.request(peers.HEALTH))
    return read_reply(connection).startswith(b"HTTP/1.1 200")


def settled(pids):
    """Resident KiB once it stands still."""
    last = -1
    for _ in range(20):
        now = procs.rss_kib(pids)
        if now == last:
            break
        last = now
        time.sleep(0.25)
    return last


def read_reply(connection):
    """Head and body of one answer."""
    text = b""
    while b"\r\n\r\n" not in text:
        more = connection.recv(8192)
        if not more:
            raise OSError("closed")
        text += more
    head, _, body = text.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1))
    while len(body) < length:
        body += connection.recv(8192)
    return text


def still_answers(server, connection, protocol):
    try:
        return answers(server, connection, protocol, 2)
    except (OSError, socket.timeout):
        return False
