"""Flow logs of Amazon VPC, versions 2 to 8: one direction of one flow in one interval a line.

The header line names the columns (it comes again where files were put one behind the other); without one the lines must be in
the default order of version 2, as CloudWatch Logs keeps them, with or without its time in front. `pkt-srcaddr` and
`pkt-dstaddr` are the true ends where a NAT gateway or load balancer stands between, so they count before `srcaddr` and
`dstaddr`. Which side began is certain only where `tcp-flags` show a SYN; else the lower port is taken to serve, and the row
says that this is a guess. Lines of status NODATA are no flows; SKIPDATA says that AWS lost some, which is named.
Source: Amazon VPC User Guide, "Flow log records".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.columns import Column, Table, addresses, cut_table, integers, labels
from reconshield.detect.directions import FLAGS_UNKNOWN, Directions
from reconshield.detect.flows import LATEST, PORTLESS, Bad, Chunks, Cut, Flows, FlowState, Item, Note, Reader, Rows, new_rows
from reconshield.detect.pieces import Piece, TooLong, cut_lines

DEFAULT = (
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol"),
    *("packets", "bytes", "start", "end", "action", "log-status"),
)
MARK = b"srcaddr"
"""In every header line, and in no record."""
STATUSES = {b"OK": 0, b"NODATA": 1, b"SKIPDATA": 2}
ACTIONS = {b"ACCEPT": 0, b"REJECT": 1}
ODD = 9

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Layout:
    """The byte between fields, how many there are, and the place of each by its name."""

    separator: int
    count: int
    fields: Mapping[str, int]

    @property
    def missing(self) -> list[str]:
        """Columns without which a line tells no flow."""
        lacking = [name for name in ("srcport", "dstport", "protocol", "start") if name not in self.fields]
        return lacking + [name for name in ("srcaddr", "dstaddr") if not {name, f"pkt-{name}"} & self.fields.keys()]


def read(chunks: Chunks) -> Iterator[Item]:
    directions = Directions()
    yield from read_pieces(chunks, directions)
    yield from (Flows(rows, ("",)) for rows in directions.finish())
    yield from map(Note, directions.remarks())


def read_pieces(chunks: Chunks, directions: Directions) -> Iterator[Item]:
    layout: Layout | None = None
    for piece in cut_lines(chunks):
        if isinstance(piece, TooLong):
            yield Bad(f"line {piece.line}", "the line is longer than 1 MiB")
            continue
        for part in split_headers(piece):
            if MARK in part.data:
                layout = read_header(part.data)
                if layout.missing:
                    yield Cut(f"line {part.first}: the header lacks {', '.join(layout.missing)}")
                    return
                continue
            layout = layout or default_layout(part.data.split(b"\n"))
            if layout is None:
                for number, line in enumerate(part.data.split(b"\n"), part.first):
                    if line.strip():
                        yield Bad(f"line {number}", "no header line before it, and not in the default order of version 2")
            else:
                yield from read_rows(part, layout, directions)


def split_headers(piece: Piece) -> Iterator[Piece]:
    """Header lines one by one, everything between them in one piece."""
    data, begin, line = piece.data, 0, piece.first
    while begin < len(data):
        mark = data.find(MARK, begin)
        start = data.rfind(b"\n", begin, mark) + 1 or begin if mark >= 0 else len(data)
        finish = start if start > begin else data.index(b"\n", begin) + 1
        yield Piece(data[begin:finish], line)
        line += data.count(b"\n", begin, finish)
        begin = finish


def read_header(line: bytes) -> Layout:
    """Columns by their names; some tools write them with underscores, quotes, or commas between them."""
    separator = next((sign for sign in b",\t" if sign in line), 32)
    names = [
        name.strip().strip('"').replace("_", "-") for name in line.strip().decode("utf-8", "replace").split(chr(separator))
    ]
    return Layout(separator, len(names), {name: place for place, name in enumerate(names)})


def default_layout(lines: list[bytes]) -> Layout | None:
    """The order of version 2, if any of these lines is in it; a time in front of the record is passed over."""
    for line in lines:
        words = line.split()
        shift = len(words) - len(DEFAULT)
        if shift in (0, 1) and words[shift].isdigit() and words[-1] in STATUSES and words[-2] in {*ACTIONS, b"-"}:
            return Layout(32, len(words), {name: place + shift for place, name in enumerate(DEFAULT)})
    return None


def read_rows(piece: Piece, layout: Layout, directions: Directions) -> Iterator[Item]:
    table = cut_table(piece.data, layout.separator, layout.count)
    for line in table.odd.tolist():
        if table.odd_line(line).strip():
            yield Bad(f"line {piece.first + line}", f"not {layout.count} fields")
    lines = table.line + piece.first
    status = coded(table, layout, "log-status", STATUSES)
    for row in np.flatnonzero(status == STATUSES[b"SKIPDATA"]).tolist():
        yield Bad(f"line {lines[row]}", "SKIPDATA: AWS could not record all flows of this interval")
    told = (status == 0) | (status == ODD)
    rows, right = fill_rows(table, layout)
    right["log-status"] = status != ODD
    good = status == 0
    for name, fine in right.items():
        for row in np.flatnonzero(told & good_or_odd(good, status) & ~fine).tolist():
            yield Bad(f"line {lines[row]}", f"{name} is none")
        good &= fine
    rows["record"] = lines
    flags, sensors = flags_of(table, layout), sensors_of(table, layout)
    yield from (Flows(flows, ("",)) for flows in directions.add(rows.compress(good), flags[good], sensors[good]))


def good_or_odd(good: Mask, status: NDArray[np.int64]) -> Mask:
    """Rows that no fault was named of yet."""
    return np.asarray(good | (status == ODD), bool)


def coded(table: Table, layout: Layout, name: str, codes: Mapping[bytes, int]) -> NDArray[np.int64]:
    """A column of words as numbers, `ODD` for another word; 0 everywhere where there is no such column."""
    if name not in layout.fields:
        return np.zeros(table.line.size, np.int64)
    return labels(table.column(layout.fields[name]), lambda text: codes.get(text, ODD))


def sensors_of(table: Table, layout: Layout) -> NDArray[np.int64]:
    """A number for the interface that each line is about, the same in every piece."""
    if "interface-id" not in layout.fields:
        return np.zeros(table.line.size, np.int64)
    return labels(table.column(layout.fields["interface-id"]), crc32)


def flags_of(table: Table, layout: Layout) -> NDArray[np.int64]:
    if "tcp-flags" not in layout.fields:
        return np.full(table.line.size, FLAGS_UNKNOWN)
    return integers(table.column(layout.fields["tcp-flags"]), FLAGS_UNKNOWN)[0]


def fill_rows(table: Table, layout: Layout) -> tuple[Rows, dict[str, Mask]]:
    """The columns as they stand, and for each that must be right where it is."""
    rows, right = new_rows(table.line.size), dict[str, Mask]()
    for side, name in (("src", "srcaddr"), ("dst", "dstaddr")):
        rows[f"{side}_hi"], rows[f"{side}_lo"], right[name] = true_end(table, layout, name)
    transport, fine = integers(table.column(layout.fields["protocol"]), 0)
    right["protocol"] = fine & (transport <= 255)
    rows["transport"] = transport & 255
    for side, name in (("sport", "srcport"), ("dport", "dstport")):
        port, fine = integers(table.column(layout.fields[name]), 0)
        right[name] = fine & (port <= 65_535)
        rows[side] = np.where(right[name] & ~np.isin(transport, PORTLESS), port, 0)
    start, fine = integers(table.column(layout.fields["start"]))
    right["start"] = fine & (start < LATEST)
    rows["start"] = start
    if "end" in layout.fields:
        end, fine = integers(table.column(layout.fields["end"]))
        rows["end"] = np.where(fine & (end < LATEST), end, np.nan)
    for side, name in (("sent", "bytes"), ("sent_packets", "packets")):
        if name in layout.fields:
            rows[side] = integers(table.column(layout.fields[name]))[0]
    action = coded(table, layout, "action", ACTIONS)
    right["action"] = action != ODD
    rows["state"] = np.where(action == ACTIONS[b"REJECT"], FlowState.DENIED, FlowState.UNKNOWN)
    return rows, right


def true_end(table: Table, layout: Layout, name: str) -> tuple[NDArray[Any], NDArray[Any], Mask]:
    """The address of the packet itself where the line tells it, else that of the interface."""
    there = [table.column(layout.fields[key]) for key in (f"pkt-{name}", name) if key in layout.fields]
    far, near = there[0], there[-1]
    high, low, right = addresses(far)
    if far is near:
        return high, low, right
    unset = is_unset(far)
    near_high, near_low, near_right = addresses(near)
    return np.where(unset, near_high, high), np.where(unset, near_low, low), np.where(unset, near_right, right)


def is_unset(column: Column) -> Mask:
    at = np.minimum(column.start, max(column.data.size - 1, 0))
    return np.asarray((column.length == 1) & (column.data[at] == ord("-")), bool)


def recognises(head: bytes) -> bool:
    """A header with the names of AWS, or records in the default order."""
    lines = head.split(b"\n", 20)[:20]
    for line in lines:
        if MARK in line and b"dstaddr" in line and not line.lstrip().startswith((b"{", b"[", b"#")):
            return True
    return default_layout(lines) is not None


READER = Reader("aws-vpc", "Amazon VPC flow log", recognises, read)
