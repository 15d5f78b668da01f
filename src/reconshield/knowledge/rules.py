"""Ready rules for one endpoint on the common Linux firewalls, from its role: who is let in, in both address families.

The networks are examples to be replaced by the reader's own. A service that is public by design is opened, never closed. Each
text can be pasted as it stands; the nftables one lies in a table of its own, so that it changes no other rule and is undone by
deleting it. An `accept` there does not override a `drop` in another table. Ports that a container publishes do not pass these
rules: they are forwarded, not received.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconshield.knowledge.records import EndpointEntry

EXAMPLE_V4 = "10.8.0.0/24"
EXAMPLE_V6 = "fd00:8::/64"


@dataclass(frozen=True, slots=True)
class ReadyRules:
    """Rules for one firewall: its name, the text to paste, and the command that takes it back."""

    platform: str
    text: str
    undo: str


def ready_rules(endpoint: EndpointEntry) -> tuple[ReadyRules, ...]:
    """The rules for an endpoint: opened for everybody when it is public by design, else for listed networks only."""
    make = _open if endpoint.role == "public" else _restrict
    return make(endpoint.port, endpoint.transport)


def _restrict(port: int, transport: str) -> tuple[ReadyRules, ...]:
    table, place = f"reconshield_{transport}_{port}", f"{transport} dport {port}"
    nft = (
        f"table inet {table} {{\n"
        "  chain input {\n"
        "    type filter hook input priority filter - 1; policy accept;\n"
        '    iifname "lo" accept\n'
        f"    ip saddr {EXAMPLE_V4} {place} accept\n"
        f"    ip6 saddr {EXAMPLE_V6} {place} accept\n"
        f"    {place} drop\n"
        "  }\n"
        "}"
    )
    sources = (("iptables", EXAMPLE_V4), ("ip6tables", EXAMPLE_V6))
    rule = f"INPUT -p {transport} --dport {port}"
    iptables = [
        line
        for tool, net in sources
        for line in (
            f"{tool} -I {rule} -j DROP",
            f"{tool} -I {rule} -s {net} -j ACCEPT",
            f"{tool} -I {rule} -i lo -j ACCEPT",
        )
    ]
    ufw = [f"ufw prepend deny proto {transport} to any port {port}"]
    ufw += [f"ufw prepend allow proto {transport} from {net} to any port {port}" for _, net in sources]
    rich = [_rich(family, net, port, transport) for family, net in (("ipv4", EXAMPLE_V4), ("ipv6", EXAMPLE_V6))]
    firewalld = [f"firewall-cmd --permanent --remove-port={port}/{transport}"]
    firewalld += [f"firewall-cmd --permanent --add-rich-rule='{each}'" for each in rich]
    return (
        ReadyRules("nftables", nft, f"nft delete table inet {table}"),
        ReadyRules("iptables", "\n".join(iptables), "\n".join(line.replace(" -I ", " -D ") for line in iptables)),
        ReadyRules("ufw", "\n".join(ufw), "\n".join(line.replace("ufw prepend", "ufw delete") for line in ufw)),
        ReadyRules(
            "firewalld",
            "\n".join([*firewalld, "firewall-cmd --reload"]),
            "\n".join([*(f"firewall-cmd --permanent --remove-rich-rule='{each}'" for each in rich), "firewall-cmd --reload"]),
        ),
    )


def _rich(family: str, network: str, port: int, transport: str) -> str:
    return f'rule family="{family}" source address="{network}" port port="{port}" protocol="{transport}" accept'


def _open(port: int, transport: str) -> tuple[ReadyRules, ...]:
    tools = ("iptables", "ip6tables")
    iptables = [f"{tool} -I INPUT -p {transport} --dport {port} -j ACCEPT" for tool in tools]
    nft = f"nft insert rule inet filter input {transport} dport {port} accept"
    return (
        ReadyRules("nftables", nft, "nft -a list chain inet filter input, then nft delete rule inet filter input handle N"),
        ReadyRules("iptables", "\n".join(iptables), "\n".join(line.replace(" -I ", " -D ") for line in iptables)),
        ReadyRules("ufw", f"ufw allow {port}/{transport}", f"ufw delete allow {port}/{transport}"),
        ReadyRules(
            "firewalld",
            f"firewall-cmd --permanent --add-port={port}/{transport}\nfirewall-cmd --reload",
            f"firewall-cmd --permanent --remove-port={port}/{transport}\nfirewall-cmd --reload",
        ),
    )
