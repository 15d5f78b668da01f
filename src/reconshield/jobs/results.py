"""A run, from the store or just ended, as the one record that every report takes.

Counts are computed from what is stored: the blocks that finished say how much was measured, the answers say the states, and
the rest of the finished blocks was silent. So a run that was stopped, killed or resumed tells the same as one that was not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from reconshield.addresses import LOOPBACK
from reconshield.jobs.judge import Judge
from reconshield.knowledge.ports import held_back
from reconshield.model import Endpoint, Observation, Reason, State, Transport
from reconshield.report.result import HeldBack, RatedService, RunHead, RunResult, RunState, Summary
from reconshield.scan.batch import Batch, empty, records
from reconshield.scan.plan import Plan
from reconshield.store import services as kept
from reconshield.store.db import Store
from reconshield.store.observations import blocks_done, load_observations, open_endpoints
from reconshield.store.runs import Run, find_run

OWN = "localhost"
"""The target that means this machine; of its endpoints those on loopback alone are shown apart."""


def load_result(store: Store, run_text: str, *, all_states: bool = False) -> RunResult:
    """The whole run that a text (`latest`, an id, a unique prefix) names. Raises UserError when there is none."""
    run = find_run(store, run_text)
    plan = Plan.from_json(run.plan)
    judge = Judge(run.vantage, run.finished or run.started)
    services = tuple(judge.rate(service) for service in kept.services(store, run.id))
    names = {s.endpoint.ip: s.service.name for s in services if s.service.name}
    seen = every_observation(store, run, plan) if all_states else open_endpoints(store, run.id)
    return RunResult(
        head=head_of(run, plan),
        services=services,
        findings=tuple(kept.findings(store, run.id)),
        summary=Summary(**run.summary) if run.summary else summarise(store, run, range(plan.blocks), 0.0, 0, None, ()),
        observations=tuple(named(o, names.get(o.endpoint.ip)) for o in seen),
        held_back=tuple(held for s in services if (held := held_of(s.endpoint))),
        own_loopback=only_on_loopback(services),
    )


def head_of(run: Run, plan: Plan) -> RunHead:
    """The head of a run's report."""
    return RunHead(
        id=run.id,
        targets=tuple(run.options["targets"]),
        ports=plan.ports.text(),
        engine=run.engine,
        vantage=run.vantage,
        level=run.level,
        started=run.started,
        probes=plan.size,
        seed=plan.seed,
        addresses=plan.targets.count,
        grants=run.grants,
        dropped=tuple(run.options["dropped"]),
    )


def named(observation: Observation, name: str | None) -> Observation:
    return replace(observation, name=name) if name else observation


def held_of(endpoint: Endpoint) -> HeldBack | None:
    """Why an endpoint gets no byte, None if it may be asked."""
    held = held_back(endpoint.port, endpoint.transport)
    return HeldBack(endpoint, held.kind, held.reason, held.source) if held else None


def only_on_loopback(services: tuple[RatedService, ...]) -> frozenset[Endpoint]:
    """Of a scan of this machine, the endpoints that listen on loopback and on no other own address."""
    own = [s.endpoint for s in services if s.service.name == OWN]
    outside = {(e.port, e.transport) for e in own if e.ip not in LOOPBACK}
    return frozenset(e for e in own if e.ip in LOOPBACK and (e.port, e.transport) not in outside)


def summarise(
    store: Store,
    run: Run,
    share: range,
    seconds: float,
    retransmitted: int,
    loss: float | None,
    slowed: tuple[str, ...],
) -> Summary:
    """Count a run from what is stored. Complete: every block of this share is done and every open endpoint has a service."""
    plan = Plan.from_json(run.plan)
    done = blocks_done(store, run.id)
    measured = sum(plan.block_length(block) for block in done)
    answered = load_observations(store, run.id)
    states = np.bincount(answered["state"], minlength=6)
    waiting = kept.endpoints_without_service(store, run.id)
    state: RunState = "complete" if done.issuperset(share) and not waiting else "partial"
    before = run.summary or {}
    return Summary(
        state=state,
        probes=plan.size,
        measured=measured,
        open=int(states[State.OPEN]),
        closed=int(states[State.CLOSED]),
        filtered=int(states[State.FILTERED]) + measured - len(answered),
        unreachable=int(states[State.UNREACHABLE]),
        open_filtered=int(states[State.OPEN_FILTERED]),
        retransmitted=retransmitted + int(before.get("retransmitted", 0)),
        seconds=seconds + float(before.get("seconds", 0.0)),
        loss=loss if loss is not None else before.get("loss"),
        slowed=(*before.get("slowed", ()), *slowed),
    )


def every_observation(store: Store, run: Run, plan: Plan) -> Iterator[Observation]:
    """Every measured endpoint, the silent ones too: those are computed from the plan and the finished blocks."""
    answered = load_observations(store, run.id)
    blocks = plan.block_of(answered["hi"], answered["lo"], answered["port"], answered["transport"])
    for block in sorted(blocks_done(store, run.id)):
        yield from records(fill_block(plan, block, answered[blocks == block], run.finished or run.started))


def fill_block(plan: Plan, block: int, answered: Batch, at: float) -> Batch:
    """All pairs of a block: the answers, and `filtered, no-response` for the rest."""
    pairs = plan.pairs(block)
    whole = empty(len(pairs.port))
    whole["hi"], whole["lo"], whole["port"], whole["transport"] = pairs
    whole["state"], whole["reason"], whole["at"] = State.FILTERED, Reason.NO_RESPONSE, at
    whole["state"][whole["transport"] == Transport.UDP] = State.OPEN_FILTERED
    columns = ["hi", "lo", "port", "transport"]
    order = np.lexsort([whole[c] for c in reversed(columns)])
    keys, wanted = whole[columns][order], answered[columns]
    whole[order[np.searchsorted(keys, wanted)]] = answered
    return whole
