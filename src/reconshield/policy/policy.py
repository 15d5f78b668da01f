"""The whole policy in memory, and the questions that others ask it.

`zone_of` and `assets_of` place an address; `origins_of` says under which names a vantage may stand in `from`. The look-ups are
binary searches; for arrays of addresses see `arrays`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from reconshield.addresses import parse_address
from reconshield.policy.records import (
    WAN,
    Acceptance,
    Asset,
    Blackout,
    Channel,
    Closure,
    Expectation,
    Route,
    Schedule,
    Suppression,
    Traffic,
    Zone,
)
from reconshield.policy.zones import ZoneMap


@dataclass(frozen=True)
class Policy:
    """What a policy file says. `file` is how messages name it; every record knows its line there."""

    file: str = ""
    zones: tuple[Zone, ...] = ()
    assets: tuple[Asset, ...] = ()
    expects: tuple[Expectation, ...] = ()
    closed: tuple[Closure, ...] = ()
    accepts: tuple[Acceptance, ...] = ()
    traffic: tuple[Traffic, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    blackouts: tuple[Blackout, ...] = ()
    channels: tuple[Channel, ...] = ()
    routes: tuple[Route, ...] = ()
    zone_map: ZoneMap = field(default_factory=ZoneMap)

    def zone_of(self, address: str | int) -> Zone | None:
        """The most specific zone of an address; None is `wan`."""
        number = self.zone_map.find(parse_address(address) if isinstance(address, str) else address)
        return self.zones[number] if number >= 0 else None

    def zone_name(self, address: str | int) -> str:
        zone = self.zone_of(address)
        return zone.name if zone else WAN

    def assets_of(self, address: str | int) -> tuple[Asset, ...]:
        """The assets that have an address, in the order of the file."""
        value = parse_address(address) if isinstance(address, str) else address
        single, wide = self._assets_by_address
        numbers = [*single.get(value, ()), *(number for number in wide if value in self.assets[number].area)]
        return tuple(self.assets[number] for number in sorted(numbers))

    @cached_property
    def _assets_by_address(self) -> tuple[dict[int, list[int]], list[int]]:
        """Assets of single addresses by address, and the others, all by their place in the file: there may be ten thousand."""
        single: dict[int, list[int]] = {}
        wide: list[int] = []
        for number, asset in enumerate(self.assets):
            if asset.area.count > len(asset.area.ranges):
                wide.append(number)
                continue
            for address, _ in asset.area.ranges:
                single.setdefault(address, []).append(number)
        return single, wide

    def owner_of(self, address: str | int) -> str | None:
        """Who answers for an address: the owner of its asset, else of its zone."""
        owned = next((asset.owner for asset in self.assets_of(address) if asset.owner), None)
        zone = self.zone_of(address)
        return owned or (zone.owner if zone else None)

    def criticality_of(self, address: str | int) -> str:
        """low, normal or high: the asset's, else the zone's."""
        said = next((asset.criticality for asset in self.assets_of(address) if asset.criticality), None)
        zone = self.zone_of(address)
        return said or (zone.criticality if zone else "normal")

    def origins_of(self, vantage: str) -> frozenset[str]:
        """The names under which what a vantage sees counts in `from`: its own, and its zone, `wan` if no zone claims it."""
        inside = {zone.name for zone in self.zones if vantage in zone.vantages}
        return frozenset({vantage} | (inside or {WAN}))

    @property
    def assertions(self) -> tuple[Closure | Expectation, ...]:
        """What says something of exposures, in order of precedence."""
        return (*self.closed, *self.expects)
