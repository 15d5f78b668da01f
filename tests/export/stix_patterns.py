"""The exported STIX patterns, read by OASIS' own grammar and asked about one flow each; and by OASIS' own matcher.

The matcher (stix2-matcher 3.0) compares no IPv6 networks, so it is asked about IPv4 only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from ipaddress import ip_address, ip_network
from typing import Any

from export.traffic import Flow

Judge = Callable[[Flow], bool]
antlr: Any = import_module("antlr4")  # all of them without types
grammar: Any = import_module("stix2patterns.v21.grammars.STIXPatternParser").STIXPatternParser
lexer: Any = import_module("stix2patterns.v21.grammars.STIXPatternLexer").STIXPatternLexer


def indicators(text: str) -> list[dict[str, Any]]:
    return [each for each in json.loads(text)["objects"] if each["type"] == "indicator"]


def read_pattern(text: str) -> Judge:
    """A pattern as a question about a flow; what the grammar does not take is an error."""
    assert not import_module("stix2patterns.validator").run_validator(text, stix_version="2.1")
    parser = grammar(antlr.CommonTokenStream(lexer(antlr.InputStream(text))))
    return make_judge(parser.pattern())


def make_judge(node: Any) -> Judge:
    children = list(node.getChildren())
    if type(node).__name__.startswith("PropTest") and type(node).__name__ != "PropTestParenContext":
        return comparison(*(each.getText() for each in children))
    words = {each.getText() for each in children if not hasattr(each, "getRuleIndex")}
    judges = [make_judge(each) for each in children if hasattr(each, "getRuleIndex")]
    if "OR" in words:
        return lambda flow: any(judge(flow) for judge in judges)
    if "AND" in words:
        return lambda flow: all(judge(flow) for judge in judges)
    (judge,) = judges
    return judge


def comparison(path: str, *words: str) -> Judge:
    """One comparison. `protocols[*]` holds when any of the protocols does."""
    negated, operator, value = words[0] == "NOT", words[-2], words[-1]
    found = FIELDS[path]
    holds = comparer(operator, value)
    return lambda flow: any(holds(each) != negated for each in found(flow))


FIELDS: dict[str, Callable[[Flow], list[Any]]] = {
    "network-traffic:src_ref.value": lambda flow: [ip_address(flow.src)],
    "network-traffic:dst_ref.value": lambda flow: [ip_address(flow.dst)],
    "network-traffic:dst_port": lambda flow: [flow.port],
    "network-traffic:protocols[*]": lambda flow: ["ipv6" if ":" in flow.src else "ipv4", flow.transport],
}


def comparer(operator: str, value: str) -> Callable[[Any], bool]:
    if operator == "ISSUBSET":
        network = ip_network(value.strip("'"))

        def inside(address: Any) -> bool:
            assert address.version == network.version, "a pattern compares across families"
            return address in network

        return inside
    if operator == "=":
        return lambda found: bool(found == value.strip("'"))
    if operator == "IN":
        members = {int(each) for each in value.strip("()").split(",")}
        return lambda found: found in members
    bound = int(value)
    return {"<": lambda found: bool(found < bound), ">": lambda found: bool(found > bound)}[operator]


def observed(flow: Flow) -> dict[str, Any]:
    """A flow as a bundle with observed data."""
    kind = "ipv6-addr" if ":" in flow.src else "ipv4-addr"
    src, dst = (f"{kind}--570130c0-7daf-5d1e-992f-58b53b44731{number}" for number in (2, 3))
    traffic = "network-traffic--e0ccded2-c02f-58bb-a420-fd2bcd397e32"
    times = dict.fromkeys(("created", "modified", "first_observed", "last_observed"), "2026-11-27T08:00:00.000Z")
    return {
        "type": "bundle",
        "id": "bundle--0d5c0b0e-8d55-4c0a-9a65-3f6a6a3c9f10",
        "objects": [
            {"type": kind, "spec_version": "2.1", "id": src, "value": flow.src},
            {"type": kind, "spec_version": "2.1", "id": dst, "value": flow.dst},
            {
                "type": "network-traffic",
                "spec_version": "2.1",
                "id": traffic,
                "src_ref": src,
                "dst_ref": dst,
                "dst_port": flow.port,
                "protocols": [kind.removesuffix("-addr"), flow.transport],
            },
            {
                "type": "observed-data",
                "spec_version": "2.1",
                "id": "observed-data--3b9a8c1f-2f65-4a38-9a4b-0c65a8a4f9d2",
                "number_observed": 1,
                "object_refs": [traffic, src, dst],
            }
            | times,
        ],
    }


def oasis_matches(pattern: str, flow: Flow) -> bool:
    return bool(import_module("stix2matcher.matcher").match(pattern, [observed(flow)], stix_version="2.1"))
