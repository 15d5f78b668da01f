"""Every plug-in file has its line: a probe or a check that nobody lists would silently never run."""

from __future__ import annotations

from pathlib import Path

import pytest

import reconshield

PACKAGE = Path(reconshield.__file__).parent


@pytest.mark.parametrize(
    "folder",
    [
        "alert/channels",
        "checks/rules",
        "detect/readers",
        "export/formats",
        "firewall/platforms",
        "firewall/readers",
        "identify/probes",
        "intake/formats",
    ],
)
def test_every_file_is_listed(folder: str) -> None:
    listing = (PACKAGE / folder / "__init__.py").read_text()
    for file in sorted((PACKAGE / folder).glob("*.py")):
        if file.name != "__init__.py":
            assert f"{file.stem}." in listing, f"add {file.stem} to {folder}/__init__.py"
