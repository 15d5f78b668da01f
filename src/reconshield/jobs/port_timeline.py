"""What was known of an endpoint over the last month: open, not open, or not measured. Pure.

A measurement is a moment. It counts until the next one, but not for longer than the freshness target: after that nobody knows.
Where an endpoint turned, the times between which it did are told beside the pieces, as a window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from reconshield.model import Endpoint
from reconshield.store.exposures import Exposure

DAYS = 30
MONTH = DAYS * 86_400.0
Known = Literal["open", "not-open", "not-measured"]
UNKNOWN: Known = "not-measured"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time, in Unix seconds, and what was known in it."""

    begin: float
    end: float
    known: Known


@dataclass(frozen=True, slots=True)
class Window:
    """When an endpoint turned: it was last seen otherwise at `after` (None: nobody had looked), and first so at `by`."""

    kind: Literal["opened", "closed"]
    after: float | None
    by: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """One endpoint from one vantage over the last 30 days."""

    endpoint: Endpoint
    vantage: str
    pieces: tuple[Piece, ...]
    windows: tuple[Window, ...]


def draw(
    endpoint: Endpoint, vantage: str, intervals: Sequence[Exposure], measured: Iterable[float], hold: float, now: float
) -> Timeline:
    """The timeline of an endpoint: its intervals, when it was measured, and for how long a measurement holds."""
    begin = now - MONTH
    known = sorted(at for at in {*measured, *moments_of(intervals)} if begin - hold < at <= now)
    windows = tuple(window for window in windows_of(intervals) if window.by >= begin)
    return Timeline(endpoint, vantage, tuple(pieces_of(intervals, known, hold, begin, now)), windows)


def moments_of(intervals: Iterable[Exposure]) -> Iterator[float]:
    """Times at which an endpoint was measured, as its intervals tell; the runs may be gone."""
    for interval in intervals:
        yield from (
            at for at in (interval.shut_before, interval.opened, interval.open_until, interval.closed) if at is not None
        )


def pieces_of(intervals: Iterable[Exposure], known: Iterable[float], hold: float, begin: float, now: float) -> Iterator[Piece]:
    """The pieces from `begin` to `now`, no two neighbours of which are alike."""
    opened = [(interval.opened, inf if interval.closed is None else interval.closed) for interval in intervals]
    since, until, state = begin, begin, UNKNOWN  # the piece that is being drawn, and to when what is known holds
    for at in known:
        if at > until and state != UNKNOWN:
            yield Piece(since, until, state)
            since, state = until, UNKNOWN
        found: Known = "not-open"
        for first, last in opened:
            if first <= at < last:
                found = "open"
        if found != state:
            if at > since:
                yield Piece(since, at, state)
                since = at
            state = found
        until = at + hold
    if until < now and state != UNKNOWN:
        yield Piece(since, until, state)
        since, state = until, UNKNOWN
    if now > since:
        yield Piece(since, now, state)


def windows_of(intervals: Iterable[Exposure]) -> Iterator[Window]:
    for interval in intervals:
        yield Window("opened", interval.shut_before, interval.opened)
        if interval.closed is not None:
            yield Window("closed", interval.open_until, interval.closed)
