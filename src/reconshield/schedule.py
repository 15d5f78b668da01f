"""When something is due, and when it may run: rhythms, windows and blackouts. Pure; the time is always an argument.

A rhythm (`every = "24h"` or `cron = "0 2 * * *"`) cuts time into slots. A slot is known by the moment it begins at, which
every process computes alike: so two monitors that find the same slot due mean the same scan, and of slots that passed while
nobody was running only the newest is due. A window or a blackout postpones a slot, and a newer slot replaces it.

    parse_rhythm, parse_window, parse_period     text of the policy file -> values, or a UserError that says what is wrong
    Rhythm.latest / .following                   the newest slot at a moment, and the next one
    open_until                                   until when the windows and blackouts let a scan run now, or why they do not

Times without a zone are UTC. Local zones follow their clocks: a time that a change of clocks skips runs right after it, one
that comes twice runs once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from reconshield.errors import UserError

SECONDS = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
PERIOD = re.compile(r"([0-9]{1,6})\s*(s|min|m|h|d|w)", re.ASCII)
CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII)
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
NAMES = {
    "month": {
        name: n
        for n, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
    },
    "weekday": {name: n for n, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])},
}
SHORTHANDS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *"}
SEARCH_DAYS = 366 * 8 + 2
"""29 February, the rarest day, comes back within eight years."""
SHORTEST = 60.0


class Rhythm(Protocol):
    """What cuts time into slots."""

    def latest(self, at: float) -> float | None:
        """When the slot began that `at` lies in."""

    def following(self, at: float) -> float | None:
        """When the next slot begins; None for never."""


@dataclass(frozen=True, slots=True)
class Every:
    """Slots of one length, counted from the beginning of 1970; `shift` moves them, so that not all schedules begin at once."""

    seconds: float
    shift: float = 0.0

    def latest(self, at: float) -> float | None:
        return (at - self.shift) // self.seconds * self.seconds + self.shift

    def following(self, at: float) -> float | None:
        return (at - self.shift) // self.seconds * self.seconds + self.shift + self.seconds


@dataclass(frozen=True, slots=True)
class Cron:
    """The five fields of a crontab, with the zone whose clocks they mean. Sunday is 0.

    As in cron, a day must be in both day fields, or in one of them where both are restricted.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    zone: tzinfo = UTC

    def latest(self, at: float) -> float | None:
        today = datetime.fromtimestamp(at, self.zone).date()
        for back in range(SEARCH_DAYS):
            for moment in reversed(self.moments(today - timedelta(days=back))):
                if moment <= at:
                    return moment
        return None

    def following(self, at: float) -> float | None:
        today = datetime.fromtimestamp(at, self.zone).date()
        for ahead in range(SEARCH_DAYS):
            for moment in self.moments(today + timedelta(days=ahead)):
                if moment > at:
                    return moment
        return None

    def moments(self, day: date) -> list[float]:
        """The slots of a day, in order."""
        if not self.includes(day):
            return []
        clock = (time(hour, minute, tzinfo=self.zone) for hour in self.hours for minute in self.minutes)
        return sorted({datetime.combine(day, moment).timestamp() for moment in clock})

    def includes(self, day: date) -> bool:
        in_days, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and ((in_days or in_week) if self.either_day else (in_days and in_week))


@dataclass(frozen=True, slots=True)
class Window:
    """A part of each day on the clocks of a zone; it may run over midnight. `weekdays` are those it begins on (Sunday: 0)."""

    text: str
    begins: int
    ends: int
    zone: tzinfo = UTC
    weekdays: frozenset[int] = frozenset(range(7))

    def spans(self, at: float) -> Iterator[tuple[float, float]]:
        """The windows that begin the day before, this day and the next eight, as moments."""
        today = datetime.fromtimestamp(at, self.zone).date()
        for offset in range(-1, 9):
            day = today + timedelta(days=offset)
            if day.isoweekday() % 7 in self.weekdays:
                later = day + timedelta(days=self.ends <= self.begins)
                yield self.moment(day, self.begins), self.moment(later, self.ends)

    def moment(self, day: date, minutes: int) -> float:
        day, minutes = day + timedelta(days=minutes // 1440), minutes % 1440
        return datetime.combine(day, time(minutes // 60, minutes % 60, tzinfo=self.zone)).timestamp()


@dataclass(frozen=True, slots=True)
class Blackout:
    """A time in which nothing is sent: once, from a moment to another, or in a window of each week."""

    name: str
    begins: float | None = None
    ends: float | None = None
    window: Window | None = None

    def spans(self, at: float) -> Iterator[tuple[float, float]]:
        if self.begins is not None and self.ends is not None:
            yield self.begins, self.ends
        if self.window is not None:
            yield from self.window.spans(at)


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether a scan may run now. `until` is when that changes (None for never), `why` what is in the way."""

    may_run: bool
    until: float | None
    why: str | None = None


def open_until(windows: Iterable[Window], blackouts: Iterable[Blackout], at: float) -> Opening:
    """Whether windows (none means always) and blackouts let a scan run at a moment, and until when that holds."""
    windows, blackouts = tuple(windows), tuple(blackouts)
    dark = [(end, blackout) for blackout in blackouts for begin, end in blackout.spans(at) if begin <= at < end]
    if dark:
        end, blackout = max(dark, key=lambda pair: pair[0])
        return Opening(False, end, f"blackout {blackout.name}")
    spans = [span for window in windows for span in window.spans(at)]
    ends = [end for begin, end in spans if begin <= at < end]
    if windows and not ends:
        return Opening(False, min((begin for begin, _ in spans if begin > at), default=None), f"window {windows[0].text}")
    starts = [begin for blackout in blackouts for begin, _ in blackout.spans(at) if begin > at]
    limits = ([max(ends)] if ends else []) + starts
    return Opening(True, min(limits, default=None))


def parse_rhythm(*, every: str | None = None, cron: str | None = None, where: str, shift: float = 0.0) -> Rhythm:
    """The rhythm of a schedule, from the one of the two keys that is given."""
    if (every is None) == (cron is None):
        hint = 'every = "24h", or cron = "0 2 * * *"'
        raise UserError("a schedule needs either every or cron", where=where, hint=hint)
    if every is None:
        return parse_cron(cron or "", where)
    seconds = parse_period(every, where)
    if seconds < SHORTEST:
        raise UserError("a schedule cannot come round more than once a minute", where=f"{where}: {every}", hint='every = "1h"')
    return Every(seconds, shift % seconds)


def parse_period(text: str, where: str) -> float:
    """Seconds in `90s`, `15min`, `24h`, `2d`, `1w`; more than nothing."""
    match = PERIOD.fullmatch(text.strip().lower())
    if match is None or int(match[1]) == 0:
        raise UserError("this is no length of time", where=f"{where}: {text}", hint="write it as 15min, 24h, 2d or 1w")
    return int(match[1]) * SECONDS[match[2]]


def parse_window(text: str, where: str) -> Window:
    """`22:00-05:00`, with the days it begins on before it and a zone after it where they matter: `mon-fri 22:00-05:00 UTC`."""
    hint = 'window = "22:00-05:00 UTC", or "sat,sun 00:00-24:00 Europe/Berlin"'
    words = text.split()
    weekdays = frozenset(range(7))
    if words and not words[0][0].isdigit():
        weekdays = frozenset(n % 7 for n in parse_field(words.pop(0), "weekday", 0, 7, where, hint))
    begin, dash, end = words[0].partition("-") if words else ("", "", "")
    clocks = CLOCK.fullmatch(begin), CLOCK.fullmatch(end)
    if not (dash and clocks[0] and clocks[1]) or len(words) > 2:
        raise UserError("this is no window of the day", where=f"{where}: {text}", hint=hint)
    begins, ends = (int(clock[1]) * 60 + int(clock[2]) for clock in clocks if clock)
    if begins >= 1440 or ends > 1440 or begins == ends:
        raise UserError("this window has no length, or a time that no clock shows", where=f"{where}: {text}", hint=hint)
    return Window(text, begins, ends, parse_zone(words[1], where) if len(words) == 2 else UTC, weekdays)


def parse_zone(text: str, where: str) -> tzinfo:
    """`UTC`, or a zone of the IANA database."""
    if text.upper() in {"UTC", "Z"}:
        return UTC
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UserError(
            "this time zone is not known", where=f"{where}: {text}", hint="UTC, or such as Europe/Berlin"
        ) from error


def parse_cron(text: str, where: str) -> Cron:
    """Five fields and, where its clocks matter, a zone. Every mistake names its field."""
    hint = 'cron = "minute hour day month weekday", such as "0 2 * * mon-fri"'
    words = SHORTHANDS.get(text.strip().lower(), text).split()
    if len(words) not in {5, 6}:
        raise UserError(f"a cron rhythm has five fields, this has {len(words)}", where=f"{where}: {text}", hint=hint)
    zone = parse_zone(words[5], where) if len(words) == 6 else UTC
    sets = [parse_field(word, *field, f"{where}: {text}", hint) for word, field in zip(words, FIELDS, strict=False)]
    minutes, hours, days, months, weekdays = sets
    either = words[2][0] != "*" and words[4][0] != "*"
    found = Cron(
        text, tuple(sorted(minutes)), tuple(sorted(hours)), days, months, frozenset(n % 7 for n in weekdays), either, zone
    )
    if found.following(0.0) is None:
        raise UserError("this rhythm never comes", where=f"{where}: {text}", hint=hint)
    return found


def parse_field(word: str, name: str, low: int, high: int, where: str, hint: str) -> frozenset[int]:
    """One field: `*`, `5`, `1-5`, `*/15`, `mon-fri`, and lists of these."""
    found: set[int] = set()
    for part in word.lower().split(","):
        span, slash, step_text = part.partition("/")
        first_text, dash, last_text = span.partition("-")
        step = int(step_text) if step_text.isdecimal() else 0 if slash else 1
        first = low if span == "*" else read_number(first_text, name)
        last = read_number(last_text, name) if dash else high if span == "*" or slash else first
        if first is None or last is None or step < 1 or not low <= first <= last <= high:
            raise UserError(f"the {name} cannot be {part!r} ({low} to {high})", where=where, hint=hint)
        found.update(range(first, last + 1, step))
    return frozenset(found)


def read_number(text: str, name: str) -> int | None:
    if text.isdecimal() and text.isascii() and len(text) <= 2:
        return int(text)
    return NAMES.get(name, {}).get(text)
