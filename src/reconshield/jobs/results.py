"""A run, from the store or just ended, as the one record that every report takes.

Counts are computed from what is stored: the blocks that finished say how much was measured, the answers say the states, and
the rest of the finished blocks was silent. So a run that was stopped, killed or resumed tells the same as one that was not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from reconshield.addresses import LOOPBACK
from reconshield.jobs.coverage import is_import, load_coverage
from reconshield.knowledge.ports import held_back
from reconshield.model import Endpoint, Observation, State, Transport
from reconshield.report.result import NOT_BELIEVED, Doubt, HeldBack, RatedService, RunHead, RunResult, RunState, Summary
from reconshield.scan.plan import Plan
from reconshield.store import services as kept
from reconshield.store.db import Store
from reconshield.store.observations import blocks_done, load_observations, open_endpoints
from reconshield.store.runs import Run, find_run

if TYPE_CHECKING:
    from reconshield.policy import Policy

OWN = "localhost"
"""The target that means this machine; of its endpoints those on loopback alone are shown apart."""


def load_result(store: Store, run_text: str, *, all_states: bool = False, policy: Policy | None = None) -> RunResult:
    """The whole run that a text (`latest`, an id, a unique prefix) names. Raises UserError when there is none.

    The risks are those of the endpoints where they are: a policy, and when they opened, count.
    """
    from reconshield.jobs.context import open_context

    run = find_run(store, run_text)
    coverage = load_coverage(store, run)
    believed = [service for service in kept.services(store, run.id) if not (service.note or "").startswith(NOT_BELIEVED)]
    context = open_context(store, run, policy) if believed else None
    services = tuple(context.rate(service) for service in believed) if context else ()
    risks = {rated.endpoint: rated.risk for rated in services}
    names = {s.endpoint.ip: s.service.name for s in services if s.service.name}
    seen = coverage.every(load_observations(store, run.id)) if all_states else open_endpoints(store, run.id)
    return RunResult(
        head=load_head(run),
        services=services,
        findings=tuple(replace(f, risk=risks.get(f.endpoint, f.risk)) for f in kept.findings(store, run.id)),
        summary=load_summary(store, run),
        observations=tuple(named(o, names.get(o.endpoint.ip)) for o in seen),
        held_back=tuple(held for s in services if (held := held_of(s.endpoint))),
        own_loopback=frozenset() if is_import(run) else only_on_loopback(services),
        standing={endpoint: context.standing(endpoint) for endpoint in risks} if context else {},
    )


def load_head(run: Run) -> RunHead:
    """The head of a stored run. An import keeps its own counts, for it has no plan that would give them."""
    if not is_import(run):
        return head_of(run, Plan.from_json(run.plan))
    options, said = run.options, run.options["imported"]
    return RunHead(
        id=run.id,
        targets=tuple(options["targets"]),
        ports=said["ports"],
        engine=run.engine,
        vantage=run.vantage,
        level=run.level,
        started=run.started,
        probes=said["endpoints"],
        seed=0,
        addresses=said["addresses"],
        dropped=tuple(options["dropped"]),
        imported=True,
    )


def load_summary(store: Store, run: Run) -> Summary:
    """The summary of a stored run; counted now for a scan that was killed before it could write one."""
    if run.summary:
        return Summary(**{**run.summary, "doubts": tuple(Doubt(**doubt) for doubt in run.summary.get("doubts", ()))})
    plan = Plan.from_json(run.plan)
    return summarise(store, run, range(plan.blocks), 0.0, 0, None, ())


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
    doubts: tuple[Doubt, ...] = (),
    *,
    recall: tuple[float, float] | None = None,
    rates: tuple[tuple[float, float], ...] = (),
) -> Summary:
    """Count a run from what is stored. Complete: every block of this share is done and every open endpoint has a service."""
    plan = Plan.from_json(run.plan)
    done = blocks_done(store, run.id)
    measured = sum(plan.block_length(block) for block in done)
    answered = load_observations(store, run.id)
    states = np.bincount(answered["state"], minlength=6)
    udp = count_udp(plan, done)
    silent_udp = udp - int((answered["transport"] == Transport.UDP).sum())
    waiting = kept.endpoints_without_service(store, run.id)
    state: RunState = "complete" if done.issuperset(share) and not waiting else "partial"
    before = run.summary or {}
    return Summary(
        state=state,
        probes=plan.size,
        measured=measured,
        open=int(states[State.OPEN]),
        closed=int(states[State.CLOSED]),
        filtered=int(states[State.FILTERED]) + measured - len(answered) - silent_udp,
        unreachable=int(states[State.UNREACHABLE]),
        open_filtered=int(states[State.OPEN_FILTERED]) + silent_udp,
        retransmitted=retransmitted + int(before.get("retransmitted", 0)),
        seconds=seconds + float(before.get("seconds", 0.0)),
        loss=loss if loss is not None else before.get("loss"),
        slowed=(*before.get("slowed", ()), *slowed),
        doubts=doubts,
        recall_estimate=recall if recall is not None else before.get("recall_estimate"),
        rates=rates,
    )


def count_udp(plan: Plan, done: set[int]) -> int:
    """How many UDP endpoints the finished blocks hold; computed from their pairs only if the plan is mixed and unfinished."""
    if not plan.ports.tcp or not plan.ports.udp:
        return sum(plan.block_length(block) for block in done) if plan.ports.udp else 0
    if len(done) == plan.blocks:
        return plan.targets.count * replace(plan.ports, tcp=()).count
    return sum(int((plan.pairs(block).transport == Transport.UDP).sum()) for block in done)
