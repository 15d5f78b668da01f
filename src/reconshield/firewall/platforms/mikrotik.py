"""MikroTik RouterOS: filter rules in the chain `input`, put before the others, for both families.

`place-before=0` puts a rule first, so the denial is given first and the allowances after it. Source: MikroTik documentation,
Firewall filter.
"""

from __future__ import annotations

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform

FILE = "reconshield.rsc"
MARK = "reconshield"
PATHS = ("/ip firewall filter", "/ipv6 firewall filter")


def render(intent: Intent) -> Advice:
    return Advice(
        platform="mikrotik",
        files=(File(FILE, config(intent)),),
        apply=f"Ctrl-X for Safe Mode; /import file-name={FILE}; Ctrl-X again once a new session works",
        undo="\n".join(f'{path} remove [find comment~"^{MARK}"]' for path in PATHS),
        check="\n".join(f'{path} print where comment~"^{MARK}"' for path in PATHS),
        notes=(
            "Safe Mode takes everything back if your session dies",
            "for ports that are forwarded to a host behind the router use chain=forward",
        ),
    )


def config(intent: Intent) -> str:
    lines = []
    for path, nets in zip(PATHS, (intent.allow_v4, intent.allow_v6), strict=True):
        for transport in intent.transports:
            ports = ",".join(map(str, intent.numbers(transport)))
            place = f'chain=input protocol={transport} dst-port={ports} comment="{intent.comment}" place-before=0'
            if intent.public:
                lines.append(f"{path} add action=accept {place}")
                continue
            log = ' log=yes log-prefix="RS-DENY"' if intent.log else ""
            lines.append(f"{path} add action=drop {place}{log}")
            lines += [f"{path} add action=accept src-address={net} {place}" for net in nets]
        lines.append(
            f'{path} add action=accept chain=input connection-state=established,related comment="{MARK} running" place-before=0'
        )
    return "\n".join(lines) + "\n"


PLATFORM = Platform("mikrotik", "MikroTik RouterOS", render, "none")
