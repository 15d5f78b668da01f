"""Uses of ports that are common although the registry does not list them, and that have no catalogue entry of their own yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("observed.tsv")


@dataclass(frozen=True, slots=True)
class Observed:
    """What is commonly found on a port, and the source that says so."""

    name: str
    source: str


@cache
def observed_uses() -> Mapping[tuple[int, str], Observed]:
    """Every row of observed.tsv by (port, transport)."""
    rows = (line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {(int(port), transport): Observed(name, source) for port, transport, name, source in rows}
