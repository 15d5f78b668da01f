"""`reconshield port` and `ports` as a user runs them: forms, mistakes, and what must not be loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconshield.cli.main import main

Answer = tuple[int, str, str]
GOLDEN = Path(__file__).with_name("port_110.json")


def run(*arguments: str, home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with an empty home and no terminal."""
    keep = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    settings = {"PYTHONIOENCODING": "utf-8", "RECONSHIELD_HOME": str(home), "COLUMNS": "80", **environ}
    command = [sys.executable, "-m", "reconshield", *arguments]
    return subprocess.run(
        command, env={**keep, **settings}, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False
    )


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Answer]:
    """The command in this process: exit code, standard output, standard error."""

    def call(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["reconshield", "--home", str(tmp_path), *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(str(ended.value.code)), out, err

    return call


def test_json_of_110_is_the_golden_one(tmp_path: Path) -> None:
    """Keys and rating are fixed; of the sections only names and kinds, for their sentences grow."""
    done = run("port", "110", "--json", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (found,) = json.loads(done.stdout)
    found["sections"] = {name: type(content).__name__ for name, content in found["sections"].items()}
    assert found == json.loads(GOLDEN.read_text())


ASKED = [
    (["port", "pop3"], ["110/tcp", "995/tcp"]),
    (["port", "53"], ["53/udp", "53/tcp"]),
    (["port", "53", "--transport", "tcp"], ["53/tcp"]),
    (["port", "53/udp"], ["53/udp"]),
    (["port", "110/udp"], ["110/udp"]),
    (["port", "40001"], ["40001/tcp"]),
    (["port", "0"], ["0/tcp"]),
    (["ports", "110"], ["110/tcp"]),
    (["ports", "pop3", "low"], ["995/tcp"]),
]


@pytest.mark.parametrize(("arguments", "expected"), ASKED, ids=[" ".join(row[0]) for row in ASKED])
def test_json(ask: Callable[..., Answer], arguments: list[str], expected: list[str]) -> None:
    rows = json.loads(ask(*arguments, "--json")[1])
    assert [f"{row['port']}/{row['transport']}" for row in rows] == expected


MISTAKES = [
    (["port", "70000"], "error: port 70000 is out of range (0–65535)", "next   reconshield port 7000"),
    (["port", "110-120"], "error: a page is of one port", "next   reconshield ports 110-120"),
    (["port", "dovecot"], "error: unknown service dovecot", "next   reconshield ports dovecot"),
    (["port", "@mail"], "error: unknown service @mail", "next   reconshield ports mail"),
    (["port", "popp3"], "error: unknown service popp3", "next   reconshield port pop3"),
    (["port", ""], "error: a port or the name of a service is missing", "next   reconshield port 110"),
    (["port", "110", "--transport", "sctp"], "error: unknown transport sctp", "--transport tcp"),
    (["port", "110", "--json", "--markdown"], "error: only one form can be printed", "reconshield port 110 --json"),
    (["ports", "--cluster", "male"], "error: unknown cluster male", "next   --cluster mail"),
    (["ports", "--risk", "hihg"], "error: unknown rating hihg", "--risk critical"),
    (["port"], "error: ", "reconshield port --help"),
    (["port", "110", "--jsn"], "error: ", "port 110 --json"),
]


@pytest.mark.parametrize(("arguments", "error", "hint"), MISTAKES, ids=[" ".join(row[0]) for row in MISTAKES])
def test_mistakes_are_three_lines(ask: Callable[..., Answer], arguments: list[str], error: str, hint: str) -> None:
    code, out, err = ask(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(error)
    assert hint in err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 3


def test_the_page_is_the_result_and_nothing_else(tmp_path: Path) -> None:
    done = run("port", "110", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("110/tcp  POP3, Post Office Protocol version 3                  medium  44 of 100\n")
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"PYTHONIOENCODING": "ascii"}], ids=["dumb terminal", "ascii"])
def test_ascii(tmp_path: Path, environ: dict[str, str]) -> None:
    done = run("port", "110", home=tmp_path, **environ)
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "############" in done.stdout
    assert run("port", "110", "--markdown", home=tmp_path, **environ).stdout.isascii()


def test_search_prints_a_table_that_fits(tmp_path: Path) -> None:
    done = run("ports", "--cluster", "mail", home=tmp_path)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["RISK", "PORT", "SERVICE", "NAME", "CLUSTERS"]
    assert any(line.split()[:4] == ["44", "medium", "110/tcp", "pop3"] for line in lines)
    assert max(map(len, lines)) <= 80
    assert done.stderr.startswith("next  reconshield port ")


def test_nothing_found_is_said(ask: Callable[..., Answer]) -> None:
    assert ask("--quiet", "ports", "zzqxv") == (0, "Nothing matches `zzqxv`.\n", "")


def test_heavy_modules_stay_out(tmp_path: Path) -> None:
    """The quick commands load neither NumPy nor the store nor the jobs, and one service file instead of all."""
    code = (
        "import sys; sys.argv = ['reconshield', 'port', '110']\n"
        "from reconshield.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'sqlalchemy', 'rich', 'cryptography', 'reconshield.jobs', 'reconshield.store.db'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    environ = {**os.environ, "RECONSHIELD_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_yours_shows_what_was_seen_and_survives_a_broken_database(tmp_path: Path) -> None:
    (tmp_path / "reconshield.db").write_bytes(b"this is no database" * 100)
    started = time.monotonic()
    done = run("port", "110", home=tmp_path)
    assert done.returncode == 0
    assert "Yours not measured; this does not mean closed." in done.stdout
    assert time.monotonic() - started < 5
