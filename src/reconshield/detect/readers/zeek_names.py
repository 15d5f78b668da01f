"""Zeek's ssl, quic, dns, http and known_services logs as TSV. What a log is, its columns say.

Logs may stand one behind the other, each with its header.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconshield.detect.flows import Bad, Chunks, Cut, Item, Reader
from reconshield.detect.pieces import Piece, TooLong, cut_lines
from reconshield.detect.zeek import Layout, read_comment, split_comments
from reconshield.detect.zeek_entries import CONN, UNSET, kind_of, read_entry


def read(chunks: Chunks) -> Iterator[Item]:
    layout, separator, kind = None, 9, ""
    for piece in cut_lines(chunks):
        if isinstance(piece, TooLong):
            yield Bad(f"line {piece.line}", "the line is longer than 1 MiB")
            continue
        for part in split_comments(piece):
            if part.data.lstrip()[:1] != b"#":
                yield from read_part(part, layout, kind)
                continue
            separator, found = read_comment(part.data, separator)
            if found:
                layout, kind = found, kind_of(found.fields)
            if found and kind in ("", CONN):
                yield Cut(f"line {part.first}: #fields is not that of an ssl, quic, dns, http or known_services log")
                return


def read_part(part: Piece, layout: Layout | None, kind: str) -> Iterator[Item]:
    for number, line in enumerate(part.data.split(b"\n"), part.first):
        text = line.decode("utf-8", "replace").rstrip("\r")
        if not text.strip():
            continue
        values = text.split(chr(layout.separator)) if layout else []
        if layout is None:
            yield Bad(f"line {number}", "a record before the #fields line")
        elif len(values) != layout.count:
            yield Bad(f"line {number}", f"not {layout.count} fields")
        else:
            entry = {name: values[place] for name, place in layout.fields.items() if values[place] not in UNSET}
            yield from read_entry(f"line {number}", entry, kind)


def recognises(head: bytes) -> bool:
    """A header with the columns of one of the logs, and not those of conn.log."""
    lines = [line for line in head.split(b"\n", 12)[:12] if line.lstrip().startswith(b"#fields")]
    return any(kind_of(line.decode("utf-8", "replace").split()[1:]) not in ("", CONN) for line in lines)


READER = Reader("zeek-names", "Zeek ssl, quic, dns, http or known_services log (TSV)", recognises, read)
