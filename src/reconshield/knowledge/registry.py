"""What the IANA registry says about a port: facts only, from a table that ships with the package.

`iana.tsv.gz` has one row for each (port or range, name, title), its transports merged into letters (`tu` = TCP and UDP, `*`
= the registry names no transport). A look-up decompresses it, notes where each row begins, and parses only the rows of its
port. `python -m reconshield.knowledge.registry_build FILE` makes a new table from IANA's CSV.

Registered is not the same as used: 110/udp is registered for POP3, and nothing speaks POP3 over UDP. What is used is the
catalogue's business.

Source: IANA Service Name and Transport Protocol Port Number Registry. Rights in it are under CC0 1.0 (IETF Trust and IANA,
2021-11-10). The columns with personal names are left out.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from reconshield.knowledge import tables
from reconshield.knowledge.tables import header

TABLE = "iana.tsv.gz"
LETTERS = {"t": "tcp", "u": "udp", "s": "sctp", "d": "dccp"}
_ROW_START = re.compile(r"^(\d+)(-)?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One row: ports `low` to `high` are registered under `name`. `transports` is empty where the registry names none."""

    low: int
    high: int
    transports: tuple[str, ...]
    name: str
    title: str

    def covers(self, transport: str) -> bool:
        return not self.transports or transport in self.transports


@dataclass(frozen=True, slots=True)
class RangeClass:
    """A class of port numbers of RFC 6335, section 6."""

    name: str
    low: int
    high: int
    meaning: str


RANGES = (
    RangeClass("system", 0, 1023, "assigned by IETF review or IESG approval; most systems ask for privileges to listen here"),
    RangeClass("user", 1024, 49151, "assigned by IANA on request; any program may listen here"),
    RangeClass("dynamic", 49152, 65535, "never assigned; local and temporary use, such as the client's end of a connection"),
)


def range_class(port: int) -> RangeClass:
    """The class that a port number 0 to 65,535 belongs to."""
    return next(row for row in RANGES if row.low <= port <= row.high)


def table_text() -> str:
    """The whole table in use as text, header lines included."""
    return _read_text(tables.in_use().ports)


_read_text = lru_cache(maxsize=4)(tables.read_text)


@lru_cache(maxsize=4)
def _rows_by_port(table: Path) -> tuple[tuple[int, ...], tuple[int, ...], tuple[Assignment, ...]]:
    """The first port of every row and where the row begins in the text, both in order; and the rows of ranges."""
    text = _read_text(table)
    ports, offsets, ranges = [], [], []
    for match in _ROW_START.finditer(text):
        ports.append(int(match[1]))
        offsets.append(match.start())
        if match[2]:
            ranges.append(_row_at(text, match.start()))
    return tuple(ports), tuple(offsets), tuple(ranges)


def _row_at(text: str, offset: int) -> Assignment:
    return _read_row(text[offset : text.index("\n", offset)])


def registry_date() -> str:
    """The newest date in the registry copy, as `2026-02-13`."""
    return _date_of(tables.in_use().ports)


@lru_cache(maxsize=4)
def _date_of(table: Path) -> str:
    return header(_read_text(table))["date"]


def assignments(port: int) -> tuple[Assignment, ...]:
    """Every name registered for a port number, on any transport, in order of name."""
    return _assignments(tables.in_use().ports, port)


@lru_cache(maxsize=1024)
def _assignments(table: Path, port: int) -> tuple[Assignment, ...]:
    ports, offsets, ranges = _rows_by_port(table)
    text = _read_text(table)
    own = (_row_at(text, offset) for offset in offsets[bisect_left(ports, port) : bisect_right(ports, port)])
    found = [row for row in own if row.low == row.high]
    found.extend(row for row in ranges if row.low <= port <= row.high)
    return tuple(sorted(found, key=lambda row: (row.name, row.low)))


def registered_names(port: int, transport: str) -> tuple[str, ...]:
    """The names registered for a port on one transport, each once, in lower case, in order."""
    return tuple(sorted({row.name.lower() for row in assignments(port) if row.covers(transport)}))


def registered_ports() -> tuple[int, ...]:
    """The first port of every row, sorted, each once."""
    return _registered_ports(tables.in_use().ports)


@lru_cache(maxsize=4)
def _registered_ports(table: Path) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_rows_by_port(table)[0]))


def port_of_name(name: str) -> tuple[Assignment, ...]:
    """Every row that is registered under a name; capitals do not matter."""
    text, wanted = table_text(), re.escape(name)
    rows = re.finditer(rf"^[\d-]+\t[a-z*]+\t{wanted}\t.*$", text, re.MULTILINE | re.IGNORECASE)
    return tuple(_read_row(match[0]) for match in rows)


def all_rows() -> tuple[Assignment, ...]:
    """The whole table, parsed. For search and for orderings; a look-up of one port does not need it."""
    return tuple(_read_row(line) for line in table_text().splitlines() if not line.startswith("#"))


def _read_row(line: str) -> Assignment:
    ports, letters, name, title = line.split("\t")
    low, _, high = ports.partition("-")
    transports = () if letters == "*" else tuple(LETTERS[letter] for letter in letters)
    return Assignment(int(low), int(high or low), transports, name, title)
