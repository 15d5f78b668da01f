"""What a stored run measured: which endpoints, answered or silent, and so what a comparison with it may claim.

A scan has measured the finished blocks of its plan. An import has no order and no blocks of its own: it has measured what its
file lists, and, where the file says that hosts were measured in whole (nmap), a plan of exactly those hosts and ports, whose
silence counts. Its stored plan is `{"v": "imported", "whole": <a plan, or null>}`; nothing can be resumed from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses.arrays import endpoint_keys, find_keys
from reconshield.errors import UserError
from reconshield.inventory import Measurement
from reconshield.model import Endpoint, Json, Observation, Reason, State, Transport
from reconshield.report.result import NOT_BELIEVED
from reconshield.scan.batch import Batch, empty, from_records, records
from reconshield.scan.plan import Plan
from reconshield.store import services as kept
from reconshield.store.db import Store
from reconshield.store.observations import blocks_done, load_observations
from reconshield.store.runs import Run

IMPORTED = "imported"
COLUMNS = ["hi", "lo", "port", "transport"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The plan of a run and its finished blocks. `plan` is None for an import that names single endpoints only.

    `doubted` are endpoints that looked open, but that something else may have answered for: nothing is known of them.
    """

    plan: Plan | None
    finished: frozenset[int]
    silent_at: float
    doubted: Batch = field(default_factory=lambda: empty(0))

    def covers(self, rows: Batch) -> NDArray[np.bool_]:
        """Which rows are endpoints that were measured, answered or not."""
        if self.plan is None:
            return np.zeros(len(rows), bool)
        return self.plan.covers(rows, np.array(sorted(self.finished), np.int64)) & ~is_among(rows, self.doubted)

    def every(self, answered: Batch) -> Iterator[Observation]:
        """Every measured endpoint: the answers, and the silent ones, which are computed from the plan."""
        if self.plan is None:
            yield from records(answered)
            return
        blocks = self.plan.block_of(*(answered[name] for name in COLUMNS))
        for block in sorted(self.finished):
            yield from records(fill_block(self.plan, block, answered[blocks == block], self.silent_at))
        yield from records(answered[~np.isin(blocks, np.array(sorted(self.finished), np.int64))])


def is_import(run: Run) -> bool:
    return run.plan.get("v") == IMPORTED


def plan_of(run: Run) -> Plan | None:
    """The plan of a run; None for an import that names single endpoints only."""
    if not is_import(run):
        return Plan.from_json(run.plan)
    whole = run.plan.get("whole")
    return Plan.from_json(whole) if whole else None


def import_plan(whole: Plan | None) -> Json:
    """What is stored as the plan of an import."""
    return {"v": IMPORTED, "whole": whole.to_json() if whole else None}


def load_coverage(store: Store, run: Run) -> Coverage:
    """What a stored run measured. An import that was killed half-way is refused: nobody knows what is missing."""
    plan, at = plan_of(run), run.finished or run.started
    if not is_import(run):
        return Coverage(plan, frozenset(blocks_done(store, run.id)), at, load_doubted(store, run))
    if run.state not in {"complete", "partial"}:
        raise UserError("this import was not finished", where=run.id, hint="import the file again")
    return Coverage(plan, frozenset(range(plan.blocks if plan else 0)), run.started)


def is_among(rows: Batch, others: Batch) -> NDArray[np.bool_]:
    """Which endpoints are also in another array."""
    if len(others) == 0:
        return np.zeros(len(rows), bool)
    ours, theirs = endpoint_keys(rows, others)
    found: NDArray[np.bool_] = find_keys(ours, np.sort(theirs)) >= 0
    return found


def load_doubted(store: Store, run: Run) -> Batch:
    """The endpoints of a run that are not believed to come from their host (`doubt`)."""
    places = kept.endpoints_noted(store, run.id, NOT_BELIEVED)
    return from_records(Observation(place, State.OPEN, Reason.SYN_ACK, 0.0) for place in places)


def load_believed(store: Store, run: Run, coverage: Coverage) -> Batch:
    """The answers of a run without those that are not believed."""
    answers = load_observations(store, run.id)
    believed: Batch = answers.compress(~is_among(answers, coverage.doubted)) if len(coverage.doubted) else answers
    return believed


def load_measurement(store: Store, run: Run) -> Measurement:
    """A stored run as `inventory.diff` needs it."""
    coverage = load_coverage(store, run)
    return Measurement(
        observations=load_believed(store, run, coverage),
        vantage=run.vantage,
        at=coverage.silent_at,
        covers=coverage.covers,
        services={service.endpoint: service for service in kept.services(store, run.id)},
    )


def find_observation(store: Store, run: Run, endpoint: Endpoint) -> Observation | None:
    """What a run saw of one endpoint, silence included; None when it did not measure it."""
    key = from_records([Observation(endpoint, State.OPEN, Reason.IMPORTED, 0.0)])
    answered = load_observations(store, run.id)
    same = np.ones(len(answered), bool)
    for name in COLUMNS:
        same &= answered[name] == key[name][0]
    if same.any():
        return min(records(answered[same]), key=lambda seen: seen.state)
    coverage = load_coverage(store, run)
    if not coverage.covers(key)[0]:
        return None
    return Observation(endpoint, silence_of(endpoint.transport), Reason.NO_RESPONSE, coverage.silent_at)


def silence_of(transport: str) -> State:
    """The state of an endpoint that was asked and did not answer."""
    return State.OPEN_FILTERED if transport == "udp" else State.FILTERED


def fill_block(plan: Plan, block: int, answered: Batch, at: float) -> Batch:
    """All pairs of a block: the answers, and `filtered, no-response` for the rest."""
    pairs = plan.pairs(block)
    whole = empty(len(pairs.port))
    whole["hi"], whole["lo"], whole["port"], whole["transport"] = pairs
    whole["state"], whole["reason"], whole["at"] = State.FILTERED, Reason.NO_RESPONSE, at
    whole["state"][whole["transport"] == Transport.UDP] = State.OPEN_FILTERED
    order = np.lexsort([whole[c] for c in reversed(COLUMNS)])
    keys, wanted = whole[COLUMNS][order], answered[COLUMNS]
    whole[order[np.searchsorted(keys, wanted)]] = answered
    return whole
