"""Suricata: alert rules for connections that are against the policy.

A `pass` rule for what is allowed would also silence everybody else's rules for it, so there are only alerts: each for peers and
ports that no entry allows. TCP by its first packet (SYN), so refused attempts count; at most one alert an hour for each source.
Source: Suricata user guide, rules format.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import product

from reconshield.addresses import AddressSet, PortSet
from reconshield.addresses.intervals import Ranges
from reconshield.errors import UserError
from reconshield.export.enclaves import ALL_PORTS, Enclaves, Gate, Lane, lanes
from reconshield.export.format import Format
from reconshield.export.places import networks
from reconshield.export.wording import BLIND, ended_words, entry_words, gate_title, gate_words, preamble
from reconshield.policy.gates import DISCOVERY_PROTOCOL

FIRST_SID, LAST_SID = 1_700_000, 1_799_999
"""A part of what is free for local rules (1,000,000–1,999,999)."""

LONGEST = 8191
"""Characters of a rule: its readers have 8,192 octets for a line."""

TOGETHER = 70
"""So many networks stand in one rule; more are spread over several."""

ONCE = "threshold:type limit, track by_src, seconds 3600, count 1"
NO_PORTS = (6, 17, 1, 58, DISCOVERY_PROTOCOL)
CANNOT = (
    BLIND,
    "when an entry ends",
    "ICMP: neighbour discovery and error messages would be most of the alerts",
)


def render(enclaves: Enclaves) -> str:
    lines = [f"# {line}" for line in preamble(enclaves, "What zones may not talk, as rules for Suricata", CANNOT)]
    taken: set[int] = set()
    for gate in enclaves.gates:
        lines += ["", f"# {gate_words(gate)}"]
        lines += [f"# allowed: {entry_words(each.entry)}" for each in gate.allowed]
        lines += [f"# {ended_words(entry)}" for entry in gate.ended]
        lines += [numbered(*rule, taken) for lane in lanes(gate) for rule in rules(gate, lane)]
    return "\n".join(lines) + "\n"


def rules(gate: Gate, lane: Lane) -> Iterator[tuple[str, str]]:
    """Head and options of the rules for what a lane does not allow."""
    own, peers = addresses(gate, gate.own), addresses(gate, lane.peers)
    for src, dst in product(*((peers, own) if gate.direction == "in" else (own, peers))):
        yield from pair_rules(gate, lane, src, dst)


def pair_rules(gate: Gate, lane: Lane, src: str, dst: str) -> Iterator[tuple[str, str]]:
    weight = "high" if gate.zone.secure else "medium"
    said = f'msg:"RECONSHIELD {gate_title(gate)}: not in the policy"'
    told = f"classtype:policy-violation; metadata:reconshield_zone {gate.zone.name}, signature_severity {weight}"
    for transport, first in (("tcp", "flow:to_server; flags:S,CE"), ("udp", "flow:to_server")):
        if (numbers := port_list(lane.ports, transport)) is not None:
            yield f"alert {transport} {src} any -> {dst} {numbers}", f"{said}; {first}; {ONCE}; {told}"
    if not lane.anything:
        others = "; ".join(f"ip_proto:!{number}" for number in NO_PORTS)
        yield f"alert ip {src} any -> {dst} any", f"{said}; {others}; {ONCE}; {told}"


def numbered(head: str, options: str, taken: set[int]) -> str:
    """A rule with its id, made of what it says; the next free one where two are the same."""
    size = LAST_SID - FIRST_SID + 1
    sid = int.from_bytes(hashlib.sha256(f"{head} {options}".encode()).digest()[:8]) % size
    while sid in taken:
        sid = (sid + 1) % size
    taken.add(sid)
    text = f"{head} ({options}; sid:{FIRST_SID + sid}; rev:1;)"
    if len(text) > LONGEST:
        hint = "say with as few networks and port ranges as there are, or as a zone"
        raise UserError(
            f"a rule would be longer than the {LONGEST:,} characters that Suricata reads", where=head[:120], hint=hint
        )
    return text


def addresses(gate: Gate, area: AddressSet) -> list[str]:
    """The address part of a rule; several where the networks are too many for one. All but too many cannot be cut."""
    nets = networks(area, hulls=gate.hulls)
    if nets.everything:
        return ["any"]
    if len(nets.cidrs) > TOGETHER and not nets.negated:
        listed = networks(area).cidrs if nets.holes else nets.cidrs
        return [f"[{','.join(chunk)}]" for chunk in batched(listed, TOGETHER)]
    return [f"{'!' if nets.negated else ''}[{','.join([*nets.cidrs, *(f'!{hole}' for hole in nets.holes)])}]"]


def batched(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (values[at : at + size] for at in range(0, len(values), size))


def port_list(allowed: PortSet, transport: str) -> str | None:
    """The ports that are not allowed; None if there are none."""
    ports: Ranges = getattr(allowed, transport)
    if not ports:
        return "any"
    if not getattr(ALL_PORTS - allowed, transport):
        return None
    return f"![{','.join(str(first) if first == last else f'{first}:{last}' for first, last in ports)}]"


FORMAT = Format("suricata", "Suricata rules", render, CANNOT)
