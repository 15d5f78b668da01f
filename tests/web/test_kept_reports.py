"""How many reports of uploaded traffic one process keeps, and whose goes first."""

from __future__ import annotations

from typing import cast

import pytest

from reconshield.report.detected import DetectionReport
from reconshield.web import kept
from reconshield.web.kept import KeptReports

REPORT = cast(DetectionReport, object())
"""What it says is all the same here."""


def test_each_workspace_keeps_its_newest_and_all_together_no_more_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 2)
    monkeypatch.setattr(kept, "MOST_OVERALL", 3)
    reports = KeptReports()

    def listed(workspace: str) -> list[str]:
        return [name for name, _ in reports.listed(workspace)]

    names = [reports.keep("main", REPORT) for _ in range(3)]
    assert listed("main") == [names[2], names[1]]
    assert reports.find("main", names[0]) is None
    lab = reports.keep("lab", REPORT)
    assert len(listed("main")) == 2
    reports.keep("third", REPORT)
    assert listed("main") == [names[2]]
    assert reports.find("lab", lab) is REPORT
    assert reports.find("main", lab) is None
