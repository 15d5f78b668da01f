"""A stream of bytes cut into pieces of whole lines, with a limit, so that a file without line feeds costs no memory."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from reconshield.detect.flows import Chunks

LINE_FEED = 10
LONGEST = 1 << 20
"""A longer line is passed over; no log has such a record."""

PIECE = 1 << 22
"""About so many bytes are read by columns at once: enough that Python's share vanishes, little enough for the caches."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines, each ending with a line feed. `first` is the number of the first one, from 1."""

    data: bytes
    first: int


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line beyond the limit, passed over."""

    line: int


def cut_lines(chunks: Chunks) -> Iterator[Piece | TooLong]:
    """Pieces of whole lines in order. The last line needs no line feed: it gets one."""
    number, rest, skipping = 1, b"", False
    for chunk in gather(chunks):
        data = rest + chunk
        if skipping:
            _, feed, data = data.partition(b"\n")
            if not feed:
                continue
            skipping, number = False, number + 1
        whole, rest = data[: data.rfind(b"\n") + 1], data[data.rfind(b"\n") + 1 :]
        if whole:
            yield Piece(whole, number)
            number += int(np.count_nonzero(np.frombuffer(whole, np.uint8) == LINE_FEED))  # far quicker than bytes.count
        if len(rest) > LONGEST:
            yield TooLong(number)
            rest, skipping = b"", True
    if rest:
        yield Piece(rest + b"\n", number)


def gather(chunks: Chunks) -> Iterator[bytes]:
    """The same bytes in chunks of at least `PIECE`, but for the last."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def as_utf8(chunks: Chunks) -> Iterator[bytes]:
    """Text of UTF-16 as UTF-8, where the file begins with the mark of it (PowerShell writes so); the mark of UTF-8 left out."""
    ahead = iter(chunks)
    begun = b""
    while len(begun) < len(codecs.BOM_UTF8) and (chunk := next(ahead, b"")):
        begun += chunk
    if begun.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
        for chunk in chain([begun], ahead):
            yield decoder.decode(chunk).encode("utf-8", "replace")
    elif begun:
        yield begun.removeprefix(codecs.BOM_UTF8)
        yield from ahead
