"""Lists for people keep to the width of the terminal, and stay one line an entry where there is none."""

from __future__ import annotations

from pathlib import Path

from cli.inside import run

WIDTH = 60


def test_the_audit_log_keeps_to_a_narrow_terminal(tmp_path: Path) -> None:
    assert run(tmp_path, "account", "add", "a-person-with-a-rather-long-name").code == 0
    assert run(tmp_path, "account", "add", "another-person-with-a-long-name").code == 0
    narrow = run(tmp_path, "grant", "audit", environ={"COLUMNS": str(WIDTH)}).out
    whole = run(tmp_path, "grant", "audit", environ={"COLUMNS": "400"}).out
    assert max(map(len, narrow.splitlines())) <= WIDTH < max(map(len, whole.splitlines()))
    assert len(whole.splitlines()) == 4
    assert narrow.split() == whole.split()


def test_the_state_of_feeds_keeps_to_a_narrow_terminal(tmp_path: Path) -> None:
    narrow = run(tmp_path, "intel", "status", environ={"COLUMNS": str(WIDTH)}).out
    whole = run(tmp_path, "intel", "status", environ={"COLUMNS": "400"}).out
    assert max(map(len, narrow.splitlines())) <= WIDTH < max(map(len, whole.splitlines()))
    assert "".join(narrow.split()) == "".join(whole.split())
