"""Commands write to no terminal here, however wide the one is that the tests are run from."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test runners with several processes name a width, and so may the shell; tests of widths set their own."""
    monkeypatch.delenv("COLUMNS", raising=False)
