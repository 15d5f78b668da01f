"""The contract of a check: facts in, judgement out, nothing else.

A check is a value in one file under `rules/`. `applies` says whether it has anything to judge in a service; `judge` looks at
the facts and returns the deciding ones with the confidence they deserve, or None. What the facts do not say is not judged:
silence is no finding. Because facts are stored with a run, findings can be judged again years later without a packet.

    services -> run_checks(service, vantage, now) -> findings (without risk; the scan job adds the endpoint's risk)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconshield.model import Confidence, Endpoint, Finding, Service, Severity


@dataclass(frozen=True, slots=True)
class Context:
    """What a judgement may depend on beside the facts: the time, and the services that share the address."""

    now: float
    neighbours: tuple[Service, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """The facts that decide, a sentence that says what was seen, and how sure that is.

    `evidence` becomes the finding's evidence, with `seen` in it. `title` and `remedy` replace the check's own where the
    product allows to be more specific. `severity` does so where one check tells several states apart, each of which has its
    own; it is never above the check's.
    """

    seen: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    confidence: Confidence = Confidence.CONFIRMED
    title: str | None = None
    remedy: str | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One rule. `id` is `<service>-<problem>` or `tls-<problem>` and never renamed (`{service}` in it stands for the
    service id); `title` says what is wrong.

    `refuted` says which observation would make the finding go away; `attack` are ATT&CK technique ids; `references` are ids in
    knowledge/sources.toml.
    """

    id: str
    title: str
    severity: Severity
    applies: Callable[[Service], bool]
    judge: Callable[[Service, Context], Judgement | None]
    remedy: str
    refuted: str
    attack: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


def speaks(found: Service, name: str) -> bool:
    """Whether a service is `name`: by its own id, or as the application behind HTTP."""
    return found.service == name or found.facts.get("application") == name


def fact_check(
    check_id: str,
    title: str,
    severity: Severity,
    *,
    service: str,
    fact: tuple[str, object],
    seen: str,
    remedy: str,
    refuted: str,
    attack: tuple[str, ...] = (),
    references: tuple[str, ...] = (),
) -> Check:
    """A check of one service or application that one fact decides: it holds when that was learned and is just this value."""
    key, value = fact

    def judge(found: Service, context: Context) -> Judgement | None:
        del context
        learned = found.facts.get(key)
        return Judgement(seen, {key: learned}) if type(learned) is type(value) and learned == value else None

    return Check(check_id, title, severity, lambda found: speaks(found, service), judge, remedy, refuted, attack, references)


def finding_id(vantage: str, endpoint: Endpoint, check: str) -> str:
    """The first 16 hex digits of SHA-256 over vantage, address, port, transport and check, joined by a line feed."""
    key = "\n".join((vantage, endpoint.ip, str(endpoint.port), endpoint.transport, check))
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def run_checks(checks: tuple[Check, ...], service: Service, vantage: str, context: Context) -> Iterator[Finding]:
    """Every finding that the facts of one service support, in the order of the list of checks."""
    for check in checks:
        if not check.applies(service):
            continue
        judgement = check.judge(service, context)
        if judgement is None:
            continue
        name = check.id.replace("{service}", service.service)
        yield Finding(
            check=name,
            id=finding_id(vantage, service.endpoint, name),
            endpoint=service.endpoint,
            severity=judgement.severity or check.severity,
            confidence=judgement.confidence,
            title=judgement.title or check.title,
            evidence={"seen": judgement.seen, **judgement.evidence},
            remedy=judgement.remedy or check.remedy,
            attack=check.attack,
            references=check.references,
            name=service.name,
        )
