"""A scan that a schedule calls for, cut into parts that can be done again: by any process, after any kill.

    call_due    schedules x time      -> occurrences, written down before anything is started
    may_start   windows, blackouts, announcements -> whether an occurrence may start now
    begin       an occurrence         -> a run (or a refusal), in one transaction; asked again, it gives the same run
    measure     a share of its blocks -> saved block by block; what is saved is not measured again
    identify    its open endpoints    -> saved endpoint by endpoint
    close       what was measured     -> the end of the run, and of the occurrence

The order is the caller's: `jobs.durable` runs it as a workflow on many processes, a test as five calls. Time is an argument.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconshield.addresses import AddressSet
from reconshield.errors import Refused, UserError
from reconshield.jobs.changes import Found, end_run
from reconshield.jobs.confirm import ask_again
from reconshield.jobs.doubt import find_crowds, weigh
from reconshield.jobs.results import summarise
from reconshield.jobs.scan import Prepared, begin_run, identify_open, measure_blocks, prepare_resume, prepare_scan
from reconshield.jobs.scan_request import ScanRequest
from reconshield.model import Endpoint
from reconshield.policy import Asset, Policy, Schedule, Zone
from reconshield.report.result import Doubt, Summary
from reconshield.scan.engine import Progress
from reconshield.scan.pacing import estimate_recall
from reconshield.scan.plan import Plan
from reconshield.schedule import Cron, Opening, open_until
from reconshield.settings import Settings
from reconshield.store import occurrences as kept
from reconshield.store.db import Store
from reconshield.store.occurrences import Occurrence
from reconshield.store.runs import find_run

Clock = Callable[[], float]
ATTEMPTS = 5
"""Starts of one occurrence that ended before it was whole, without a window or blackout being the reason."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that may be measured now, or why not. `refused` is set for want of a grant, `failed` for any other mistake."""

    run: str | None = None
    blocks: int = 0
    refused: str | None = None
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What a finished part says for the summary; `problem` when it could not be done (a grant was revoked meanwhile).

    `answered` and `lost` are attempts to endpoints that answer, `retries` how often a silent one was asked again. `doubts` and
    `heard` come from identification: hosts that are not believed, and endpoints that answered when asked again.
    """

    retransmitted: int = 0
    loss: float | None = None
    slowed: tuple[str, ...] = ()
    problem: str | None = None
    doubts: tuple[Doubt, ...] = ()
    heard: tuple[Endpoint, ...] = ()
    answered: int = 0
    lost: int = 0
    retries: int = 0

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Part:
        """A part from its plain values (`dataclasses.asdict`), as a workflow keeps it."""
        doubts = tuple(Doubt(**doubt) for doubt in value["doubts"])
        heard = tuple(Endpoint(**endpoint) for endpoint in value["heard"])
        return cls(**{**value, "slowed": tuple(value["slowed"]), "doubts": doubts, "heard": heard})


def call_due(store: Store, policy: Policy, now: float) -> list[Occurrence]:
    """Write down every slot that is due. Of a new schedule `every` is due at once, `cron` at its next time.

    Gives the occurrences that are over without having happened, because a newer slot took their place.
    """
    known, missed = kept.first_known(store), []
    for schedule in policy.schedules:
        slot = schedule.rhythm.latest(now) if schedule.rhythm else None
        if slot is None or not kept.add_occurrence(store, schedule.name, slot, request_of(policy, schedule), now):
            continue
        if schedule.name not in known and isinstance(schedule.rhythm, Cron):
            note = "the schedule is new; this time of it had passed"
            kept.change_occurrence(store, schedule.name, slot, state="missed", finished_at=now, note=note)
            continue
        for older in kept.unfinished(store):
            if older.schedule == schedule.name and older.slot < slot and older.state == "waiting":
                note = f"not finished before the next one was due{f': {older.note}' if older.note else ''}"
                kept.change_occurrence(store, older.schedule, older.slot, state="missed", finished_at=now, note=note)
                missed.append(replace(older, state="missed", note=note))
    return missed


def request_of(policy: Policy, schedule: Schedule) -> dict[str, Any]:
    """All that a worker needs to measure: addresses, not the names of a policy that it may not have."""
    hosts = [place.text for place in schedule.places if place.kind == "host"]
    return {
        "targets": [*schedule.area.cidrs(), *hosts],
        "exclude": [cidr for text in schedule.exclude for cidr in meaning_in(policy, text)] if hosts else [],
        "ports": schedule.ports,
        "level": schedule.level,
        "rate": schedule.rate,
        "vantage": schedule.vantage,
    }


def meaning_in(policy: Policy, text: str) -> list[str]:
    """The addresses of a zone or an asset of the policy; any other text as it is."""
    named: tuple[Zone | Asset, ...] = (*policy.zones, *policy.assets)
    areas = [entry.area for entry in named if entry.name == text]
    return list(areas[0].cidrs()) if areas else [text]


def may_start(store: Store, policy: Policy, occurrence: Occurrence, now: float) -> tuple[Opening, AddressSet]:
    """Whether an occurrence may start now and until when it may run, and the addresses that a blackout takes out of it.

    A blackout over a part of a new scan leaves that part out; one over any part of a scan that has begun makes it wait, for its
    plan stays as it was.
    """
    schedule = find_schedule(policy, occurrence)
    area = Plan.from_json(find_run(store, occurrence.run).plan).targets if occurrence.run else schedule.area
    near = [blackout for blackout in policy.blackouts if blackout.time is not None and blackout.area & area]
    dark = AddressSet()
    if not occurrence.run:
        for blackout in near:
            if blackout.time and not open_until([], [blackout.time], now).may_run:
                dark |= blackout.area & area
    if not dark.covers(area):
        near = [blackout for blackout in near if not dark.covers(blackout.area & area)]
    return open_until(schedule.windows, [b.time for b in near if b.time], now), dark


def find_schedule(policy: Policy, occurrence: Occurrence) -> Schedule:
    found = next((schedule for schedule in policy.schedules if schedule.name == occurrence.schedule), None)
    if found is None:
        raise UserError("the policy has no schedule of that name any more", where=occurrence.schedule)
    return found


def begin(store: Store, settings: Settings, occurrence: Occurrence, dark: AddressSet, now: float) -> Begun:
    """The run of an occurrence: the one it has, or a new one. Raises nothing that a user could have caused."""
    try:
        if occurrence.run:
            prepared = prepare_resume(store, occurrence.run, ScanRequest(()), now, settings.home, policy=None)
            return Begun(occurrence.run, prepared.plan.blocks)
        prepared = prepare_scan(store, settings, scan_request(occurrence.request, dark), now, policy=None)
        with store.together() as one:
            run = begin_run(one, prepared, now)
            kept.change_occurrence(one, occurrence.schedule, occurrence.slot, run=run.id)
        return Begun(run.id, prepared.plan.blocks)
    except Refused as error:
        return Begun(refused=error.message)
    except UserError as error:
        return Begun(failed=f"{error.message} ({error.where})" if error.where else error.message)


def scan_request(request: Mapping[str, Any], dark: AddressSet) -> ScanRequest:
    return ScanRequest(
        targets=tuple(request["targets"]),
        exclude=(*request["exclude"], *dark.cidrs()),
        ports=request["ports"],
        level=request["level"],
        rate=request["rate"],
    )


def measure(
    store: Store, settings: Settings, run_id: str, share: tuple[int, int], rate: float | None, until: float | None, clock: Clock
) -> Part:
    """Measure the blocks of one share that are not saved yet, at that share of the pace, until the time is up."""
    stop, last = threading.Event(), Progress(0, 0, 0.0, 0, None, None)
    slowed: dict[str, None] = {}
    try:
        whole = prepare_resume(store, run_id, ScanRequest((), rate=rate), clock(), settings.home, policy=None)
        prepared = take_share(whole, share)
    except UserError as error:
        return Part(problem=error.message)
    for event in measure_blocks(store, prepared, run_id, stop):
        if isinstance(event, Progress):
            last = event
            slowed |= {event.slowed: None} if event.slowed else {}
        if until is not None and clock() >= until:
            stop.set()
    return Part(
        last.retransmitted,
        last.loss,
        tuple(slowed),
        answered=last.answered,
        lost=last.lost,
        retries=prepared.options.retries,
    )


def take_share(prepared: Prepared, share: tuple[int, int]) -> Prepared:
    """The part of a scan that one of several processes does: its blocks, and its part of what may be sent in a second."""
    options, parts = prepared.options, share[1]
    limits = {name: value / parts for name in ("rate", "per_host", "per_net") if (value := getattr(options, name)) is not None}
    slower = replace(options, **limits)
    return replace(prepared, request=replace(prepared.request, shard=share), options=slower)


def identify(store: Store, settings: Settings, run_id: str, until: float | None, clock: Clock) -> Part:
    """Find out what answers on the open endpoints that have no service yet, and ask again where something fell silent."""
    stop = threading.Event()
    try:
        prepared = prepare_resume(store, run_id, ScanRequest(()), clock(), settings.home, policy=None)
    except UserError as error:
        return Part(problem=error.message)
    run = find_run(store, run_id)
    crowds = find_crowds(store, run, prepared.plan)
    for _ in identify_open(store, prepared, run, crowds, clock, stop):
        if until is not None and clock() >= until:
            stop.set()
    heard = ask_again(store, run, prepared.plan, prepared.targets, prepared.options, stop)
    return Part(doubts=weigh(store, run, crowds), heard=tuple(sorted(heard)))


def close(store: Store, run_id: str, policy: Policy, parts: Sequence[Part], now: float) -> tuple[Found, Summary]:
    """End the run: its counts and what changed. Call it with a joined store, together with what follows from it."""
    run = find_run(store, run_id)
    losses = [part.loss for part in parts if part.loss is not None]
    summary = summarise(
        store,
        run,
        range(Plan.from_json(run.plan).blocks),
        max(now - run.started, 0.0),
        sum(part.retransmitted for part in parts),
        max(losses, default=None),
        tuple(dict.fromkeys(name for part in parts for name in part.slowed)),
        tuple(doubt for part in parts for doubt in part.doubts),
        recall=estimate_recall(
            sum(part.answered for part in parts),
            sum(part.lost for part in parts),
            max((part.retries for part in parts), default=0),
        ),
    )
    heard = {endpoint for part in parts for endpoint in part.heard}
    return end_run(store, run, summary, now, policy=policy, unconfirmed=heard), summary


def wait_again(store: Store, occurrence: Occurrence, opening: Opening, summary: Summary) -> bool:
    """Whether a scan that is not whole goes on later: when its window opens again, or at once if it was merely interrupted."""
    if summary.state == "complete":
        return False
    if opening.may_run and occurrence.attempts >= ATTEMPTS:
        return False
    note = f"{summary.measured} of {summary.probes} endpoints measured; {opening.why or 'goes on'}"
    kept.change_occurrence(store, occurrence.schedule, occurrence.slot, state="waiting", note=note)
    return True
