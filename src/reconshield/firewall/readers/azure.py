"""`az network nsg show` and `list` as JSON: one filter for each network security group, rules in the order of their priority.

The tags `VirtualNetwork` and `Internet` stand for addresses that a group does not tell. Public addresses are taken for the
Internet and not for the virtual network, which is noted; for private ones a rule with such a tag is doubtful.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconshield.addresses.intervals import Ranges, merge, subtract
from reconshield.firewall.lists import (
    AccessList,
    combine_conditions,
    everywhere,
    family_box,
    load,
    networks,
    objects,
    port_box,
    protocol,
    texts,
)
from reconshield.firewall.reader import Reader
from reconshield.firewall.ruleset import FAMILY_ADDRESSES, Box, Field, Kind, Ruleset
from reconshield.firewall.values import Faulty, read_network, read_number, read_ports

PRIVATE: Ranges = merge(
    pair
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
    )
    for pair in read_network(text)
)
TAGS = {"azureloadbalancer": ("168.63.129.16/32",)}
"""Tags whose addresses Microsoft documents as fixed."""
KINDS = {"allow": Kind.ACCEPT, "deny": Kind.DROP}
DIRECTIONS = {"inbound": "in", "outbound": "out"}
NOTE = "public addresses are taken for Internet and not for VirtualNetwork"


def recognises(text: str) -> bool:
    return '"securityRules"' in text[:1_000_000] and '"direction"' in text


def read(text: str) -> tuple[Ruleset, ...]:
    loaded = load(text, "az network nsg show")
    groups = loaded if isinstance(loaded, list) else loaded.get("value", [loaded]) if isinstance(loaded, dict) else []
    return tuple(read_group(flat(group)) for group in objects(groups) if "securityRules" in flat(group))


def flat(item: Mapping[str, Any]) -> dict[str, Any]:
    """A resource with its properties beside its name, as `az` writes it, also where they are nested as in templates."""
    nested = item.get("properties")
    return {**item, **nested} if isinstance(nested, dict) else dict(item)


def read_group(group: Mapping[str, Any]) -> Ruleset:
    name = str(group.get("name"))
    # With the default rules, which decide everything, nothing comes to the end.
    lists = {
        direction: AccessList(f"{name} {direction}", way, Kind.UNKNOWN, remark="the default rules are not in this file")
        for direction, way in DIRECTIONS.items()
    }
    rules = [flat(rule) for key in ("securityRules", "defaultSecurityRules") for rule in objects(group.get(key))]
    for rule in sorted(rules, key=priority):
        own = lists.get(str(rule.get("direction")).lower())
        if own is not None:
            add_rule(own, rule)
    faults = tuple(fault for own in lists.values() for fault in own.faults)
    return Ruleset("azure-nsg", tuple(own.chain() for own in lists.values()), name, faults, (NOTE,))


def priority(rule: Mapping[str, Any]) -> int:
    try:
        return read_number(rule.get("priority"), 65_536)
    except Faulty:
        return 0


def add_rule(own: AccessList, rule: Mapping[str, Any]) -> None:
    where = f"priority {rule.get('priority')}"
    sources, targets = both(rule, "sourceAddressPrefix"), both(rule, "destinationAddressPrefix")
    listed = ",".join(both(rule, "destinationPortRange"))
    text = f"{rule.get('name')}: {rule.get('access')} {rule.get('protocol')} {','.join(sources)} to {listed}"
    try:
        kind = KINDS[str(rule.get("access")).lower()]
        service = combine_conditions(
            protocol(rule.get("protocol")),
            ports(Field.SOURCE_PORT, both(rule, "sourcePortRange")),
            ports(Field.PORT, both(rule, "destinationPortRange")),
        )
        (sure_from, maybe_from), (sure_to, maybe_to) = (
            places(Field.SOURCE, sources, rule),
            places(Field.DESTINATION, targets, rule),
        )
        sure = combine_conditions(service, sure_from, sure_to)
        maybe = combine_conditions(service, maybe_from, sure_to + maybe_to) + combine_conditions(service, sure_from, maybe_to)
    except (Faulty, KeyError) as error:
        own.not_understood(where, text, f"{error} is not understood" if isinstance(error, KeyError) else str(error))
        return
    if sure:
        own.add(where, text, sure, kind)
    if maybe:
        own.doubtful(where, text, maybe, kind, "which addresses a tag or an application group stands for is not in this file")


def both(rule: Mapping[str, Any], key: str) -> list[str]:
    """The value in the singular and those in the plural: `sourceAddressPrefix`, `sourceAddressPrefixes`."""
    plural = f"{key}es" if key.endswith("x") else f"{key}s"
    return [text for text in (*texts(rule.get(key)), *texts(rule.get(plural))) if text]


def ports(field: Field, ranges: Iterable[str]) -> list[Box]:
    listed = list(ranges)
    if not listed or "*" in listed:
        return [()]
    return port_box(field, merge(pair for text in listed for pair in read_ports(text, "-")))


def places(field: Field, prefixes: list[str], rule: Mapping[str, Any]) -> tuple[list[Box], list[Box]]:
    """Where a rule surely matches, and where it may."""
    sure: list[Box] = []
    maybe: list[Box] = []
    cidrs: list[str] = []
    groups = rule.get("sourceApplicationSecurityGroups" if field is Field.SOURCE else "destinationApplicationSecurityGroups")
    if groups:
        maybe += everywhere(field)
    for prefix in prefixes:
        tag = prefix.lower()
        if tag in {"*", "any", "0.0.0.0/0,::/0"}:
            return everywhere(field), []
        if tag in TAGS:
            cidrs += TAGS[tag]
        elif tag in {"internet", "virtualnetwork"}:
            # The host itself is in the virtual network: as a destination of what comes in the tag is sure.
            own_side = (field is Field.DESTINATION) == (str(rule.get("direction")).lower() == "inbound")
            if tag == "virtualnetwork" and own_side:
                return everywhere(field), []
            sure += outside(field) if tag == "internet" else []
            maybe += [(family_box(family), (field, inside)) for family, inside in private()]
        elif tag[:1].isalpha() and ":" not in tag:
            maybe += everywhere(field)
        else:
            cidrs.append(prefix)
    return sure + networks(field, cidrs), maybe


def private() -> Iterable[tuple[int, Ranges]]:
    for family, every in FAMILY_ADDRESSES.items():
        yield family, subtract(every, subtract(every, PRIVATE))


def outside(field: Field) -> list[Box]:
    return [(family_box(family), (field, subtract(every, PRIVATE))) for family, every in FAMILY_ADDRESSES.items()]


READER = Reader("azure-nsg", "az network nsg show or list", recognises, read)
