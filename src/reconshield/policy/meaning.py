"""What the texts in a policy mean: addresses, places by name, ports, services, durations, windows.

`Meaning` gathers a fault, with its path, for every text that means nothing; what it returns then is empty and is never used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from reconshield.addresses import AddressSet, PortSet, parse_ports, parse_target
from reconshield.errors import UserError
from reconshield.policy import records as r
from reconshield.policy.known import Known, suggest
from reconshield.schedule import Window, parse_period, parse_window
from reconshield.toml.faults import line_of
from reconshield.toml.schema import Fault, Path


def union_of(areas: Iterable[AddressSet]) -> AddressSet:
    return AddressSet(tuple(pair for area in areas for pair in area.ranges))


@dataclass(slots=True)
class Meaning:
    """`known` explains names of services and checks, `lines` where things stand, `named` what may stand in `on`."""

    known: Known
    lines: Mapping[Path, int]
    faults: list[Fault]
    named: dict[str, r.Place] = field(default_factory=dict)

    def fault(self, path: Path, message: str, hint: str = "") -> None:
        self.faults.append(Fault(path, message, hint))

    def line(self, *path: str | int) -> int:
        return line_of(self.lines, path)

    def name_places(self, zones: tuple[r.Zone, ...], assets: tuple[r.Asset, ...]) -> None:
        """What may stand in `on`: zones and assets share one space of names."""
        self.named[r.WAN] = r.Place(r.WAN, "zone", r.EVERYWHERE - union_of(zone.area for zone in zones))
        lines = {r.WAN: 0}
        entries: list[tuple[str, int, r.Zone | r.Asset]] = [("zone", number, zone) for number, zone in enumerate(zones)]
        entries += [("asset", number, asset) for number, asset in enumerate(assets)]
        for table, number, entry in entries:
            if entry.name in lines:
                before = f"on line {lines[entry.name]}" if lines[entry.name] else "the zone of what is in no zone"
                self.fault((table, number, "name"), f"the name {entry.name} stands twice ({before})", "give it another name")
                continue
            lines[entry.name] = entry.line
            self.named[entry.name] = r.Place(entry.name, table, entry.area)

    def refuse_twice(self, table: str, names: list[str]) -> None:
        for number, name in enumerate(names):
            if name in names[:number]:
                line = self.line(table, names.index(name))
                self.fault((table, number, "name"), f"the name {name} stands twice (on line {line})", "give it another name")

    def read_area(self, text: str, path: Path) -> AddressSet:
        """The addresses of one target. Names are refused: what a policy means must not depend on a resolver."""
        try:
            target = parse_target(text, wide=True)
        except UserError as error:
            self.fault(path, f"{text}: {error.message}", error.hint or "")
            return r.NOWHERE
        if target.addresses is None:
            self.fault(path, f"{text} is no address or network", "write 192.0.2.5, 192.0.2.0/24 or 2001:db8::/64")
        return target.addresses or r.NOWHERE

    def read_places(self, texts: tuple[str, ...], path: Path, *, hosts: bool = False) -> tuple[r.Place, ...]:
        """The places of `on`. With `hosts`, a host name may stand there too; its addresses are looked up at its time."""
        return tuple(place for text in texts if (place := self.read_place(text, path, hosts=hosts)))

    def read_place(self, text: str, path: Path, *, hosts: bool) -> r.Place | None:
        if text in self.named:
            return self.named[text]
        try:
            target = parse_target(text, wide=True)
        except UserError as error:
            self.fault(path, f"{text}: {error.message}", error.hint or "")
            return None
        if target.addresses is not None:
            return r.Place(text, "address" if target.addresses.count == 1 else "network", target.addresses)
        if hosts and ("." in text or text == "localhost"):
            return r.Place(text, "host", r.NOWHERE)
        self.fault(
            path, f"no zone or asset is called {text}", suggest(text, self.named, "declare it with [[zone]] or [[asset]]")
        )
        return None

    def read_ports(self, text: str | None, path: Path) -> PortSet | None:
        if text is None:
            return None
        try:
            asked = parse_ports(text)
            found = asked.ports
            for transport, name in asked.names:
                found |= self.ports_named(name, transport)
        except UserError as error:
            hint = (error.hint or "").removeprefix("reconshield port ")
            self.fault(path, f"{error.message}: {text[:60]}", f'ports = "{hint[3:]}"' if hint.startswith("-p ") else hint)
            return PortSet()
        return found

    def ports_named(self, name: str, transport: str = "") -> PortSet:
        """The ports of a service or cluster. Raises UserError for one that nobody knows."""
        pairs = self.known.ports_of(name, transport)
        return PortSet(*(tuple((port, port) for kind, port in pairs if kind == t) for t in ("tcp", "udp")))

    def usual_ports(self, services: frozenset[str]) -> PortSet:
        """Where services commonly are: there it is looked for them when no ports are named."""
        found = PortSet()
        for name in services:
            with suppress(UserError):  # one without a port of its own, such as `unknown`, is looked for nowhere
                found |= self.ports_named(name)
        return found

    def read_services(self, names: tuple[str, ...], path: Path) -> frozenset[str]:
        found: set[str] = set()
        for name in names:
            service = self.known.service_id(name)
            if service is None:
                near = self.known.near_services(name)
                hint = f"did you mean {' or '.join(near[:2])}?" if near else "reconshield ports lists them"
                self.fault(path, f"unknown service {name}", hint)
            else:
                found.add(service)
        return frozenset(found)

    def read_duration(self, text: str | None, path: Path) -> float | None:
        """Seconds; None where nothing is given."""
        try:
            return None if text is None else parse_period(text, "")
        except UserError as error:
            self.refuse(path, text, error)
            return None

    def read_window(self, text: str, path: Path) -> Window | None:
        try:
            return parse_window(text, "")
        except UserError as error:
            self.refuse(path, text, error)
            return None

    def refuse(self, path: Path, text: str | None, error: UserError) -> None:
        """The fault of a text that another module could not read."""
        self.fault(path, f"{error.message}: {text}", error.hint or "")
