"""Read files of indicators for `detect run`: what is used, what has expired, what could not be used and why."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconshield.detect.feeds import read_feed
from reconshield.detect.feeds.record import Record
from reconshield.detect.flows import Bad
from reconshield.detect.indicators import Indicator, Indicators, parse_indicator
from reconshield.errors import UserError
from reconshield.jobs.detect import explained
from reconshield.text import printable

MOST_BYTES = 64 * 1024 * 1024
MOST_INDICATORS = 500_000
FAULTS_SHOWN = 3


@dataclass(slots=True)
class FeedRead:
    """A file of indicators that was read. `unused` were given for information, or are nothing that flows show."""

    path: Path
    format: str = ""
    used: int = 0
    expired: int = 0
    unused: int = 0
    bad: int = 0
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        self.bad += 1
        if len(self.faults) < FAULTS_SHOWN:
            self.faults.append(printable(text, 120))


def read_indicators(paths: Iterable[Path], now: float) -> tuple[tuple[FeedRead, ...], Indicators]:
    """All files together. One in which nothing can be understood is a `UserError`."""
    feeds, known = [], list[Indicator]()
    for path in paths:
        feed = FeedRead(path)
        known += read_file(feed, now, MOST_INDICATORS - len(known))
        feeds.append(feed)
        if not (feed.used or feed.expired or feed.unused):
            what = feed.faults[0] if feed.faults else "there is no indicator in it"
            raise UserError(f"no indicator could be read: {what}", where=str(path), hint="docs/detection.md lists the formats")
    return tuple(feeds), Indicators(known)


def read_file(feed: FeedRead, now: float, room: int) -> list[Indicator]:
    found: list[Indicator] = []
    try:
        feed.format, records = read_feed(read_text(feed.path))
    except ValueError as error:
        raise UserError(str(error), where=str(feed.path), hint="docs/detection.md lists the formats") from error
    for record in records:
        if isinstance(record, Bad):
            feed.fault(f"{record.where}: {record.why}")
        elif record.unused:
            feed.unused += 1
        elif record.expires is not None and record.expires <= now:
            feed.expired += 1
        elif len(found) >= room:
            feed.fault(f"{record.where}: more than {MOST_INDICATORS:,} indicators are not used")
        else:
            take_record(feed, record, found)
    feed.used = len(found)
    return found


def take_record(feed: FeedRead, record: Record, found: list[Indicator]) -> None:
    try:
        meant = indicator_of(record)
    except ValueError as error:
        feed.fault(f"{record.where}: {error}")
        return
    label = printable(record.label, 80)
    source = printable(f"{feed.path.name}, {record.where}", 120)
    found.append(replace(meant, label=label, source=source, expires=record.expires))


def indicator_of(record: Record) -> Indicator:
    if record.kind and record.kind != "domain":
        return Indicator(record.kind, record.value)
    meant = parse_indicator(record.value)
    if record.port and meant.kind != "address":
        raise ValueError("a name with a port is not compared")
    return replace(meant, port=record.port, transport=record.transport) if record.port else meant


def read_text(path: Path) -> str:
    with explained(path):
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError("this is no regular file", where=str(path), hint="give a file of indicators")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise UserError("the file of indicators is larger than 64 MB", where=str(path), hint="split it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("the file of indicators is no text in UTF-8", where=str(path), hint="is it the right file?") from error
