"""What a run measured: in pages, the objects of JSON Lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, overload

import numpy as np

from reconshield.errors import StoreError, UserError
from reconshield.jobs.comparison import compare_runs
from reconshield.jobs.evidence import load_evidence
from reconshield.jobs.exposure_part import rate_part
from reconshield.jobs.rejudge import rejudge_run
from reconshield.model import Endpoint, Observation, Severity
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
from reconshield.scan.batch import Batch, records
from reconshield.store.observations import load_observations
from reconshield.store.parts import findings_after, open_after, services_after
from reconshield.web.api.paging import Key, Page, Paged
from reconshield.web.api.router import Api
from reconshield.web.api.scans import RunId
from reconshield.web.api.shapes import place_key, place_of
from reconshield.web.api.wishes import Wish
from reconshield.web.door import ApiAnalyst, ApiViewer, NotAllowed
from reconshield.web.failures import Missing
from reconshield.web.heavy import room_for
from reconshield.web.runs import exact_run

ROUTER = Api("Results")


class RejudgeWish(Wish):
    """Whether the new judgement takes the place of the old one."""

    save: bool = False


@ROUTER.get("/scans/{run}/observations")
def list_observations(
    call: ApiViewer, run: RunId, page: Paged, states: Literal["open", "answered"] = "open"
) -> Page[ObservationLine]:
    """What was measured: the open endpoints, or (`answered`) all that answered. Silence is not listed."""
    found = exact_run(call, run)
    last = page.placed(int, str, str)
    if states == "open":
        place = place_of(last[2], last[0], last[1]) if last else None
        seen = open_after(call.store, found.id, place, page.limit + 1)
        return page.follow(seen, lambda each: port_key(each.endpoint), lambda each: observation_line(found.id, each))
    batch = load_observations(call.store, found.id)
    ordered = batch[np.lexsort([batch[name] for name in ("lo", "hi", "transport", "port")])]
    answers = LazyRecords(ordered)
    return page.cut(answers, lambda each: port_key(each.endpoint), lambda each: observation_line(found.id, each))


@ROUTER.get("/scans/{run}/services")
def list_services(call: ApiViewer, run: RunId, page: Paged) -> Page[ServiceLine]:
    """What speaks on the open endpoints, with the risk of each and the dialogue it was learned from."""
    found, last = exact_run(call, run), page.placed(str, int, str)
    seen = services_after(call.store, found.id, place_of(*last) if last else None, page.limit + 1, NOT_BELIEVED)
    rated = rate_part(call.store, found, call.policy()[0], seen)
    return page.follow(rated, lambda each: place_key(each.endpoint), lambda each: service_line(found.id, each))


@ROUTER.get("/scans/{run}/findings")
def list_run_findings(call: ApiViewer, run: RunId, page: Paged, least: Severity | None = None) -> Page[FindingLine]:
    """What is wrong with them; `least` leaves out what is less severe."""
    found, last = exact_run(call, run), page.placed(str, int, str, str)
    wanted = [each for each in Severity if least is None or each.rank >= least.rank]
    after = (place_of(*last[:3]), last[3]) if last else None
    rows = findings_after(call.store, found.id, after, page.limit + 1, wanted)
    return page.follow(rows, lambda each: (*place_key(each.endpoint), each.check), lambda each: finding_line(found.id, each))


@ROUTER.get("/scans/{run}/evidence/{endpoint}")
def read_evidence(
    call: ApiViewer, run: RunId, endpoint: str
) -> list[ObservationLine | HeldBackLine | ServiceLine | FindingLine]:
    """All that the run knows of an endpoint (`192.0.2.7:110`, `[2001:db8::7]:53`): sent, received, and what it means."""
    found = exact_run(call, run)
    try:
        seen = load_evidence(call.store, found.id, endpoint[:300])
    except StoreError:
        raise
    except UserError as error:
        raise Missing("endpoint") from error
    return cast("list[ObservationLine | HeldBackLine | ServiceLine | FindingLine]", list(evidence_lines(seen)))


@ROUTER.post("/scans/{run}/rejudge")
def rejudge_scan(call: ApiAnalyst, run: RunId, wish: RejudgeWish) -> list[RejudgedLine]:
    """Judge a run with the probes and checks of today, without a packet: every endpoint that is judged differently. To save the
    new judgement takes the role operator.
    """
    if wish.save and not call.may("operator"):
        raise NotAllowed("to save a judgement takes the role operator", where="save", hint="ask an operator of this workspace")
    found = exact_run(call, run)
    with room_for(found):
        return list(rejudged_lines(rejudge_run(call.store, found.id, save=wish.save)))


@ROUTER.get("/scans/{run}/diff/{before}")
def diff_scans(call: ApiViewer, run: RunId, before: RunId, page: Paged) -> Page[ChangeLine]:
    """What changed from the run `before` to this one, claimed only where both measured."""
    old, new = exact_run(call, before), exact_run(call, run)
    with room_for(old, new):
        found = compare_runs(call.store, old.id, new.id)
    rows = sorted(found.changes, key=change_key)
    return page.cut(rows, change_key, lambda each: change_line(each, old.id, new.id, new.vantage))


def port_key(endpoint: Endpoint) -> Key:
    """The order of measurements: by port, transport and address."""
    ip, port, transport = place_key(endpoint)
    return (port, transport, ip)


class LazyRecords(Sequence[Observation]):
    """Answers as records, each made when it is looked at."""

    def __init__(self, rows: Batch) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Observation: ...
    @overload
    def __getitem__(self, at: slice) -> list[Observation]: ...
    def __getitem__(self, at: int | slice) -> Observation | list[Observation]:
        if isinstance(at, slice):
            return list(records(self.rows[at]))
        return next(iter(records(self.rows[at : at + 1])))


def change_key(change: RatedChange) -> tuple[str | int | float, ...]:
    return (*place_key(change.endpoint), change.kind)
