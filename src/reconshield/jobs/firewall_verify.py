"""Is it really closed? The endpoints that a run found open and that should not be are looked at again.

A rule in a file closes nothing; only a measurement after it does. `before` is the run that found them, the measurement after
it a new scan or the newest later run that covers them from the same vantage.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reconshield.jobs.coverage import find_observation
from reconshield.jobs.firewall_advise import Wish, intents_for_run
from reconshield.jobs.scan import Started, prepare_scan, run_scan
from reconshield.jobs.scan_request import ScanRequest
from reconshield.model import Endpoint, Observation
from reconshield.policy import Policy
from reconshield.settings import Settings
from reconshield.store.db import Store
from reconshield.store.runs import Run, find_run, list_runs


@dataclass(frozen=True, slots=True)
class Verified:
    """One endpoint: what it was, and the measurement after. `after` None: nobody has looked since."""

    endpoint: Endpoint
    service: str
    before: str
    after: Observation | None

    @property
    def closed(self) -> bool:
        return self.after is not None and self.after.state.label not in {"open", "open|filtered"}


def to_verify(store: Store, run_text: str, policy: Policy | None) -> tuple[Run, dict[Endpoint, str]]:
    """The endpoints of a run that should be closed, with what spoke there."""
    run = find_run(store, run_text)
    wanted: dict[Endpoint, str] = {}
    for host, intent, _ in intents_for_run(store, Wish(run=run.id), policy):
        wanted.update({Endpoint(host, port.port, port.transport): port.service for port in intent.ports})
    return run, wanted


def measure_again(
    store: Store,
    settings: Settings,
    wanted: dict[Endpoint, str],
    now: float,
    clock: Callable[[], float],
    by: str | None,
    *,
    policy: Policy | None,
) -> Run:
    """Scan just these endpoints now, as far as the grants go."""
    hosts = tuple(dict.fromkeys(endpoint.ip for endpoint in wanted))
    ports = ",".join(dict.fromkeys(f"{'U' if endpoint.transport == 'udp' else 'T'}:{endpoint.port}" for endpoint in wanted))
    request = ScanRequest(hosts, ports=ports, level=2, authorized_by=by)
    prepared = prepare_scan(store, settings, request, now, policy=policy)
    events = list(run_scan(store, prepared, clock, threading.Event()))
    [started] = [event for event in events if isinstance(event, Started)]
    return find_run(store, started.head.id)


def compare(store: Store, before: Run, wanted: dict[Endpoint, str], after: Run | None) -> Iterator[Verified]:
    """Each endpoint with the newest measurement after `before` from its vantage."""
    later = (
        [after]
        if after
        else [run for run in list_runs(store) if run.started > before.started and run.vantage == before.vantage]
    )
    for endpoint, service in wanted.items():
        seen = next((found for run in later if (found := find_observation(store, run, endpoint))), None)
        yield Verified(endpoint, service, "open", seen)
