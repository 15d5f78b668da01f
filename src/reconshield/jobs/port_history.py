"""The timelines of the endpoints on one port: their intervals from the exposures, the moments from the runs that looked."""

from __future__ import annotations

from collections.abc import Sequence

from reconshield.addresses import AddressSet
from reconshield.jobs.port_timeline import MONTH, Timeline, draw
from reconshield.jobs.run_area import Cover, measured_area
from reconshield.model import Transport
from reconshield.store.by_port import Interval, Place
from reconshield.store.db import Store


def draw_all(
    store: Store,
    covers: Sequence[Cover],
    intervals: Sequence[Interval],
    shown: Sequence[Place],
    port: int,
    fresh: float,
    now: float,
    limit: int,
) -> list[Timeline]:
    """The timelines of the shown endpoints, then of those that closed within the month."""
    told: dict[tuple[Place, str], list[Interval]] = {}
    for interval in intervals:
        told.setdefault((interval.place, interval.vantage), []).append(interval)
    first = {place: number for number, place in enumerate(shown)}
    order = sorted(told, key=lambda key: (first.get(key[0], len(first)), key))[:limit]
    recent = [cover for cover in covers if cover.run.finished >= now - MONTH - fresh]
    measured = moments(store, recent, order, port)
    timelines = []
    for key in order:
        whole = [interval.on(port) for interval in told[key]]
        timelines.append(draw(whole[0].endpoint, key[1], whole, measured[key], fresh, now))
    return timelines


def moments(
    store: Store, covers: Sequence[Cover], keys: Sequence[tuple[Place, str]], port: int
) -> dict[tuple[Place, str], list[float]]:
    """When each endpoint was measured from its vantage."""
    found: dict[tuple[Place, str], list[float]] = {key: [] for key in keys}
    groups: dict[tuple[str, int], list[tuple[Place, str]]] = {}
    for key in keys:
        groups.setdefault((key[1], key[0][1]), []).append(key)
    for (vantage, code), members in groups.items():
        numbers = [int.from_bytes(place[0], "big") for place, _ in members]
        every, together = AddressSet(tuple((number, number) for number in numbers)), []
        for cover in covers:
            if cover.run.vantage != vantage:
                continue
            area = measured_area(store, cover, port, Transport(code).label)
            if area.covers(every):
                together.append(cover.run.finished)
                continue
            for key, number in zip(members, numbers, strict=True):
                if number in area:
                    found[key].append(cover.run.finished)
        for key in members:
            found[key] += together
    return found
