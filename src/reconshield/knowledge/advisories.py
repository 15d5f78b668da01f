"""Well-known vulnerabilities of servers: affected versions by the maker, and the packages in which distributions fixed them.

`advisories.toml` holds facts of the makers' and distributions' own advisories, each with its source. Whether one is known to be
exploited is not written there: that is looked up in the KEV copy (`knowledge.kev`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("advisories.toml")


@dataclass(frozen=True, slots=True)
class Range:
    """Versions from `first` up to, but without, `before`; an empty side is open."""

    first: str | None
    before: str | None


@dataclass(frozen=True, slots=True)
class FixedPackage:
    """The first package of a distribution that has the fix, and the advisory that says so."""

    os: str
    version: str
    source: str


@dataclass(frozen=True, slots=True)
class Advisory:
    """One vulnerability. `condition` says when an affected version can be abused at all.

    `systems`: only builds for these are affected. `shipped`: versions of which fixed builds show no mark of that. `invisible`:
    the maker's update does not change the version that is shown. `unmarked`: why a build without the mark of a distribution
    cannot be judged at all, where that is so.
    """

    cve: str
    products: tuple[str, ...]
    title: str
    ranges: tuple[Range, ...]
    source: str
    condition: str = ""
    systems: tuple[str, ...] = ()
    shipped: tuple[str, ...] = ()
    fixed: tuple[FixedPackage, ...] = ()
    invisible: bool = False
    unmarked: str = ""

    def names(self, product: str) -> bool:
        """Whether it is about a product, by the names that probes give."""
        return product.lower() in self.products


@cache
def all_advisories() -> tuple[Advisory, ...]:
    """Every advisory of the table, in its order."""
    return tuple(map(_read, tomllib.loads(FILE.read_text(encoding="utf-8"))["advisory"]))


def _read(row: Mapping[str, Any]) -> Advisory:
    return Advisory(
        cve=row["cve"],
        products=tuple(name.lower() for name in row["products"]),
        title=row["title"],
        ranges=tuple(_read_range(text) for text in row["affected"]),
        source=row["source"],
        condition=row.get("condition", ""),
        systems=tuple(row.get("systems", ())),
        shipped=tuple(row.get("shipped", ())),
        fixed=tuple(FixedPackage(**fixed) for fixed in row.get("fixed", ())),
        invisible=row.get("invisible", False),
        unmarked=row.get("unmarked", ""),
    )


def _read_range(text: str) -> Range:
    """`4.87 .. 4.92`: from 4.87 to before 4.92."""
    first, _, before = text.partition("..")
    return Range(first.strip() or None, before.strip() or None)
