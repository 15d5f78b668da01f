"""When the support of a product's release line ended, by its maker; and of a distribution's release.

`lifecycle.toml` lists only lines that have ended or have a fixed end, each product with its source. A line that a distribution
in support still ships under the same version is left out: there the maker's date would be a false alarm.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

from reconshield.knowledge.versions import is_of, is_older

FILE = Path(__file__).with_name("lifecycle.toml")


@dataclass(frozen=True, slots=True)
class Line:
    """A release line: exactly `of` (a prefix), or everything `before` a version; the day after which nothing is fixed."""

    ended: date
    of: str | None = None
    before: str | None = None

    def covers(self, version: str) -> bool:
        return is_of(version, self.of) if self.of else self.before is not None and is_older(version, self.before)

    def has_ended(self, now: float) -> bool:
        return datetime.fromtimestamp(now, UTC).date() > self.ended


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The ended lines of a product, oldest first, and where its maker says so."""

    names: tuple[str, ...]
    source: str
    lines: tuple[Line, ...]


def find_end(product: str, version: str) -> tuple[Line, Lifecycle] | None:
    """The release line of a version, None when none is listed (which says nothing about support)."""
    life = _by_name().get(product.lower())
    line = next((line for line in life.lines if line.covers(version)), None) if life else None
    return (line, life) if life and line else None


def find_release(system: str, package: str) -> tuple[str, Line, Lifecycle] | None:
    """The release of a distribution that a package revision names: `deb9u3` is Debian 9, `ubuntu0.16.04.7` Ubuntu 16.04."""
    found = re.search(r"deb(\d{1,2})(?:u\d|\b)", package) or re.search(r"ubuntu[\d.]*?(?<!\d)([12]\d\.(?:04|10))\b", package)
    if not found:
        return None
    known = find_end(system, found[1])
    return (f"{system} {found[1]}", *known) if known else None


@cache
def _by_name() -> dict[str, Lifecycle]:
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))["product"]
    lives = (Lifecycle(tuple(row["names"]), row["source"], tuple(Line(**line) for line in row["lines"])) for row in rows)
    return {name.lower(): life for life in lives for name in life.names}
