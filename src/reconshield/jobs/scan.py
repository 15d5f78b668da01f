"""The main job: what does this host expose, and how bad is it?

    prepare_scan   text -> grants and scope -> Targets -> Plan          refuses before anything is sent; a dry run ends here
    run_scan       Plan -> engine -> batches, saved block by block
                   open endpoints -> services with facts -> findings, saved endpoint by endpoint
                   -> summary                                           and events all the way, for whoever shows them

What is saved stays: a scan that is stopped or killed is resumed at its first unfinished block, and an endpoint without a
service is identified then. Nothing here prints.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reconshield.errors import Refused, UserError
from reconshield.jobs.coverage import is_import
from reconshield.jobs.doubt import UNPROVEN, Aside, find_crowds, look_again, set_aside, weigh
from reconshield.jobs.grants import authorise_scan
from reconshield.jobs.ownership import refuse_owned, this_owner
from reconshield.jobs.rates import RateHistory
from reconshield.jobs.readiness import Readiness
from reconshield.jobs.requests import list_targets
from reconshield.jobs.results import head_of, held_of, summarise
from reconshield.jobs.scan_request import (
    IDENTIFY_LEVEL,
    ScanRequest,
    check_engine,
    check_level,
    check_texts,
    choose_engine,
    choose_options,
    choose_ports,
    leave_out,
    repeated_options,
    sending_rate,
)
from reconshield.jobs.silent import find_silent, open_late
from reconshield.knowledge.ports import held_back
from reconshield.model import Confidence, Endpoint, Finding, Json, Observation, Reason, Service, State
from reconshield.report.result import HeldBack, RatedService, RunHead, Summary
from reconshield.scan.batch import Batch, records
from reconshield.scan.doubt import Crowd
from reconshield.scan.engine import BlockDone, Options, Progress, measure
from reconshield.scan.pacing import estimate_recall
from reconshield.scan.plan import Plan, make_plan
from reconshield.scope import Targets
from reconshield.settings import Settings
from reconshield.store.db import Store
from reconshield.store.observations import blocks_done, save_block
from reconshield.store.runs import Run, claim_run, create_run, find_run, reopen_run
from reconshield.store.services import add_services, endpoints_without_service, save_service

if TYPE_CHECKING:
    from pathlib import Path

    from reconshield.jobs.judge import Judge
    from reconshield.policy import Policy

GUESSES = 256
"""Guesses that are saved in one transaction."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scan that may start: authorised, planned, nothing sent yet. `run` is set when it goes on with an earlier run."""

    request: ScanRequest
    targets: Targets
    plan: Plan
    options: Options
    vantage: str
    run: Run | None = None
    left_out: tuple[str, ...] = ()
    """Ports that were asked for and cannot be measured, one sentence each."""
    home: Path | None = None
    """Where the user's own fingerprints lie."""
    policy: Policy | None = None
    """What is expected here, where there is a policy that can be read."""

    @property
    def engine_note(self) -> str | None:
        """Why the engine is not the one that could be expected."""
        return choose_engine(self.request.engine, self.targets)[1]

    @property
    def blocks(self) -> range:
        """The blocks of this machine's share."""
        return self.plan.shard(*self.request.shard)


@dataclass(frozen=True, slots=True)
class Started:
    """The run exists in the store."""

    head: RunHead


@dataclass(frozen=True, slots=True)
class Measuring:
    """How far the measurement is. Counts are endpoints. `loss` is the share of lost attempts, None while not known."""

    done: int
    total: int
    open: int
    rate: float
    slowed: str | None = None
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A block is finished and saved. `batch` holds every endpoint of it in the observation dtype."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Identifying:
    """How far identification is. Counts are open endpoints."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Identified:
    """What answers on one endpoint, rated and judged, and saved."""

    rated: RatedService
    findings: tuple[Finding, ...]
    held: HeldBack | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The run has ended, as its state says."""

    summary: Summary


Event = Started | Measuring | Measured | Identifying | Identified | Finished


def prepare_scan(store: Store, settings: Settings, request: ScanRequest, now: float, *, policy: Policy | None) -> Prepared:
    """Authorise and plan. Raises UserError for a mistake in the request and Refused when no grant allows it.

    `policy` is that of the store's workspace, which the caller knows: what is found is judged by it. None: by none.
    """
    check_engine(request.engine)
    check_level(request.level)
    check_texts(request)
    targets, exclude = list_targets(request.targets), list_targets(request.exclude, wide=True)
    request = replace(request, targets=targets, exclude=exclude)
    ports, left_out = leave_out(choose_ports(request), request)
    allowed = authorise(store, request, now)
    options = choose_options(request, allowed)
    plan = make_plan(allowed.addresses, ports, rate=sending_rate(allowed, options, ports), seed=request.seed)
    plan.shard(*request.shard)
    return Prepared(request, allowed, plan, options, settings.vantage, None, left_out, settings.home, policy=policy)


def prepare_resume(
    store: Store, run_text: str, request: ScanRequest, now: float, home: Path | None = None, *, policy: Policy | None
) -> Prepared:
    """Take up an earlier run where it stopped: its own plan, authorised again, with the limits of this command; `policy` as for
    a new scan.
    """
    if request.targets or request.ports or request.top or request.udp:
        raise UserError("a resumed scan keeps its targets and ports", where="--resume", hint="reconshield scan --resume latest")
    run = find_run(store, run_text)
    if is_import(run):
        hint = "scan its targets, or import the whole file"
        raise UserError("an import cannot be resumed, for nothing was measured here", where=run.id, hint=hint)
    if run.state == "complete":
        raise UserError("this run is complete", where=run.id, hint=f"reconshield report {run.id}")
    refuse_owned(run)
    before = run.options
    request = replace(
        request,
        targets=tuple(before["targets"]),
        exclude=tuple(before["exclude"]),
        level=run.level,
        shard=(before["shard"][0], before["shard"][1]),
        engine=run.engine if request.engine == "auto" else request.engine,
    )
    plan = Plan.from_json(run.plan)
    targets = authorise(store, request, now)
    if beyond := plan.targets - targets.addresses:
        raise Refused(
            f"the grants no longer cover {beyond.text(3)}. Nothing was sent.", hint="reconshield grant list, or scan anew"
        )
    options = choose_options(request, targets)
    return Prepared(request, targets, plan, options, run.vantage, run, home=home, policy=policy)


def authorise(store: Store, request: ScanRequest, now: float) -> Targets:
    """The targets of a request, as far as the grants go; logged."""
    if not request.targets:
        raise UserError("a scan needs a target", where="scan", hint="reconshield scan localhost")
    return authorise_scan(
        store,
        request.targets,
        request.exclude,
        request.level,
        now,
        authorized_by=request.authorized_by,
        for_seconds=request.authorized_for,
        exempt_own=request.exempt_own,
        options=repeated_options(request),
        actor=request.actor,
    )


def run_scan(store: Store, prepared: Prepared, clock: Callable[[], float], stop: threading.Event) -> Iterator[Event]:
    """Measure, identify, judge and save. Ends early, with everything saved, once `stop` is set."""
    begin = clock()
    run = take_run(store, prepared, begin)
    yield Started(head_of(run, prepared.plan))
    last = Progress(0, 0, 0.0, 0, None, None)
    slowed: dict[str, None] = {}
    rates = RateHistory(begin)
    ready = Readiness(prepared.targets.level)
    for event in measure_blocks(store, prepared, run.id, stop):
        if isinstance(event, Progress):
            last = event
            if event.done:
                rates.add(clock(), event.rate)
            slowed |= {event.slowed: None} if event.slowed else {}
        ready.prepare(found_open=last.open > 0)
        if not isinstance(event, Progress):
            yield event
    crowds = [] if stop.is_set() else find_crowds(store, run, prepared.plan)
    if not stop.is_set():
        yield from identify_open(store, prepared, run, crowds, clock, stop)
    doubts = weigh(store, run, crowds)
    summary = summarise(
        store,
        run,
        prepared.blocks,
        clock() - begin,
        last.retransmitted,
        last.loss,
        tuple(slowed),
        doubts,
        recall=estimate_recall(last.answered, last.lost, prepared.options.retries),
        rates=rates.sampled(),
    )
    from reconshield.jobs.changes import end_run
    from reconshield.jobs.confirm import ask_again

    heard = ask_again(store, run, prepared.plan, prepared.targets, prepared.options, stop)
    end_run(store, run, summary, clock(), policy=prepared.policy, unconfirmed=heard)
    yield Finished(summary)


def take_run(store: Store, prepared: Prepared, now: float) -> Run:
    """The run of a prepared scan, this process's from now on: a new one, or the one that is taken up again."""
    if prepared.run is None:
        return begin_run(store, prepared, now, owner=this_owner())
    claim_run(store, prepared.run.id, this_owner())
    reopen_run(store, prepared.run.id)
    return prepared.run


def begin_run(store: Store, prepared: Prepared, now: float, *, owner: Json | None = None) -> Run:
    """Keep what will be measured, and by which process, before the first packet: a run that is killed is resumed from here."""
    return create_run(
        store,
        plan=prepared.plan.to_json(),
        engine=prepared.options.engine,
        vantage=prepared.vantage,
        grants=prepared.targets.grants,
        level=prepared.targets.level,
        now=now,
        options={**kept_options(prepared), **({"owner": owner} if owner else {})},
    )


def kept_options(prepared: Prepared) -> Mapping[str, Any]:
    """What a report and a resumed scan need of the request, beside the plan."""
    request = prepared.request
    return {
        "targets": list(request.targets),
        "exclude": list(request.exclude),
        "shard": list(request.shard),
        "dropped": [*(f"{d.addresses.text()}: {d.why}" for d in prepared.targets.dropped), *prepared.left_out],
        **({"by": request.actor} if request.actor else {}),
    }


def measure_blocks(
    store: Store, prepared: Prepared, run_id: str, stop: threading.Event
) -> Iterator[Measuring | Measured | Progress]:
    """Send, save each finished block, and pass on how far it is; the engine's own progress comes through for the summary."""
    done = blocks_done(store, run_id)
    todo = [block for block in prepared.blocks if block not in done]
    before = sum(prepared.plan.block_length(block) for block in prepared.blocks if block in done)
    total = before + sum(prepared.plan.block_length(block) for block in todo)
    for step in measure(prepared.plan, prepared.targets, todo, prepared.options, stop):
        if isinstance(step, BlockDone):
            save_block(store, run_id, step.number, step.batch[step.batch["reason"] != Reason.NO_RESPONSE])
            yield Measured(step.batch)
        else:
            yield step
            yield Measuring(before + step.done, total, step.open, step.rate, step.slowed, step.loss)


def identify_open(
    store: Store, prepared: Prepared, run: Run, crowds: list[Crowd], clock: Callable[[], float], stop: threading.Event
) -> Iterator[Measured | Identifying | Identified]:
    """Find out what answers on each open endpoint that has no service yet; below level 3 the port alone gives a guess.

    From level 3 on the silent UDP endpoints of a small request are asked too, and what answers is open. Endpoints of doubtful
    hosts are connected to once more first, and what is not believed is kept as such. What it takes to identify and to judge
    is loaded here, because a scan that finds nothing open is over by then.
    """
    waiting = endpoints_without_service(store, run.id)
    silent = find_silent(store, run.id, prepared.plan) if prepared.targets.level >= IDENTIFY_LEVEL else []
    if not waiting and not silent:
        return
    from reconshield.jobs.judge import Judge

    judge = Judge(run.vantage, run.started)
    aside = set_aside(store, run, crowds, waiting, look_again(prepared.targets, prepared.options, stop), clock())
    if prepared.targets.level < IDENTIFY_LEVEL:
        yield from guess_open(store, run, aside, judge, prepared.targets.names, clock)
        return
    waiting, still = [*aside.waiting, *silent], frozenset(silent)
    yield Identifying(0, len(waiting))
    for done, service in enumerate(services_of(prepared, waiting, judge, stop), 1):
        if service.endpoint in still:
            seen = open_late(store, run.id, prepared.plan, service)
            if seen is None:
                continue
            yield Measured(seen)
        if service.endpoint in aside.must_prove and service.confidence is Confidence.GUESS:
            save_service(store, run.id, replace(service, note=UNPROVEN), ())
            continue
        rated, findings = judge.find(service)
        save_service(store, run.id, service, findings)
        yield Identified(rated, findings, held_of(service.endpoint))
        yield Identifying(done, len(waiting))


def guess_open(
    store: Store, run: Run, aside: Aside, judge: Judge, names: Mapping[str, str], clock: Callable[[], float]
) -> Iterator[Identifying | Identified]:
    """Say what each port usually has. A guess costs no packet and can be made again, so many are saved at once."""
    total = len(aside.waiting)
    yield Identifying(0, total)
    for first in range(0, total, GUESSES):
        guesses = [judge.guess(place, clock(), names.get(place.ip)) for place in aside.waiting[first : first + GUESSES]]
        believed = [service for service in guesses if service.endpoint not in aside.must_prove]
        unproven = [replace(service, note=UNPROVEN) for service in guesses if service.endpoint in aside.must_prove]
        add_services(store, run.id, [*believed, *unproven])
        for service in believed:
            yield Identified(judge.rate(service), (), held_of(service.endpoint))
        yield Identifying(min(first + GUESSES, total), total)


def services_of(prepared: Prepared, waiting: list[Endpoint], judge: Judge, stop: threading.Event) -> Iterator[Service]:
    from reconshield.identify.drive import identify_all
    from reconshield.identify.limits import Limits

    found = identify_all(prepared.targets, waiting, limits=Limits(held=why_held, touch_ot=prepared.request.touch_ot), stop=stop)
    return (judge.guess_held(service) for service in widened(found, prepared.home))


def widened(services: Iterator[Service], home: Path | None) -> Iterator[Service]:
    """Services with what the user's own fingerprints add; as they are where none were imported."""
    from reconshield.jobs.fingerprints import load_all

    prints = load_all(home) if home is not None else None
    if prints is None:
        return services
    from reconshield.identify.fingerprints import widen

    return (widen(service, prints) for service in services)


def why_held(endpoint: Endpoint) -> str | None:
    """Why nothing may be sent to an open endpoint beyond the connect (print, PLC and serial ports); None if it may."""
    held = held_back(endpoint.port, endpoint.transport)
    return f"{held.kind} port: {held.reason}" if held else None


def listed_observations(batch: Batch, names: Mapping[str, str], *, all_states: bool) -> Iterator[Observation]:
    """The observations of a batch that a report lists, each with the name that its target was given by."""
    chosen = batch if all_states else batch[batch["state"] == State.OPEN]
    for seen in records(chosen):
        name = names.get(seen.endpoint.ip)
        yield replace(seen, name=name) if name else seen
