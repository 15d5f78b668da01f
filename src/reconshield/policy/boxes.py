"""Endpoints in bulk: each of some ports on each of some addresses. The algebra of what was measured and what was not.

An assertion over a network and a range of ports may be billions of endpoints; as a box it is two small sets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconshield.addresses import AddressSet, PortSet


@dataclass(frozen=True, slots=True)
class Box:
    """Each of `ports` on each of `addresses`."""

    addresses: AddressSet
    ports: PortSet

    @property
    def count(self) -> int:
        return self.addresses.count * self.ports.count

    def __bool__(self) -> bool:
        return bool(self.addresses and self.ports)

    def __and__(self, other: Box) -> Box:
        return Box(self.addresses & other.addresses, self.ports & other.ports)

    def text(self) -> str:
        """`192.0.2.0/26 110,143`."""
        return f"{self.addresses.text(3)} {self.ports.text()}"


def subtract(boxes: Iterable[Box], taken: Iterable[Box]) -> list[Box]:
    """What of `boxes` lies in none of `taken`, as boxes that do not meet if the first ones did not."""
    left = [box for box in boxes if box]
    for other in taken:
        pieces = (
            piece
            for box in left
            for piece in (
                Box(box.addresses - other.addresses, box.ports),
                Box(box.addresses & other.addresses, box.ports - other.ports),
            )
        )
        left = [piece for piece in pieces if piece]
    return join(left)


def join(boxes: Iterable[Box]) -> list[Box]:
    """Boxes of the same ports as one."""
    alike: dict[PortSet, AddressSet] = {}
    for box in boxes:
        alike[box.ports] = alike.get(box.ports, AddressSet()) | box.addresses
    return [Box(addresses, ports) for ports, addresses in alike.items()]
