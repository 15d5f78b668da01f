"""Addresses as tools take them: networks, or all but some networks, whichever is less to read."""

from __future__ import annotations

from dataclasses import dataclass

from reconshield.addresses import AddressSet
from reconshield.addresses.sets import ALL_LAST, V4_FIRST, V4_LAST

IPV4 = AddressSet(((V4_FIRST, V4_LAST),))
EVERYWHERE = AddressSet(((0, ALL_LAST),))
IPV6 = EVERYWHERE - IPV4


@dataclass(frozen=True, slots=True)
class Networks:
    """The addresses of `cidrs`, or with `negated` all others."""

    cidrs: tuple[str, ...]
    negated: bool = False

    @property
    def everything(self) -> bool:
        return self.negated and not self.cidrs

    @property
    def nothing(self) -> bool:
        return not self.negated and not self.cidrs


def networks(area: AddressSet, space: AddressSet = EVERYWHERE) -> Networks:
    """An area as networks, where only addresses of `space` are ever compared with it. With prefixes, single addresses too."""
    inside, outside = (area & space).cidrs(), (space - area).cidrs()
    return Networks(with_prefix(outside), negated=True) if len(outside) < len(inside) else Networks(with_prefix(inside))


def with_prefix(cidrs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cidr if "/" in cidr else f"{cidr}/{128 if ':' in cidr else 32}" for cidr in cidrs)
