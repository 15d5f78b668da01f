"""Times as logs write them for people: without a zone, and those of syslog even without a year.

Times without a zone are local times of the machine that reads. A time without a year gets the latest year in which it is not
after the file's last change; that is a guess, and a reader says so with a `Note`.
"""

from __future__ import annotations

from calendar import isleap
from datetime import datetime
from functools import lru_cache

NOT_A_TIME = float("nan")
DAY = 86_400.0
BACK = 30 * DAY
MONTHS = {
    name: number
    for number, name in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)
}
ZONELESS = "times have no zone: they are read as local times of this machine"


@lru_cache(16_384)
def local_minute(year: int, month: int, day: int, hour: int, minute: int) -> float:
    """Unix seconds of a minute of local time. ValueError where there is no such minute."""
    try:
        return datetime(year, month, day, hour, minute).astimezone().timestamp()
    except (OverflowError, OSError) as error:
        raise ValueError(str(error)) from error


def read_local(day: str, clock: str) -> float:
    """`2026-11-27` and `10:11:12` (or `10:11:12.5`), local. ValueError for anything else."""
    year, month, number = map(int, day.split("-"))
    hour, minute, second = clock.split(":")
    return local_minute(year, month, number, int(hour), int(minute)) + read_second(second)


@lru_cache(65_536)
def read_iso(text: str) -> float:
    """An ISO 8601 time, with or without a zone. ValueError for anything else."""
    try:
        return datetime.fromisoformat(text.replace(",", ".")).timestamp()
    except (OverflowError, OSError) as error:
        raise ValueError(str(error)) from error


def read_second(text: str) -> float:
    """The seconds of a clock, up to a leap second's."""
    value = float(text)
    if not 0 <= value < 61:
        raise ValueError(text)
    return value


class Yearless:
    """Gives a year to times without one. `changed` is when the file was last changed; without it nothing can be said."""

    def __init__(self, changed: float | None) -> None:
        self._upto = None if changed is None else changed + DAY
        self._latest = NOT_A_TIME
        self.used = False
        self.years: set[int] = set()
        self.back_at: int | None = None
        """The first line whose time is a month before an earlier line's: the log may cover more than a year."""

    def read(self, month: int, day: int, clock: str, line: int) -> float:
        """Unix seconds, NaN where nothing tells the year. ValueError for what is no time."""
        hour, minute, second = clock.split(":")
        if self._upto is None:
            latest(4e9, month, day, int(hour), int(minute))
            self.used = True
            return NOT_A_TIME
        found, year = latest(self._upto, month, day, int(hour), int(minute))
        found += read_second(second)
        self.used = True
        if found < self._latest - BACK and self.back_at is None:
            self.back_at = line
        self._latest = found if not found < self._latest else self._latest
        self.years.add(year)
        return found

    def remarks(self) -> list[str]:
        """What must be said of the years."""
        if not self.used:
            return []
        if self._upto is None:
            return ["times have no year and are not known"]
        span = "-".join(map(str, sorted({min(self.years), max(self.years)})))
        said = [f"times have no year: guessed from when the file was last changed ({span})"]
        if self.back_at is not None:
            said.append(f"line {self.back_at}: times go back by more than 30 days; years before it may be wrong")
        return said


@lru_cache(16_384)
def latest(upto: float, month: int, day: int, hour: int, minute: int) -> tuple[float, int]:
    """The latest such minute that is not after `upto`, and its year. ValueError where there is no such minute."""
    this = datetime.fromtimestamp(upto).astimezone().year
    for year in range(this, this - 9, -1):
        if month == 2 and day == 29 and not isleap(year):
            continue
        found = local_minute(year, month, day, hour, minute)
        if found <= upto:
            return found, year
    raise ValueError("no such day")
