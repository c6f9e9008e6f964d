# SPDX-License-Identifier: MIT
"""`meson install`: everything arrives, and what the program prints is what arrives."""
import os
import re
import signal
import socket
import subprocess
import time

from tap import ROOT, run

FILES = ["bin/portcullis", "share/man/man1/portcullis.1", "share/man/man5/portcullis.yaml.5",
         "share/bash-completion/completions/portcullis",
         "share/zsh/site-functions/_portcullis",
         "share/fish/vendor_completions.d/portcullis.fish",
         "share/doc/portcullis/examples/portcullis.yaml", "share/portcullis/portcullis.yaml",
         "lib/systemd/system/portcullis.service", "lib/systemd/system/portcullis.socket",
         "lib/sysusers.d/portcullis.conf",
         "lib/tmpfiles.d/portcullis.conf"]


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def check_exposure(report, unit):
    """systemd's own reading of the hardening, without a running systemd: 10 is wide open."""
    done = run("systemd-analyze", "security", "--offline=yes", "--no-pager", unit,
               env={"LC_ALL": "C.UTF-8"})
    level = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    report.point(f"systemd-analyze security: {level.group(1) if level else 'none'}, 2.0 at most",
                 level and float(level.group(1)) <= 2.0, done.stdout + done.stderr)


def check_words(report, units, prefix, place):
    """systemd's own reading of each word, the program where this test has put it."""
    os.makedirs(os.path.join(place, "verified"), exist_ok=True)
    paths = []
    for name, text in units.items():
        paths.append(os.path.join(place, "verified", name))
        with open(paths[-1], "w", encoding="utf-8") as out:
            out.write(text.replace(f"{prefix}/bin/", f"{place}{prefix}/bin/"))
    done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *paths,
               env={"LC_ALL": "C.UTF-8"})
    report.point(f"systemd-analyze verify finds nothing in {', '.join(units)}",
                 done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr)


def answer_at(port, seconds=60):
    """The first line that /livez answers; who connects may have to wait for the program."""
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
                client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return client.recv(64).split(b"\r\n")[0].decode()
        except ConnectionRefusedError:  # systemd-socket-activate does not listen yet
            if time.monotonic() > end:
                return "nobody listens"
            time.sleep(0.05)


def check_activation(report, program, folder):
    """A socket that systemd's own program opened, and the connection that made it start ours."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for written, wanted in ((port, "HTTP/1.1 200 OK"), (0, "")):
        place = os.path.join(folder, f"activated-{written}")
        os.mkdir(place)
        with open(os.path.join(place, "portcullis.yaml"), "w", encoding="utf-8") as out:
            out.write("environment: development\nlog: {path: log}\n" +
                      f"gateway: {{host: 127.0.0.1, port: {written}}}\n" +
                      "".join(f"{name}: {{port: 0}}\n" for name in
                              ("auth", "account", "transaction", "audit", "monitoring")))
        with open(os.path.join(place, "told"), "w+", encoding="utf-8") as told:
            with subprocess.Popen(["systemd-socket-activate", "-l", f"127.0.0.1:{port}", program,
                                   "serve", "--config", "portcullis.yaml"], cwd=place, stdout=told,
                                  stderr=told) as process:
                try:
                    answer = answer_at(port)
                except OSError:
                    answer = ""
                if wanted:
                    process.send_signal(signal.SIGTERM)
                code = process.wait(60)
            told.seek(0)
            said = told.read()
        if wanted:
            report.point("a service manager's socket is taken over", answer == wanted and code == 0,
                         f"{answer}, ends with {code}: {said}")
        else:
            report.point("and refused where nothing is served", answer == "" and code == 1 and
                         f"LISTEN_FDS: a socket listens at 127.0.0.1 port {port}, where no service"
                         in said, f"{answer}, ends with {code}: {said}")


def calls_of(name):
    """The system calls of one of systemd's groups."""
    words = run("systemd-analyze", "syscall-filter", name).stdout.split("\n")
    calls = [word.strip() for word in words if re.match(r" +[@a-z]", word)]
    return set().union(*(calls_of(word) if word.startswith("@") else {word} for word in calls))


def check_calls(report, unit):
    """What the unit lets through: the program's own filter must still come up behind it."""
    allowed = set()
    for minus, names in re.findall(r"^SystemCallFilter=(~?)(.*)$", unit, re.M):
        calls = set().union(*(calls_of(name) if name.startswith("@") else {name}
                              for name in names.split()))
        allowed = allowed - calls if minus else allowed | calls
    needed = {"seccomp", "prctl", "capget", "prlimit64", "clone", "epoll_wait", "fdatasync"}
    report.point("the unit lets the program harden itself", needed <= allowed,
                 f"it refuses {sorted(needed - allowed)}")
    report.point("and lets it execute nothing new as another",
                 not allowed & {"setuid", "setresuid", "mount", "ptrace", "bpf"}, sorted(allowed))


def check(report, program, folder):
    place = os.path.join(folder, "installed")
    build = os.path.dirname(program)
    if os.path.exists(os.path.join(build, "build.ninja")):
        report.command("meson install", "meson", "install", "-C", build, "--no-rebuild",
                       "--destdir", place)
        found = run("meson", "introspect", "--buildoptions", build).stdout
        prefix = re.search(r'"name": "prefix", "value": "([^"]*)"', found).group(1)
    else:
        prefix = "/usr/local"
        report.command("packaging/install", "packaging/install", program, prefix,
                       env={"DESTDIR": place})
    root = place + prefix
    missing = [name for name in FILES if not os.path.isfile(os.path.join(root, name))]
    report.point("every file is there", not missing, missing)
    if missing:
        return
    for page, name in ((1, "portcullis"), (5, "portcullis.yaml")):
        path = os.path.join(root, f"share/man/man{page}/{name}.{page}")
        done = run("man", "--warnings", "-l", path, env={"MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
        report.point(f"man reads {name}({page}) without a warning",
                     done.returncode == 0 and not done.stderr and len(done.stdout) > 8000,
                     done.stderr)
        report.command(f"mandoc finds nothing in {name}({page})", "mandoc", "-Tlint", "-Wwarning",
                       path)
    for shell, name in (("bash", FILES[3]), ("zsh", FILES[4]), ("fish", FILES[5])):
        told = run(program, "completion", shell).stdout
        report.point(f"the script for {shell} is the program's",
                     told and told == text_of(os.path.join(root, name)))
    unit = text_of(os.path.join(root, "lib/systemd/system/portcullis.service"))
    report.point("the unit starts the program that was installed",
                 f"ExecStart={prefix}/bin/portcullis serve" in unit and "@" not in
                 re.sub(r"@(system-service|privileged|resources|obsolete)", "", unit), unit)
    check_words(report, {"portcullis.service": unit, "portcullis.socket": text_of(
        os.path.join(root, "lib/systemd/system/portcullis.socket"))}, prefix, place)
    check_activation(report, program, folder)
    check_calls(report, unit)
    check_exposure(report, os.path.join(root, "lib/systemd/system/portcullis.service"))
    example = os.path.join(root, "share/doc/portcullis/examples/portcullis.yaml")
    report.point("the example file is the tree's",
                 text_of(example) == text_of(os.path.join(ROOT, "portcullis.example.yaml")))
