"""What zones may talk, ready to be written down: gates with their entries, and the same cut into lanes.

An entry says "these services with those peers"; several may hold for one peer. Formats with a way to say "return" write entry
after entry. Formats that only know single rules need `lanes`: areas of peers that do not meet, each with all that is allowed
there, so that what is left over in each is exactly what is against the policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePath

from reconshield.addresses import AddressSet, PortSet, parse_target
from reconshield.errors import UserError
from reconshield.policy import Policy, Traffic, Zone
from reconshield.policy.gates import LINK, SELF_PORTS, find_gates

PortsOf = Callable[[str], PortSet]
ALL_PORTS = PortSet(((0, 65_535),), ((0, 65_535),))


@dataclass(frozen=True, slots=True)
class Allowance:
    """A live entry: its peers, and its services with the ports that they commonly have."""

    entry: Traffic
    services: tuple[tuple[str, PortSet], ...]

    @property
    def peers(self) -> AddressSet:
        return self.entry.area

    @property
    def anything(self) -> bool:
        """Whether it allows every port and protocol."""
        return self.entry.port_set is None and not self.services

    @property
    def numbered(self) -> PortSet:
        """The ports that are allowed whatever is spoken there."""
        return self.entry.port_set or PortSet()

    @property
    def usual(self) -> PortSet:
        """The ports of its services."""
        return union(ports for _, ports in self.services)

    @property
    def ports(self) -> PortSet:
        """All that can be told by port: what a format sees that does not know what is spoken."""
        return ALL_PORTS if self.anything else self.numbered | self.usual


@dataclass(frozen=True, slots=True)
class Gate:
    """One direction of one zone, as `policy.gates` has it: `own` is where the zone's side can be, `near` where the other side
    counts as the zone's, `space` where it can be. `hulls` are what the zones were declared as.
    """

    zone: Zone
    direction: str
    own: AddressSet
    near: AddressSet
    space: AddressSet
    allowed: tuple[Allowance, ...]
    ended: tuple[Traffic, ...]
    hulls: tuple[AddressSet, ...] = ()

    @property
    def free(self) -> bool:
        """Whether one entry allows anything with anybody, so that nothing can be against the policy."""
        return any(each.anything and each.peers.covers(self.space) for each in self.allowed)


@dataclass(frozen=True, slots=True)
class Lane:
    """Peers of a gate for which the same ports are allowed."""

    peers: AddressSet
    ports: PortSet
    anything: bool
    """Whether protocols without ports are allowed too."""


@dataclass(frozen=True, slots=True)
class Enclaves:
    """A policy and its gates. `now` decides what has ended."""

    policy: Policy
    gates: tuple[Gate, ...]
    now: float

    @property
    def file(self) -> str:
        """The policy file without its folder: an export is the same on every machine."""
        return PurePath(self.policy.file).name or "the policy"

    @property
    def first_end(self) -> Traffic | None:
        """The entry that ends first: after it, what was written before is wrong."""
        ending = [each.entry for gate in self.gates for each in gate.allowed if each.entry.ends is not None]
        return min(ending, key=lambda entry: entry.ends or 0.0, default=None)


def describe(policy: Policy, ports_of: PortsOf, now: float) -> Enclaves:
    """What there is to write down. A policy that governs no zone is a `UserError`."""
    if not policy.zones:
        raise UserError(
            "the policy has no zone", where=policy.file, hint='declare one: [[zone]] with name = "…" and targets = ["…"]'
        )
    hulls = tuple(hull_of(zone) for zone in policy.zones)
    gates = tuple(
        Gate(
            gate.zone,
            gate.direction,
            gate.own,
            gate.near,
            gate.space,
            tuple(
                Allowance(entry, tuple((name, ports_of(name)) for name in sorted(entry.service_ids)))
                for _, entry in gate.allowed
            ),
            gate.ended,
            hulls,
        )
        for gate in find_gates(policy, now)
        if gate.own  # one that has all its addresses in zones inside it has no traffic
    )
    if not gates:
        hint = "reconshield detect learn FILE… --zone NAME proposes entries from flow logs; or set secure = true"
        raise UserError(
            "no zone says what it may talk: there is no [[traffic]] and no secure zone", where=policy.file, hint=hint
        )
    return Enclaves(policy, gates, now)


def hull_of(zone: Zone) -> AddressSet:
    """The targets of a zone as they were declared, with those of zones inside it."""
    areas = (parse_target(text, wide=True).addresses for text in zone.targets)
    return AddressSet(tuple(pair for area in areas if area for pair in area.ranges))


def lanes(gate: Gate) -> tuple[Lane, ...]:
    """The peers of a gate, cut where what is allowed changes; together they are its whole space. On the link the ports of what
    is never judged are allowed too.
    """
    link = gate.space & LINK if gate.direction == "within" else AddressSet()
    cut: list[tuple[AddressSet, tuple[Allowance, ...]]] = [(area, ()) for area in (gate.space - link, link) if area]
    for each in gate.allowed:
        pieces = [piece for area, held in cut for piece in ((area & each.peers, (*held, each)), (area - each.peers, held))]
        cut = [(area, held) for area, held in pieces if area]
    joined: dict[tuple[PortSet, bool], AddressSet] = {}
    for area, held in cut:
        ports = union([*(each.ports for each in held), *([SELF_PORTS] if area & link else [])])
        key = (ports, any(each.anything for each in held))
        joined[key] = joined.get(key, AddressSet()) | area
    return tuple(Lane(area, ports, anything) for (ports, anything), area in joined.items())


def union(sets: Iterable[PortSet]) -> PortSet:
    found = PortSet()
    for ports in sets:
        found |= ports
    return found
