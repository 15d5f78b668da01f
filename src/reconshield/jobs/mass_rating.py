"""The risks of a hundred thousand services at once: services alike in all that a rating looks at are rated once, by the judge.

What a rating looks at is the catalogue's endpoint (service, port, transport, form of TLS), a few facts, the program that is
shown, and the points of policy and inventory. `facts_that_count` keeps of the facts what the judge asks for; a test holds the
two together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import orjson

from reconshield.checks.software import RED_HAT, STATED_IN, TOKEN
from reconshield.jobs.judge import Judge
from reconshield.knowledge.catalog import find_entry
from reconshield.knowledge.risk import context_point
from reconshield.model import Confidence, Endpoint, Factor, Rung, Service, Tls
from reconshield.report.result import RatedService

PLAIN = ("auth", "anonymous", "anonymous_read", "login_clear", "starttls", "package", "ntlm_version", "os")
HEADERS = ("server", "x-powered-by")
MOST_KINDS = 10_000
"""So many different risks are kept for those that come after."""
ANYWHERE = "192.0.2.1"
"""The address of the service that stands for all that are like it; no rating looks at it."""


class Context(NamedTuple):
    """The points that policy and inventory give an endpoint."""

    expected: bool
    new: bool
    enclave: bool

    def points(self) -> Iterator[Factor]:
        """As `jobs.context` gives them, without the words."""
        if self.expected:
            yield context_point("allow-listed", owner="", expires="")
            return
        if self.new:
            yield context_point("newly-opened", closed="", opened="")
        if self.enclave:
            yield context_point("secure-enclave", zone="")


class Kind(NamedTuple):
    """What services that are rated alike have in common; `port` is 0 where the catalogue has none of its own for it."""

    service: str
    guess: bool
    port: int
    transport: str
    tls: str
    product: str | None
    version: str | None
    facts: str


@dataclass
class Rater:
    """Rates kinds of services as of one time, each once."""

    vantage: str
    now: float
    scores: dict[tuple[Kind, Context], int] = field(default_factory=dict)
    ports: dict[str, frozenset[int]] = field(default_factory=dict)

    def port_of(self, service: str, port: int) -> int:
        """The port, if the catalogue's entry of the service knows it, else 0: all others are rated alike."""
        known = self.ports.get(service)
        if known is None:
            entry = find_entry(service)
            known = self.ports[service] = frozenset(endpoint.port for endpoint in entry.endpoint) if entry else frozenset()
        return port if port in known else 0

    def score(self, kind: Kind, context: Context) -> int:
        found = self.scores.get((kind, context))
        if found is None:
            found = Judge(self.vantage, self.now).rate(service_of(kind, self.now), context.points()).risk.score
            self.scores[kind, context] = found
        return found


@dataclass
class Alike:
    """Rates services one after the other, in whole: those alike in all that a rating looks at share one risk."""

    judge: Judge
    rater: Rater = field(init=False)
    known: dict[tuple[Kind, tuple[Factor, ...]], RatedService] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rater = Rater(self.judge.vantage, self.judge.now)

    def rate(self, service: Service, points: tuple[Factor, ...]) -> RatedService:
        key = kind_of(service, self.rater), points
        first = self.known.get(key)
        if first is None:
            if len(self.known) >= MOST_KINDS:
                self.known.clear()
            first = self.known[key] = self.judge.rate(replace(service, evidence=()), points)  # kept, so without the dialogue
        return replace(first, service=service)


def kind_of(service: Service, rater: Rater) -> Kind:
    """What a rating looks at in a service."""
    return Kind(
        service.service,
        service.confidence is Confidence.GUESS,
        rater.port_of(service.service, service.endpoint.port),
        service.endpoint.transport,
        service.tls.value,
        service.product,
        service.version,
        facts_that_count(service.facts),
    )


def service_of(kind: Kind, at: float) -> Service:
    """A service like all of its kind."""
    return Service(
        endpoint=Endpoint(ANYWHERE, kind.port, "udp" if kind.transport == "udp" else "tcp"),
        service=kind.service,
        confidence=Confidence.GUESS if kind.guess else Confidence.CONFIRMED,
        at=at,
        product=kind.product,
        version=kind.version,
        tls=Tls(kind.tls),
        rung=Rung.PROTOCOL,
        facts=json.loads(kind.facts),
    )


def read_facts(stored: str) -> Mapping[str, Any]:
    """The facts of a service from their stored text."""
    try:
        found: Mapping[str, Any] = orjson.loads(stored)
    except orjson.JSONDecodeError:  # half of a character, which a stranger may send and only the slower reader takes
        found = json.loads(stored)
    return found


def facts_that_count(facts: Mapping[str, Any]) -> str:
    """What a rating looks at, as text that is equal where the rating is."""
    kept: dict[str, Any] = {name: facts[name] for name in PLAIN if name in facts}
    if RED_HAT.search(" ".join(str(facts.get(name, "")) for name in STATED_IN)):
        kept[STATED_IN[0]] = "Red Hat"
    headers = facts.get("headers")
    if isinstance(headers, dict):
        named = {name: stated for name in HEADERS if TOKEN.search(stated := str(headers.get(name, "")))}
        kept |= {"headers": named} if named else {}
    return json.dumps(kept, sort_keys=True)
