"""The truth table of a proof: zone by endpoint by family, before and after the rules, and what was wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconshield.report.line_types import ProofLine
from reconshield.report.rows import Row, Span, wrap
from reconshield.text import duration, plural


@dataclass(frozen=True, slots=True)
class ProofRow:
    """What one zone sees of one endpoint in one family."""

    zone: str
    endpoint: str
    family: str
    before: str
    after: str
    wanted: str
    ok: bool
    note: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof. `outcome` begins with `proved` where packets were tried, else `evaluated, not proved` or `not proved here`."""

    platform: str
    rows: tuple[ProofRow, ...]
    seconds: float
    notes: tuple[str, ...]
    outcome: str

    @property
    def wrong(self) -> int:
        return sum(not row.ok for row in self.rows)


HEAD = ("FROM", "ENDPOINT", "FAMILY", "BEFORE", "AFTER", "WANTED")


def proof_rows(proof: Proof, width: int) -> Iterator[Row]:
    if not proof.rows:
        for note in proof.notes:
            yield from wrap("? ", note, width)
        return
    zones = ", ".join(dict.fromkeys(row.zone for row in proof.rows))
    if proof.outcome.startswith("proved"):
        yield from wrap("lab  ", f"namespaces {zones}, host · {proof.platform} rules loaded · {duration(proof.seconds)}", width)
    table = [cells(row) for row in fold(proof.rows)]
    widths = [max(len(line[at]) for line in [HEAD, *(cell for cell, _, _ in table)]) for at in range(len(HEAD))]
    yield [Span("  " + "  ".join(text.ljust(widths[at]) for at, text in enumerate(HEAD)).rstrip(), "dim")]
    for texts, ok, note in table:
        line = "  " + "  ".join(text.ljust(widths[at]) for at, text in enumerate(texts))
        yield [Span(line), Span("  ✓" if ok else "  ✗", "" if ok else "high"), Span(f"  {note}" if note else "", "dim")]
    for note in proof.notes:
        yield from wrap("! ", note, width)
    yield [Span(verdict(proof))]


def fold(rows: tuple[ProofRow, ...]) -> Iterator[ProofRow]:
    """Both families in one row where they agree in everything."""
    at = 0
    while at < len(rows):
        row, other = rows[at], rows[at + 1] if at + 1 < len(rows) else None
        same = other is not None and (row.zone, row.endpoint, row.before, row.after, row.wanted, row.ok, row.note) == (
            other.zone,
            other.endpoint,
            other.before,
            other.after,
            other.wanted,
            other.ok,
            other.note,
        )
        yield ProofRow(row.zone, row.endpoint, "both" if same else row.family, *values(row))
        at += 2 if same else 1


def values(row: ProofRow) -> tuple[str, str, str, bool, str]:
    return row.before, row.after, row.wanted, row.ok, row.note


def cells(row: ProofRow) -> tuple[tuple[str, ...], bool, str]:
    return (row.zone, row.endpoint, row.family, row.before, row.after, row.wanted), row.ok, row.note


def verdict(proof: Proof) -> str:
    total = plural(len(proof.rows), "row", "rows")
    if not proof.wrong:
        return f"{proof.outcome}: {len(proof.rows)} of {total} as wanted."
    differ = "row differs" if proof.wrong == 1 else "rows differ"
    return f"not proved: {proof.wrong} of {len(proof.rows)} {differ} (exit 1)"


def proof_line(proof: Proof, row: ProofRow) -> ProofLine:
    return {
        "v": 1,
        "type": "proof",
        "platform": proof.platform,
        "from": row.zone,
        "endpoint": row.endpoint,
        "family": row.family,
        "before": row.before,
        "after": row.after,
        "wanted": row.wanted,
        "ok": row.ok,
        "note": row.note,
    }
