"""What every report is made of: the head of a run, rated services, findings, what was held back, and the summary.

The jobs fill these records from a live scan or from the store; each report format only arranges them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from reconshield.model import Endpoint, Finding, Observation, Risk, Service

if TYPE_CHECKING:
    from reconshield.detection import Talk

RunState = Literal["running", "complete", "partial", "failed"]


def port_words(ports: str) -> tuple[str, str]:
    """What the ports of a run are called, one and many: TCP ports, UDP ports, or ports where there are both."""
    if "U:" not in ports:
        return "TCP port", "TCP ports"
    return ("UDP port", "UDP ports") if ports.startswith("U:") else ("port", "ports")


@dataclass(frozen=True, slots=True)
class RunHead:
    """Who measured what, from where, by whose leave. Times are Unix seconds UTC."""

    id: str
    targets: tuple[str, ...]
    ports: str
    engine: str
    vantage: str
    level: int
    started: float
    probes: int
    seed: int
    addresses: int
    grants: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    """What was asked for but not measured, one sentence each."""
    imported: bool = False
    """The results of another tool, read from a file: no grant was asked for here."""


@dataclass(frozen=True, slots=True)
class RatedService:
    """An open endpoint: what answers there, how bad that is here, and the first thing to do about it."""

    service: Service
    risk: Risk
    advice: str | None = None

    @property
    def endpoint(self) -> Endpoint:
        return self.service.endpoint


@dataclass(frozen=True, slots=True)
class HeldBack:
    """An endpoint that was measured but not spoken to: the kind of device (print, PLC, serial), and why."""

    endpoint: Endpoint
    kind: str
    because: str
    source: str


@dataclass(frozen=True, slots=True)
class GrantNote:
    """A grant as a report prints it: who allowed what, how far, and until when. Targets are texts, times Unix seconds UTC."""

    id: str
    by: str
    targets: tuple[str, ...]
    level: int
    valid_from: float
    until: float
    exclusions: tuple[str, ...] = ()
    reason: str | None = None
    contact: str | None = None


@dataclass(frozen=True, slots=True)
class SourceNote:
    """A document that a rating or a finding rests on. `date` is None where it is edited in place."""

    title: str
    publisher: str
    date: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Background:
    """What reports that are read away from the program print beside the results. All of it may be left out.

    `grants` are the grants of the run's head; `refuted` says for a check which observation would make its findings go away;
    `sources` and `techniques` explain the source and ATT&CK ids that occur; `data` are the ages of the data that ratings rest
    on, one text each (`IANA 2026-02-13`). `talk` is who talks to an endpoint, where flow logs were given.
    """

    grants: tuple[GrantNote, ...] = ()
    refuted: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, SourceNote] = field(default_factory=dict)
    techniques: Mapping[str, str] = field(default_factory=dict)
    data: tuple[str, ...] = ()
    talk: Mapping[Endpoint, Talk] = field(default_factory=dict)


NOT_BELIEVED = "not believed"
"""How the note of a service begins whose endpoint looks open and is not believed to be."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A host (`ip`) on which nearly every TCP port looks open, or a TCP port that looks open on nearly every host.

    Of `measured` endpoints `open` answered, and `confirmed` proved it in a protocol (below level 3: held a connection).
    """

    ip: str | None
    port: int | None
    measured: int
    open: int
    confirmed: int
    because: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The end of a run. Counts are endpoints; `loss` and `recall_estimate` are None where they were not measured.

    `rates` is how fast it was: seconds since the beginning, and endpoints a second.
    """

    state: RunState
    probes: int
    measured: int
    open: int
    closed: int
    filtered: int
    unreachable: int
    open_filtered: int
    retransmitted: int
    seconds: float
    loss: float | None = None
    recall_estimate: tuple[float, float] | None = None
    slowed: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    rates: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What the policy says of an open endpoint (None and nothing without a policy), and when it was first seen open."""

    verdict: str | None = None
    since: float | None = None
    zone: str | None = None
    assets: tuple[str, ...] = ()
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """A whole run in memory. `observations` are the open ones, or all when the caller asked for all states."""

    head: RunHead
    services: tuple[RatedService, ...]
    findings: tuple[Finding, ...]
    summary: Summary
    observations: tuple[Observation, ...] = ()
    held_back: tuple[HeldBack, ...] = ()
    own_loopback: frozenset[Endpoint] = field(default_factory=frozenset)
    """Endpoints that only this machine itself can reach: shown in one line, not rated."""
    background: Background = field(default_factory=Background)
    standing: Mapping[Endpoint, Standing] = field(default_factory=dict)
    """Of open endpoints; empty where neither policy nor history says anything."""
