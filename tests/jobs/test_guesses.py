"""Below level 3 a port says what its service usually is: many guesses are one transaction, and none needs a check.

And how such a scan begins and goes on: whose it is stands in the run from its first moment, and what it needs is made ready.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import event

from reconshield.jobs import scan
from reconshield.jobs.doubt import UNPROVEN, Aside
from reconshield.jobs.judge import Judge
from reconshield.jobs.ownership import lives
from reconshield.jobs.readiness import Readiness
from reconshield.jobs.scan_request import ScanRequest
from reconshield.model import Endpoint
from reconshield.settings import load_settings
from reconshield.store.db import open_store
from reconshield.store.runs import create_run, find_run
from reconshield.store.services import services

HOST, AT = "10.77.0.2", 1_700_000_000.0


def test_guesses_are_saved_many_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "GUESSES", 2)
    doubtful = Endpoint(HOST, 4444)
    places = [Endpoint(HOST, 22), Endpoint(HOST, 80), doubtful, Endpoint(HOST, 443), Endpoint(HOST, 110)]
    with open_store(str(tmp_path / "x.db")) as store:
        run = create_run(store, plan={}, engine="raw", vantage="local", grants=[], level=2, now=AT)
        commits: list[object] = []
        event.listen(store.engine, "commit", commits.append)
        aside, judge = Aside(places, frozenset({doubtful})), Judge("local", AT)
        events = list(scan.guess_open(store, run, aside, judge, {HOST: "mx"}, lambda: AT))
        assert len(commits) == 3
        kept = {service.endpoint.port: (service.service, service.note, service.name) for service in services(store, run.id)}
    assert kept == {
        22: ("ssh", None, "mx"),
        80: ("http", None, "mx"),
        110: ("pop3", None, "mx"),
        443: ("http", None, "mx"),
        4444: ("selenium-grid", UNPROVEN, "mx"),
    }
    told = [each.rated.endpoint.port for each in events if isinstance(each, scan.Identified)]
    assert told == [22, 80, 443, 110]
    assert [each.done for each in events if isinstance(each, scan.Identifying)] == [0, 2, 4, 5]


def test_a_guess_is_rated_without_checks_and_advisories() -> None:
    code = (
        "import sys; from reconshield.jobs.judge import Judge; from reconshield.model import Endpoint\n"
        "judge = Judge('local', 0.0); rated = judge.find(judge.guess(Endpoint('10.77.0.2', 110), 0.0, None))\n"
        "heavy = ('reconshield.checks.rules', 'reconshield.checks.vulnerability', 'reconshield.knowledge.advisories')\n"
        "print(rated[0].risk.score > 0, [name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True []"


def test_a_run_is_claimed_as_it_is_made_and_what_it_needs_is_made_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(Readiness, "prepare", lambda _self, *, found_open: asked.append(found_open))
    settings = load_settings({"home": str(tmp_path)}, {})
    with open_store(settings.db) as store, socket.create_server(("127.0.0.1", 0)) as listener:
        request = ScanRequest(targets=("127.0.0.1",), ports=str(listener.getsockname()[1]), level=2)
        prepared = scan.prepare_scan(store, settings, request, time.time(), policy=None)
        events = scan.run_scan(store, prepared, time.time, threading.Event())
        assert isinstance(next(events), scan.Started)
        assert lives(find_run(store, "latest")) is True
        assert asked == []
        assert isinstance(next(events), scan.Measuring)
        assert asked == [False, False]  # the progress, and what is told of it
        list(events)
        assert asked[-1] is True
