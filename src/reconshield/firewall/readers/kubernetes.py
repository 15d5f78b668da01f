"""NetworkPolicy objects of Kubernetes as YAML or JSON: one filter for the pods that each policy selects.

Policies only allow, and those that select the same pods add up; a pod that no policy selects for a direction is open in it. Who
a selector of pods or namespaces stands for is not in the file, so such a peer is doubtful; networks (`ipBlock`) are exact.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconshield.addresses.intervals import Ranges, subtract
from reconshield.errors import UserError
from reconshield.firewall.lists import PEERS, AccessList, combine_conditions, everywhere, family_box, objects, port_box
from reconshield.firewall.reader import Reader
from reconshield.firewall.ruleset import Box, Field, Kind, Ruleset
from reconshield.firewall.values import Faulty, family_of, read_network, read_number, read_protocol, read_range

NAMED = re.compile(r"^[\s\"]*kind\"?\s*:\s*\"?NetworkPolicy(List)?\b", re.MULTILINE)
SECTIONS = {"in": ("Ingress", "ingress", "from"), "out": ("Egress", "egress", "to")}
NOTES = (
    "pods of the host's own network and probes of the node are not filtered",
    "a pod that no policy selects is open",
)


@dataclass(frozen=True, slots=True)
class Selector:
    """Which pods of a namespace: labels, and whether there are conditions beside them."""

    namespace: str
    labels: tuple[tuple[str, str], ...]
    conditions: bool

    @property
    def text(self) -> str:
        pods = ",".join(f"{key}={value}" for key, value in self.labels) + (" and conditions" if self.conditions else "")
        return f"{self.namespace}/{pods or 'every other pod'}"

    def covers(self, other: Selector) -> bool | None:
        """Whether it selects all pods that the other one does; None where that cannot be told.

        A selector of every pod stands for those that no other policy selects.
        """
        if self.namespace != other.namespace or (self != other and not other.labels and not other.conditions):
            return False
        own, theirs = dict(self.labels), dict(other.labels)
        if any(key in theirs and theirs[key] != value for key, value in own.items()):
            return False
        return True if own.items() <= theirs.items() and (not self.conditions or self == other) else None


def recognises(text: str) -> bool:
    return NAMED.search(text) is not None


def read(text: str) -> tuple[Ruleset, ...]:
    policies = [found for document in documents(text) for found in policies_of(document)]
    selectors = dict.fromkeys(selector_of(policy) for policy in policies)
    return tuple(read_pods(selector, policies) for selector in selectors)


def documents(text: str) -> list[Any]:
    """The documents of a text. YAML's anchors are refused: they can make a short text mean a very long one."""
    if text.lstrip()[:1] == "{":
        try:
            return [json.loads(text)]
        except (ValueError, RecursionError) as error:
            raise UserError(
                "this JSON cannot be read", where=str(error)[:100], hint="kubectl get networkpolicy -A -o json"
            ) from None
    import yaml

    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise UserError("anchors and aliases are not read", where="YAML", hint="kubectl get networkpolicy -A -o json")
        return list(yaml.safe_load_all(text))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(
            "this YAML cannot be read", where=str(error)[:200], hint="kubectl get networkpolicy -A -o yaml"
        ) from None


def policies_of(document: Any) -> Iterator[Mapping[str, Any]]:
    """The policies in a document, which may be a list of them."""
    if isinstance(document, dict):
        if document.get("kind") == "NetworkPolicy":
            yield document
        for item in objects(document.get("items")):
            yield from policies_of({"kind": "NetworkPolicy", **item} if document.get("kind") == "NetworkPolicyList" else item)


def part(item: Any, *names: str) -> Mapping[str, Any]:
    """A nested object, empty where there is none."""
    for name in names:
        item = item.get(name) if isinstance(item, dict) else None
    return item if isinstance(item, dict) else {}


def selector_of(policy: Mapping[str, Any]) -> Selector:
    pods = part(policy, "spec", "podSelector")
    labels = tuple(sorted((str(key), str(value)) for key, value in part(pods, "matchLabels").items()))
    return Selector(str(part(policy, "metadata").get("namespace") or "default"), labels, bool(pods.get("matchExpressions")))


def read_pods(selector: Selector, policies: Iterable[Mapping[str, Any]]) -> Ruleset:
    """What all policies together do with these pods."""
    chains = []
    faults = []
    mine = [(policy, covers) for policy in policies if (covers := selector_of(policy).covers(selector)) is not False]
    for direction, (kind, section, _) in SECTIONS.items():
        acting = [(policy, covers) for policy, covers in mine if kind in types_of(policy)]
        if not acting:
            continue
        own = AccessList(f"{selector.text} {section}", direction, Kind.DROP, remark="a policy selects these pods")
        if not any(covers for _, covers in acting):
            own.not_understood("", "", "whether a policy selects these pods depends on labels that are not in this file")
        for policy, covers in acting:
            add_policy(own, policy, "" if covers else "whether this policy selects these pods is not in this file")
        chains.append(own.chain())
        faults += own.faults
    return Ruleset("kubernetes", tuple(chains), selector.text, tuple(faults), NOTES)


def types_of(policy: Mapping[str, Any]) -> list[str]:
    """The directions in which a policy acts: inwards unless it says otherwise, outwards where it has rules for that."""
    spec = part(policy, "spec")
    told = spec.get("policyTypes")
    if isinstance(told, list) and told:
        return [str(kind) for kind in told]
    return ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def add_policy(own: AccessList, policy: Mapping[str, Any], doubt: str) -> None:
    name = part(policy, "metadata").get("name")
    _, section, peers_key = SECTIONS[own.direction]
    for number, rule in enumerate(objects(part(policy, "spec").get(section))):
        where = f"{name}, {section}[{number}]"
        for text, boxes, why in cases(rule, peers_key, PEERS[own.direction]):
            if why or doubt:
                own.doubtful(where, text, boxes, Kind.ACCEPT, why or doubt)
            else:
                own.add(where, text, boxes, Kind.ACCEPT)


def cases(rule: Mapping[str, Any], peers_key: str, field: Field) -> Iterator[tuple[str, list[Box], str]]:
    """Each peer of a rule with each port: its text, what it matches, and what is not known of it."""
    for port_text, ports, port_doubt in port_cases(rule.get("ports")):
        for peer_text, peers, peer_doubt in peer_cases(rule.get(peers_key), field):
            direction = "from" if field is Field.SOURCE else "to"
            yield f"allow {port_text} {direction} {peer_text}", combine_conditions(ports, peers), peer_doubt or port_doubt


def port_cases(listed: Any) -> Iterator[tuple[str, list[Box], str]]:
    if not listed:
        yield "every port", [()], ""
    for item in objects(listed):
        name, port = str(item.get("protocol") or "TCP"), item.get("port")
        try:
            number = read_protocol(name)
            kind: Box = ((Field.PROTOCOL, ((number, number),)),)
            if port is None:
                yield name, [kind], ""
            elif isinstance(port, str) and not port.isdecimal():
                yield f"{name} {port}", [kind], f"the number of the port {port[:40]} is not in this file"
            else:
                first = read_number(port, 65_535)
                last = read_number(item.get("endPort") or first, 65_535)
                shown = str(first) if first == last else f"{first}-{last}"
                yield f"{name} {shown}", combine_conditions([kind], port_box(Field.PORT, read_range(first, last))), ""
        except Faulty as error:
            yield name, [()], str(error)


def peer_cases(listed: Any, field: Field) -> Iterator[tuple[str, list[Box], str]]:
    if not listed:
        yield "anywhere", everywhere(field), ""
    for peer in objects(listed):
        block = part(peer, "ipBlock")
        if block:
            try:
                yield block_text(block), block_boxes(block, field), ""
            except Faulty as error:
                yield block_text(block), everywhere(field), str(error)
        else:
            kinds = " and ".join(
                key.removesuffix("Selector") + "s" for key in ("namespaceSelector", "podSelector") if key in peer
            )
            yield (
                f"selected {kinds or 'peers'}",
                everywhere(field),
                f"which addresses the selected {kinds or 'peers'} have is not in this file",
            )


def block_text(block: Mapping[str, Any]) -> str:
    excepted = block.get("except")
    return f"{block.get('cidr')}" + (
        f" except {', '.join(map(str, excepted))}" if isinstance(excepted, list) and excepted else ""
    )


def block_boxes(block: Mapping[str, Any], field: Field) -> list[Box]:
    ranges: Ranges = read_network(str(block.get("cidr")))
    excepted = block.get("except")
    for text in excepted if isinstance(excepted, list) else []:
        ranges = subtract(ranges, read_network(str(text)))
    return [(family_box(family_of(ranges)), (field, ranges))] if ranges else []


READER = Reader("kubernetes", "kubectl get networkpolicy -A -o yaml", recognises, read)
