"""The root of the command line: global flags anywhere, the version, and a bug that is named without its data."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reconshield import __version__
from reconshield.cli import main as root


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("scan 127.0.0.1 --home d -p 1", "--home d scan 127.0.0.1 -p 1"),
        ("--home d scan 127.0.0.1", "--home d scan 127.0.0.1"),
        ("runs --db=x --quiet", "--db=x --quiet runs"),
        ("scan a -- --home", "scan a -- --home"),
        ("runs --home", "--home runs"),
    ],
)
def test_global_flags_may_stand_anywhere(typed: str, meant: str) -> None:
    assert root.hoist_globals(typed.split()) == meant.split()


def run(patch: pytest.MonkeyPatch, *words: str) -> object:
    patch.setattr(sys, "argv", ["reconshield", *words])
    with pytest.raises(SystemExit) as ended:
        root.main()
    return ended.value.code


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"reconshield {__version__}\n"


@pytest.mark.parametrize("words", [(), ("grant",), ("intel",)])
def test_a_command_without_its_verb_gets_the_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert run(monkeypatch, *words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == " ".join(["Usage: reconshield", *words, "[OPTIONS] COMMAND [ARGS]..."])
    assert "Commands:" in lines


def test_a_bug_is_named_without_its_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a secret")

    monkeypatch.setattr(root, "load_settings", broken)
    assert run(monkeypatch, "--home", str(tmp_path), "runs") == 70
    err = capsys.readouterr().err
    assert err.startswith("internal error: KeyError at test_main.py:")
    assert "secret" not in err
