#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The house rules that a machine can see; CONTRIBUTING.md says why each is there.

    tests/tidy/tidy.py [FOLDER]     the tree to read (default: this one)

Prints "path:line: rule: what to do instead" and ends with 1 if there was anything to say. Every
rule is seen to fail on a bad sample in tidy_test.py.
"""
import os
import re
import subprocess
import sys

import csource

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
DEPTH_MAX = 3
COLUMNS_MAX = 100

FLOORS = {"base": 0, "web": 1, "json": 1, "crypto": 1, "store": 1, "harden": 1, "net": 2,
          "trail": 2, "limit": 3, "upstream": 3, "issuer": 3,
          "http": 4, "gateway": 5, "auth": 5, "account": 5, "ledger": 5, "audit": 5, "monitor": 5,
          "oauth": 5, "app": 6}     # web/ is not below src/, since most of it is pages
# docs/decisions/0001-floors.md: JOSE is made of JSON; a grant is a session; money is the ledger's.
SIBLINGS = {("crypto", "json"), ("oauth", "auth"), ("account", "ledger"), ("account", "auth"),
            ("gateway", "ledger")}

# An outside library has one owner; its types stay inside.
OWNERS = {
    r"uv\.h|uv/": {"net"}, r"llhttp": {"net"}, r"nghttp2/": {"net"},
    r"openssl/": {"crypto"}, r"crypt\.h|argon2\.h|sodium": {"crypto"},
    r"crack\.h|packer\.h": {"crypto"},
    r"sqlite3\.h": {"store"}, r"libpq-fe\.h|libpq/|postgresql/": {"store"},
    r"seccomp\.h": {"harden"},
    r"cyaml/|yaml\.h": {"app"}, r"hiredis/": {"limit"}, r"jansson\.h": {"json"},
}

# Folders whose files each have a subject of their own: the file is the prefix there.
FILE_IS_PREFIX = {"base", "app"}
# What else a folder may call its own, beside its name.
MORE_PREFIXES = {"base": {"logger"}, "app": {"config", "command"}, "limit": {"breaker"},
                 "http": {"request", "reply", "route"}}

_NO_COPY = "span, sbuf or arena_copy: they know their bounds"
_HEAP = "alloc_zero, alloc_raw, alloc_free or an arena (base/alloc.h, base/arena.h)"
_NUMBER = "span_to_u64 or span_to_i64: they refuse what is not a number"
_RANDOM = "random_fill with the source you were given (base/random.h)"
_CLOCK = "the clock you were given (base/clock.h)"
BANNED = {
    **dict.fromkeys(["malloc", "calloc", "realloc", "reallocarray", "free", "strdup", "strndup",
                     "asprintf", "vasprintf", "posix_memalign", "aligned_alloc"], _HEAP),
    **dict.fromkeys(["strcpy", "strncpy", "stpcpy", "strcat", "strncat", "sprintf", "vsprintf",
                     "gets"], _NO_COPY),
    **dict.fromkeys(["strtok", "strtok_r", "strsep"], "span_cut"),
    **dict.fromkeys(["atoi", "atol", "atoll", "atof", "strtol", "strtoll", "strtoul", "strtoull",
                     "sscanf", "scanf", "fscanf"], _NUMBER),
    **dict.fromkeys(["rand", "srand", "random", "srandom", "drand48", "rand_r"], _RANDOM),
    **dict.fromkeys(["time", "gettimeofday", "clock_gettime"], _CLOCK),
    **dict.fromkeys(["localtime", "gmtime", "ctime", "asctime", "strftime", "mktime"],
                    "clock_add_rfc3339 or clock_add_http_date: no hidden state, no locale"),
    **dict.fromkeys(["alloca", "__builtin_alloca"], "an arena: the stack has no bound to ask"),
    **dict.fromkeys(["system", "popen"], "a library call: no shell near money"),
    **dict.fromkeys(["assert"], "PC_ASSERT: it stays on in production"),
    **dict.fromkeys(["abort"], "PC_ASSERT or PC_WRONG: they say where"),
    **dict.fromkeys(["signal"], "sigaction"),
    **dict.fromkeys(["setlocale"], "nothing: the program runs in the C locale"),
    **dict.fromkeys(["mktemp", "tmpnam", "tempnam"], "mkstemp or mkdtemp"),
}
# The one place where the call is made on behalf of everybody.
BANNED_EXCEPT = {
    "src/base/alloc.c": {"malloc", "calloc", "realloc", "free"},
    "src/base/clock.c": {"clock_gettime"},
    "src/base/queue.c": {"clock_gettime"},      # the deadline pthread_cond_timedwait wants
    "src/base/check.c": {"abort"},
}
# A test drives the world around the program, and stops it at a moment of the real clock.
BANNED_NOT_IN_TESTS = {"system", "popen", "signal", "sscanf", "time", "clock_gettime", "abort"}
MONEY_FOLDERS = {"account", "ledger"}

CODE_ENDINGS = (".c", ".h", ".def", ".py", ".mjs", ".js", ".css", ".sql", ".sh")
PROMISES = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME")) + r")\b")
PLACES = re.compile(r"(?<![\w.:/~-])/(?:work|farm|root|home)/\w")


class Tree:
    """The files under one folder and the complaints about them."""

    def __init__(self, root):
        self.root, self.complaints = root, []
        self.paths = sorted(self.list())

    def list(self):
        if os.path.exists(os.path.join(self.root, ".git")):
            out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=self.root,
                                 check=True, capture_output=True, text=True).stdout.splitlines()
            return [path for path in out if os.path.isfile(os.path.join(self.root, path))]
        return [os.path.relpath(os.path.join(folder, name), self.root)
                for folder, _, names in os.walk(self.root) for name in names]

    def read(self, path):
        with open(os.path.join(self.root, path), "rb") as file:
            raw = file.read()
        return None if b"\0" in raw[:4096] else raw.decode("utf-8", "replace")

    def say(self, path, line, rule, text):
        self.complaints.append(f"{path}:{line}: {rule}: {text}")


def folder_of(path):
    """"json" for src/json/read.c, "web" for web/web.c; None elsewhere."""
    parts = path.split("/")
    if parts[0] == "web":
        return "web"
    return parts[1] if len(parts) > 2 and parts[0] == "src" else None


def is_c(path):
    return path.endswith((".c", ".h"))


def is_code(path, text):
    return path.endswith(CODE_ENDINGS) or text.startswith("#!")


def is_test(path):
    """x_test.c, x_fuzz.c, and what they share: x_test_kit.h, x_harness.c."""
    return re.search(r"_(test|fuzz|harness)(_\w+)?\.[ch]$", path) is not None


# Every rule is check_NAME(tree, path, text); `text` is the file as it stands.

def check_spdx(tree, path, text):
    lines = text.split("\n", 2)
    first = lines[1] if text.startswith("#!") and len(lines) > 1 else lines[0]
    if is_code(path, text) and "SPDX-License-Identifier: MIT" not in first:
        tree.say(path, 1, "spdx", "the first line names the licence (SPDX-License-Identifier: MIT)")


def check_file_length(tree, path, text):
    lines = text.count("\n")
    if is_code(path, text) and lines > FILE_LINES_MAX:
        tree.say(path, lines, "file-length", f"{lines} lines; split it by {FILE_LINES_MAX}")


def check_columns(tree, path, text):
    if not is_code(path, text) and os.path.basename(path) != "meson.build":
        return
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > COLUMNS_MAX and "://" not in line:
            tree.say(path, number, "columns", f"{len(line)} columns; {COLUMNS_MAX} at most")


def check_promises(tree, path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if PROMISES.search(line):
            tree.say(path, number, "promise", "do it now, or write it into the roadmap")


def check_places(tree, path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if PLACES.search(line):
            tree.say(path, number, "place", "a path of one machine means nothing on another")


def check_lock_file(tree, path, text):
    if os.path.basename(path) != "package-lock.json":
        return
    for number, line in enumerate(text.splitlines(), 1):
        if '"resolved"' in line:
            tree.say(path, number, "lock-file",
                     "no registry names: npm install --omit-lockfile-registry-resolved")
            return


def check_floors(tree, path, text):
    folder = folder_of(path)
    if folder is None or not is_c(path):
        return
    for number, target in includes(text, '"'):
        other = target.split("/")[0]
        if "/" not in target:
            if not target.endswith((".def", ".inc")):
                tree.say(path, number, "floors", f'include "{folder}/{target}", from src/ on')
        elif other not in FLOORS or folder not in FLOORS:
            tree.say(path, number, "floors", f"{other}/ or {folder}/ has no floor in tidy.py")
        elif not may_include(folder, other):
            tree.say(path, number, "floors", f"{other}/ is no lower floor of {folder}/; declare a "
                     "port that app/ fills in")
        elif target.endswith("_priv.h") and other != folder:
            tree.say(path, number, "floors", f"{target} is for {other}/ alone")


def may_include(folder, other):
    return folder == other or FLOORS[other] < FLOORS[folder] or (folder, other) in SIBLINGS


def includes(text, bracket):
    """(line, target) of every #include with this bracket."""
    shape = r"^[ \t]*#[ \t]*include[ \t]*" + ('"([^"]+)"' if bracket == '"' else r"<([^>]+)>")
    for match in re.finditer(shape, text, re.M):
        yield text.count("\n", 0, match.start()) + 1, match.group(1)


def check_own_header(tree, path, text):
    """A file proves that its header stands alone by including it first."""
    own = path[:-2] + ".h"
    if folder_of(path) is None or not path.endswith(".c") or own not in tree.paths:
        return
    first = re.search(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">]', text, re.M)
    wanted = own.removeprefix("src/")
    if first is None or first.group(1) != wanted:
        tree.say(path, 1, "own-header", f'the first include is "{wanted}"')


def check_owners(tree, path, text):
    folder = folder_of(path)
    if folder is None or not is_c(path):
        return
    for number, target in includes(text, "<"):
        for shape, owners in OWNERS.items():
            if re.match(shape, target) and folder not in owners:
                tree.say(path, number, "owner",
                         f"<{target}> belongs to {'/, '.join(sorted(owners))}/")
        if target == "cmocka.h" and not is_test(path):
            tree.say(path, number, "owner", "<cmocka.h> belongs to x_test.c")


def check_functions(tree, path, text):
    if not is_c(path):
        return
    code = csource.without_directives(csource.blank(text))
    for function in csource.functions_of(code):
        if function.lines > FUNCTION_LINES_MAX:
            tree.say(path, function.first_line, "function-length",
                     f"{function.name} has {function.lines} lines; {FUNCTION_LINES_MAX} at most")
        if function.depth > DEPTH_MAX:
            tree.say(path, function.first_line, "depth",
                     f"{function.name} nests {function.depth} deep; {DEPTH_MAX} at most")


def prefixes_of(path):
    folder = folder_of(path)
    out = {folder} | MORE_PREFIXES.get(folder, set())
    if folder in FILE_IS_PREFIX:
        word = os.path.basename(path)[:-2].split("_")[0]    # log_writer.c: log_
        out |= {word, word + "s", word.rstrip("s")}         # limits.h: LIMIT_; metric.h: metrics_
    return out


def check_names(tree, path, text):
    """Folder = prefix, for all that a header shows and every function with external linkage."""
    if folder_of(path) is None or not is_c(path) or is_test(path):
        return
    code = csource.blank(text)
    if path.endswith(".h"):
        found = csource.visible_names(code)
    else:
        found = [(function.first_line, "function", function.name)
                 for function in csource.functions_of(csource.without_directives(code))
                 if not function.static and function.name != "main"]
    wanted = prefixes_of(path)
    for line, kind, name in found:
        if kind == "macro" and (name.startswith("PC_") or name == "ERR"):
            continue
        if not any((name.lower() + "_").startswith(word + "_") for word in wanted):
            tree.say(path, line, "prefix",
                     f"{kind} {name}: begin with {' or '.join(sorted(wanted))}")


def check_typedef(tree, path, text):
    if not is_c(path):
        return
    code = csource.without_directives(csource.blank(text))
    for match in re.finditer(r"\btypedef\b([^;{]*)[;{]", code):
        # A wide integer has no other spelling that -Wpedantic takes.
        if "(" not in match.group(1) and "__int128" not in match.group(1):
            tree.say(path, code.count("\n", 0, match.start()) + 1, "typedef",
                     "typedef is for function types; spell struct and enum out")


def check_banned(tree, path, text):
    folder = folder_of(path)
    if folder is None or not is_c(path):
        return
    code = csource.without_directives(csource.blank(text))
    allowed = BANNED_NOT_IN_TESTS if is_test(path) else BANNED_EXCEPT.get(path, set())
    for match in re.finditer(r"(?<![\w.>])([A-Za-z_]\w*)\s*\(", code):
        name = match.group(1)
        if name in BANNED and name not in allowed:
            tree.say(path, code.count("\n", 0, match.start()) + 1, "banned",
                     f"{name}: use {BANNED[name]}")


def check_money(tree, path, text):
    if folder_of(path) not in MONEY_FOLDERS or not is_c(path):
        return
    code = csource.blank(text)
    for match in re.finditer(r"\b(float|double)\b", code):
        tree.say(path, code.count("\n", 0, match.start()) + 1, "money",
                 "amounts are whole minor units (base/money.h)")


def check_rooms(tree):
    """Every folder with code explains itself."""
    folders = {folder_of(path) for path in tree.paths if is_c(path)} - {None, "web"}
    for folder in sorted(folders):
        if f"src/{folder}/README.md" not in tree.paths:
            tree.say(f"src/{folder}", 1, "readme", "README.md: purpose, terms, invariants, threads")


CATALOGUE = "src/trail/trail.def"


def check_events(tree):
    """What the catalogue names is told by somebody, and nobody tells what it does not name."""
    if CATALOGUE not in tree.paths:
        return
    text = tree.read(CATALOGUE)
    named = {match.group(1): text.count("\n", 0, match.start()) + 1
             for match in re.finditer(r"^TRAIL_EVENT\((TRAIL_\w+),", text, re.M)}
    told = set()
    for path in tree.paths:
        if folder_of(path) is None or not path.endswith((".c", ".def")) or is_test(path) or \
                path.startswith("src/trail/") and path.endswith(".def"):
            continue
        code = csource.blank(tree.read(path))
        told |= set(re.findall(r"\bTRAIL_[A-Z][A-Z_]*\b", code))
        for match in re.finditer(r"\.event\s*=\s*(TRAIL_\w+)", code):
            if match.group(1) not in named:
                tree.say(path, code.count("\n", 0, match.start()) + 1, "events",
                         f"{match.group(1)} is not in {CATALOGUE}")
    for name in sorted(set(named) - told):
        tree.say(CATALOGUE, named[name], "events", f"nothing tells {name}")


PROBLEM = "urn:portcullis:problem:"
# Where a code is put behind it; examples in schemas name a whole one.
PROBLEM_AT = {"src/http/http_problem.c", "src/http/http_redirect.c",
              "src/ledger/ledger_transfer_batch.c", "src/base/reason.c"}


def check_reasons(tree):
    """Every code of docs/reasons.md is given by somebody, and nobody writes one by hand."""
    named, given = {}, set()
    for table, word in (("src/base/err.def", "ERR"), ("src/base/reason.def", "REASON")):
        text = tree.read(table) if table in tree.paths else ""
        for match in re.finditer(rf"^{word}\(({word}_\w+),", text, re.M):
            named[match.group(1)] = (table, text.count("\n", 0, match.start()) + 1)
    for path in tree.paths:
        if folder_of(path) is None or not path.endswith((".c", ".h")) or is_test(path):
            continue
        text = tree.read(path)
        given |= set(re.findall(r"\b(?:ERR|REASON)_[A-Z0-9_]+\b", csource.blank(text)))
        if PROBLEM in text and path not in PROBLEM_AT:
            tree.say(path, text.count("\n", 0, text.index(PROBLEM)) + 1, "reasons",
                     "problem types are made by http/http_problem.c from base/err.def")
    for name in sorted(set(named) - given):
        tree.say(*named[name], "reasons", f"nothing gives {name}")


RULES = [check_spdx, check_file_length, check_columns, check_promises, check_places,
         check_lock_file, check_floors, check_own_header, check_owners, check_functions,
         check_names, check_typedef, check_banned, check_money]


def complaints_about(root):
    tree = Tree(root)
    for path in tree.paths:
        text = tree.read(path)
        if text is None or not text:
            continue
        for rule in RULES:
            rule(tree, path, text)
    check_rooms(tree)
    check_events(tree)
    check_reasons(tree)
    return tree.complaints


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(here))
    complaints = complaints_about(root)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
