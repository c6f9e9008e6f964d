# SPDX-License-Identifier: MIT
"""A C file as the house rules see it: comments and texts blanked out, includes, functions with
their length and depth, and the names a header makes visible. Not a compiler: it trusts the layout
that clang-format gives and that the file compiles."""
import re

CONTROLS = {"if", "for", "while", "switch", "do", "else"}
TOKEN = re.compile(r"[A-Za-z_]\w*|[{}()\[\];:]|\S")


def blank(text):
    """The same text with comments and the inside of literals made of spaces, line by line."""
    def hide(match):
        found = match.group(0)
        keep = found[0] if found[0] in "\"'" else ""
        body = re.sub(r"[^\n]", " ", found[len(keep):len(found) - len(keep)])
        return keep + body + keep
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", hide, text,
                  flags=re.S)


def without_directives(text):
    """The blanked text with preprocessor lines (and what they continue onto) made of spaces."""
    def hide(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", hide, text, flags=re.M)


class Token:
    __slots__ = ("text", "line")

    def __init__(self, text, line):
        self.text, self.line = text, line


def tokens_of(text):
    out, line, at = [], 1, 0
    for match in TOKEN.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        out.append(Token(match.group(0), line))
    return out


def closing(tokens, start):
    """The index of the bracket that closes tokens[start]."""
    depth = 0
    for at in range(start, len(tokens)):
        if tokens[at].text in "([{":
            depth += 1
        elif tokens[at].text in ")]}":
            depth -= 1
            if depth == 0:
                return at
    return len(tokens) - 1


class Function:
    def __init__(self, name, first_line, last_line, depth, static):
        self.name, self.first_line, self.last_line = name, first_line, last_line
        self.depth, self.static = depth, static

    @property
    def lines(self):
        return self.last_line - self.first_line + 1


class Depth:
    """How deep control statements nest in a body; a block of a control adds nothing to it."""

    def __init__(self, tokens):
        self.tokens, self.deepest = tokens, 0

    def statement(self, at, end, depth):
        self.deepest = max(self.deepest, depth)
        if at >= end:
            return end
        word = self.tokens[at].text
        if word == "{":
            return self.block(at, end, depth)
        if word in CONTROLS:
            return self.control(at, end, depth)
        if self.label(at, end):
            return self.statement(self.label(at, end), end, depth)
        return self.plain(at, end, depth)

    def block(self, at, end, depth):
        stop = min(closing(self.tokens, at), end)
        at += 1
        while at < stop:
            at = self.inner(at, stop, depth)
        return stop + 1

    def inner(self, at, stop, depth):
        """A statement of a block; a block standing for itself is one level more."""
        if self.tokens[at].text == "{":
            return self.statement(at, stop, depth + 1)
        return self.statement(at, stop, depth)

    def control(self, at, end, depth):
        word = self.tokens[at].text
        at += 1
        if word == "else":
            chained = at < end and self.tokens[at].text == "if"
            return self.statement(at, end, depth if chained else depth + 1)
        if word == "do":
            at = self.statement(at, end, depth + 1)
            return self.plain(at, end, depth)
        at = closing(self.tokens, at) + 1
        return self.statement(at, end, depth + 1)

    def label(self, at, end):
        """Where the statement behind `case x:` or `name:` begins; 0 if there is no label."""
        if self.tokens[at].text == "case":
            while at < end and self.tokens[at].text != ":":
                at += 1
            return at + 1
        if at + 1 < end and self.tokens[at + 1].text == ":" and \
                re.match(r"[A-Za-z_]", self.tokens[at].text):
            return at + 2
        return 0

    def plain(self, at, end, depth):
        """Up to the semicolon. A macro with a block of its own, each(x) { }, is a control."""
        while at < end:
            word = self.tokens[at].text
            if word == ";":
                return at + 1
            if word in "([":
                at = closing(self.tokens, at) + 1
                if word == "(" and at < end and self.tokens[at].text == "{" and \
                        self.tokens[at - 1].text == ")" and self.opens_line(at):
                    return self.statement(at, end, depth + 1)
                continue
            if word == "{":                     # an initializer
                at = closing(self.tokens, at) + 1
                continue
            at += 1
        return end

    def opens_line(self, at):
        """`each(x) {` goes on below; an initializer `(struct a){.b = 1}` stays on its line."""
        return at + 1 < len(self.tokens) and self.tokens[at + 1].line > self.tokens[at].line and \
            self.tokens[at + 1].text != "."


def functions_of(text):
    """Every function defined in a blanked text without directives."""
    tokens, out, at, start = tokens_of(text), [], 0, 0
    while at < len(tokens):
        word = tokens[at].text
        if word == ";":
            start = at + 1
        elif word == "{":
            stop = closing(tokens, at)
            head = tokens[start:at]
            name = function_name(head)
            if name:
                depth = Depth(tokens)
                depth.block(at, stop, 0)
                out.append(Function(name, head[0].line, tokens[stop].line, depth.deepest,
                                    any(token.text == "static" for token in head)))
                start = stop + 1
            at = stop
        at += 1
    return out


def function_name(head):
    """The name in `type name(parameters)`, or None when the brace belongs to data or a type."""
    words = [token.text for token in head]
    if "=" in words or "(" not in words or words[-1] != ")":
        return None
    depth, at = 0, len(words) - 1
    while at >= 0:                              # the parameters are the last brackets
        depth += {")": 1, "(": -1}.get(words[at], 0)
        if depth == 0:
            break
        at -= 1
    name = words[at - 1] if at > 0 else None
    if name == "__attribute__":
        return function_name(head[:at - 1])
    return name if name and re.match(r"[A-Za-z_]\w*$", name) else None


def visible_names(text):
    """(line, kind, name) of what a header shows: functions, types with a body, data, macros."""
    out = []
    for match in re.finditer(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", text, re.M):
        out.append((text.count("\n", 0, match.start()) + 1, "macro", match.group(1)))
    code = without_directives(text)
    for match in re.finditer(r"\b(struct|enum|union)\s+(\w+)\s*\{", code):
        if at_top(code, match.start()):
            out.append((code.count("\n", 0, match.start()) + 1, match.group(1), match.group(2)))
    for line, words in declarations(code):
        name = declared_name(words)
        if name:
            out.append((line, "function" if "(" in words else "data", name))
    return out


def at_top(code, at):
    return code.count("{", 0, at) == code.count("}", 0, at)


def declarations(code):
    """(line, words) of every declaration at the top level, bodies left out."""
    tokens, at, words, line = tokens_of(code), 0, [], 0
    while at < len(tokens):
        token = tokens[at]
        if token.text == "{":
            at = closing(tokens, at)
            if function_name_of(words):
                yield line, words
                words = []
            else:
                words.append("{}")
        elif token.text == ";":
            if words:
                yield line, words
            words = []
        else:
            if not words:
                line = token.line
            words.append(token.text)
        at += 1


def function_name_of(words):
    return function_name([Token(word, 0) for word in words])


def declared_name(words):
    """The name a declaration introduces; None for types, forward declarations, assertions."""
    words = [word for word in words if word != "{}"]
    if not words or words[0] == "_Static_assert" or words[0] == "static_assert":
        return None
    if words[0] == "typedef":
        return typedef_name(words)
    if "(" in words:
        return bare_function(words)
    if words[0] == "extern":
        return next(word for word in reversed(words) if re.match(r"[A-Za-z_]\w*$", word))
    return None


def typedef_name(words):
    if "(" not in words:
        return words[-1]
    at = words.index("(")
    return words[at - 1] if words[at + 1] != "*" else words[at + 2]


def bare_function(words):
    """The word before the first bracket that is not an attribute's."""
    at = 0
    while at < len(words):
        if words[at] == "(":
            if at and words[at - 1] in ("__attribute__", "PC_FORMAT", "PC_AUTO"):
                depth = 0
                while at < len(words):
                    depth += {"(": 1, ")": -1}.get(words[at], 0)
                    at += 1
                    if depth == 0:
                        break
                continue
            return words[at - 1] if at and re.match(r"[A-Za-z_]\w*$", words[at - 1]) else None
        at += 1
    return None
