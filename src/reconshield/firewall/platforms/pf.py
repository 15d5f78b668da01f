"""pf on OpenBSD, FreeBSD and macOS: an anchor of its own, each rule `quick`, so that the first that fits decides.

Source: pf.conf(5), pfctl(8).
"""

from __future__ import annotations

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform

ANCHOR = "reconshield"
FILE = "reconshield.pf.conf"


def render(intent: Intent) -> Advice:
    return Advice(
        platform="pf",
        files=(File(FILE, rules(intent)),),
        apply=f"pfctl -nf {FILE} && pfctl -a {ANCHOR} -f {FILE}   # with `anchor {ANCHOR}` among the first rules of pf.conf",
        undo=f"pfctl -a {ANCHOR} -F rules",
        check=f"pfctl -a {ANCHOR} -sr",
        notes=(
            f'`anchor "{ANCHOR}"` must stand in /etc/pf.conf before other quick rules, and pf be enabled (pfctl -e)',
            "for a timed way back: (sleep 60; pfctl -a reconshield -F rules) & ; kill it once a new session works",
        ),
    )


def rules(intent: Intent) -> str:
    lines = [f"# {intent.comment}", "pass quick on lo0 all"]
    for transport in intent.transports:
        ports = intent.numbers(transport)
        place = f"to (self) port {ports[0] if len(ports) == 1 else '{ ' + ', '.join(map(str, ports)) + ' }'}"
        if intent.public:
            lines.append(f"pass in quick proto {transport} from any {place} keep state")
            continue
        for family, nets in (("inet", intent.allow_v4), ("inet6", intent.allow_v6)):
            if nets:
                source = nets[0] if len(nets) == 1 else "{ " + ", ".join(nets) + " }"
                lines.append(f"pass in quick {family} proto {transport} from {source} {place} keep state")
        lines.append(f"block drop in {'log ' if intent.log else ''}quick proto {transport} from any {place}")
    return "\n".join(lines) + "\n"


PLATFORM = Platform("pf", "pf (OpenBSD, FreeBSD, macOS)", render, "none")
