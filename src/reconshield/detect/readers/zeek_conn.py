"""Zeek's conn.log as TSV: one connection a line, columns named by the `#fields` line.

Columns are found by name, never by place: versions and scripts add and move them. `#fields` may come again with another list,
as in logs that were put one behind the other. For ICMP the port columns hold type and code; those flows have no ports here.
Source: Zeek documentation, conn.log (base/protocols/conn/main.zeek).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from reconshield.detect.columns import Column, Table, addresses, cut_table, decimals, integers, labels
from reconshield.detect.discovery import set_message
from reconshield.detect.flows import (
    LATEST,
    Bad,
    Chunks,
    Cut,
    Flows,
    FlowState,
    Item,
    Mark,
    Names,
    Reader,
    Rows,
    new_rows,
)
from reconshield.detect.pieces import Piece, TooLong, cut_lines
from reconshield.detect.zeek import (
    STATES,
    TRANSPORTS,
    Layout,
    pack_state,
    read_comment,
    service_name,
    split_comments,
)

NEEDED = ("ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto")


def read(chunks: Chunks) -> Iterator[Item]:
    """The flows of a conn.log, a batch a piece, and every line that is none."""
    layout, separator, names = None, 9, Names()
    for piece in cut_lines(chunks):
        if isinstance(piece, TooLong):
            yield Bad(f"line {piece.line}", "the line is longer than 1 MiB")
            continue
        for part in split_comments(piece):
            if part.data.lstrip()[:1] == b"#":
                separator, found = read_comment(part.data, separator)
                layout = found or layout
                if found and (missing := [name for name in NEEDED if name not in found.fields]):
                    yield Cut(f"line {part.first}: #fields lacks {', '.join(missing)}")
                    return
            elif layout is None:
                yield Bad(f"line {part.first}", "a record before the #fields line")
            else:
                yield from read_rows(part, layout, names)


def read_rows(piece: Piece, layout: Layout, names: Names) -> Iterator[Item]:
    table = cut_table(piece.data, layout.separator, layout.count)
    for line in table.odd.tolist():
        if table.odd_line(line).strip():
            yield Bad(f"line {piece.first + line}", f"not {layout.count} fields")
    rows, wrong = fill_rows(table, layout.fields, names)
    for column, right in wrong.items():
        for row in np.flatnonzero(~right).tolist():
            yield Bad(f"line {piece.first + int(table.line[row])}", f"{column} is none")
    good = np.logical_and.reduce(list(wrong.values()))
    rows["record"] = table.line + piece.first
    yield Flows(rows if good.all() else rows.compress(good), names.all)


def fill_rows(table: Table, fields: Mapping[str, int], names: Names) -> tuple[Rows, Mapping[str, np.ndarray]]:
    """All columns of FLOW, and for each column that must be right where it is."""

    def column(name: str) -> Column | None:
        return table.column(fields[name]) if name in fields else None

    rows = new_rows(table.line.size)
    right = {}
    rows["start"], fine = decimals(table.column(fields["ts"]))
    right["ts"] = fine & (rows["start"] < LATEST)
    rows["src_hi"], rows["src_lo"], right["id.orig_h"] = addresses(table.column(fields["id.orig_h"]))
    rows["dst_hi"], rows["dst_lo"], right["id.resp_h"] = addresses(table.column(fields["id.resp_h"]))
    transport = labels(table.column(fields["proto"]), lambda text: TRANSPORTS.get(text, 0))
    rows["transport"], right["proto"] = transport, transport > 0
    for name, place in (("sport", "id.orig_p"), ("dport", "id.resp_p")):
        port, fine = integers(table.column(fields[place]), 0)
        right[place] = fine & (port <= 65_535)
        rows[name] = np.where(right[place], port, 0)
    set_message(rows, rows["sport"].copy())
    for name, place in COUNTS:
        if (found := column(place)) is not None:
            rows[name] = integers(found)[0]
    if (found := column("duration")) is not None:
        rows["end"] = rows["start"] + np.nan_to_num(decimals(found)[0])
    if (found := column("conn_state")) is not None:
        packed = labels(found, lambda text: pack_state(*STATES.get(text, (FlowState.UNKNOWN, 0))))
        rows["state"], rows["marks"] = packed >> 8, packed & 255
    if (found := column("service")) is not None:
        rows["app"] = labels(found, lambda text: names.number(service_name(text.decode("utf-8", "replace"))))
    if (found := column("missed_bytes")) is not None:
        rows["marks"] |= (integers(found)[0] > 0) * np.uint8(Mark.LOSSY)
    return rows, right


COUNTS = (("sent", "orig_bytes"), ("received", "resp_bytes"), ("sent_packets", "orig_pkts"), ("received_packets", "resp_pkts"))


def recognises(head: bytes) -> bool:
    """A header that names the columns of a connection."""
    lines: Sequence[bytes] = head.split(b"\n", 12)[:12]
    path = any(line.split()[:2] == [b"#path", b"conn"] for line in lines)
    signs = (b"id.orig_h", b"id.resp_p", b"proto") if path else (b"id.orig_h", b"conn_state")
    return any(line.lstrip().startswith(b"#fields") and all(sign in line for sign in signs) for line in lines)


READER = Reader("zeek-conn", "Zeek conn.log (TSV)", recognises, read)
