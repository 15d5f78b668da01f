"""Where detections go, and in which format: the terminal, lines for programs, a page, or what others take in.

`--format` names what is read; `--as` names what is written, for `detect run` has both.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconshield.cli.console import Invocation
from reconshield.errors import UserError

if TYPE_CHECKING:
    from reconshield.detection import Detection
    from reconshield.jobs.detect import Detected, Input
    from reconshield.jobs.indicators import FeedRead
    from reconshield.report.detected import DetectionReport
    from reconshield.report.rows import Row

FORMATS = ("table", "jsonl", "html", "stix", "ocsf", "ecs", "cef", "misp")
LINES = ("table", "jsonl", "ocsf", "ecs", "cef")
"""Formats of which a part is whole: what is followed can be written as it comes."""
PICTURED = 50
"""Detections that a page shows in full."""
SHOWN = 20
"""Detections in the terminal; all of them with --all or in any other format."""


def check_as(name: str, *, as_json: bool, follow: bool, output: Path | None) -> str:
    """The format that is written, or an error that says what can be."""
    if as_json and name not in {"table", "jsonl"}:
        raise UserError("--json is --as jsonl", where=f"--json --as {name}", hint="give one of both")
    chosen = "jsonl" if as_json else name
    if chosen not in FORMATS:
        raise UserError(f"unknown format {chosen!r}", where=f"--as {chosen}", hint=f"--as one of {', '.join(FORMATS)}")
    if follow and chosen not in LINES:
        raise UserError(f"{chosen} needs the whole log", where="--follow", hint=f"--as one of {', '.join(LINES)}")
    if follow and output is not None:
        raise UserError("what is followed has no end, so no whole file", where="-o", hint="write to a pipe: … --follow >> FILE")
    return chosen


@dataclass(frozen=True, slots=True)
class Place:
    """The format and the file of a result; standard output without one."""

    call: Invocation
    format: str
    output: Path | None = None

    @property
    def pictured(self) -> int:
        """How many of the worst detections need a picture."""
        return PICTURED if self.format == "html" else 0

    def tell_input(self, read: Input) -> None:
        from reconshield.report.detections import input_line

        line = input_line(str(read.path), read.format, read.records, read.bad, names=read.names, listeners=read.listeners)
        self._tell(lambda: {**line, **({"notes": read.notes} if read.notes else {})}, lambda: input_summary(read))

    def tell_feed(self, read: FeedRead) -> None:
        from reconshield.report.detections import feed_line

        line = feed_line(str(read.path), read.format, read.used, read.expired, read.unused, read.bad)
        self._tell(lambda: dict(line), lambda: feed_summary(read))

    def _tell(self, line: Callable[[], dict[str, Any]], text: Callable[[], str]) -> None:
        """What was read, as soon as it was: a part of the result in tables and lines, else a remark."""
        from reconshield.text import json_text

        if self.output is not None or self.format not in {"table", "jsonl"}:
            self.call.tell(text())
        else:
            self.call.print(json_text(line()) if self.format == "jsonl" else text())

    def write(self, found: Detected, feeds: Iterable[FeedRead], policy: str, now: float, *, everything: bool) -> None:
        """The whole result."""
        from reconshield.cli.output import whole_file

        if self.format == "table" and self.output is None:
            print_detections(self.call, found, everything=everything)
            return
        from reconshield.jobs.detect_report import make_report

        pieces = render(make_report(found, feeds, policy, now), self.format, with_inputs=self.output is not None)
        if self.output is None:
            sys.stdout.writelines(pieces)
            return
        with whole_file(self.output) as stream:
            stream.writelines(pieces)
        self.call.tell(f"report   {self.output}")

    def write_one(self, found: Detection) -> None:
        """One detection as it arises."""
        from reconshield.cli.runs import print_rows, width_of_terminal
        from reconshield.report.detections import detection_rows

        if self.format == "table":
            print_rows(self.call, detection_rows([found], width_of_terminal(), ascii_=self.call.ascii))
        else:
            from reconshield.jobs.detect_report import report_one

            sys.stdout.writelines(render(report_one(found, time.time()), self.format))
        sys.stdout.flush()


def render(report: DetectionReport, format_: str, *, with_inputs: bool = False) -> Iterable[str]:
    """The text of a report in pieces. Each format is loaded when it is asked for."""
    if format_ == "html":
        from reconshield.report.html import detections_text as text
    elif format_ == "stix":
        from reconshield.report.stix import stix_text as text
    elif format_ == "ocsf":
        from reconshield.report.ocsf import ocsf_text as text
    elif format_ == "ecs":
        from reconshield.report.ecs import ecs_text as text
    elif format_ == "cef":
        from reconshield.report.cef import cef_text as text
    elif format_ == "misp":
        from reconshield.report.misp import misp_text as text
    else:
        return table_text(report) if format_ == "table" else lines_text(report, with_inputs=with_inputs)
    return text(report)


def lines_text(report: DetectionReport, *, with_inputs: bool) -> Iterator[str]:
    """JSON Lines; with what was read where that was not printed before."""
    from reconshield.report.detections import detection_line, feed_line, input_line
    from reconshield.text import json_text

    if with_inputs:
        for feed in report.feeds:
            yield json_text(feed_line(feed.file, feed.format, feed.used, feed.expired, feed.unused, feed.bad)) + "\n"
        for read in report.inputs:
            line = input_line(read.file, read.format, read.records, read.bad, names=read.names, listeners=read.listeners)
            yield json_text({**line, **({"notes": list(read.notes)} if read.notes else {})}) + "\n"
    for detection in (*report.detections, *report.own):
        yield json_text(detection_line(detection)) + "\n"
    for detection in report.allowed:
        yield json_text(detection_line(detection, allowed=True)) + "\n"


def table_text(report: DetectionReport) -> Iterator[str]:
    """The table in a file: every detection, 120 columns, no colour."""
    from reconshield.report.detected import conclusion_text
    from reconshield.report.rows import plain

    for row in all_rows(report.detections, report.own, report.allowed, 120):
        yield plain(row).rstrip() + "\n"
    yield conclusion_text(report) + "\n"


def all_rows(
    detections: tuple[Detection, ...],
    own: tuple[Detection, ...],
    allowed: tuple[Detection, ...],
    width: int,
    *,
    ascii_: bool = False,
) -> Iterator[Row]:
    from reconshield.report.detections import brief_rows, detection_rows

    yield from detection_rows(detections, width, ascii_=ascii_)
    if detections:
        yield []
    yield from brief_rows("own scan", own, width)
    yield from brief_rows("allowed", allowed, width)


def print_detections(call: Invocation, found: Detected, *, everything: bool) -> None:
    from reconshield.cli.runs import print_rows, width_of_terminal
    from reconshield.jobs.detect import conclusion

    matches = found.matches
    shown = matches.detections if everything else matches.detections[:SHOWN]
    print_rows(call, all_rows(shown, matches.own[:SHOWN], matches.allowed[:SHOWN], width_of_terminal(), ascii_=call.ascii))
    call.print(conclusion(found))
    if len(shown) < len(matches.detections):
        call.suggest("reconshield detect run --all …   every detection")


def input_summary(read: Input) -> str:
    from reconshield.report.detections import input_text

    faults = tuple(read.faults)
    text = input_text(read.format, read.records, faults, read.bad, names=read.names, listeners=read.listeners)
    return "\n  ".join([f"{read.path}  {text}", *read.notes])


def feed_summary(read: FeedRead) -> str:
    from reconshield.report.detections import feed_text

    return f"{read.path}  {feed_text(read.format, read.used, read.expired, read.unused, read.bad, tuple(read.faults))}"
