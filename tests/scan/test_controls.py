"""Controls: chosen from answers, asked one at a time, dropped when they change their mind."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from reconshield.scan.controls import FIRST_ATTEMPT, GIVE_UP, MOST, Control, Controls
from reconshield.scan.path_rate import Group


def learn(controls: Controls, first: int, count: int, route: int = 0) -> None:
    lo = np.arange(first, first + count, dtype=np.uint64)
    controls.learn(np.zeros_like(lo), lo, np.full(count, 80, dtype=np.uint16), np.full(count, route, dtype=np.int32))


def choose(controls: Controls, now: float, route: int = 0) -> list[Control]:
    chosen = controls.choose(now, 1e6, route, 16)
    for control in chosen:
        control.group = Group()
    return chosen


def test_few_are_kept_and_replaced_in_time() -> None:
    controls = Controls()
    learn(controls, 0, 100)
    learn(controls, 0, 100)
    assert controls.count == 100
    for at in range(10):
        learn(controls, 1000 * at, 1000)
    assert controls.count == MOST


def test_an_answer_belongs_to_one_question() -> None:
    controls = Controls()
    learn(controls, 5, 1)
    [control] = choose(controls, 1.0)
    assert control.key == (0, 5, 80)
    assert control.attempt >= FIRST_ATTEMPT
    assert controls.heard(control.key, control.attempt + 1) is None
    assert controls.heard(control.key, control.attempt) is control.group
    assert controls.heard(control.key, control.attempt) is None


def test_one_that_is_awaited_is_not_asked_again() -> None:
    controls = Controls()
    learn(controls, 5, 1)
    assert choose(controls, 1.0)
    assert not choose(controls, 2.0)


def test_who_is_silent_three_times_is_no_control() -> None:
    controls = Controls()
    learn(controls, 5, 1)
    for turn in range(GIVE_UP):
        [control] = choose(controls, 10.0 * turn + 1)
        assert not controls.expire(10.0 * turn + 1)
        assert controls.expire(10.0 * turn + 2) == [control.group]
    assert controls.count == 0
    assert not choose(controls, 100.0)


def test_no_answer_is_late_before_its_question_has_left() -> None:
    @dataclass
    class Sending:
        gone_at: float = inf

    controls = Controls()
    learn(controls, 5, 1)
    [control] = choose(controls, 1.0)
    control.sending = sending = Sending()
    assert not controls.expire(100.0)
    sending.gone_at = 50.0
    assert not controls.expire(50.0)
    assert controls.expire(50.1) == [control.group]


def test_they_are_a_small_part_of_what_is_sent() -> None:
    controls = Controls()
    learn(controls, 0, MOST)
    asked = 0
    for turn in range(2000):
        for control in controls.choose(turn * 0.005, 10_000.0, 0, 16):
            asked += 1
            control.group = Group()
            controls.heard(control.key, control.attempt)
    assert 0.03 * 100_000 < asked < 0.06 * 100_000


def test_another_route_has_its_own() -> None:
    controls = Controls()
    learn(controls, 0, 10, route=3)
    assert not choose(controls, 1.0, route=0)
