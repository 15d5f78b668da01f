"""Traffic made up from a policy, and what detection says of it.

Addresses stand at the edges of zones and peers and just beside them, ports at the edges of what is allowed: there a renderer
that is wrong by one shows. The verdict is that of `detect`, asked through a conn.log as any file is.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from detect.captures import zeek_conn, zeek_row
from reconshield.addresses import AddressSet, text_of
from reconshield.addresses.sets import V4_FIRST, V4_LAST
from reconshield.detect.flows import Flows
from reconshield.detect.readers import recognise
from reconshield.detect.scene import look_at_parts
from reconshield.detect.tally import Tally
from reconshield.jobs.detect import catalogue_services, make_setting
from reconshield.policy import Policy, Traffic
from reconshield.policy.gates import LINK, UNJUDGED_TYPES

NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "sctp": 132}
SPOKEN = ("", "", "", "", "dns", "smtp", "ssl", "smtp,ssl", "ssl,smtp", "http", "ssh", "krb_tcp", "quic", "pop3")
"""What Zeek writes in the column `service`."""
WITH_PORTS = frozenset({"tcp", "udp", "sctp"})
NOISE = (1, 22, 80, 443, 4444, 65_535)


@dataclass(frozen=True, slots=True)
class Flow:
    """A conversation: `port` is 0 where the protocol has none; `kind` is the type of an ICMP message."""

    src: str
    dst: str
    transport: str
    port: int
    service: str = ""
    kind: int = 0

    @property
    def sender_port(self) -> int:
        """The port of its sender as Zeek has it."""
        return self.kind if self.transport == "icmp" else 50_000

    @property
    def number(self) -> int:
        return NUMBERS[self.transport]


def against_policy(policy: Policy, flows: Sequence[Flow], now: float) -> dict[Flow, bool]:
    """Whether detection's class `policy` speaks against each flow."""
    rows = [
        zeek_row(now - 60, flow.src, flow.dst, flow.port, proto=flow.transport, service=flow.service or "-")
        | {"id.orig_p": flow.sender_port}
        for flow in flows
    ]
    data = zeek_conn(rows)
    first = zeek_conn([]).count(b"\n")  # the lines around the rows: those before them, and one after
    reader = recognise(data)
    assert reader is not None
    with Tally() as tally:
        for item in reader.read([data]):
            assert isinstance(item, Flows), item
            tally.add(item)
        ((scene, _),) = look_at_parts(tally, make_setting(policy, now))
    wrong = scene.verdicts.governed & ~scene.verdicts.allowed
    said = {int(row["record"]): bool(verdict) for row, verdict in zip(scene.rows, wrong, strict=True)}
    assert len(set(flows)) == len(flows), "the flows must differ"
    assert set(said) >= {first + place for place, flow in enumerate(flows) if not may_be_discovery(flow)}
    return {flow: said.get(first + place, False) for place, flow in enumerate(flows)}


def may_be_discovery(flow: Flow) -> bool:
    """Whether detection may pass over a flow in silence."""
    message = flow.transport == "icmp" and flow.kind in UNJUDGED_TYPES[1 if "." in flow.dst else 58]
    return message or (flow.transport == "udp" and flow.port in (67, 68, 546, 547))


def make_flows(
    policy: Policy,
    count: int,
    seed: int,
    services: Iterable[str] = ("",),
    transports: Iterable[str] = (),
    *,
    link: bool = True,
) -> list[Flow]:
    """Different flows between places that the policy names and their neighbours, in both families; with `link` also to and from
    addresses of the link and just beside those.
    """
    random_ = random.Random(seed)
    kinds, spoken = tuple(transports) or tuple(NUMBERS), tuple(services)
    ports = sorted(edge_ports(policy.traffic) | set(NOISE))
    flows: dict[tuple[int, int, str, int], Flow] = {}  # detection sums up what has the same ends
    for number in range(20 * count):
        if len(flows) == count:
            break
        src, dst, near = aim(policy, random_) if number % 2 else (*wander(policy, random_), ports)
        if link and random_.random() < 0.3:
            dst = random_.choice(LINK_EDGES[is_v4(dst)])
            near = sorted({*near, 67, 68, 69, 546, 547, 1900, 5353})
        elif link and random_.random() < 0.05:
            src = random_.choice([value for value in LINK_EDGES[is_v4(dst)] if not is_multicast(value)])
        if src == dst:
            continue
        transport = random_.choice(kinds)
        port = random_.choice(near) if transport in WITH_PORTS else 0
        service = random_.choice(spoken) if transport in {"tcp", "udp"} else ""
        kind = random_.choice(KINDS[is_v4(dst)]) if transport == "icmp" else 0
        flows[src, dst, transport, port] = Flow(text_of(src), text_of(dst), transport, port, service, kind)
    return list(flows.values())


def is_v4(value: int) -> bool:
    return V4_FIRST <= value <= V4_LAST


def is_multicast(value: int) -> bool:
    return value >> 120 == 0xFF or V4_LAST - 2**29 < value <= V4_LAST


KINDS = {True: (0, 3, 5, 8, 11, 13, 135), False: (1, 4, 5, 128, 129, 130, 132, 133, 135, 136, 137, 138, 143, 144)}
LINK_EDGES = {
    family: sorted(
        value
        for first, last in LINK.ranges
        for value in (first - 1, first, first + 0xFB, (first + last) // 2, last, last + 1)
        if is_v4(value) == family == is_v4(first) and value < 2**128
    )
    for family in (True, False)
}


def wander(policy: Policy, random_: random.Random) -> tuple[int, int]:
    """Two places of one family."""
    places = {family: sorted(addresses(policy, family)) for family in (4, 6)}
    family = random_.choice([family for family in (4, 6) if len(places[family]) > 1])
    src, dst = random_.sample(places[family], 2)
    return src, dst


def aim(policy: Policy, random_: random.Random) -> tuple[int, int, list[int]]:
    """Two places and the ports of an entry: what it allows, or nearly."""
    entry = random_.choice(policy.traffic)
    zone = next(zone for zone in policy.zones if zone.name == entry.zone)
    family = random_.choice([family for family in (4, 6) if edges(zone.area, family)])
    own = random_.choice(sorted(edges(zone.area, family)))
    peers = edges(entry.area, family) if entry.peers else addresses(policy, family)
    peer = random_.choice(sorted(peers or addresses(policy, family)))
    ports = sorted(edge_ports([entry]) or NOISE)
    return (peer, own, ports) if entry.direction == "in" else (own, peer, ports)


def addresses(policy: Policy, family: int) -> set[int]:
    """The first, last and a middle address of every range that the policy names, and those beside it."""
    areas = [zone.area for zone in policy.zones] + [entry.area for entry in policy.traffic]
    areas += [AddressSet.of("203.0.113.9", "2001:db8:ffff::9")]
    return {value for area in areas for value in edges(area, family)}


def edges(area: AddressSet, family: int) -> set[int]:
    """Addresses in a set at its borders and in its middle, and those just outside, but none that no host can have."""
    found = {value for first, last in area.ranges for value in (first - 1, first, (first + last) // 2, last, last + 1)}
    if family == 4:  # neither 0.0.0.0/8 nor loopback nor multicast
        hosts = {value for value in found if V4_FIRST + 2**24 <= value <= V4_LAST - 2**29}
        return {value for value in hosts if (value - V4_FIRST) >> 24 != 127}
    return {value for value in found if (0x2000 << 112) <= value < (0xFE00 << 112)}


def edge_ports(entries: Iterable[Traffic]) -> set[int]:
    services = catalogue_services()
    listed = list(entries)
    sets = [entry.port_set for entry in listed if entry.port_set]
    sets += [services.ports_of(name) for entry in listed for name in entry.service_ids]
    found: set[int] = set()
    for ports in sets:
        for first, last in (*ports.tcp, *ports.udp):
            found |= {first - 1, first, last, last + 1}
    return {port for port in found if 0 < port <= 65_535}
