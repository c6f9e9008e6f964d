# SPDX-License-Identifier: MIT
"""The Debian package: built from the tree around the program that is tested, looked at by lintian,
installed by dpkg in a root of its own (mmdebstrap), set up, started as its user, asked, stopped,
removed and purged."""
import glob
import hashlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from tap import ROOT, run

LISTENERS = ("gateway", "auth", "account", "transaction", "audit", "monitoring")
CACHE = os.path.join(ROOT, "build", "package-root")
WAIT_S = 120


def check(report, program, folder):
    out = os.path.join(folder, "deb")
    if report.command("dpkg-buildpackage makes the package", "packaging/deb", "--program", program,
                      out) is None:
        return
    package = glob.glob(os.path.join(out, "portcullis_*.deb"))[0]
    report.command("lintian finds nothing", "lintian", "--fail-on=error,warning",
                   "--allow-root", package)
    check_control(report, package)
    root, why = root_for(package, folder)
    if root is None:
        report.skip("the package is installed, started, removed and purged in a root", why)
        return
    check_life(report, package, root)


def check_control(report, package):
    conffiles = run("dpkg-deb", "-I", package, "conffiles").stdout.split()
    report.point("its settings are a conffile, and the only one",
                 conffiles == ["/etc/portcullis/portcullis.yaml"], conffiles)
    depends = run("dpkg-deb", "-f", package, "Depends").stdout
    wanted = ("libc6", "libssl3", "libpq5", "libuv1", "cracklib-runtime", "sysusers")
    report.point("it depends on what it links",
                 all(name in depends for name in wanted), depends)
    listed = run("dpkg-deb", "-c", package).stdout
    report.point("nothing in it may be written by others, or is set-uid",
                 not [line for line in listed.splitlines()
                      if line[0] == "-" and (line[8] == "w" or "s" in line[:10])], listed)


# ---- a root --------------------------------------------------------------------------------------

def packages_of(package):
    """Names that mmdebstrap can take: of alternatives the last one, without versions."""
    depends = run("dpkg-deb", "-f", package, "Depends", "Pre-Depends").stdout
    words = " ".join(line.partition(":")[2] for line in depends.splitlines()).split(",")
    names = {one.split("|")[0].split("(")[0].strip() for one in words if one.strip()}
    names.discard("systemd")
    return sorted(names | {"systemd-standalone-sysusers", "systemd-standalone-tmpfiles"})


def sources():
    """What this machine's own apt reads of Debian."""
    return [path for path in ("/etc/apt/sources.list",
                              "/etc/apt/sources.list.d/debian.sources") if os.path.exists(path)]


def root_for(package, folder):
    """A Debian of the dependencies alone: (folder, None), or (None, why there is none)."""
    if os.geteuid() != 0:
        return None, "making a root folder needs root"
    if shutil.which("mmdebstrap") is None:
        return None, "mmdebstrap is missing: run scripts/deps test"
    names = packages_of(package)
    with open("/etc/os-release", encoding="utf-8") as file:
        suite = dict(line.rstrip().split("=", 1) for line in file if "=" in line).get(
            "VERSION_CODENAME", "bookworm")
    key = hashlib.sha256(" ".join([suite, *names]).encode()).hexdigest()[:16]
    cached = f"{CACHE}-{key}.tar"
    if not os.path.exists(cached):
        partial = cached + ".partial.tar"
        done = run("mmdebstrap", "--quiet", "--variant=apt", "--include=" + ",".join(names),
                   "--aptopt=Acquire::Languages \"none\"", suite, partial, *sources())
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            return None, "mmdebstrap could not make one: " + last[:200]
        os.rename(partial, cached)
    root = os.path.join(folder, "root")
    os.mkdir(root)
    subprocess.run(["tar", "-xpf", cached, "-C", root], check=True)
    with open(os.path.join(root, "usr/sbin/policy-rc.d"), "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nexit 101\n")
    os.chmod(os.path.join(root, "usr/sbin/policy-rc.d"), 0o755)
    return root, None


def inside(root, *words):
    """The words that run a command in the root, in a mount namespace of its own that has /proc."""
    script = f'mount -t proc proc {shlex.quote(root)}/proc && exec chroot {shlex.quote(root)} "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", "env", "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive",
            "LC_ALL=C.UTF-8", *words]


# ---- from installation to purge ------------------------------------------------------------------

AS_USER = ["setpriv", "--reuid=portcullis", "--regid=portcullis", "--clear-groups",
           "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]


def free_ports(count):
    taken = [socket.socket() for _ in range(count)]
    for one in taken:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def settings(root, ports):
    """What an operator adds to the file that came with the package."""
    secret = os.path.join(root, "etc/portcullis/jwt.secret")
    with open(secret, "w", encoding="utf-8") as file:
        file.write(os.urandom(48).hex() + "\n")
    run(*inside(root, "chown", "portcullis:", "/etc/portcullis/jwt.secret"))
    os.chmod(secret, 0o400)
    with open(os.path.join(root, "etc/portcullis/portcullis.yaml"), "a", encoding="utf-8") as file:
        file.write("tls_terminated_in_front: true\n"
                   "oauth:\n  issuer: https://auth.bank.example\n")
        for name, port in zip(LISTENERS, ports):
            file.write(f"{name}:\n  port: {port}\n")


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def answers(url, process):
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end and process.poll() is None:
        if status_of(url) == 200:
            return True
        time.sleep(0.1)
    return False


def exec_line(root, key):
    """The words of a unit's ExecStart and the like."""
    with open(os.path.join(root, "lib/systemd/system/portcullis.service"),
              encoding="utf-8") as file:
        for line in file:
            if line.startswith(key + "="):
                return shlex.split(line.partition("=")[2])
    return ["false"]


def check_life(report, package, root):
    shutil.copy(package, os.path.join(root, "tmp/portcullis.deb"))
    if report.command("dpkg installs it in a root of its dependencies alone",
                      *inside(root, "dpkg", "-i", "/tmp/portcullis.deb")) is None:
        return
    told = report.command("the installed program tells its version",
                          *inside(root, "portcullis", "--version"))
    report.point("it is the tree's", told and told.startswith("portcullis 0."), told)
    user = run(*inside(root, "getent", "passwd", "portcullis")).stdout
    report.point("its user is there, a system user without a shell",
                 user.rstrip().endswith("/usr/sbin/nologin") and int(user.split(":")[2]) < 1000,
                 user)
    wanted = glob.glob(os.path.join(root, "etc/systemd/system/*.wants/portcullis*"))
    report.point("installing it does not enable the service", not wanted, wanted)
    modes = run(*inside(root, "stat", "-c", "%n %a %U %G", "/etc/portcullis",
                        "/etc/portcullis/portcullis.yaml", "/var/lib/portcullis")).stdout
    report.point("settings are for its group, data for itself alone", modes ==
                 "/etc/portcullis 750 root portcullis\n"
                 "/etc/portcullis/portcullis.yaml 640 root portcullis\n"
                 "/var/lib/portcullis 700 portcullis portcullis\n", modes)
    config = ["--config", "/etc/portcullis/portcullis.yaml"]
    refused = run(*inside(root, "portcullis", "check", *config))
    report.point("as it comes the settings are refused: secret, issuer, certificates",
                 refused.returncode == 1 and "jwt.secret_file" in refused.stderr and
                 "oauth.issuer" in refused.stderr and "tls.certificate" in refused.stderr,
                 refused.stderr)
    ports = free_ports(len(LISTENERS))
    settings(root, ports)
    report.command("with a secret, an issuer and a proxy in front they are good",
                   *inside(root, *AS_USER, "portcullis", "check", *config))
    check_service(report, root, ports)
    check_end(report, root)


def check_service(report, root, ports):
    run(*inside(root, "install", "-d", "-m", "0700", "-o", "portcullis", "-g", "portcullis",
                "/run/portcullis"))
    with open(os.path.join(root, "tmp/out"), "wb") as out, \
            subprocess.Popen(inside(root, *AS_USER, *exec_line(root, "ExecStart")), stdout=out,
                             stderr=out, cwd=ROOT) as process:
        good = answers(f"http://127.0.0.1:{ports[0]}/livez", process)
        with open(out.name, encoding="utf-8", errors="replace") as file:
            report.point("its user starts it, as the unit would: /livez answers", good,
                         file.read())
        if good:
            report.point("every service is ready",
                         all(status_of(f"http://127.0.0.1:{port}/readyz") == 200
                             for port in ports))
            owner = os.stat(f"/proc/{process.pid}").st_uid
            report.point("it runs as that user", owner != 0 and owner == os.stat(
                os.path.join(root, "var/lib/portcullis")).st_uid, owner)
            report.command("the unit's ExecReload reloads it",
                           *inside(root, *AS_USER, *exec_line(root, "ExecReload")))
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = "none"
        report.point("SIGTERM ends it with 0", code == 0, code)


def check_end(report, root):
    has = lambda path: os.path.lexists(os.path.join(root, path))   # noqa: E731
    report.command("dpkg removes it", *inside(root, "dpkg", "-r", "portcullis"))
    report.point("the program and the unit are gone, settings and data stay",
                 not has("usr/bin/portcullis") and
                 not has("lib/systemd/system/portcullis.service") and
                 has("etc/portcullis/portcullis.yaml") and
                 has("var/lib/portcullis/portcullis.db"))
    told = report.command("dpkg purges it", *inside(root, "dpkg", "-P", "portcullis"))
    report.point("settings, secret and logs are gone, the books stay and that is told",
                 not has("etc/portcullis") and not has("var/log/portcullis") and
                 has("var/lib/portcullis/portcullis.db") and
                 "/var/lib/portcullis" in (told or ""), told)
