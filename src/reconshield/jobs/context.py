"""What the risk of an endpoint owes to where and when it is: expected by the policy, newly opened, inside an enclave.

Computed after the inventory, from the policy (where there is one) and from when endpoints opened; each point is listed with its
sentence, as all others are. Nothing here changes what was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from reconshield.addresses import text_of
from reconshield.knowledge.risk import context_point
from reconshield.model import Endpoint, Factor, Service, Transport
from reconshield.report.result import RatedService, Standing
from reconshield.store.db import Store
from reconshield.store.exposures import Exposure, open_at
from reconshield.store.runs import Run
from reconshield.text import local_time

if TYPE_CHECKING:
    from reconshield.jobs.mass_rating import Alike
    from reconshield.policy import Policy
    from reconshield.policy.judgement import Judgement
    from reconshield.policy.verdict import Verdict

NEW_SECONDS = 7 * 86_400.0
"""How long an endpoint counts as newly opened."""

Opened = tuple[float | None, float | None]
"""Last seen not open, first seen open."""


@dataclass(frozen=True)
class Context:
    """What is known around the endpoints of one run, seen from its vantage as of `now`."""

    vantage: str
    now: float
    policy: Policy | None = None
    judgement: Judgement | None = None
    verdicts: Mapping[Endpoint, Verdict] = field(default_factory=dict)
    exposures: Mapping[Endpoint, Exposure] = field(default_factory=dict)

    @cached_property
    def alike(self) -> Alike:
        """Loaded when something is to be rated: the checks and the catalogue take their time."""
        from reconshield.jobs.judge import Judge
        from reconshield.jobs.mass_rating import Alike

        return Alike(Judge(self.vantage, self.now))

    def rate(self, service: Service, opened: Opened | None = None) -> RatedService:
        """A service with its risk here and now. `opened` is for what this very run found to have opened."""
        return self.alike.rate(service, tuple(self.points(service.endpoint, opened)))

    def points(self, endpoint: Endpoint, opened: Opened | None = None) -> Iterator[Factor]:
        verdict = self.verdicts.get(endpoint)
        expected = verdict.expectation if verdict else None
        if expected:
            yield context_point("allow-listed", owner=expected.owner, expires=expected.expires)
            return
        shut, seen = opened or self.opened(endpoint) or (None, None)
        if shut is not None and seen is not None and self.now - seen < NEW_SECONDS:
            yield context_point("newly-opened", closed=local_time(shut), opened=local_time(seen))
        zone = self.policy.zone_of(endpoint.ip) if self.policy else None
        if zone and zone.secure:
            yield context_point("secure-enclave", zone=zone.name)

    def opened(self, endpoint: Endpoint) -> Opened | None:
        exposure = self.exposures.get(endpoint)
        return (exposure.shut_before, exposure.opened) if exposure else None

    def standing(self, endpoint: Endpoint) -> Standing:
        """What the policy says of an open endpoint, and since when it is open."""
        verdict, exposure = self.verdicts.get(endpoint), self.exposures.get(endpoint)
        since = exposure.opened if exposure else None
        if self.policy is None:
            return Standing(since=since)
        assets = tuple(asset.name for asset in self.policy.assets_of(endpoint.ip))
        zone, owner = self.policy.zone_name(endpoint.ip), self.policy.owner_of(endpoint.ip)
        return Standing(verdict.kind if verdict else None, since, zone, assets, owner)


def judge_run(store: Store, run: Run, policy: Policy, at: float) -> Judgement:
    """The policy's word on a run. Loaded here, because most scans are made without one."""
    from reconshield.jobs.measured import load_measured
    from reconshield.policy.judgement import judge

    return judge(policy, load_measured(store, run), at)


def load_context(
    store: Store, run: Run, policy: Policy | None, judged_at: float | None = None, *, new_only: bool = False
) -> Context:
    """The context of a stored run as of its end; `judged_at` is when the policy is asked what has expired (also then).

    `new_only`: only risks are wanted, so of all that is open only what has newly opened is looked up.
    """
    now = run.finished or run.started
    judgement = judge_run(store, run, policy, judged_at or now) if policy else None
    verdicts: dict[Endpoint, Verdict] = {}
    for verdict in judgement.verdicts() if judgement else ():
        if verdict.endpoint and verdict.finding is None and verdict.kind != "missing" and verdict.seen:
            verdicts.setdefault(verdict.endpoint, verdict)
    since = now - NEW_SECONDS if new_only else None
    exposures = {exposure.endpoint: exposure for exposure in open_at(store, run.vantage, now, since)}
    return Context(run.vantage, now, policy, judgement, verdicts, exposures)


def open_context(store: Store, run: Run, policy: Policy | None, *, new_only: bool = False) -> Context:
    """The same for the open endpoints of a run alone, at a fraction of the cost: their verdicts have no words, and no services
    or findings are read. With `new_only`, where only risks are wanted, it has just what changes one.
    """
    now = run.finished or run.started
    verdicts = open_verdicts(store, run, policy, now, expected_only=new_only) if policy else {}
    since = now - NEW_SECONDS if new_only else None
    exposures = {exposure.endpoint: exposure for exposure in open_at(store, run.vantage, now, since)}
    return Context(run.vantage, now, policy, None, verdicts, exposures)


def open_verdicts(store: Store, run: Run, policy: Policy, at: float, *, expected_only: bool) -> dict[Endpoint, Verdict]:
    """What the policy says of each open endpoint: all that are judged alike share one verdict, without words."""
    from reconshield.jobs.measured import load_open
    from reconshield.policy.judgement import judge
    from reconshield.policy.verdict import KINDS, Verdict

    found = judge(policy, load_open(store, run), at, open_only=True)
    columns = [found.rows[name].tolist() for name in ("hi", "lo", "port", "transport")]
    shared: dict[tuple[int, int], Verdict] = {}
    verdicts = {}
    for hi, lo, port, code, kind, entry in zip(*columns, found.kinds.tolist(), found.entries.tolist(), strict=True):
        if expected_only and KINDS[kind] != "expected":
            continue
        verdict = shared.get((kind, entry))
        if verdict is None:
            verdict = shared[kind, entry] = Verdict(KINDS[kind], "", entry=found.named[entry] if entry >= 0 else None)
        verdicts[Endpoint(text_of(hi << 64 | lo), port, Transport(code).label)] = verdict
    return verdicts
