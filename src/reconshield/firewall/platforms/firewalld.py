"""firewalld: rich rules in the default zone, in both families, the denial after the allowances by its priority.

Among rich rules a lower priority number comes first. A drop is given for each family, because a rich rule without a family and
with an address is refused. The port and its service are taken out of the zone, for those would accept before a later denial.
Source: firewalld.richlanguage(5), firewall-cmd(1).
"""

from __future__ import annotations

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform
from reconshield.firewall.rollback import Change, guarded_script

ALLOW_AT, DENY_AT = -110, -100


def render(intent: Intent) -> Advice:
    rules = rich_rules(intent)
    change = Change(
        "\n".join(f"firewall-cmd --add-rich-rule='{rule}'" for rule in rules),
        "\n".join(f"firewall-cmd --remove-rich-rule='{rule}'" for rule in rules),
    )
    return Advice(
        platform="firewalld",
        files=(File("apply.sh", guarded_script(change)),),
        apply="sh apply.sh   # then, once confirmed: firewall-cmd --runtime-to-permanent",
        undo=change.undo,
        check="firewall-cmd --list-all",
        notes=(
            "the rules go into the default zone; name the zone of your interface with --zone=ZONE if that is another one",
            "until they are made permanent, a restart or --reload takes them back",
            "ports that a container publishes do not pass the zone: see --platform docker",
        ),
    )


def rich_rules(intent: Intent) -> list[str]:
    rules = []
    for transport in intent.transports:
        for port in intent.numbers(transport):
            place = f'port port="{port}" protocol="{transport}"'
            if intent.public:
                rules.append(f'rule priority="{ALLOW_AT}" {place} accept')
                continue
            for family, nets in (("ipv4", intent.allow_v4), ("ipv6", intent.allow_v6)):
                rules += [f'rule priority="{ALLOW_AT}" family="{family}" source address="{net}" {place} accept' for net in nets]
            log = ' log prefix="RS-DENY " level="info" limit value="10/m"' if intent.log else ""
            rules.append(f'rule priority="{DENY_AT}" {place}{log} drop')
    return rules


PLATFORM = Platform("firewalld", "firewalld", render, "lab")
