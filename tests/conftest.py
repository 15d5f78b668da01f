"""With RECONSHIELD_NO_SKIP=1 a test that would be skipped fails: where everything is said to be there, it must be.

Only what a kernel was built without (`KERNEL` begins the reason) may be missing even then: no package brings it.

Property tests have no time limit (a busy machine is no fault of the code); where nothing may be skipped they try the same
examples each time, so that what landed once lands again. `RECONSHIELD_EXAMPLES=1000` tries a thousand of each instead of 40.

Byte code is kept from test to test whatever the environment says, for the tests start some hundred processes. What collecting
made stays to the end, so the collector of garbage need not look through it again and again.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from reconshield.knowledge import index

STRICT = os.environ.get("RECONSHIELD_NO_SKIP") == "1"
EXAMPLES = int(os.environ.get("RECONSHIELD_EXAMPLES", "40"))
settings.register_profile(
    "ours", deadline=None, max_examples=EXAMPLES, derandomize=STRICT, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ours")

KERNEL = "this kernel"

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_configure(config: pytest.Config) -> None:
    """An index that is older than the catalogue is made anew, else every process that a test starts reads all service files."""
    if not hasattr(config, "workerinput") and index.read_fresh() is None:
        index.write_index()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    del item, call
    report = yield
    if report.skipped and STRICT and not hasattr(report, "wasxfail") and f"Skipped: {KERNEL}" not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped, and RECONSHIELD_NO_SKIP=1 forbids it: {report.longrepr}"
    return report
