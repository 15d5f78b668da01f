"""FortiOS: policies put in front of the others. Interface names are yours to give.

IPv4 and IPv6 sources stand in one policy since FortiOS 6.4, in two lists (`srcaddr`, `srcaddr6`); a policy with an empty list
of one family does not match it. Traffic to the FortiGate itself is filtered by local-in policies instead. Source: FortiOS
Administration Guide, Firewall policies; Local-in policies.
"""

from __future__ import annotations

from ipaddress import ip_network

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform

FILE = "reconshield.fortios"
ALLOW_ID, DENY_ID = 64001, 64002


def render(intent: Intent) -> Advice:
    return Advice(
        platform="fortigate",
        files=(File(FILE, config(intent)),),
        apply="set cfg-save to revert in `config system global`, paste the file, then: execute cfg save",
        undo=f"config firewall policy\ndelete {ALLOW_ID}\ndelete {DENY_ID}\nend",
        check=f"diagnose firewall iprope lookup 203.0.113.7 50000 198.51.100.10 {intent.ports[0].port} tcp wan1",
        notes=(
            "with cfg-save on revert the device goes back by itself if nobody saves",
            "put your interfaces for wan1 and internal, and move both policies to the top of their section",
            "what is addressed to the FortiGate itself passes local-in policies, not these",
        ),
    )


def config(intent: Intent) -> str:
    lines = ["config firewall service custom", "edit reconshield"]
    lines += [f"set {transport}-portrange {' '.join(map(str, intent.numbers(transport)))}" for transport in intent.transports]
    lines += ["next", "end"]
    v4, v6 = addresses(intent, lines)
    lines.append("config firewall policy")
    if intent.public or v4 or v6:
        lines += policy(ALLOW_ID, "allow", "accept", v4, v6, intent)
    if not intent.public:
        lines += policy(DENY_ID, "deny", "deny", ["all"], ["all"], intent)
    return "\n".join([*lines, "end"]) + "\n"


def addresses(intent: Intent, lines: list[str]) -> tuple[list[str], list[str]]:
    """Declare an address object for each network; gives their names by family."""
    if intent.public:
        return ["all"], ["all"]
    names: dict[int, list[str]] = {4: [], 6: []}
    for version, table, nets in ((4, "address", intent.allow_v4), (6, "address6", intent.allow_v6)):
        if not nets:
            continue
        lines.append(f"config firewall {table}")
        for number, net in enumerate(nets, 1):
            name = f"reconshield-v{version}-{number}"
            network = ip_network(net)
            value = f"subnet {network.network_address} {network.netmask}" if version == 4 else f"ip6 {network}"
            lines += [f"edit {name}", f"set {value}", "next"]
            names[version].append(name)
        lines.append("end")
    return names[4], names[6]


def policy(number: int, name: str, action: str, v4: list[str], v6: list[str], intent: Intent) -> list[str]:
    lines = [f"edit {number}", f"set name reconshield-{name}", "set srcintf wan1", "set dstintf internal"]
    if v4:
        lines += [f"set srcaddr {' '.join(v4)}", "set dstaddr all"]
    if v6:
        lines += [f"set srcaddr6 {' '.join(v6)}", "set dstaddr6 all"]
    lines += [f"set action {action}", "set service reconshield", "set schedule always"]
    lines += [f"set logtraffic {'all' if intent.log else 'disable'}", f'set comments "{intent.comment}"', "next"]
    return lines


PLATFORM = Platform("fortigate", "FortiGate FortiOS", render, "none")
