"""What this process may do, read from this machine; the trial packet stays in a namespace of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reconshield.host import abilities

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="capabilities and namespaces are Linux")


def test_capabilities_agree_with_what_may_be_opened() -> None:
    held = abilities.capabilities()
    assert held is not None
    assert abilities.may_open_raw() == ("CAP_NET_RAW" in held)


def test_limits_are_plausible() -> None:
    limits = abilities.limits()
    assert limits.files is not None
    assert limits.ports is not None
    assert 0 < limits.ports[0] < limits.ports[1] < 65536


def test_a_trial_says_what_it_did_or_why_not() -> None:
    trial = abilities.try_raw()
    assert trial.namespace in {"root", "user", ""}
    assert trial.raw or trial.why
    if abilities.is_root() and trial.namespace:
        assert trial.raw


def test_the_clock_is_synchronised_or_not() -> None:
    assert abilities.clock_is_synchronised() in {True, False}


def test_modes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch(mode=0o640)
    file.chmod(0o640)
    assert abilities.mode_of(file) == 0o640
    assert abilities.mode_of(tmp_path / "missing") is None
