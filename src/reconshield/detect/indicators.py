"""Indicators of compromise, and which conversations they hit.

    feeds/<format> -> Indicator -> Indicators -> find(rows, ends) -> number of a conversation: the reason in words

An address hits a conversation from either side; with a port only the side that serves, for the port of the other is anybody's.
Names (domains, URLs, fingerprints) are compared exactly with what clients asked for, where a file tells it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet, parse_address
from reconshield.detect.ends import Ends
from reconshield.detect.expected import TRANSPORTS
from reconshield.detect.flows import Naming
from reconshield.text import iso_time

Array = NDArray[Any]

V4_OFFSET = 0xFFFF_0000_0000
WIDEST = {4: 8, 6: 16}
"""Networks of a shorter prefix are no indicators: they would hit everybody."""

DOMAIN = re.compile(r"(?=.{4,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*", re.ASCII)
WITH_PORT = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:/\s]+))[:|](\d{1,5})(?:/(tcp|udp))?")
MOST_HEARD = 100_000


@dataclass(frozen=True, slots=True)
class Indicator:
    """`kind` is address, or one of the kinds of `Naming`. `first` to `last` are the addresses; port 0 is any. `source` says
    where it stands, `label` what it is about; `expires` is a Unix time.
    """

    kind: str
    value: str
    first: int = 0
    last: int = 0
    port: int = 0
    transport: str = ""
    label: str = ""
    source: str = ""
    expires: float | None = None

    def fits(self, port: int, transport: str) -> bool:
        return self.port in (0, port) and self.transport in ("", transport)

    @property
    def because(self) -> str:
        port = f" port {self.port}" if self.port else ""
        about = f" ({self.label})" if self.label else ""
        until = f", until {iso_time(self.expires)[:10]}" if self.expires is not None else ""
        return f"{self.value}{port}{about} is listed in {self.source}{until}"


def parse_indicator(text: str) -> Indicator:
    """What a plain text means: an address, a network, address:port, a domain or a URL. Raises ValueError with the reason."""
    value = text.strip().replace("[.]", ".").replace("hxxp", "http", 1)
    if value.startswith(("http://", "https://")):
        return Indicator("url", value)
    if found := WITH_PORT.fullmatch(value):
        host, port = found[1] or found[2], int(found[3])
        if not 0 < port < 65_536:
            raise ValueError(f"{port} is no port")
        if DOMAIN.fullmatch(host.lower()):
            raise ValueError("a domain with a port is not compared")
        return replace(parse_network(host), port=port, transport=found[4] or "")
    if DOMAIN.fullmatch(value.lower().rstrip(".")):
        return Indicator("domain", value.lower().rstrip("."))
    return parse_network(value)


def parse_network(text: str) -> Indicator:
    try:
        found = ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"{text[:60]!r} is no address, network or domain") from None
    refuse_wide(found, text)
    offset = V4_OFFSET if found.version == 4 else 0
    first, last = int(found.network_address), int(found.broadcast_address)
    return Indicator("address", text.strip(), offset + first, offset + last)


def refuse_wide(found: IPv4Network | IPv6Network, text: str) -> None:
    """Addresses that would hit everybody: very wide networks, and those that are nobody's in particular."""
    if found.prefixlen < WIDEST[found.version]:
        raise ValueError(f"{text} is too wide to say anything")
    if found.is_loopback or found.is_unspecified or found.is_multicast or found.is_link_local:
        raise ValueError(f"{text} is nobody's address in particular")


class Indicators:
    """Indicators in use, and the names heard so far that are among them."""

    def __init__(self, known: Iterable[Indicator] = ()) -> None:
        self._single: dict[int, list[Indicator]] = {}
        self._networks: list[Indicator] = []
        self._names: dict[tuple[str, str], Indicator] = {}
        self._heard: dict[tuple[int, int, int], str] = {}
        for each in known:
            if each.kind != "address":
                self._names.setdefault((each.kind, each.value), each)
            elif each.first == each.last:
                self._single.setdefault(each.first, []).append(each)
            else:
                self._networks.append(each)

    def hear(self, naming: Naming) -> None:
        """Take in a name that a client asked for; kept only where an indicator is about it."""
        value = naming.value.lower().rstrip(".") if naming.kind == "domain" else naming.value
        found = self._names.get((naming.kind, value))
        if found is not None and len(self._heard) < MOST_HEARD:
            key = parse_address(naming.src), parse_address(naming.dst), naming.dport
            self._heard.setdefault(key, found.because)

    def find(self, rows: Array, ends: Ends) -> dict[int, str]:
        """The conversations that are hit, each with its reason."""
        return self._find_names(rows, ends) | self._find_addresses(rows, ends)

    def _find_addresses(self, rows: Array, ends: Ends) -> dict[int, str]:
        ranges = [(each.first, each.last) for each in self._networks] + [(value, value) for value in self._single]
        suspected = ends.within(AddressSet(tuple(ranges)))
        about = {number: self._about(value_of(ends, number)) for number in np.flatnonzero(suspected).tolist()}
        found = {}
        for number in np.flatnonzero(suspected[ends.dst] | suspected[ends.src]).tolist():
            port, transport = int(rows["dport"][number]), TRANSPORTS.get(int(rows["transport"][number]), "")
            served = [each for each in about.get(int(ends.dst[number]), ()) if each.fits(port, transport)]
            began = [each for each in about.get(int(ends.src[number]), ()) if not each.port]
            if hits := served + began:
                found[number] = hits[0].because
        return found

    def _about(self, address: int) -> list[Indicator]:
        return self._single.get(address, []) + [each for each in self._networks if each.first <= address <= each.last]

    def _find_names(self, rows: Array, ends: Ends) -> dict[int, str]:
        if not self._heard:
            return {}
        area = AddressSet(tuple((value, value) for src, dst, _ in self._heard for value in (src, dst)))
        meant = ends.within(area)
        found = {}
        for number in np.flatnonzero(meant[ends.src] & meant[ends.dst]).tolist():
            src, dst = value_of(ends, int(ends.src[number])), value_of(ends, int(ends.dst[number]))
            because = self._heard.get((src, dst, int(rows["dport"][number])))
            if because is not None:
                found[number] = because
        return found


def value_of(ends: Ends, number: int) -> int:
    return int(ends.hi[number]) << 64 | int(ends.lo[number])
