"""`alert`, `monitor` and their answers, as a user types them."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest

from alert.examples import OPENED, STALE
from reconshield.alert.route import Rule
from reconshield.cli.main import main
from reconshield.jobs.alerting import raise_alerts
from reconshield.report.schema import jsonl_schema
from reconshield.store.db import open_store

POLICY = """
version = 1
[[channel]]
name = "log"
kind = "file"
path = "{folder}/alerts.jsonl"
[[channel]]
name = "broken"
kind = "file"
path = "{folder}/none/alerts.jsonl"
[[route]]
to = ["log"]
"""


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """The command line, in this process."""

    home: Path
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> Said:
        self.patch.setattr(sys, "argv", ["reconshield", "--home", str(self.home), *words])
        self.patch.chdir(self.home)
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, *self.capture.readouterr())


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def shell(bare: Shell) -> Shell:
    (bare.home / "reconshield.toml").write_text(POLICY.format(folder=bare.home))
    return bare


def test_try_a_channel(shell: Shell) -> None:
    tried = shell("alert", "test", "log")
    assert (tried.code, tried.out[:15]) == (0, "✓ log: accepted")
    assert json.loads((shell.home / "alerts.jsonl").read_text())["change"] == "test"
    broken = shell("alert", "test", "broken", "--json")
    assert broken.code == 1
    assert json.loads(broken.out)["accepted"] is False
    unknown = shell("alert", "test", "nobody")
    assert (unknown.code, unknown.err.splitlines()[2]) == (2, "  next   its channels are: log, broken")


def test_list_take_on_and_silence(shell: Shell) -> None:
    assert shell("alert", "list").out == "No alert stands.\n"
    with open_store(str(shell.home / "reconshield.db")) as store:
        raise_alerts(store, [OPENED, STALE], [], (Rule(("log",)),), time.time())
    listed = shell("alert", "list")
    assert listed.out.splitlines()[0] == (
        "a2    [Not measured] office: no scan for 9 days (target 1 day); last try failed: no route from dmz-1"
    )
    assert listed.err == "next  reconshield alert ack a2   take it on\n"
    taken = shell("alert", "ack", "a1", "--by", "Ada")
    assert taken.out.startswith("a1 is taken on by Ada")
    rows = [json.loads(line) for line in shell("alert", "list", "--json").out.splitlines()]
    assert [(row["id"], row["acknowledged_by"]) for row in rows] == [("a2", None), ("a1", "Ada")]
    for line in shell("alert", "list", "--undelivered", "--json").out.splitlines():
        jsonschema.validate(json.loads(line), jsonl_schema())
    waiting = shell("alert", "list", "--undelivered")
    assert "log" in waiting.out
    assert "not tried yet" in waiting.out
    assert shell("alert", "silence", "a2").code == 2  # a reason is needed
    assert shell("alert", "silence", "--reason", "x").code == 2  # over everything
    quiet = shell("alert", "silence", "a2", "--for", "8h", "--reason", "office moves")
    assert quiet.code == 0
    assert "silence 1 until" in shell("alert", "list").out
    assert shell("alert", "silence", "--end", "1").out == "silence 1 has ended\n"
    assert shell("alert", "silence", "--end", "1").code == 2
    assert shell("alert", "ack", "a9").code == 2
    assert json.loads(shell("alert", "retry", "--json").out) == {"revived": 0}


def test_a_monitor_without_a_policy_and_its_status(bare: Shell) -> None:
    refused = bare("monitor", "start")
    assert (refused.code, refused.err.splitlines()[0]) == (2, "error: there is no policy file")
    status = bare("monitor", "status", "--json")
    assert status.code == 0
    assert json.loads(status.out)["schedules"] == []
    jsonschema.validate(json.loads(status.out), jsonl_schema())


def test_an_unknown_setting_of_a_channel_is_named_before_anything_starts(shell: Shell) -> None:
    path = shell.home / "reconshield.toml"
    path.write_text(path.read_text().replace('kind = "file"', 'kind = "file"\ncolour = "red"', 1))
    said = shell("monitor", "start")
    assert said.code == 2
    assert "a file channel has no 'colour'" in said.err
    assert "line 3: channel log" in said.err
