"""What changed between two stored runs: their measurements with real coverage, through `inventory.diff`, each change rated."""

from __future__ import annotations

from reconshield import inventory
from reconshield.jobs.coverage import load_measurement
from reconshield.jobs.judge import Judge
from reconshield.jobs.results import load_head
from reconshield.model import Risk
from reconshield.report.changes import Comparison, RatedChange
from reconshield.store.db import Store
from reconshield.store.runs import find_run


def compare_runs(store: Store, before_text: str, after_text: str) -> Comparison:
    """Every change from one run to another. Raises UserError when one of them does not exist."""
    before, after = find_run(store, before_text), find_run(store, after_text)
    found = inventory.diff(load_measurement(store, before), load_measurement(store, after))
    judge = Judge(after.vantage, after.started)
    return Comparison(load_head(before), load_head(after), tuple(rate_change(judge, change) for change in found))


def rate_change(judge: Judge, change: inventory.Change) -> RatedChange:
    service = change.service_after or change.service_before
    risk: Risk | None = judge.rate(service).risk if service else None
    return RatedChange(
        kind=change.kind,
        endpoint=change.endpoint,
        before=change.before,
        after=change.after,
        last_seen=change.last_seen,
        first_seen=change.first_seen,
        service_before=change.service_before,
        service_after=change.service_after,
        fields=change.fields,
        risk=risk,
        flapping=change.flapping,
    )
