"""What a ruleset does, what is odd about it, and what a change would alter: as rows for the terminal and as lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from reconshield.report.line_types import Line, RemarkLine, RulingLine
from reconshield.report.rows import Row, Span, wrap
from reconshield.text import count, plural, width_of

MOST_ROWS = 40
"""Rows of one table on the terminal; JSON Lines has all."""
COLOURS = {"allow": "medium", "unknown": "dim"}
SIGNS = {"families": "!", "shadowed": "!", "not-understood": "?", "redundant": "-", "note": "-"}
RemarkKind = Literal["shadowed", "redundant", "families", "not-understood", "note"]
AnswerName = Literal["allow", "deny", "unknown"]


@dataclass(frozen=True, slots=True)
class Ruling:
    """One part of an answer: who asks for what, what becomes of it, and the rule that decides.

    `sources` are the networks of this part; `conditions` what else it is limited to; `path` the rules on the way, in order;
    `leads_to` where an address translation leads. `before` is the other ruleset's answer where two are compared.
    """

    subject: str
    zone: str
    sources: tuple[str, ...]
    family: int
    transport: str
    ports: str
    answer: AnswerName
    rule: str
    where: str
    how: str = ""
    because: str = ""
    conditions: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    leads_to: str = ""
    before: AnswerName | None = None
    before_rule: str = ""
    flow: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a ruleset itself. `where` is a line or a handle, `rule` its text, `because` the explanation."""

    kind: RemarkKind
    subject: str
    where: str
    rule: str
    because: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A file of rules, judged. `title` says what the rulings are about."""

    file: str
    format: str
    rules: int
    faults: int
    title: str
    rulings: tuple[Ruling, ...]
    remarks: tuple[Remark, ...] = ()
    subjects: tuple[str, ...] = ()


def evaluation_rows(found: Evaluation, width: int) -> Iterator[Row]:
    """The head, the table, then the remarks, the worst first."""
    named = f" · {plural(len(found.subjects), 'filter', 'filters')}" if len(found.subjects) > 1 else ""
    yield [Span(f"{found.file}  {found.format} · {plural(found.rules, 'rule', 'rules')}{named} · {found.title}")]
    yield from ruling_rows(found.rulings, width)
    for remark in sorted(found.remarks, key=lambda remark: list(SIGNS).index(remark.kind)):
        yield from remark_rows(remark, width)


def ruling_rows(rulings: Iterable[Ruling], width: int) -> Iterator[Row]:
    """A table: from, endpoint, family, answer; under a row its conditions and the rule."""
    merged = list(merge_families(rulings))
    shown = merged[:MOST_ROWS]
    if not shown:
        return
    columns = [max(map(width_of, column)) for column in zip(*[HEAD, *map(cells, shown)], strict=True)]
    yield [Span("  " + "  ".join(word.ljust(size) for word, size in zip(HEAD, columns, strict=True)).rstrip(), "dim")]
    for ruling, families in shown:
        row = [text + " " * (size - width_of(text)) for text, size in zip(cells((ruling, families)), columns, strict=True)]
        yield [Span("  " + "  ".join(row[:3]) + "  "), Span(row[3], COLOURS.get(ruling.answer, ""))]
        yield from wrap("      ", reason(ruling), width, "dim")
    if len(merged) > len(shown):
        yield [Span(f"  and {count(len(merged) - len(shown))} more rows (--json has all)", "dim")]


HEAD = ("FROM", "ENDPOINT", "FAMILY", "ANSWER")


def cells(row: tuple[Ruling, str]) -> tuple[str, str, str, str]:
    ruling, families = row
    ports = ruling.ports if len(ruling.ports) <= 24 else ruling.ports[:23] + "…"
    answer = ruling.answer if ruling.before is None else f"{ruling.before} → {ruling.answer}"
    named = f"{ruling.subject}: " if ruling.subject else ""
    return f"{named}{ruling.zone}", f"{ports}/{ruling.transport}", families, answer


def reason(ruling: Ruling) -> str:
    """What decides, in one sentence."""
    parts = [*ruling.conditions]
    if ruling.leads_to:
        parts.append(f"translated to {ruling.leads_to}")
    if ruling.because:
        parts.append(ruling.because)
    if ruling.rule:
        parts.append(ruling.rule + (f" ({ruling.where})" if ruling.where else ""))
    if ruling.before_rule:
        parts.append(f"before: {ruling.before_rule}")
    return " · ".join(parts)


def merge_families(rulings: Iterable[Ruling]) -> Iterator[tuple[Ruling, str]]:
    """Rows that say the same of both families become one."""
    seen: dict[tuple[object, ...], list[Ruling]] = {}
    for ruling in rulings:
        own = (ruling.subject, ruling.zone, ruling.transport, ruling.ports, ruling.answer, ruling.before)
        seen.setdefault((*own, ruling.rule, ruling.because, ruling.conditions, ruling.leads_to, ruling.flow), []).append(ruling)
    for same in seen.values():
        families = {ruling.family for ruling in same}
        yield same[0], "both" if len(families) > 1 else f"IPv{same[0].family}"


def remark_rows(remark: Remark, width: int) -> Iterator[Row]:
    place = f" ({remark.where})" if remark.where else ""
    named = f"{remark.subject}: " if remark.subject else ""
    text = f"{named}{remark.rule}{place}: {remark.because}" if remark.rule else f"{named}{remark.because}{place}"
    word = {"families": "IPv4 and IPv6 differ", "not-understood": "not understood"}.get(remark.kind, remark.kind)
    yield from wrap(f"{SIGNS[remark.kind]} {word}  ", text, width)


def evaluation_lines(found: Evaluation) -> Iterator[Line]:
    """The file, every ruling, every remark."""
    yield {"v": 1, "type": "input", "file": found.file, "format": found.format, "records": found.rules, "bad": found.faults}
    for ruling in found.rulings:
        yield ruling_line(ruling)
    for remark in found.remarks:
        yield remark_line(remark)


def ruling_line(ruling: Ruling) -> RulingLine:
    return {
        "v": 1,
        "type": "ruling",
        "subject": ruling.subject,
        "zone": ruling.zone,
        "sources": list(ruling.sources),
        "family": 4 if ruling.family == 4 else 6,
        "transport": ruling.transport,
        "ports": ruling.ports,
        "answer": ruling.answer,
        "how": ruling.how,
        "rule": ruling.rule,
        "where": ruling.where,
        "because": ruling.because,
        "conditions": list(ruling.conditions),
        "path": list(ruling.path),
        "leads_to": ruling.leads_to,
        "before": ruling.before,
        "before_rule": ruling.before_rule,
        "flow": ruling.flow,
    }


def remark_line(remark: Remark) -> RemarkLine:
    return {
        "v": 1,
        "type": "remark",
        "remark": remark.kind,
        "subject": remark.subject,
        "where": remark.where,
        "rule": remark.rule,
        "because": remark.because,
    }
