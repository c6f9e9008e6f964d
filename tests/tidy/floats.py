#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Looks through the machine code of money for floating-point arithmetic; prints TAP.

    tests/tidy/floats.py [BUILD]        (build)

A source can promise whole numbers and still lose a cent to a conversion nobody wrote down, so the
objects are asked: no instruction that adds, multiplies, compares, rounds or converts floating-point
numbers, no x87 at all, and no call to a library that does it instead. Copies through the wide
registers are no arithmetic and may stay. x86-64 and AArch64.

Before that, small samples are compiled with each compiler there is: those with a double must be
caught, and one that only copies and counts must pass.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

# Folder of src/ and how the sources in it begin.
MONEY = [("base", ("money", "currency")), ("ledger", ("",)), ("account", ("",))]
OTHER_SOURCES = ("_test.c", "_fuzz.c", "_kit.c")

X86 = re.compile(
    r"""v?(?: (?:add|sub|mul|div|sqrt|min|max|rcp|rcp14|rsqrt|rsqrt14|round|rndscale|addsub|hadd
             |hsub|dp|reduce|range|scalef|getexp|getmant|fixupimm|fpclass)[sp][shdx]
          | cmp[a-z_]*[sp][shd] | u?comis[shdx] | cvt[a-z0-9]+
          | fn?m(?:add|sub)[a-z0-9]*[sp][shd] | fmaddsub[a-z0-9]* | fmsubadd[a-z0-9]* )
      | f(?!s:|emms)[a-z0-9]+""", re.X)
AARCH64 = re.compile(r"f(?!mov$)[a-z0-9]+|[su]cvtf|bfdot|bfcvt[a-z0-9]*")
CALLS = re.compile(
    r"__(?:add|sub|mul|div|neg|eq|ne|lt|le|gt|ge|cmp|unord|pow)[sdtx]f[23i]*"
    r"|__fix(?:uns)?[sdtx]f[sdt]i|__float(?:un)?[sdt]i[sdtx]f|__(?:extend|trunc)[sdtxh]f[sdtxh]f2"
    r"|strto(?:d|f|ld)|atof|l?l?r(?:ound|int)[fl]?|floor[fl]?|ceil[fl]?|trunc[fl]?|nearbyint[fl]?"
    r"|pow[fl]?|log(?:10|2)?[fl]?|exp[fl]?|sqrt[fl]?|fmod[fl]?|modf[fl]?|ldexp[fl]?|frexp[fl]?")

GUILTY = {
    "a sum of doubles": "double f(double a, double b) { return a + b; }",
    "a float product": "float f(float a, float b) { return a * b; }",
    "a comparison": "int f(double a, double b) { return a < b; }",
    "an amount made a double": "double f(long a) { return (double)a; }",
    "a double made an amount": "long f(double a) { return (long)a; }",
    "a long double": "long f(long a) { return (long)((long double)a * 1.1L); }",
    "a hidden conversion": "long f(long a) { return a * 1.1; }",
    "a sum over a list": "double f(const double *a) { double s = 0;"
                         " for (int i = 0; i < 64; i++) s += a[i]; return s; }",
    "a text read as double": "#include <stdlib.h>\nlong f(const char *a) {"
                             " union { double d; long l; } u = {.d = strtod(a, NULL)};"
                             " return u.l; }",
}
INNOCENT = """
#include <stdint.h>
#include <string.h>
struct money { int64_t minor; int currency; };
struct pair { struct money a, b, c, d; };
void copy(struct pair *to, const struct pair *from) { *to = *from; }
void clear(struct pair *to) { memset(to, 0, sizeof(*to)); }
int64_t sum(const int64_t *v) { int64_t s = 0; for (int i = 0; i < 256; i++) s += v[i]; return s; }
int64_t most(const int32_t *v) { int32_t m = 0;
    for (int i = 0; i < 256; i++) m = v[i] > m ? v[i] : m; return m; }
int times(int64_t a, int64_t b, int64_t *r) { return __builtin_mul_overflow(a, b, r); }
int64_t share(int64_t a, int64_t b) { return a / b + a % b; }
"""


def is_float(instruction, machine):
    pattern = AARCH64 if "aarch64" in machine else X86
    return pattern.fullmatch(instruction) is not None


def disassembled(path):
    """(machine, [(object, function, instruction)]) of an object or an archive."""
    out = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], check=True,
                         capture_output=True, text=True).stdout
    machine, member, function, rows = "", "", "", []
    for line in out.splitlines():
        if "file format" in line:
            member, machine = line.split(":")[0], line.rsplit(None, 1)[-1]
        elif match := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            function = match[1]
        elif match := re.match(r"\s+[0-9a-f]+:\s+((?:(?:lock|rep[a-z]*|bnd|notrack|data16|cs|ds|es"
                               r"|fs|gs|ss)\s+)*)([a-z][a-z0-9.]*)", line):
            rows.append((member, function, match[2]))
    return machine, rows


def members(archive):
    """The objects in it; some hold tables alone and no instruction."""
    return subprocess.run(["ar", "t", archive], check=True, capture_output=True,
                          text=True).stdout.split()


def wanted_calls(path):
    """(object, name) of every symbol that an object takes from elsewhere."""
    out = subprocess.run(["nm", "--undefined-only", "-A", "--format=posix", path], check=True,
                         capture_output=True, text=True).stdout
    for line in out.splitlines():
        place, name = line.split()[:2]
        yield place.rstrip(":").rsplit("[", 1)[-1].rstrip("]:"), name


def complaints(path, chosen=lambda member: True):
    """What is wrong in it."""
    machine, rows = disassembled(path)
    found = {f"{member}: {function}: {instruction}" for member, function, instruction in rows
             if chosen(member) and is_float(instruction, machine)}
    found |= {f"{member}: calls {name}" for member, name in wanted_calls(path)
              if chosen(member) and CALLS.fullmatch(name)}
    return sorted(found)


def compiled(compiler, level, text, folder):
    source, target = os.path.join(folder, "sample.c"), os.path.join(folder, "sample.o")
    with open(source, "w", encoding="utf-8") as out:
        out.write(text)
    subprocess.run([compiler, level, "-std=gnu17", "-w", "-c", source, "-o", target], check=True)
    return target


def samples():
    """(name, fault or None) of each try on a sample."""
    for compiler in ("gcc", "clang"):
        if shutil.which(compiler) is None:
            continue
        for level in ("-O0", "-O2", "-O3"):
            with tempfile.TemporaryDirectory() as folder:
                missed = [name for name, text in GUILTY.items()
                          if not complaints(compiled(compiler, level, text, folder))]
                yield f"{compiler} {level}: every double is caught", missed
                yield (f"{compiler} {level}: copies and whole numbers pass",
                       complaints(compiled(compiler, level, INNOCENT, folder)))


def judged(root, build):
    """(name, faults) of each folder of money."""
    for folder, prefixes in MONEY:
        sources = {os.path.basename(path) for prefix in prefixes
                   for path in glob.glob(os.path.join(root, "src", folder, prefix + "*.c"))
                   if not path.endswith(OTHER_SOURCES)}
        archive = os.path.join(build, "src", folder, f"lib{folder}.a")
        faults, seen = [], set()
        if os.path.exists(archive):
            faults = complaints(archive, lambda member: source_of(member) in sources)
            seen = {source_of(member) for member in members(archive)} & sources
        faults += [f"{source} has no object in {archive}" for source in sorted(sources - seen)]
        yield f"{folder}/ counts in whole numbers ({len(seen)} objects)", faults


def source_of(member):
    """"money.c" of "money.c.o"."""
    return os.path.basename(member).removesuffix(".o")


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    build = os.path.join(root, sys.argv[1] if len(sys.argv) > 1 else "build")
    results = [*samples(), *judged(root, build)]
    print(f"1..{len(results)}")
    for number, (name, faults) in enumerate(results, 1):
        print(f"{'not ok' if faults else 'ok'} {number} - {name}")
        for fault in faults:
            print(f"# {fault}")
    return 1 if any(faults for _, faults in results) else 0


if __name__ == "__main__":
    sys.exit(main())
