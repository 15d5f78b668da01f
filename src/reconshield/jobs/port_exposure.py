"""Is this port open on what is mine, who says so, and is it as it should be? The panel "Your exposure" of a port's page.

    grants             -> the addresses that count
    runs that ended    -> on how many of them the port was measured, from where and when (`run_area`)
    exposures          -> what is open, judged by the policy; the worst few with their services, risks and findings
    both               -> the heading: the worst that is true; and a month's timeline of each endpoint

Nothing of other ports is read, and nothing is rated that is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from reconshield.addresses import AddressSet
from reconshield.addresses.sets import V4_FIRST, V4_LAST
from reconshield.jobs.context import Context
from reconshield.jobs.grants import list_grants
from reconshield.jobs.lookback import SERVICE_RUNS
from reconshield.jobs.port_history import draw_all
from reconshield.jobs.port_timeline import MONTH, Timeline
from reconshield.jobs.run_area import Cover, count_closed, covers_of, measured_area
from reconshield.model import Confidence, Endpoint, Finding, Reason, Risk, Service, State, Transport
from reconshield.policy import Policy
from reconshield.policy.judgement import Judgement, judge
from reconshield.policy.matching import Spoken
from reconshield.policy.verdict import KINDS, Measured, Verdict
from reconshield.scope import PORT_SCAN, granted_area
from reconshield.store.by_port import (
    Answer,
    Interval,
    Place,
    answers_on,
    ended_runs,
    exposures_on,
    findings_on,
    services_on,
)
from reconshield.store.db import Store
from reconshield.store.observations import STORED

Kind = Literal["forbidden", "unexpected", "stale", "partly-measured", "expected", "not-exposed", "not-measured", "no-grants"]
DAY = 86_400.0
SHOWN = 12
RUNS = 1000
"""So many of the newest runs are asked."""
WIDE = 1 << 16
"""IPv6 ranges with more addresses than this are not counted as addresses to be measured."""
RANK: dict[str | None, int] = {"forbidden": 0, "unexpected": 1, "expired": 1, "not-measured": 2, None: 2, "expected": 3}


@dataclass(frozen=True, slots=True)
class PortRow:
    """An endpoint that is open on the port. It opened between `shut_before` (None: nobody had looked) and `opened`; `seen` is
    when it was last found open, `run` the newest that knows what speaks there. `verdict` is None without a policy, `service`
    and `risk` where nobody spoke to it.
    """

    endpoint: Endpoint
    vantage: str
    shut_before: float | None
    opened: float
    seen: float
    zone: str | None = None
    assets: tuple[str, ...] = ()
    owner: str | None = None
    verdict: Verdict | None = None
    service: Service | None = None
    risk: Risk | None = None
    findings: tuple[Finding, ...] = ()
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What one run says of the port: on how many addresses, of those no newer run measured, and what was found there."""

    run: str
    vantage: str
    transport: str
    at: float
    addresses: int
    closed: int


@dataclass(frozen=True, slots=True)
class PortExposure:
    """What is known of a port on the addresses that grants cover now. Counts are addresses, on `transport`; times Unix seconds.

    `filtered` answered with nothing or an error. `fresh` is the freshness target in seconds, `fresh_from` the schedule that
    says so (None: the default of a day), `stale` how many addresses were measured before that. `rows` are the worst of `open`.
    """

    port: int
    transport: str
    kind: Kind
    grants: tuple[str, ...]
    total: int
    measured: int
    open: int
    closed: int
    filtered: int
    stale: int
    fresh: float
    fresh_from: str | None
    looks: tuple[Look, ...]
    rows: tuple[PortRow, ...]
    timelines: tuple[Timeline, ...]
    unmeasured: str
    """The addresses that nobody measured, in short."""

    @property
    def newest(self) -> float | None:
        return max((look.at for look in self.looks), default=None)

    @property
    def oldest(self) -> float | None:
        return min((look.at for look in self.looks), default=None)

    @property
    def vantages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(look.vantage for look in self.looks))


def port_exposure(
    store: Store, policy: Policy | None, port: int, transport: str | None, now: float, *, limit: int = SHOWN
) -> PortExposure:
    """What is known of a port here. Without a transport both count, and the numbers are those of the one measured more."""
    transports = (transport,) if transport else ("tcp", "udp")
    known = list_grants(store)
    with store.snapshot() as one:
        grants = [grant.id for grant in known if grant.valid_at(now) and grant.level >= PORT_SCAN]
        scope = countable(granted_area(known, now))
        covers = covers_of(one, ended_runs(one, RUNS))
        looked = [(name, *look_at(one, covers, scope, port, name)) for name in transports]
        counted, looks, missing = max(looked, key=lambda found: (scope - found[2]).count)
        intervals = exposures_on(one, port, transports, now - MONTH)
        found = stand(
            one, policy, covers, [interval for interval in intervals if interval.closed is None], port, transports, now
        )
        rows = fill_rows(one, policy, found[:limit], port, now)
        fresh, fresh_from = target_of(policy, scope, counted, port)
        timelines = draw_all(one, covers, intervals, [each.key for each in found[:limit]], port, fresh, now, limit)
    measured = sum(look.addresses for look in looks)
    code = Transport[counted.upper()].value
    here = {ip for ip, transport in (each.key for each in found) if transport == code and int.from_bytes(ip, "big") in scope}
    closed = sum(look.closed for look in looks)
    stale = sum(look.addresses for look in looks if look.at < now - fresh)
    return PortExposure(
        port=port,
        transport=counted,
        kind=head_of(bool(grants), [each.rank for each in found], measured, scope.count, stale),
        grants=tuple(grants),
        total=scope.count,
        measured=measured,
        open=len(found),
        closed=closed,
        filtered=max(0, measured - closed - len(here)),
        stale=stale,
        fresh=fresh,
        fresh_from=fresh_from,
        looks=tuple(looks),
        rows=tuple(rows),
        timelines=tuple(timelines),
        unmeasured=missing.text() if missing else "",
    )


def countable(area: AddressSet) -> AddressSet:
    """Addresses that can be measured one by one: of IPv6, no range that is too large to be listed."""
    kept = [(a, b) for a, b in area.ranges if (a >= V4_FIRST and b <= V4_LAST) or b - a < WIDE]
    return AddressSet(tuple(kept))


def look_at(
    store: Store, covers: Sequence[Cover], scope: AddressSet, port: int, transport: str
) -> tuple[list[Look], AddressSet]:
    """For each address the newest run that measured the port there, and the addresses that none did."""
    looks: list[Look] = []
    for cover in covers:
        if not scope:
            break
        here = measured_area(store, cover, port, transport)
        here = here & scope if here else here
        if not here:
            continue
        closed = count_closed(store, cover, port, transport, here)
        looks.append(Look(cover.run.id, cover.run.vantage, transport, cover.run.finished, here.count, closed))
        scope = scope - here
    return looks, scope


@dataclass(frozen=True, slots=True)
class Standing:
    """An open endpoint before anything is said of it but how bad its verdict is. `at` is its place in the judgement."""

    rank: int
    interval: Interval
    key: Place
    answer: Answer | None
    run: str | None
    judgement: Judgement | None
    at: int

    @property
    def order(self) -> tuple[int, float, bytes, int, str]:
        return self.rank, -self.interval.opened, *self.key, self.interval.vantage


def stand(
    store: Store,
    policy: Policy | None,
    covers: Sequence[Cover],
    intervals: Sequence[Interval],
    port: int,
    transports: Sequence[str],
    now: float,
) -> list[Standing]:
    """What is open, with when it was last seen so, and how the policy takes it; the worst first, the newest of these first."""
    found: list[Standing] = []
    for vantage in dict.fromkeys(interval.vantage for interval in intervals):
        here = {interval.place: interval for interval in intervals if interval.vantage == vantage}
        seen = last_answers(store, [c for c in covers if c.run.vantage == vantage], set(here), port, transports)
        judgement = judge_open(policy, here, seen, port, vantage, now) if policy else None
        ranks = [RANK[KINDS[code]] for code in judgement.kinds.tolist()] if judgement else [RANK[None]] * len(here)
        for at, (rank, (key, interval)) in enumerate(zip(ranks, here.items(), strict=True)):
            answer, run = seen.get(key, (None, None))
            found.append(Standing(rank, interval, key, answer, run, judgement, at))
    return sorted(found, key=lambda each: each.order)


def last_answers(
    store: Store, covers: Sequence[Cover], wanted: set[Place], port: int, transports: Sequence[str]
) -> dict[Place, tuple[Answer, str]]:
    """When each of these endpoints was seen last, and the newest run that knows what speaks there (else that saw it).

    Of what was seen but not asked no more than `SERVICE_RUNS` runs are.
    """
    found: dict[Place, tuple[Answer, str]] = {}
    left, asked = set(wanted), 0
    for cover in covers:
        if asked == SERVICE_RUNS:
            left -= found.keys()
        if not left:
            break
        if not (any((name, port) in cover.ports for name in transports) or not cover.targets):
            continue
        asked += 1
        for key, answer in answers_on(store, cover.run, port, transports).items():
            if key not in left:
                continue
            if key not in found or answer.service:
                at = found[key][0].at if key in found else answer.at
                found[key] = answer._replace(at=at), cover.run.id
            if answer.service:
                left.discard(key)
    return found


def judge_open(
    policy: Policy,
    here: Mapping[Place, Interval],
    seen: Mapping[Place, tuple[Answer, str]],
    port: int,
    vantage: str,
    now: float,
) -> Judgement:
    """The policy's word on each open endpoint, in the order of `here`, which is that of addresses."""
    rows = np.zeros(len(here), STORED)
    packed = np.frombuffer(b"".join(ip for ip, _ in here), [("hi", ">u8"), ("lo", ">u8")])
    rows["hi"], rows["lo"], rows["state"], rows["port"] = packed["hi"], packed["lo"], State.OPEN, port
    rows["transport"] = [transport for _, transport in here]
    rows["reason"] = np.where(rows["transport"] == Transport.UDP, Reason.UDP_RESPONSE, Reason.SYN_ACK)
    rows["at"] = [seen[key][0].at if key in seen else interval.opened for key, interval in here.items()]
    answers = [seen[key][0] if key in seen else None for key in here]
    names = {"": 0}
    codes = [names.setdefault(answer.service or "", len(names)) if answer else 0 for answer in answers]
    guessed = [answer is not None and answer.confidence == Confidence.GUESS for answer in answers]
    spoken = Spoken(tuple(names), np.array(codes), np.array(guessed, bool))
    return judge(policy, Measured(rows, vantage, now, spoken=spoken), now, open_only=True)


def fill_rows(store: Store, policy: Policy | None, found: Sequence[Standing], port: int, now: float) -> list[PortRow]:
    """These endpoints as rows: services, risks, findings, and whose they are."""
    services: dict[tuple[str | None, Place], Service] = {}
    findings: dict[tuple[str | None, Place], list[Finding]] = {}
    for run in dict.fromkeys(each.run for each in found if each.run):
        mine = [each.key for each in found if each.run == run]
        services |= {(run, place): service for place, service in services_on(store, run, port, mine).items()}
        findings |= {(run, place): kept for place, kept in findings_on(store, run, port, mine).items()}
    rows = [
        fill_row(each, policy, services.get((each.run, each.key)), findings.get((each.run, each.key), []), port, now)
        for each in found
    ]
    return sorted(rows, key=lambda row: (rank_of(row), -(row.risk.score if row.risk else 0), row.endpoint, row.vantage))


def fill_row(
    found: Standing, policy: Policy | None, service: Service | None, findings: Sequence[Finding], port: int, now: float
) -> PortRow:
    interval = found.interval.on(port)
    place, number = interval.endpoint, int.from_bytes(found.key[0], "big")
    verdict = found.judgement.verdict_of(found.at, service) if found.judgement else None
    context = Context(interval.vantage, now, policy, None, {place: verdict} if verdict else {}, {place: interval})
    risk = context.rate(service).risk if service else None
    return PortRow(
        endpoint=place,
        vantage=interval.vantage,
        shut_before=interval.shut_before,
        opened=interval.opened,
        seen=found.answer.at if found.answer else interval.opened,
        zone=verdict.zone if verdict else None,
        assets=tuple(asset.name for asset in policy.assets_of(number)) if policy else (),
        owner=policy.owner_of(number) if policy else None,
        verdict=verdict,
        service=service,
        risk=risk,
        findings=tuple(replace(finding, risk=risk) for finding in findings),
        run=found.run,
    )


def rank_of(row: PortRow) -> int:
    return RANK[row.verdict.kind if row.verdict else None]


def target_of(policy: Policy | None, scope: AddressSet, transport: str, port: int) -> tuple[float, str | None]:
    """How old a measurement of the port may be: the strictest schedule that measures it here says so, else it is a day."""
    found = [
        (schedule.fresh_seconds, schedule.name)
        for schedule in (policy.schedules if policy else ())
        if schedule.fresh_seconds and (schedule.port_set is None or (transport, port) in schedule.port_set)
        if schedule.area & scope
    ]
    return min(found) if found else (DAY, None)


def head_of(granted: bool, ranks: Sequence[int], measured: int, total: int, stale: int) -> Kind:
    """The worst that is true. Without a policy nothing was declared, so what is open was not expected."""
    if any(rank < RANK["expected"] for rank in ranks):
        return "forbidden" if RANK["forbidden"] in ranks else "unexpected"
    if not granted and not ranks:
        return "no-grants"
    if stale:
        return "stale"
    if ranks:
        return "expected"
    if not measured:
        return "not-measured"
    return "partly-measured" if measured < total else "not-exposed"
