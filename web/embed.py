#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a table of assets:

    embed.py OUT.c OUT.bin PAGES NODE_MODULES|-                 the documentation pages
    embed.py OUT.c OUT.bin console PAGES NODE_MODULES|- BUNDLE  the console

Reads the pages in PAGES and what npm gave (packages in NODE_MODULES, the files that esbuild made in
BUNDLE), gives everything that may be cached for ever a name with its content's hash, puts those
names into the pages, and writes all bytes into one file that the C file takes in with .incbin. With
"-" the pages say that the packages are missing. The same input gives the same bytes.
"""

import gzip
import hashlib
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

# Package files: name under docs/, where it lies in node_modules.
PACKAGED = {
    "swagger-ui.css": "swagger-ui-dist/swagger-ui.css",
    "swagger-ui.js": "swagger-ui-dist/swagger-ui-bundle.js",
    "redoc.js": "redoc/bundles/redoc.standalone.js",
    "oauth2-redirect.js": "swagger-ui-dist/oauth2-redirect.js",
}

# A script that would fetch from elsewhere, or write an inline style, is changed here. A text that
# is not found stops the build, so that a new version of a package cannot bring it back unseen.
PATCHES = {
    "redoc.js": [
        ('e?n.createElement("img",{alt:"redocly logo"', '!1?n.createElement("img",{alt:""'),
        ('src:"https://cdn.redoc.ly/redoc/logo-mini.svg"', 'src:""'),
        # The style sheet of scroll bars we do not use, as an inline <style> the policy refuses.
        ("e.setAttributes(t,e.attributes),e.insert(t,e.options),t",
         "e.setAttributes(t,e.attributes),t"),
    ],
    "swagger-ui.js": [
        ('validatorUrl:"https://validator.swagger.io/validator"', "validatorUrl:null"),
    ],
}

LICENSES = [
    "swagger-ui-dist/LICENSE",
    "swagger-ui-dist/NOTICE",
    "swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt",
    "redoc/LICENSE",
    "redoc/bundles/redoc.standalone.js.LICENSE.txt",
]

CONSOLE_BUNDLE = ["console.css", "console.js", "theme.js"]  # what console/bundle.mjs makes
CONSOLE_LICENSES = ["uplot/LICENSE"]

# Named without a hash: addresses that a person types, or that are registered elsewhere.
FIXED = {"docs.html": "docs", "redoc.html": "redoc", "oauth2-redirect.html": None,
         "favicon.svg": None, "licenses.txt": None, "console.html": "page"}
POLICIES = {"docs.html": "WEB_DOCS_CSP", "oauth2-redirect.html": "WEB_DOCS_CSP",
            "redoc.html": "WEB_REDOC_CSP", "console.html": "WEB_CONSOLE_CSP"}


def without_map(text):
    """Drops the pointer to a source map that we do not carry."""
    lines = text.split("\n")
    return "\n".join(line for line in lines if not line.startswith(("//# sourceMappingURL=",
                                                                    "/*# sourceMappingURL=")))


def patched(name, text):
    for old, new in PATCHES.get(name, []):
        if old not in text:
            sys.exit(f"web/embed.py: {name} no longer holds {old!r}; look at what replaced it")
        text = text.replace(old, new)
    return text


def packaged(node_modules):
    files = {name: patched(name, without_map((node_modules / path).read_text("utf-8")))
             for name, path in PACKAGED.items()}
    files["licenses.txt"] = licenses(node_modules, LICENSES)
    return files


def licenses(node_modules, paths):
    return "\n\n".join(
        f"==== {path} ====\n\n{(node_modules / path).read_text('utf-8')}" for path in paths)


def hashed_name(name, data):
    stem, dot, extension = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(data).hexdigest()[:12]}{dot}{extension}"


def collect(pages, node_modules):
    """Gives (name, path, bytes) of every asset, addresses in the pages filled in."""
    texts = {file.name: file.read_text("utf-8") for file in sorted(pages.iterdir())
             if file.suffix in TYPES}
    missing = texts.pop("missing.html")
    if node_modules:
        texts.update(packaged(node_modules))
    else:
        texts["docs.html"] = texts["redoc.html"] = texts["oauth2-redirect.html"] = missing

    paths = {}
    for name, text in texts.items():
        if name.endswith(".html"):
            continue
        own = name if name in FIXED else hashed_name(name, text.encode())
        paths[name] = f"docs/{own}"

    result = []
    for name, text in texts.items():
        path = paths.get(name) or FIXED[name] or f"docs/{name}"
        if name.endswith(".html"):
            for other, address in paths.items():
                # The pages lie beside docs/, the redirect page within it.
                inside = address.removeprefix("docs/") if path.startswith("docs/") else address
                text = text.replace(f"@{other}@", inside)
            if "@" in text:
                sys.exit(f"web/embed.py: {name} names an asset that does not exist")
        result.append((name, path, text.encode()))
    return sorted(result, key=lambda asset: asset[1])


def collect_console(pages, node_modules, bundle):
    """The same of the console; its page and what it loads lie below one folder, /console/."""
    icon = pages.parent / "pages" / "favicon.svg"
    texts = {"icon.svg": icon.read_text("utf-8")}
    if node_modules:
        texts.update({name: (bundle / name).read_text("utf-8") for name in CONSOLE_BUNDLE})
        texts["licenses.txt"] = licenses(node_modules, CONSOLE_LICENSES)
    else:
        texts["missing.css"] = (pages / "missing.css").read_text("utf-8")
    paths = {name: name if name in FIXED else hashed_name(name, text.encode())
             for name, text in texts.items()}
    page = (pages / ("console.html" if node_modules else "missing.html")).read_text("utf-8")
    for name, path in paths.items():
        page = page.replace(f"@{name}@", f"/console/{path}")
    if "@" in page:
        sys.exit("web/embed.py: console.html names an asset that does not exist")
    result = [(name, paths[name], text.encode()) for name, text in texts.items()]
    result.append(("console.html", FIXED["console.html"], page.encode()))
    return sorted(result, key=lambda asset: asset[1])


def span(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'SPAN("{escaped}")'


class Blob:
    def __init__(self, name):
        self.name = name
        self.data = bytearray()

    def add(self, data):
        """Appends bytes and gives the C initializer of their span."""
        if not data:
            return "{.ptr = NULL, .len = 0}"
        at = len(self.data)
        self.data += data
        return f"{{.ptr = {self.name} + {at}, .len = {len(data)}}}"


def row(blob, name, path, data):
    packed = gzip.compress(data, 9, mtime=0)
    packed = packed if len(packed) < len(data) * 9 // 10 else b""
    tag = hashlib.sha256(data).hexdigest()[:16]
    policy = POLICIES.get(name)
    return "\n".join([
        "    {",
        f"        .path = {span(path)},",
        f"        .content_type = {span(TYPES['.' + name.rpartition('.')[2]])},",
        f"        .etag = {span(chr(34) + tag + chr(34))},",
        f"        .etag_gzip = {span(chr(34) + tag + '-gzip' + chr(34))},",
        f"        .identity = {blob.add(data)},",
        f"        .gzip = {blob.add(packed)},",
        f"        .csp = {f'SPAN({policy})' if policy else '{.ptr = NULL, .len = 0}'},",
        f"        .immutable = {'false' if name in FIXED else 'true'},",
        "    },",
    ])


def write(out_c, out_bin, prefix, assets, complete):
    blob = Blob(f"{prefix}_blob")
    rows = [row(blob, *asset) for asset in assets]
    pathlib.Path(out_bin).write_bytes(blob.data)
    pathlib.Path(out_c).write_text(f'''/* Made by web/embed.py. */
#include "web/web_priv.h"

__asm__(".section .rodata\\n"
        ".hidden {blob.name}\\n"
        ".globl {blob.name}\\n"
        ".balign 64\\n"
        "{blob.name}:\\n"
        ".incbin \\"{pathlib.Path(out_bin).resolve()}\\"\\n"
        ".previous\\n");

extern const char {blob.name}[];

const struct web_asset {prefix}_table[] = {{
{chr(10).join(rows)}
}};
const size_t {prefix}_table_count = sizeof({prefix}_table) / sizeof({prefix}_table[0]);
const bool {prefix}_table_complete = {'true' if complete else 'false'};
''')


def main(out_c, out_bin, *inputs):
    for_console = inputs[0] == "console"
    pages, node_modules = inputs[1:3] if for_console else inputs
    modules = None if node_modules == "-" else pathlib.Path(node_modules)
    if for_console:
        assets = collect_console(pathlib.Path(pages), modules, pathlib.Path(inputs[3]))
    else:
        assets = collect(pathlib.Path(pages), modules)
    write(out_c, out_bin, "web_console" if for_console else "web", assets, modules is not None)


if __name__ == "__main__":
    main(*sys.argv[1:])
