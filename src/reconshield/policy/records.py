"""The records of the policy file: one class a table, each field with the rule it obeys.

This is the one table of the format: `reading` reads the file with it, `docs/schema/policy-1.schema.json` is generated from it,
and `policy show` prints it with every default. Fields without a rule are computed when the file is read: the addresses, ports
and services that the texts mean, and the line on which the table stands.
"""

# ruff: noqa: RUF009 - the functions of `takes` make dataclass fields, as dataclasses.field does
from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, get_args

from reconshield.addresses import AddressSet, PortSet
from reconshield.addresses.sets import ALL_LAST
from reconshield.model import ChangeKind, Json
from reconshield.schedule import Blackout as DarkTime
from reconshield.schedule import Rhythm, Window
from reconshield.toml import schema as takes

NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
CHECK = r"[a-z0-9][a-z0-9._+-]{0,99}"
WAN = "wan"
"""The zone of every address that no zone has, and of every vantage that no zone claims."""

CRITICALITIES = ("low", "normal", "high")
SEVERITIES = ("info", "low", "medium", "high", "critical")
DIRECTIONS = ("in", "out", "within")
CHANGES = (
    *get_args(ChangeKind),
    "flapping",
    "forbidden-open",
    "unexpected",
    "missing",
    "expired",
    "detection",
    "not-measured",
)
"""What a route may ask for: changes between two measurements, then verdicts; `not-measured` is the alarm of silence, of which
those that follow are the kinds; last, a channel that takes no alerts."""

EVERYWHERE = AddressSet(((0, ALL_LAST),))
NOWHERE = AddressSet()
NO_PORTS = PortSet()
ALL_PORTS = PortSet(((0, 65535),), ((0, 65535),))


@dataclass(frozen=True, slots=True)
class Place:
    """One name in `on`: what it says and which addresses it means. `kind` is zone, asset, address or network."""

    text: str
    kind: str
    area: AddressSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A part of the network with its own allowed services."""

    name: str = takes.text(pattern=NAME)
    targets: tuple[str, ...] = takes.texts(optional=False)
    owner: str | None = takes.text(longest=200, optional=True)
    criticality: str = takes.text(choices=CRITICALITIES, default="normal")
    secure: bool = takes.flag()
    vantages: tuple[str, ...] = takes.texts(pattern=NAME)
    area: AddressSet = NOWHERE
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """Something owned that can be exposed: a name, owner and tags for addresses."""

    name: str = takes.text(pattern=NAME)
    addresses: tuple[str, ...] = takes.texts(optional=False)
    owner: str | None = takes.text(longest=200, optional=True)
    tags: tuple[str, ...] = takes.texts(pattern=NAME)
    criticality: str | None = takes.text(choices=CRITICALITIES, optional=True)
    area: AddressSet = NOWHERE
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """An exposure that is wanted. All keys given must match. `usual` are the ports that its services commonly have."""

    on: tuple[str, ...] = takes.texts(single=True)
    service: tuple[str, ...] = takes.texts(single=True)
    ports: str | None = takes.text(longest=2000, optional=True)
    seen_from: tuple[str, ...] = takes.texts(single=True, key="from")
    reason: str = takes.text(longest=500)
    owner: str = takes.text(longest=200)
    expires: dt.date = takes.date(optional=False)
    places: tuple[Place, ...] = ()
    area: AddressSet = EVERYWHERE
    port_set: PortSet | None = None
    services: frozenset[str] = frozenset()
    usual: PortSet = NO_PORTS
    ends: float = 0.0
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """An assertion: from there, this must not answer. `usual` are the ports that its services commonly have."""

    on: tuple[str, ...] = takes.texts(single=True)
    service: tuple[str, ...] = takes.texts(single=True)
    ports: str | None = takes.text(longest=2000, optional=True)
    seen_from: tuple[str, ...] = takes.texts(single=True, key="from")
    severity: str = takes.text(choices=SEVERITIES, default="high")
    reason: str | None = takes.text(longest=500, optional=True)
    owner: str | None = takes.text(longest=200, optional=True)
    places: tuple[Place, ...] = ()
    area: AddressSet = EVERYWHERE
    port_set: PortSet | None = None
    services: frozenset[str] = frozenset()
    usual: PortSet = NO_PORTS
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A known finding, owned and dated; it is shown, never hidden."""

    finding: tuple[str, ...] = takes.texts(single=True, optional=False, pattern=CHECK)
    on: tuple[str, ...] = takes.texts(single=True)
    ports: str | None = takes.text(longest=2000, optional=True)
    reason: str = takes.text(longest=500)
    owner: str = takes.text(longest=200)
    expires: dt.date = takes.date(optional=False)
    places: tuple[Place, ...] = ()
    area: AddressSet = EVERYWHERE
    port_set: PortSet | None = None
    ends: float = 0.0
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What a zone may talk; used by detection."""

    zone: str = takes.text(pattern=NAME)
    direction: str = takes.text(choices=DIRECTIONS)
    services: tuple[str, ...] = takes.texts(single=True)
    ports: str | None = takes.text(longest=2000, optional=True)
    peers: tuple[str, ...] = takes.texts(single=True, key="with")
    reason: str | None = takes.text(longest=500, optional=True)
    owner: str | None = takes.text(longest=200, optional=True)
    expires: dt.date | None = takes.date()
    places: tuple[Place, ...] = ()
    area: AddressSet = EVERYWHERE
    port_set: PortSet | None = None
    service_ids: frozenset[str] = frozenset()
    ends: float | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """Detections that somebody has looked at: they are marked with the reason until it ends, and never hidden."""

    zone: str | None = takes.text(pattern=NAME, optional=True)
    src: tuple[str, ...] = takes.texts(single=True, key="from")
    dst: tuple[str, ...] = takes.texts(single=True, key="to")
    ports: str | None = takes.text(longest=2000, optional=True)
    reason: str = takes.text(longest=500)
    owner: str = takes.text(longest=200)
    expires: dt.date = takes.date(optional=False)
    src_area: AddressSet = EVERYWHERE
    dst_area: AddressSet = EVERYWHERE
    port_set: PortSet | None = None
    ends: float = 0.0
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A measurement that repeats: `every` or `cron`, inside its window, outside blackouts. `announce`: channels told before."""

    name: str = takes.text(pattern=NAME)
    targets: tuple[str, ...] = takes.texts(single=True, optional=False)
    exclude: tuple[str, ...] = takes.texts(single=True)
    ports: str | None = takes.text(longest=2000, optional=True)
    every: str | None = takes.text(optional=True)
    cron: str | None = takes.text(optional=True)
    window: tuple[str, ...] = takes.texts(single=True)
    fresh: str | None = takes.text(optional=True)
    vantage: str = takes.text(pattern=NAME, default="local")
    level: int | None = takes.integer(low=2, high=4, optional=True)
    rate: int | None = takes.integer(low=1, high=10_000_000, optional=True)
    announce: tuple[str, ...] = takes.texts(single=True)
    places: tuple[Place, ...] = ()
    area: AddressSet = NOWHERE
    port_set: PortSet | None = None
    rhythm: Rhythm | None = None
    pause: float = 0.0
    windows: tuple[Window, ...] = ()
    fresh_seconds: float = 0.0
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Blackout:
    """When nothing is measured there, whatever a schedule says: once from `begins` to `ends`, or in a window of each week."""

    name: str = takes.text(pattern=NAME)
    on: tuple[str, ...] = takes.texts(single=True)
    begins: dt.date | None = takes.date()
    ends: dt.date | None = takes.date()
    window: str | None = takes.text(optional=True)
    reason: str | None = takes.text(longest=500, optional=True)
    places: tuple[Place, ...] = ()
    area: AddressSet = EVERYWHERE
    time: DarkTime | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A way to tell people. What its kind needs stands in `settings`; secrets only as `env:NAME` or `file:PATH`."""

    name: str = takes.text(pattern=NAME)
    kind: str = takes.text(pattern=NAME)
    settings: Json = takes.rest()
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """Which changes a route takes; what is left out does not limit."""

    severity: str | None = takes.text(choices=SEVERITIES, optional=True)
    change: tuple[str, ...] = takes.texts(single=True, choices=CHANGES)
    on: tuple[str, ...] = takes.texts(single=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """Whom to tell when nobody has acknowledged within `after`."""

    after: str = takes.text()
    to: tuple[str, ...] = takes.texts(single=True, optional=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which changes go to which channels. `quiet` is a window in which nothing but `critical` is sent, or `none`."""

    to: tuple[str, ...] = takes.texts(single=True, optional=False)
    when: When | None = takes.record(When, optional=True)
    quiet: str = takes.text(default="none")
    escalate: Escalation | None = takes.record(Escalation, optional=True)
    area: AddressSet = EVERYWHERE
    window: Window | None = None
    escalate_seconds: float | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The policy file: which exposures are expected, which must be closed, when to look, whom to tell."""

    version: int = takes.integer(choices=(1,))
    zone: tuple[Zone, ...] = takes.records(Zone)
    asset: tuple[Asset, ...] = takes.records(Asset)
    expect: tuple[Expectation, ...] = takes.records(Expectation)
    closed: tuple[Closure, ...] = takes.records(Closure)
    accept: tuple[Acceptance, ...] = takes.records(Acceptance)
    traffic: tuple[Traffic, ...] = takes.records(Traffic)
    suppress: tuple[Suppression, ...] = takes.records(Suppression)
    schedule: tuple[Schedule, ...] = takes.records(Schedule)
    blackout: tuple[Blackout, ...] = takes.records(Blackout)
    channel: tuple[Channel, ...] = takes.records(Channel)
    route: tuple[Route, ...] = takes.records(Route)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the policy file, made from the records that read it."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "ReconShield policy, version 1"}
    return head | takes.describe(Tables)
