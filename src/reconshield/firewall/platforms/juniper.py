"""Junos firewall filters, one for each family, with a last term that accepts: a filter ends in an implicit discard.

Source: Juniper, Routing Policies, Firewall Filters, and Traffic Policers User Guide.
"""

from __future__ import annotations

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform

FILE = "reconshield.set"
FAMILIES = (("inet", "protocol", 4), ("inet6", "next-header", 6))


def render(intent: Intent) -> Advice:
    return Advice(
        platform="juniper",
        files=(File(FILE, config(intent)),),
        apply=f"configure; load set {FILE}; commit confirmed 5      # then, from a new session: commit",
        undo="\n".join(f"delete firewall family {family} filter reconshield" for family, *_ in FAMILIES),
        check="show firewall filter reconshield",
        notes=(
            "commit confirmed takes it back by itself after five minutes unless you commit again",
            "bind it: set interfaces IF unit 0 family inet filter input reconshield, and the same for inet6",
            "an interface takes one input filter a family, or an input-list: put this one first in it",
        ),
    )


def config(intent: Intent) -> str:
    lines = []
    for family, protocol, version in FAMILIES:
        base = f"set firewall family {family} filter reconshield"
        nets = intent.allow_v4 if version == 4 else intent.allow_v6
        for transport in intent.transports:
            places = [f"from {protocol} {transport}"]
            places += [f"from destination-port {port}" for port in intent.numbers(transport)]
            if intent.public:
                lines += [f"{base} term allow-{transport} {place}" for place in places]
                lines.append(f"{base} term allow-{transport} then accept")
                continue
            if nets:
                lines += [f"{base} term allow-{transport} from source-address {whole(net)}" for net in nets]
                lines += [f"{base} term allow-{transport} {place}" for place in places]
                lines.append(f"{base} term allow-{transport} then accept")
            lines += [f"{base} term deny-{transport} {place}" for place in places]
            lines += [f"{base} term deny-{transport} then {verb}" for verb in (["syslog"] if intent.log else []) + ["discard"]]
        lines.append(f"{base} term rest then accept")
    return "\n".join(lines) + "\n"


def whole(net: str) -> str:
    return net if "/" in net else f"{net}/{128 if ':' in net else 32}"


PLATFORM = Platform("juniper", "Junos firewall filter", render, "none")
