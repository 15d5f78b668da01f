"""What rules of every format are written with: addresses, ports, protocols and ICMP types as text, read into ranges.

Each function raises `Faulty` with a short reason for what it does not understand; a reader turns that into a named fault.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from reconshield.addresses.intervals import Ranges, intersect, merge
from reconshield.addresses.sets import V4_FIRST
from reconshield.firewall.ruleset import IPV4, IPV6, Box

V4_FAMILY = 4

PROTOCOLS = {
    "icmp": 1,
    "igmp": 2,
    "tcp": 6,
    "udp": 17,
    "dccp": 33,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "ipv6-icmp": 58,
    "icmp6": 58,
    "ospf": 89,
    "ipip": 4,
    "ipencap": 4,
    "ipv6": 41,
    "pim": 103,
    "vrrp": 112,
    "sctp": 132,
    "udplite": 136,
}
"""IANA's numbers under the names that firewalls use."""

ICMP_TYPES = {
    "echo-reply": 0,
    "destination-unreachable": 3,
    "source-quench": 4,
    "redirect": 5,
    "echo-request": 8,
    "router-advertisement": 9,
    "router-solicitation": 10,
    "time-exceeded": 11,
    "parameter-problem": 12,
    "timestamp-request": 13,
    "timestamp-reply": 14,
    "info-request": 15,
    "info-reply": 16,
    "address-mask-request": 17,
    "address-mask-reply": 18,
    "pong": 0,
    "ping": 8,
    "ttl-exceeded": 11,
}
"""RFC 792 and 950, as nft and iptables spell them."""

ICMPV6_TYPES = {
    "destination-unreachable": 1,
    "packet-too-big": 2,
    "time-exceeded": 3,
    "parameter-problem": 4,
    "echo-request": 128,
    "echo-reply": 129,
    "mld-listener-query": 130,
    "mld-listener-report": 131,
    "mld-listener-done": 132,
    "mld-listener-reduction": 132,
    "nd-router-solicit": 133,
    "nd-router-advert": 134,
    "nd-neighbor-solicit": 135,
    "nd-neighbor-advert": 136,
    "nd-redirect": 137,
    "router-renumbering": 138,
    "ind-neighbor-solicit": 141,
    "ind-neighbor-advert": 142,
    "mld2-listener-report": 143,
    "router-solicitation": 133,
    "router-advertisement": 134,
    "neighbour-solicitation": 135,
    "neighbor-solicitation": 135,
    "neighbour-advertisement": 136,
    "neighbor-advertisement": 136,
    "redirect": 137,
    "ttl-exceeded": 3,
}
"""RFC 4443, 4861 and 2710, as nft and ip6tables spell them."""


class Faulty(Exception):
    """A part of a rule is not understood; the text says which and is shown to people."""


def read_network(text: str) -> Ranges:
    """An address, a network (also `10.0.0.0/255.0.0.0`) or a range `a-b`, IPv4 v4-mapped."""
    first, dash, last = text.partition("-")
    if dash:
        return read_range(read_address(first), read_address(last))
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise Faulty(f"{text[:60]!r} is no address") from error
    base = V4_FIRST if network.version == V4_FAMILY else 0
    return ((base + int(network.network_address), base + int(network.broadcast_address)),)


def read_address(text: str) -> int:
    try:
        address = ip_address(text.strip())
    except ValueError as error:
        raise Faulty(f"{text[:60]!r} is no address") from error
    return int(address) + (V4_FIRST if address.version == V4_FAMILY else 0)


def family_of(ranges: Ranges) -> int:
    """4 or 6, for ranges of one family."""
    return 4 if IPV4[0][0] <= ranges[0][0] <= IPV4[0][1] else 6


def all_addresses(family: int) -> Ranges:
    return IPV4 if family == V4_FAMILY else IPV6


def read_range(first: int, last: int) -> Ranges:
    if last < first:
        raise Faulty("a range is reversed")
    return ((first, last),)


def read_number(value: object, last: int) -> int:
    """A whole number from 0 to `last`, as a number or a text (also hexadecimal)."""
    text = str(value).strip()
    try:
        number = int(text, 16) if text[:2].lower() == "0x" else int(text) if len(text) < 12 and text.isascii() else -1
    except ValueError:
        number = -1
    if not 0 <= number <= last or isinstance(value, bool):
        raise Faulty(f"{text[:30]!r} is no number up to {last}")
    return number


def read_ports(text: str, joint: str = ":") -> Ranges:
    """`22`, `1024:65535`, `:1023`, `1024:`; several with commas."""
    found: list[tuple[int, int]] = []
    for part in text.split(","):
        first, between, last = part.strip().partition(joint)
        low = read_number(first or 0, 65535) if first or between else read_number(part, 65535)
        high = (read_number(last, 65535) if last else 65535) if between else low
        found += read_range(low, high)
    return merge(found)


def read_protocol(value: object) -> int:
    """A protocol by number or name."""
    text = str(value).strip().lower()
    return PROTOCOLS[text] if text in PROTOCOLS else read_number(text, 255)


def icmp_ranges(types: Ranges) -> Ranges:
    """ICMP types with any code."""
    return tuple((first << 8, last << 8 | 255) for first, last in types)


def read_icmp(text: str, family: int) -> Ranges:
    """`echo-request`, `8`, `3/4`."""
    names = ICMP_TYPES if family == V4_FAMILY else ICMPV6_TYPES
    kind, slash, code = text.strip().lower().partition("/")
    number = names[kind] if kind in names else read_number(kind, 255)
    if slash:
        whole = number << 8 | read_number(code, 255)
        return ((whole, whole),)
    return icmp_ranges(((number, number),))


def join(boxes: list[Box], others: list[Box], most: int = 100_000) -> list[Box]:
    """The boxes in which one of each list holds: their products, without the empty ones."""
    if len(boxes) * len(others) > most:
        raise Faulty(f"the rule has more than {most:,} cases")
    return [joined for box in boxes for other in others if (joined := join_boxes(box, other)) is not None]


def join_boxes(box: Box, other: Box) -> Box | None:
    fields = dict(box)
    for field, ranges in other:
        common = intersect(fields[field], ranges) if field in fields else ranges
        if not common:
            return None
        fields[field] = common
    return tuple(fields.items())
