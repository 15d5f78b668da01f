"""Rules for the user's own firewall: from a port, a service, or what a run found, to an intent, to the texts of a platform.

Advice follows the role that a service has: what is meant to be public stays open, what is not is closed to all but the networks
that were named. Nothing is sent and nothing is changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconshield.addresses import AddressSet
from reconshield.errors import UserError
from reconshield.firewall.intent import Intent, Port, allowed_networks, refuse_contradiction, refuse_lockout
from reconshield.firewall.platform import Advice, Platform
from reconshield.firewall.platforms import PLATFORMS
from reconshield.jobs.results import load_result
from reconshield.jobs.scan_request import read_ports
from reconshield.knowledge.index import load_index
from reconshield.policy import Policy
from reconshield.report.advice import advice_line
from reconshield.report.line_types import AdviceLine
from reconshield.store.db import Store

DEFAULT_PLATFORM = "nftables"
FROM_RISK = 30
"""Without a policy, endpoints of a run rated Medium or worse are the ones to close."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asked for, as text."""

    names: tuple[str, ...] = ()
    run: str | None = None
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    platform: str = DEFAULT_PLATFORM
    log: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Advised:
    """An intent for one host (`host` is empty for "this port, wherever"), what a platform makes of it, and what must be
    said.
    """

    host: str
    intent: Intent
    advice: Advice
    remarks: tuple[str, ...] = ()


def find_platform(name: str) -> Platform:
    found = next((platform for platform in PLATFORMS if platform.name == name.lower()), None)
    if found is None:
        names = ", ".join(platform.name for platform in PLATFORMS)
        raise UserError(f"no rules are made for {name}", where=f"--platform {name}", hint=f"--platform one of {names}")
    return found


def advise(wish: Wish, store: Store | None, policy: Policy | None, environ: Mapping[str, str] = os.environ) -> list[Advised]:
    """What to do. One answer for ports that were named, one for each host of a run."""
    platform = find_platform(wish.platform)
    if bool(wish.names) == bool(wish.run):
        raise UserError("name ports or a run", where="firewall advise", hint="reconshield firewall advise 110, or --run latest")
    if wish.run is None:
        intents = [("", *intent_for_ports(ports_named(wish.names), wish))]
    elif store is None:
        raise UserError("there is no run", where=f"--run {wish.run}", hint="reconshield scan localhost")
    else:
        intents = list(intents_for_run(store, wish, policy))
    operator, port = operator_of(environ)
    found = []
    for host, intent, remarks in intents:
        if not host:
            refuse_lockout(intent, operator, port)
        found.append(Advised(host, intent, platform.render(intent), remarks))
    return found


def operator_of(environ: Mapping[str, str]) -> tuple[str | None, int | None]:
    """Where the operator's own session comes from, and to which port, as the SSH server tells."""
    parts = environ.get("SSH_CONNECTION", "").split()
    return (parts[0], int(parts[3])) if len(parts) == 4 and parts[3].isdecimal() else (None, None)


def ports_named(names: Iterable[str]) -> list[Port]:
    """Numbers and names as ports. A number that no service uses over UDP is TCP alone."""
    found: dict[Port, None] = {}
    for name in names:
        ports = read_ports(name)
        for transport, ranges in (("tcp", ports.tcp), ("udp", ports.udp)):
            for first, last in ranges:
                if last - first > 1000:
                    raise UserError("too many ports for one piece of advice", where=name, hint="name the ports of one service")
                found.update({port_of(transport, number): None for number in range(first, last + 1)})
        if name.isdecimal() and load_index().at(int(name), "udp"):
            found[port_of("udp", int(name))] = None
    return list(found)


def port_of(transport: str, number: int) -> Port:
    rows = load_index().at(number, transport)
    return Port(transport, number, rows[0].service if rows else "")


def intent_for_ports(ports: list[Port], wish: Wish) -> tuple[Intent, tuple[str, ...]]:
    """Closed to all but the named networks; what is meant to be public stays open unless networks are named."""
    allow, deny = allowed_networks(wish.allow), allowed_networks(wish.deny, "--deny")
    refuse_contradiction(allow, deny)
    public = [port for port in ports if is_public(port)]
    remarks = []
    if public and not allow:
        others = [port for port in ports if port not in public]
        if others:
            names = ", ".join(map(str, public))
            remarks.append(f"{names} is meant to be public and left as it is; name networks with --allow to restrict it")
            ports = others
        else:
            remarks.append(f"{', '.join(map(str, public))} is meant to be public: it is opened, in both families")
            return Intent(tuple(ports), public=True, log=wish.log, reason=wish.reason), tuple(remarks)
    elif public:
        remarks.append(f"{', '.join(map(str, public))} is meant to be public on servers with that purpose; restricted as asked")
    if not allow:
        remarks.append("closed to everybody but this machine itself; --allow CIDR lets networks in")
    one_family = missing_family(allow)
    if one_family:
        remarks.append(f"no {one_family} network is allowed, so over {one_family} the port is closed to everybody")
    return Intent(tuple(ports), allow, log=wish.log, reason=wish.reason), tuple(remarks)


def missing_family(allow: AddressSet) -> str:
    intent = Intent((Port("tcp", 1),), allow)
    if allow and not intent.allow_v6:
        return "IPv6"
    return "IPv4" if allow and not intent.allow_v4 else ""


def is_public(port: Port) -> bool:
    rows = load_index().at(port.port, port.transport)
    return bool(rows) and rows[0].role == "public"


def intents_for_run(store: Store, wish: Wish, policy: Policy | None) -> Iterable[tuple[str, Intent, tuple[str, ...]]]:
    """For each host of a run, its endpoints that should not be open: unexpected by the policy, else rated Medium or worse."""
    result = load_result(store, wish.run or "latest")
    allow = allowed_networks(wish.allow)
    by_host: dict[str, dict[Port, None]] = {}
    kept: dict[str, list[str]] = {}
    for rated in sorted(result.services, key=lambda each: -each.risk.score):
        endpoint, service = rated.endpoint, rated.service.service
        if endpoint in result.own_loopback:
            continue
        port = Port(endpoint.transport, endpoint.port, service)
        if should_close(policy, endpoint.ip, port, rated.risk.score):
            by_host.setdefault(endpoint.ip, {})[port] = None
        else:
            kept.setdefault(endpoint.ip, []).append(f"{port} {service}")
    if not by_host:
        raise UserError(
            "nothing in this run asks to be closed", where=result.head.id, hint="reconshield firewall advise 110 for one port"
        )
    for host, ports in by_host.items():
        remarks = (f"left open: {', '.join(kept[host][:8])}",) if host in kept else ()
        yield host, Intent(tuple(ports), allow, log=wish.log, reason=wish.reason or f"run {result.head.id}"), remarks


def should_close(policy: Policy | None, ip: str, port: Port, score: int) -> bool:
    if policy is not None and (policy.expects or policy.closed):
        return not any(
            ip in expect.area
            and (expect.port_set is None or (port.transport, port.port) in expect.port_set)
            and (not expect.services or port.service in expect.services)
            for expect in policy.expects
        )
    return score >= FROM_RISK and not is_public(port)


def line_of(advised: Advised) -> AdviceLine:
    """Advice as a line."""
    advice, intent = advised.advice, advised.intent
    return advice_line(
        advice.platform,
        advised.host,
        [str(port) for port in intent.ports],
        list(intent.allow.cidrs()),
        {file.name: file.text for file in advice.files},
        {"apply": advice.apply, "undo": advice.undo, "check": advice.check},
        (*advised.remarks, *advice.notes),
        public=intent.public,
    )
