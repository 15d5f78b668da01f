"""What the classes of evidence look at: the conversations, and all that they are held against.

Tally + Setting -> look_at_parts -> Scene -> a `Column` for each class of evidence (`detect.classes`)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet, PortSet
from reconshield.detect.crowd import Counts, Crowd, count_here, count_hosts, hosts_here
from reconshield.detect.ends import Ends
from reconshield.detect.evidence import Kind
from reconshield.detect.expected import TRANSPORTS, Services, TrafficPolicy, Verdicts
from reconshield.detect.flows import Naming
from reconshield.detect.tally import Chosen, Tally
from reconshield.detection import Evidence
from reconshield.policy import Policy
from reconshield.text import place_text

Array = NDArray[Any]
Explain = Callable[[int], Evidence]

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10", "::1/128")


@dataclass(frozen=True, slots=True)
class OwnScan:
    """A scan of ours: from where, of what, when. Its traffic is expected."""

    run: str
    sources: AddressSet
    targets: AddressSet
    ports: PortSet
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class PortUse:
    """A documented use of a port by malware or a tool."""

    family: str
    tier: str
    attack: str
    source: str
    year: int


@dataclass(frozen=True, slots=True)
class Setting:
    """All that flows are held against."""

    now: float
    policy: Policy = field(default_factory=Policy)
    services: Services = field(default_factory=Services)
    port_uses: Callable[[int, str], tuple[PortUse, ...]] = lambda _port, _transport: ()
    scans: tuple[OwnScan, ...] = ()
    indicators: Callable[[Array, Ends], Mapping[int, str]] = lambda _rows, _ends: {}
    hear: Callable[[Naming], None] = lambda _: None
    """Takes the names that clients asked for, before `indicators` is asked."""
    sources: tuple[str, ...] = ()
    """What the files are called, by the numbers that the tally has for them."""
    listeners: Callable[[Array, Ends], Mapping[int, str]] = lambda _rows, _ends: {}
    first_seen: Callable[[Array, Ends], Array] | None = None
    """When each conversation was first seen in earlier data (NaN: never); None where no earlier data is known."""


@dataclass(frozen=True, slots=True)
class Column:
    """One class of evidence for all conversations."""

    kind: Kind
    points: Array
    explain: Explain


@dataclass(frozen=True, slots=True)
class Scene:
    """What the columns look at."""

    rows: Array
    ends: Ends
    apps: tuple[str, ...]
    setting: Setting
    inside: Array
    verdicts: Verdicts
    span: tuple[float, float]
    crowd: Crowd


def look_at_parts(tally: Tally, setting: Setting) -> Iterator[tuple[Scene, Chosen]]:
    """The scenes of parts of them that fit into memory, each with what gives the moments of chosen conversations of it."""
    area = inner_area(setting)
    hosts = count_hosts(tally, area) if tally.spilled else None
    for group in tally.groups():
        counts = Counts(group, area) if len(group) > 1 else None
        for read in group:
            part = read()
            yield make_scene(part.rows, tally, setting, area, hosts, counts), part.moments


def make_scene(
    rows: Array, tally: Tally, setting: Setting, area: AddressSet, hosts: int | None, counts: Counts | None
) -> Scene:
    """The scene of these conversations; `area` is what is inside. What is None is counted in them."""
    ends = Ends(rows)
    inside = ends.within(area)
    verdicts = TrafficPolicy(setting.policy, setting.services, setting.now).judge(rows, ends, tally.apps)
    clients, talkers = counts.of(rows) if counts else count_here(rows, ends, inside)
    crowd = Crowd(clients, talkers, hosts_here(ends, inside) if hosts is None else hosts)
    return Scene(rows, ends, tally.apps, setting, inside, verdicts, tally.span, crowd)


def inner_area(setting: Setting) -> AddressSet:
    """What is inside: private addresses, and those of the zones."""
    return union([*map(network, PRIVATE), *(zone.area for zone in setting.policy.zones)])


def union(areas: Iterable[AddressSet]) -> AddressSet:
    return AddressSet(tuple(pair for area in areas for pair in area.ranges))


def network(text: str) -> AddressSet:
    """The addresses of `network/prefix`."""
    found = ip_network(text)
    offset = 0xFFFF_0000_0000 if found.version == 4 else 0
    return AddressSet(((offset + int(found[0]), offset + int(found[-1])),))


def by_endpoint(scene: Scene, points: Callable[[int, str, str], int]) -> Array:
    """A column that depends on port, transport and protocol only: each different combination is judged once."""
    rows = scene.rows
    keys = rows["app"].astype(np.int64) << 24 | rows["transport"].astype(np.int64) << 16 | rows["dport"]
    different, which = np.unique(keys, return_inverse=True)
    values = [
        points(key & 0xFFFF, name, scene.apps[key >> 24]) if (name := TRANSPORTS.get(key >> 16 & 0xFF)) else 0
        for key in different.tolist()
    ]
    return np.array(values, np.int64)[which.reshape(-1)]


def endpoint_of(scene: Scene, number: int) -> tuple[int, str]:
    transport = int(scene.rows["transport"][number])
    return int(scene.rows["dport"][number]), TRANSPORTS.get(transport) or str(transport)


def service_text(setting: Setting, port: int, transport: str) -> str:
    usual = setting.services.at(port, transport)
    return usual[0][0] if usual else place_text(port, transport)
