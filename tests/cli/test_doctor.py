"""`reconshield doctor` as a user runs it, on this machine and against listeners on loopback."""

from __future__ import annotations

import socket
from pathlib import Path

from cli import inside
from cli.inside import Done


def doctor(home: Path, *words: str) -> Done:
    return inside.run(home, "doctor", *words, environ={"COLUMNS": "80"})


def rows(done: Done) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in done.lines}


def test_every_line_says_what_state_and_next_step(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    done = doctor(tmp_path / "home")
    assert done.code == 1
    assert "✗ bad        data folder" in done.out
    assert f"next       chmod 700 {tmp_path}/home" in done.out
    assert "? not tested path" in done.out
    assert done.out.splitlines()[-1].endswith(".")
    assert all(len(line) <= 80 for line in done.out.splitlines() if "next" not in line)
    assert not (tmp_path / "home" / "reconshield.db").exists()


def test_controls_on_this_machine(tmp_path: Path) -> None:
    with socket.socket() as listening, socket.socket() as unused:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        unused.bind(("127.0.0.1", 0))
        opened, closed = listening.getsockname()[1], unused.getsockname()[1]
        home = tmp_path / "home"
        good = doctor(home, "--json", "--control", f"127.0.0.1:{opened}", "--control-closed", f"127.0.0.1:{closed}")
        faked = doctor(home, "--json", "--control-closed", f"127.0.0.1:{opened}")
        lost = doctor(home, "--json", "--control", f"127.0.0.1:{closed}")
    assert rows(good)["path"]["state"] == "ok"
    assert rows(good)["database opens"]["state"] == "ok"
    assert rows(faked)["path"]["state"] == "bad"
    assert "answers for it" in rows(faked)["path"]["what"]
    assert faked.code == lost.code == 1
    assert "should be open and is closed" in rows(lost)["path"]["what"]


def test_a_control_needs_a_grant(tmp_path: Path) -> None:
    done = doctor(tmp_path / "home", "--control", "192.0.2.7:443")
    assert done.code == 3
    assert done.out == ""
    assert "Nothing was sent" in done.err


def test_a_control_that_is_none(tmp_path: Path) -> None:
    done = doctor(tmp_path / "home", "--control", "192.0.2.7")
    assert done.code == 2
    assert done.err.splitlines()[0] == "error: a control endpoint is written HOST:PORT"


def test_a_database_that_is_none(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "reconshield.db").write_text("not a database " * 100)
    (home / "reconshield.db").chmod(0o600)
    found = rows(doctor(home, "--json"))
    assert found["database"]["state"] == "ok"
    assert found["database opens"]["state"] == "bad"
