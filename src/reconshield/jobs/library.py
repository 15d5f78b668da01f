"""The scan in one call, for programs that want the result and no progress."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from reconshield.jobs.policy import try_policy
from reconshield.jobs.results import load_result
from reconshield.jobs.scan import Started, prepare_scan, run_scan
from reconshield.jobs.scan_request import ScanRequest
from reconshield.report.result import RunResult
from reconshield.settings import load_settings
from reconshield.store.db import open_store


def scan_targets(
    targets: Iterable[str] | str,
    *,
    ports: str | None = None,
    level: int | None = None,
    authorized_by: str | None = None,
    home: Path | str | None = None,
    stop: threading.Event | None = None,
) -> RunResult:
    """Measure, identify, judge, save, and return the whole run; arguments are as on the command line.

    `home` is where the database lies (the usual place if None). Raises UserError for a mistake and Refused when no grant allows
    it; nothing was sent then. `stop` ends it early from another thread, with everything saved.
    """
    wanted = (targets,) if isinstance(targets, str) else tuple(targets)
    request = ScanRequest(wanted, ports=ports, level=level, authorized_by=authorized_by)
    settings = load_settings({"home": str(home) if home is not None else None}, os.environ)
    with open_store(settings.db, settings.workspace) as store:
        policy, _ = try_policy(settings.home)
        prepared = prepare_scan(store, settings, request, time.time(), policy=policy)
        run = ""
        for event in run_scan(store, prepared, time.time, stop or threading.Event()):
            if isinstance(event, Started):
                run = event.head.id
        return load_result(store, run, policy=prepared.policy)
