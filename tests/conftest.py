"""With RECONSHIELD_NO_SKIP=1 a test that would be skipped fails: where everything is said to be there, it must be."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    del item, call
    report = yield
    if report.skipped and os.environ.get("RECONSHIELD_NO_SKIP") == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and RECONSHIELD_NO_SKIP=1 forbids it: {report.longrepr}"
    return report
