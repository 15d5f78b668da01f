"""ufw: its own commands, put before the user's other rules, for both families.

ufw takes the first rule that fits. `prepend` puts a rule first, so the denial is given first and the allowances after it, which
leaves them in front of it. What is connected already goes on by ufw's own rules. Source: ufw(8).
"""

from __future__ import annotations

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform
from reconshield.firewall.rollback import Change, guarded_script


def render(intent: Intent) -> Advice:
    rules = rule_texts(intent)
    change = Change(
        "\n".join(f"ufw prepend {rule}" for rule in rules),
        "\n".join(f"ufw --force delete {rule}" for rule in rules),
    )
    return Advice(
        platform="ufw",
        files=(File("apply.sh", guarded_script(change)),),
        apply="sh apply.sh",
        undo=change.undo,
        check="ufw status numbered",
        notes=(
            "IPV6=yes must stand in /etc/default/ufw, else the port stays open over IPv6",
            "ufw must be active (ufw status); turning it on denies what no rule allows: allow your own way in first",
            "ports that a container publishes do not pass ufw: see --platform docker",
        ),
    )


def rule_texts(intent: Intent) -> list[str]:
    """Rules in the order in which they are prepended: the last one stands first."""
    rules = []
    for transport in intent.transports:
        for port in intent.numbers(transport):
            place = f"to any port {port}"
            verdict = "allow" if intent.public else "deny log" if intent.log else "deny"
            rules.append(f"{verdict} proto {transport} from any {place}")
            if not intent.public:
                rules += [f"allow proto {transport} from {net} {place}" for net in (*intent.allow_v6, *intent.allow_v4)]
    return rules


PLATFORM = Platform("ufw", "ufw", render, "lab")
