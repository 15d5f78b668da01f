"""What the changes of some days come to: for each endpoint the last thing that happened to it, with whom it concerns and why.

A port that opened and closed again in that time is told as closed; one that only flapped is told once.
"""

from __future__ import annotations

from dataclasses import replace

from reconshield.jobs.changes import load_changes
from reconshield.jobs.exposures import load_exposures
from reconshield.jobs.judge import Judge
from reconshield.jobs.lookback import is_usable
from reconshield.model import Endpoint, Finding, Severity
from reconshield.policy import Policy
from reconshield.policy.records import WAN
from reconshield.report.changes import RatedChange
from reconshield.report.exposures import Exposure
from reconshield.report.letter import Item, Letter
from reconshield.store import services as kept
from reconshield.store.db import Store
from reconshield.store.runs import list_runs

STATES = frozenset({"opened", "closed", "newly-measured", "coverage-lost"})


def write_letter(store: Store, policy: Policy | None, since: float, now: float) -> Letter:
    """The letter of a workspace."""
    runs = {run.id: run for run in list_runs(store) if is_usable(run) and (run.finished or run.started) >= since}
    latest: dict[tuple[str, Endpoint, bool], tuple[str, RatedChange]] = {}
    turns: dict[tuple[str, Endpoint], int] = {}
    for run_id, change in load_changes(store, since=since):
        vantage = runs[run_id].vantage if run_id in runs else ""
        is_state = change.kind in STATES
        latest[vantage, change.endpoint, is_state] = run_id, change
        turns[vantage, change.endpoint] = turns.get((vantage, change.endpoint), 0) + is_state
    gone = {(vantage, place) for (vantage, place, is_state), (_, c) in latest.items() if is_state and c.kind == "closed"}
    standing = {(e.vantage, e.endpoint): e for e in load_exposures(store, policy, now)}
    items = []
    for (vantage, place, is_state), (run_id, change) in latest.items():
        here = standing.get((vantage, place))
        if is_over(change, here) or (not is_state and (vantage, place) in gone):
            continue
        item = describe_change(change, policy, here)
        finding = worst_finding(store, run_id, place)
        items.append(replace(item, run=run_id, vantage=vantage, finding=finding, turns=turns[vantage, place]))
    last = max((run.finished or run.started for run in runs.values()), default=None)
    return Letter(store.workspace, since, now, len(runs), last, tuple(items))


def is_over(change: RatedChange, here: Exposure | None) -> bool:
    """Whether an endpoint that was not measured has been measured since, and is as it was."""
    return change.kind == "coverage-lost" and here is not None and here.seen > (change.last_seen or 0.0)


def describe_change(change: RatedChange, policy: Policy | None, here: Exposure | None) -> Item:
    """A change with whose it is, and what the endpoint is worth now, if it is still open."""
    place, service = change.endpoint, change.service_after or change.service_before
    return Item(
        change=change,
        zone=policy.zone_name(place.ip) if policy else WAN,
        assets=tuple(asset.name for asset in policy.assets_of(place.ip)) if policy else (),
        owner=policy.owner_of(place.ip) if policy else None,
        verdict=here.verdict if here else None,
        risk=here.risk if here and here.risk else change.risk,
        advice=Judge("", service.at).rate(service).advice if service else None,
    )


def worst_finding(store: Store, run_id: str, endpoint: Endpoint) -> Finding | None:
    """The severest finding of an endpoint in a run, None for none worth a sentence."""
    found = [f for f in kept.findings(store, run_id, endpoint) if f.severity is not Severity.INFO]
    return max(found, key=lambda finding: finding.severity.rank, default=None)
