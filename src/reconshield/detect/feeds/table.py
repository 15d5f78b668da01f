"""CSV with a header, as most public lists have it; the header may stand in a comment."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconshield.detect.feeds.record import Record, read_time
from reconshield.detect.flows import Bad

VALUES = ("indicator", "value", "ioc", "ioc_value", "dst_ip", "ip", "ip_address", "address", "domain", "url")
PORTS = ("dst_port", "port")
EXPIRES = ("expires", "valid_until", "expiration", "expiry")
LABELS = ("label", "malware", "malware_printable", "description", "threat", "comment", "reason")


@dataclass(frozen=True, slots=True)
class Header:
    """On which line it stands, and the names of the columns."""

    line: int
    names: tuple[str, ...]


def find_header(lines: Sequence[str]) -> Header | None:
    """The first line that names a column of values, before any data."""
    for number, line in enumerate(lines):
        names = tuple(name.strip().lower() for name in next(csv.reader([line.lstrip("# ")]), []))
        if len(names) > 1 and set(names) & set(VALUES):
            return Header(number, names)
        if line.strip() and not line.startswith("#"):
            return None
    return None


def read(lines: Sequence[str], header: Header) -> Iterator[Record | Bad]:
    for number, line in enumerate(lines[header.line + 1 :], header.line + 2):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"line {number}"
        try:
            yield read_row(where, cut_row(line, header.names))
        except (ValueError, csv.Error) as error:
            yield Bad(where, str(error))


def cut_row(line: str, names: Sequence[str]) -> Mapping[str, str]:
    fields = next(csv.reader([line], skipinitialspace=True), [])
    if len(fields) != len(names):
        raise ValueError(f"{len(fields)} fields, not {len(names)}")
    return dict(zip(names, (field.strip() for field in fields), strict=True))


def read_row(where: str, row: Mapping[str, str]) -> Record:
    def first_of(names: Sequence[str]) -> str:
        return next((row[name] for name in names if row.get(name)), "")

    port = first_of(PORTS)
    if port and not (port.isdecimal() and 0 < int(port) < 65_536):
        raise ValueError(f"{port[:20]!r} is no port")
    return Record(where, first_of(VALUES), first_of(LABELS), read_time(first_of(EXPIRES)), int(port or 0))
