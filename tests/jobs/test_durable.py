"""What the workflows rest on: queues that are told apart, processes that are known to live or not, a private record."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from reconshield.jobs import executors
from reconshield.jobs.durable import is_queue_of, measuring_queue, scans_queue, workflow_database
from reconshield.store.db import open_store
from reconshield.store.occurrences import sign_of_life

NOW = 1_795_000_000.0


@pytest.mark.parametrize(("workspace", "other"), [("main", "main-2"), ("a", "a-b"), ("a.b", "a")])
def test_a_monitor_rescues_only_its_own_workspace(workspace: str, other: str) -> None:
    for queue in (scans_queue(workspace), measuring_queue(workspace, "dmz-1"), measuring_queue(workspace, "main-2/x")):
        assert is_queue_of(workspace, queue)
        assert not is_queue_of(other, queue)
    assert not is_queue_of(workspace, None)


def test_who_is_there(tmp_path: Path) -> None:
    me = executors.new_executor("monitor", "local", NOW)
    gone = replace(me, name="gone", pid=2**22 - 1)  # no process has this number, or another one than then
    elsewhere = replace(me, name="elsewhere", host="another machine")
    with open_store(str(tmp_path / "x.db")) as store:
        for one in (me, gone, elsewhere):
            sign_of_life(store, one)

        def alive(after: float) -> set[str]:
            return {one.name for one in executors.living(store, NOW + after)}

        assert alive(0) == {me.name, "gone", "elsewhere"}  # one that is hidden from us still gives signs of life
        assert alive(executors.HIDDEN_AFTER + 1) == {me.name, "elsewhere"}
        assert alive(executors.DEAD_AFTER + 1) == set()
        assert executors.is_dead("nobody", executors.living(store, NOW))
        assert not executors.is_dead(None, [])
        assert sorted(executors.forget_dead(store, NOW + executors.FORGET_AFTER + 1)) == sorted([me.name, "gone", "elsewhere"])


def test_the_record_of_workflows_is_as_private_as_the_database(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with open_store(str(tmp_path / "x.db")) as store:
            assert workflow_database(store) == f"sqlite:///{tmp_path / 'x.db-work'}"
    finally:
        os.umask(before)
    assert (tmp_path / "x.db-work").stat().st_mode & 0o777 == 0o600
