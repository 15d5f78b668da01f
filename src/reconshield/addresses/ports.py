"""Ports as people write them, in nmap's syntax, read into sets.

    22,80,1-1024   -   1-   -1024        numbers and ranges; a lone `-` is 1-65535
    T:80,U:53,161                        a prefix holds until the next one; without one it is TCP
    pop3,U:@common-udp                   services and clusters by name; `knowledge` knows their numbers

Names come back beside the numbers, with the transport of the prefix they stood under ("" if there was none).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconshield.addresses import intervals
from reconshield.addresses.intervals import Ranges
from reconshield.errors import UserError

LAST_PORT = 65535
PREFIXES = {"t": "tcp", "u": "udp"}
NUMBERS = re.compile(r"([0-9]*)(-?)([0-9]*)", re.ASCII)
NAME = re.compile(r"@?[a-z0-9][a-z0-9+._/-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PortSet:
    """TCP and UDP ports, each as sorted, merged, inclusive ranges. Any ranges may be given, in any order."""

    tcp: Ranges = ()
    udp: Ranges = ()

    def __post_init__(self) -> None:
        for transport in ("tcp", "udp"):
            merged = intervals.merge(getattr(self, transport))
            if merged and not 0 <= merged[0][0] <= merged[-1][1] <= LAST_PORT:
                raise ValueError("not a port number")
            object.__setattr__(self, transport, merged)

    @property
    def count(self) -> int:
        return intervals.count(self.tcp) + intervals.count(self.udp)

    def __bool__(self) -> bool:
        return bool(self.tcp or self.udp)

    def __contains__(self, endpoint: tuple[str, int]) -> bool:
        """Whether ("tcp", 110) or ("udp", 53) is in the set."""
        transport, port = endpoint
        return intervals.contains({"tcp": self.tcp, "udp": self.udp}[transport], port)

    def __or__(self, other: PortSet) -> PortSet:
        return PortSet(self.tcp + other.tcp, self.udp + other.udp)

    def __and__(self, other: PortSet) -> PortSet:
        return PortSet(intervals.intersect(self.tcp, other.tcp), intervals.intersect(self.udp, other.udp))

    def __sub__(self, other: PortSet) -> PortSet:
        return PortSet(intervals.subtract(self.tcp, other.tcp), intervals.subtract(self.udp, other.udp))

    def text(self) -> str:
        """As it would be written: `1-1024,U:53`. An empty set is an empty text."""
        udp = ranges_text(self.udp)
        return ",".join(part for part in (ranges_text(self.tcp), f"U:{udp}" if udp else "") if part)


@dataclass(frozen=True, slots=True)
class PortRequest:
    """What `-p` asked for: the numbers, and pairs of transport ("" = any) and name that are still to be looked up."""

    ports: PortSet
    names: tuple[tuple[str, str], ...] = ()


def ranges_text(ranges: Ranges) -> str:
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def parse_ports(text: str) -> PortRequest:
    """Read the value of `-p`. A number beyond 65,535, a reversed range, an empty part or an odd name is a `UserError`."""
    numbers: dict[str, list[tuple[int, int]]] = {"tcp": [], "udp": []}
    names: dict[tuple[str, str], None] = {}
    transport = ""
    for element in text.strip().lower().split(","):
        transport, part = split_prefix(element.strip(), transport, text)
        if re.fullmatch(r"[0-9-]+", part, re.ASCII):
            numbers[transport or "tcp"].append(read_range(part, text))
        else:
            names[transport, read_name(part, text)] = None
    return PortRequest(PortSet(tuple(numbers["tcp"]), tuple(numbers["udp"])), tuple(names))


def split_prefix(element: str, transport: str, text: str) -> tuple[str, str]:
    """The transport that holds from here on, and the part after the prefix."""
    prefix, colon, part = element.rpartition(":")
    if colon and prefix not in PREFIXES:
        raise UserError(f"unknown prefix {prefix}: of a port", where=f"-p {text}", hint="-p T:80,U:53 (T: is TCP, U: is UDP)")
    if not part:
        kept = ",".join(piece.strip() for piece in text.split(",") if piece.strip(" :TtUu"))
        raise UserError("a port is missing", where=f"-p {text}", hint=f"-p {kept or '1-1024'}")
    return PREFIXES.get(prefix, transport), part


def read_range(part: str, text: str) -> tuple[int, int]:
    match = NUMBERS.fullmatch(part)
    if match is None:
        raise UserError(f"{part} is no port or range of ports", where=f"-p {text}", hint="-p 22,80,1-1024")
    for number in (match[1], match[3]):
        if number and (len(number) > 9 or int(number) > LAST_PORT):
            # The likeliest slip is a digit too many.
            hint = f"-p {text.replace(number, (number.lstrip('0') or '0')[:4], 1)}"
            raise UserError(f"port {number[:12]} is out of range (0–65535)", where=f"-p {text[:60]}", hint=hint[:80])
    first = int(match[1] or 1)
    last = int(match[3] or LAST_PORT) if match[2] else first
    if last < first:
        raise UserError(
            f"the port range {part} is reversed", where=f"-p {text}", hint=f"-p {text.replace(part, f'{last}-{first}', 1)}"
        )
    return first, last


def read_name(part: str, text: str) -> str:
    """The name of a service, or of a cluster after @."""
    if not NAME.fullmatch(part):
        raise UserError(f"{part[:40]!r} is no port", where=f"-p {text[:60]}", hint="-p 22,80,1-1024 or -p pop3,@email")
    return part
