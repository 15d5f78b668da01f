"""What a change of policy does to detections, as lines for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconshield.detection import Difference
from reconshield.report.detections import endpoint_text
from reconshield.report.line_types import ReplayedLine
from reconshield.report.rows import Row, wrap
from reconshield.text import count, printable

CHANGES = (("appears", "appear"), ("changes", "change"), ("vanishes", "vanish"))


def replayed_rows(differences: Iterable[Difference], width: int) -> Iterator[Row]:
    """`appears   95 critical   10.20.4.9 → 203.0.113.35:110/tcp   secure zone cell-3 expects no pop3 here`."""
    for each in differences:
        found = each.shown
        was = f"{each.old.score} {each.old.rating} → " if each.old and each.new else ""
        why = printable(found.evidence[0].because, 120) if found.evidence else ""
        score = f"{was}{found.grade.score} {found.grade.rating}"
        yield from wrap(f"{each.change:<9} ", f"{score}   {found.src} → {endpoint_text(found)}   {why}", width, "")


def replayed_line(each: Difference) -> ReplayedLine:
    found = each.shown
    return {
        "v": 1,
        "type": "replayed",
        "change": each.change,
        "src": found.src,
        "dst": found.dst,
        "port": found.port,
        "transport": found.transport,
        "old_score": each.old.score if each.old else None,
        "old_rating": each.old.rating if each.old else None,
        "new_score": each.new.score if each.new else None,
        "new_rating": each.new.rating if each.new else None,
        "because": found.evidence[0].because if found.evidence else "",
    }


def replayed_text(differences: tuple[Difference, ...]) -> str:
    """`2 appear, 1 changes, 40 vanish`."""
    kinds = [each.change for each in differences]
    parts = [f"{count(kinds.count(name))} {name if kinds.count(name) == 1 else plural_of}" for name, plural_of in CHANGES]
    return ", ".join(parts)
