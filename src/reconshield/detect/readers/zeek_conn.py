"""Zeek's conn.log as TSV: one connection a line, columns named by the `#fields` line.

Columns are found by name, never by place: versions and scripts add and move them. `#fields` may come again with another list,
as in logs that were put one behind the other. For ICMP the port columns hold type and code; those flows have no ports here.
Source: Zeek documentation, conn.log (base/protocols/conn/main.zeek).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import hexdigits

import numpy as np

from reconshield.detect.columns import Column, Table, addresses, cut_table, decimals, integers, labels
from reconshield.detect.flows import Bad, Chunks, Cut, Flows, FlowState, Item, Mark, Names, Reader, Rows, new_rows
from reconshield.detect.pieces import Piece, TooLong, cut_lines

TRANSPORTS: Mapping[bytes, int] = {b"icmp": 1, b"tcp": 6, b"udp": 17, b"icmp6": 58, b"sctp": 132}
PORTLESS = (1, 58)

STATES: Mapping[bytes, tuple[FlowState, int]] = {
    b"S0": (FlowState.UNANSWERED, 0),
    b"REJ": (FlowState.REFUSED, 0),
    b"S1": (FlowState.ESTABLISHED, 0),
    b"SF": (FlowState.ESTABLISHED, 0),
    b"S2": (FlowState.ESTABLISHED, 0),
    b"S3": (FlowState.ESTABLISHED, 0),
    b"RSTO": (FlowState.ESTABLISHED, 0),
    b"RSTR": (FlowState.ESTABLISHED, 0),
    b"RSTOS0": (FlowState.UNANSWERED, 0),
    b"SH": (FlowState.UNKNOWN, Mark.ONE_SIDED),
    b"RSTRH": (FlowState.UNKNOWN, Mark.ONE_SIDED),
    b"SHR": (FlowState.UNKNOWN, Mark.ONE_SIDED),
    b"OTH": (FlowState.UNKNOWN, Mark.UNSURE),
}
"""conn_state -> how it went, and what is odd about it. OTH began before the capture: who began it is a guess."""

NEEDED = ("ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto")
SERVICES = {"ssl": "tls", "krb": "kerberos", "krb_tcp": "kerberos", "dce_rpc": "msrpc", "ldap_tcp": "ldap", "ldap_udp": "ldap"}
"""Zeek's names for protocols that have another one here."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the header lines say: the separator, how many columns there are, and the place of each by its name."""

    separator: int
    count: int
    fields: Mapping[str, int]

    @property
    def missing(self) -> list[str]:
        return [name for name in NEEDED if name not in self.fields]


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
                if found and found.missing:
                    yield Cut(f"line {part.first}: #fields lacks {', '.join(found.missing)}")
                    return
            elif layout is None:
                yield Bad(f"line {part.first}", "a record before the #fields line")
            else:
                yield from read_rows(part, layout, names)


def split_comments(piece: Piece) -> Iterator[Piece]:
    """Header lines one by one, everything between them in one piece."""
    data, begin, line = piece.data, 0, piece.first
    while begin < len(data):
        if data[begin : begin + 2].lstrip()[:1] == b"#":
            finish = data.index(b"\n", begin) + 1
        else:
            mark = data.find(b"\n#", begin)
            finish = mark + 1 if mark >= 0 else len(data)
        yield Piece(data[begin:finish], line)
        line += data.count(b"\n", begin, finish)
        begin = finish


def read_comment(line: bytes, separator: int) -> tuple[int, Layout | None]:
    """What a header line changes: the separator, or the columns."""
    text = line.strip().decode("utf-8", "replace")
    if text.startswith("#separator"):
        value = text.removeprefix("#separator").strip()
        return read_separator(value), None
    if text.startswith("#fields"):
        names = text.split(chr(separator))[1:]
        return separator, Layout(separator, len(names), {name: place for place, name in enumerate(names)})
    return separator, None


def read_separator(value: str) -> int:
    """The byte that `\\x09` means, or the one character that stands there; a tab for anything else."""
    if value.startswith("\\x"):
        return int(value[2:4], 16) if all(char in hexdigits for char in value[2:4]) and len(value) >= 4 else 9
    return ord(value) if len(value) == 1 and value.isascii() else 9


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
    yield Flows(rows if good.all() else rows[good], names.all)


def fill_rows(table: Table, fields: Mapping[str, int], names: Names) -> tuple[Rows, Mapping[str, np.ndarray]]:
    """All columns of FLOW, and for each column that must be right where it is."""

    def column(name: str) -> Column | None:
        return table.column(fields[name]) if name in fields else None

    rows = new_rows(table.line.size)
    right = {}
    rows["start"], right["ts"] = decimals(table.column(fields["ts"]))
    rows["src_hi"], rows["src_lo"], right["id.orig_h"] = addresses(table.column(fields["id.orig_h"]))
    rows["dst_hi"], rows["dst_lo"], right["id.resp_h"] = addresses(table.column(fields["id.resp_h"]))
    transport = labels(table.column(fields["proto"]), lambda text: TRANSPORTS.get(text, 0))
    rows["transport"], right["proto"] = transport, transport > 0
    for name, place in (("sport", "id.orig_p"), ("dport", "id.resp_p")):
        port, fine = integers(table.column(fields[place]), 0)
        right[place] = fine & (port <= 65_535)
        rows[name] = np.where(right[place] & ~np.isin(transport, PORTLESS), port, 0)
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


def pack_state(state: FlowState, marks: int) -> int:
    return state << 8 | marks


def service_name(text: str) -> str:
    """Zeek's list of protocols in our names: `smtp,tls` for mail that went on inside TLS; empty where none was seen."""
    if text in {"-", "(empty)", ""}:
        return ""
    return ",".join(dict.fromkeys(SERVICES.get(name, name) for name in text.lower().split(",") if name))


def recognises(head: bytes) -> bool:
    """A header that names the columns of a connection."""
    lines: Sequence[bytes] = head.split(b"\n", 12)[:12]
    return any(line.lstrip().startswith(b"#fields") and b"id.orig_h" in line and b"conn_state" in line for line in lines)


READER = Reader("zeek-conn", "Zeek conn.log (TSV)", recognises, read)
