"""Scans in the background, over real sockets on loopback: their states, their ends, and many who watch."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import reconshield.jobs.live as live_jobs
import reconshield.jobs.live_scan as live_scan
from engines import new_store
from listeners import HOST, listening
from reconshield.errors import Refused, StoreError, UserError
from reconshield.host.processes import machine_name
from reconshield.jobs.grants import add_grant
from reconshield.jobs.live import LiveScans, LiveState, stored_state
from reconshield.jobs.live_state import Pace
from reconshield.jobs.results import load_result
from reconshield.jobs.scan import Measured, Prepared, begin_run, prepare_resume, prepare_scan, run_scan
from reconshield.jobs.scan_request import ScanRequest
from reconshield.settings import Settings, load_settings
from reconshield.store import audit
from reconshield.store.db import Store
from reconshield.store.runs import claim_run, create_run, find_run

WIDE = "1-20000"
"""Ports of a scan that is still going on when a test does something to it: at 4,000 a second it would take five seconds."""


@pytest.fixture
def settings(tmp_path: Path, url: str) -> Settings:
    return load_settings({"home": str(tmp_path), "db": url}, {})


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with new_store(settings.db) as opened:
        yield opened


@pytest.fixture
def live(settings: Settings, store: Store) -> Iterator[LiveScans]:
    del store
    scans = LiveScans()
    yield scans
    scans.close(20)


def request(ports: str, *, rate: float | None = None, level: int = 2) -> ScanRequest:
    return ScanRequest((HOST,), ports=ports, rate=rate, level=level, engine="connect", seed=7, actor="ada")


def resume(live: LiveScans, store: Store, run: str, wish: ScanRequest) -> str:
    """Go on with a run as the app does."""
    return live.start(store, prepare_resume(store, run, wish, time.time(), policy=None), wish.actor or "")


def slow(store: Store, settings: Settings) -> Prepared:
    return prepare_scan(store, settings, request(WIDE, rate=4000), time.time(), policy=None)


def until_ended(live: LiveScans, run: str, patience: float = 20) -> LiveState:
    version, deadline = 0, time.monotonic() + patience
    while time.monotonic() < deadline:
        state = live.wait("main", run, version, 1)
        if state and state.phase == "ended":
            return state
        version = state.version if state else version
    raise AssertionError(live.state("main", run))


def until(live: LiveScans, run: str, wanted: str) -> LiveState:
    version, deadline = 0, time.monotonic() + 20
    while time.monotonic() < deadline:
        state = live.wait("main", run, version, 1)
        if state and state.phase == wanted and (wanted != "measuring" or state.done > state.total / 4):
            return state
        version = state.version if state else version
    raise AssertionError(live.state("main", run))


def test_a_scan_in_the_background_finds_what_one_in_front_finds(store: Store, settings: Settings, live: LiveScans) -> None:
    with listening(lambda made: made.sendall(b"+OK Dovecot ready.\r\n")) as listener:
        place = listener.endpoint
        prepared = prepare_scan(store, settings, request(f"{place.port},9100", level=3), time.time(), policy=None)
        run = live.start(store, prepared, "ada")
        assert find_run(store, run).state in {"running", "complete"}
        state = until_ended(live, run)
    assert (state.outcome, state.error, state.ending, state.by) == ("complete", None, None, "ada")
    assert (state.done, state.total, state.open) == (2, 2, 1)
    found = state.newest[0]
    assert (found.endpoint, found.service) == (place, "pop3")
    assert found.risk
    assert found.risk.score == load_result(store, run).services[0].risk.score
    assert state.held == (("print", (9100,)),)
    assert live.running("main") == []


def test_what_is_stopped_is_partial_and_goes_on_where_it_was(store: Store, settings: Settings, live: LiveScans) -> None:
    run = live.start(store, slow(store, settings), "ada")
    state = until(live, run, "measuring")
    assert 0 < state.done < state.total == 20_000
    assert [each.run for each in live.running("main")] == [run]
    with pytest.raises(UserError, match="is being measured"):
        resume(live, store, run, ScanRequest((), actor="bob"))
    assert live.pause(store, run)
    assert not live.stop(store, run)
    state = until_ended(live, run)
    assert (state.outcome, state.ending, state.stopping) == ("partial", "paused", False)
    assert stored_state(store, run).ending == "paused"
    assert 0 < stored_state(store, run).done < 20_000
    assert resume(live, store, run, ScanRequest((), actor="bob")) == run
    state = until_ended(live, run)
    assert (state.outcome, state.done, state.by, state.ending) == ("complete", 20_000, "bob", None)
    kept = stored_state(store, run)
    assert (kept.outcome, kept.done, kept.total, kept.ending, kept.live) == ("complete", 20_000, 20_000, None, False)


def test_two_run_and_the_third_says_why_it_waits(store: Store, settings: Settings, live: LiveScans) -> None:
    runs = [live.start(store, slow(store, settings), "ada") for _ in range(4)]
    third, fourth = (live.state("main", run) for run in runs[2:])
    assert third
    assert fourth
    assert (third.phase, third.waiting) == ("waiting", "2 scans of this workspace at a time; waits for its turn")
    assert fourth.waiting == "2 scans of this workspace at a time; waits for its turn, and 1 before it in the queue"
    assert live.stop(store, runs[2])
    ended = until_ended(live, runs[2])
    assert (ended.outcome, ended.done, ended.ending) == ("partial", 0, "stopped")
    assert find_run(store, runs[2]).state == "partial"
    live.stop(store, runs[0])
    assert until(live, runs[3], "measuring").waiting is None


def test_closing_ends_all_and_keeps_what_was_measured(store: Store, settings: Settings, live: LiveScans) -> None:
    runs = [live.start(store, slow(store, settings), "ada") for _ in range(3)]
    until(live, runs[0], "measuring")
    live.close(20)
    states = [live.state("main", run) for run in runs]
    assert [state and (state.phase, state.outcome, state.ending) for state in states] == [("ended", "partial", "shutdown")] * 3
    assert all(find_run(store, run).state == "partial" for run in runs)
    with pytest.raises(UserError, match="is ending"):
        live.start(store, slow(store, settings), "ada")


def test_a_crash_is_told_in_one_line_and_loses_nothing(
    store: Store, settings: Settings, live: LiveScans, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def crashing(*arguments: object) -> Iterator[object]:
        for event in run_scan(*arguments):  # type: ignore[arg-type]
            yield event
            if isinstance(event, Measured):
                raise ZeroDivisionError("a secret")

    monkeypatch.setattr(live_scan, "run_scan", crashing)
    run = live.start(store, prepare_scan(store, settings, request("1-200"), time.time(), policy=None), "ada")
    state = until_ended(live, run)
    assert state.error
    assert state.error.startswith("internal error: ZeroDivisionError at test_live.py:")
    assert (state.outcome, state.ending) == ("partial", "crashed")
    assert "internal error: ZeroDivisionError" in caplog.text
    assert "a secret" not in caplog.text + state.error
    kept = stored_state(store, run)
    assert (kept.error, kept.outcome, kept.done) == (state.error, "partial", 200)
    monkeypatch.undo()
    resume(live, store, run, ScanRequest((), actor="bob"))
    assert until_ended(live, run).outcome == "complete"
    assert stored_state(store, run).error is None


def test_a_scan_of_another_process_is_told_from_the_store(store: Store, settings: Settings, live: LiveScans) -> None:
    prepared = slow(store, settings)
    stop = threading.Event()
    events = run_scan(store, prepared, time.time, stop)
    for event in events:
        if isinstance(event, Measured):
            break
    run = find_run(store, "latest").id
    assert live.state("main", run) is None
    state = stored_state(store, run)
    assert (state.phase, state.live, state.total) == ("measuring", False, 20_000)
    assert 0 < state.done < 20_000
    stop.set()
    list(events)
    assert stored_state(store, run).phase == "ended"
    assert stored_state(store, run).version > state.version


def test_many_who_watch_see_the_same_states_to_the_end(store: Store, settings: Settings, live: LiveScans) -> None:
    async def watch(run: str) -> list[LiveState]:
        return [state async for state in live.changes("main", run, pace=0.05)]

    async def all_of_them() -> list[list[LiveState]]:
        run = live.start(store, prepare_scan(store, settings, request("1-3000", rate=3000), time.time(), policy=None), "ada")
        return await asyncio.gather(*(watch(run) for _ in range(100)))

    for seen in asyncio.run(all_of_them()):
        versions = [state.version for state in seen]
        assert versions == sorted(set(versions))
        assert len(versions) > 3
        assert (seen[-1].phase, seen[-1].done) == ("ended", 3000)


def test_a_client_hears_something_when_nothing_happens(store: Store, settings: Settings, live: LiveScans) -> None:
    async def three(run: str) -> list[int]:
        found = []
        async for state in live.changes("main", run, heartbeat=0.05, pace=0.0):
            found.append(state.version)
            if len(found) == 3:
                break
        return found

    for _ in range(2):
        live.start(store, slow(store, settings), "ada")
    waiting = live.start(store, slow(store, settings), "ada")
    assert len(set(asyncio.run(three(waiting)))) == 1


def test_from_elsewhere_this_machine_needs_a_grant(store: Store, settings: Settings) -> None:
    asked = ScanRequest(("127.0.0.1",), ports="1", exempt_own=False, actor="web: eve")
    with pytest.raises(Refused):
        prepare_scan(store, settings, asked, time.time(), policy=None)
    assert [(entry.event, entry.actor) for entry in audit.entries(store)] == [("refused", "web: eve")]
    add_grant(store, ["127.0.0.1"], by="Ada", now=time.time(), actor="ada")
    prepared = prepare_scan(store, settings, asked, time.time(), policy=None)
    assert not prepared.targets.exempt
    assert (prepared.options.rate, prepared.options.per_host) == (25_000.0, 1000.0)
    assert prepare_scan(store, settings, replace(asked, exempt_own=True), time.time(), policy=None).options.per_host is None
    assert next(entry.actor for entry in audit.entries(store) if entry.event == "used") == "web: eve"


def test_from_elsewhere_a_run_of_this_machine_is_not_resumed_without_a_grant(
    store: Store, settings: Settings, live: LiveScans
) -> None:
    run = live.start(store, slow(store, settings), "ada")
    live.stop(store, run)
    until_ended(live, run)
    with pytest.raises(Refused):
        resume(live, store, run, ScanRequest((), exempt_own=False, actor="eve"))
    assert stored_state(store, run).ending == "stopped"


def test_from_elsewhere_no_file_is_read(store: Store, settings: Settings) -> None:
    with pytest.raises(UserError, match="command line only"):
        prepare_scan(store, settings, ScanRequest(("@/etc/hostname",), exempt_own=False), time.time(), policy=None)
    with pytest.raises(UserError, match="command line only"):
        prepare_scan(store, settings, ScanRequest(("127.0.0.1",), exclude=("@-",), exempt_own=False), time.time(), policy=None)


def test_the_rest_is_told_once_it_can_be_known() -> None:
    pace = Pace()
    assert [pace.eta(now, int(100 * now), 1000) for now in (0.0, 1.0, 2.9)] == [None, None, None]
    assert pace.eta(4.0, 400, 1000) == 6.0
    assert pace.eta(5.0, 1000, 1000) == 0.0
    still = Pace()
    assert [still.eta(float(now), 50, 100) for now in range(8)] == [None] * 8
    slower = Pace()
    for now in range(40):
        found = slower.eta(float(now), min(now * 100, 2000 + (now - 20) * 10), 5000)
    assert found is not None
    assert found == pytest.approx((5000 - 2190) / 10, rel=0.1)


def test_a_state_that_many_ask_for_is_read_from_the_store_once(store: Store, settings: Settings, live: LiveScans) -> None:
    run = live.start(store, prepare_scan(store, settings, request("1-50"), time.time(), policy=None), "ada")
    until_ended(live, run)
    assert stored_state(store, run) is stored_state(store, run)


SCAN_AND_WAIT = """
import sys, threading, time
from reconshield.jobs.scan import Measured, prepare_scan, run_scan
from reconshield.jobs.scan_request import ScanRequest
from reconshield.settings import load_settings
from reconshield.store.db import open_store
settings = load_settings({"home": sys.argv[1], "db": sys.argv[2]}, {})
request = ScanRequest(("127.77.0.3",), ports="1-20000", rate=4000, level=2, engine="connect", seed=7)
with open_store(settings.db, sys.argv[3]) as store:
    prepared = prepare_scan(store, settings, request, time.time(), policy=None)
    for event in run_scan(store, prepared, time.time, threading.Event()):
        if isinstance(event, Measured):
            print("measured", flush=True)
            time.sleep(600)
"""


@contextmanager
def another_process(settings: Settings, workspace: str = "main") -> Iterator[subprocess.Popen[str]]:
    """A scan in another process that has saved its first block and goes no further."""
    command = [sys.executable, "-c", SCAN_AND_WAIT, str(settings.home), settings.db, workspace]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "measured\n"
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_what_another_process_measures_is_left_alone_until_that_dies(store: Store, settings: Settings, live: LiveScans) -> None:
    with another_process(settings) as process:
        run = find_run(store, "latest").id
        assert live.recover(store) == []
        with pytest.raises(UserError, match=f"by process {process.pid}"):
            resume(live, store, run, ScanRequest((), actor="bob"))
        assert stored_state(store, run).phase == "measuring"
    assert live.recover(store) == [run]
    state = stored_state(store, run)
    assert (state.phase, state.outcome, state.ending, state.done) == ("ended", "partial", "crashed", 1000)
    assert state.error == "the process that measured it ended without a word"
    resume(live, store, run, ScanRequest((), actor="bob"))
    state = until_ended(live, run)
    assert (state.outcome, state.done, state.error) == ("complete", 20_000, None)
    assert stored_state(store, run).ending is None


def test_the_abandoned_runs_of_every_workspace_are_ended(store: Store, settings: Settings, live: LiveScans) -> None:
    with another_process(settings, "other"):
        pass
    (ended,) = live.recover(store)
    assert find_run(replace(store, workspace="other"), ended).state == "partial"
    assert live.recover(store) == []


def test_a_run_whose_owner_is_elsewhere_or_unknown_is_left_alone(store: Store, settings: Settings, live: LiveScans) -> None:
    run = begin_run(store, slow(store, settings), time.time())
    assert live.recover(store) == []
    claim_run(store, run.id, {"machine": "another", "pid": 1, "started": 0.0})
    assert live.recover(store) == []
    odd = create_run(store, plan={"v": 99}, engine="connect", vantage="local", grants=[], level=3, now=time.time())
    for each in (odd, run):
        claim_run(store, each.id, {"machine": machine_name(), "pid": 2**22 + 1, "started": 0.0})
    assert live.recover(store) == [run.id]


def test_a_scan_that_could_not_be_kept_is_not_started_later(
    store: Store, settings: Settings, live: LiveScans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(live_jobs, "take_run", failing)
    with pytest.raises(StoreError):
        live.start(store, slow(store, settings), "ada")
    monkeypatch.undo()
    assert live.running("main") == []
    live.start(store, slow(store, settings), "ada")
    assert len(live.running("main")) == 1
