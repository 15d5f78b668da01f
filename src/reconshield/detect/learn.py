"""What a zone talked in a quiet period, as [[traffic]] entries for review, with blanks for reason and owner.

Proposed is only what was answered and what nothing speaks against: a conversation with a wrong protocol, an indicator or a row
of failures stands in a comment instead. What the policy allows already, and our own scans, are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet, text_of
from reconshield.detect.classes import doubt_columns, failure_columns, indicator_columns, listener_columns, protocol_columns
from reconshield.detect.evidence import Kind
from reconshield.detect.expected import TRANSPORTS, zones_of_sides
from reconshield.detect.kept import Kept
from reconshield.detect.learned import IN, OUT, WITHIN, Learned, Use
from reconshield.detect.scene import Column, Scene, Setting, look_at_parts, service_text
from reconshield.detect.tally import Tally
from reconshield.policy import WAN, Policy
from reconshield.policy.writing import table_text
from reconshield.text import count, plural, printable

Array = NDArray[Any]
LISTED = 50
"""So many conversations that are not proposed are named."""


def propose_traffic(tally: Tally, setting: Setting, zone: str) -> Iterator[str]:
    """The entries as TOML, then comments on what is not proposed."""
    refused = Kept[str](LISTED)
    with Learned(setting.policy) as learned:
        for scene, _ in look_at_parts(tally, setting):
            if scene.rows.size:
                learn(scene, zone, learned, refused)
        yield from entries_text(setting, zone, learned.uses(tally.apps))
    if refused.count > LISTED:
        yield "".join([*refused.all(), f"# not proposed: {count(refused.count - LISTED)} more\n"])
    elif refused.count:
        yield "".join(refused.all())


def learn(scene: Scene, zone: str, learned: Learned, refused: Kept[str]) -> None:
    """What the conversations of a part show, and those that something speaks against."""
    columns = [column for make in AGAINST for column in make(scene)]
    against = [column for column in columns if column.kind not in MINUS]
    spoken = np.any([column.points > 0 for column in against], axis=0)
    directions = directions_of(scene, zone)
    usable = fit_to_learn(scene, columns, zone) & (directions >= 0)
    learned.add(scene, directions, np.flatnonzero(usable & ~spoken))
    numbers = np.flatnonzero(usable & spoken)
    order = scene.rows["order"][numbers].astype(np.int64)
    refused.add(numbers, np.stack([order, order], axis=1), lambda number, _: refusal(scene, against, number))


AGAINST = (protocol_columns, failure_columns, indicator_columns, listener_columns, doubt_columns)
MINUS = frozenset({Kind.SCANNER, Kind.CONFUSION, Kind.ONE_SIDED})


def directions_of(scene: Scene, zone: str) -> Array:
    """The place in `DIRECTIONS` of each conversation, -1 for those that are not the zone's."""
    zones = zones_of_sides(scene.setting.policy, scene.ends)
    number = next(place for place, each in enumerate(scene.setting.policy.zones) if each.name == zone)
    src, dst = (side == number for side in zones)
    return np.select([src & dst, src, dst], [WITHIN, OUT, IN], -1)


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


def entries_text(setting: Setting, zone: str, uses: Iterable[Use]) -> Iterator[str]:
    """Ports with the same peers share an entry; each port stands above it with what was seen."""
    alike: dict[tuple[str, tuple[str, ...]], list[Use]] = {}
    for use in uses:
        alike.setdefault((use.direction, peers_of(setting.policy, use)), []).append(use)
    for (direction, peers), ports in alike.items():
        remarks = "".join(f"# {remark(setting, use)}\n" for use in ports)
        text = ",".join(f"U:{use.port}" if use.transport == "udp" else f"T:{use.port}" for use in ports)
        table: dict[str, object] = {"zone": zone, "direction": direction, "ports": text}
        if peers:
            table |= {"with": list(peers)}
        yield remarks + table_text("traffic", table | {"reason": "", "owner": ""})


def peers_of(policy: Policy, use: Use) -> tuple[str, ...]:
    """With whom: zones by name, the rest of the world by address while it is few, else `wan`; nobody inside one zone."""
    return (*use.zones, *([WAN] if use.strangers is None else named(policy, use.strangers)))


def named(policy: Policy, values: tuple[int, ...]) -> list[str]:
    """Addresses by the name of their asset where that is all of it, else as they are."""
    left, names = AddressSet(tuple((value, value) for value in values)), []
    for asset in policy.assets:
        if asset.area and left.covers(asset.area):
            names.append(asset.name)
            left -= asset.area
    return names + [text_of(value) for first, last in left.ranges for value in range(first, last + 1)]


def remark(setting: Setting, use: Use) -> str:
    spoken = f", spoken: {printable(', '.join(use.apps), 60)}" if use.apps else ""
    seen = f"{plural(use.flows, 'flow', 'flows')} from {plural(use.hosts, 'host', 'hosts')}"
    return f"{use.port}/{use.transport} ({service_text(setting, use.port, use.transport)}): {seen}{spoken}"


def refusal(scene: Scene, against: list[Column], number: int) -> str:
    """A comment on a conversation that something speaks against."""
    row, ends = scene.rows[number], scene.ends
    why = "; ".join(column.explain(number).because for column in against if column.points[number] > 0)
    where = f"{ends.text(int(ends.src[number]))} to {ends.text(int(ends.dst[number]))} port {int(row['dport'])}"
    return f"# not proposed: {where}: {printable(why, 200)}\n"
