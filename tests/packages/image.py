# SPDX-License-Identifier: MIT
"""The Dockerfile's own words, carried out without a container daemon: its last stage in a root of
its base (mmdebstrap), then its ENTRYPOINT and CMD as its USER, with a root folder that is read-only
as docker-compose.yml has it, and its HEALTHCHECK beside them. The first stage compiles for minutes:
PORTCULLIS_IMAGE_BUILD=1 carries it out as well, else the program that is tested stands in for what
it makes."""
import glob
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess

from debian import WAIT_S, answers, free_ports, settings, sources, status_of
from tap import ROOT, run

BASES = {"debian:12-slim": ("bookworm", "ca-certificates")}
NOTED = ("EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD", "STOPSIGNAL", "VOLUME", "USER", "WORKDIR")


def instructions(text):
    """[(word, rest)] of a Dockerfile."""
    text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def stages_of(text):
    """[(image, name, instructions)], in order."""
    stages = []
    for word, rest in instructions(text):
        if word == "FROM":
            image, *name = rest.split()
            stages.append((image, name[1] if name else str(len(stages)), []))
        else:
            stages[-1][2].append((word, rest))
    return stages


class Stage:
    """A root folder and what its instructions have said so far."""

    def __init__(self, root, others, program):
        self.root, self.others, self.program = root, others, program
        self.said = {"WORKDIR": "/", "USER": "0:0"}
        self.why = ""

    def place(self, path):
        return os.path.join(self.root, os.path.join(self.said["WORKDIR"], path).lstrip("/"))

    def carry_out(self, word, rest):
        """Whether it worked."""
        if word == "RUN":
            done = run(*within(self.root, self.said["WORKDIR"], "/bin/sh", "-c", rest))
            self.why = done.stdout[-2000:] + done.stderr[-2000:]
            return done.returncode == 0
        if word == "COPY":
            return self.copy(rest.split())
        self.said[word] = rest
        if word == "WORKDIR":
            os.makedirs(self.place("."), exist_ok=True)
        return word in NOTED

    def copy(self, words):
        flag = words.pop(0) if words[0].startswith("--from=") else None
        source, target = words
        if flag is None:                                # the context, without what is ignored
            listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
            for name in filter(None, listed.stdout.split("\0")):
                if os.path.isfile(os.path.join(ROOT, name)):
                    place = os.path.join(self.place(target), name)
                    os.makedirs(os.path.dirname(place), exist_ok=True)
                    shutil.copy2(os.path.join(ROOT, name), place)
            return source == "."
        made = self.others.get(flag.partition("=")[2])
        source = made.place(source) if made else self.program
        os.makedirs(os.path.dirname(self.place(target)), exist_ok=True)
        shutil.copy(source, self.place(target))
        return True


def within(root, folder, *words):
    """A step in the root, in a mount namespace of its own, as root, as a builder has it."""
    script = ('mount -t proc proc "$1"/proc && mount --bind /etc/resolv.conf "$1"/etc/resolv.conf '
              '&& root=$1 folder=$2 && shift 2 && '
              'exec chroot "$root" sh -c \'cd "$0" && exec "$@"\' "$folder" "$@"')
    return ["unshare", "--mount", "sh", "-c", script, "sh", root, folder, "env", "-i",
            "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            *words]


def base_root(image, root):
    """None, or why there is none."""
    if image not in BASES:
        return f"no base is known for {image}"
    suite, *more = BASES[image]
    cached = os.path.join(ROOT, "build", f"image-base-{suite}.tar")
    if not os.path.exists(cached):
        partial = cached + ".partial.tar"
        done = run("mmdebstrap", "--quiet", "--variant=apt", "--include=" + ",".join(more),
                   suite, partial, *sources())
        if done.returncode != 0:
            return "mmdebstrap could not make one: " + done.stderr.strip()[-200:]
        os.rename(partial, cached)
    os.mkdir(root)
    subprocess.run(["tar", "-xpf", cached, "-C", root], check=True)
    open(os.path.join(root, "etc/resolv.conf"), "a", encoding="ascii").close()
    return None


def last_stage(text, program, folder):
    """(stage, None), or (None, what went wrong). A root that was made of the same words is used
    again up to its last RUN."""
    others = {}
    stages = stages_of(text)
    for number, (image, name, steps) in enumerate(stages):
        is_last = number + 1 == len(stages)
        if not is_last and os.environ.get("PORTCULLIS_IMAGE_BUILD") != "1":
            continue
        root = os.path.join(folder, f"stage-{name}")
        runs = [i for i, (word, _) in enumerate(steps) if word == "RUN"]
        key = hashlib.sha256(json.dumps([image, steps[:runs[-1] + 1]]).encode()).hexdigest()[:16]
        cached = os.path.join(ROOT, "build", f"image-root-{key}.tar")
        stage = Stage(root, others, program)
        begin = 0
        if is_last and os.path.exists(cached):
            os.mkdir(root)
            subprocess.run(["tar", "-xpf", cached, "-C", root], check=True)
            begin = runs[-1] + 1
            assert all(word == "RUN" for word, _ in steps[:begin])
        else:
            why = base_root(image, root)
            if why:
                return None, why
        for i, (word, rest) in enumerate(steps[begin:], begin):
            if not stage.carry_out(word, rest):
                return None, f"{word} {rest}: {stage.why}"
            if is_last and i == runs[-1]:
                for old in glob.glob(os.path.join(ROOT, "build", "image-root-*.tar")):
                    os.remove(old)
                subprocess.run(["tar", "-cpf", cached, "-C", root, "."], check=True)
        others[name] = stage
    return stage, None


def container(stage, folder):
    """The words before a command that run it as a container of this image would be."""
    user, group = stage.said["USER"].split(":")
    volumes = json.loads(stage.said["VOLUME"])
    script = [f"mount --bind {shlex.quote(stage.root)} {shlex.quote(stage.root)}"]
    for i, volume in enumerate(volumes):
        kept = os.path.join(folder, f"volume-{i}")      # begins as what the image has there
        shutil.copytree(stage.root + volume, kept)
        os.chown(kept, int(user), int(group))
        os.chmod(kept, 0o700)
        script.append(f"mount --bind {shlex.quote(kept)} {shlex.quote(stage.root + volume)}")
    for place, mode in (("/run/portcullis", "0700"), ("/tmp", "1777")):
        script.append(f"mount -t tmpfs -o uid={user},gid={group},mode={mode} tmpfs "
                      f"{shlex.quote(stage.root + place)}")
    script.append(f"mount -t proc proc {shlex.quote(stage.root)}/proc")
    script.append(f"mount -o remount,bind,ro {shlex.quote(stage.root)}")
    script.append(f'exec chroot {shlex.quote(stage.root)} "$@"')
    return ["unshare", "--mount", "sh", "-c", " && ".join(script), "sh", *as_user(user, group)]


def as_user(user, group):
    return ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs",
            "--bounding-set=-all", "--inh-caps=-all"]


def check(report, program, folder):
    what = "the image's steps make a root in which the program runs"
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        report.skip(what, "making a root folder needs root and mmdebstrap")
        return
    with open(os.path.join(ROOT, "Dockerfile"), encoding="utf-8") as file:
        stage, why = last_stage(file.read(), program, folder)
    if stage is None and why.startswith("mmdebstrap could not"):
        report.skip(what, why)
        return
    built = "all stages" if os.environ.get("PORTCULLIS_IMAGE_BUILD") == "1" else "the last stage"
    if report.point(f"the Dockerfile's steps work in a root of its base: {built}",
                    stage is not None, why):
        check_running(report, stage, folder)


def check_running(report, stage, folder):
    ports = free_ports(6)
    place = os.path.join(stage.root, "etc/portcullis")
    os.makedirs(place)
    shutil.copy(os.path.join(ROOT, "packaging/portcullis.yaml"), place)
    settings(stage.root, ports)
    os.chown(os.path.join(place, "jwt.secret"), 10001, 10001)
    words = json.loads(stage.said["ENTRYPOINT"]) + json.loads(stage.said["CMD"])
    user, group = stage.said["USER"].split(":")
    out = os.path.join(folder, "image-out")
    with open(out, "wb") as log, subprocess.Popen(container(stage, folder) + words, stdout=log,
                                                  stderr=log, cwd=ROOT) as process:
        good = answers(f"http://127.0.0.1:{ports[0]}/livez", process)
        with open(out, encoding="utf-8", errors="replace") as file:
            report.point("ENTRYPOINT and CMD run as USER in a read-only root: /livez answers",
                         good and os.stat(f"/proc/{process.pid}").st_uid == int(user), file.read())
        inside = ["nsenter", f"--target={process.pid}", "--mount", "--root", "--wd=/",
                  *as_user(user, group)]
        health = json.loads(stage.said["HEALTHCHECK"].partition("CMD ")[2])
        if good:
            report.point("every service is ready", all(
                status_of(f"http://127.0.0.1:{port}/readyz") == 200 for port in ports))
            report.command("HEALTHCHECK's command finds it well", *inside, *health)
            written = run(*inside, "sh", "-c", "echo x >/usr/bin/x || echo x >/etc/x")
            report.point("nothing of the image can be written", written.returncode != 0 and
                         "Read-only file system" in written.stderr, written.stderr)
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)  # all its threads have
            patience = re.search(r"--timeout=(\d+s)", stage.said["HEALTHCHECK"]).group(1)
            ill = run(*inside, "timeout", patience, *health)
            process.send_signal(signal.SIGCONT)
            report.point("and finds it ill when it stands still", ill.returncode != 0, ill.stdout)
        process.send_signal(getattr(signal, stage.said["STOPSIGNAL"]))
        try:
            code = process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = "none"
        report.point("STOPSIGNAL ends it with 0", code == 0, code)
