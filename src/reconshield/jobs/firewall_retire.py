"""A staged plan to close a service: who still uses it, what replaces it, what to tell them, the rules step by step, the proof.

The catalogue knows the replacement and the settings; flow logs, if given, know who still comes. Nothing is sent or changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reconshield.addresses import AddressSet
from reconshield.errors import UserError
from reconshield.firewall.intent import Intent, Port
from reconshield.firewall.platform import Advice, Platform
from reconshield.jobs.detect import Input, read_into
from reconshield.jobs.firewall_advise import find_platform
from reconshield.knowledge.catalog import find_entry
from reconshield.knowledge.names import find_endpoints, unknown_name
from reconshield.knowledge.records import ServiceEntry
from reconshield.text import local_time

TRANSPORTS = {"tcp": 6, "udp": 17}
MOST_USERS = 64
"""Users that are named one by one in the rules; more are a reason to wait, not to list them."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who still uses the service: how often, to which port, when last (Unix seconds, 0: not told)."""

    address: str
    server: str
    port: Port
    flows: int
    last: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One step: what is done, with which rules, and when to go on."""

    title: str
    text: str
    advice: Advice | None = None


@dataclass(frozen=True, slots=True)
class Retirement:
    """The whole plan. `looked` says whether flow logs were given: without them nobody is known, which is not nobody."""

    name: str
    ports: tuple[Port, ...]
    users: tuple[User, ...]
    looked: bool
    replacement: tuple[str, ...]
    notice: str
    stages: tuple[Stage, ...]
    policy: str
    command: str


def plan_retirement(name: str, logs: Iterable[Path], platform_name: str) -> Retirement:
    """The plan for a service by any of its names, or for a port number."""
    platform = find_platform(platform_name)
    entry, ports = service_of(name)
    paths = list(logs)
    users = find_users(ports, paths)
    return Retirement(
        name=entry.name,
        ports=ports,
        users=users,
        looked=bool(paths),
        replacement=tuple(claim.text for claim in entry.replace) or ("the catalogue names no replacement",),
        notice=notice(entry, ports),
        stages=tuple(stages_of(name, entry, ports, users, platform)),
        policy=policy_entry(entry, ports),
        command=f"reconshield firewall prove {' '.join(str(port.port) for port in ports)} --platform {platform.name}",
    )


def stages_of(
    name: str, entry: ServiceEntry, ports: tuple[Port, ...], users: tuple[User, ...], platform: Platform
) -> Iterator[Stage]:
    """Watch, tell, let in whom is known, close, switch off."""
    listed = ", ".join(map(str, ports))
    yield Stage("watch", f"note who uses {listed} for two weeks: reconshield firewall retire {name} --flows FILE")
    yield Stage("tell", "send the notice below; offer the replacement at the same time")
    if users:
        sources = AddressSet.of(*sorted({user.address for user in users})[:MOST_USERS])
        narrow = Intent(ports, sources, log=True, reason=f"{entry.name}: known users only")
        yield Stage("narrow", f"allow only who was seen: {sources.text(8)}", platform.render(narrow))
    closed = Intent(ports, log=True, reason=f"{entry.name}: retired")
    yield Stage("close", f"deny {listed} to everybody; what still comes is noted", platform.render(closed))
    yield Stage("switch off", "turn the service off on the server; the rule stays as the second lock")


def service_of(name: str) -> tuple[ServiceEntry, tuple[Port, ...]]:
    """The catalogue's entry and the ports to close: those where the service is not inside TLS from the first byte."""
    if name.isascii() and name.isdecimal():
        from reconshield.knowledge.index import load_index

        rows = [row for transport in TRANSPORTS for row in load_index().at(int(name), transport)[:1]]
        if not rows:
            raise UserError(f"no service is documented on {name}", where=name, hint=f"reconshield firewall advise {name}")
        entry = find_entry(rows[0].service)
    else:
        rows = [row for row in find_endpoints(name) if row.tls != "implicit"] or list(find_endpoints(name))
        if not rows:
            raise unknown_name(name)
        entry = find_entry(rows[0].service)
    if entry is None:
        raise unknown_name(name)
    return entry, tuple(dict.fromkeys(Port(row.transport, row.port, row.service) for row in rows))


def find_users(ports: tuple[Port, ...], logs: list[Path]) -> tuple[User, ...]:
    """Who had connections to these ports in flow logs or captures, the busiest first."""
    from reconshield.detect.ends import Ends
    from reconshield.detect.tally import Tally

    found: list[User] = []
    with Tally() as tally:
        for number, path in enumerate(logs):
            read_into(tally, Input(path), number, None, "auto")
        for rows in tally.parts():
            ends = Ends(rows)
            for port in ports:
                here = (rows["dport"] == port.port) & (rows["transport"] == TRANSPORTS[port.transport])
                here &= rows["failed"] + rows["denied"] < rows["flows"]
                for at in np.flatnonzero(here).tolist():
                    src, dst = ends.text(int(ends.src[at])), ends.text(int(ends.dst[at]))
                    found.append(User(src, dst, port, int(rows["flows"][at]), float(np.nan_to_num(rows["last"][at]))))
    return tuple(sorted(found, key=lambda user: (-user.flows, user.address)))


def notice(entry: ServiceEntry, ports: tuple[Port, ...]) -> str:
    instead = entry.replace[0].text if entry.replace else "Ask us what to use instead."
    listed = " and ".join(map(str, ports))
    return (
        f"Subject: {entry.name} on {listed} ends on DATE\n\n"
        f"On DATE we close {entry.name} ({listed}). {entry.answer.text}\n\n"
        f"What to use instead: {instead}\n\n"
        "If something of yours still needs it, answer by DATE with the name of the system, who owns it, and until when."
    )


def policy_entry(entry: ServiceEntry, ports: tuple[Port, ...]) -> str:
    text = ",".join(f"U:{port.port}" if port.transport == "udp" else str(port.port) for port in ports)
    return f'[[closed]]\nports = "{text}"\nreason = "{entry.name} is retired"\n'


def retirement_text(plan: Retirement) -> str:
    """The plan as Markdown: for a ticket, a wiki, a terminal."""
    lines = [f"# Retire {plan.name}: {', '.join(map(str, plan.ports))}", "", "## Who still uses it", ""]
    if not plan.looked:
        lines.append("Not known: no flow log was given (`--flows FILE`). This does not mean nobody.")
    elif not plan.users:
        lines.append("Nobody in the logs that were given.")
    else:
        lines += ["| user | server | port | flows | last |", "|---|---|---|---:|---|"]
        lines += [
            f"| {u.address} | {u.server} | {u.port} | {u.flows:,} | {local_time(u.last) if u.last else 'no time'} |"
            for u in plan.users[:MOST_USERS]
        ]
        if len(plan.users) > MOST_USERS:
            lines.append(f"\n{len(plan.users) - MOST_USERS} more.")
    lines += ["", "## What replaces it", "", *(f"- {text}" for text in plan.replacement)]
    lines += ["", "## Notice", "", "```", plan.notice, "```", "", "## Stages", ""]
    for number, stage in enumerate(plan.stages, 1):
        lines += [f"### {number} {stage.title}", "", stage.text, ""]
        if stage.advice is not None:
            for file in stage.advice.files[:2]:
                lines += [f"`{file.name}`", "", "```", file.text.rstrip(), "```", ""]
            lines += ["Back:", "", "```", stage.advice.undo, "```", ""]
    lines += [
        "## Proof",
        "",
        "```",
        plan.command,
        "```",
        "",
        "## The check that keeps it closed",
        "",
        "```",
        plan.policy.rstrip(),
        "```",
    ]
    lines += ["", "then `reconshield check` in your schedule: it fails when one of these ports answers again."]
    return "\n".join(lines) + "\n"


def retirement_data(plan: Retirement) -> dict[str, object]:
    """The same for programs."""
    return {
        "v": 1,
        "type": "retirement",
        "name": plan.name,
        "ports": [str(port) for port in plan.ports],
        "users_known": plan.looked,
        "users": [
            {"address": u.address, "server": u.server, "port": str(u.port), "flows": u.flows, "last": u.last or None}
            for u in plan.users
        ],
        "replacement": list(plan.replacement),
        "notice": plan.notice,
        "stages": [
            {
                "title": stage.title,
                "text": stage.text,
                "files": {file.name: file.text for file in stage.advice.files} if stage.advice else {},
                "undo": stage.advice.undo if stage.advice else "",
            }
            for stage in plan.stages
        ],
        "policy": plan.policy,
        "proof": plan.command,
    }
