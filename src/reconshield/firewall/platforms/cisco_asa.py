"""Cisco ASA: lines put in front of an access list that is there already.

An ASA list ends in an implicit denial, and clearing one removes the other rules with it, so nothing is cleared: each line
gets its place by number, the last one first. One list holds both families. Source: Cisco ASA Series CLI Configuration Guide,
access rules.
"""

from __future__ import annotations

from ipaddress import ip_network

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform

FILE = "reconshield.asa"
LIST = "OUTSIDE_IN"


def render(intent: Intent) -> Advice:
    lines = entries(intent)
    return Advice(
        platform="cisco-asa",
        files=(File(FILE, "\n".join(f"access-list {LIST} line 1 {line}" for line in lines) + "\n"),),
        apply="reload in 5      ! then paste the file; if you still get in: reload cancel, write memory",
        undo="\n".join(f"no access-list {LIST} {line}" for line in lines),
        check=f"show access-list {LIST}\npacket-tracer input outside tcp 203.0.113.7 50000 YOUR-ADDRESS {intent.ports[0].port}",
        notes=(
            f"put the name of your own list for {LIST} (show run access-group); nothing in it is cleared",
            "each line is put first, so the one given last stands first: the allowances come before the denial",
        ),
    )


def entries(intent: Intent) -> list[str]:
    """In the order in which they are given: the denial first."""
    lines = []
    for port in intent.ports:
        if intent.public:
            lines.append(f"extended permit {port.transport} any any eq {port.port}")
            continue
        lines.append(f"extended deny {port.transport} any any eq {port.port}{' log' if intent.log else ''}")
        lines += [
            f"extended permit {port.transport} {source(net)} any eq {port.port}" for net in (*intent.allow_v6, *intent.allow_v4)
        ]
    return lines


def source(net: str) -> str:
    """ASA writes IPv4 networks with a mask, IPv6 ones with a prefix length."""
    network = ip_network(net)
    if network.num_addresses == 1:
        return f"host {network[0]}"
    return str(network) if network.version == 6 else f"{network.network_address} {network.netmask}"


PLATFORM = Platform("cisco-asa", "Cisco ASA access list", render, "none")
