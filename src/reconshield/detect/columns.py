"""Tables of text, read by columns instead of by lines: the quick way through Zeek, VPC and other flow logs.

A piece of a file becomes an array of bytes; the places of its separators give the first and last byte of each field; a column
of numbers or addresses is then read eight characters at a time over all rows at once (`words`), or one where its texts have no
common form. A field that is no number is found by the same passes and comes back as "not known" or in a mask, so that its row
can be named.

    bytes -> cut_table -> Table -> column -> decimals | integers | addresses | labels
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.words import WIDTH, digits_at_end, dotted, first_chars, words_at

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Mask = NDArray[np.bool_]

LINE_FEED, RETURN = 10, 13
ZERO, POINT = np.uint8(48), np.uint8(46)
POWERS = 10.0 ** np.arange(20)
V4_BLOCK = np.uint64(0xFFFF << 32)
MAX_DIGITS = 18
MAX_LABEL = 64


@dataclass(frozen=True, slots=True)
class Column:
    """One field of every row: where it begins and how long it is, in `data`."""

    data: Bytes
    start: Places
    length: Places

    def grid(self, width: int) -> Bytes:
        """The first `width` characters of every field, a row a character position; 0 behind the end of a field."""
        padded = np.pad(self.data, (0, width)) if self.data.size < width or self._ends_late(width) else self.data
        windows = np.lib.stride_tricks.sliding_window_view(padded, width)
        grid = np.ascontiguousarray(windows[self.start].T)
        grid *= np.arange(width, dtype=np.uint8)[:, None] < np.minimum(self.length, width).astype(np.uint8)
        return grid

    @property
    def end(self) -> Places:
        """The place behind each field."""
        return self.start + self.length

    def words(self, skipped: int = 0) -> NDArray[np.uint64]:
        """Eight characters of every field, the first `skipped` left out; 0 behind the end of a field."""
        return first_chars(words_at(self.data, self.start + skipped), self.length - skipped)

    def rows(self, chosen: Places) -> Column:
        return Column(self.data, self.start[chosen], self.length[chosen])

    def _ends_late(self, width: int) -> bool:
        return bool(self.start.size) and int(self.start.max()) + width > self.data.size

    def text(self, row: int) -> bytes:
        begin = int(self.start[row])
        return self.data[begin : begin + int(self.length[row])].tobytes()

    def texts(self) -> list[bytes]:
        """Every field as bytes."""
        whole = self.data.tobytes()
        return [whole[a : a + n] for a, n in zip(self.start.tolist(), self.length.tolist(), strict=True)]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one piece that have the right number of fields.

    `marks` has a row for each field and one more, and a column for each line: the place before the line's first character, and
    the place behind each field. `line` is the place of each among the lines of the piece; `odd` the places of the lines that
    have another number of fields; `begin` and `finish` where each line of the piece begins and ends.
    """

    data: Bytes
    marks: Places
    line: Places
    odd: Places
    begin: Places
    finish: Places

    def column(self, number: int) -> Column:
        start = self.marks[number] + 1
        return Column(self.data, start, self.marks[number + 1] - start)

    def odd_line(self, line: int) -> bytes:
        return self.data[int(self.begin[line]) : int(self.finish[line])].tobytes()

    @property
    def lines(self) -> int:
        return self.begin.size


def cut_table(piece: bytes, separator: int, fields: int) -> Table:
    """Cut whole lines (each ending with a line feed) into `fields` fields at `separator`."""
    # The passes below take 0 for the end of a field, so one that a file holds becomes a byte that is never right.
    data = np.frombuffer(piece.replace(b"\0", b"\xff"), np.uint8)
    is_feed = data == LINE_FEED
    ends = np.flatnonzero(is_feed | (data == separator))
    count = ends.size // fields
    if ends.size % fields or np.count_nonzero(is_feed) != count or not is_feed[ends[fields - 1 :: fields]].all():
        return _cut_uneven(data, ends, is_feed, fields)
    marks = np.empty((fields + 1, count), np.int64)
    marks[1:] = ends.reshape(count, fields).T
    begin, marks[-1] = _line_ends(data, marks[-1])
    marks[0] = begin - 1
    return Table(data, marks, np.arange(count), np.empty(0, np.int64), begin, marks[-1])


def _cut_uneven(data: Bytes, ends: Places, is_feed: Mask, fields: int) -> Table:
    """The same when some lines have another number of fields, as comments do."""
    last = np.flatnonzero(is_feed[ends])
    begin, finish = _line_ends(data, ends[last])
    good = np.diff(last, prepend=-1) == fields
    line = np.flatnonzero(good)
    marks = np.empty((fields + 1, line.size), np.int64)
    marks[0], marks[1:], marks[-1] = begin[line] - 1, ends[last[line] + np.arange(1 - fields, 1)[:, None]], finish[line]
    return Table(data, marks, line, np.flatnonzero(~good), begin, finish)


def _line_ends(data: Bytes, feeds: Places) -> tuple[Places, Places]:
    """Where each line begins, and where its text ends: before the line feed and a carriage return."""
    begin = np.empty_like(feeds)
    begin[:1], begin[1:] = 0, feeds[:-1] + 1
    returns = (data[np.maximum(feeds - 1, 0)] == RETURN) & (feeds > begin)
    return begin, feeds - returns


def integers(column: Column, unknown: int = -1) -> tuple[NDArray[np.int64], Mask]:
    """Whole numbers, `unknown` where the field is none; and where it is one."""
    value, right = _digits(column.data, column.end, column.length)
    right &= (column.length > 0) & (column.length <= MAX_DIGITS)
    return np.where(right, value, unknown), right


def _digits(data: Bytes, end: Places, count: Places) -> tuple[NDArray[np.int64], Mask]:
    """The numbers that the `count` characters before `end` are, and where these are digits; right for at most `MAX_DIGITS`."""
    value, right = digits_at_end(words_at(data, end - WIDTH), count)
    for past in range(WIDTH, int(min(count.max(initial=0), MAX_DIGITS)), WIDTH):
        more, fine = digits_at_end(words_at(data, end - past - WIDTH), count - past)
        value += more * 10**past
        right &= fine
    return value, right


LOOKED_AT = 100
"""Rows that are looked at for the place of the point."""


def decimals(column: Column) -> tuple[NDArray[np.float64], Mask]:
    """Numbers with or without a fraction, NaN where the field is none; and where it is one. No exponents, no signs."""
    looked_at = (column.text(row).partition(b".") for row in range(min(LOOKED_AT, column.start.size)))
    behind = next((len(fraction) for _, point, fraction in looked_at if point), 0)
    if not 0 < behind <= WIDTH:
        return _decimals(column)
    point, whole = column.end - behind - 1, column.length - behind - 1
    value, right = _digits(column.data, point, whole)
    fraction, fine = _digits(column.data, column.end, np.full_like(whole, behind))
    right &= fine & (whole > 0) & (whole <= MAX_DIGITS - behind) & (column.data[np.maximum(point, 0)] == POINT)
    found = (value * 10**behind + fraction) / POWERS[behind]
    others = np.flatnonzero(~right)
    if others.size:
        found[others], right[others] = _decimals(column.rows(others))
    return found, right


def _decimals(column: Column) -> tuple[NDArray[np.float64], Mask]:
    """The same wherever the point is."""
    value = np.zeros(column.start.size, np.int64)
    scale = np.zeros(column.start.size, np.uint8)
    pointed = np.zeros(column.start.size, bool)
    right = (column.length > 0) & (column.length <= MAX_DIGITS + 1)
    for char in column.grid(int(min(column.length.max(initial=1), MAX_DIGITS + 1))):
        digit = char - ZERO
        here, point = digit < 10, char == POINT
        right &= here | (point & ~pointed) | (char == 0)
        value = np.where(here, value * 10 + digit, value)
        scale += here & pointed
        pointed |= point
    return np.where(right, value / POWERS[scale], np.nan), right


MAX_FRACTION = 26


def json_numbers(column: Column) -> tuple[NDArray[np.float64], Mask]:
    """Numbers as JSON writes them, but for signs and exponents: with or without a fraction, NaN where the field is none. Digits
    behind the eighteenth are looked at and count for nothing.
    """
    value, scale = np.zeros(column.start.size, np.int64), np.zeros(column.start.size, np.uint8)
    count, pointed = np.zeros(column.start.size, np.uint8), np.zeros(column.start.size, bool)
    right = (column.length > 0) & (column.length <= MAX_FRACTION)
    grid = column.grid(int(np.clip(column.length.max(initial=1), 2, MAX_FRACTION)))
    for char in grid:
        digit = char - ZERO
        here, point = digit < 10, char == POINT
        kept = here & (count < MAX_DIGITS)
        right &= (here & (kept | pointed)) | (point & ~pointed) | (char == 0)
        value = np.where(kept, value * 10 + digit, value)
        count += kept
        scale += kept & pointed
        pointed |= point
    last = column.data[np.clip(column.start + column.length - 1, 0, max(column.data.size - 1, 0))]
    right &= (grid[0] != POINT) & (last != POINT)
    right &= (grid[0] != ZERO) | (column.length == 1) | (grid[1] == POINT)
    return np.where(right, value / POWERS[scale], np.nan), right


MOMENT = 31
MOMENT_MARKS = {4: b"-", 7: b"-", 10: b"T", 13: b":", 16: b":", 19: b"."}
MONTH_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
DAYS_BEFORE_EPOCH = 719_468


def moments(column: Column) -> tuple[NDArray[np.float64], Mask]:
    """Unix seconds of times like `2026-11-27T10:00:00.123456+0000`; NaN where the field is none of exactly that form."""
    right = column.length == MOMENT
    grid = column.grid(MOMENT)
    for place, mark in MOMENT_MARKS.items():
        right &= grid[place] == mark[0]
    digit = grid - ZERO

    def number(first: int, count: int) -> NDArray[np.int64]:
        nonlocal right
        value = np.zeros(column.start.size, np.int64)
        for place in range(first, first + count):
            right = right & (digit[place] < 10)
            value = value * 10 + digit[place]
        return value

    year, month, day = number(0, 4), number(5, 2), number(8, 2)
    hour, minute, second, fraction = number(11, 2), number(14, 2), number(17, 2), number(20, 6)
    east = number(27, 2) * 3600 + number(29, 2) * 60
    leap = (month == 2) & (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    right = right & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    right &= day <= MONTH_DAYS[np.minimum(month, 12)] + leap
    right &= (hour < 24) & (minute < 60) & (second < 60) & (east < 86_400) & np.isin(grid[26], (43, 45))
    east = np.where(grid[26] == 45, -east, east)
    whole = days_of(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - east
    return np.where(right, whole + fraction / 1e6, np.nan), right


def days_of(year: NDArray[np.int64], month: NDArray[np.int64], day: NDArray[np.int64]) -> NDArray[np.int64]:
    """Days since 1970: years begin in March, so that the leap day is the last."""
    year = year - (month <= 2)
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return np.asarray(era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - DAYS_BEFORE_EPOCH, np.int64)


def addresses(column: Column) -> tuple[NDArray[np.uint64], NDArray[np.uint64], Mask]:
    """High and low halves of each address, IPv4 v4-mapped; and where the field is an address."""
    low, right = _ipv4(column)
    high = np.zeros(low.size, np.uint64)
    known: dict[bytes, tuple[int, int] | None] = {}
    for row in np.flatnonzero(~right).tolist():
        text = column.text(row)
        if text not in known:
            known[text] = _ipv6(text)
        if (halves := known[text]) is not None:
            high[row], low[row] = halves
            right[row] = True
    return high, low, right


def _ipv4(column: Column) -> tuple[NDArray[np.uint64], Mask]:
    """Dotted addresses, each part at most 255 and without a leading zero."""
    number, right = dotted(column.words(), column.words(WIDTH), column.length)
    return np.where(right, number | V4_BLOCK, np.uint64(0)), right


def _ipv6(text: bytes) -> tuple[int, int] | None:
    if b":" not in text or len(text) > 45 or b"%" in text:
        return None
    try:
        number = int(IPv6Address(text.decode("ascii", "replace")))
    except ValueError:
        return None
    return number >> 64, number & (2**64 - 1)


def labels(column: Column, value_of: Callable[[bytes], int]) -> NDArray[np.int64]:
    """A number for each field by its text. `value_of` is asked once for each different text of the piece."""
    different, at, which = np.unique(_packed(column), return_index=True, return_inverse=True)
    numbers = np.array([value_of(column.text(row)) for row in at.tolist()], np.int64)
    return numbers[which.reshape(-1)] if different.size else np.zeros(0, np.int64)


def _packed(column: Column) -> NDArray[Any]:
    """The fields as keys that sort quickly: up to 8 characters are one number, longer ones fixed-width bytes."""
    width = int(min(column.length.max(initial=1), MAX_LABEL))
    if width > WIDTH:
        return np.ascontiguousarray(column.grid(width).T).view(f"S{width}").reshape(-1)
    return column.words()
