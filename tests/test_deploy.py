"""What lies in deploy/ fits the program: metrics that exist, commands that it takes, secrets that are not in files."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from reconshield.cli.main import make_app
from reconshield.jobs.metrics import HEADS

DEPLOY = Path(__file__).parents[1] / "deploy"
METRIC = re.compile(r"reconshield_[a-z_]+")
UNITS = sorted(DEPLOY.glob("systemd/*.service"))


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    board = json.loads((DEPLOY / "grafana" / "reconshield.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert set(METRIC.findall(" ".join(asked))) == HEADS.keys()
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]]
    assert len(set(places)) == len(places)


def test_the_rules_ask_for_metrics_that_exist() -> None:
    text = (DEPLOY / "prometheus" / "reconshield.rules.yml").read_text()
    rules = yaml.safe_load(text)["groups"][0]["rules"]
    assert set(METRIC.findall(" ".join(rule["expr"] for rule in rules))) <= HEADS.keys()
    assert {rule["labels"]["severity"] for rule in rules} <= {"low", "medium", "high", "critical"}
    if promtool := shutil.which("promtool"):
        subprocess.run(
            [promtool, "check", "rules", DEPLOY / "prometheus" / "reconshield.rules.yml"], check=True, stdout=subprocess.DEVNULL
        )


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_a_command_that_exists_with_one_capability(unit: Path) -> None:
    text = unit.read_text()
    _, *words = shlex.split(re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)[0])
    command: Any = typer.main.get_command(make_app())
    while hasattr(command, "commands"):
        context = command.make_context("reconshield", list(words))
        words = [*context._protected_args, *context.args]
        command, words = command.commands[words[0]], words[1:]
    command.make_context("reconshield", words)
    for line in (
        "DynamicUser=yes",
        "AmbientCapabilities=CAP_NET_RAW",
        "CapabilityBoundingSet=CAP_NET_RAW",
        "NoNewPrivileges=yes",
    ):
        assert line in text.splitlines()


def test_the_image_is_built_from_files_that_exist() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE):
        for name in line.split():
            assert (DEPLOY.parent / name).exists(), name
