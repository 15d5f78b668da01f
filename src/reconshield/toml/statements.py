"""The statements of a TOML text, each with the lines it stands on: what errors quote and what a formatter moves.

The standard reader gives values without positions, so the text is walked once more, line by line: a header, a key with all the
lines of its value (arrays and texts may span many), a comment, or nothing. It is not a second parser: a text that the standard
reader refuses may come out as anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Path = tuple[str | int, ...]
"""Where a value stands: `("endpoint", 0, "risk", "impact", "points")`."""

HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
KEY = re.compile(r"\s*([A-Za-z0-9_.\"'\- ]+?)\s*=")
LONG_QUOTES = ('"""', "'''")


@dataclass(frozen=True, slots=True)
class Statement:
    """A part of the text: `line` (from 1) is where it begins, `path` what it defines (a header's table, a key's value)."""

    kind: Literal["header", "key", "comment", "blank"]
    line: int
    lines: tuple[str, ...]
    path: Path = ()


def read_statements(text: str) -> Iterator[Statement]:
    """Every line of the text in exactly one statement, in order."""
    counts: dict[Path, int] = {}
    table: Path = ()
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        line, begin = lines[at], at
        plain = line.strip()
        at += 1
        if not plain or plain.startswith("#"):
            yield Statement("comment" if plain else "blank", begin + 1, (line,))
            continue
        if header := HEADER.fullmatch(line):
            table = table_path(header[2], header[1] == "[[", counts)
            yield Statement("header", begin + 1, (line,), table)
            continue
        at = end_of_value(lines, begin)
        key = KEY.match(line)
        yield Statement("key", begin + 1, tuple(lines[begin:at]), (*table, *parts_of(key[1])) if key else table)


def table_path(header: str, array: bool, counts: dict[Path, int]) -> Path:
    """The full path of a header, with the number of the array entry it belongs to."""
    path: Path = ()
    parts = parts_of(header)
    for position, part in enumerate(parts):
        path = (*path, part)
        if array and position == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def parts_of(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]


def end_of_value(lines: list[str], begin: int) -> int:
    """The number of the line after a value that begins on line `begin`: its brackets are closed, its long text has ended."""
    quote, depth = "", 0
    for at in range(begin, len(lines)):
        quote, depth = walk_line(lines[at], quote, depth)
        if not quote and depth <= 0:
            return at + 1
    return len(lines)


def walk_line(line: str, quote: str, depth: int) -> tuple[str, int]:
    """The open long quote and the depth of brackets after a line."""
    at = 0
    while at < len(line):
        if quote:
            at = end_of_text(line, at, quote)
            if at < 0:
                return quote, depth
            quote = ""
        elif line.startswith(LONG_QUOTES, at):
            quote, at = line[at : at + 3], at + 3
        elif line[at] in "\"'":
            at = end_of_text(line, at + 1, line[at])
            if at < 0:  # an unclosed text: the standard reader has said so
                return "", depth
        elif line[at] == "#":
            return "", depth
        else:
            depth += (line[at] in "[{") - (line[at] in "]}")
            at += 1
    return quote, depth


def end_of_text(line: str, at: int, quote: str) -> int:
    """Where a quoted text that is open at `at` has ended; -1 if not on this line. Back-slashes escape in double quotes only."""
    while at < len(line):
        if line[at] == "\\" and quote[0] == '"':
            at += 2
        elif line.startswith(quote, at):
            return at + len(quote)
        else:
            at += 1
    return -1
