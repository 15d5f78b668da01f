"""The root of the command line: global flags anywhere, the version, and a bug that is named without its data."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cli import inside
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


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("prot 110", "reconshield port 110"),
        ("runs bakup 'a file'", "reconshield runs backup 'a file'"),
        ("scan localhost --jsn", "reconshield scan localhost --json"),
        ("scan localhost --xyzzy", "reconshield scan --help"),
    ],
)
def test_a_mistyped_word_is_put_right_in_the_next_step(tmp_path: Path, typed: str, meant: str) -> None:
    words = shlex.split(typed)
    done = inside.run(tmp_path, *words)
    assert done.code == 2
    assert done.err.splitlines()[-1].replace(f"--home {tmp_path} ", "") == f"  next   {meant}"


def test_what_was_typed_cannot_colour_the_terminal(tmp_path: Path) -> None:
    done = inside.run(tmp_path, "port", "a\x1b[31mb")
    assert (done.code, done.err.splitlines()[0]) == (2, r"error: unknown service a\x1b[31mb")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_bug(tmp_path: Path, closed: str) -> None:
    command = f"{sys.executable} -m reconshield --home {tmp_path} port 110 {closed}"
    assert subprocess.run(["sh", "-c", command], capture_output=True, check=False).returncode == 0


def test_a_locale_without_the_sign_gets_text_in_ascii_and_data_in_utf8(tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text(
        'version = 1\n[[zone]]\nname = "dmz"\ntargets = ["192.0.2.0/28"]\nowner = "Jürgen · 電"\n', encoding="utf-8"
    )
    latin = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for words, wanted in ((["policy", "show", "--policy", str(policy)], 'owner = "Jürgen · 電"'), (["port", "110"], " - KEV ")):
        command = [sys.executable, "-m", "reconshield", "--home", str(tmp_path), *words]
        done = subprocess.run(command, capture_output=True, check=False, env=latin)
        assert (done.returncode, done.stderr) == (0, b"")
        assert wanted in done.stdout.decode("utf-8")
