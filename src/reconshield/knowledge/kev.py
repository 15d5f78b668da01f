"""Vulnerabilities that are known to be exploited (CISA KEV) and the chance that one will be (FIRST EPSS), by CVE id.

`kev.tsv` ships with the package: ids and marks only (CVE, vendor, product, date added, used by ransomware). Rights in the
catalogue are under CC0 1.0. `python -m reconshield.knowledge.feeds FILE` makes it from CISA's JSON. EPSS has no copy in the
package; `reconshield intel update epss` keeps the scores of the CVEs that the catalogue names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from reconshield.knowledge import tables


@dataclass(frozen=True, slots=True)
class Exploited:
    """One row of the KEV catalogue. `added` is the date on which CISA listed it."""

    cve: str
    vendor: str
    product: str
    added: str
    ransomware: bool


@dataclass(frozen=True, slots=True)
class Score:
    """The chance that a CVE is exploited within 30 days, and the share of all CVEs that have a smaller one; both 0 to 1."""

    chance: float
    percentile: float


def exploited() -> Mapping[str, Exploited]:
    """Every row of the KEV copy in use by CVE id."""
    return _read_kev(tables.in_use().kev)


def embedded_exploited() -> Mapping[str, Exploited]:
    """The same of the package's own copy: what the catalogue is checked against."""
    return _read_kev(tables.EMBEDDED.kev)


def kev_version() -> str:
    """The version of the KEV copy in use, `2025.08.25`."""
    return _version(tables.in_use().kev)


def scores() -> Mapping[str, Score]:
    """EPSS by CVE id; empty before it was fetched."""
    path = tables.in_use().epss
    return _read_epss(path) if path else {}


@lru_cache(maxsize=4)
def _version(path: Path) -> str:
    return tables.version_of(path)


@lru_cache(maxsize=4)
def _read_kev(path: Path) -> Mapping[str, Exploited]:
    return read_kev(tables.read_text(path))


@lru_cache(maxsize=4)
def _read_epss(path: Path) -> Mapping[str, Score]:
    rows = (line.split("\t") for line in tables.read_text(path).splitlines() if not line.startswith("#"))
    return {cve: Score(float(chance), float(percentile)) for cve, chance, percentile in rows}


def read_kev(text: str) -> dict[str, Exploited]:
    """The rows of a `kev.tsv` by CVE id."""
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {cve: Exploited(cve, vendor, product, added, mark == "ransomware") for cve, vendor, product, added, mark in rows}
