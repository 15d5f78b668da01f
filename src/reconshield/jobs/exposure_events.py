"""What a run says about exposures -> events and endings: one alert an endpoint, whatever about it is not as it should be.

    what changed         opened, closed, another service or certificate         `changes.find_changes`
    verdicts             forbidden, unexpected, expired, missing                where the policy says what is expected
    findings             the worst says why it matters
    alerts that stand    what was measured and is no longer so ends them

An endpoint that opened, is not expected and has a finding is one event: `kind` says the worst, `also` the rest. A port that
opens and closes all the time is said once, as flapping, until it has come to rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconshield.alert.message import Alert, Ending, Event, fingerprint
from reconshield.jobs.alerting import list_standing
from reconshield.jobs.changes import Found
from reconshield.jobs.context import Context, load_context
from reconshield.jobs.coverage import find_observation
from reconshield.model import Endpoint, Finding, Risk, Service, Severity, State
from reconshield.policy import Policy
from reconshield.policy.records import Closure
from reconshield.policy.verdict import Verdict
from reconshield.report.changes import RatedChange
from reconshield.store import services as kept
from reconshield.store.db import Store
from reconshield.store.runs import Run
from reconshield.text import printable

EXPOSURE, MISSING = "exposure", "missing"
OPENED, CLOSED, NEW, FLAPPING, LOST = "opened", "closed", "newly-measured", "flapping", "coverage-lost"
STANDING_KINDS = {"forbidden": "forbidden-open", "unexpected": "unexpected", "expired": "expired"}
"""Verdicts on open endpoints that are alerts, by the kind that a route knows them by; the worst first."""


@dataclass(frozen=True, slots=True)
class Place:
    """All that a run says of one endpoint."""

    endpoint: Endpoint
    service: Service | None
    risk: Risk | None
    advice: str | None
    findings: tuple[Finding, ...]
    change: RatedChange | None
    verdict: Verdict | None

    @property
    def worst(self) -> Finding | None:
        return max(self.findings, key=lambda finding: finding.severity.rank, default=None)


def find_exposures(store: Store, policy: Policy, found: Found, now: float) -> tuple[list[Event], list[Ending]]:
    """The events of a run that has just ended, and the endings of what it saw to be over."""
    if not found.is_current:
        return [], []
    run, context = found.run, load_context(store, found.run, policy)
    standing = [alert for alert in list_standing(store) if alert.event.vantage == run.vantage]
    known = {alert.event.fingerprint for alert in standing}
    places = list(gather(store, context, found))
    events = [event for place in places if (event := event_of(policy, run, place, known, now)) is not None]
    events += missing_events(policy, run, context, now)
    restless = {place.endpoint for place in places if place.change is not None and place.change.flapping}
    current = {event.fingerprint for event in events}
    return events, [*find_endings(store, run, context, standing, restless, current)]


def gather(store: Store, context: Context, found: Found) -> Iterator[Place]:
    """Every endpoint of the run that changed, or that the policy does not want as it is."""
    services = {service.endpoint: service for service in kept.services(store, found.run.id)}
    findings: dict[Endpoint, list[Finding]] = {}
    for finding in kept.findings(store, found.run.id):
        findings.setdefault(finding.endpoint, []).append(finding)
    changes = {change.endpoint: change for change in found.changes}
    policy = context.policy
    declared = policy is not None and bool(policy.expects or policy.closed)
    judged = {e: v for e, v in context.verdicts.items() if declared and v.kind in STANDING_KINDS}
    for endpoint in sorted(changes.keys() | judged.keys()):
        change = changes.get(endpoint)
        service = services.get(endpoint) or (change and (change.service_after or change.service_before)) or None
        rated = context.rate(service, opened_in(change)) if service else None
        verdict = context.verdicts.get(endpoint) if declared else None
        advice, risk = (rated.advice, rated.risk) if rated else (None, None)
        yield Place(endpoint, service, risk, advice, tuple(findings.get(endpoint, ())), change, verdict)


def opened_in(change: RatedChange | None) -> tuple[float | None, float | None] | None:
    return (change.last_seen, change.first_seen) if change is not None and change.kind == OPENED else None


def mark_of(vantage: str, endpoint: Endpoint, what: str = EXPOSURE) -> str:
    """The fingerprint of trouble with an endpoint."""
    return fingerprint(what, vantage, str(endpoint))


def kinds_of(place: Place) -> list[str]:
    """What is to be told of an endpoint, the worst first; empty for what is no news to anybody."""
    verdict, change = place.verdict, place.change
    kinds = [STANDING_KINDS[verdict.kind]] if verdict is not None and verdict.kind in STANDING_KINDS else []
    if change is not None and change.kind != LOST:
        kinds.append(FLAPPING if change.flapping else change.kind)
    return kinds


def event_of(policy: Policy, run: Run, place: Place, known: set[str], now: float) -> Event | None:
    """One event for one endpoint; None where an alert that stands says it already, or will by its end."""
    kinds, mark = kinds_of(place), mark_of(run.vantage, place.endpoint)
    if not kinds or (kinds == [CLOSED] and mark in known):
        return None
    stands = any(kind in {*STANDING_KINDS.values(), OPENED, NEW, FLAPPING} for kind in kinds)
    main = lead_kind(kinds)
    change, worst, service = place.change, place.worst, place.service
    asset = next(iter(policy.assets_of(place.endpoint.ip)), None)
    return Event(
        fingerprint=mark if stands else mark_of(run.vantage, place.endpoint, main),
        kind=main,
        also=tuple(kind for kind in kinds if kind != main),
        severity=severity_of(place, main),
        title=title_of(place, f"{asset.name} ({place.endpoint.ip})" if asset else place.endpoint.ip, main),
        what=f"{speaks(service)} {'answered' if main == CLOSED else 'answers'} on {place.endpoint}, seen from {run.vantage}",
        why=why_of(place),
        do=steps(place),
        at=now,
        risk=place.risk,
        endpoint=place.endpoint,
        service=service.service if service else None,
        before=change.before if change else None,
        after=change.after if change else "open",
        since=(change.last_seen, change.first_seen) if change else (None, None),
        zone=policy.zone_name(place.endpoint.ip),
        asset=asset.name if asset else None,
        owner=policy.owner_of(place.endpoint.ip),
        run=run.id,
        vantage=run.vantage,
        proof=f"reconshield evidence {run.id} {str(place.endpoint).rpartition('/')[0]}",
        basis=basis_of(place, kinds, worst) if stands else None,
    )


def lead_kind(kinds: list[str]) -> str:
    """`opened` names what has opened, expected or not; what must be closed is named as that."""
    return OPENED if OPENED in kinds and kinds[0] != "forbidden-open" else kinds[0]


def basis_of(place: Place, kinds: list[str], worst: Finding | None) -> str:
    """What the alert rests on. That an endpoint opened is no part of it: it stays open, and was told."""
    verdict = place.verdict.kind if place.verdict is not None else "-"
    spoken = place.service.service if place.service else "-"
    return "|".join([verdict, spoken, worst.check if worst else "-", str(FLAPPING in kinds)])


def severity_of(place: Place, kind: str) -> Severity:
    """The worst of the rating, the worst finding, and what the policy says of what must be closed."""
    if kind == CLOSED or (kind == OPENED and place.verdict is not None and place.verdict.kind in {"expected", "accepted"}):
        return Severity.INFO
    found = [Severity(place.risk.rating) if place.risk else Severity.LOW]
    found += [place.worst.severity] if place.worst else []
    if place.verdict is not None and place.verdict.kind == "forbidden" and isinstance(place.verdict.entry, Closure):
        found.append(Severity(place.verdict.entry.severity))
    return max(found, key=lambda severity: severity.rank)


WORDS = {
    OPENED: "opened",
    CLOSED: "closed",
    NEW: "is open, measured for the first time",
    FLAPPING: "opens and closes all the time",
    "forbidden-open": "is open",
    "unexpected": "is open",
    "expired": "is open",
    "service-changed": "speaks something else",
    "version-changed": "has another version",
    "certificate-changed": "has another certificate",
    "certificate-expiring": "has a certificate that is about to end",
}
ENDS = {
    "forbidden": ", must be closed",
    "unexpected": ", not expected",
    "expired": ", no longer expected",
    "expected": ", as expected",
}


def title_of(place: Place, shown: str, kind: str) -> str:
    """`110/tcp opened on mail-1 (10.77.0.2), not expected`."""
    ends = ENDS.get(place.verdict.kind, "") if place.verdict is not None and kind != CLOSED else ""
    verb, _, rest = WORDS.get(kind, kind).partition(",")
    return f"{place.endpoint.port}/{place.endpoint.transport} {verb} on {shown}{f',{rest}' if rest else ''}{ends}"


def why_of(place: Place) -> str:
    """The worst finding, and what the policy says."""
    worst, verdict = place.worst, place.verdict
    parts = [f"{worst.title[:1].lower()}{worst.title[1:]} ({worst.confidence})"] if worst else []
    parts += [verdict.because] if verdict is not None and verdict.because else []
    change = place.change
    if change is not None and change.fields:
        parts.append(f"{', '.join(change.fields)} changed")
    return "; ".join(parts) or "no policy says whether it is wanted"


def speaks(service: Service | None) -> str:
    """`pop3 (Dovecot)`."""
    if service is None or service.service == "unknown":
        return "something unidentified"
    return f"{service.service} ({printable(service.product, 40)})" if service.product else service.service


def steps(place: Place) -> tuple[str, ...]:
    """The first thing to do: the remedy of the worst finding, else the advice for the service; then how to close it."""
    first = place.worst.remedy if place.worst else place.advice
    close = f"close: reconshield firewall advise {place.endpoint.port}"
    return (first, close) if first else (close,)


def missing_events(policy: Policy, run: Run, context: Context, now: float) -> Iterator[Event]:
    """Expectations of one endpoint that was measured and does not answer: perhaps an outage."""
    for verdict in context.judgement.verdicts("missing") if context.judgement else ():
        if verdict.endpoint is None:
            continue
        ip = verdict.endpoint.ip
        asset = next(iter(policy.assets_of(ip)), None)
        yield Event(
            fingerprint=mark_of(run.vantage, verdict.endpoint, MISSING),
            kind=MISSING,
            severity=Severity.LOW,
            title=f"{verdict.endpoint.port}/{verdict.endpoint.transport} does not answer on {asset.name if asset else ip}",
            what=f"the policy expects something on {verdict.endpoint}; nothing answers from {run.vantage}",
            why=verdict.because,
            do=("ask its owner whether it was taken down, then delete the [[expect]] entry",),
            at=now,
            endpoint=verdict.endpoint,
            zone=policy.zone_name(ip),
            asset=asset.name if asset else None,
            owner=policy.owner_of(ip),
            run=run.id,
            vantage=run.vantage,
            proof=f"reconshield report {run.id}",
            basis=MISSING,
        )


def find_endings(
    store: Store, run: Run, context: Context, standing: Iterable[Alert], restless: set[Endpoint], current: set[str]
) -> Iterator[Ending]:
    """Alerts on endpoints of this run that are no longer so: closed, answering again, or wanted by the policy now."""
    for alert in standing:
        endpoint, mark = alert.event.endpoint, alert.event.fingerprint
        if endpoint is None or mark in current or endpoint in restless:
            continue
        if mark not in {mark_of(run.vantage, endpoint), mark_of(run.vantage, endpoint, MISSING)}:
            continue
        seen = find_observation(store, run, endpoint)
        if seen is None:
            continue
        if (seen.state is State.OPEN) is (alert.event.kind == MISSING):
            yield Ending(mark, "answers" if alert.event.kind == MISSING else seen.state.label, seen.at)
        elif (verdict := context.verdicts.get(endpoint)) is not None and verdict.kind in {"expected", "accepted"}:
            yield Ending(mark, "expected by the policy", run.finished or seen.at)
