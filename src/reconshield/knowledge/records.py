"""The records of a catalogue entry: one class a section of a service file, each field with the rule it obeys.

This is the one table of the format. `catalog` reads service files with it, `docs/schema/service.schema.json` is generated
from it, and `docs/catalogue.md` explains it.
"""

# ruff: noqa: RUF009 - the functions of `takes` make dataclass fields, as dataclasses.field does
from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from reconshield.toml import schema as takes

ID = r"[a-z0-9][a-z0-9+._-]*"
ATTACK = r"T\d{4}(\.\d{3})?"
CLUSTERS = (
    "mail",
    "web",
    "remote-access",
    "files",
    "databases",
    "directory",
    "control-planes",
    "network-management",
    "discovery",
    "vpn",
    "messaging",
    "ot",
    "media",
    "games",
    "crypto",
    "backup",
    "printing",
    "monitoring",
    "developer",
    "p2p",
    "proxies",
    "name-services",
    "diagnostics",
    "other",
)
TRANSPORTS = ("tcp", "udp")
ROLES = ("public", "mixed", "internal", "never")
CONFIDENCES = ("documented", "common practice", "unverified")

STEPS = {
    "impact": (30, 22, 14, 10, 6, 4),
    "authentication": (20, 14, 8, 2, 0),
    "transport": (12, 8, 5, 0),
    "exploitation": (30, 20, 12, 8, 6, 0),
    "intended": (10, 8, 4, 0),
    "amplification": (14, 10, 6, 2, 0),
    "physical": (10, 0),
}
"""The factors of the risk model in their order, with the points each may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence or two that state facts, and the source that says so."""

    text: str = takes.text()
    source: str = takes.text(pattern=ID)
    confidence: str = takes.text(choices=CONFIDENCES, default="documented")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer in the first screen."""

    text: str = takes.text(longest=200)
    source: str = takes.text(pattern=ID)
    confidence: str = takes.text(choices=CONFIDENCES, default="documented")


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedFactor:
    """One addend of the base rating."""

    points: int = takes.integer(high=30)
    because: str = takes.text(longest=60)
    source: str = takes.text(pattern=ID)
    attack: str | None = takes.text(pattern=ATTACK, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedFactors:
    """The base rating: what if this answers a host on an untrusted network."""

    impact: RatedFactor = takes.record(RatedFactor, narrow={"points": STEPS["impact"]})
    authentication: RatedFactor = takes.record(RatedFactor, narrow={"points": STEPS["authentication"]})
    transport: RatedFactor = takes.record(RatedFactor, narrow={"points": STEPS["transport"]})
    exploitation: RatedFactor = takes.record(RatedFactor, narrow={"points": STEPS["exploitation"]})
    intended: RatedFactor = takes.record(RatedFactor, narrow={"points": STEPS["intended"]})
    amplification: RatedFactor | None = takes.record(RatedFactor, optional=True, narrow={"points": STEPS["amplification"]})
    physical: RatedFactor | None = takes.record(RatedFactor, optional=True, narrow={"points": STEPS["physical"]})

    def listed(self) -> tuple[tuple[str, RatedFactor], ...]:
        """The factors that are written, with their names, in the order of the model."""
        return tuple((name, factor) for name in STEPS if (factor := getattr(self, name)) is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointEntry:
    """A port on which the service is found, and how bad it is there."""

    port: int = takes.integer(high=65535)
    transport: str = takes.text(choices=TRANSPORTS)
    tls: str = takes.text(choices=("none", "starttls", "implicit"))
    role: str = takes.text(choices=ROLES)
    role_text: str = takes.text(longest=90)
    twin: int | None = takes.integer(high=65535, optional=True)
    name: str | None = takes.text(longest=60, optional=True)
    registered: tuple[str, ...] = takes.texts()
    risk: RatedFactors = takes.record(RatedFactors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do, as a short imperative."""

    who: str = takes.text(choices=("server", "firewall", "clients", "watch"))
    text: str = takes.text(longest=70)
    source: str = takes.text(pattern=ID)
    confidence: str = takes.text(choices=CONFIDENCES, default="documented")


@dataclass(frozen=True, slots=True, kw_only=True)
class Abuse(Claim):
    """A misconfiguration, how it looks from outside, and the technique that uses it."""

    seen: str = takes.text()
    attack: str = takes.text(pattern=ATTACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardening:
    """One setting of one product, and the command that shows it is on."""

    product: str = takes.text()
    version: str | None = takes.text(optional=True)
    file: str = takes.text()
    setting: str = takes.text()
    check: str = takes.text()
    text: str | None = takes.text(optional=True)
    source: str = takes.text(pattern=ID)
    confidence: str = takes.text(choices=CONFIDENCES, default="documented")


@dataclass(frozen=True, slots=True, kw_only=True)
class Malware(Claim):
    """A documented use of the port by malware or a tool: weak evidence on its own."""

    family: str = takes.text()
    year: int = takes.integer(low=1980, high=2100)
    attack: str | None = takes.text(pattern=r"[SGC]\d{4}", optional=True)
    tier: str = takes.text(choices=("A", "B"))
    port: int = takes.integer(high=65535)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vulnerability(Claim):
    """A vulnerability that mattered, with the product it belongs to."""

    cve: str = takes.text(pattern=r"CVE-\d{4}-\d{4,}")
    vendor: str = takes.text()
    product: str = takes.text()
    ransomware: bool = takes.flag()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Claim):
    """A question that people ask, and the answer."""

    question: str = takes.text()


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Another port, and why it is related."""

    port: int = takes.integer(high=65535)
    transport: str = takes.text(choices=TRANSPORTS)
    because: str = takes.text(longest=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEntry:
    """A service of the catalogue: one file of knowledge/services."""

    id: str = takes.text(pattern=ID)
    name: str = takes.text(longest=40)
    full_name: str = takes.text(longest=80)
    registered: tuple[str, ...] = takes.texts()
    aliases: tuple[str, ...] = takes.texts()
    clusters: tuple[str, ...] = takes.texts(choices=CLUSTERS, optional=False)
    products: tuple[str, ...] = takes.texts()
    answer: Answer = takes.record(Answer)
    endpoint: tuple[EndpointEntry, ...] = takes.records(EndpointEntry, optional=False)
    do: tuple[Step, ...] = takes.records(Step)
    understand: tuple[Claim, ...] = takes.records(Claim)
    abuse: tuple[Abuse, ...] = takes.records(Abuse)
    implication: tuple[Claim, ...] = takes.records(Claim)
    firewall: tuple[Claim, ...] = takes.records(Claim)
    vpn: tuple[Claim, ...] = takes.records(Claim)
    harden: tuple[Hardening, ...] = takes.records(Hardening)
    replace: tuple[Claim, ...] = takes.records(Claim)
    monitor: tuple[Claim, ...] = takes.records(Claim)
    intel: tuple[Malware, ...] = takes.records(Malware)
    vulnerability: tuple[Vulnerability, ...] = takes.records(Vulnerability)
    detect: tuple[Claim, ...] = takes.records(Claim)
    faq: tuple[Question, ...] = takes.records(Question)
    related: tuple[Relation, ...] = takes.records(Relation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A document that claims rest on; documentation that is edited in place has no date."""

    publisher: str = takes.text()
    title: str = takes.text()
    date: dt.date | None = takes.date()
    url: str | None = takes.text(pattern=r"https?://\S+", optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBackRow:
    """Ports that get no byte from us, because a byte may do harm."""

    ports: str = takes.text(pattern=r"\d+(-\d+)?(,\d+(-\d+)?)*")
    transports: tuple[str, ...] = takes.texts(choices=TRANSPORTS, optional=False)
    kind: str = takes.text(choices=("print", "plc", "building", "serial"))
    reason: str = takes.text(longest=120)
    source: str = takes.text(pattern=ID)
