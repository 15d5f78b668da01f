"""Judge a stored run again, without a packet: probes read the kept dialogues again, checks judge the facts, and what differs
from what stands in the store is shown, or saved.

The judgement is made as of the time of the run, so a certificate that has expired since is not a finding of that day.
"""

from __future__ import annotations

from reconshield.identify.probes import PROBES
from reconshield.jobs.coverage import load_coverage
from reconshield.jobs.judge import Judge
from reconshield.jobs.open_table import TABLES
from reconshield.jobs.replay import read_again
from reconshield.jobs.results import load_head
from reconshield.model import Endpoint, Finding, Service
from reconshield.report.rejudged import Rejudged, Rejudgement
from reconshield.store import services as kept
from reconshield.store.db import Store
from reconshield.store.runs import find_run

COMPARED = ("service", "confidence", "product", "version", "cpe", "tls", "facts")


def rejudge_run(store: Store, run_text: str, *, save: bool = False) -> Rejudgement:
    """Judge every service of a run again; with `save` the new judgement takes the place of the old one."""
    run = find_run(store, run_text)
    load_coverage(store, run)  # refuses an import that was not finished
    judge = Judge(run.vantage, run.started)
    probes = {(probe.name, probe.transport): probe for probe in PROBES}
    services, findings = kept.services(store, run.id), by_endpoint(kept.findings(store, run.id))
    changes, replayed, octets = [], 0, 0
    for service in services:
        probe = probes.get((service.probe or "", service.endpoint.transport))
        renewed = read_again(service, probe) if probe else None
        if renewed is not None:
            replayed += 1
            octets += sum(len(turn.sent) + len(turn.received) for turn in service.evidence)
        rated, found = judge.find(renewed or service)
        before = findings.get(service.endpoint, ())
        change = compare(service, rated.service, before, found, rated.risk.score)
        if change is not None:
            changes.append(change)
            if save:
                kept.save_service(store, run.id, rated.service, found)
    if save and changes:
        TABLES.forget()  # what is kept of what stands open was made from the judgement that is gone
    return Rejudgement(load_head(run), len(services), replayed, octets, tuple(changes), save)


def compare(was: Service, now: Service, before: tuple[Finding, ...], after: tuple[Finding, ...], score: int) -> Rejudged | None:
    """What differs, None for nothing."""
    old, new = {finding.check: finding for finding in before}, {finding.check: finding for finding in after}
    old_score = next((finding.risk.score for finding in before if finding.risk), None)
    fields = tuple(name for name in COMPARED if getattr(was, name) != getattr(now, name))
    appeared = tuple(new[check] for check in new if check not in old)
    vanished = tuple(old[check] for check in old if check not in new)
    if not (appeared or vanished or fields or old_score not in {None, score}):
        return None
    return Rejudged(was.endpoint, appeared, vanished, old_score, score, fields)


def by_endpoint(findings: list[Finding]) -> dict[Endpoint, tuple[Finding, ...]]:
    grouped: dict[Endpoint, tuple[Finding, ...]] = {}
    for finding in findings:
        grouped[finding.endpoint] = (*grouped.get(finding.endpoint, ()), finding)
    return grouped
