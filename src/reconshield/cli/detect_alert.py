"""`detect run --alert`: what the command line adds to the job: the database, and one line that says what was told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconshield.cli.console import Invocation
from reconshield.cli.runs import open_database
from reconshield.errors import UserError

if TYPE_CHECKING:
    from reconshield.detect.fallen_silent import Watched
    from reconshield.detection import Detection
    from reconshield.jobs.detect import Detected
    from reconshield.jobs.detect_alerts import Alarm, Told
    from reconshield.policy import Policy

LEAST = ("low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Bell:
    """Raises alerts, or none where nobody asked for them."""

    call: Invocation
    alarm: Alarm | None = None

    def watched(self) -> list[Watched]:
        return self.alarm.watched() if self.alarm else []

    def ring(self, found: Detected) -> None:
        """The alerts of a whole run."""
        if self.alarm:
            matches = found.matches
            told = self.alarm.raise_all(matches.detections, matches.allowed, found.silent, time.time())
            self.call.tell(told_text(told))
            if told.opened and self.alarm.tells_nobody:
                self.call.tell('no [[route]] of the policy takes detections; they stand in "reconshield alert list"')

    def ring_one(self, found: Detection) -> None:
        """The alert of a detection in a log that is followed; said only when it is told."""
        if self.alarm:
            told = self.alarm.raise_all([found], (), frozenset(), time.time())
            if told.opened or told.changed or told.ended:
                self.call.tell(told_text(told))


@contextmanager
def open_bell(call: Invocation, policy: Policy | None, *, wanted: bool, least: str) -> Iterator[Bell]:
    """A bell that holds the database open while flows are read. Mistakes in channels are found before that."""
    if least not in LEAST:
        raise UserError(f"there is no rating {least!r}", where=f"--alert-from {least}", hint=f"one of {', '.join(LEAST)}")
    if not wanted:
        yield Bell(call)
        return
    from reconshield.jobs.detect_alerts import Alarm
    from reconshield.model import Severity

    with open_database(call, create=True) as store:
        yield Bell(call, Alarm(store, policy, Severity(least)))


def told_text(told: Told) -> str:
    """`alerts   1 new, 0 changed, 2 over; 1 sent, 0 waiting`."""
    sent = told.delivered
    refused = sent.failed + sent.dead
    failed = f", {refused} not accepted (reconshield alert list --undelivered)" if refused else ""
    counts = f"{told.opened} new, {told.changed} changed, {told.ended} over"
    return f"alerts   {counts}; {sent.sent} sent, {told.waiting} waiting{failed}"
