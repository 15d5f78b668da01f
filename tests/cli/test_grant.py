"""`reconshield grant` as it is typed, and as it answers."""

import json
import re
import shlex
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reconshield.cli import grant
from reconshield.cli.console import Invocation
from reconshield.errors import UserError
from reconshield.settings import load_settings
from reconshield.store.audit import append_entry
from reconshield.store.db import open_store


class Shell:
    """Types commands against one home directory."""

    def __init__(self, home: Path) -> None:
        self.settings = load_settings({"home": str(home)}, {})

    def run(self, *words: str, stdin: str | None = None) -> tuple[int, str, str]:
        result = CliRunner().invoke(grant.app, list(words), obj=Invocation(self.settings), input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    def ok(self, *words: str, stdin: str | None = None) -> str:
        code, out, _ = self.run(*words, stdin=stdin)
        assert code == 0, out
        return out


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_grant_from_its_first_day_to_its_last(shell: Shell) -> None:
    code, out, err = shell.run("list")
    assert (code, out) == (0, "No grants: only this machine may be scanned.\n")
    assert err == 'next  reconshield grant add TARGET --by "NAME"\n'

    out = shell.ok("add", "10.77.0.0/16", "--by", "Ada Example", "--exclude", "10.77.0.9", "--reason", "T-4711")
    lines = out.splitlines()
    assert lines[0] == "g1  10.77.0.0/16"
    assert lines[1].startswith("    level 3, identify · until ")
    assert lines[1].endswith("(90 days; --until says otherwise)")
    assert lines[2:] == ["    without 10.77.0.9", "    by Ada Example · T-4711", "    recorded as audit entry 1"]

    assert shell.ok("list").splitlines()[1].endswith(" · valid")
    assert shell.ok("revoke", "g1") == "g1 (10.77.0.0/16) is revoked; recorded as audit entry 2\n"
    assert shell.ok("list").splitlines()[1].endswith(" · revoked")
    words = [line.split()[5:] for line in shell.ok("audit").splitlines()]
    assert words == [["grant-added", "g1", "·", "10.77.0.0/16"], ["grant-revoked", "g1"]]


def test_targets_from_a_file_standard_input_and_an_at_sign(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("192.0.2.1\n192.0.2.2\n")
    for words in (["-iL", str(tmp_path / "hosts")], ["-iL", "-"], [f"@{tmp_path / 'hosts'}"]):
        out = shell.ok("add", "10.0.0.1", *words, "--by", "Ada", "--json", stdin="192.0.2.1\n192.0.2.2")
        assert {target["text"] for target in json.loads(out)["targets"]} == {"10.0.0.1", "192.0.2.1", "192.0.2.2"}


def test_json_has_every_field(shell: Shell) -> None:
    words = ["--by", "Ada", "--level", "4", "--until", "12h", "--contact", "NOC", "--json"]
    added = json.loads(shell.ok("add", "localhost", *words))
    assert added["entry"] == 1
    (listed,) = json.loads(shell.ok("list", "--json"))
    assert listed == {key: value for key, value in added.items() if key != "entry"}
    assert listed["state"] == "valid"
    assert listed["level"] == 4
    assert listed["targets"][0]["name"] == "localhost"
    assert "127.0.0.1" in listed["targets"][0]["addresses"]
    refreshed = json.loads(shell.ok("refresh", "g1", "--json"))
    assert (refreshed["entry"], refreshed["changes"]) == (2, [])
    assert shell.ok("refresh", "g1") == "g1 is refreshed: every name answers as before; recorded as audit entry 3\n"
    log = json.loads(shell.ok("audit", "--json"))
    assert [entry["number"] for entry in log] == [1, 2, 3]
    assert log[1]["previous"] == log[0]["hash"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "10.0.0.1"], "a grant needs the name of who allows it"),
        (["add", "--by", "Ada"], "a grant needs a target"),
        (["add", "10.0.0.300", "--by", "Ada"], "out of range"),
        (["add", "10.0.0.1", "--by", "Ada", "--until", "soon"], "no date, time or duration"),
        (["add", "10.0.0.1", "--by", "Ada", "--until", "2020-01-01"], "end before it begins"),
        (["add", "10.0.0.1", "--by", "Ada", "--level", "9"], "there is no level 9"),
        (["revoke", "g1"], "no grant of that id"),
        (["refresh", "all"], "no grant of that id"),
    ],
)
def test_mistakes_say_what_where_next(shell: Shell, words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        shell.run(*words)
    assert caught.value.where
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_verify_says_whole_and_what_to_write_down(shell: Shell) -> None:
    assert shell.ok("audit") == "The audit log is empty.\n"
    assert shell.ok("audit", "--verify") == "✓ the audit log is whole: it has no entry yet\n"
    shell.ok("add", "10.0.0.1", "--by", "Ada")
    (entry,) = json.loads(shell.ok("audit", "--json"))
    assert shell.ok("audit", "--verify") == f"✓ the audit log is whole: entries 1 to 1, newest hash {entry['hash']}\n"


def test_a_broken_chain_exits_1_and_names_the_entry(shell: Shell, tmp_path: Path) -> None:
    for target in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        shell.ok("add", target, "--by", "Ada")
    with sqlite3.connect(tmp_path / "reconshield.db") as forger:
        for (trigger,) in forger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            forger.execute(f'DROP TRIGGER "{trigger}"')
        forger.execute("UPDATE audit SET actor = 'nobody' WHERE number = 2")
    forger.close()
    code, out, _ = shell.run("audit", "--verify")
    assert (code, out) == (1, "✗ the audit log is broken at entry 2: it is missing, or was edited or moved\n")
    code, out, _ = shell.run("audit", "--verify", "--json")
    assert code == 1
    assert json.loads(out) | {"newest_hash": ""} == {"whole": False, "broken_at": 2, "entries": 3, "newest_hash": ""}


def test_the_log_shows_the_newest_hundred(shell: Shell) -> None:
    shell.ok("add", "localhost", "--by", "Ada")
    with open_store(shell.settings.db) as store:
        for number in range(2, 104):
            append_entry(store, "used", {"grants": ["g1"]}, float(number), "ada")
    code, out, err = shell.run("audit")
    assert (code, len(out.splitlines()), out.split()[0]) == (0, 100, "4")
    assert err == "next  reconshield grant audit --all   3 older entries\n"
    assert len(shell.ok("audit", "--all").splitlines()) == 103


VARIES = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]+ \w+(  \S.*?  +(?=grant-))?|[0-9a-f]{64}")
"""Times, the user after the time of a log entry, and hashes."""


def test_the_page_on_grants_shows_what_really_happens(shell: Shell) -> None:
    page = (Path(__file__).parents[2] / "docs" / "grants.md").read_text("utf-8")
    (dialogue,) = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    turns = re.split(r"^\$ reconshield grant ", dialogue, flags=re.MULTILINE)[1:]
    assert len(turns) == 6
    for turn in turns:
        command, _, shown = turn.partition("\n")
        assert VARIES.sub("…", shell.ok(*shlex.split(command))) == VARIES.sub("…", shown), command
