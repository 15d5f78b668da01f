"""`reconshield exposures` and `assets`: what is open now, whose it is, since when, and whether it is expected.

intervals that have not ended   -> endpoints by vantage
earlier runs                    -> when each was last measured, what spoke there last
policy                          -> zone, asset, owner, verdict; and so the risk
"""

from __future__ import annotations

from collections.abc import Iterator

from reconshield.addresses import AddressSet
from reconshield.inventory import endpoints_of
from reconshield.jobs.context import Context
from reconshield.jobs.coverage import plan_of
from reconshield.jobs.lookback import MOST_RUNS, is_usable, look_back, services_before
from reconshield.policy import Policy
from reconshield.policy.judgement import judge
from reconshield.policy.verdict import Measured
from reconshield.report.exposures import Asset, Exposure
from reconshield.store.db import Store
from reconshield.store.exposures import Exposure as Interval
from reconshield.store.exposures import list_exposures, open_before
from reconshield.store.runs import list_runs


def load_exposures(store: Store, policy: Policy | None, now: float) -> list[Exposure]:
    """Everything that is known to be open, by address, as each vantage sees it."""
    intervals: dict[str, list[Interval]] = {}
    for interval in list_exposures(store):
        intervals.setdefault(interval.vantage, []).append(interval)
    found = [
        exposure for vantage, open_here in intervals.items() for exposure in seen_from(store, vantage, open_here, policy, now)
    ]
    return sorted(found, key=lambda exposure: (exposure.endpoint, exposure.vantage))


def seen_from(store: Store, vantage: str, intervals: list[Interval], policy: Policy | None, now: float) -> Iterator[Exposure]:
    """The exposures of one vantage. What no kept run remembers was last seen when it opened."""
    rows = open_before(store, vantage)
    runs = [run for run in list_runs(store, MOST_RUNS, vantage) if is_usable(run)]
    past = look_back(store, runs, rows)
    seen = {endpoint: at for endpoint, at in zip(endpoints_of(rows), past.at.tolist(), strict=True) if at}
    services = services_before(store, runs, {interval.endpoint for interval in intervals})
    by_endpoint = {interval.endpoint: interval for interval in intervals}
    judgement = judge(policy, Measured(rows, vantage, now, services=services), now) if policy else None
    verdicts = {v.endpoint: v for v in judgement.verdicts() if v.endpoint and v.seen} if judgement else {}
    context = Context(vantage, now, policy, judgement, verdicts, by_endpoint)
    for interval in intervals:
        place, service = interval.endpoint, services.get(interval.endpoint)
        verdict = verdicts.get(place)
        yield Exposure(
            endpoint=place,
            vantage=vantage,
            shut_before=interval.shut_before,
            opened=interval.opened,
            seen=seen.get(place, interval.opened),
            zone=policy.zone_name(place.ip) if policy else "wan",
            assets=tuple(asset.name for asset in policy.assets_of(place.ip)) if policy else (),
            owner=policy.owner_of(place.ip) if policy else None,
            service=service,
            risk=context.rate(service).risk if service else None,
            verdict=verdict.kind if verdict else None,
        )


def load_assets(store: Store, policy: Policy | None, now: float) -> list[Asset]:
    """The declared assets, and every other address on which something is open."""
    exposures = load_exposures(store, policy, now)
    plans = [
        (plan.targets, run.finished or run.started) for run in list_runs(store) if is_usable(run) and (plan := plan_of(run))
    ]
    declared = list(declared_assets(policy, exposures, plans)) if policy else []
    named = {exposure.endpoint for asset in declared for exposure in asset.exposures}
    others: dict[str, list[Exposure]] = {}
    for exposure in exposures:
        if exposure.endpoint not in named:
            others.setdefault(exposure.endpoint.ip, []).append(exposure)
    return declared + [
        Asset(
            name=ip,
            addresses=(ip,),
            zone=here[0].zone,
            declared=False,
            exposures=tuple(here),
            owner=here[0].owner,
            criticality=policy.criticality_of(ip) if policy else "normal",
            measured=max(exposure.seen for exposure in here),
        )
        for ip, here in others.items()
    ]


def declared_assets(policy: Policy, exposures: list[Exposure], plans: list[tuple[AddressSet, float]]) -> Iterator[Asset]:
    for asset in policy.assets:
        here = tuple(exposure for exposure in exposures if asset.name in exposure.assets)
        planned = [at for targets, at in plans if targets & asset.area]
        first = asset.area.first
        yield Asset(
            name=asset.name,
            addresses=asset.addresses,
            zone=policy.zone_name(first),
            declared=True,
            exposures=here,
            owner=policy.owner_of(first),
            tags=asset.tags,
            criticality=policy.criticality_of(first),
            measured=max([*planned, *(exposure.seen for exposure in here)], default=None),
        )
