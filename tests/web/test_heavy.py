"""What takes seconds of CPU is done for a few at a time, and those who wait do not hold the threads that answer everybody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from reconshield.web import heavy
from reconshield.web.pages import firewall

Make = Callable[..., Any]
RULES = "table inet filter { chain input { type filter hook input priority 0; policy drop; tcp dport 22 accept } }"


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/firewall/prove", {"ports": "22", "platform": "nftables"}),
        ("/firewall/evaluate", {"rules": RULES, "ask": "22"}),
    ],
)
def test_proofs_and_pasted_rules_take_their_turn(
    person: Make, monkeypatch: pytest.MonkeyPatch, path: str, form: dict[str, str]
) -> None:
    def not_to_be_reached(*_: object, **__: object) -> None:
        raise AssertionError("it was done though others are being served")

    monkeypatch.setattr(heavy, "PATIENCE", 0.01)
    monkeypatch.setattr(firewall, "prove", not_to_be_reached)
    monkeypatch.setattr(firewall, "evaluate_file", not_to_be_reached)
    with heavy.turn("one"), heavy.turn("two"):
        assert person("operator").post(path, form).status_code == 429


def test_who_comes_when_enough_wait_is_told_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heavy, "QUEUE", threading.BoundedSemaphore(1))
    monkeypatch.setattr(heavy, "PATIENCE", 600.0)
    with heavy.turn("one"), heavy.turn("two"):
        waiting = threading.Thread(target=take_turn, daemon=True)
        waiting.start()
        while heavy.QUEUE._value and waiting.is_alive():
            time.sleep(0.01)
        with pytest.raises(heavy.Busy), heavy.turn("late"):
            pass
        assert heavy.QUEUE._value == 0, "the first one waits on, so the late one did not wait for it"
    waiting.join(60)
    with heavy.turn("again"):
        assert heavy.QUEUE._value == 1


def take_turn() -> None:
    with heavy.turn("waiting"):
        pass
