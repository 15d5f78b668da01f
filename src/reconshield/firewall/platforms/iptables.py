"""iptables and ip6tables, always both: a chain of our own that packets to these ports pass first.

`iptables-restore --noflush` changes everything at once and leaves other rules alone. In a chain that is reached from INPUT an
ACCEPT is final, so the allowed sources get in whatever stands further down. Source: iptables(8), iptables-restore(8).
"""

from __future__ import annotations

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform
from reconshield.firewall.rollback import Change, guarded_script

CHAIN = "RECONSHIELD"
TOOLS = (("iptables", 4), ("ip6tables", 6))
PORTS_A_RULE = 15
"""`multiport` takes no more."""


def render(intent: Intent) -> Advice:
    files = tuple(File(f"reconshield.{tool}", ruleset(intent, version)) for tool, version in TOOLS)
    change = Change(apply_lines(files), undo_lines(intent))
    return Advice(
        platform="iptables",
        files=(*files, File("apply.sh", guarded_script(change))),
        apply="sh apply.sh",
        undo=change.undo,
        check="\n".join(f"{tool} -S {CHAIN}; {tool} -S INPUT" for tool, _ in TOOLS),
        notes=(
            "both families are changed: an IPv4 rule alone leaves the port open over IPv6",
            "ports that a container publishes do not pass INPUT: see --platform docker",
            "to keep it over a restart: netfilter-persistent save, or your distribution's way",
        ),
    )


def ruleset(intent: Intent, version: int) -> str:
    """What `iptables-restore --noflush` takes. Loading it again is for after the undoing."""
    rules = [f"-A {CHAIN} -i lo -j ACCEPT", f"-A {CHAIN} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"]
    nets = intent.allow_v4 if version == 4 else intent.allow_v6
    if not intent.public:
        rules += [f"-A {CHAIN} -s {net} -j ACCEPT" for net in nets]
        if intent.log:
            rules.append(f'-A {CHAIN} -m limit --limit 10/minute --limit-burst 5 -j LOG --log-prefix "RS-DENY "')
    rules.append(f"-A {CHAIN} -j {'ACCEPT' if intent.public else 'DROP'}")
    ways = [f"-I INPUT 1 {way} -j {CHAIN}" for way in matches(intent)]
    return "\n".join(["*filter", f":{CHAIN} - [0:0]", *rules, *ways, "COMMIT"]) + "\n"


def matches(intent: Intent) -> list[str]:
    """How packets to the ports are recognised; several rules where there are many ports."""
    found = []
    for transport in intent.transports:
        ports = intent.numbers(transport)
        for at in range(0, len(ports), PORTS_A_RULE):
            part = ports[at : at + PORTS_A_RULE]
            place = f"--dport {part[0]}" if len(part) == 1 else f"-m multiport --dports {','.join(map(str, part))}"
            found.append(f'-p {transport} {place} -m comment --comment "{intent.comment}"')
    return found


def apply_lines(files: tuple[File, ...]) -> str:
    parts = []
    for (tool, _), file in zip(TOOLS, files, strict=True):
        parts.append(f"{tool}-restore --noflush <<'RULES'\n{file.text}RULES")
    return "\n".join(parts)


def undo_lines(intent: Intent) -> str:
    lines = []
    for tool, _ in TOOLS:
        lines += [f"{tool} -D INPUT {way} -j {CHAIN}" for way in matches(intent)]
        lines += [f"{tool} -F {CHAIN}", f"{tool} -X {CHAIN}"]
    return "\n".join(lines)


PLATFORM = Platform("iptables", "iptables and ip6tables", render, "lab")
