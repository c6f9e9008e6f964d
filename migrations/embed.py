#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns migrations/*.sql into a C table with a SHA-256 for each text.

embed.py OUTPUT.c FILE.sql...    refuses gaps, doubles, missing dialects, forgotten files and
statements that would end the transaction each step runs in.
"""
import hashlib
import pathlib
import re
import sys

NAME = re.compile(r"(\d{4})_([a-z0-9_]+)(?:\.(sqlite|postgres))?\.sql")
FORBIDDEN = re.compile(r"^\s*(COMMIT|ROLLBACK|SAVEPOINT|RELEASE|VACUUM|START\s+TRANSACTION"
                       r"|BEGIN\s*(;|TRANSACTION|IMMEDIATE|EXCLUSIVE|DEFERRED)"
                       r"|CREATE\s+(UNIQUE\s+)?INDEX\s+CONCURRENTLY)", re.I | re.M)


def fail(sentence):
    sys.exit(f"migrations: {sentence}")


def load(paths):
    """{number: {"name": ..., dialect or "": text}}"""
    steps = {}
    for path in paths:
        match = NAME.fullmatch(path.name)
        if not match:
            fail(f"{path.name}: names are 0001_name.sql, or 0001_name.sqlite.sql and .postgres.sql")
        number, name, dialect = int(match[1]), match[2], match[3] or ""
        text = path.read_text(encoding="utf-8")
        if "\0" in text:
            fail(f"{path.name}: holds a NUL")
        if found := FORBIDDEN.search(text):
            fail(f"{path.name}: {found[0].strip()} has no place in a step; each is one transaction")
        step = steps.setdefault(number, {"name": name})
        if step["name"] != name or dialect in step:
            fail(f"{path.name}: number {number} is taken by {step['name']}")
        step[dialect] = text
    return steps


def check(steps, paths):
    if sorted(steps) != list(range(1, len(steps) + 1)):
        fail(f"numbers must be 1, 2, 3, ... without a gap; there are {sorted(steps)}")
    for number, step in steps.items():
        if not ({"sqlite", "postgres"} <= set(step) if "" not in step else len(step) == 2):
            fail(f"{number:04}_{step['name']}: needs one text for both, or one for each dialect")
    listed = {path.resolve() for path in paths}
    for folder in {path.parent for path in paths}:
        for path in sorted(folder.glob("*.sql")):
            if path.resolve() not in listed:
                fail(f"{path.name} is not listed in migrations/meson.build")


def c_bytes(name, text):
    data = list(text.encode() + b"\0")
    lines = (",".join(map(str, data[i:i + 24])) for i in range(0, len(data), 24))
    return f"static const char {name}[] = {{\n    " + ",\n    ".join(lines) + "};\n"


def render(steps):
    texts, rows = [], []
    for number, step in sorted(steps.items()):
        row = [f".number = {number}, .name = \"{step['name']}\""]
        for dialect in ("sqlite", "postgres"):
            text = step.get(dialect, step.get(""))
            # char may be signed: keep the texts ASCII so that every byte fits.
            if not text.isascii():
                fail(f"{step['name']}: the text must be ASCII")
            texts.append(c_bytes(f"{dialect}_{number}", text))
            row.append(f".{dialect} = {dialect}_{number}, .{dialect}_checksum = "
                       f"\"{hashlib.sha256(text.encode()).hexdigest()}\"")
        rows.append("    {" + ",\n     ".join(row) + "},\n")
    return ("/* SPDX-License-Identifier: MIT\n * Made by migrations/embed.py; do not edit. */\n"
            '#include "store/store.h"\n\n' + "\n".join(texts)
            + "\nstatic const struct store_migration list[] = {\n" + "".join(rows) + "};\n\n"
            "void store_migrations(const struct store_migration **ret_list, size_t *ret_count)\n{\n"
            "    *ret_list = list;\n    *ret_count = PC_COUNT(list);\n}\n")


def main(output, *names):
    paths = [pathlib.Path(name) for name in names]
    steps = load(paths)
    check(steps, paths)
    pathlib.Path(output).write_text(render(steps), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
