"""What a run measured: in pages, the objects of JSON Lines."""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np

from reconshield.errors import UserError
from reconshield.jobs.comparison import compare_runs
from reconshield.jobs.context import load_context
from reconshield.jobs.evidence import load_evidence
from reconshield.jobs.rejudge import rejudge_run
from reconshield.model import Severity
from reconshield.report.changes import RatedChange, change_line
from reconshield.report.dialogue import evidence_lines
from reconshield.report.line_types import (
    ChangeLine,
    FindingLine,
    HeldBackLine,
    ObservationLine,
    RejudgedLine,
    ServiceLine,
)
from reconshield.report.lines import finding_line, observation_line, service_line
from reconshield.report.rejudged import rejudged_lines
from reconshield.report.result import NOT_BELIEVED
from reconshield.scan.batch import records
from reconshield.store import services as kept
from reconshield.store.observations import load_observations, open_endpoints
from reconshield.web.api.paging import Page, Paged
from reconshield.web.api.router import Api
from reconshield.web.api.scans import RunId
from reconshield.web.api.shapes import place_key
from reconshield.web.api.wishes import Wish
from reconshield.web.door import ApiAnalyst, ApiViewer
from reconshield.web.failures import Missing
from reconshield.web.runs import exact_run

ROUTER = Api("Results")
ORDER = ("transport", "port", "lo", "hi")
"""Columns of an answer, the one that sorts first last."""


class RejudgeWish(Wish):
    """Whether the new judgement takes the place of the old one."""

    save: bool = False


@ROUTER.get("/scans/{run}/observations")
def list_observations(
    call: ApiViewer, run: RunId, page: Paged, states: Literal["open", "answered"] = "open"
) -> Page[ObservationLine]:
    """What was measured: the open endpoints, or (`answered`) all that answered. Silence is not listed."""
    found = exact_run(call, run)
    if states == "open":
        seen = sorted(open_endpoints(call.store, found.id), key=lambda each: place_key(each.endpoint))
        return page.cut(seen, lambda each: place_key(each.endpoint), lambda each: observation_line(found.id, each))
    batch = load_observations(call.store, found.id)
    ordered: list[Any] = list(batch[np.lexsort([batch[name] for name in ORDER])])
    key = lambda row: tuple(int(row[name]) for name in reversed(ORDER))  # noqa: E731
    return page.cut(ordered, key, lambda row: observation_line(found.id, next(iter(records(np.array([row]))))))


@ROUTER.get("/scans/{run}/services")
def list_services(call: ApiViewer, run: RunId, page: Paged) -> Page[ServiceLine]:
    """What speaks on the open endpoints, with the risk of each and the dialogue it was learned from."""
    found = exact_run(call, run)
    policy, _ = call.policy()
    context = load_context(call.store, found, policy)
    believed = [each for each in kept.services(call.store, found.id) if not (each.note or "").startswith(NOT_BELIEVED)]
    believed.sort(key=lambda each: place_key(each.endpoint))
    return page.cut(believed, lambda each: place_key(each.endpoint), lambda each: service_line(found.id, context.rate(each)))


@ROUTER.get("/scans/{run}/findings")
def list_run_findings(call: ApiViewer, run: RunId, page: Paged, least: Severity | None = None) -> Page[FindingLine]:
    """What is wrong with them; `least` leaves out what is less severe."""
    found = exact_run(call, run)
    rank = least.rank if least else 0
    rows = [each for each in kept.findings(call.store, found.id) if each.severity.rank >= rank]
    rows.sort(key=lambda each: (*place_key(each.endpoint), each.check))
    return page.cut(rows, lambda each: (*place_key(each.endpoint), each.check), lambda each: finding_line(found.id, each))


@ROUTER.get("/scans/{run}/evidence/{endpoint}")
def read_evidence(
    call: ApiViewer, run: RunId, endpoint: str
) -> list[ObservationLine | HeldBackLine | ServiceLine | FindingLine]:
    """All that the run knows of an endpoint (`192.0.2.7:110`, `[2001:db8::7]:53`): sent, received, and what it means."""
    found = exact_run(call, run)
    try:
        seen = load_evidence(call.store, found.id, endpoint[:300])
    except UserError as error:
        raise Missing("endpoint") from error
    return cast("list[ObservationLine | HeldBackLine | ServiceLine | FindingLine]", list(evidence_lines(seen)))


@ROUTER.post("/scans/{run}/rejudge")
def rejudge_scan(call: ApiAnalyst, run: RunId, wish: RejudgeWish) -> list[RejudgedLine]:
    """Judge a run with the probes and checks of today, without a packet: every endpoint that is judged differently."""
    return list(rejudged_lines(rejudge_run(call.store, exact_run(call, run).id, save=wish.save)))


@ROUTER.get("/scans/{run}/diff/{before}")
def diff_scans(call: ApiViewer, run: RunId, before: RunId, page: Paged) -> Page[ChangeLine]:
    """What changed from the run `before` to this one, claimed only where both measured."""
    old, new = exact_run(call, before), exact_run(call, run)
    found = compare_runs(call.store, old.id, new.id)
    rows = sorted(found.changes, key=change_key)
    return page.cut(rows, change_key, lambda each: change_line(each, old.id, new.id, new.vantage))


def change_key(change: RatedChange) -> tuple[str | int | float, ...]:
    return (*place_key(change.endpoint), change.kind)
