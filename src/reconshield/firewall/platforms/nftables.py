"""nftables: a table of its own beside whatever is there.

A `drop` is final in any table, an `accept` ends only its own chain. So a table of our own can close a port on any system and be
taken back whole; it cannot open what another table drops. It stands just before the usual filter (priority -1). Source: nft(8).
"""

from __future__ import annotations

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform
from reconshield.firewall.rollback import Change, guarded_script

TABLE = "reconshield"
FILE = "reconshield.nft"


def render(intent: Intent) -> Advice:
    text = ruleset(intent)
    change = Change(f"nft -f - <<'RULES'\n{text}RULES", f"nft delete table inet {TABLE}")
    return Advice(
        platform="nftables",
        files=(File(FILE, text), File("apply.sh", guarded_script(change))),
        apply=f"nft -c -f {FILE} && sh apply.sh",
        undo=change.undo,
        check=f"nft list table inet {TABLE}",
        notes=notes(intent),
    )


def ruleset(intent: Intent) -> str:
    """The table as `nft -f` takes it. Loading it again replaces it."""
    lines = [
        f"table inet {TABLE} {{}}",
        f"delete table inet {TABLE}",
        f"table inet {TABLE} {{",
        f'  comment "{intent.comment}"',
        "  chain input {",
        "    type filter hook input priority filter - 1; policy accept;",
        '    iif "lo" accept',
        "    ct state established,related accept",
        *(f"    {line}" for line in rules(intent)),
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def rules(intent: Intent) -> list[str]:
    lines = []
    for transport in intent.transports:
        place = f"{transport} dport {numbers(intent.numbers(transport))}"
        if intent.public:
            lines.append(f"{place} accept")
            continue
        lines += [
            f"{family} saddr {networks(nets)} {place} accept"
            for family, nets in (("ip", intent.allow_v4), ("ip6", intent.allow_v6))
            if nets
        ]
        if intent.log:
            lines.append(f'{place} limit rate 10/minute burst 5 packets log prefix "RS-DENY "')
        lines.append(f"{place} counter drop")
    return lines


def numbers(ports: tuple[int, ...]) -> str:
    return str(ports[0]) if len(ports) == 1 else f"{{ {', '.join(map(str, ports))} }}"


def networks(nets: tuple[str, ...]) -> str:
    return nets[0] if len(nets) == 1 else f"{{ {', '.join(nets)} }}"


def notes(intent: Intent) -> tuple[str, ...]:
    published = "ports that a container publishes are forwarded, not received: see --platform docker"
    if intent.public:
        return ("an accept here does not override a drop in another table: look at `nft list ruleset`", published)
    keep = "to keep it over a restart, put the file into /etc/nftables.d or /etc/nftables.conf"
    return (published, keep)


PLATFORM = Platform("nftables", "nftables", render, "lab")
