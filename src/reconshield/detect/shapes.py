"""JSON Lines read by columns: a sensor writes its objects in few shapes, which differ only in their values.

A shape is what a line consists of: literals (keys, brackets, words like `true`), and values between them, found by counting
quotes. A line of plain characters, of which every literal is where the shape has it and every number is digits, is valid JSON
of that shape and is read without parsing it. Everything else - another shape, an escape in a string, a number with a sign - is
left to who reads line by line, so nothing is guessed.

    lines = Lines(piece); shapes.take(lines) -> what `read` makes of the lines of each shape; the shapes are found on the way
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from reconshield.detect.columns import Column, integers, json_numbers
from reconshield.detect.pieces import Piece
from reconshield.detect.words import WIDTH, words_at

Array = NDArray[Any]
Mask = NDArray[np.bool_]
Path = tuple[str | int, ...]
Made = TypeVar("Made")

FEED, BLANK, QUOTE, ESCAPE, NOT_ASCII = 10, 32, 34, 92, 128
ZERO = 48
TOKEN = re.compile(
    rb'"(?P<text>[^"\\]*)"|(?P<number>(?:0|[1-9]\d*)(?P<part>\.\d+)?)(?![.\deE])|(?P<word>true|false|null)'
    rb"|(?P<mark>[{}\[\],:])|[ \t\r]+"
)
WORDS = {b"true": True, b"false": False, b"null": None}
LINE_BEGIN = -1
MOST_MARKS = 1000


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a line: `offset` octets after (or before) a mark, which is a quote or the line feed, or the line's begin."""

    mark: int
    offset: int


@dataclass(frozen=True, slots=True)
class Literal:
    """Octets that stand in every line of the shape."""

    at: Spot
    text: bytes


@dataclass(frozen=True, slots=True)
class Shape:
    """`marks` counts quotes and the line feed; `texts`, `numbers` and `decimals` (those that had a fraction when the shape was
    met first) have begin and end of each value by its path, `words` what is constant.
    """

    marks: int
    literals: tuple[Literal, ...]
    texts: Mapping[Path, tuple[Spot, Spot]]
    numbers: Mapping[Path, tuple[Spot, Spot]]
    decimals: Mapping[Path, tuple[Spot, Spot]]
    words: Mapping[Path, object]


class Lines:
    """The lines of a piece with their marks."""

    def __init__(self, piece: Piece) -> None:
        self.first = piece.first
        self.text = piece.data
        self.data = np.frombuffer(piece.data, np.uint8)
        is_feed = self.data == FEED
        self._marks = np.flatnonzero(is_feed | (self.data == QUOTE))
        last = np.flatnonzero(is_feed[self._marks])
        feeds = self._marks[last]
        self.begin = np.concatenate([[0], feeds[:-1] + 1])
        self.end = feeds
        self._first = np.concatenate([[0], last[:-1] + 1])
        self._count = last - self._first + 1
        self.plain = np.ones(feeds.size, bool)
        if not piece.data.isascii() or b"\\" in piece.data or np.count_nonzero(self.data < BLANK) != feeds.size:
            odd = (self.data == ESCAPE) | ((self.data < BLANK) & ~is_feed) | (self.data >= NOT_ASCII)
            self.plain[np.searchsorted(feeds, np.flatnonzero(odd))] = False

    @property
    def count(self) -> int:
        return self.begin.size

    def line(self, number: int) -> bytes:
        return self.text[int(self.begin[number]) : int(self.end[number])]

    def of_shape(self, shape: Shape, among: Mask) -> Found:
        """Those of the lines that have a shape."""
        lines = np.flatnonzero(among & self.plain & (self._count == shape.marks))
        for literal in shape.literals:
            if not lines.size:
                break
            lines = lines[self._stands(literal, lines)]
        found = Found(self, shape, lines, {}, {})
        right = np.ones(lines.size, bool)
        for path, ends in shape.numbers.items():
            column = found.between(ends)
            found.numbers[path], fine = integers(column)
            right &= fine & ((column.length == 1) | (self.data[column.start] != ZERO))
        for path, ends in shape.decimals.items():
            found.decimals[path], fine = json_numbers(found.between(ends))
            right &= fine
        return found if right.all() else found.only(right)

    def spots(self, spot: Spot, lines: Array) -> Array:
        if spot.mark == LINE_BEGIN:
            return np.asarray(self.begin[lines] + spot.offset)
        return np.asarray(self._marks[self._first[lines] + spot.mark] + spot.offset)

    def _stands(self, literal: Literal, lines: Array) -> Mask:
        """In which lines a literal is in its place: eight octets at a time."""
        at, text = self.spots(literal.at, lines), literal.text
        right = at + len(text) <= self.end[lines] + 1
        if len(text) < WIDTH:
            mask = np.uint64((1 << 8 * len(text)) - 1)
            return np.asarray(right & (words_at(self.data, at) & mask == np.uint64(int.from_bytes(text, "little"))), bool)
        for begin in (*range(0, len(text) - WIDTH, WIDTH), len(text) - WIDTH):
            wanted = np.uint64(int.from_bytes(text[begin : begin + WIDTH], "little"))
            right &= words_at(self.data, at + begin) == wanted
        return np.asarray(right, bool)


@dataclass(frozen=True, slots=True)
class Found:
    """Lines of one shape: `lines` are their places in the piece, `numbers` and `decimals` the values of all that are such."""

    source: Lines
    shape: Shape
    lines: Array
    numbers: dict[Path, NDArray[np.int64]]
    decimals: dict[Path, NDArray[np.float64]]

    def text(self, path: Path) -> Column:
        return self.between(self.shape.texts[path])

    def between(self, ends: tuple[Spot, Spot]) -> Column:
        begin, end = (self.source.spots(spot, self.lines) for spot in ends)
        return Column(self.source.data, begin, end - begin)

    def only(self, right: Mask) -> Found:
        numbers = {path: values[right] for path, values in self.numbers.items()}
        decimals = {path: values[right] for path, values in self.decimals.items()}
        return Found(self.source, self.shape, self.lines[right], numbers, decimals)


class Maker:
    """Takes a line of valid JSON apart."""

    def __init__(self, fixed: Set[Path]) -> None:
        self._fixed = fixed
        self._stack: list[list[Any]] = []
        self._literals: list[Literal] = []
        self._texts: dict[Path, tuple[Spot, Spot]] = {}
        self._numbers: dict[Path, tuple[Spot, Spot]] = {}
        self._decimals: dict[Path, tuple[Spot, Spot]] = {}
        self._seen: set[Path] = set()
        self._words: dict[Path, object] = {}
        self._from, self._anchor, self._quotes = 0, Spot(LINE_BEGIN, 0), 0
        self._open: tuple[dict[Path, tuple[Spot, Spot]], Path, Spot, int] | None = None

    def make(self, line: bytes) -> Shape | None:
        data, place = line + b"\n", 0
        while place < len(line):
            token = TOKEN.match(data, place)
            if token is None or not self._take(data, token):
                return None
            place = token.end()
        self._meet_mark(len(line))
        self._literals.append(Literal(self._anchor, data[self._from :]))
        if self._stack or self._quotes + 1 > MOST_MARKS:
            return None
        return Shape(self._quotes + 1, tuple(self._literals), self._texts, self._numbers, self._decimals, self._words)

    def _take(self, data: bytes, token: re.Match[bytes]) -> bool:
        kind = "number" if token["number"] else token.lastgroup
        start = token.start()
        if kind is None:
            return True
        if kind == "text":
            self._meet_mark(start)
            self._quotes += 2
            if self._stack and self._stack[-1][2]:
                self._stack[-1][1:] = token["text"].decode(), False
                return True
        if kind != "mark" or token[0] in b"{[":
            path = self._path()
            if path in self._seen:
                return False
            self._seen.add(path)
            if kind == "text":
                self._text(data, path, token)
            elif kind == "word":
                self._words[path] = WORDS[token[0]]
            elif kind == "number":
                return self._number(data, path, token)
        if kind == "mark":
            self._bracket(token[0])
        return True

    def _text(self, data: bytes, path: Path, token: re.Match[bytes]) -> None:
        if path in self._fixed:
            self._words[path] = token["text"].decode()
            return
        end = Spot(self._quotes - 1, 0)
        self._literals.append(Literal(self._anchor, data[self._from : token.start() + 1]))
        self._texts[path] = Spot(self._quotes - 2, 1), end
        self._from, self._anchor = token.end() - 1, end

    def _number(self, data: bytes, path: Path, token: re.Match[bytes]) -> bool:
        if self._open is not None:  # two numbers without a quote between them: the end of the first is not known
            return False
        begin = Spot(self._anchor.mark, self._anchor.offset + token.start() - self._from)
        self._literals.append(Literal(self._anchor, data[self._from : token.start()]))
        self._open = self._decimals if token["part"] else self._numbers, path, begin, token.end()
        return True

    def _meet_mark(self, at: int) -> None:
        """A quote or the end of the line: now it is known where the number before it ends."""
        if self._open is not None:
            values, path, begin, end = self._open
            finish = Spot(self._quotes, end - at)
            values[path] = begin, finish
            self._from, self._anchor, self._open = end, finish, None

    def _path(self) -> Path:
        return tuple(level[1] for level in self._stack)

    def _bracket(self, mark: bytes) -> None:
        """Keep account of where we are: a level is its bracket, the key or index, and whether a key comes next."""
        if mark in b"{[":
            self._stack.append(["{", "", True] if mark == b"{" else ["[", 0, False])
        elif mark in b"}]":
            if self._stack:
                self._stack.pop()
        elif mark == b"," and self._stack:
            level = self._stack[-1]
            level[1:] = (level[1] + 1, False) if level[0] == "[" else ("", True)


def make_shape(line: bytes, fixed: Set[Path] = frozenset()) -> Shape | None:
    """The shape of a line without its line feed. The texts of the paths in `fixed` belong to it. None for what is no JSON, and
    for a line with escapes, signs, exponents, a key that comes twice, or two numbers without a quote between them.
    """
    try:
        orjson.loads(line)
    except ValueError:
        return None
    return Maker(fixed).make(line) if line.isascii() else None


MOST_SHAPES = 64
MOST_TRIES = 20
"""Lines of a piece that are taken apart in search of a shape."""


@dataclass(slots=True)
class Shapes(Generic[Made]):
    """The shapes that a file's lines have: those with `marker` in them that `fits` agrees to. `read` makes something of lines
    of one shape, and says which it could use.
    """

    marker: bytes
    fits: Callable[[Shape], bool]
    read: Callable[[Found], tuple[Made, Mask]]
    fixed: Set[Path] = frozenset()
    met: list[Shape] = field(default_factory=list)

    def take(self, lines: Lines) -> Iterator[tuple[Made, Array]]:
        """What was made, and the places of the lines that it was made of."""
        left = np.ones(lines.count, bool)
        for shape in self.met:
            yield from self._take(lines, shape, left)
        seen = tries = 0
        while len(self.met) < MOST_SHAPES and tries < MOST_TRIES:
            if (number := self._next(lines, left, seen)) is None:
                break
            seen, tries = number + 1, tries + 1
            fresh = make_shape(lines.line(number), self.fixed)
            if fresh is not None and fresh not in self.met and self.fits(fresh):
                self.met.append(fresh)
                yield from self._take(lines, fresh, left)

    def _take(self, lines: Lines, shape: Shape, left: Mask) -> Iterator[tuple[Made, Array]]:
        found = lines.of_shape(shape, left)
        if found.lines.size:
            made, right = self.read(found)
            used = found.lines[right]
            left[used] = False
            yield made, used

    def _next(self, lines: Lines, left: Mask, seen: int) -> int | None:
        """The next line that is left and has the marker."""
        for number in np.flatnonzero(left[seen:] & lines.plain[seen:]).tolist():
            if self.marker in lines.line(seen + number):
                return int(seen + number)
        return None
