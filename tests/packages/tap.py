# SPDX-License-Identifier: MIT
"""Points of a TAP report, and commands that are points."""
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Report:
    def __init__(self):
        self.number, self.failed = 0, 0

    def point(self, what, good, why=""):
        self.number += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.number} - {what}", flush=True)
        for line in ([] if good else str(why).splitlines()[-40:]):
            print(f"# {line}")
        return bool(good)

    def skip(self, what, why):
        self.number += 1
        print(f"ok {self.number} - {what} # SKIP {why}", flush=True)

    def command(self, what, *words, **more):
        """A point that is good when the command is; what it printed, or None."""
        try:
            done = run(*words, **more)
        except FileNotFoundError:
            self.point(what, False, f"{words[0]} is missing: run scripts/deps test")
            return None
        good = self.point(what, done.returncode == 0, done.stdout + done.stderr)
        return done.stdout if good else None

    def end(self):
        print(f"1..{self.number}")
        return 1 if self.failed else 0


def run(*words, env=None, **more):
    return subprocess.run(words, capture_output=True, text=True, timeout=600, cwd=ROOT,
                          env={**os.environ, **(env or {})}, errors="replace", **more)
