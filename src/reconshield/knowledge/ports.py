"""Which ports are common, what a port usually has, and which ports get no byte.

The order of common ports is our own judgement, not a measured frequency: first the few that most networks show
(`MOST_COMMON`), then the catalogue's endpoints (the clusters that most networks run before the rarer ones, a service's own
port before its other ports), then registered system ports, then registered user ports, then all others by number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reconshield.errors import UserError
from reconshield.knowledge import registry
from reconshield.knowledge.index import load_index

HELD_BACK = Path(__file__).with_name("held_back.toml")
COMMON_CLUSTERS = (
    "web",
    "remote-access",
    "mail",
    "name-services",
    "files",
    "directory",
    "databases",
    "network-management",
    "control-planes",
    "vpn",
    "discovery",
    "messaging",
    "monitoring",
    "developer",
    "proxies",
    "printing",
    "media",
    "backup",
    "ot",
    "p2p",
    "games",
    "crypto",
    "diagnostics",
    "other",
)

MOST_COMMON = {
    "tcp": "80 443 22 445 3389 21 25 53 23 135 139 8080 143 110 993 995 587 465 3306 5900 8443 111 389 636 88 464 5985 1433"
    " 5432 631 515 9100 548 554 2049 873 5060 8000 8888 8008 1723 179 6379 27017 9200 1883 3128 5357 7547 10000 9090 8081 3000"
    " 5000 5001 1521 2222 8009 6443 10250 2375 3268 5986 5222",
    "udp": "53 123 161 137 67 68 500 4500 1900 5353 69 138 514 389 88 111 520 5060 5355 3702 631 623 1194 51820 1434 162 1701"
    " 443 3478 5351 1812 1813 11211 19 17 7 427 5683 3389 47808",
}
"""What a scan with few ports should ask first; each stands in the catalogue."""


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Why an endpoint gets the SYN or one connection and no byte: what kind of device, the reason, a source id."""

    kind: str
    reason: str
    source: str


def usual_service(port: int, transport: str) -> str | None:
    """The service id that a port usually has, by the catalogue; a guess by number, never an identification."""
    rows = load_index().at(port, transport)
    return rows[0].service if rows else None


def top_ports(count: int, transport: str = "tcp") -> tuple[int, ...]:
    """The `count` most common ports (1 to 65,535) of a transport in the order described above."""
    return _all_ports(transport)[: max(count, 0)]


@cache
def _all_ports(transport: str) -> tuple[int, ...]:
    index = load_index()

    def commonness(port: int) -> tuple[int, int, int]:
        best = index.at(port, transport)[0]
        clusters = index.services[best.service].clusters
        return best.position > 0, min(COMMON_CLUSTERS.index(cluster) for cluster in clusters), port

    first = [int(port) for port in MOST_COMMON[transport].split()]
    documented = sorted((port for port, name in index.ports if name == transport and port > 0), key=commonness)
    registered = [
        port for row in registry.all_rows() if row.covers(transport) and row.low > 0 for port in range(row.low, row.high + 1)
    ]
    return tuple(dict.fromkeys([*first, *documented, *sorted(registered), *range(1, 65536)]))


def held_back(port: int, transport: str) -> HeldBack | None:
    """Why a port must get no byte, or None when it may be asked."""
    return _held_back_ports().get((port, transport))


@cache
def _held_back_ports() -> dict[tuple[int, str], HeldBack]:
    import tomllib

    rows = tomllib.loads(HELD_BACK.read_text(encoding="utf-8"))["held_back"]
    return {
        (port, transport): HeldBack(row["kind"], row["reason"], row["source"])
        for row in rows
        for part in row["ports"].split(",")
        for port in _span(part)
        for transport in row["transports"]
    }


def _span(part: str) -> range:
    low, _, high = part.partition("-")
    return range(int(low), int(high or low) + 1)


def check_port(port: int, where: str) -> None:
    """Raise UserError for a number that is no port."""
    if not 0 <= port <= 65535:
        hint = f"reconshield port {str(port).lstrip('-')[:4] or 110}"
        raise UserError(f"port {port} is out of range (0–65535)", where=where, hint=hint)
