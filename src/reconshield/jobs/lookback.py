"""What earlier runs from the same vantage said of endpoints: when something was last otherwise, and how often it turned.

Only runs that can have measured these endpoints are unpacked, and no more of them than it takes to answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.inventory import Measurement, states_in
from reconshield.jobs.coverage import is_import, load_believed, load_coverage, plan_of
from reconshield.model import Endpoint, Service, State
from reconshield.scan.plan import Plan
from reconshield.store import services as kept
from reconshield.store.db import Store
from reconshield.store.runs import Run, list_runs

Array = NDArray[Any]
DEPTH = 6
"""Measurements of an endpoint that are looked at to tell whether it flaps."""
MOST_RUNS = 2000
"""So many of the newest runs from a vantage are asked; what none of them measured counts as never measured."""
SERVICE_RUNS = 10
"""Runs in which it is looked for what spoke on an endpoint before."""


@dataclass(frozen=True, slots=True)
class Past:
    """For each row: its last state (code, 0 for never measured) and when.

    `open` and `known` are its last `DEPTH` measurements, the newest first.
    """

    state: Array
    at: Array
    open: Array
    known: Array

    def turns(self, row: int) -> list[bool]:
        """Whether an endpoint was open, measurement by measurement, the newest first."""
        return [bool(o) for o, known in zip(self.open[row], self.known[row], strict=True) if known]


def earlier_runs(store: Store, run: Run) -> list[Run]:
    """Runs from the same vantage that began before this one and measured something, the newest first."""
    return [
        each
        for each in list_runs(store, MOST_RUNS, run.vantage)
        if each.id != run.id and each.started <= run.started and is_usable(each)
    ]


def is_usable(run: Run) -> bool:
    """An import that was not finished may lack anything; a scan that was killed still has its finished blocks."""
    return run.state in {"complete", "partial"} or (run.state == "running" and not is_import(run))


def look_back(store: Store, earlier: list[Run], rows: Array) -> Past:
    """What is known of these endpoints from before."""
    size = len(rows)
    past = Past(np.zeros(size, np.uint8), np.zeros(size), np.zeros((size, DEPTH), bool), np.zeros((size, DEPTH), bool))
    seen = np.zeros(size, np.int64)
    waiting = np.arange(size)
    for run in earlier:
        # Every row needs its last state; how often it turned is asked only of those that were ever measured.
        waiting = waiting[(past.state[waiting] == 0) | (seen[waiting] < DEPTH)]
        if len(waiting) == 0:
            break
        if not may_have_measured(run, rows[waiting]):
            continue
        states, times = states_in(load_bare(store, run), rows[waiting])
        found = states > 0
        at, states, times = waiting[found], states[found], times[found]
        new = past.state[at] == 0
        past.state[at[new]], past.at[at[new]] = states[new], times[new]
        room = seen[at] < DEPTH
        past.open[at[room], seen[at[room]]] = states[room] == State.OPEN
        past.known[at[room], seen[at[room]]] = True
        seen[at] += 1
    return past


def may_have_measured(run: Run, rows: Array) -> bool:
    """Whether the plan of a run has any of these endpoints. Of an import only its file knows."""
    plan = plan_of(run)
    if is_import(run) or plan is None:
        return True
    return bool(planned(plan, rows).any())


def planned(plan: Plan, rows: Array) -> Array:
    """Which rows are endpoints of a plan."""
    found: Array = plan.block_of(rows["hi"], rows["lo"], rows["port"], rows["transport"]) >= 0
    return found


def load_bare(store: Store, run: Run) -> Measurement:
    """A run without its services."""
    coverage = load_coverage(store, run)
    return Measurement(load_believed(store, run, coverage), run.vantage, coverage.silent_at, coverage.covers)


def services_before(store: Store, earlier: list[Run], endpoints: set[Endpoint]) -> dict[Endpoint, Service]:
    """What spoke last on each of these endpoints."""
    found: dict[Endpoint, Service] = {}
    for run in earlier[:SERVICE_RUNS]:
        if endpoints <= found.keys():
            break
        for service in kept.services(store, run.id):
            if service.endpoint in endpoints:
                found.setdefault(service.endpoint, service)
    return found
