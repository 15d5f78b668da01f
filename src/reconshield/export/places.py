"""Addresses as tools take them: networks, some networks without others, or all but some; whichever is least to read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconshield.addresses import AddressSet
from reconshield.addresses.sets import ALL_LAST, V4_FIRST, V4_LAST

IPV4 = AddressSet(((V4_FIRST, V4_LAST),))
EVERYWHERE = AddressSet(((0, ALL_LAST),))
IPV6 = EVERYWHERE - IPV4


@dataclass(frozen=True, slots=True)
class Networks:
    """The addresses of `cidrs` that are in none of `holes`, or with `negated` all that are not in `cidrs`."""

    cidrs: tuple[str, ...]
    negated: bool = False
    holes: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        return self.negated and not self.cidrs

    @property
    def nothing(self) -> bool:
        return not self.negated and not self.cidrs

    @property
    def length(self) -> int:
        return len(self.cidrs) + len(self.holes)


def networks(area: AddressSet, space: AddressSet = EVERYWHERE, hulls: Iterable[AddressSet] = ()) -> Networks:
    """An area as networks with prefixes, where only addresses of `space` are ever compared with it.

    `hulls` are what zones were declared as: one with a zone inside is short to say as the outer without the inner, and a page
    long as the networks that are left.
    """
    inside = area & space
    ways = [Networks(named(inside)), Networks(named(space - area), negated=True)]
    if ways[0].length > 2:
        for hull in hulls:
            whole = (inside | hull) & space
            if hull & inside and whole != inside:
                ways.append(Networks(named(whole), holes=named(whole - inside)))
    return min(ways, key=lambda way: (way.length, way.negated, way.holes != ()))


def named(area: AddressSet) -> tuple[str, ...]:
    return tuple(cidr if "/" in cidr else f"{cidr}/{128 if ':' in cidr else 32}" for cidr in area.cidrs())
