"""Which rows of endpoints an entry of the policy means, for a million rows at once.

The address space is cut where any entry's area begins or ends, so each row is looked up once and each entry is a small table of
pieces; ports and services are tables too. One entry then costs three look-ups in tables, however many ranges it has.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet, PortSet, parse_address
from reconshield.addresses.arrays import HALF, count_bounds, endpoint_keys, find_keys
from reconshield.model import Confidence, Endpoint, Service, Transport

Array = NDArray[Any]
Mask = NDArray[np.bool_]
PLACE = [("hi", "u8"), ("lo", "u8"), ("port", "u2"), ("transport", "u1")]
NOT_ASKED = 0
"""The code of rows about whose service nothing is known."""


def rows_of(endpoints: Iterable[Endpoint]) -> Array:
    """Endpoints as an array of places."""
    rows = [
        (*divmod(parse_address(place.ip), HALF), place.port, Transport[place.transport.upper()].value) for place in endpoints
    ]
    return np.array(rows, dtype=PLACE)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What speaks on rows, as columns: the place of its name in `names` (0, the empty name: nobody knows), and whether that is
    only a guess.
    """

    names: tuple[str, ...]
    codes: Array
    guessed: Mask


class Matcher:
    """Rows of endpoints, prepared for many questions. `areas` are all that will be asked for; `spoken` replaces `services`."""

    def __init__(
        self,
        rows: Array,
        areas: Iterable[AddressSet],
        services: Mapping[Endpoint, Service],
        spoken: Spoken | None = None,
    ) -> None:
        self.rows = rows
        self.bounds = sorted({bound for area in areas for first, last in area.ranges for bound in (first, last + 1)})
        self.piece = count_bounds(self.bounds, rows["hi"], rows["lo"])
        self.number = (rows["transport"] == Transport.UDP).astype(np.int64) << 16 | rows["port"]
        self._services, self._given = services, spoken

    def in_area(self, area: AddressSet) -> Mask:
        """Rows whose address is in an area, one of those that were announced."""
        table = np.zeros(len(self.bounds) + 1, bool)
        for first, last in area.ranges:
            table[bisect_left(self.bounds, first) + 1 : bisect_left(self.bounds, last + 1) + 1] = True
        return self._look_up(table, self.piece)

    def on_ports(self, ports: PortSet | None) -> Mask:
        """Rows on some ports; None is any."""
        if ports is None:
            return np.ones(len(self.rows), bool)
        table = np.zeros(1 << 17, bool)
        for offset, ranges in ((0, ports.tcp), (1 << 16, ports.udp)):
            for first, last in ranges:
                table[offset + first : offset + last + 1] = True
        return self._look_up(table, self.number)

    def speaks(self, services: frozenset[str]) -> tuple[Mask, Mask]:
        """Rows on which one of these services was seen, and those on which only the port makes one of them likely."""
        names, codes, guessed = self._spoken
        table = np.array([name in services for name in names], bool)
        found = self._look_up(table, codes)
        return found & ~guessed, found & guessed

    @cached_property
    def _spoken(self) -> tuple[list[str], Array, Mask]:
        """The names of services; for each row the number of its name, and whether it is only a guess."""
        if self._given is not None:
            return list(self._given.names), self._given.codes, self._given.guessed
        names: dict[str, int] = {"": NOT_ASKED}
        codes, guessed = np.zeros(len(self.rows), np.int64), np.zeros(len(self.rows), bool)
        if not self._services:
            return list(names), codes, guessed
        places = rows_of(self._services)
        ours, theirs = endpoint_keys(self.rows, places)
        order = np.argsort(theirs)
        found = find_keys(ours, theirs[order])
        told = list(self._services.values())
        code_of = np.array([names.setdefault(service.service, len(names)) for service in told])
        guess_of = np.array([service.confidence is Confidence.GUESS for service in told], bool)
        known = found >= 0
        at = order[found[known]]
        codes[known], guessed[known] = code_of[at], guess_of[at]
        return list(names), codes, guessed

    @staticmethod
    def _look_up(table: Array, at: Array) -> Mask:
        found: Mask = table[at]
        return found
