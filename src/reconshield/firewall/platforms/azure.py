"""Azure network security group: rules in order of their priority number, stateful, one family a rule.

The built-in rules allow the virtual network and load balancers and deny the rest, with numbers above 65000; ours stand before
them. Source: Azure documentation, Network security groups.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform

FIRST, STEP = 200, 10


def render(intent: Intent) -> Advice:
    return Advice(
        platform="azure",
        files=(File("nsg.tf", terraform(intent)), File("apply-cli.sh", commands(intent))),
        apply="terraform plan && terraform apply      # or: GROUP=… NSG=… sh apply-cli.sh",
        undo="\n".join(f"az network nsg rule delete -g $GROUP --nsg-name $NSG -n {name}" for name, *_ in rules(intent)),
        check="az network nsg rule list -g $GROUP --nsg-name $NSG -o table",
        notes=(
            "a rule with a lower number comes first: look that none of yours below 200 allows the port",
            "NSGs on the subnet and on the interface both count",
        ),
    )


Rule = tuple[str, int, str, str, str, tuple[str, ...], tuple[int, ...]]


def rules(intent: Intent) -> Iterator[Rule]:
    """Name, priority, access, transport, family, sources, ports."""
    number = FIRST
    for transport in intent.transports:
        ports = intent.numbers(transport)
        if intent.public:
            yield f"reconshield-allow-{transport}", number, "Allow", transport, "any", ("*",), ports
            number += STEP
            continue
        for family, nets in (("v4", intent.allow_v4), ("v6", intent.allow_v6)):
            if nets:
                yield f"reconshield-allow-{transport}-{family}", number, "Allow", transport, family, nets, ports
                number += STEP
        yield f"reconshield-deny-{transport}", number, "Deny", transport, "any", ("*",), ports
        number += STEP


def terraform(intent: Intent) -> str:
    lines = ['variable "group" { type = string }', 'variable "nsg" { type = string }']
    for name, number, access, transport, _, nets, ports in rules(intent):
        source = '  source_address_prefix       = "*"' if nets == ("*",) else f"  source_address_prefixes     = {texts(nets)}"
        lines += [
            "",
            f'resource "azurerm_network_security_rule" "{name.replace("-", "_")}" {{',
            f'  name                        = "{name}"',
            f"  priority                    = {number}",
            '  direction                   = "Inbound"',
            f'  access                      = "{access}"',
            f'  protocol                    = "{transport.capitalize()}"',
            '  source_port_range           = "*"',
            f"  destination_port_ranges     = {texts(tuple(map(str, ports)))}",
            source,
            '  destination_address_prefix  = "*"',
            f'  description                 = "{intent.comment}"',
            "  resource_group_name         = var.group",
            "  network_security_group_name = var.nsg",
            "}",
        ]
    return "\n".join(lines) + "\n"


def texts(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


def commands(intent: Intent) -> str:
    lines = ["#!/bin/sh", "set -eu", ': "${GROUP:?set GROUP to the resource group}" "${NSG:?set NSG to the group\'s name}"']
    for name, number, access, transport, _, nets, ports in rules(intent):
        prefixes = " ".join(f"'{net}'" for net in nets)
        lines.append(
            f'az network nsg rule create -g "$GROUP" --nsg-name "$NSG" -n {name} --priority {number} --direction Inbound '
            f"--access {access} --protocol {transport.capitalize()} --source-address-prefixes {prefixes} "
            f"--destination-port-ranges {' '.join(map(str, ports))}"
        )
    return "\n".join(lines) + "\n"


PLATFORM = Platform("azure", "Azure network security group (Terraform, CLI)", render, "none")
