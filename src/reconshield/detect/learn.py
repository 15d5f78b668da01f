"""What a zone talked in a quiet period, as [[traffic]] entries for review, with blanks for reason and owner.

Proposed is only what was answered and what nothing speaks against: a conversation with a wrong protocol, an indicator or a row
of failures stands in a comment instead. What the policy allows already, and our own scans, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet, text_of
from reconshield.detect.classes import doubt_columns, failure_columns, indicator_columns, listener_columns, protocol_columns
from reconshield.detect.evidence import Kind
from reconshield.detect.expected import TRANSPORTS, zones_of_sides
from reconshield.detect.scene import Column, Scene, Setting, look, service_text
from reconshield.detect.tally import Tally
from reconshield.policy import WAN, Policy
from reconshield.policy.writing import table_text
from reconshield.text import count, plural, printable

Array = NDArray[Any]
NAMED = 20
"""So many addresses are written one by one; more of the internet become `wan`."""
LISTED = 50
"""So many conversations that are not proposed are named."""

Group = tuple[str, int, str]
"""A direction, a port and its transport."""


def propose_traffic(tally: Tally, setting: Setting, zone: str) -> Iterator[str]:
    """The entries as TOML, then comments on what is not proposed."""
    scene = look(tally, setting)
    if not scene.rows.size:
        return
    columns = [column for make in AGAINST for column in make(scene)]
    against = [column for column in columns if column.kind not in MINUS]
    spoken = np.any([column.points > 0 for column in against], axis=0)
    directions = directions_of(scene, zone)
    usable = fit_to_learn(scene, columns, zone) & (directions >= 0)
    yield from entries_text(scene, zone, directions, np.flatnonzero(usable & ~spoken))
    yield from refusals(scene, against, np.flatnonzero(usable & spoken))


AGAINST = (protocol_columns, failure_columns, indicator_columns, listener_columns, doubt_columns)
MINUS = frozenset({Kind.SCANNER, Kind.CONFUSION, Kind.ONE_SIDED})
DIRECTIONS = ("out", "in", "within")


def directions_of(scene: Scene, zone: str) -> Array:
    """The place in `DIRECTIONS` of each conversation, -1 for those that are not the zone's."""
    zones = zones_of_sides(scene.setting.policy, scene.ends)
    number = next(place for place, each in enumerate(scene.setting.policy.zones) if each.name == zone)
    src, dst = (side == number for side in zones)
    return np.select([src & dst, src, dst], [2, 0, 1], -1)


def fit_to_learn(scene: Scene, columns: list[Column], zone: str) -> Array:
    """What was answered, on a port, with a known beginning, not ours, and not allowed by an entry of the zone already."""
    rows, verdicts = scene.rows, scene.verdicts
    mine = [number for number, rule in enumerate(scene.setting.policy.traffic) if rule.zone == zone]
    fit = (rows["failed"].astype(np.int64) + rows["denied"] < rows["flows"]) & np.isin(rows["transport"], list(TRANSPORTS))
    fit &= ~verdicts.allowed & ~np.isin(verdicts.entry, mine)
    for column in columns:
        if column.kind in {Kind.SCANNER, Kind.CONFUSION}:
            fit &= column.points == 0
    return np.asarray(fit)


def entries_text(scene: Scene, zone: str, directions: Array, chosen: Array) -> Iterator[str]:
    """Ports with the same peers share an entry; each port stands above it with what was seen."""
    groups: dict[Group, list[int]] = {}
    for number in chosen.tolist():
        row = scene.rows[number]
        group = DIRECTIONS[int(directions[number])], int(row["dport"]), TRANSPORTS[int(row["transport"])]
        groups.setdefault(group, []).append(number)
    alike: dict[tuple[str, tuple[str, ...]], list[Group]] = {}
    for group, numbers in sorted(groups.items()):
        alike.setdefault((group[0], peers_of(scene, group[0], numbers)), []).append(group)
    for (direction, peers), ports in alike.items():
        remarks = "".join(f"# {remark(scene, group, groups[group])}\n" for group in ports)
        text = ",".join(f"U:{port}" if transport == "udp" else f"T:{port}" for _, port, transport in ports)
        table: dict[str, object] = {"zone": zone, "direction": direction, "ports": text}
        if peers:
            table |= {"with": list(peers)}
        yield remarks + table_text("traffic", table | {"reason": "", "owner": ""})


def peers_of(scene: Scene, direction: str, numbers: list[int]) -> tuple[str, ...]:
    """With whom: zones by name, the rest of the world by address while it is few, else `wan`; nobody inside one zone."""
    if direction == "within":
        return ()
    policy, ends = scene.setting.policy, scene.ends
    side = ends.src if direction == "in" else ends.dst
    values = {int(ends.hi[place]) << 64 | int(ends.lo[place]) for place in np.unique(side[numbers]).tolist()}
    zones = {policy.zone_name(value) for value in values} - {WAN}
    strangers = sorted(value for value in values if policy.zone_name(value) == WAN)
    outside = [WAN] if len(strangers) > NAMED else named(policy, strangers)
    return (*sorted(zones), *outside)


def named(policy: Policy, values: list[int]) -> list[str]:
    """Addresses by the name of their asset where that is all of it, else as they are."""
    left, names = AddressSet(tuple((value, value) for value in values)), []
    for asset in policy.assets:
        if asset.area and left.covers(asset.area):
            names.append(asset.name)
            left -= asset.area
    return names + [text_of(value) for first, last in left.ranges for value in range(first, last + 1)]


def remark(scene: Scene, group: Group, numbers: list[int]) -> str:
    _, port, transport = group
    rows = scene.rows[numbers]
    flows, hosts = int(rows["flows"].sum()), np.unique(scene.ends.src[numbers]).size
    apps = sorted({scene.apps[place] for place in np.unique(rows["app"]).tolist()} - {""})
    spoken = f", spoken: {printable(', '.join(apps), 60)}" if apps else ""
    seen = f"{plural(flows, 'flow', 'flows')} from {plural(hosts, 'host', 'hosts')}"
    return f"{port}/{transport} ({service_text(scene, port, transport)}): {seen}{spoken}"


def refusals(scene: Scene, against: list[Column], numbers: Array) -> Iterator[str]:
    """Comments on conversations that something speaks against."""
    lines = []
    for number in numbers[:LISTED].tolist():
        row, ends = scene.rows[number], scene.ends
        why = "; ".join(column.explain(number).because for column in against if column.points[number] > 0)
        where = f"{ends.text(int(ends.src[number]))} to {ends.text(int(ends.dst[number]))} port {int(row['dport'])}"
        lines.append(f"# not proposed: {where}: {printable(why, 200)}\n")
    if numbers.size > LISTED:
        lines.append(f"# not proposed: {count(numbers.size - LISTED)} more\n")
    if lines:
        yield "".join(lines)
