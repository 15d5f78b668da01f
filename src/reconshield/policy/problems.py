"""What is wrong with a policy file, by line: errors, for which nobody uses it, and what a reader should look at.

An *error* is a file that does not say what is meant: an unknown zone, a typo in cron, a blank reason. A *warning* is one that
says what nobody wants any more: an exception that has expired, an expectation that an assertion overrules. A *note* is a date
to come, or a name that nobody has seen yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from reconshield.errors import UserError
from reconshield.policy.known import Known, suggest
from reconshield.policy.policy import Policy
from reconshield.policy.records import ALL_PORTS, WAN, Acceptance, Closure, Expectation, Suppression, Traffic

Level = Literal["error", "warning", "note"]
SOON_DAYS = 30
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Problem:
    """`where` is `reconshield.toml:14 expect[2].on`; `hint` is what to do next."""

    level: Level
    file: str
    line: int
    what: str
    message: str
    hint: str = ""

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}" + (f" {self.what}" if self.what else "")


def refuse_errors(problems: Iterable[Problem]) -> None:
    """Raise a UserError for the first error; the others are counted."""
    errors = [problem for problem in problems if problem.level == "error"]
    if not errors:
        return
    first, more = errors[0], len(errors) - 1
    message = first.message + (f" (and {more} more: reconshield policy check)" if more else "")
    raise UserError(message, where=first.where, hint=first.hint or "reconshield policy check")


def review_policy(policy: Policy, known: Known, now: float) -> list[Problem]:
    """Warnings and notes of a policy that can be used, by line."""
    found = [
        *review_dates(policy, now),
        *review_contradictions(policy),
        *review_vantages(policy, known),
        *review_schedules(policy, now),
        *review_channels(policy),
    ]
    return sorted(found, key=lambda problem: (problem.line, problem.what))


def review_dates(policy: Policy, now: float) -> Iterator[Problem]:
    """What has expired, and what soon will."""
    dated: tuple[tuple[str, tuple[Expectation | Acceptance | Traffic | Suppression, ...]], ...] = (
        ("expect", policy.expects),
        ("accept", policy.accepts),
        ("traffic", policy.traffic),
        ("suppress", policy.suppressions),
    )
    for table, entries in dated:
        for number, entry in enumerate(entries, 1):
            if entry.ends is None:
                continue
            days = int(abs(entry.ends - now) // DAY)
            day = f"{datetime.fromtimestamp(entry.ends - 1, UTC):%Y-%m-%d}"
            what = f"{table}[{number}].expires"
            if entry.ends <= now:
                hint = "renew it with a new date, or remove it"
                yield Problem("warning", policy.file, entry.line, what, f"expired on {day}, {ago(days)}", hint)
            elif entry.ends - now <= SOON_DAYS * DAY:
                hint = f"ask {entry.owner or 'its owner'} whether it is still needed"
                yield Problem("note", policy.file, entry.line, what, f"expires on {day}, in {days} days", hint)


def ago(days: int) -> str:
    return "today" if days == 0 else "1 day ago" if days == 1 else f"{days} days ago"


def review_contradictions(policy: Policy) -> Iterator[Problem]:
    """An expectation that lies wholly under an assertion can never be met."""
    for number, expected in enumerate(policy.expects, 1):
        for closure in policy.closed:
            if overrules(closure, expected):
                message = f"never met: [[closed]] on line {closure.line} forbids all of it, and closed wins"
                yield Problem("warning", policy.file, expected.line, f"expect[{number}]", message, "remove one of the two")
                break


def overrules(closure: Closure, expected: Expectation) -> bool:
    ports = closure.port_set or ALL_PORTS
    return (
        closure.area.covers(expected.area)
        and not ((expected.port_set or ALL_PORTS) - ports)
        and (not closure.services or (bool(expected.services) and expected.services <= closure.services))
        and (not closure.seen_from or (bool(expected.seen_from) and set(expected.seen_from) <= set(closure.seen_from)))
    )


def review_vantages(policy: Policy, known: Known) -> Iterator[Problem]:
    """A name in `from` that is neither a zone nor a vantage that ever measured may be a typo."""
    zones = {zone.name for zone in policy.zones} | {WAN}
    claimed = {vantage for zone in policy.zones for vantage in zone.vantages}
    told = claimed | set(known.vantages) | {schedule.vantage for schedule in policy.schedules}
    if not known.vantages:
        return
    written = [(f"expect[{number}].from", entry.line, entry.seen_from) for number, entry in enumerate(policy.expects, 1)]
    written += [(f"closed[{number}].from", entry.line, entry.seen_from) for number, entry in enumerate(policy.closed, 1)]
    for what, line, names in written:
        for name in names:
            if name not in zones | told:
                message = f"no zone is called {name}, and nothing was ever measured from a vantage of that name"
                hint = suggest(name, zones | told, "a vantage is named by `vantage` in config.toml")
                yield Problem("note", policy.file, line, what, message, hint)


def review_schedules(policy: Policy, now: float) -> Iterator[Problem]:
    for number, schedule in enumerate(policy.schedules, 1):
        if schedule.fresh_seconds < schedule.pause:
            message = f"fresh = {schedule.fresh!r} is shorter than the time between two scans: it would be an alarm every time"
            hint = "make it longer than the schedule"
            yield Problem("warning", policy.file, schedule.line, f"schedule[{number}].fresh", message, hint)
    for number, blackout in enumerate(policy.blackouts, 1):
        if blackout.time and blackout.time.ends is not None and blackout.time.ends <= now:
            yield Problem("note", policy.file, blackout.line, f"blackout[{number}]", "this blackout is over", "remove it")


def review_channels(policy: Policy) -> Iterator[Problem]:
    used = {name for route in policy.routes for name in route.to}
    used |= {name for route in policy.routes if route.escalate for name in route.escalate.to}
    for number, channel in enumerate(policy.channels, 1):
        if channel.name not in used:
            message = f"no route leads to the channel {channel.name}"
            hint = f'add [[route]] with to = ["{channel.name}"]'
            yield Problem("note", policy.file, channel.line, f"channel[{number}]", message, hint)
