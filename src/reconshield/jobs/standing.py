"""The findings that stand now: those of the newest judgement of every endpoint that is still known to be open.

A finding of an older run does not count once the endpoint was asked again: what a newer run did not find again is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reconshield.jobs.exposures import load_exposures
from reconshield.jobs.lookback import SERVICE_RUNS, is_usable
from reconshield.model import Endpoint, Finding
from reconshield.policy import Policy
from reconshield.policy.judgement import accept_findings
from reconshield.policy.verdict import Verdict
from reconshield.report.exposures import Exposure
from reconshield.store import services as kept
from reconshield.store.db import Store
from reconshield.store.runs import list_runs


@dataclass(frozen=True, slots=True)
class StandingFinding:
    """A finding, its exposure, the run that it rests on, and the word of the policy where somebody accepted it."""

    finding: Finding
    exposure: Exposure
    run: str
    accepted: Verdict | None = None


def standing_findings(store: Store, policy: Policy | None, now: float) -> list[StandingFinding]:
    """Everything that is wrong now, the worst risk first, accepted ones after the others."""
    by_place: dict[str, dict[Endpoint, Exposure]] = {}
    for exposure in load_exposures(store, policy, now):
        by_place.setdefault(exposure.vantage, {})[exposure.endpoint] = exposure
    found = [one for vantage, places in by_place.items() for one in findings_from(store, vantage, places)]
    marked = {}
    if policy is not None:
        marked = {v.finding.id: v for v in accept_findings(policy, tuple(one.finding for one in found), now) if v.finding}
    return sorted((replace(one, accepted=marked.get(one.finding.id)) for one in found), key=worst_first)


def findings_from(store: Store, vantage: str, places: dict[Endpoint, Exposure]) -> Iterator[StandingFinding]:
    """The findings of what one vantage sees open, each from the newest run that spoke to its endpoint."""
    waiting = set(places)
    runs = [run for run in list_runs(store, 10 * SERVICE_RUNS, vantage) if is_usable(run)]
    for run in runs[:SERVICE_RUNS]:
        if not waiting:
            return
        spoken = {service.endpoint for service in kept.services(store, run.id)} & waiting
        if not spoken:
            continue
        for finding in kept.findings(store, run.id):
            if finding.endpoint in spoken:
                exposure = places[finding.endpoint]
                yield StandingFinding(replace(finding, risk=exposure.risk or finding.risk), exposure, run.id)
        waiting -= spoken


def find_standing(store: Store, policy: Policy | None, finding_id: str, now: float) -> StandingFinding | None:
    """One of them by its id."""
    return next((one for one in standing_findings(store, policy, now) if one.finding.id == finding_id), None)


def worst_first(one: StandingFinding) -> tuple[bool, int, int, Endpoint]:
    accepted = one.accepted is not None and one.accepted.kind == "accepted"
    score = one.finding.risk.score if one.finding.risk else 0
    return accepted, -one.finding.severity.rank, -score, one.finding.endpoint
