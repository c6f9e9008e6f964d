# SPDX-License-Identifier: MIT
"""Processes of a benchmark and what the kernel says of them. Stops only what it started."""
import atexit
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")
_started, _folders = [], []


def arm():
    """Cleans up however the program ends, and lets servers hold many connections."""
    atexit.register(cleanup)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: sys.exit(128 + got))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cleanup():
    for process in reversed(_started[:]):
        stop(process)
    for folder in _folders:
        shutil.rmtree(folder, ignore_errors=True)


def folder():
    return folder_in(None)


def folder_in(where):
    path = tempfile.mkdtemp(prefix="portcullis-bench.", dir=where)
    os.chmod(path, 0o755)
    _folders.append(path)
    return path


def start(command, cpu=None, env=None, output=None):
    """A child in a group of its own; `cpu` pins it and everything it starts."""
    if cpu is not None:
        command = ["taskset", "-c", str(cpu), *command]
    process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdout=output or
                               subprocess.DEVNULL, stderr=output or subprocess.DEVNULL,
                               stdin=subprocess.DEVNULL, start_new_session=True)
    _started.append(process)
    return process


def stop(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process in _started:
        _started.remove(process)


def tree(pid):
    """The process and its living descendants."""
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        fields = stat_fields(int(name))
        if fields:
            children.setdefault(int(fields[1]), []).append(int(name))
    out, todo = [], [pid]
    while todo:
        out.append(todo.pop())
        todo += children.get(out[-1], [])
    return out


def stat_fields(pid):
    """/proc/PID/stat behind the command's name; [11] and [12] are user and system ticks."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return None
    return text[text.rindex(")") + 2:].split()


def cpu_seconds(pids):
    """(user, system) seconds of these processes, all their threads."""
    user = system = 0
    for pid in pids:
        fields = stat_fields(pid)
        if fields:
            user += int(fields[11])
            system += int(fields[12])
    return user / TICK, system / TICK


def rss_kib(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        except OSError:
            pass
    return total


def machine_busy():
    """Seconds all processors were busy, or taken away by the host."""
    with open("/proc/stat", encoding="utf-8") as file:
        ticks = [int(word) for word in file.readline().split()[1:]]
    return (sum(ticks[0:3]) + sum(ticks[5:8])) / TICK


def machine():
    """One line about where this ran."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")),
                     "?")
    with open("/proc/meminfo", encoding="utf-8") as file:
        gib = int(file.readline().split()[1]) / 1048576
    return f"{os.cpu_count()} processors, {model}, {gib:.0f} GiB, Linux {os.uname().release}"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
