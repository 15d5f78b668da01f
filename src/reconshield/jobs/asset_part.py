"""A page of assets: counted in the columns of `open_table`, and only the worst endpoint of each is read and rated in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reconshield.addresses import text_of
from reconshield.jobs.coverage import plan_of
from reconshield.jobs.exposure_part import expose
from reconshield.jobs.listing import record_of
from reconshield.jobs.lookback import is_usable
from reconshield.jobs.open_build import current_table
from reconshield.jobs.open_table import Array, OpenTable
from reconshield.policy import Policy
from reconshield.policy.verdict import FAILING, KINDS
from reconshield.report.exposures import Asset
from reconshield.scan.space import AddressSpace
from reconshield.store.db import Store
from reconshield.store.runs import list_runs

FAILS = [KINDS.index(kind) for kind in FAILING]
Key = tuple[bool, str]
"""Whether it was only seen, and its name: the declared ones come first."""


@dataclass(frozen=True, slots=True)
class Summed:
    """An asset with its worst exposure alone, and how many it has; `failing` are not as the policy wants."""

    asset: Asset
    open: int
    failing: int


def asset_page(
    store: Store, policy: Policy | None, now: float, after: Key | None, limit: int, zone: str | None
) -> list[Summed]:
    """At most `limit` assets after a key, of one zone if it is named."""
    table = current_table(store, policy, now)
    chosen: list[tuple[Asset, Array]] = []
    for asset, rows in every_asset(table, policy):
        if (after is None or key_of(asset) > after) and zone in {None, asset.zone}:
            chosen.append((asset, rows))
            if len(chosen) == limit:
                break
    worst = {number: rows[np.argmax(table.rows["score"][rows])] for number, (_, rows) in enumerate(chosen) if len(rows)}
    shown = expose(store, policy, [record_of(table, policy, int(at)) for at in worst.values()], now)
    exposures = dict(zip(worst, shown, strict=True))
    planned = plans_of(store, policy, [asset for asset, _ in chosen])
    return [
        summed(table, replace(asset, exposures=tuple(filter(None, [exposures.get(number)]))), rows, planned.get(asset.name))
        for number, (asset, rows) in enumerate(chosen)
    ]


def key_of(asset: Asset) -> Key:
    return (not asset.declared, asset.name)


def every_asset(table: OpenTable, policy: Policy | None) -> Iterator[tuple[Asset, Array]]:
    """All assets by their keys, each with the places of its rows."""
    hi, lo = table.rows["hi"], table.rows["lo"]
    covered = np.zeros(len(table), bool)
    for entry in sorted(policy.assets, key=lambda each: each.name) if policy else ():
        mine = AddressSpace(entry.area).find(hi, lo) >= 0
        covered |= mine
        first = entry.area.first
        zone, owner = policy.zone_name(first), policy.owner_of(first)  # type: ignore[union-attr]
        criticality = policy.criticality_of(first)  # type: ignore[union-attr]
        asset = Asset(entry.name, entry.addresses, zone, True, (), owner, entry.tags, criticality)
        yield asset, np.flatnonzero(mine)
    for name, rows in by_address(table, np.flatnonzero(~covered)):
        zone = table.zones.texts[table.rows["zone"][rows[0]]]
        owner, criticality = (policy.owner_of(name), policy.criticality_of(name)) if policy else (None, "normal")
        yield Asset(name, (name,), zone, False, (), owner, (), criticality), rows


def by_address(table: OpenTable, rows: Array) -> Iterator[tuple[str, Array]]:
    """Rows by address, the addresses as texts in the order of texts; rows of one stay in theirs."""
    if not len(rows):
        return
    hi, lo = table.rows["hi"][rows], table.rows["lo"][rows]
    order = np.lexsort([lo, hi])
    cuts = np.flatnonzero((np.diff(hi[order]) != 0) | (np.diff(lo[order]) != 0)) + 1
    groups = [np.sort(rows[part]) for part in np.split(order, cuts)]
    named = [(text_of(int(table.rows["hi"][group[0]]) << 64 | int(table.rows["lo"][group[0]])), group) for group in groups]
    yield from sorted(named, key=lambda pair: pair[0])


def plans_of(store: Store, policy: Policy | None, assets: Sequence[Asset]) -> dict[str, float]:
    """When a run last planned to measure each declared asset."""
    wanted = {asset.name for asset in assets if asset.declared}
    entries = [entry for entry in policy.assets if entry.name in wanted] if policy and wanted else []
    found: dict[str, float] = {}
    for run in list_runs(store) if entries else ():
        plan = plan_of(run) if is_usable(run) else None
        for entry in entries if plan is not None else ():
            if plan is not None and plan.targets & entry.area:
                found[entry.name] = max(found.get(entry.name, 0.0), run.finished or run.started)
    return found


def summed(table: OpenTable, asset: Asset, rows: Array, planned: float | None) -> Summed:
    seen = table.rows["seen"][rows].max().item() if len(rows) else None
    measured = max((at for at in (planned, seen) if at is not None), default=None)
    failing = int(np.isin(table.rows["verdict"][rows], FAILS).sum())
    return Summed(replace(asset, measured=measured), len(rows), failing)
