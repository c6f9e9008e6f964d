# SPDX-License-Identifier: MIT
"""Just enough of PromQL to know which metrics an expression asks for, and by which labels."""
import re

WORDS = {"and", "or", "unless", "offset", "bool", "on", "ignoring", "group_left", "group_right",
         "by", "without", "inf", "nan", "start", "end"}
GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
TEXT = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)?\s*\{([^}]*)\}")
MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*\x00(\d+)\x00")
NAME = re.compile(r"(?<![\w:.$])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")


def _without_texts(expression):
    texts = []

    def keep(match):
        texts.append(match.group()[1:-1])
        return f"\x00{len(texts) - 1}\x00"

    return TEXT.sub(keep, expression), texts


def parse(expression):
    """({metric: {label: [(operator, value)]}}, {labels grouped by}) of an expression."""
    rest, texts = _without_texts(expression)
    grouped = {name.strip() for _, names in GROUPING.findall(rest) for name in names.split(",")
               if name.strip()}
    rest = GROUPING.sub(" ", rest)
    rest = re.sub(r"\[[^\]]*\]", " ", rest)
    rest = re.sub(r"\boffset\s+\S+", " ", rest)
    metrics = {}
    for name, inside in SELECTOR.findall(rest):
        found = [(label, operator, texts[int(number)])
                 for label, operator, number in MATCHER.findall(inside)]
        named = [value for label, _, value in found if label == "__name__"]
        for metric in [name] if name else _alternatives(named):
            wanted = metrics.setdefault(metric, {})
            for label, operator, value in found:
                if label != "__name__":
                    wanted.setdefault(label, []).append((operator, value))
    rest = SELECTOR.sub(" ", rest)
    rest = re.sub(r"\x00\d+\x00", " ", rest)
    for name in NAME.findall(rest):
        if name not in WORDS:
            metrics.setdefault(name, {})
    return metrics, grouped


def _alternatives(patterns):
    """store_(read|write)_queue_depth -> both names; other patterns are left as they are."""
    for pattern in patterns:
        match = re.fullmatch(r"(\w*)\(([\w|]+)\)(\w*)", pattern)
        if match:
            yield from (match[1] + middle + match[3] for middle in match[2].split("|"))
        else:
            yield from pattern.split("|")
