"""nftables: rules that log and count what is against the policy. They never drop.

A table of its own, before the usual filter (priority -5), so that what another table stops is logged too. Each new connection
is led to the chains of the zones it touches; an entry of the policy is a `return`, and what reaches a chain's end is logged.
An entry that has an end carries it (`meta time`, Linux 5.4). Source: nft(8).
"""

from __future__ import annotations

from collections.abc import Iterator

from reconshield.addresses import AddressSet
from reconshield.addresses.intervals import Ranges
from reconshield.export.enclaves import Allowance, Enclaves, Gate
from reconshield.export.format import Format
from reconshield.export.places import IPV4, IPV6, Networks, networks
from reconshield.export.wording import BLIND, ended_words, entry_words, gate_title, gate_words, preamble
from reconshield.policy.gates import DISCOVERY_TYPES, LINK, SELF_PORTS

TABLE = "reconshield_policy"
PRIORITY = "filter - 5"
HOOKS = ("forward", "input", "output")
FAMILIES = (("ip", "ipv4", IPV4), ("ip6", "ipv6", IPV6))
OTHER = {"out": "daddr", "in": "saddr", "within": "daddr"}
ADDRESS_TYPES = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}
CANNOT = (
    BLIND,
    "what does not pass this machine: hosts of one segment reach each other without it",
    "connections that follow from another one (state related: FTP data, errors of ICMP): not logged",
)


def render(enclaves: Enclaves) -> str:
    lines = [
        f"# {line}" for line in preamble(enclaves, "What zones may not talk, as log rules for nftables", CANNOT, ends=True)
    ]
    lines += ["", f"table inet {TABLE} {{}}", f"delete table inet {TABLE}", f"table inet {TABLE} {{"]
    for gate in zones_of(enclaves):
        lines += zone_sets(gate)
    for hook in HOOKS:
        lines += [
            f"  chain {hook} {{",
            f"    type filter hook {hook} priority {PRIORITY}; policy accept;",
            "    ct state new jump zones",
            "  }",
        ]
    lines += ["  chain zones {", '    iif "lo" return', '    oif "lo" return', *(f"    {line}" for line in discovery())]
    lines += [f"    {line}" for gate in enclaves.gates for line in jumps(gate)]
    lines.append("  }")
    for gate in enclaves.gates:
        lines += [
            f"  chain {chain_name(gate)} {{",
            f"    # {gate_words(gate)}",
            *(f"    {line}" for line in rules(gate)),
            "  }",
        ]
    return "\n".join([*lines, "}", ""])


def discovery() -> Iterator[str]:
    """What is never judged."""
    ports = listed(ranges_of(SELF_PORTS.udp))
    yield "meta l4proto igmp return"
    yield f"icmpv6 type {listed(tuple(map(str, DISCOVERY_TYPES)))} return"
    yield from (f"{family} daddr {listed((LINK & space).cidrs())} udp dport {ports} return" for family, _, space in FAMILIES)


def zones_of(enclaves: Enclaves) -> list[Gate]:
    """A gate of each zone."""
    return list({gate.zone.name: gate for gate in enclaves.gates}.values())


def chain_name(gate: Gate) -> str:
    return f"{gate.direction}_{gate.zone.name}"


def set_name(gate: Gate, family: str) -> str:
    return f"zone_{gate.zone.name}_{family}"


def zone_sets(gate: Gate) -> Iterator[str]:
    for family, _, space in FAMILIES:
        cidrs = (gate.zone.area & space).cidrs()
        if cidrs:
            yield f"  set {set_name(gate, family)} {{"
            yield f"    type {ADDRESS_TYPES[family]}; flags interval;"
            yield f"    elements = {{ {', '.join(cidrs)} }}"
            yield "  }"


def jumps(gate: Gate) -> Iterator[str]:
    """Which packets a gate is about."""
    for family, _, space in FAMILIES:
        if not gate.zone.area & space:
            continue
        own, link = f"@{set_name(gate, family)}", ((LINK - gate.zone.area) & space).cidrs()
        if gate.direction == "in":
            apart = (gate.zone.area - gate.own) & space
            without = f" {family} daddr != {listed(apart.cidrs())}" if apart else ""
            yield f"{family} daddr {own}{without} {family} saddr != {own} jump {chain_name(gate)}"
        elif gate.direction == "out":
            beyond = f" {family} daddr != {listed(link)}" if link else ""
            yield f"{family} saddr {own} {family} daddr != {own}{beyond} jump {chain_name(gate)}"
        else:
            yield f"{family} saddr {own} {family} daddr {own} jump {chain_name(gate)}"
            if link:
                yield f"{family} saddr {own} {family} daddr {listed(link)} jump {chain_name(gate)}"


def rules(gate: Gate) -> Iterator[str]:
    for each in gate.allowed:
        yield f"# {entry_words(each.entry)}"
        yield from returns(gate, each)
    for entry in gate.ended:
        yield f"# {ended_words(entry)}"
    yield f'counter limit rate 10/minute burst 5 packets log prefix "RS-POLICY {gate_title(gate)} "'


def returns(gate: Gate, each: Allowance) -> Iterator[str]:
    time = f"meta time < {int(each.entry.ends)}" if each.entry.ends is not None else ""
    for place in places(gate, each.peers):
        for ports in [""] if each.anything else port_matches(each):
            yield " ".join(part for part in (time, place, ports, "return") if part)


def places(gate: Gate, area: AddressSet) -> list[str]:
    """The matches of an area in both families; an empty one where it is everywhere."""
    found = [(family, protocol, networks(area, space, gate.hulls)) for family, protocol, space in FAMILIES]
    if all(nets.everything for _, _, nets in found):
        return [""]
    return [
        f"meta nfproto {protocol}" if nets.everything else address_match(f"{family} {OTHER[gate.direction]}", nets)
        for family, protocol, nets in found
        if not nets.nothing
    ]


def address_match(side: str, nets: Networks) -> str:
    without = f" {side} != {listed(nets.holes)}" if nets.holes else ""
    return f"{side} {'!= ' if nets.negated else ''}{listed(nets.cidrs)}{without}"


def port_matches(each: Allowance) -> list[str]:
    ports = each.ports
    return [f"{name} dport {listed(ranges_of(ranges))}" for name, ranges in (("tcp", ports.tcp), ("udp", ports.udp)) if ranges]


def ranges_of(ranges: Ranges) -> tuple[str, ...]:
    return tuple(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def listed(values: tuple[str, ...]) -> str:
    return values[0] if len(values) == 1 else f"{{ {', '.join(values)} }}"


FORMAT = Format("nftables", "nftables rules that log", render, CANNOT)
