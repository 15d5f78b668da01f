"""Markdown: the policy as a page for people: who may talk to whom, what may be reachable, what must not, what is excepted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Protocol

from reconshield.export.enclaves import Enclaves, Gate
from reconshield.export.format import Format
from reconshield.export.wording import DIRECTIONS, LINK_RULE, allowed_words, until
from reconshield.policy import Acceptance, Closure, Expectation, Suppression, Zone
from reconshield.text import printable

OVER = "**over**"


class Dated(Protocol):
    """An entry that has an end."""

    @property
    def expires(self) -> dt.date | None: ...
    @property
    def ends(self) -> float | None: ...


def render(enclaves: Enclaves) -> str:
    policy = enclaves.policy
    lines = [
        f"# What is expected in {cell(enclaves.file)}",
        "",
        "Made by `reconshield policy export --format markdown`: change the policy, not this page. What is over is shown as",
        "such; it no longer allows anything.",
        *section("Zones", "An address belongs to the most specific zone; what is in none is `wan`.", zones(policy.zones)),
        *section("Who may talk to whom", TALK, talk(enclaves)),
        *section("What may be reachable", "All else that answers is unexpected.", exposures(enclaves)),
        *section("What must not be reachable", "This wins over what may be.", closures(policy.closed)),
        *section("Exceptions", "Findings and detections that somebody answers for until the day given.", exceptions(enclaves)),
    ]
    return "\n".join(lines) + "\n"


TALK = f"""\
A zone that stands here talks what is listed and nothing else. Zones that do not stand here say nothing of it.
{LINK_RULE}"""


def section(title: str, text: str, rows: Iterable[str]) -> list[str]:
    """A heading and a table; nothing where the policy says nothing."""
    table = list(rows)
    return ["", f"## {title}", "", text, "", *table] if table else []


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    listed = list(rows)
    if listed:
        yield f"| {' | '.join(heads)} |"
        yield f"|{'---|' * len(heads)}"
        yield from (f"| {' | '.join(row)} |" for row in listed)


def zones(found: tuple[Zone, ...]) -> Iterator[str]:
    heads = ("zone", "addresses", "owner", "criticality", "enclave")
    return table(
        heads,
        (
            (cell(zone.name), cell(", ".join(zone.targets)), cell(zone.owner), zone.criticality, "yes" if zone.secure else "")
            for zone in found
        ),
    )


def talk(enclaves: Enclaves) -> Iterator[str]:
    heads = ("direction", "allowed", "reason", "owner", "until", "line")
    return table(heads, (row for gate in enclaves.gates for row in gate_rows(gate)))


def gate_rows(gate: Gate) -> Iterator[tuple[str, ...]]:
    direction = DIRECTIONS[gate.direction].format(zone=cell(gate.zone.name))
    entries = [(each.entry, False) for each in gate.allowed] + [(entry, True) for entry in gate.ended]
    if not gate.allowed:
        yield direction, "nothing", "", "", "", ""
    for entry, over in entries:
        day = f"{until(entry)} {OVER if over else ''}".strip()
        yield direction, cell(allowed_words(entry)), cell(entry.reason), cell(entry.owner), day, str(entry.line)


def exposures(enclaves: Enclaves) -> Iterator[str]:
    heads = ("where", "what", "from", "reason", "owner", "until", "line")
    return table(
        heads,
        (
            (*aim(each), cell(each.reason), cell(each.owner), day(enclaves, each), str(each.line))
            for each in enclaves.policy.expects
        ),
    )


def closures(found: tuple[Closure, ...]) -> Iterator[str]:
    heads = ("where", "what", "from", "severity", "reason", "owner", "line")
    return table(
        heads,
        ((*aim(each), each.severity, cell(each.reason), cell(each.owner), str(each.line)) for each in found),
    )


def aim(each: Expectation | Closure) -> tuple[str, str, str]:
    """Where, what and from where."""
    what = [*each.service, *([f"ports {each.ports}"] if each.ports else [])]
    return (
        cell(", ".join(each.on) or "everywhere"),
        cell(", ".join(what) or "whatever answers"),
        cell(", ".join(each.seen_from) or "anywhere"),
    )


def exceptions(enclaves: Enclaves) -> Iterator[str]:
    heads = ("what", "where", "reason", "owner", "until", "line")
    rows: list[tuple[str, str, Acceptance | Suppression]] = []
    for accepted in enclaves.policy.accepts:
        where = ", ".join(accepted.on) or "everywhere"
        where += f" ports {accepted.ports}" if accepted.ports else ""
        rows.append((f"finding {', '.join(accepted.finding)}", where, accepted))
    for entry in enclaves.policy.suppressions:
        named = (("zone", [entry.zone] if entry.zone else []), ("from", entry.src), ("to", entry.dst))
        where = " ".join(f"{word} {', '.join(places)}" for word, places in named if places)
        where += f" ports {entry.ports}" if entry.ports else ""
        rows.append(("detections", where.strip(), entry))
    return table(
        heads,
        (
            (cell(what), cell(where), cell(each.reason), cell(each.owner), day(enclaves, each), str(each.line))
            for what, where, each in rows
        ),
    )


def day(enclaves: Enclaves, entry: Dated) -> str:
    over = entry.ends is not None and entry.ends <= enclaves.now
    return f"{entry.expires} {OVER if over else ''}".strip()


def cell(text: str | None) -> str:
    """A text that stays in its cell: no control characters, no markup of its own."""
    safe = printable(text or "", 500)
    for mark in "\\`*_[]<>|#":
        safe = safe.replace(mark, f"\\{mark}" if mark not in "<>" else {"<": "&lt;", ">": "&gt;"}[mark])
    return safe


FORMAT = Format("markdown", "a page for people", render)
