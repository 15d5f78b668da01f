"""The exported alert rules in Prometheus' own tool: they are rules, and raise what our reader of them says they raise."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from export.policies import NOW, read, whole
from export.prometheus_rules import Exposure, raises, rules_of
from export.test_exposures import SERVICES, random_policy
from reconshield.jobs.policy_export import export_policy
from reconshield.policy import Policy

PROMTOOL = shutil.which("promtool")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)"),
]
OLD = """\
version = 1
[[zone]]
name = "dmz.1"
targets = ["192.0.2.0/26"]
secure = true
[[expect]]
on = "dmz.1"
service = ["smtp", "ssh"]
reason = "a {{ template }}"
owner = "o"
expires = 1970-01-02
[[expect]]
on = "dmz.1"
service = "ssh"
reason = "longer"
owner = "o"
expires = 1970-01-03
[[schedule]]
name = "nightly"
targets = "dmz.1"
every = "24h"
"""
"""promtool's clock begins in 1970, so these entries end while it looks."""


def promtool(*words: str, text: str, at: Path) -> str:
    at.write_text(text, encoding="utf-8")
    done = subprocess.run([str(PROMTOOL), *words, str(at)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ask(policy: Policy, now: float, moments: Iterable[int], at: Path) -> int:
    """Lets promtool compare the firing alerts with ours, for an exposure of each service in each zone; how many fire."""
    text = export_policy(policy, "prometheus", now)
    assert "SUCCESS" in promtool("check", "rules", text=text, at=at / "rules.yml")
    places = product(policy.schedules, policy.zones, SERVICES)
    exposures = [Exposure(schedule.name, zone.name, service) for schedule, zone, service in places]
    counted = [{**each.labels, "severity": "high", "workspace": "main"} for each in exposures]
    series = [{"series": f"reconshield_exposures{braces(each)}", "values": "1x10000"} for each in counted]
    series += [
        {"series": f'reconshield_last_scan_age_seconds{{schedule="{schedule.name}",workspace="main"}}', "values": "60x10000"}
        for schedule in policy.schedules
    ]
    checks, fired = [], 0
    for moment in moments:
        firing = [
            {"labels": f"ALERTS{braces(alert_labels(rule, each))}", "value": 1}
            for rule in rules_of(text)
            for each in exposures
            if raises(rule["expr"], each, moment)
        ]
        fired += len(firing)
        checks.append({"expr": "ALERTS", "eval_time": f"{moment}s", "exp_samples": firing})
    group = {"interval": "1m", "input_series": series, "promql_expr_test": checks}
    trial = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [group]}
    assert "SUCCESS" in promtool("test", "rules", text=json.dumps(trial), at=at / "trial.yml")
    return fired


def alert_labels(rule: dict[str, Any], exposure: Exposure) -> dict[str, str]:
    labels: dict[str, str] = rule["labels"]
    return {"alertname": rule["alert"], "alertstate": "firing", "workspace": "main", **exposure.labels, **labels}


def braces(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"


def test_the_whole_policy(tmp_path: Path) -> None:
    assert ask(whole(), NOW, [60], tmp_path) > 10


@pytest.mark.parametrize("seed", range(6))
def test_random_policies(tmp_path: Path, seed: int) -> None:
    assert ask(random_policy(seed), NOW, [60], tmp_path) > 10


def test_expectations_end_by_themselves(tmp_path: Path) -> None:
    """The first minute, after the first end, after the second."""
    policy, day = read(OLD), 86_400
    assert ask(policy, 0.0, [60, 2 * day + 60, 3 * day + 60], tmp_path) == 5 + 6 + 7
