"""PAN-OS security rules as set commands, put before the others. Zone names are yours to give.

A rule matches zones, addresses of both families in one list, and a service object for the port. Source: PAN-OS CLI Quick Start,
Security Policy.
"""

from __future__ import annotations

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform

FILE = "reconshield.panos"


def render(intent: Intent) -> Advice:
    names = ("reconshield-deny", "reconshield-allow")
    return Advice(
        platform="paloalto",
        files=(File(FILE, config(intent)),),
        apply="configure      # paste the file, then: validate full; commit description reconshield",
        undo="\n".join(["configure", *(f"delete rulebase security rules {name}" for name in names), "commit"]),
        check=f"test security-policy-match protocol 6 destination-port {intent.ports[0].port} source 203.0.113.7",
        notes=(
            "put the names of your zones for UNTRUST and TRUST: without them these rules are a draft",
            "management access does not pass these rules; your way in is not cut off by them",
        ),
    )


def config(intent: Intent) -> str:
    lines, members = [], []
    for transport in intent.transports:
        ports = ",".join(map(str, intent.numbers(transport)))
        name = f"reconshield-{transport}"
        members.append(name)
        lines.append(f"set service {name} protocol {transport} port {ports}")
    service = members[0] if len(members) == 1 else f"[ {' '.join(members)} ]"
    nets = ("any",) if intent.public else (*intent.allow_v4, *intent.allow_v6)
    if nets:
        source = nets[0] if len(nets) == 1 else f"[ {' '.join(nets)} ]"
        lines += rule("reconshield-allow", source, service, "allow", intent)
    if not intent.public:
        lines += rule("reconshield-deny", "any", service, "drop", intent)
        lines.append("move rulebase security rules reconshield-deny top")
    if nets:
        lines.append("move rulebase security rules reconshield-allow top")
    return "\n".join(lines) + "\n"


def rule(name: str, source: str, service: str, action: str, intent: Intent) -> list[str]:
    base = f"set rulebase security rules {name}"
    log = "yes" if intent.log else "no"
    return [
        f"{base} from UNTRUST to TRUST source {source} destination any application any service {service} action {action}",
        f'{base} description "{intent.comment}" log-end {log}',
    ]


PLATFORM = Platform("paloalto", "Palo Alto PAN-OS", render, "none")
