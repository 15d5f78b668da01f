"""STIX 2.1: a bundle of indicators, one for each gate and family, whose pattern is traffic that is against the policy.

A pattern compares values with networks of one family, so IPv4 and IPv6 have indicators of their own; tools that compare
across families fail on mixed ones. STIX wants moments that a policy does not have: `created`, `modified` and `valid_from` are
always the same, and ids are made of the content, so a changed indicator is another object. Source: STIX 2.1, OASIS, 4.7 and 9.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from typing import Any

from reconshield.addresses import AddressSet, PortSet
from reconshield.addresses.intervals import Ranges
from reconshield.export.enclaves import ALL_PORTS, Enclaves, Gate, Lane, lanes
from reconshield.export.format import Format
from reconshield.export.places import IPV4, IPV6, Networks, networks
from reconshield.export.wording import BLIND, ended_words, entry_words, gate_title, gate_words, preamble, stable_id

Object = dict[str, Any]
MOMENT = "2026-01-01T00:00:00.000Z"
"""The same in every export, so that the same policy gives the same bytes."""

FAMILIES = (("ipv4", IPV4), ("ipv6", IPV6))
SRC, DST = "network-traffic:src_ref.value", "network-traffic:dst_ref.value"
PORT, PROTOCOLS = "network-traffic:dst_port", "network-traffic:protocols[*]"
CANNOT = (
    BLIND,
    "protocols other than TCP and UDP: a pattern can ask for a protocol, but not for all others",
    "which entry ends: valid_until of an indicator is the first end among the entries of its gate; then export again",
)


def render(enclaves: Enclaves) -> str:
    author = made("identity", {"name": "ReconShield", "identity_class": "system"})
    indicators = [
        found
        for gate in enclaves.gates
        for family, space in FAMILIES
        if (found := indicator(gate, family, space, author["id"])) is not None
    ]
    text = list(preamble(enclaves, "What zones may not talk, as STIX indicators", CANNOT, ends=True))
    listed = [author, *indicators]
    if indicators:
        listed.append(
            made(
                "grouping",
                {
                    "created_by_ref": author["id"],
                    "name": "Traffic that the policy does not allow",
                    "description": "\n".join(text),
                    "context": "unspecified",
                    "object_refs": [each["id"] for each in indicators],
                },
            )
        )
    bundle = {"type": "bundle", "id": f"bundle--{stable_id('bundle', *(each['id'] for each in listed))}", "objects": listed}
    return json.dumps(bundle, indent=1, ensure_ascii=False) + "\n"


def made(kind: str, fields: Object) -> Object:
    """An object with the id that its content gives it."""
    name = stable_id(kind, json.dumps(fields, sort_keys=True))
    head = {"type": kind, "spec_version": "2.1", "id": f"{kind}--{name}", "created": MOMENT, "modified": MOMENT}
    return head | fields


def indicator(gate: Gate, family: str, space: AddressSet, author: str) -> Object | None:
    """None where everything is allowed, or the zone has no address of this family."""
    pattern = pattern_of(gate, space)
    if pattern is None:
        return None
    ends = min((each.entry.ends for each in gate.allowed if each.entry.ends is not None), default=None)
    until = dt.datetime.fromtimestamp(ends, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z") if ends is not None else None
    fields = {
        "created_by_ref": author,
        "name": f"{gate_title(gate)} ({family}): not in the policy",
        "description": "\n".join(description(gate)),
        "indicator_types": ["anomalous-activity"],
        "pattern": pattern,
        "pattern_type": "stix",
        "pattern_version": "2.1",
        "valid_from": MOMENT,
    }
    return made("indicator", fields | ({"valid_until": until} if until else {}))


def description(gate: Gate) -> Iterator[str]:
    yield f"Traffic {gate_words(gate)}. {'Allowed:' if gate.allowed else 'Nothing is allowed.'}"
    yield from (f"- {entry_words(each.entry)}" for each in gate.allowed)
    yield from (f"- {ended_words(entry)}" for entry in gate.ended)


def pattern_of(gate: Gate, space: AddressSet) -> str | None:
    own, other = (DST, SRC) if gate.direction == "in" else (SRC, DST)
    mine = within(own, networks(gate.own, space, gate.hulls))
    ways = [way for lane in lanes(gate) if lane.peers & space and (way := lane_pattern(gate, lane, other, space))]
    if not gate.own & space or not ways:
        return None
    return f"[{both(mine, either(ways))}]"


def lane_pattern(gate: Gate, lane: Lane, other: str, space: AddressSet) -> str:
    """What a lane does not allow; empty where it allows every port."""
    ports = [
        both(f"{PROTOCOLS} = '{name}'", beyond)
        for name in ("tcp", "udp")
        if (beyond := not_allowed(lane.ports, name)) is not None
    ]
    return both(within(other, networks(lane.peers, space, gate.hulls)), either(ports)) if ports else ""


def within(path: str, nets: Networks) -> str:
    without = [f"{path} NOT ISSUBSET '{cidr}'" for cidr in (nets.cidrs if nets.negated else nets.holes)]
    return both("" if nets.negated else either(f"{path} ISSUBSET '{cidr}'" for cidr in nets.cidrs), *without)


def not_allowed(allowed: PortSet, transport: str) -> str | None:
    """The comparison that holds for ports which are not allowed: empty for all of them, None if there are none."""
    ranges: Ranges = getattr(allowed, transport)
    if not getattr(ALL_PORTS - allowed, transport):
        return None
    single = [str(first) for first, last in ranges if first == last]
    terms = [f"{PORT} NOT IN ({', '.join(single)})"] if single else []
    terms += [f"({PORT} < {first} OR {PORT} > {last})" for first, last in ranges if first != last]
    return " AND ".join(terms)


def both(*terms: str) -> str:
    return " AND ".join(term for term in terms if term)


def either(terms: Iterable[str]) -> str:
    listed = list(terms)
    return listed[0] if len(listed) == 1 else f"({' OR '.join(f'({term})' if ' AND ' in term else term for term in listed)})"


FORMAT = Format("stix", "a STIX 2.1 bundle of indicators", render, CANNOT)
