"""What somebody wants to have measured -> which ports, how far, how fast. Pure but for the tables of ports.

The text of a request is checked here; who may have it measured is decided by `grants`, and what is sent follows from the plan.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from itertools import islice

from reconshield.addresses import PortSet, parse_ports
from reconshield.errors import UserError
from reconshield.knowledge.ports import top_ports
from reconshield.scan.engine import Options, engine_rate, may_be_raw
from reconshield.scan.plan import expected_rate
from reconshield.scope import Targets

COMMON_PORTS, COMMON_UDP = 1000, 100
"""TCP ports that are measured when none are named, and UDP ports that `--udp` adds."""
CEILINGS = {"polite": 500.0, "normal": 25_000.0, "fast": None}
"""Attempts a second, by manner; `--rate` comes before them."""
PER_HOST = 1000.0
PER_NET = 100.0
"""Addresses a second of one IPv4 /24 or IPv6 /64 that have not answered (RFC 6583)."""
RETRIES = 1
MOST_SENDERS = 4
ENGINES = ("auto", "raw", "connect")
LEVELS = (2, 3, 4)
IDENTIFY_LEVEL = 3
"""From here on open endpoints are asked in their protocols."""


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What somebody wants to have measured, as text; every field as on the command line."""

    targets: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    ports: str | None = None
    top: int | None = None
    udp: bool = False
    level: int | None = None
    engine: str = "auto"
    manner: str = "normal"
    rate: float | None = None
    per_host: float | None = None
    seed: int | None = None
    shard: tuple[int, int] = (0, 1)
    authorized_by: str | None = None
    authorized_for: float = 86_400.0
    touch_ot: bool = False
    retries: int | None = None
    senders: int | None = None
    exempt_own: bool = True
    """False for callers from elsewhere (web, API): own addresses then need a grant too, and have the limits of others."""
    actor: str | None = None
    """Who asks, for the audit log; None is the user of this process."""


def check_engine(name: str) -> None:
    if name not in ENGINES:
        raise UserError(f"there is no engine {name}", where=f"--engine {name}", hint="--engine auto, raw or connect")


def choose_engine(name: str, targets: Targets) -> tuple[str, str | None]:
    """The engine for these targets, and a sentence where it is not the one that could be expected.

    This machine's own addresses are measured as well without packets of our own, and without privileges.
    """
    own_only = targets.exempt.covers(targets.addresses)
    if name == "connect" or (name == "auto" and own_only):
        return "connect", None
    if may_be_raw():
        return "raw", None
    return "connect", "raw packets need CAP_NET_RAW, which this process has not: connections are made instead"


def check_level(level: int | None) -> None:
    """A scan is a port scan, an identification or an assessment; 0 and 1 send nothing."""
    if level is not None and level not in LEVELS:
        raise UserError(f"a scan has no level {level}", where=f"--level {level}", hint="--level 2, 3 or 4")


def check_texts(request: ScanRequest) -> None:
    """Whoever asks from elsewhere gives targets, not the names of files on this machine, and not its standard input."""
    if request.exempt_own:
        return
    for text in (*request.targets, *request.exclude):
        if text.strip().startswith("@"):
            raise UserError("targets in a file are for the command line only", where=text, hint="write the targets themselves")


def choose_ports(request: ScanRequest) -> PortSet:
    """The ports of a request: named ones, the commonest N, or a default by target; with `udp` the commonest UDP ports too."""
    return _choose_named(request) | (common_udp() if request.udp else PortSet())


def common_udp() -> PortSet:
    """The commonest UDP ports that may be asked."""
    from reconshield.knowledge.payloads import why_unmeasurable

    usable = (port for port in top_ports(65_535, "udp") if why_unmeasurable(port) is None)
    return PortSet(udp=tuple((port, port) for port in islice(usable, COMMON_UDP)))


def _choose_named(request: ScanRequest) -> PortSet:
    if request.ports is not None and request.top is not None:
        raise UserError("name ports or ask for the commonest, not both", where="-p and --top", hint="leave one of them out")
    if request.ports is None:
        if request.top is None and all(t.strip().lower() == "localhost" for t in request.targets):
            return PortSet(tcp=((1, 65_535),))
        return PortSet(tcp=tuple((p, p) for p in top_ports(request.top or COMMON_PORTS, "tcp")))
    return read_ports(request.ports)


def read_ports(text: str) -> PortSet:
    """The ports of `-p`, names looked up. A name without a port in the transport that it stands under is a `UserError`."""
    asked = parse_ports(text)
    ports = asked.ports
    if asked.names:
        from reconshield.knowledge.names import ports_of
    for transport, name in asked.names:
        found = ports_of(name, transport)
        if not found:
            hint = f"-p {name}" if transport == "udp" else f"-p U:{name}"
            raise UserError(f"{name} has no {transport.upper()} port", where=f"-p {text}", hint=hint)
        ports |= PortSet(
            tcp=tuple((port, port) for kind, port in found if kind == "tcp"),
            udp=tuple((port, port) for kind, port in found if kind == "udp"),
        )
    return ports


def leave_out(ports: PortSet, request: ScanRequest) -> tuple[PortSet, tuple[str, ...]]:
    """Take away the UDP ports to which nothing may be sent: without a datagram their state is not known, so they are said."""
    if not ports.udp:
        return ports, ()
    from reconshield.scan.udp import unmeasurable_ports

    held = unmeasurable_ports(ports)
    if not held:
        return ports, ()
    kept = ports - PortSet(udp=tuple((port, port) for port in held))
    if not kept:
        raise UserError(
            f"there is nothing to measure: {next(iter(held.values()))}",
            where=f"-p {request.ports}",
            hint="TCP ports of such devices are measured without sending a byte",
        )
    reasons: dict[str, list[int]] = {}
    for port, why in held.items():
        reasons.setdefault(why, []).append(port)
    return kept, tuple(f"U:{PortSet(udp=tuple((p, p) for p in row)).text()[2:]}: {why}" for why, row in reasons.items())


def choose_options(request: ScanRequest, targets: Targets) -> Options:
    """Limits of the engine: `--rate` and `--per-host` first, then the manner, then what the targets deserve."""
    for name, value in (("--rate", request.rate), ("--per-host", request.per_host)):
        if value is not None and not value > 0:
            raise UserError("a rate must be above 0", where=f"{name} {value:g}", hint=f"{name} 1000")
    own_only = targets.exempt.covers(targets.addresses)
    ceiling = None if own_only else CEILINGS[request.manner]
    unlimited = request.manner == "fast" or own_only
    return Options(
        rate=request.rate or ceiling,
        per_host=request.per_host or (None if unlimited else PER_HOST),
        per_net=None if unlimited else PER_NET,
        retries=RETRIES if request.retries is None else request.retries,
        senders=request.senders or choose_senders(request.rate or ceiling),
        engine=choose_engine(request.engine, targets)[0],
    )


def choose_senders(rate: float | None) -> int:
    """Threads that push raw packets: one for each core, for who builds and reads them has a tenth of the work. Below a ceiling
    one does it easily.
    """
    return 1 if rate is not None or sys.platform != "linux" else min(MOST_SENDERS, len(os.sched_getaffinity(0)))


def sending_rate(targets: Targets, options: Options, ports: PortSet) -> float:
    """Endpoints a second that are to be expected."""
    engine = engine_rate(ports, options.engine)
    return expected_rate(targets.addresses, targets.exempt, engine=engine, rate=options.rate, per_host=options.per_host)


def repeated_options(request: ScanRequest) -> str:
    """The part of the command that a refusal repeats, so that the hint can be pasted."""
    parts = [f"-p {request.ports}" if request.ports else "", f"--top {request.top}" if request.top else ""]
    parts.append("--udp" if request.udp else "")
    parts.append(f"--level {request.level}" if request.level is not None else "")
    return " ".join(part for part in parts if part)
