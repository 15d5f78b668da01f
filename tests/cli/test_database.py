"""A database that was named and is not there: refused by commands that look back, made by those that begin one."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.inside import run

LOOK_BACK = (
    "runs",
    "report latest",
    "diff latest latest",
    "history 127.0.0.1",
    "exposures",
    "assets",
    "evidence latest 127.0.0.1:22",
    "runs backup copy.db",
    "alert list",
    "grant list",
    "grant audit",
    "grant audit --verify",
    "account list",
    "monitor status",
    "policy propose",
)


@pytest.mark.parametrize("words", LOOK_BACK)
def test_a_command_that_looks_back_makes_no_database(tmp_path: Path, words: str) -> None:
    missing = tmp_path / "data" / "recon.db"
    done = run(tmp_path, "--db", str(missing), *words.split())
    assert done.code == 2
    assert "there is no database yet" in done.err
    assert str(missing) in done.err
    assert "--db" in done.err
    assert not missing.parent.exists()


def test_a_command_that_begins_a_database_makes_it(tmp_path: Path) -> None:
    begun = tmp_path / "data" / "recon.db"
    assert run(tmp_path, "--db", str(begun), "account", "add", "ada").code == 0
    assert begun.exists()
    assert run(tmp_path, "--db", str(begun), "runs").code == 0


def test_the_own_database_is_there_before_anything_is_in_it(tmp_path: Path) -> None:
    assert run(tmp_path, "runs").code == 0
