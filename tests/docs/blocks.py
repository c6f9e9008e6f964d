# SPDX-License-Identifier: MIT
"""Runs the shell blocks of a page, as a reader would who copies one after the other.

Every ```bash block of a page goes into one bash, in a folder of its own where build/ leads to the
program. A block must end with exit code 0. A ```text block right behind it is what the reader is
promised to see: its lines must come in this order, other lines may stand between them, and an …
within a line stands for anything. The usual ports give way to free ones, and POSTGRES, where a page
names it, to a server of the page's own."""
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

PORTS = {"PORT": 8000, "AUTH_PORT": 8001, "ACCOUNT_PORT": 8002, "TRANSACTION_PORT": 8003,
         "AUDIT_PORT": 8004, "MONITORING_PORT": 8005}
OTHERS = range(9001, 9010)      # what pages start beside the program, or as its second instance
POSTGRES = "postgresql://portcullis:secret@db.example/portcullis"
WITH_POSTGRES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                             "with_postgres")
PATIENCE_S = 400


def free_ports(count):
    """All at once, so that no two are the same."""
    taken = [socket.socket() for _ in range(count)]
    try:
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]
    finally:
        for one in taken:
            one.close()


class Ports:
    """The usual ports, and those that stand for them here."""

    def __init__(self):
        usual = list(PORTS.values()) + list(OTHERS)
        self.of = dict(zip(usual, free_ports(len(usual))))

    def put(self, text):
        return re.sub(r"(?<![\d.])(800[0-5]|900[1-9])\b", lambda found: str(self.of[int(found[0])]),
                      text)

    def environment(self):
        return {name: str(self.of[usual]) for name, usual in PORTS.items()}


def blocks(text):
    """(line, heading, script, what is promised or None) of a page."""
    pattern = r"^```bash\n(.*?)^```\n(?:\n?```text\n(.*?)^```\n)?"
    for found in re.finditer(pattern, text, re.M | re.S):
        before = text[:found.start()]
        headings = re.findall(r"^#+ (.*)$", before, re.M)
        yield before.count("\n") + 1, headings[-1] if headings else "", found[1], found[2]


def are_sound(text):
    """(good, why): every ```text block stands behind a ```bash block, and some are there."""
    promised = len(re.findall(r"^```text$", text, re.M))
    taken = sum(1 for block in blocks(text) if block[3])
    return (promised == taken and taken > 0,
            f"{promised} blocks are promised, {taken} stand behind a block that is run")


def missing(promised, shown):
    """The first promised line that did not come, in its turn, or None."""
    lines = iter(shown.replace("\r", "").splitlines())
    for wanted in promised.splitlines():
        parts = [re.escape(part) for part in wanted.strip().split("…")]
        pattern = re.compile(".*".join(parts))
        if wanted.strip() not in ("", "…") and not any(pattern.fullmatch(line.strip())
                                                      for line in lines):
            return wanted
    return None


def script_of(parts, ports):
    """One script; before and behind every block a mark, the second with the block's exit code."""
    lines = ["exec 2>&1"]
    for number, (_, _, script, _) in enumerate(parts):
        script = ports.put(script).replace(f"'{POSTGRES}'", '"$PORTCULLIS_TEST_POSTGRES_URL"')
        lines += ["echo", f"echo '@@ {number}'", script.rstrip("\n"),
                  f"printf '\\n@= {number} %d\\n' $?"]
    return "\n".join(lines) + "\n"


def end_group(process):
    """Whatever the page has started and not ended itself."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        time.sleep(0.3)


def run_page(program, path, text):
    """Yields (what, good, why) for every block of the page at `path`."""
    parts, ports = list(blocks(text)), Ports()
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.path.dirname(program), os.path.join(folder, "build"))
        seen = os.path.join(folder, "seen")
        with open(seen, "wb") as output:
            command = [WITH_POSTGRES, "--no-fsync"] if POSTGRES in text else []
            process = subprocess.Popen([*command, "bash", "-c", script_of(parts, ports)],
                                       cwd=folder, stdout=output, stderr=output,
                                       stdin=subprocess.DEVNULL, start_new_session=True,
                                       env={**os.environ, **ports.environment(), "HOME": folder})
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                pass
            end_group(process)
        with open(seen, encoding="utf-8", errors="replace") as file:
            said = file.read()
    for number, (line, heading, _, promised) in enumerate(parts):
        found = re.search(rf"^@@ {number}\n(.*?)^@= {number} (\d+)$", said, re.M | re.S)
        what = f"{path}:{line}: {heading}"
        if not found:
            yield what, False, "it did not end:\n" + said[-2500:]
            return
        lacks = missing(ports.put(promised or ""), found[1])
        why = f"exit code {found[2]}" if found[2] != "0" else f"promised and not seen: {lacks}"
        yield what, found[2] == "0" and lacks is None, why + "\n" + found[1][-2500:]
