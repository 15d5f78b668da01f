"""JSON objects out of a stream, however they stand in it: one document, an array, or lines; pretty-printed or not.

A record is cut out by its brackets, so a document of many gigabytes needs no more memory than its longest record. The array
`records` of a top-level object is gone through record by record. Where the brackets do not fit together, records are looked for
again by how one begins (`resume`), so what is whole behind the damage is used; each byte is looked at a few times at most.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any

import orjson

from reconshield.detect.flows import Bad, Chunks, Cut
from reconshield.detect.pieces import gather

Object = dict[str, Any]
Found = tuple[int, Object] | Bad | Cut

TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]"]', re.DOTALL)
"""A whole string, a bracket, or the beginning of a string that does not end."""

LONGEST = 16 << 20
"""A longer record is passed over."""

BETWEEN = b" \t\r\n,:[]{}\xef\xbb\xbf"
"""What may stand between records: white space, commas, brackets of what they are in, a byte order mark."""

NO_OBJECT = "what stands there is no JSON object"

HELD = 64
"""Octets kept while the beginning of a record is looked for: it may be cut in two."""

NEAR = 1 << 14
"""So far away the end of a record is guessed at."""

QUOTE, OPENING, LIST, ENVELOPE, LINE_FEED = ord('"'), b"{[", ord("["), b'"records"', 10


def read_elements(chunks: Chunks, resume: re.Pattern[bytes]) -> Iterator[Found]:
    """Each record with its number, from 1. `resume` matches where a record begins, and hardly anywhere else."""
    cutter, number = Cutter(resume), 0
    for piece in gather(chunks):
        for found in cutter.cut(piece):
            number += 1
            yield (number, found) if isinstance(found, dict) else Bad(f"record {number}", found)
    for found in cutter.finish():
        number += 1
        yield (number, found) if isinstance(found, dict) else Bad(f"record {number}", found)
    if cutter.within:
        yield Cut(f"record {number + 1}: the file ends within it")


def are_lines(head: bytes) -> bool:
    """Whether a text that begins so is one of objects of a line each: neither an array nor pretty-printed."""
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    return not text.startswith(b"[") and text.split(b"\n", 1)[0].rstrip() != b"{"


def look_ahead(chunks: Chunks) -> tuple[bool, Iterator[bytes]]:
    """Whether a text is one of lines, and all of it."""
    pieces = gather(chunks)
    first = next(pieces, b"")
    return are_lines(first), chain([first], pieces)


def parse(part: bytes) -> Object | str:
    """The object, or what is wrong with it."""
    try:
        found = orjson.loads(part)
    except ValueError as error:
        return f"no JSON: {error}"
    return found if isinstance(found, dict) else NO_OBJECT


class Cutter:
    """Cuts records out of pieces of a stream; a text instead of a record says what is wrong."""

    def __init__(self, resume: re.Pattern[bytes]) -> None:
        self._resume = resume
        self._buffer = b""
        self._place = 0
        self._begin = -1
        self._depth = 0
        self._done = 0
        self._armed = False
        self._lost = False
        self._seam = b""

    @property
    def within(self) -> bool:
        return self._begin >= 0 or self._lost

    def cut(self, piece: bytes) -> Iterator[Object | str]:
        self._buffer += piece
        if self._lost and not self._find_way():
            return
        yield from self._scan()
        yield from self._drop()
        if len(self._buffer) > LONGEST:
            yield from self._give_up()

    def finish(self) -> Iterator[Object | str]:
        """What is whole in the rest, which is no record itself."""
        if not self.within:
            if self._buffer[self._done :].strip(BETWEEN):
                yield NO_OBJECT
            return
        *parts, last = self._split(self._buffer)
        for part in parts:
            yield parse(part[: end_of_object(part)])
        if (end := end_of_object(last)) is not None:
            yield parse(last[:end])
            self._begin, self._lost = -1, False

    def _scan(self) -> Iterator[Object | str]:
        """Whole records of the buffer. Between records quotes mean nothing, so one too many costs no other record."""
        while True:
            if self._begin < 0:
                start = self._buffer.find(b"{", self._place)
                if start < 0:
                    self._place = len(self._buffer)
                    return
                if self._buffer[self._done : start].strip(BETWEEN):
                    yield NO_OBJECT
                self._begin, self._place, self._depth, self._armed = start, start, 0, False
                if (found := self._guess(start)) is not None:
                    yield found
                    continue
            end, whole = self._walk()
            if end is None:
                return
            part, self._begin, self._place, self._done = self._buffer[self._begin : end], -1, end, end
            if whole:
                yield from self._whole(part)

    def _walk(self) -> tuple[int | None, bool]:
        """Where the record that has begun ends, if it does; whether it is one, and not what is around the records."""
        buffer, depth, armed = self._buffer, self._depth, self._armed
        for token in TOKEN.finditer(buffer, self._place):
            start = token.start()
            sign = buffer[start]
            if sign == QUOTE:
                if token.end() == start + 1:
                    self._place, self._depth, self._armed = start, depth, armed
                    return None, False
                armed = depth == 1 and token[0] == ENVELOPE
                continue
            if sign not in OPENING:
                depth -= 1
                if depth <= 0:
                    return token.end(), True
            elif armed and sign == LIST and depth == 1:
                return token.end(), False
            else:
                depth += 1
            armed = False
        self._place, self._depth, self._armed = len(buffer), depth, armed
        return None, False

    def _guess(self, start: int) -> Object | None:
        """The quick way: a record that is a line, or that ends before what stood between the last ones. Where that is no whole
        record, none is there; a record that is one cannot end elsewhere.
        """
        for find_end in (self._line_end, self._seam_end):
            end = find_end(start)
            part = self._buffer[start:end].rstrip(b" \t\r,")
            found = parse(part) if part.endswith(b"}") else ""
            if isinstance(found, dict) and not isinstance(found.get("records"), list):
                self._begin, self._place, self._done = -1, end, end
                return found
        return None

    def _line_end(self, start: int) -> int:
        """Where the line ends that begins with a record. Others are not tried, or a long line of many would be looked at as
        often.
        """
        begins = not start or self._buffer[start - 1] == LINE_FEED
        return max(self._buffer.find(b"\n", start), start) if begins else start

    def _seam_end(self, start: int) -> int:
        """Where the next seam is like the last one: what stood between two records, with the bracket before and the first key
        behind. Sensors write all alike.
        """
        at = self._buffer.find(self._seam, start, start + NEAR) if self._seam else -1
        if at < 0 < self._done and (key := self._buffer.find(b":", start, start + HELD)) > 0:
            self._seam = b"}" + self._buffer[self._done : key + 1]
        return at + 1 if at >= 0 else start

    def _whole(self, part: bytes) -> Iterator[Object | str]:
        """A record; where it is no JSON, the records that begin within it."""
        found = parse(part)
        if isinstance(found, dict):
            yield found
        else:
            for each in self._split(part):
                yield parse(each[: end_of_object(each)])

    def _split(self, region: bytes) -> Iterator[bytes]:
        """Parts that begin like records."""
        starts = [found.start() for found in self._resume.finditer(region)]
        for one, two in pairwise([0, *(start for start in starts if start), len(region)]):
            yield region[one:two]

    def _drop(self) -> Iterator[str]:
        """Forget what has been cut."""
        keep = self._begin if self._begin >= 0 else self._place
        if self._begin < 0 and keep > self._done:
            if self._buffer[self._done : keep].strip(BETWEEN):
                yield NO_OBJECT
            self._done = keep
        self._buffer = self._buffer[keep:]
        self._place -= keep
        self._done = max(self._done - keep, 0)
        self._begin = 0 if self._begin >= 0 else -1

    def _give_up(self) -> Iterator[Object | str]:
        """Too long for a record: what is whole in it, and on with the last one that begins within."""
        parts = list(self._split(self._buffer))
        for part in parts[:-1]:
            yield parse(part[: end_of_object(part)])
        self._begin, self._depth, self._place, self._done, self._armed = -1, 0, 0, 0, False
        if len(parts) > 1:
            self._buffer = parts[-1]
            yield from self._scan()
            yield from self._drop()
        if len(parts) == 1 or len(self._buffer) > LONGEST:
            yield f"longer than {LONGEST >> 20} MiB"
            self._begin, self._depth, self._place, self._armed = -1, 0, 0, False
            self._buffer, self._lost = self._buffer[-HELD:], True

    def _find_way(self) -> bool:
        """Whether a record begins in the buffer, after one that was passed over."""
        found = self._resume.search(self._buffer)
        self._buffer = self._buffer[found.start() :] if found else self._buffer[-HELD:]
        self._lost = found is None
        return found is not None


def end_of_object(part: bytes) -> int | None:
    """Where the object that begins `part` ends; None where it does not."""
    depth = 0
    for token in TOKEN.finditer(part):
        sign = part[token.start()]
        if sign != QUOTE:
            depth += 1 if sign in OPENING else -1
            if depth <= 0:
                return token.end()
    return None
