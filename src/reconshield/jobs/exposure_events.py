"""What a run says about exposures -> events and endings: one alert an endpoint, whatever about it is not as it should be.

    changes against the run before    opened, closed, another service
    findings                          the worst says why it matters
    alerts that stand                 an endpoint that is measured and no longer open ends its alert

An endpoint that opened and has a finding is one event: the kind says which came first, `also` the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconshield import inventory
from reconshield.alert.message import Alert, Ending, Event, fingerprint
from reconshield.inventory import Change
from reconshield.jobs.alerting import list_standing
from reconshield.jobs.coverage import find_observation, load_measurement
from reconshield.jobs.judge import Judge
from reconshield.knowledge.risk import context_point, rate
from reconshield.model import Endpoint, Finding, Risk, Service, Severity, State
from reconshield.policy import Policy
from reconshield.report.result import RatedService
from reconshield.store import services as kept
from reconshield.store.db import Store
from reconshield.store.runs import Run, list_runs
from reconshield.text import local_time, printable

EXPOSURE = "exposure"
OPENED, CLOSED, NEW = "opened", "closed", "newly-measured"


@dataclass(frozen=True, slots=True)
class Place:
    """All that is known of one endpoint in this run."""

    endpoint: Endpoint
    rated: RatedService | None
    findings: tuple[Finding, ...]
    change: Change | None


def find_exposures(store: Store, policy: Policy, run: Run, now: float) -> tuple[list[Event], list[Ending]]:
    """The events of a run that has just ended, and the endings of what it saw to be over."""
    changes = changes_since(store, run)
    judge = Judge(run.vantage, now)
    services = {service.endpoint: service for service in kept.services(store, run.id)}
    findings: dict[Endpoint, list[Finding]] = {}
    for finding in kept.findings(store, run.id):
        findings.setdefault(finding.endpoint, []).append(finding)
    standing = list_standing(store)
    known = {alert.event.fingerprint for alert in standing}
    events = []
    for change in changes:
        if change.kind == CLOSED and mark_of(run.vantage, change.endpoint) in known:
            continue  # that alert ends, which says the same
        service = services.get(change.endpoint) or change.service_after or change.service_before
        rated = judge.rate(service) if service else None
        place = Place(change.endpoint, rated, tuple(findings.get(change.endpoint, ())), change)
        events += [event] if (event := event_of(policy, run, place, now)) else []
    return events, find_endings(store, run, standing, now)


def changes_since(store: Store, run: Run) -> Sequence[Change]:
    """What changed since the newest earlier run from the same vantage that measured some of the same endpoints."""
    earlier = [other for other in list_runs(store) if other.vantage == run.vantage and other.id != run.id]
    mine = run.options.get("targets")
    before = next((other for other in earlier if other.options.get("targets") == mine and other.started <= run.started), None)
    if before is None:
        return ()
    return inventory.diff(load_measurement(store, before), load_measurement(store, run))


def mark_of(vantage: str, endpoint: Endpoint) -> str:
    return fingerprint(EXPOSURE, vantage, str(endpoint))


def event_of(policy: Policy, run: Run, place: Place, now: float) -> Event | None:
    """One event for one changed endpoint; None for a change that calls for nothing here (coverage is an alarm of its own)."""
    change = place.change
    if change is None or change.kind not in {OPENED, CLOSED, NEW, "changed"}:
        return None
    endpoint, kind = place.endpoint, change.kind
    worst = max(place.findings, key=lambda finding: finding.severity.rank, default=None)
    risk = (
        newly_opened(place.rated.risk, change) if place.rated and kind == OPENED else place.rated.risk if place.rated else None
    )
    asset = next(iter(policy.assets_of(endpoint.ip)), None)
    shown = f"{asset.name} ({endpoint.ip})" if asset else endpoint.ip
    service = place.rated.service if place.rated else None
    return Event(
        fingerprint=mark_of(run.vantage, endpoint) if kind in {OPENED, NEW} else fingerprint(kind, run.vantage, str(endpoint)),
        kind="service-changed" if kind == "changed" else kind,
        severity=severity_of(risk, worst) if kind != CLOSED else Severity.INFO,
        title=f"{endpoint.port}/{endpoint.transport} {words_of(change)} on {shown}",
        what=f"{speaks(service)} {'answers' if kind != CLOSED else 'answered'} on {endpoint}, seen from {run.vantage}",
        why=f"{worst.title[:1].lower()}{worst.title[1:]} ({worst.confidence})" if worst else "nobody said that it is wanted",
        do=steps(place, worst),
        at=now,
        risk=risk,
        endpoint=endpoint,
        service=service.service if service else None,
        before=change.before,
        after=change.after,
        since=(change.last_seen, change.first_seen),
        zone=policy.zone_name(endpoint.ip),
        asset=asset.name if asset else None,
        owner=policy.owner_of(endpoint.ip),
        run=run.id,
        vantage=run.vantage,
        proof=f"reconshield evidence {run.id} {str(endpoint).rpartition('/')[0]}",
        basis="|".join(
            [kind, service.service if service else "", worst.check if worst else "", worst.severity if worst else ""]
        ),
    )


def newly_opened(risk: Risk, change: Change) -> Risk:
    """The risk with the addend for what has just opened."""
    times = [local_time(at) if at is not None else "an unknown time" for at in (change.last_seen, change.first_seen)]
    return rate((*risk.factors, context_point("newly-opened", closed=times[0], opened=times[1])))


def severity_of(risk: Risk | None, worst: Finding | None) -> Severity:
    """The worse of the rating and the worst finding."""
    found = [Severity(risk.rating)] if risk else [Severity.LOW]
    return max([*found, *([worst.severity] if worst else [])], key=lambda severity: severity.rank)


def words_of(change: Change) -> str:
    if change.kind == "changed":
        return f"changed ({', '.join(change.fields)})"
    return {OPENED: "opened", CLOSED: "closed", NEW: "is open, measured for the first time"}[change.kind]


def speaks(service: Service | None) -> str:
    """`pop3 (Dovecot)`."""
    if service is None:
        return "something unidentified"
    return f"{service.service} ({printable(service.product, 40)})" if service.product else service.service


def steps(place: Place, worst: Finding | None) -> tuple[str, ...]:
    """The first thing to do: the remedy of the worst finding, else the advice for the service; then how to close it."""
    first = worst.remedy if worst else place.rated.advice if place.rated else None
    close = f"close: reconshield firewall advise {place.endpoint.port}"
    return (first, close) if first else (close,)


def find_endings(store: Store, run: Run, standing: Iterable[Alert], now: float) -> list[Ending]:
    """Standing exposure alerts whose endpoint this run measured and did not find open."""
    endings = []
    for alert in standing:
        endpoint = alert.event.endpoint
        if endpoint is None or alert.event.vantage != run.vantage or alert.event.fingerprint != mark_of(run.vantage, endpoint):
            continue
        seen = find_observation(store, run, endpoint)
        if seen is not None and seen.state is not State.OPEN:
            endings.append(Ending(alert.event.fingerprint, seen.state.label, seen.at or now))
    return endings
