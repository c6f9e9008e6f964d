#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts/test adds up honestly: what it makes of the texts that runners print; TAP."""
import importlib.machinery
import importlib.util
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
loader = importlib.machinery.SourceFileLoader(
    "runner", os.path.join(HERE, "..", "..", "scripts", "test"))
runner = importlib.util.module_from_spec(importlib.util.spec_from_loader("runner", loader))
loader.exec_module(runner)

NODE = "TAP version 13\n# tests 4\n# pass {}\n# fail {}\n# cancelled {}\n# skipped 1\n# todo 0\n"

# (what, text, exit code, (passed, failed, skipped))
CASES = [
    ("cases that passed", "1..2\nok 1 - a\nok 2 - b\n", 0, (2, 0, 0)),
    ("a case that failed", "1..2\nok 1 - a\nnot ok 2 - b\n", 1, (1, 1, 0)),
    ("two groups in one program", "1..1\nok 1 - a\n1..2\nok 1 - b\nok 2 - c\n", 0, (3, 0, 0)),
    ("a program that died half way", "1..5\nok 1 - a\nok 2 - b\n", 139, (2, 3, 0)),
    ("fewer cases than announced", "1..3\nok 1 - a\n", 0, (1, 2, 0)),
    ("all well but the exit code", "1..1\nok 1 - a\n", 1, (1, 1, 0)),
    ("a skipped case", "1..2\nok 1 - a\nok 2 - b # SKIP no server\n", 0, (1, 0, 1)),
    ("what cmocka says of a skipped case", "1..2\nok 1 - a\nnot ok 2 # SKIP b\n", 0, (1, 0, 1)),
    ("nothing but a good exit code", "fine\n", 0, (1, 0, 0)),
    ("nothing but a bad exit code", "", 1, (0, 1, 0)),
    ("an empty plan is no test", "1..0\n", 0, (0, 0, 0)),
    ("bail out", "Bail out! no program\n", 1, (0, 1, 0)),
    ("node:test counts itself", NODE.format(3, 0, 0), 0, (3, 0, 1)),
    ("node:test with failures", NODE.format(1, 1, 1), 1, (1, 2, 1)),
    ("node:test run twice", NODE.format(3, 0, 0) + NODE.format(2, 1, 0), 1, (5, 1, 2)),
    ("nested points count once", "    ok 1 - inner\nok 1 - outer\n1..1\n", 0, (1, 0, 0)),
]


def main():
    failed = 0
    print(f"1..{len(CASES)}")
    for number, (what, text, code, wanted) in enumerate(CASES, 1):
        got = runner.count_tap(text, code)
        failed += got != wanted
        print(f"{'ok' if got == wanted else 'not ok'} {number} - {what}")
        if got != wanted:
            print(f"# wanted {wanted}, got {got}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
