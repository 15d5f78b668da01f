"""Which of two versions is the older one, in Debian's order; pure.

Debian's order (Debian Policy §5.6.12) is also what upstream versions need: numbers compare as numbers, a letter behind a number
is newer (`1.0.1` < `1.0.1g`), and `~` sorts before everything (`9.2~rc1` < `9.2`). A version is `[epoch:]upstream[-revision]`.
"""

from __future__ import annotations

import re
from functools import lru_cache

LONGEST = 120
"""A version is cut there: what a stranger states may be endless."""


@lru_cache(4096)
def compare_versions(one: str, other: str) -> int:
    """-1 when `one` is older than `other`, 1 when it is newer, 0 when they are equal."""
    for mine, theirs in zip(_split(one), _split(other), strict=True):
        order = _compare_part(mine, theirs)
        if order:
            return order
    return 0


def is_older(one: str, other: str) -> bool:
    return compare_versions(one, other) < 0


def is_within(version: str, first: str | None, before: str | None) -> bool:
    """Whether `first` <= version < `before`; None leaves that side open."""
    return not (first is not None and is_older(version, first)) and (before is None or is_older(version, before))


def is_of(version: str, cycle: str) -> bool:
    """Whether a version belongs to a release line: `2.2.34` is of `2.2`, `2.20` is not."""
    return re.match(re.escape(cycle) + r"(?!\d)", version) is not None


def _split(version: str) -> tuple[str, str, str]:
    """Epoch, upstream version, revision."""
    epoch, colon, rest = version[:LONGEST].partition(":")
    if not (colon and epoch.isdecimal()):
        epoch, rest = "0", version[:LONGEST]
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return epoch, upstream, revision


def _compare_part(one: str, other: str) -> int:
    """Text and numbers in turn: text by Debian's order of characters, numbers by value."""
    mine, theirs = _pieces(one), _pieces(other)
    for place in range(max(len(mine), len(theirs))):
        text, number = mine[place] if place < len(mine) else ("", 0)
        text_of_other, number_of_other = theirs[place] if place < len(theirs) else ("", 0)
        left, right = (_weigh(text), number), (_weigh(text_of_other), number_of_other)
        if left != right:
            return -1 if left < right else 1
    return 0


def _pieces(part: str) -> list[tuple[str, int]]:
    return [(text, int(digits or 0)) for text, digits in re.findall(r"([^0-9]*)([0-9]*)", part) if text or digits]


def _weigh(text: str) -> tuple[int, ...]:
    """`~` before the end, the end before letters, letters before all else."""
    weights = [-1 if sign == "~" else ord(sign) if sign.isalpha() else ord(sign) + 0x110000 for sign in text]
    return (*weights, 0)
