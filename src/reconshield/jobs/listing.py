"""The open endpoints of a run, or all that is open now, a page at a time: sorted, filtered, counted by what they have.

`list_open` answers from the columns of `open_table`; a record is made for what is on the page. A cursor names the last row of a
page, so the next one goes on behind it whatever has come in between.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from reconshield.errors import UserError
from reconshield.jobs.open_build import current_table, run_table
from reconshield.jobs.open_table import NONE, RATINGS, Array, Names, OpenTable, endpoint_of, verdict_of
from reconshield.model import Endpoint, Transport
from reconshield.policy import Policy
from reconshield.policy.verdict import KINDS, Kind
from reconshield.store.db import Store

Sort = Literal["risk", "endpoint", "port", "service", "zone", "verdict", "opened", "seen", "findings", "vantage"]
SORTS: tuple[Sort, ...] = ("risk", "endpoint", "port", "service", "zone", "verdict", "opened", "seen", "findings", "vantage")
MOST = 500
"""Rows on one page."""
LISTED = 50
"""Values of one facet that are counted apart, the commonest."""
UNSAID = "none"
"""As a filter and in facets: no service, no rating, no verdict."""
FACETS = ("service", "rating", "zone", "verdict", "port", "transport", "vantage")


@dataclass(frozen=True, slots=True)
class Filters:
    """What a row must be; of one field one of the values, all fields that are given. Each word of `text` must be in the row."""

    text: str = ""
    service: Collection[str] = ()
    rating: Collection[str] = ()
    zone: Collection[str] = ()
    verdict: Collection[str] = ()
    port: Collection[int] = ()
    transport: Collection[str] = ()
    vantage: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """One open endpoint. Times are Unix seconds, None where nobody knows; `run` is the newest that saw it."""

    endpoint: Endpoint
    vantage: str
    zone: str
    seen: float
    opened: float | None
    shut_before: float | None
    service: str | None
    guess: bool
    product: str | None
    version: str | None
    tls: str | None
    score: int | None
    rating: str | None
    verdict: Kind | None
    findings: int
    run: str | None
    name: str | None
    assets: tuple[str, ...]
    owner: str | None
    certificate_ends: float | None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, how many there are in all that fit the filters, and how many there would be by each value of a field.

    `before` is how many stand before the first row; `judged` is False where there is no policy to give verdicts.
    """

    rows: tuple[Listed, ...]
    total: int
    unfiltered: int
    before: int
    next_cursor: str | None
    facets: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    judged: bool = True
    at: float = 0.0


def list_open(
    store: Store,
    run: str | None,
    *,
    policy: Policy | None,
    now: float,
    sort: Sort = "risk",
    descending: bool = True,
    filters: Filters | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """A page of what a run found open, or (None) of what is open now. Raises UserError for a sort or cursor that is none."""
    if sort not in SORTS:
        raise UserError(f"a list cannot be sorted by {sort}", where=f"sort={sort}", hint=f"sort by {', '.join(SORTS)}")
    table = run_table(store, run, policy, now) if run else current_table(store, policy, now)
    return page_of(table, policy, filters or Filters(), sort, descending, cursor, max(1, min(limit, MOST)))


def page_of(
    table: OpenTable, policy: Policy | None, filters: Filters, sort: Sort, descending: bool, cursor: str | None, limit: int
) -> Page:
    masks = masks_of(table, filters)
    fits = np.logical_and.reduce([np.ones(len(table), bool), *masks.values()])
    ordered = order_by(table, np.flatnonzero(fits), sort, descending)
    begin = place_after(table, ordered, read_cursor(cursor)) if cursor else 0
    shown = ordered[begin : begin + limit].tolist()
    more = begin + len(shown) < len(ordered)
    return Page(
        rows=tuple(record_of(table, policy, at) for at in shown),
        total=len(ordered),
        unfiltered=len(table),
        before=begin,
        next_cursor=write_cursor(table, shown[-1], begin + len(shown)) if more and shown else None,
        facets={name: facet_of(table, name, masks) for name in FACETS},
        judged=table.judged,
        at=table.now,
    )


def masks_of(table: OpenTable, filters: Filters) -> dict[str, Array]:
    """For each filter that is given the rows that pass it."""
    masks: dict[str, Array] = {}
    for name in FACETS:
        wanted: Collection[Any] = getattr(filters, name)
        if wanted:
            codes = [code_of(table, name, value) for value in wanted]
            masks[name] = np.isin(column_of(table, name), codes)
    words = filters.text.lower().split()
    if words:
        masks["text"] = np.fromiter((all(word in text for word in words) for text in table.texts), bool, len(table))
    return masks


def column_of(table: OpenTable, name: str) -> Array:
    column: Array = table.rows[name]
    return column


def names_of(table: OpenTable, name: str) -> Names | None:
    return {"service": table.services, "zone": table.zones, "vantage": table.vantages}.get(name)


def code_of(table: OpenTable, name: str, value: Any) -> int:
    """The number that stands for a value in a column; one that no row has for a value that is not there."""
    nowhere = NONE - 1
    if value == UNSAID and name in {"service", "rating", "verdict"}:
        return NONE
    if name == "rating":
        return RATINGS.index(value) if value in RATINGS else nowhere
    if name == "verdict":
        return KINDS.index(value) if value in KINDS else nowhere
    if name == "transport":
        return Transport[value.upper()].value if value in {"tcp", "udp"} else nowhere
    names = names_of(table, name)
    return int(value) if names is None else names.find(value)


def value_of(table: OpenTable, name: str, code: int) -> str:
    if name == "rating":
        return RATINGS[code] if code >= 0 else UNSAID
    if name == "verdict":
        return KINDS[code] if code >= 0 else UNSAID
    if name == "transport":
        return Transport(code).label
    names = names_of(table, name)
    return str(code) if names is None else names.text(code) or UNSAID


def facet_of(table: OpenTable, name: str, masks: Mapping[str, Array]) -> tuple[tuple[str, int], ...]:
    """How many rows have each value of a field, among those that pass every other filter; the commonest first."""
    others = [mask for field_name, mask in masks.items() if field_name != name]
    column = column_of(table, name)
    column = column[np.logical_and.reduce(others)] if others else column
    if len(column) == 0:
        return ()
    counts = np.bincount(column.astype(np.int64) + 1)
    codes = np.flatnonzero(counts)
    best = codes[np.argsort(-counts[codes], kind="stable")][:LISTED]
    return tuple((value_of(table, name, int(code) - 1), int(counts[code])) for code in best)


def order_by(table: OpenTable, rows: Array, sort: Sort, descending: bool) -> Array:
    """Rows in the order that is asked for; equals in the order of endpoints. What nobody knows comes last either way."""
    if sort == "endpoint":
        return rows[::-1] if descending else rows
    keys, unknown = sort_keys(table, rows, sort)
    ordered = np.argsort(-keys if descending else keys, kind="stable")
    if unknown.any():
        ordered = np.concatenate([ordered[~unknown[ordered]], ordered[unknown[ordered]]])
    return rows[ordered]


def sort_keys(table: OpenTable, rows: Array, sort: Sort) -> tuple[Array, Array]:
    """A number for each row to sort by, and the rows that have none."""
    name = "score" if sort == "risk" else sort
    column = column_of(table, name)[rows]
    if name in {"opened", "seen"}:
        return column, np.isnan(column)
    column = column.astype(np.int32)
    if name == "verdict":
        return -column, column < 0  # the worst kind is number 0
    names = names_of(table, name)
    if names is not None:
        ranks = np.empty(len(names.texts) + 1, np.int32)
        ranks[sorted(range(len(names.texts)), key=names.texts.__getitem__)] = np.arange(len(names.texts))
        return ranks[column], column < 0
    return column, column < 0


def write_cursor(table: OpenTable, at: int, place: int) -> str:
    """The last row of a page, and how many stand before the next one."""
    row = table.rows[at]
    key = [int(row[name]) for name in ("hi", "lo", "port", "transport")]
    text = json.dumps([*key, table.vantages.text(int(row["vantage"])), place])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str) -> tuple[int, int, int, int, str, int]:
    try:
        hi, lo, port, transport, vantage, place = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        found = int(hi), int(lo), int(port), int(transport), str(vantage), int(place)
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError("this is no place in a list", where=text[:40], hint="begin with the first page") from error
    if not all(0 <= number < 1 << 64 for number in found if isinstance(number, int)):
        raise UserError("this is no place in a list", where=text[:40], hint="begin with the first page")
    return found


def place_after(table: OpenTable, ordered: Array, cursor: tuple[int, int, int, int, str, int]) -> int:
    """Behind the row of a cursor; where it has gone, as far down as it was."""
    hi, lo, port, transport, vantage, place = cursor
    rows = table.rows
    same = (rows["hi"] == hi) & (rows["lo"] == lo) & (rows["port"] == port) & (rows["transport"] == transport)
    same &= rows["vantage"] == table.vantages.find(vantage)
    found = np.flatnonzero(same[ordered])
    return int(found[0]) + 1 if len(found) else min(place, len(ordered))


def record_of(table: OpenTable, policy: Policy | None, at: int) -> Listed:
    row = table.rows[at]
    number = int(row["hi"]) << 64 | int(row["lo"])
    return Listed(
        endpoint=endpoint_of(row),
        vantage=table.vantages.texts[row["vantage"]],
        zone=table.zones.texts[row["zone"]],
        seen=float(row["seen"]),
        opened=known(row["opened"]),
        shut_before=known(row["shut"]),
        service=table.services.text(row["service"]),
        guess=bool(row["guess"]),
        product=table.products.text(row["product"]),
        version=table.versions.text(row["version"]),
        tls=table.forms.text(row["tls"]),
        score=int(row["score"]) if row["score"] >= 0 else None,
        rating=RATINGS[row["rating"]] if row["rating"] >= 0 else None,
        verdict=verdict_of(int(row["verdict"])),
        findings=int(row["findings"]),
        run=table.runs.text(row["run"]),
        name=table.names.text(row["name"]),
        assets=tuple(asset.name for asset in policy.assets_of(number)) if policy else (),
        owner=policy.owner_of(number) if policy else None,
        certificate_ends=known(row["ends"]),
    )


def known(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
