"""Google Cloud VPC firewall rules: stateful, the lower priority number first, one family a rule.

A rule may not mix IPv4 and IPv6 ranges, so each family has its own. Source: Google Cloud documentation, VPC firewall rules.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform

ALLOW_AT, DENY_AT = 900, 950


def render(intent: Intent) -> Advice:
    return Advice(
        platform="gcp",
        files=(File("firewall.tf", terraform(intent)), File("apply-cli.sh", commands(intent))),
        apply="terraform plan && terraform apply      # or: NETWORK=… TAG=… sh apply-cli.sh",
        undo="\n".join(f"gcloud compute firewall-rules delete {name} --quiet" for name, *_ in rules(intent)),
        check='gcloud compute firewall-rules list --filter="name~^reconshield"',
        notes=(
            "rules of yours below 900 come first; hierarchical policies come before all of them",
            "set the target tag of your instances, else the rules count for the whole network",
        ),
    )


Rule = tuple[str, bool, int, tuple[str, ...]]


def rules(intent: Intent) -> Iterator[Rule]:
    """Name, whether it allows, priority, source ranges."""
    everybody: tuple[tuple[str, tuple[str, ...]], ...] = (("v4", ("0.0.0.0/0",)), ("v6", ("::/0",)))
    if intent.public:
        for family, nets in everybody:
            yield f"reconshield-allow-{family}", True, ALLOW_AT, nets
        return
    for family, nets in (("v4", intent.allow_v4), ("v6", intent.allow_v6)):
        if nets:
            yield f"reconshield-allow-{family}", True, ALLOW_AT, nets
    for family, nets in everybody:
        yield f"reconshield-deny-{family}", False, DENY_AT, nets


def terraform(intent: Intent) -> str:
    lines = ['variable "network" { type = string }', 'variable "tag" { type = string }']
    for name, allows, priority, nets in rules(intent):
        lines += [
            "",
            f'resource "google_compute_firewall" "{name.replace("-", "_")}" {{',
            f'  name          = "{name}"',
            "  network       = var.network",
            "  target_tags   = [var.tag]",
            '  direction     = "INGRESS"',
            f"  priority      = {priority}",
            f"  source_ranges = {texts(nets)}",
            f'  description   = "{intent.comment}"',
        ]
        for transport in intent.transports:
            ports = texts(tuple(map(str, intent.numbers(transport))))
            lines += [
                f"  {'allow' if allows else 'deny'} {{",
                f'    protocol = "{transport}"',
                f"    ports    = {ports}",
                "  }",
            ]
        lines.append("}")
    return "\n".join(lines) + "\n"


def texts(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


def commands(intent: Intent) -> str:
    lines = ["#!/bin/sh", "set -eu", ': "${NETWORK:?set NETWORK}" "${TAG:?set TAG to the tag of your instances}"']
    places = ",".join(f"{transport}:{port}" for transport in intent.transports for port in intent.numbers(transport))
    for name, allows, priority, nets in rules(intent):
        lines.append(
            f'gcloud compute firewall-rules create {name} --network "$NETWORK" --target-tags "$TAG" --direction INGRESS '
            f"--action {'ALLOW' if allows else 'DENY'} --rules {places} --priority {priority} --source-ranges {','.join(nets)}"
        )
    return "\n".join(lines) + "\n"


PLATFORM = Platform("gcp", "Google Cloud VPC firewall (Terraform, CLI)", render, "none")
