#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every rule of tidy.py is seen to speak up on a bad sample and to be silent on a good one; TAP."""
import os
import sys
import tempfile

import tidy

SPDX = "/* SPDX-License-Identifier: MIT */\n"
README = {"src/json/README.md": "What it is for.\n"}


def nested(depth):
    opening = "".join("    " * (at + 1) + f"if (a > {at})\n" for at in range(depth))
    return f"static int deep(int a)\n{{\n{opening}{'    ' * (depth + 1)}a++;\n    return a;\n}}\n"


def long_function(lines):
    return "static void long_one(void)\n{\n" + "    step();\n" * (lines - 3) + "}\n"


# (what it shows, the rule that must speak or None for silence, path, text)
SAMPLES = [
    ("a file without its licence", "spdx", "src/json/a.c", "int json_a;\n"),
    ("a script names the licence below #!", None, "scripts/x", "#!/bin/sh\n# SPDX-License-"
     "Identifier: MIT\n"),
    ("a file of 801 lines", "file-length", "src/json/a.c", SPDX + "\n" * 800),
    ("a file of 800 lines", None, "src/json/a.c", SPDX + "\n" * 799),
    ("a line of 101 columns", "columns", "src/json/a.c", SPDX + "/* " + "x" * 95 + " */\n"),
    ("a line of 100 columns", None, "src/json/a.c", SPDX + "/* " + "x" * 94 + " */\n"),
    ("a promise", "promise", "README.md", "TO" + "DO: write this\n"),
    ("a path of one machine", "place", "docs/a.md", "see /ho" + "me/me/notes\n"),
    ("a route is no place", None, "docs/a.md", "GET /api/v1/work/orders\n"),
    ("a registry in the lock file", "lock-file", "web/package-lock.json",
     '{"resolved": "https://registry.example/x.tgz"}\n'),
    ("a call upward", "floors", "src/json/a.c", SPDX + '#include "net/net.h"\n'),
    ("a call sideways", "floors", "src/json/a.c", SPDX + '#include "crypto/digest.h"\n'),
    ("crypto stands on json", None, "src/crypto/a.c", SPDX + '#include "json/json.h"\n'),
    ("a call downward", None, "src/net/a.c", SPDX + '#include "json/json.h"\n'),
    ("a header without its folder", "floors", "src/json/a.c", SPDX + '#include "b.h"\n'),
    ("a folder without a floor", "floors", "src/json/a.c", SPDX + '#include "misc/b.h"\n'),
    ("another folder's private header", "floors", "src/net/a.c",
     SPDX + '#include "json/json_priv.h"\n'),
    ("the own header second", "own-header", "src/json/pair.c",
     SPDX + '#include <stddef.h>\n#include "json/pair.h"\n'),
    ("the own header first", None, "src/json/pair.c", SPDX + '#include "json/pair.h"\n'),
    ("libuv outside net", "owner", "src/json/a.c", SPDX + "#include <uv.h>\n"),
    ("OpenSSL outside crypto", "owner", "src/net/a.c", SPDX + "#include <openssl/ssl.h>\n"),
    ("SQLite outside store", "owner", "src/json/a.c", SPDX + "#include <sqlite3.h>\n"),
    ("libpq outside store", "owner", "src/json/a.c", SPDX + "#include <libpq-fe.h>\n"),
    ("cyaml outside app", "owner", "src/json/a.c", SPDX + "#include <cyaml/cyaml.h>\n"),
    ("llhttp outside net", "owner", "src/http/a.c", SPDX + "#include <llhttp.h>\n"),
    ("libxcrypt outside crypto", "owner", "src/json/a.c", SPDX + "#include <crypt.h>\n"),
    ("argon2 outside crypto", "owner", "src/json/a.c", SPDX + "#include <argon2.h>\n"),
    ("cmocka outside a test", "owner", "src/json/a.c", SPDX + "#include <cmocka.h>\n"),
    ("an owner includes its library", None, "src/net/a.c", SPDX + "#include <uv.h>\n"),
    ("a function of 71 lines", "function-length", "src/json/a.c", SPDX + long_function(71)),
    ("a function of 70 lines", None, "src/json/a.c", SPDX + long_function(70)),
    ("four levels deep", "depth", "src/json/a.c", SPDX + nested(4)),
    ("three levels deep", None, "src/json/a.c", SPDX + nested(3)),
    ("four levels with braces, loops and a switch", "depth", "src/json/a.c",
     SPDX + "static void f(int a)\n{\n    for (;;) {\n        while (a) {\n"
     "            switch (a) {\n            case 1:\n                if (a)\n"
     "                    a = 2;\n            }\n        }\n    }\n}\n"),
    ("else if stays on its level", None, "src/json/a.c",
     SPDX + "static void f(int a)\n{\n    if (a)\n        a = 1;\n    else if (a > 1)\n"
     "        a = 2;\n    else if (a > 2)\n        a = 3;\n    else if (a > 3)\n        a = 4;\n"
     "    else\n        a = 5;\n}\n"),
    ("a compound literal is no level", None, "src/json/a.c",
     SPDX + "static int f(void)\n{\n    return g((struct a){\n"
     "        .b = {{{{1}}}},\n    });\n}\n"),
    ("a function under a foreign name", "prefix", "src/json/a.h", SPDX + "int read_it(int a);\n"),
    ("a struct under a foreign name", "prefix", "src/json/a.h",
     SPDX + "struct value {\n int a;\n};\n"),
    ("a macro under a foreign name", "prefix", "src/json/a.h", SPDX + "#define MAX_DEPTH 3\n"),
    ("data under a foreign name", "prefix", "src/json/a.h", SPDX + "extern const int depth_max;\n"),
    ("a function type under a foreign name", "prefix", "src/json/a.h",
     SPDX + "typedef int read_fn(int a);\n"),
    ("a foreign name in a .c", "prefix", "src/json/a.c", SPDX + "int read_it(void)\n{\n}\n"),
    ("statics go bare", None, "src/json/a.c", SPDX + "static int read_it(void)\n{\n}\n"),
    ("the folder is the prefix", None, "src/json/a.h",
     SPDX + "PC_CHECKED enum err json_read(struct span text, int (*fn)(int), int *ret);\n"
     "struct json_value {\n    int a;\n};\nstruct logger;\nextern const int json_depth;\n"
     "typedef int json_fn(int a);\n#define JSON_END 1\nenum json_type { NONE };\n"),
    ("in base the file is the prefix", "prefix", "src/base/span.h", SPDX + "int text_len(void);\n"),
    ("a typedef of a struct", "typedef", "src/json/a.h",
     SPDX + "typedef struct json_a {\n    int b;\n} json_a;\n"),
    ("a wide integer has no other name", None, "src/json/a.c",
     SPDX + "__extension__ typedef __int128 json_wide;\n"),
    ("a typedef of a number", "typedef", "src/json/a.h", SPDX + "typedef int json_id;\n"),
    ("a float near money", "money", "src/ledger/a.c", SPDX + "static double rate;\n"),
    ("a float elsewhere", None, "src/json/a.c", SPDX + "static double rate;\n"),
    ("a banned word in a text or a comment", None, "src/json/a.c",
     SPDX + '/* malloc(1) */ static const char *a = "malloc(1)";\n'),
    ("a member called free", None, "src/json/a.c",
     SPDX + "static void f(struct a *a)\n{\n    a->free(a);\n    a->b.free(a);\n}\n"),
    ("a test may use the shell", None, "src/json/a_test.c",
     SPDX + "static void f(void)\n{\n    x = system(1);\n}\n"),
    ("a test may not use strcpy", "banned", "src/json/a_test_kit.h",
     SPDX + "static void f(void)\n{\n    strcpy(a, b);\n}\n"),
    ("in base the first word of the file is the prefix", None, "src/base/log_writer.h",
     SPDX + "int log_wait(void);\n"),
    ("an event that nothing tells", "events", "src/trail/trail.def",
     SPDX + 'TRAIL_EVENT(TRAIL_LOGIN, "user.login")\n'),
    ("an error that nothing gives", "reasons", "src/base/err.def",
     SPDX + 'ERR(ERR_OK, 200, "ok", "Well", NULL)\n'),
    ("a reason that nothing gives", "reasons", "src/base/reason.def",
     SPDX + 'REASON(REASON_A, REASON_OF_ANSWER, "a", "A", "B")\n'),
    ("a problem type by hand", "reasons", "src/json/a.c",
     SPDX + 'static const char *a = "urn:portcullis:problem:a";\n'),
    ("malloc in base/alloc.c", None, "src/base/alloc.c",
     SPDX + "static void *f(void)\n{\n    return malloc(1);\n}\n"),
]
SAMPLES += [(f"{name}()", "banned", "src/json/a.c",
             SPDX + f"static void f(void)\n{{\n    x = {name}(1);\n}}\n") for name in tidy.BANNED]


def rules_that_spoke(path, text):
    with tempfile.TemporaryDirectory() as root:
        readmes = {f"src/{path.split('/')[1]}/README.md": "For what.\n"} \
            if path.startswith("src/") else {}
        files = {path: text, **readmes}
        if path == "src/json/pair.c":
            files["src/json/pair.h"] = SPDX
        for name, content in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
            with open(os.path.join(root, name), "w", encoding="utf-8") as out:
                out.write(content)
        return {line.split(": ")[1] for line in tidy.complaints_about(root)}


def silent_folder():
    """A folder of code without README.md."""
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, "src/json"))
        with open(os.path.join(root, "src/json/a.c"), "w", encoding="utf-8") as out:
            out.write(SPDX)
        return {line.split(": ")[1] for line in tidy.complaints_about(root)}


def main():
    failed = 0
    cases = [(what, {rule} if rule else set(), rules_that_spoke(path, text))
             for what, rule, path, text in SAMPLES]
    cases.append(("a folder without README.md", {"readme"}, silent_folder()))
    seen = set().union(*(wanted for _, wanted, _ in cases))
    rules = {"spdx", "file-length", "columns", "promise", "place", "lock-file", "floors",
             "own-header", "owner", "function-length", "depth", "prefix", "typedef", "banned",
             "money", "readme", "events", "reasons"}
    cases.append(("every rule has a bad sample", rules, seen))
    print(f"1..{len(cases)}")
    for number, (what, wanted, spoke) in enumerate(cases, 1):
        good = wanted == spoke
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {what}")
        if not good:
            print(f"# wanted {sorted(wanted)}, got {sorted(spoke)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
