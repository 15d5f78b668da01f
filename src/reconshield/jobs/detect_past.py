"""What our own scans say beside traffic: which of it was theirs, which listeners are new, what is known of an endpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from reconshield import host
from reconshield.addresses import AddressSet, parse_address
from reconshield.detect.listeners import Place, find_listeners
from reconshield.detect.match import Matches
from reconshield.detect.scene import OwnScan, Setting
from reconshield.detection import Detection
from reconshield.jobs.coverage import is_import, plan_of
from reconshield.jobs.exposures import load_exposures
from reconshield.policy import Policy
from reconshield.report.exposures import Exposure
from reconshield.settings import Settings
from reconshield.store.db import Store, open_store, read_url
from reconshield.store.runs import list_runs
from reconshield.text import local_time

MOST_RUNS = 2000
LOOPBACK = AddressSet.of("127.0.0.1", "::1")
DAY = 86_400.0
NEW_DAYS = 7
LONGEST = DAY
"""A scan that was killed has no end; its traffic is looked for no longer than this."""


@dataclass(frozen=True, slots=True)
class Past:
    """Scans of ours, and what they know to be open."""

    scans: tuple[OwnScan, ...] = ()
    exposures: Mapping[tuple[str, int, str], Exposure] = field(default_factory=dict)

    def put_into(self, setting: Setting) -> Setting:
        """The setting with this past."""
        known = new_listeners(self.exposures.values(), setting.now)
        return replace(setting, scans=self.scans, listeners=partial(find_listeners, known=known))

    def join(self, matches: Matches) -> Matches:
        """Detections with what the latest scan knows of their endpoint."""
        return replace(matches, detections=tuple(self.tell(each) for each in matches.detections))

    def tell(self, detection: Detection) -> Detection:
        known = self.exposures.get((detection.dst, detection.port, detection.transport))
        return replace(detection, exposure=exposure_text(known)) if known else detection


def load_past(settings: Settings, policy: Policy | None, now: float) -> Past:
    """The past that the store of this place has; none where nothing was ever stored. Nothing is created."""
    place = read_url(settings.db)
    if place.get_backend_name() == "sqlite" and place.database and not Path(place.database).expanduser().exists():
        return Past()
    with open_store(settings.db, settings.workspace, create=False) as store:
        exposures = {(e.endpoint.ip, e.endpoint.port, e.endpoint.transport): e for e in load_exposures(store, policy, now)}
        return Past(tuple(own_scans(store, settings.vantage, policy, now)), exposures)


def own_scans(store: Store, vantage: str, policy: Policy | None, now: float) -> Iterator[OwnScan]:
    """The scans whose source is known: those of this machine, and of vantages that an [[asset]] of their name stands for."""
    here = host.own_addresses() | LOOPBACK
    assets = {asset.name: asset.area for asset in policy.assets} if policy else {}
    for run in list_runs(store, MOST_RUNS):
        plan = None if is_import(run) else plan_of(run)
        sources = assets.get(run.vantage, AddressSet()) | (here if run.vantage == vantage else AddressSet())
        if plan is None or not sources:
            continue
        end = run.finished if run.finished is not None else min(now, run.started + LONGEST)
        grants = f" (grant {', '.join(run.grants)})" if run.grants else ""
        yield OwnScan(f"{run.id}{grants}", sources, plan.targets, plan.ports, run.started, end)


def new_listeners(exposures: Iterable[Exposure], now: float) -> dict[Place, str]:
    """Endpoints that a scan found shut and a later one, in the last days, open, where the policy does not expect that."""
    found = {}
    for known in exposures:
        if known.shut_before is None or known.opened < now - NEW_DAYS * DAY or known.verdict == "expected":
            continue
        place = parse_address(known.endpoint.ip), known.endpoint.port, known.endpoint.transport
        since = f"scans saw it shut {local_time(known.shut_before)} and open {local_time(known.opened)}"
        found[place] = f"a new listener: {since}"
    return found


def exposure_text(known: Exposure) -> str:
    """`http nginx 1.24, owner web team, expected, open since 2026-11-20 09:12 UTC`."""
    service = known.service
    words = (
        " ".join(text for text in (service.service, service.product, service.version) if text) if service else "not identified"
    )
    owner = f"owner {known.owner}" if known.owner else "no owner"
    return f"{words}, {owner}, {known.verdict or 'no policy'}, open since {local_time(known.opened)}, from {known.vantage}"
