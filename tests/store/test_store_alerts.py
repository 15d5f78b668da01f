"""Alerts, outbox and occurrences on both engines, and what two processes do at the same time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from reconshield.errors import StoreError
from reconshield.store import alerts, outbox
from reconshield.store import occurrences as kept
from reconshield.store.db import Store, open_store
from reconshield.store.occurrences import Executor
from store.examples import NOW


def row(number: int, fingerprint: str = "f", **changed: Any) -> dict[str, Any]:
    told = {"kind": "opened", "severity": "high", "event": {"title": "a\x00b"}, "escalated": []}
    times = {"opened_at": NOW, "changed_at": NOW, "revision": 1}
    nothing = dict.fromkeys(("resolved_at", "ending", "acked_by", "acked_at"))
    return {"number": number, "fingerprint": fingerprint, **told, **times, **nothing, **changed}


def both(work: Callable[[int], Any]) -> list[Any]:
    """Do something twice at the same time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, range(2)))


def test_of_one_trouble_one_alert_stands(store: Store) -> None:
    alerts.save_alerts(store, [row(1), row(2, "g")], [])
    assert [found["number"] for found in alerts.standing(store, ["f", "x"])] == [1]
    with pytest.raises((IntegrityError, StoreError)):
        alerts.save_alerts(store, [row(3)], [])
    alerts.save_alerts(store, [], [row(1, resolved_at=NOW + 1, ending="closed")])
    alerts.save_alerts(store, [row(3)], [])
    assert [found["number"] for found in alerts.list_alerts(store)] == [3, 2]
    assert [found["number"] for found in alerts.list_alerts(store, everything=True)] == [3, 2, 1]
    assert alerts.count_alerts(store) == {"high": 2}
    assert alerts.standing(store)[0]["event"] == {"title": "a\x00b"}


def test_workspaces_see_nothing_of_each_other(store: Store, url: str) -> None:
    alerts.save_alerts(store, [row(1)], [])
    outbox.add_notices(store, [("k", "soc", NOW, {})], NOW)
    kept.add_occurrence(store, "nightly", NOW, {}, NOW)
    with open_store(url, "other") as other:
        assert alerts.list_alerts(other, everything=True) == []
        assert outbox.take_due(other, NOW, 60) == []
        assert kept.unfinished(other) == []
        alerts.save_alerts(other, [row(1)], [])


def test_a_notice_is_taken_by_one_process(store: Store, url: str) -> None:
    outbox.add_notices(store, [(f"k{n}", "soc", NOW, {"n": n}) for n in range(30)], NOW)
    outbox.add_notices(store, [("k0", "soc", NOW, {"n": "again"})], NOW)

    def take(_: int) -> list[str]:
        with open_store(url) as mine:
            return [one.key for one in outbox.take_due(mine, NOW, 60)]

    first, second = both(take)
    assert sorted(first + second) == sorted(f"k{n}" for n in range(30))
    assert outbox.take_due(store, NOW + 59, 60) == []
    assert len(outbox.take_due(store, NOW + 60, 60)) == outbox.BATCH  # both were killed: the leases have run out
    outbox.release(store, ["k3"])
    assert [one.key for one in outbox.take_due(store, NOW + 61, 60, limit=1)] != []


def test_a_slot_is_one_occurrence_however_many_see_it(store: Store, url: str) -> None:
    def call(_: int) -> bool:
        with open_store(url) as mine:
            return kept.add_occurrence(mine, "nightly", NOW, {"targets": ["192.0.2.1"]}, NOW)

    assert sorted(both(call)) == [False, True]

    def start(_: int) -> int | None:
        with open_store(url) as mine:
            return kept.start_occurrence(mine, "nightly", NOW)

    assert sorted(both(start), key=str) == [1, None]
    kept.change_occurrence(store, "nightly", NOW, state="complete", finished_at=NOW + 9, run="r")
    assert kept.unfinished(store) == []
    assert kept.last_complete(store) == {"nightly": NOW + 9}
    assert kept.count_occurrences(store) == {("nightly", "complete"): 1}
    newest = kept.newest(store, "nightly")
    assert newest is not None
    assert (newest.run, newest.attempts) == ("r", 1)


def test_signs_of_life(store: Store) -> None:
    one = Executor("worker-1", "host", 7, NOW, NOW, "worker", "dmz-1")
    for seen in (NOW, NOW + 5):
        kept.sign_of_life(store, Executor(one.name, one.host, one.pid, one.started, seen, one.role, one.vantage))
    assert [found.seen for found in kept.executors(store)] == [NOW + 5]
    kept.remove_executor(store, one.name)
    assert kept.executors(store) == []


def test_silences_hold_until_they_end(store: Store) -> None:
    number = alerts.add_silence(store, until=NOW + 60, said_by="Ada", reason="move", fits={"zone": "dmz"}, now=NOW)
    assert [found["number"] for found in alerts.silences(store, NOW + 59)] == [number]
    assert alerts.silences(store, NOW + 60) == []
    assert alerts.end_silence(store, number, NOW + 10)
    assert not alerts.end_silence(store, number, NOW + 11)
    assert alerts.silences(store, NOW + 10) == []
