"""Where detections go, and in which format: the terminal, lines for programs, a page, or what others take in.

`--format` names what is read; `--as` names what is written, for `detect run` has both.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconshield.cli.console import Invocation
from reconshield.errors import UserError
from reconshield.report.detection_formats import FORMATS, LINES

if TYPE_CHECKING:
    from reconshield.detection import Detection
    from reconshield.jobs.detect import Detected, Input
    from reconshield.jobs.indicators import FeedRead

SHOWN = 20
"""Detections in the terminal; all of them with --all or in any other format."""
FEW_LOW = 5
"""More detections of Low than this are summed up by port."""


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
        from reconshield.report.detected import PICTURED

        return PICTURED if self.format == "html" else 0

    def tell_input(self, read: Input) -> None:
        from reconshield.report.detections import input_line

        more = {"names": read.names, "listeners": read.listeners}
        line = input_line(str(read.path), read.format, read.records, read.bad, notes=read.notes, **more)
        self._tell(lambda: dict(line), lambda: input_summary(read))

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
        from reconshield.report.detection_formats import render

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
            from reconshield.report.detection_formats import render

            sys.stdout.writelines(render(report_one(found, time.time()), self.format))
        sys.stdout.flush()


def print_detections(call: Invocation, found: Detected, *, everything: bool) -> None:
    from reconshield.cli.runs import print_rows, width_of_terminal
    from reconshield.jobs.detect import conclusion
    from reconshield.report.detections import all_rows

    matches = found.matches
    low = [each for each in matches.detections if each.grade.rating == "low"]
    summed = low if len(low) > FEW_LOW and not everything else []
    listed = [each for each in matches.detections if not summed or each.grade.rating != "low"]
    shown = listed if everything else listed[:SHOWN]
    own, allowed = matches.own[:SHOWN], matches.allowed[:SHOWN]
    print_rows(call, all_rows(shown, own, allowed, width_of_terminal(), ascii_=call.ascii, summed=summed))
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
