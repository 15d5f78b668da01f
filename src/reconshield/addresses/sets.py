"""One address as a number, many as a set.

`parse_address` takes every spelling that the C library's `inet_aton` would take to the same host (`10.88.3` is 10.88.0.3,
`0x0a580304`, `167772161`, `010.0.0.1` is 8.0.0.1), because that is where a packet would go. `text_of` gives the one spelling
that the product prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address

from reconshield.addresses import intervals
from reconshield.addresses.intervals import Ranges
from reconshield.errors import UserError

V4_FIRST = 0xFFFF_0000_0000
V4_LAST = 0xFFFF_FFFF_FFFF
ALL_LAST = (1 << 128) - 1

NUMBER = re.compile(r"0x[0-9a-f]+|[0-9]+", re.ASCII)


def number_of(part: str) -> int | None:
    """One part of an IPv4 address as C reads it: hexadecimal after 0x, octal after 0, else decimal."""
    if not NUMBER.fullmatch(part) or len(part) > 12:
        return None
    if part.startswith("0x"):
        return int(part, 16)
    if len(part) > 1 and part.startswith("0"):
        return int(part, 8) if not set(part) & {"8", "9"} else None
    return int(part)


def ipv4_of(text: str) -> int | None:
    """The IPv4 address that `inet_aton` would reach: one to four parts, the last fills the bytes that are left."""
    numbers = [number_of(part) for part in text.lower().split(".")]
    if len(numbers) > 4:
        return None
    value = 0
    for at, number in enumerate(numbers):
        bits = 8 * (5 - len(numbers)) if at == len(numbers) - 1 else 8
        if number is None or number >> bits:
            return None
        value = value << bits | number
    return V4_FIRST | value


def ipv6_of(text: str) -> int | None:
    """An IPv6 address without a scope id."""
    if ":" not in text or "%" in text:
        return None
    try:
        return int(IPv6Address(text))
    except ValueError:
        return None


@lru_cache(4096)
def parse_address(text: str) -> int:
    """The number of one address in any spelling, IPv4 v4-mapped. Anything else is a `UserError`."""
    plain = text.strip()
    value = ipv6_of(plain) if ":" in plain else ipv4_of(plain)
    if value is None:
        raise UserError(f"{plain or 'nothing'} is no address", where=text, hint="write it as 192.0.2.7 or 2001:db8::7")
    return value


def text_of(value: int) -> str:
    """The spelling that people and other programs see: dotted for IPv4, compressed for IPv6."""
    if V4_FIRST <= value <= V4_LAST:
        return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))
    return str(IPv6Address(value))


@dataclass(frozen=True, slots=True)
class AddressSet:
    """A set of addresses as sorted, merged, inclusive ranges. Any ranges may be given, in any order.

    `in` takes a number or a spelling. There is no iteration: a set may hold 2^64 addresses.
    """

    ranges: Ranges = ()

    def __post_init__(self) -> None:
        merged = intervals.merge(self.ranges)
        if merged and not 0 <= merged[0][0] <= merged[-1][1] <= ALL_LAST:
            raise ValueError("not in the 128-bit space")
        object.__setattr__(self, "ranges", merged)

    @classmethod
    def of(cls, *spellings: str) -> AddressSet:
        """The set of these single addresses."""
        return cls(tuple((value, value) for value in map(parse_address, spellings)))

    @property
    def count(self) -> int:
        return intervals.count(self.ranges)

    @property
    def first(self) -> int:
        """The lowest address; an empty set has none (`IndexError`)."""
        return self.ranges[0][0]

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __contains__(self, address: object) -> bool:
        if isinstance(address, str):
            return intervals.contains(self.ranges, parse_address(address))
        return isinstance(address, int) and intervals.contains(self.ranges, address)

    def __or__(self, other: AddressSet) -> AddressSet:
        return AddressSet(self.ranges + other.ranges)

    def __and__(self, other: AddressSet) -> AddressSet:
        return AddressSet(intervals.intersect(self.ranges, other.ranges))

    def __sub__(self, other: AddressSet) -> AddressSet:
        return AddressSet(intervals.subtract(self.ranges, other.ranges))

    def covers(self, other: AddressSet) -> bool:
        return not intervals.subtract(other.ranges, self.ranges)

    def cidrs(self) -> tuple[str, ...]:
        """The fewest networks that make up the set; a single address stands without a prefix."""
        return tuple(cidr for first, last in split_families(self.ranges) for cidr in networks_of(first, last))

    def text(self, limit: int = 8) -> str:
        """A short text for people, each part as `parse_target` reads it: networks, addresses and ranges."""
        parts = [range_text(first, last) for first, last in split_families(self.ranges)]
        if not parts:
            return "nothing"
        rest = f" and {len(parts) - limit} more" if len(parts) > limit else ""
        return ", ".join(parts[:limit]) + rest


def split_families(ranges: Ranges) -> Ranges:
    """Cut ranges at the borders of the IPv4 block, so that each piece has one notation."""
    ipv4 = ((V4_FIRST, V4_LAST),)
    pieces = intervals.subtract(ranges, ipv4) + intervals.intersect(ranges, ipv4)
    return tuple(sorted(pieces))


def networks_of(first: int, last: int) -> Iterator[str]:
    """Cut one range into the fewest aligned networks, lowest first."""
    width = 32 if V4_FIRST <= first <= V4_LAST else 128
    while first <= last:
        # The largest block that starts here: limited by the alignment of its start and by what is left.
        aligned = (first & -first).bit_length() - 1 if first else 128
        host_bits = min(aligned, (last - first + 1).bit_length() - 1, width)
        yield text_of(first) + (f"/{width - host_bits}" if host_bits else "")
        first += 1 << host_bits


def range_text(first: int, last: int) -> str:
    """A network if the range is one, else `a-b`, in IPv4 shortened to the last part where that is enough."""
    networks = networks_of(first, last)
    network = next(networks)
    if next(networks, None) is None:
        return network
    if first >= V4_FIRST and last <= V4_LAST and first >> 8 == last >> 8:
        return f"{text_of(first)}-{last & 255}"
    return f"{text_of(first)}-{text_of(last)}"
