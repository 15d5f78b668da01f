"""Ports that containers publish: the chain DOCKER-USER, which the engine leaves to the administrator.

A published port is forwarded, so INPUT never sees it; and when FORWARD does, its destination is already the container's. So
the rules match the port that the client asked for (`--ctorigdstport`) in the direction of the connection's beginning. Source:
Docker documentation, "Packet filtering and firewalls"; iptables-extensions(8), conntrack.
"""

from __future__ import annotations

from reconshield.firewall.intent import Intent
from reconshield.firewall.platform import Advice, File, Platform
from reconshield.firewall.rollback import Change, guarded_script

TOOLS = (("iptables", 4), ("ip6tables", 6))
CHAIN, PARENT = "RECONSHIELD-DOCKER", "DOCKER-USER"


def render(intent: Intent) -> Advice:
    files = tuple(File(f"reconshield-docker.{tool}", ruleset(intent, version)) for tool, version in TOOLS)
    apply = "\n".join(
        f"{tool}-restore --noflush <<'RULES'\n{file.text}RULES" for (tool, _), file in zip(TOOLS, files, strict=True)
    )
    undo = "\n".join(line for tool, _ in TOOLS for line in undo_lines(tool, intent))
    return Advice(
        platform="docker",
        files=(*files, File("apply.sh", guarded_script(Change(apply, undo)))),
        apply="sh apply.sh",
        undo=undo,
        check="\n".join(f"{tool} -S {PARENT}" for tool, _ in TOOLS),
        notes=(
            "simplest of all: publish to one address, `-p 127.0.0.1:110:110`, or do not publish",
            "DOCKER-USER exists in ip6tables only where the engine handles IPv6; without it `ip6tables-restore` says so",
            "traffic between containers and out of them is not changed",
        ),
    )


def undo_lines(tool: str, intent: Intent) -> list[str]:
    return [*(f"{tool} -D {PARENT} {way} -j {CHAIN}" for way in ways(intent)), f"{tool} -F {CHAIN}", f"{tool} -X {CHAIN}"]


def ruleset(intent: Intent, version: int) -> str:
    nets = intent.allow_v4 if version == 4 else intent.allow_v6
    rules = [] if intent.public else [f"-A {CHAIN} -s {net} -j RETURN" for net in nets]
    if intent.log and not intent.public:
        rules.append(f'-A {CHAIN} -m limit --limit 10/minute --limit-burst 5 -j LOG --log-prefix "RS-DENY "')
    rules.append(f"-A {CHAIN} -j {'RETURN' if intent.public else 'DROP'}")
    heads = [f"-I {PARENT} 1 {way} -j {CHAIN}" for way in ways(intent)]
    return "\n".join(["*filter", f":{CHAIN} - [0:0]", *rules, *heads, "COMMIT"]) + "\n"


def ways(intent: Intent) -> list[str]:
    """New and running connections alike are matched by the port that was asked for; answers go the other way."""
    return [
        f"-p {transport} -m conntrack --ctdir ORIGINAL --ctorigdstport {port} --ctstate NEW"
        for transport in intent.transports
        for port in intent.numbers(transport)
    ]


PLATFORM = Platform("docker", "Docker, published ports", render, "lab")
