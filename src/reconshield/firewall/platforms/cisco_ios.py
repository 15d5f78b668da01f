"""Cisco IOS: named access lists, one for each family, with the closing permit that keeps everything else as it is.

Without that last line a list ends in an implicit denial of everything. IPv6 lists also need neighbour discovery, which IOS
permits implicitly only before its own implicit denial; the closing permit covers it. Source: Cisco IOS Security Configuration
Guide, ACLs.
"""

from __future__ import annotations

from ipaddress import ip_network

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform

FILE = "reconshield.ios"


def render(intent: Intent) -> Advice:
    return Advice(
        platform="cisco-ios",
        files=(File(FILE, config(intent)),),
        apply="reload in 5      ! then paste the file; if you still get in: reload cancel, write memory",
        undo="no ip access-list extended RECONSHIELD-IN\nno ipv6 access-list RECONSHIELD6-IN",
        check="show ip access-lists RECONSHIELD-IN\nshow ipv6 access-list RECONSHIELD6-IN",
        notes=(
            "bind them to the outside interface: ip access-group RECONSHIELD-IN in; ipv6 traffic-filter RECONSHIELD6-IN in",
            "an interface takes one list a direction and family: splice these lines into one that is there already",
        ),
    )


def config(intent: Intent) -> str:
    lines = ["ip access-list extended RECONSHIELD-IN", f" remark {intent.comment}"]
    lines += entries(intent, 4)
    lines += [" permit ip any any", "!", "ipv6 access-list RECONSHIELD6-IN", f" remark {intent.comment}"]
    lines += entries(intent, 6)
    return "\n".join([*lines, " permit ipv6 any any", "!"]) + "\n"


def entries(intent: Intent, version: int) -> list[str]:
    lines = []
    nets = intent.allow_v4 if version == 4 else intent.allow_v6
    for port in intent.ports:
        if intent.public:
            lines.append(f" permit {port.transport} any any eq {port.port}")
            continue
        lines += [f" permit {port.transport} {source(net, version)} any eq {port.port}" for net in nets]
        lines.append(f" deny {port.transport} any any eq {port.port}{' log' if intent.log else ''}")
    return lines


def source(net: str, version: int) -> str:
    """IOS writes IPv4 networks with a wildcard mask, IPv6 ones with a prefix length."""
    network = ip_network(net)
    if version == 6:
        return f"host {network[0]}" if network.num_addresses == 1 else str(network)
    return f"host {network[0]}" if network.num_addresses == 1 else f"{network.network_address} {network.hostmask}"


PLATFORM = Platform("cisco-ios", "Cisco IOS access lists", render, "none")
