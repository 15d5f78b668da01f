"""What each zone may talk: the ways over its border, and the [[traffic]] entries that open them.

A zone is governed when it is secure or has an entry of its own, even one that has ended. A governed zone has three gates: `out`
(it began a conversation with somebody else), `in` (somebody else began one with it) and `within` (both sides are its own), and
what no live entry of a gate allows is against the policy. Detection judges flows by this, exports write it down for other
tools; so the two cannot read the file differently.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconshield.addresses import AddressSet
from reconshield.policy.policy import Policy
from reconshield.policy.records import DIRECTIONS, EVERYWHERE, Traffic, Zone


@dataclass(frozen=True, slots=True)
class Gate:
    """One direction of one governed zone. `allowed` are the live entries with their numbers in the file, `ended` the others."""

    number: int
    """The number of the zone in the policy."""
    zone: Zone
    direction: str
    allowed: tuple[tuple[int, Traffic], ...]
    ended: tuple[Traffic, ...] = ()

    @property
    def space(self) -> AddressSet:
        """Where the other side of a conversation through this gate can be."""
        return self.zone.area if self.direction == "within" else EVERYWHERE - self.zone.area


def governed_zones(policy: Policy) -> tuple[int, ...]:
    """The numbers of the zones that say what they talk."""
    said = {entry.zone for entry in policy.traffic}
    return tuple(number for number, zone in enumerate(policy.zones) if zone.secure or zone.name in said)


def find_gates(policy: Policy, now: float) -> tuple[Gate, ...]:
    """The gates of all governed zones, in the order of the file."""
    gates = []
    for number in governed_zones(policy):
        zone = policy.zones[number]
        mine = [(place, entry) for place, entry in enumerate(policy.traffic) if entry.zone == zone.name]
        for direction in DIRECTIONS:
            here = [pair for pair in mine if pair[1].direction == direction]
            allowed = tuple(pair for pair in here if not is_over(pair[1], now))
            gates.append(Gate(number, zone, direction, allowed, tuple(entry for _, entry in here if is_over(entry, now))))
    return tuple(gates)


def is_over(entry: Traffic, now: float) -> bool:
    return entry.ends is not None and entry.ends <= now
