"""How each zone stands: what is open in it and how bad, how much of it nobody measured, how old the last look is.

The addresses that count are those that grants cover now and those that a finished run covered. A run that was stopped counts
as a look, but none of its addresses as measured: which ones it reached differs from port to port.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reconshield.addresses import AddressSet
from reconshield.jobs.open_table import RATINGS, OpenTable
from reconshield.jobs.port_exposure import DAY, countable
from reconshield.jobs.run_area import Cover
from reconshield.policy import Policy
from reconshield.policy.records import WAN, Schedule
from reconshield.policy.verdict import FAILING, KINDS

FAILING_CODES = [KINDS.index(kind) for kind in FAILING]


@dataclass(frozen=True, slots=True)
class ZoneState:
    """One zone. `by_rating` has every rating, `unrated` is what is open and nobody spoke to. Times are Unix seconds.

    `not_measured` of `addresses` were never measured in whole. `fresh` is the freshness target in seconds, `fresh_from` the
    schedule that says so (None: the default of a day).
    """

    name: str
    owner: str | None
    secure: bool
    open: int
    by_rating: dict[str, int]
    unrated: int
    failing: int
    addresses: int
    not_measured: int
    last_scan: float | None
    fresh: float
    fresh_from: str | None

    def stale(self, now: float) -> bool:
        """Whether the last look is older than it may be; nothing that was never looked at is stale."""
        return self.last_scan is not None and now - self.last_scan > self.fresh


def zone_states(table: OpenTable, policy: Policy | None, covers: Sequence[Cover], granted: AddressSet) -> list[ZoneState]:
    """Every zone of the policy, and `wan` where there is anything; the worst first."""
    measured = union(cover.targets for cover in covers if cover.whole)
    scope = countable(granted) | measured
    areas = zone_areas(policy)
    rest = scope - union(areas.values())
    areas = {WAN: rest, **areas}
    looked = last_looks(areas, covers)
    counts = count_rows(table)
    states = []
    for number, (name, area) in enumerate(areas.items()):
        ratings, failing = counts.get(number, ([0] * (len(RATINGS) + 1), 0))
        here = scope & area
        if name == WAN and not here and not sum(ratings):
            continue
        zone = policy.zones[number - 1] if policy and number else None
        target = target_of(policy, area)
        states.append(
            ZoneState(
                name=name,
                owner=zone.owner if zone else None,
                secure=zone.secure if zone else False,
                open=sum(ratings),
                by_rating=dict(zip(RATINGS, ratings[1:], strict=True)),
                unrated=ratings[0],
                failing=failing,
                addresses=here.count,
                not_measured=(here - measured).count,
                last_scan=looked.get(name),
                fresh=target.fresh_seconds if target else DAY,
                fresh_from=target.name if target else None,
            )
        )
    return sorted(states, key=lambda state: ([-state.by_rating[word] for word in reversed(RATINGS)], state.name))


def union(areas: object) -> AddressSet:
    return AddressSet(tuple(pair for area in areas for pair in area.ranges))  # type: ignore[attr-defined]


def zone_areas(policy: Policy | None) -> dict[str, AddressSet]:
    """The addresses of each zone, without those of zones inside it, in the order of the policy."""
    if policy is None:
        return {}
    ranges: dict[int, list[tuple[int, int]]] = {}
    starts, owners = policy.zone_map.starts, policy.zone_map.owners
    for first, following, owner in zip(starts, starts[1:], owners, strict=False):
        ranges.setdefault(owner, []).append((first, following - 1))
    return {zone.name: AddressSet(tuple(ranges.get(number, ()))) for number, zone in enumerate(policy.zones)}


def last_looks(areas: dict[str, AddressSet], covers: Sequence[Cover]) -> dict[str, float]:
    """When a run last measured anything in each zone."""
    found: dict[str, float] = {}
    left = dict(areas)
    for cover in sorted(covers, key=lambda each: -each.run.finished):
        if not left:
            break
        for name in [name for name, area in left.items() if not area or area & cover.targets]:
            if left.pop(name):
                found[name] = cover.run.finished
    return found


def count_rows(table: OpenTable) -> dict[int, tuple[list[int], int]]:
    """For each zone the number of open endpoints without a rating, then of each rating; and how many fail."""
    if not len(table):
        return {}
    zones, width = table.rows["zone"].astype(np.int64), len(RATINGS) + 1
    size = int(zones.max()) + 1
    ratings = np.bincount(zones * width + table.rows["rating"] + 1, minlength=size * width).reshape(size, width)
    failing = np.bincount(zones[np.isin(table.rows["verdict"], FAILING_CODES)], minlength=size)
    return {zone: (ratings[zone].tolist(), int(failing[zone])) for zone in range(size)}


def target_of(policy: Policy | None, area: AddressSet) -> Schedule | None:
    """The strictest schedule that measures any of a zone."""
    found = [schedule for schedule in (policy.schedules if policy else ()) if schedule.fresh_seconds and schedule.area & area]
    return min(found, key=lambda schedule: schedule.fresh_seconds, default=None)
