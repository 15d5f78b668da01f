"""What each zone may talk: the ways over its border, and the [[traffic]] entries that open them.

A zone is governed when it is secure or has an entry of its own, even one that has ended. A governed zone has three gates: `out`
(it began a conversation with somebody else), `in` (somebody else began one with it) and `within` (both sides are its own), and
what no live entry of a gate allows is against the policy. Detection judges flows by this, exports write it down for other
tools; so the two cannot read the file differently.

What is sent to a link-local address never leaves the link, so it cannot cross the border of a zone: such an address counts as
part of the zone that speaks to it (`within`). What every stack does by itself is not judged at all: discovery (messages of
`DISCOVERY_TYPES` and `DISCOVERY_PROTOCOL`, and `SELF_PORTS` on the link), and answers with an error (`ICMP_ERRORS`).
"""

from __future__ import annotations

from dataclasses import dataclass

from reconshield.addresses import AddressSet, PortSet, parse_target
from reconshield.policy.policy import Policy
from reconshield.policy.records import DIRECTIONS, EVERYWHERE, Traffic, Zone

LINK_NETWORKS = (
    "169.254.0.0/16",
    "224.0.0.0/24",
    "239.255.255.250",
    "255.255.255.255",
    "fe80::/10",
    "ff02::/16",
)
"""Where a packet stays on the link: link-local unicast (RFC 3927, 4291), multicast of the link (RFC 5771, 4291), the limited
broadcast, and the one group that SSDP and WS-Discovery have over IPv4 (both send to it with a hop or two)."""

LINK = AddressSet(
    tuple(pair for text in LINK_NETWORKS for pair in (parse_target(text, wide=True).addresses or AddressSet()).ranges)
)

DISCOVERY_TYPES = (130, 131, 132, 133, 134, 135, 136, 137, 143)
"""ICMPv6: who listens to a group (RFC 2710, 3810), neighbours, routers and redirects (RFC 4861). Receivers drop those that come
from another link."""

ICMP_ERRORS = {1: (3, 4, 5, 11, 12), 58: (1, 2, 3, 4)}
"""Messages of ICMP and ICMPv6 about a packet that they quote (RFC 792, RFC 4443): who sends one began nothing."""

UNJUDGED_TYPES = {1: ICMP_ERRORS[1], 58: (*ICMP_ERRORS[58], *DISCOVERY_TYPES)}
"""All messages that are never judged, by protocol."""

DISCOVERY_PROTOCOL = 2
"""IGMP (RFC 3376), the same for groups of IPv4."""

SELF_PORTS = PortSet(udp=((67, 68), (546, 547)))
"""DHCP and DHCPv6: how a host gets its address, as long as it asks the link; a renewal sent to a server is judged."""


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
    def own(self) -> AddressSet:
        """Where the zone's side of a conversation through this gate can be."""
        return self.zone.area - LINK if self.direction == "in" else self.zone.area

    @property
    def near(self) -> AddressSet:
        """Where the other side counts as the zone's too: its own addresses, and those of the link where that is what is
        spoken to.
        """
        return self.zone.area if self.direction == "in" else self.zone.area | LINK

    @property
    def space(self) -> AddressSet:
        """Where the other side of a conversation through this gate can be."""
        return self.near if self.direction == "within" else EVERYWHERE - self.near


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
