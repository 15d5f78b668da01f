"""`aws ec2 describe-security-groups` and `describe-network-acls` as JSON: one filter for each group or list.

A security group follows connections and only allows; a network access list is numbered, and sees replies as packets of their
own (so it needs a way back to the ports of clients).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconshield.addresses.intervals import Ranges
from reconshield.firewall.lists import (
    PEERS,
    AccessList,
    combine_conditions,
    everywhere,
    has_ports,
    load,
    networks,
    numbered,
    objects,
    port_box,
    protocol,
)
from reconshield.firewall.reader import Reader
from reconshield.firewall.ruleset import Box, Field, Kind, Ruleset
from reconshield.firewall.values import Faulty, read_number, read_range

LAST_RULES = (32767, 32768)
"""What stands as `*` at the end of every list, for IPv4 and IPv6."""
NAMES = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "-1": "all"}
KINDS = {"allow": Kind.ACCEPT, "deny": Kind.DROP}
DIRECTIONS = {"IpPermissions": "in", "IpPermissionsEgress": "out"}
COMMAND = "aws ec2 describe-security-groups"


def recognises(text: str) -> bool:
    return '"SecurityGroups"' in text[:100_000] or '"NetworkAcls"' in text[:100_000]


def read(text: str) -> tuple[Ruleset, ...]:
    loaded = load(text, COMMAND)
    found = loaded if isinstance(loaded, dict) else {}
    groups = [read_group(group) for group in objects(found.get("SecurityGroups"))]
    return (*groups, *(read_list(acl) for acl in objects(found.get("NetworkAcls"))))


def read_group(group: Mapping[str, Any]) -> Ruleset:
    name = " ".join(str(group[key]) for key in ("GroupId", "GroupName") if group.get(key))
    lists = []
    for key, direction in DIRECTIONS.items():
        own = AccessList(f"{group.get('GroupId')} {'ingress' if direction == 'in' else 'egress'}", direction, Kind.DROP)
        for where, permission in numbered(objects(group.get(key)), key):
            add_permission(own, where, permission, PEERS[direction])
        lists.append(own)
    faults = tuple(fault for own in lists for fault in own.faults)
    return Ruleset("aws-security-group", tuple(own.chain() for own in lists), name, faults)


def add_permission(own: AccessList, where: str, permission: Mapping[str, Any], peer: Field) -> None:
    """One permission: its networks, and other peers whose addresses the group does not tell."""
    kind = permission.get("IpProtocol", "-1")
    try:
        service = combine_conditions(protocol(kind), port_range(kind, permission.get("FromPort"), permission.get("ToPort")))
        cidrs = [str(row.get("CidrIp")) for row in objects(permission.get("IpRanges"))]
        cidrs += [str(row.get("CidrIpv6")) for row in objects(permission.get("Ipv6Ranges"))]
        boxes = combine_conditions(service, networks(peer, cidrs)) if cidrs else []
    except Faulty as error:
        own.not_understood(where, permission_text(permission, ()), str(error))
        return
    if boxes:
        own.add(where, permission_text(permission, cidrs), boxes, Kind.ACCEPT)
    for other in other_peers(permission):
        why = f"the addresses of {other} are not in this file"
        own.doubtful(
            where, permission_text(permission, (other,)), combine_conditions(service, everywhere(peer)), Kind.ACCEPT, why
        )


def other_peers(permission: Mapping[str, Any]) -> Iterator[str]:
    for row in objects(permission.get("UserIdGroupPairs")):
        yield f"the members of {row.get('GroupId') or row.get('GroupName')}"
    for row in objects(permission.get("PrefixListIds")):
        yield f"the prefix list {row.get('PrefixListId')}"


def permission_text(permission: Mapping[str, Any], peers: object) -> str:
    first, last = permission.get("FromPort"), permission.get("ToPort")
    ports = "" if first is None or first == -1 else f" {first}" if first == last else f" {first}-{last}"
    kind = str(permission.get("IpProtocol", "-1"))
    shown = ", ".join(map(str, peers)) if isinstance(peers, (list, tuple)) else ""
    return f"allow {'all' if kind == '-1' else kind}{ports} {shown}".strip()


def port_range(kind: Any, first: Any, last: Any) -> list[Box]:
    """`FromPort` and `ToPort`: ports, or for ICMP a type and a code, -1 being any."""
    if first is None or str(kind) == "-1":
        return [()]
    if has_ports(kind):
        if first == -1:
            return [()]
        return port_box(Field.PORT, read_range(read_number(first, 65535), read_number(last, 65535)))
    return [()] if first == -1 else port_box(Field.ICMP, icmp(first, last))


def icmp(kind: Any, code: Any) -> Ranges:
    number = read_number(kind, 255) << 8
    if code is None or code == -1:
        return ((number, number | 255),)
    exact = number | read_number(code, 255)
    return ((exact, exact),)


def read_list(acl: Mapping[str, Any]) -> Ruleset:
    lists = {
        egress: AccessList(
            f"{acl.get('NetworkAclId')} {'egress' if egress else 'ingress'}",
            "out" if egress else "in",
            Kind.DROP,
            stateful=False,
        )
        for egress in (False, True)
    }
    entries = sorted(objects(acl.get("Entries")), key=lambda entry: str(entry.get("RuleNumber")).zfill(6))
    for entry in entries:
        if entry.get("RuleNumber") in LAST_RULES and entry.get("RuleAction") == "deny":
            continue  # the policy of the list
        add_entry(lists[entry.get("Egress") is True], entry)
    subnets = ", ".join(str(row.get("SubnetId")) for row in objects(acl.get("Associations")))
    name = f"{acl.get('NetworkAclId')}{f' ({subnets})' if subnets else ''}"
    faults = tuple(fault for own in lists.values() for fault in own.faults)
    return Ruleset("aws-network-acl", tuple(own.chain() for own in lists.values()), name, faults)


def add_entry(own: AccessList, entry: Mapping[str, Any]) -> None:
    number = entry.get("RuleNumber")
    where = f"rule {'*' if number in (32767, 32768) else number}"
    cidr = str(entry.get("CidrBlock") or entry.get("Ipv6CidrBlock") or "")
    kind = str(entry.get("Protocol", "-1"))
    ports = entry.get("PortRange") or {}
    ends = dict.fromkeys(str(ports.get(key)) for key in ("From", "To")) if isinstance(ports, dict) and ports else {}
    text = " ".join([str(entry.get("RuleAction")), NAMES.get(kind, kind), *(["-".join(ends)] if ends else []), cidr])
    try:
        action = KINDS[str(entry.get("RuleAction"))]
        typed = entry.get("IcmpTypeCode")
        first, last = (ports.get("From"), ports.get("To")) if isinstance(ports, dict) else (None, None)
        if isinstance(typed, dict) and not has_ports(kind):
            first, last = typed.get("Type"), typed.get("Code")
        boxes = combine_conditions(protocol(kind), port_range(kind, first, last), networks(PEERS[own.direction], [cidr]))
    except (Faulty, KeyError) as error:
        own.not_understood(where, text, f"{error} is not understood" if isinstance(error, KeyError) else str(error))
        return
    own.add(where, text, boxes, action)


READER = Reader("aws", "aws ec2 describe-security-groups or describe-network-acls", recognises, read)
