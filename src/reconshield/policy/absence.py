"""What was asserted or expected and is not open: missing where everything was measured, else not measured, and why.

An assertion covers more endpoints than anybody could list, so the work is done on boxes: what it means, less what the run
measured in bulk, less what was measured one by one. An IPv6 network that is too large to be measured is asserted at the assets
in it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from reconshield.addresses import NEVER, AddressSet, PortSet, text_of
from reconshield.addresses.arrays import HALF, endpoint_keys, find_keys
from reconshield.addresses.sets import V4_FIRST, V4_LAST
from reconshield.addresses.targets import IPV6_LIMIT
from reconshield.model import Endpoint, Transport
from reconshield.policy.boxes import Box, subtract
from reconshield.policy.matching import PLACE, Mask, Matcher
from reconshield.policy.policy import Policy
from reconshield.policy.records import WAN, Closure, Expectation, Place
from reconshield.policy.verdict import Array, Measured, Verdict

IPV4 = AddressSet(((V4_FIRST, V4_LAST),))
NO_HOST = "never measured"
"""How `scope` begins the reason for addresses that no host can have, such as broadcast: nothing is asserted of them."""
LISTED = 65_536
"""A rest of so many endpoints is looked up one by one."""


def check_assertions(policy: Policy, measured: Measured, closed: list[Closure]) -> Iterator[Verdict]:
    """What nobody measured of what must not answer."""
    for entry in closed:
        area = asserted_area(policy, entry.places)
        ports = entry.port_set or entry.usual or measured_ports(measured)
        yield from not_measured(policy, measured, entry, [Box(area, ports)], "asserted closed")


def look_for(policy: Policy, measured: Measured, matcher: Matcher, entry: Expectation, hits: Mask) -> Iterator[Verdict]:
    """What an expectation promises and is not open: missing where everything was measured, else not-measured."""
    for place in entry.places:
        if place.text == WAN:
            continue
        here = hits & matcher.in_area(place.area)
        area = asserted_area(policy, (place,))
        for ports in parts_of(entry.port_set or entry.usual):
            if (here & matcher.on_ports(ports if entry.port_set else None)).any() or not area:
                continue
            box = Box(area, ports)
            unseen = list(not_measured(policy, measured, entry, [box], "expected, nothing found open"))
            if unseen:
                yield from unseen
                continue
            endpoint = only_endpoint(box)
            also = f"on any address of {place.text}" if area.count > 1 else ""
            because = " ".join(part for part in ("expected, and not open", also) if part)
            yield Verdict("missing", because, endpoint, None if endpoint else box, entry=entry, zone=zone_of(policy, area))


def parts_of(ports: PortSet) -> Iterator[PortSet]:
    """Each number and each range on its own."""
    yield from (PortSet(tcp=(pair,)) for pair in ports.tcp)
    yield from (PortSet(udp=(pair,)) for pair in ports.udp)


def asserted_area(policy: Policy, places: tuple[Place, ...]) -> AddressSet:
    """The addresses at which an entry can be measured: all of IPv4, small IPv6 networks, and assets in large ones.

    Without places, or with `wan`, what is declared: every zone and asset; the rest of the Internet is nobody's to measure.
    """
    declared = union([zone.area for zone in policy.zones] + [asset.area for asset in policy.assets])
    area = union([place.area for place in places if place.text != WAN])
    if any(place.text == WAN for place in places):
        area |= union([place.area for place in places]) & union([asset.area for asset in policy.assets])
    if not places:
        area = declared
    large = AddressSet(tuple(pair for pair in (area - IPV4).ranges if pair[1] - pair[0] >= IPV6_LIMIT))
    return area - large - NEVER | large & union([asset.area for asset in policy.assets])


def union(areas: list[AddressSet]) -> AddressSet:
    return AddressSet(tuple(pair for area in areas for pair in area.ranges))


def measured_ports(measured: Measured) -> PortSet:
    """Every port that the run measured anywhere."""
    ports = PortSet()
    for box in measured.whole:
        ports |= box.ports
    for rows in (measured.rows, measured.single):
        numbers = np.unique(rows["transport"].astype(np.int64) << 16 | rows["port"])
        tcp, udp = (numbers[numbers >> 16 == kind] & 0xFFFF for kind in (Transport.TCP, Transport.UDP))
        ports |= PortSet(*(tuple((port, port) for port in found.tolist()) for found in (tcp, udp)))
    return ports


def not_measured(
    policy: Policy, measured: Measured, entry: Expectation | Closure, boxes: list[Box], what: str
) -> Iterator[Verdict]:
    """A verdict for each part of the boxes that the run did not measure, with the reason where it is known."""
    left = subtract(boxes, measured.whole)
    for box in split_by_reason(left, measured.left_out):
        for rest in without_singles(box, measured):
            reason = next((why for area, why in measured.left_out if area.covers(rest.addresses)), "")
            if reason.startswith(NO_HOST):
                continue
            why = f": {reason}" if reason else ""
            endpoint = only_endpoint(rest)
            zone = zone_of(policy, rest.addresses)
            yield Verdict(
                "not-measured", f"{what}, not measured{why}", endpoint, None if endpoint else rest, entry=entry, zone=zone
            )


def split_by_reason(boxes: list[Box], left_out: tuple[tuple[AddressSet, str], ...]) -> Iterator[Box]:
    """Boxes cut so that each has one reason, or none."""
    for box in boxes:
        rest = box
        for area, _ in left_out:
            if part := Box(rest.addresses & area, rest.ports):
                yield part
            rest = Box(rest.addresses - area, rest.ports)
        if rest:
            yield rest


def without_singles(box: Box, measured: Measured) -> list[Box]:
    """What is left of a box without the endpoints that were measured one by one; a box too large for that stays whole."""
    told = np.concatenate([measured.rows[["hi", "lo", "port", "transport"]].astype(PLACE), measured.single])
    if len(told) == 0:
        return [box]
    matcher = Matcher(told, [box.addresses], {})
    inside = told[matcher.in_area(box.addresses) & matcher.on_ports(box.ports)]
    (keys,) = endpoint_keys(inside)
    measured_here = len(np.unique(keys))
    if measured_here == 0:
        return [box]
    if measured_here == box.count:
        return []
    if box.count > LISTED:
        return [box]
    return list_rest(box, inside)


def list_rest(box: Box, inside: Array) -> list[Box]:
    """The endpoints of a small box that are not in `inside`, an address at a time; addresses that lack the same are one box."""
    wanted = all_places(box)
    ours, theirs = endpoint_keys(wanted, inside)
    lacking = wanted[find_keys(ours, np.sort(theirs)) < 0]
    ports_of: dict[int, list[tuple[int, int]]] = {}
    for hi, lo, port, transport in lacking.tolist():
        ports_of.setdefault(hi << 64 | lo, []).append((transport, port))
    alike: dict[tuple[tuple[int, int], ...], list[tuple[int, int]]] = {}
    for address, ports in ports_of.items():
        alike.setdefault(tuple(ports), []).append((address, address))
    return [
        Box(AddressSet(tuple(addresses)), PortSet(*(tuple((p, p) for t, p in ports if t == kind) for kind in (6, 17))))
        for ports, addresses in alike.items()
    ]


def all_places(box: Box) -> Array:
    """Every endpoint of a box as a row."""
    numbers = [value for first, last in box.addresses.ranges for value in range(first, last + 1)]
    ports = [(port, 6) for first, last in box.ports.tcp for port in range(first, last + 1)]
    ports += [(port, 17) for first, last in box.ports.udp for port in range(first, last + 1)]
    return np.array([(*divmod(value, HALF), *port) for value in numbers for port in ports], PLACE)


def only_endpoint(box: Box) -> Endpoint | None:
    """The endpoint of a box that has one."""
    if box.count != 1:
        return None
    transport, ranges = ("tcp", box.ports.tcp) if box.ports.tcp else ("udp", box.ports.udp)
    return Endpoint(text_of(box.addresses.first), ranges[0][0], transport)


def zone_of(policy: Policy, area: AddressSet) -> str:
    return policy.zone_name(area.first)
