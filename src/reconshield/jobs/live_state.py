"""How far a scan is, as one record that any number of readers share: live, or as far as the store knows.

A scan that runs in this process (`jobs.live`) has a state that changes many times a second. One that another process runs (the
command line, a worker) is seen through what it saved: its finished blocks, its open endpoints, its services.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from reconshield.jobs.coverage import is_import
from reconshield.jobs.memory import Memory
from reconshield.jobs.results import load_head
from reconshield.model import Endpoint, Risk
from reconshield.report.result import NOT_BELIEVED, RatedService
from reconshield.scan.plan import Plan
from reconshield.store.db import Store
from reconshield.store.observations import blocks_done, count_open_of, newest_open
from reconshield.store.runs import Run, RunState, find_run
from reconshield.store.services import count_services_of, newest_services

Phase = Literal["waiting", "measuring", "identifying", "ended"]
How = Literal["stopped", "paused", "shutdown", "crashed"]
NEWEST = 50
"""Found endpoints that a state lists."""


@dataclass(frozen=True, slots=True)
class Found:
    """An open endpoint; `service` and `risk` are None until it is identified. `at` in Unix seconds."""

    endpoint: Endpoint
    at: float
    service: str | None = None
    product: str | None = None
    risk: Risk | None = None


@dataclass(frozen=True, slots=True)
class LiveState:
    """A scan at one moment. Counts are endpoints, times Unix seconds. A newer state has a higher `version`.

    `waiting` says why it waits, `outcome` is the state of the run once it has ended, `ending` what made it end early, `error`
    what went wrong, in one line. `live` is False for a run that only the store tells of: then `rate` and `eta` are not known.
    """

    run: str
    workspace: str
    phase: Phase
    done: int
    total: int
    open: int
    rate: float | None = None
    slowed: str | None = None
    eta: float | None = None
    """Seconds to the end of the phase; None in the first three and when nothing moves."""
    identified: int = 0
    to_identify: int = 0
    newest: tuple[Found, ...] = ()
    """The last ones found, the newest first."""
    held: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Planned ports that get no byte, by kind of device."""
    error: str | None = None
    version: int = 0
    by: str | None = None
    started: float = 0.0
    waiting: str | None = None
    stopping: bool = False
    """It was asked to stop or to pause, and has not ended yet."""
    outcome: RunState | None = None
    ending: How | None = None
    live: bool = True
    loss: float | None = None
    """The share of attempts that were lost, None while not known."""


class Pace:
    """How long the rest takes, from the last quarter of a minute."""

    FIRST, WINDOW, EVERY = 3.0, 15.0, 0.25

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._began: float | None = None

    def eta(self, now: float, done: int, total: int) -> float | None:
        """Seconds until `total`; takes this moment in."""
        self._began = now if self._began is None else self._began
        if not self._seen or now - self._seen[-1][0] >= self.EVERY:
            self._seen.append((now, done))
        while now - self._seen[0][0] > self.WINDOW and len(self._seen) > 1:
            self._seen.popleft()
        then, before = self._seen[0]
        if now - self._began < self.FIRST or done <= before or now <= then:
            return None
        return (total - done) * (now - then) / (done - before)


def found_of(rated: RatedService) -> Found:
    service = rated.service
    return Found(service.endpoint, service.at, service.service, service.product, rated.risk)


STORED: Memory[LiveState] = Memory(200)


def stored_state(store: Store, run_text: str) -> LiveState:
    """How far a run is as the store tells it: what is saved is done, the rest is not. Raises UserError for an unknown run.

    Many may ask again and again: as long as nothing was saved meanwhile the counts are all that is read.
    """
    with store.snapshot() as one:
        run = find_run(one, run_text)
        done, total, blocks = count_done(one, run)
        opened, identified = count_open_of(one, run.id), count_services_of(one, run.id)
        version = blocks + identified + opened + (run.state != "running")
        mark = (one.where, one.workspace, run.id, run.state, run.finished, version)
        return STORED.get(mark, lambda: state_of(one, run, (done, total), (opened, identified), version))


def state_of(store: Store, run: Run, measured: tuple[int, int], found: tuple[int, int], version: int) -> LiveState:
    """The state of a stored run: endpoints measured and planned, found open and identified."""
    ended, whole = run.state != "running", measured[0] >= measured[1]
    ending = run.options.get("ending") or {}
    return LiveState(
        run=run.id,
        workspace=store.workspace,
        phase="ended" if ended else "identifying" if whole else "measuring",
        done=measured[0],
        total=measured[1],
        open=found[0],
        identified=found[1],
        to_identify=found[0] if whole else 0,
        newest=newest_of(store, run),
        error=ending.get("error"),
        version=version,
        by=run.options.get("by"),
        started=run.started,
        outcome=run.state if ended else None,
        ending=ending.get("how") if ended else None,
        live=False,
    )


def count_done(store: Store, run: Run) -> tuple[int, int, int]:
    """Endpoints measured, endpoints of this share of the plan, and blocks saved. What an import has not read is not known."""
    if is_import(run):
        total = load_head(run).probes
        return (total if run.state == "complete" else 0), total, 0
    plan, saved = Plan.from_json(run.plan), blocks_done(store, run.id)
    total = sum(plan.block_length(block) for block in plan.shard(*run.options.get("shard", (0, 1))))
    return sum(plan.block_length(block) for block in saved), total, len(saved)


def newest_of(store: Store, run: Run) -> tuple[Found, ...]:
    """The endpoints found last; the identified ones are rated by what they are, without the policy's word."""
    from reconshield.jobs.judge import Judge

    judge, services = Judge(run.vantage, run.started), newest_services(store, run.id, NEWEST)
    rated = [found_of(judge.rate(s)) for s in services if not (s.note or "").startswith(NOT_BELIEVED)]
    known = {service.endpoint for service in services}
    bare = [Found(seen.endpoint, seen.at) for seen in newest_open(store, run.id, NEWEST) if seen.endpoint not in known]
    return tuple([*rated, *bare][:NEWEST])
