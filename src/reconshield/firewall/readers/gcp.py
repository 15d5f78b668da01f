"""`gcloud compute firewall-rules list --format json`: one filter for each network, and for each tag or account that rules name.

Rules with lower numbers come first; of two with one number the denial does. What no rule matches is denied inwards and allowed
outwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconshield.addresses.intervals import merge
from reconshield.firewall.lists import (
    PEERS,
    AccessList,
    combine_conditions,
    everywhere,
    load,
    networks,
    objects,
    port_box,
    protocol,
    texts,
)
from reconshield.firewall.reader import Reader
from reconshield.firewall.ruleset import Box, Field, Kind, Ruleset
from reconshield.firewall.values import Faulty, read_number, read_ports

DIRECTIONS = {"in": "INGRESS", "out": "EGRESS"}
DEFAULT_PRIORITY = 1000
EVERY_INSTANCE = "every instance"


def recognises(text: str) -> bool:
    head = text[:1_000_000]
    return '"direction"' in head and ('"INGRESS"' in head or '"EGRESS"' in head) and '"network"' in head


def read(text: str) -> tuple[Ruleset, ...]:
    rules = [rule for rule in objects(load(text, "gcloud compute firewall-rules list --format json")) if "network" in rule]
    found = []
    for network in dict.fromkeys(short(rule.get("network")) for rule in rules):
        own = [rule for rule in rules if short(rule.get("network")) == network and rule.get("disabled") is not True]
        named = dict.fromkeys(target for rule in own for target in targets(rule))
        found += [read_target(network, target, own) for target in (EVERY_INSTANCE, *named)]
    return tuple(found)


def short(path: Any) -> str:
    """The last part of a resource's path."""
    return str(path).rstrip("/").rpartition("/")[2]


def targets(rule: Mapping[str, Any]) -> list[str]:
    return [f"tag {tag}" for tag in texts(rule.get("targetTags"))] + texts(rule.get("targetServiceAccounts"))


def read_target(network: str, target: str, rules: list[Mapping[str, Any]]) -> Ruleset:
    """What holds for the instances with one tag or account: rules for all, and those for them."""
    chains = []
    faults = []
    for direction, word in DIRECTIONS.items():
        remark = f"what no rule matches {'in' if direction == 'in' else 'out'}wards"
        policy = Kind.DROP if direction == "in" else Kind.ACCEPT
        own = AccessList(f"{network} {word.lower()}", direction, policy, remark=remark)
        mine = [
            rule
            for rule in rules
            if rule.get("direction", "INGRESS") == word and (not targets(rule) or target in targets(rule))
        ]
        for rule in sorted(mine, key=order):
            add_rule(own, rule)
        chains.append(own.chain())
        faults += own.faults
    return Ruleset("gcp", tuple(chains), f"{network}, {target}", tuple(faults))


def order(rule: Mapping[str, Any]) -> tuple[int, int]:
    try:
        number = read_number(rule.get("priority", DEFAULT_PRIORITY), 65_535)
    except Faulty:
        number = 0
    return number, 0 if rule.get("denied") else 1


def add_rule(own: AccessList, rule: Mapping[str, Any]) -> None:
    kind = Kind.DROP if rule.get("denied") else Kind.ACCEPT
    where = f"{rule.get('name')}, priority {rule.get('priority', DEFAULT_PRIORITY)}"
    listed = objects(rule.get("denied") or rule.get("allowed"))
    peers = texts(rule.get("sourceRanges" if own.direction == "in" else "destinationRanges"))
    others = [*texts(rule.get("sourceTags")), *texts(rule.get("sourceServiceAccounts"))]
    services = " ".join(f"{item.get('IPProtocol')} {','.join(texts(item.get('ports')))}".strip() for item in listed)
    towards = "from" if own.direction == "in" else "to"
    text = f"{'deny' if kind is Kind.DROP else 'allow'} {services} {towards} {', '.join(peers or others) or 'anywhere'}"
    field = PEERS[own.direction]
    try:
        boxes = [box for item in listed for box in combine_conditions(protocol(item.get("IPProtocol", "all")), ports(item))]
        places = networks(field, peers) if peers else [] if others else networks(field, ["0.0.0.0/0"])
        sure = combine_conditions(boxes, places)
        maybe = combine_conditions(boxes, everywhere(field)) if others else []
    except Faulty as error:
        own.not_understood(where, text, str(error))
        return
    if sure:
        own.add(where, text, sure, kind)
    if maybe:
        own.doubtful(where, text, maybe, kind, f"the addresses of {', '.join(others)} are not in this file")


def ports(item: Mapping[str, Any]) -> list[Box]:
    listed = texts(item.get("ports"))
    return port_box(Field.PORT, merge(pair for text in listed for pair in read_ports(text, "-"))) if listed else [()]


READER = Reader("gcp", "gcloud compute firewall-rules list --format json", recognises, read)
