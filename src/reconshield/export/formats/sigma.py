"""Sigma: one rule for each direction of each zone, for Zeek's conn.log or whatever a pipeline maps from it.

The condition is what detection asks: the zone is on this side, not on the other, and no entry allows it. An entry with services
allows what was recognised as one of them, and on their ports what was not recognised or is inside TLS or QUIC.
Source: Sigma specification 2.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from reconshield.addresses import PortSet
from reconshield.export.enclaves import Allowance, Enclaves, Gate
from reconshield.export.format import Format
from reconshield.export.places import Networks, networks
from reconshield.export.wording import ended_words, entry_words, gate_words, preamble, stable_id
from reconshield.export.yaml_text import yaml_text
from reconshield.knowledge.dialects import zeek_names
from reconshield.policy.gates import LINK_NETWORKS, SELF_PORTS, UNJUDGED_TYPES

Table = dict[str, Any]
WRAPS = ("tls", "quic")
"""What hides other protocols."""

CANNOT = (
    "when an entry ends",
    "which side began a connection that was under way when the sensor was started: Zeek guesses",
    "IGMP, which conn.log does not tell from other protocols that Zeek does not know (unknown_transport)",
)


def render(enclaves: Enclaves) -> str:
    head = "".join(f"# {line}\n" for line in preamble(enclaves, "What zones may not talk, as Sigma rules", CANNOT))
    rules = (yaml_text(rule(gate)) for gate in enclaves.gates if not gate.free)
    return head + "".join(f"---\n{rule}" for rule in rules)


def rule(gate: Gate) -> Table:
    detection = make_detection(gate)
    name = f"{gate.zone.name} {gate.direction}"
    return {
        "title": f"Traffic {gate_words(gate)} that the policy does not allow",
        "id": str(stable_id("sigma", name, json.dumps(detection))),
        "status": "experimental",
        "description": "\n".join(description(gate)),
        "author": "ReconShield",
        "logsource": {"product": "zeek", "service": "conn"},
        "detection": detection,
        "falsepositives": [f"A change of {gate.zone.name} that the policy does not list yet"],
        "level": "high" if gate.zone.secure else "medium",
    }


def description(gate: Gate) -> Iterator[str]:
    yield "Allowed:" if gate.allowed else "Nothing is allowed."
    yield from (f"- {entry_words(each.entry)}" for each in gate.allowed)
    yield from (f"- {ended_words(entry)}" for entry in gate.ended)


def make_detection(gate: Gate) -> Table:
    """The selections, and the condition that joins them."""
    mine, other = ("id.resp_h", "id.orig_h") if gate.direction == "in" else ("id.orig_h", "id.resp_h")
    own, near = networks(gate.own, hulls=gate.hulls), networks(gate.near, hulls=gate.hulls)
    found: Table = {}
    zone, other_side = place_term(found, "zone", mine, own), place_term(found, "other_side", other, near)
    condition = [zone, other_side if gate.direction == "within" else f"not {other_side}"]
    for number, each in enumerate(gate.allowed, 1):
        nets = networks(each.peers, hulls=gate.hulls)
        if nets.nothing:
            continue
        terms = spoken_terms(found, f"allowed_{number}", each)
        if not nets.everything:
            terms.append(place_term(found, f"peers_{number}", other, nets))
        condition.append(f"not ({' and '.join(terms)})")
    found["unjudged"] = unjudged_maps(gate)
    condition.append("not unjudged")
    return found | {"condition": " and ".join(condition)}


def unjudged_maps(gate: Gate) -> list[Table]:
    """What is never judged: some messages of ICMP, whose type Zeek has as the port, and DHCP to the link."""
    errors = {"proto": "icmp", "id.orig_p": list(UNJUDGED_TYPES[1]), "id.resp_h|cidr": "0.0.0.0/0"}
    messages = {"proto": ["icmp", "icmp6"], "id.orig_p": list(UNJUDGED_TYPES[58]), "id.resp_h|contains": ":"}
    ports = [port for first, last in SELF_PORTS.udp for port in range(first, last + 1)]
    link = [net if "/" in net else f"{net}/32" for net in LINK_NETWORKS]
    asks = {"proto": "udp", "id.resp_p": ports, "id.resp_h|cidr": link}
    return [errors, messages, asks] if gate.direction == "within" else [errors, messages]


def place_term(found: Table, name: str, field: str, nets: Networks) -> str:
    """Adds the selections of some networks; the term that says whether an address is among them."""
    found[name] = {f"{field}|cidr": list(nets.cidrs)}
    if nets.negated:
        return f"not {name}"
    if not nets.holes:
        return name
    found[f"{name}_inner"] = {f"{field}|cidr": list(nets.holes)}
    return f"({name} and not {name}_inner)"


def spoken_terms(found: Table, name: str, each: Allowance) -> list[str]:
    """Adds the selections of what an entry allows; the terms that must hold. None: it allows anything."""
    if each.anything:
        return []
    terms = []
    if each.numbered:
        found[f"{name}_ports"] = port_maps(each.numbered)
        terms.append(f"{name}_ports")
    if each.services:
        found[f"{name}_spoken"] = {"service": spellings([name for name, _ in each.services])}
        terms.append(f"{name}_spoken")
    if each.usual:
        found[f"{name}_usual"] = port_maps(each.usual)
        found["unseen"] = [{"service": None}, {"service": ["", "-", *spellings(list(WRAPS))]}]
        terms.append(f"({name}_usual and unseen)")
    return [f"({' or '.join(terms)})"] if len(terms) > 1 else terms


def spellings(services: list[str]) -> list[str]:
    """How a protocol can stand in Zeek's list of them: alone, first, last, between."""
    names = sorted({name for service in services for name in zeek_names(service)})
    return [text for name in names for text in (name, f"{name},*", f"*,{name}", f"*,{name},*")]


def port_maps(ports: PortSet) -> list[Table]:
    """Single ports of a transport together, each range alone: any of the maps must fit."""
    maps: list[Table] = []
    for transport, ranges in (("tcp", ports.tcp), ("udp", ports.udp)):
        single = [first for first, last in ranges if first == last]
        if single:
            maps.append({"proto": transport, "id.resp_p": single})
        maps += [{"proto": transport, "id.resp_p|gte": first, "id.resp_p|lte": last} for first, last in ranges if first != last]
    return maps


FORMAT = Format("sigma", "Sigma rules", render, CANNOT)
