"""The open endpoints of a run as a table that is sorted, filtered and cut into pages.

In memory where the run is small enough to be read whole (then addresses of one name stand in one row, as in every report), else
from the columns of `jobs.listing`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from reconshield.errors import UserError
from reconshield.jobs.listing import Filters, Listed, Page, Sort, list_open
from reconshield.jobs.open_table import RATINGS
from reconshield.model import Endpoint
from reconshield.policy import Policy
from reconshield.report.answer import Exposure, find_exposures, product_text, tls_text
from reconshield.report.result import RunResult, Standing
from reconshield.store.db import Store

ROWS = 100
COLUMNS: dict[str, tuple[str, Sort, bool]] = {
    "risk": ("Risk", "risk", True),
    "endpoint": ("Endpoint", "endpoint", False),
    "service": ("Service", "service", False),
    "findings": ("Findings", "findings", True),
}
"""The columns that a table can be sorted by: heading, the list's name for it, and whether the highest stands first."""
FILTERS = ("rating", "verdict", "zone", "service")
UNSAID = "none"


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row. `also` counts further addresses of the same name that answer alike."""

    endpoint: Endpoint
    score: int | None
    rating: str | None
    service: str | None
    product: str
    tls: str
    findings: int
    verdict: str | None
    zone: str | None
    name: str | None = None
    also: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A page of the table. `following` is where the next one begins, None on the last; `before` counts the rows before it."""

    rows: tuple[TableRow, ...]
    found: int
    every: int
    before: int
    following: str | None
    facets: Mapping[str, list[tuple[str, int]]] = field(default_factory=dict)


def table_of(result: RunResult, chosen: Mapping[str, str], sort: str, after: str) -> Table:
    """From a run that was read whole."""
    exposures = find_exposures(result)
    rows = [row_of(exposure, result.standing.get(exposure.endpoint, Standing())) for exposure in exposures]
    found = [row for row, exposure in zip(rows, exposures, strict=True) if fits(row, exposure, chosen)]
    if sort == "endpoint":
        found.sort(key=lambda row: (":" in row.endpoint.ip, row.endpoint))
    elif sort == "service":
        found.sort(key=lambda row: row.service or "")
    elif sort == "findings":
        found.sort(key=lambda row: -row.findings)
    begin = min(int(after), len(found)) if after.isascii() and after.isdecimal() and len(after) < 9 else 0
    end = begin + ROWS
    return Table(
        tuple(found[begin:end]), len(found), len(rows), begin, str(end) if end < len(found) else None, count_facets(rows)
    )


def count_facets(rows: list[TableRow]) -> dict[str, list[tuple[str, int]]]:
    """How many rows have each value of each field; ratings from the worst on, others the most frequent first."""
    facets = {name: Counter(getattr(row, name) or UNSAID for row in rows).most_common(12) for name in FILTERS}
    return facets | {"rating": by_rating(facets["rating"])}


def by_rating(counts: list[tuple[str, int]]) -> list[tuple[str, int]]:
    order = (*reversed(RATINGS), UNSAID)
    return sorted(counts, key=lambda pair: order.index(pair[0]))


def fits(row: TableRow, exposure: Exposure, chosen: Mapping[str, str]) -> bool:
    """Whether a row is what the filters ask for; every word of the text must stand in its place, names, product or checks."""
    if any(chosen[name] not in {"", getattr(row, name) or UNSAID} for name in FILTERS):
        return False
    parts = (str(row.endpoint), row.service, row.product, row.name, *(finding.check for finding in exposure.findings))
    words = " ".join(part for part in parts if part).lower()
    return all(word in words for word in chosen["q"].lower().split())


def row_of(exposure: Exposure, standing: Standing) -> TableRow:
    service = exposure.rated.service
    return TableRow(
        endpoint=exposure.endpoint,
        score=exposure.rated.risk.score,
        rating=exposure.rated.risk.rating,
        service=service.service,
        product=product_text(exposure.rated),
        tls=tls_text(exposure.rated),
        findings=len(exposure.findings),
        verdict=standing.verdict,
        zone=standing.zone,
        name=service.name,
        also=len(exposure.also),
    )


def page_of_list(
    store: Store, run_id: str, policy: Policy | None, now: float, chosen: Mapping[str, str], sort: str, after: str
) -> Table:
    """From the list of a run that is too large to be read whole. A cursor that is none leads to the first page."""
    _, column, descending = COLUMNS[sort]
    rating, verdict, zone, service = ((chosen[name],) if chosen[name] else () for name in FILTERS)
    filters = Filters(text=chosen["q"], rating=rating, verdict=verdict, zone=zone, service=service)

    def ask(cursor: str | None) -> Page:
        return list_open(
            store,
            run_id,
            policy=policy,
            now=now,
            sort=column,
            descending=descending,
            filters=filters,
            cursor=cursor,
            limit=ROWS,
        )

    try:
        found = ask(after or None)
    except UserError:
        found = ask(None)
    facets = {name: list(found.facets.get(name, ()))[:12] for name in FILTERS}
    return Table(
        rows=tuple(listed_row(row, judged=found.judged) for row in found.rows),
        found=found.total,
        every=found.unfiltered,
        before=found.before,
        following=found.next_cursor,
        facets=facets | {"rating": by_rating(facets["rating"])},
    )


def listed_row(row: Listed, *, judged: bool) -> TableRow:
    return TableRow(
        endpoint=row.endpoint,
        score=row.score,
        rating=row.rating,
        service=row.service,
        product=" ".join(part for part in (row.product, row.version) if part)
        or ("guess: port number only" if row.guess else "not shown"),
        tls=row.tls or "not measured",
        findings=row.findings,
        verdict=row.verdict,
        zone=row.zone if judged else None,
        name=row.name,
    )
