#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Asks the built libraries whether any of them calls a higher floor; prints TAP.

    tests/tidy/layers.py [BUILD]        (build)

Each folder of src/ is one static library. What a library leaves undefined must be defined by a
lower floor or by nobody of ours. Linking the tests proves the same; this names the culprit.
"""
import glob
import os
import subprocess
import sys

from tidy import may_include, FLOORS


def symbols(archives, defined):
    """The names a folder's libraries define for others, or want from them."""
    option = "--defined-only" if defined else "--undefined-only"
    out = subprocess.run(["nm", "--extern-only", option, "--format=posix", *archives], check=True,
                         capture_output=True, text=True).stdout
    return {line.split()[0] for line in out.splitlines()
            if line and not line.endswith(":")}


def upward_calls(libraries):
    """(folder, name, owner) of every symbol that a folder takes from where it may not."""
    owners = {}
    for folder, archives in libraries.items():
        for name in symbols(archives, True):
            owners.setdefault(name, folder)
    for folder, archives in sorted(libraries.items()):
        for name in sorted(symbols(archives, False)):
            owner = owners.get(name)
            if owner is not None and not may_include(folder, owner):
                yield folder, name, owner


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    build = os.path.join(root, sys.argv[1] if len(sys.argv) > 1 else "build")
    libraries = {}
    for folder in FLOORS:
        found = glob.glob(os.path.join(build, "src", folder, "lib*.a")) or \
            glob.glob(os.path.join(build, folder, "lib*.a"))
        if found:
            libraries[folder] = found
    bad = {}
    for folder, name, owner in upward_calls(libraries):
        bad.setdefault(folder, []).append(f"{name} of {owner}/")
    print(f"1..{len(libraries)}")
    for number, folder in enumerate(sorted(libraries), 1):
        mark = "not ok" if folder in bad else "ok"
        print(f"{mark} {number} - {folder}/ calls lower floors only")
        for line in bad.get(folder, []):
            print(f"# {folder}/ calls {line}")
    return 1 if bad or not libraries else 0


if __name__ == "__main__":
    sys.exit(main())
