"""AWS: a security group (stateful, allowances only) and a network ACL (stateless, in order), by Terraform and by the CLI.

A security group has no denials: what no rule allows is closed, so the allowances are the whole rule. A network ACL forgets
connections: answers need allowances of their own, to the ports that clients use (1024 to 65535). Source: Amazon VPC User Guide,
security groups and network ACLs.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform

NUMBERS = {"tcp": 6, "udp": 17}
FIRST_RULE, STEP = 100, 10


def render(intent: Intent) -> Advice:
    return Advice(
        platform="aws",
        files=(
            File("security-group.tf", security_group(intent)),
            File("network-acl.tf", network_acl(intent)),
            File("apply-cli.sh", commands(intent)),
        ),
        apply="terraform plan && terraform apply      # or: GROUP=sg-… sh apply-cli.sh",
        undo="terraform destroy -target aws_security_group.reconshield -target aws_network_acl.reconshield",
        check="aws ec2 describe-security-group-rules --filters Name=group-id,Values=$GROUP",
        notes=(
            "every other security group of the instance still counts: an allowance there keeps the port open",
            "use the group or the ACL; the ACL is for a whole subnet and needs its return ports (they are in it)",
            "keep your own way in (SSH, SSM) in a group of its own before you take one away",
        ),
    )


def sources(intent: Intent) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """IPv4 and IPv6 networks, each with a prefix length."""
    if intent.public:
        return ("0.0.0.0/0",), ("::/0",)
    v4 = tuple(net if "/" in net else f"{net}/32" for net in intent.allow_v4)
    v6 = tuple(net if "/" in net else f"{net}/128" for net in intent.allow_v6)
    return v4, v6


def texts(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


def security_group(intent: Intent) -> str:
    v4, v6 = sources(intent)
    lines = [
        'variable "vpc_id" { type = string }',
        "",
        'resource "aws_security_group" "reconshield" {',
        '  name_prefix = "reconshield-"',
        f'  description = "{intent.comment}"',
        "  vpc_id      = var.vpc_id",
    ]
    for port in intent.ports if v4 or v6 else ():
        lines += [
            "",
            "  ingress {",
            f'    description      = "{port} {port.service}"',
            f'    protocol         = "{port.transport}"',
            f"    from_port        = {port.port}",
            f"    to_port          = {port.port}",
            f"    cidr_blocks      = {texts(v4)}",
            f"    ipv6_cidr_blocks = {texts(v6)}",
            "  }",
        ]
    return "\n".join([*lines, "}"]) + "\n"


def network_acl(intent: Intent) -> str:
    lines = [
        'variable "acl_id" { type = string }',
        "",
        "# A network ACL has no memory: the answers go out to the ports that clients use.",
    ]
    for number, entry in enumerate(acl_entries(intent)):
        name, rule, egress, transport, action, family, net, first, last = entry
        lines += [
            "",
            f'resource "aws_network_acl_rule" "reconshield_{number}_{name}" {{',
            "  network_acl_id  = var.acl_id",
            f"  rule_number     = {rule}",
            f"  egress          = {'true' if egress else 'false'}",
            f'  protocol        = "{NUMBERS[transport]}"',
            f'  rule_action     = "{action}"',
            f'  {"cidr_block" if family == 4 else "ipv6_cidr_block"} = "{net}"',
            f"  from_port       = {first}",
            f"  to_port         = {last}",
            "}",
        ]
    return "\n".join(lines) + "\n"


Entry = tuple[str, int, bool, str, str, int, str, int, int]


def acl_entries(intent: Intent) -> Iterator[Entry]:
    """The allowed first, then the denial of the port in both families; then the way back for each allowed network."""
    v4, v6 = sources(intent)
    rule = FIRST_RULE
    for port in intent.ports:
        for family, nets in ((4, v4), (6, v6)):
            for net in nets:
                yield "allow", rule, False, port.transport, "allow", family, net, port.port, port.port
                rule += STEP
    for port in intent.ports if not intent.public else ():
        for family, net in ((4, "0.0.0.0/0"), (6, "::/0")):
            yield "deny", rule, False, port.transport, "deny", family, net, port.port, port.port
            rule += STEP
    rule = FIRST_RULE
    for transport in intent.transports:
        for family, nets in ((4, v4), (6, v6)):
            for net in nets:
                yield "answers", rule, True, transport, "allow", family, net, 1024, 65_535
                rule += STEP


def commands(intent: Intent) -> str:
    v4, v6 = sources(intent)
    lines = ["#!/bin/sh", "set -eu", ': "${GROUP:?set GROUP to the id of your security group}"']
    for port in intent.ports:
        ranges = [
            f"{kind}=[{','.join(f'{{{key}={net}}}' for net in nets)}]"
            for kind, key, nets in (("IpRanges", "CidrIp", v4), ("Ipv6Ranges", "CidrIpv6", v6))
            if nets
        ]
        base = f"IpProtocol={port.transport},FromPort={port.port},ToPort={port.port}"
        if not intent.public:
            broad = f"{base},IpRanges=[{{CidrIp=0.0.0.0/0}}],Ipv6Ranges=[{{CidrIpv6=::/0}}]"
            lines.append(f'aws ec2 revoke-security-group-ingress --group-id "$GROUP" --ip-permissions "{broad}" || true')
        if ranges:
            lines.append(
                f'aws ec2 authorize-security-group-ingress --group-id "$GROUP" --ip-permissions "{",".join([base, *ranges])}"'
            )
    return "\n".join(lines) + "\n"


PLATFORM = Platform("aws", "AWS security group and network ACL (Terraform, CLI)", render, "none")
