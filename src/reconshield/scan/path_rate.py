"""How fast the path bears packets: starts modest, doubles, and falls back to what came through when more gets lost. Pure.

Silence says nothing about loss, so loss is measured with controls: endpoints that are known to answer, asked again at random.
They are judged in groups, each by the rate at which it was sent, when the fate of all of a group is known:

    as much lost as before         the path bears it, and after a limit was seen it is tried a little faster
    clearly more lost              the limit: what came through, and a tenth less
    twice less speed, the same     the loss has nothing to do with speed (a bad radio link): it is the base from now on

Until a limit is seen the rate doubles with every round trip in which most controls answered, up to the ceiling or to what this
machine can do. Without an endpoint that answers nothing is known, and nothing holds it back. Times are seconds of any steady
clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf, sqrt

FIRST_RATE, FIRST_FREE_RATE = 2_000.0, 16_000.0
"""Under a ceiling, and where somebody has said that there shall be none."""
LEAST_RATE = 100.0
STEP_SECONDS = 0.01
"""A step of the first growth lasts so long at least, and a round trip."""

GROUP, SMALL_GROUP, PACKETS_A_CONTROL = 32, 8, 80.0
"""Controls by which a rate is judged; fewer where so few are sent that judging would take long."""

GROWTH, BACK_OFF, LOCAL_BACK_OFF = 2.0, 0.9, 0.7
LARGEST_FALL = 1 / 8
"""A rate falls to this share at most in one step: when nothing comes through for a moment, that says little of the path."""
LOCAL_PAUSE = 0.1
"""Seconds between two steps back for what this machine loses: what it has lost in between was sent before the first."""
CREEP = 0.05
"""The share by which a rate below a limit is raised at first; twice as much each time that it goes well."""
NOTICEABLE = 0.08
"""More loss than this, and than chance explains, is the limit."""
MOSTLY = 0.6
"""The share that must have answered, of the controls asked since the last step and not lost anyway, for another one."""
HEADROOM = 4.0
"""A rate is raised up to so many times of what was achieved: a machine that stalls for a moment catches up."""
SHOWN = 2.0
"""A rate below a limit is raised only where it was used: controls sent at less than half of it do not speak for more."""
HELPED, ENOUGH = 0.7, 2
"""A back-off that leaves more than this share of the loss has not helped; after two of them in a row speed is not the cause."""


@dataclass(slots=True)
class Group:
    """Controls that are judged together: how many were asked of `size`, the sum of their rates, and what came of them."""

    size: int = GROUP
    asked: int = 0
    rates: float = 0.0
    answered: int = 0
    lost: int = 0

    @property
    def is_known(self) -> bool:
        return self.asked >= self.size and self.answered + self.lost == self.asked

    @property
    def loss(self) -> float:
        return self.lost / self.asked


@dataclass(slots=True)
class PathRate:
    """Packets a second. `ceiling` None: as fast as this machine can; `slowed` says why when the path was the limit."""

    ceiling: float | None = None
    rate: float = 0.0
    slowed: str | None = None
    base: float = 0.0
    """Loss that has nothing to do with the rate."""
    _limit: float = inf
    _next: float = 0.0
    _achieved: float = 0.0
    _creep: float = CREEP
    _vain: int = 0
    _before: float | None = None
    """The loss before the last back-off, until it is known whether that has helped."""
    _groups: deque[Group] = field(default_factory=deque)
    _asked: int = 0
    _heard: int = 0
    _local_at: float = -inf

    def __post_init__(self) -> None:
        self.rate = self.rate or (FIRST_FREE_RATE if self.ceiling is None else min(FIRST_RATE, self.ceiling))

    def ask(self) -> Group:
        """A control is asked now: the group that it belongs to, for `answer` or `lose`."""
        if not self._groups or self._groups[-1].asked >= self._groups[-1].size:
            self._groups.append(Group(max(SMALL_GROUP, min(GROUP, int(self.rate / PACKETS_A_CONTROL)))))
        group = self._groups[-1]
        group.asked += 1
        group.rates += min(self.rate, self._achieved or inf)
        self._asked += 1
        return group

    def answer(self, group: Group) -> None:
        """A control has answered."""
        group.answered += 1
        self._heard += 1

    def lose(self, group: Group) -> None:
        """A control has not answered in time."""
        group.lost += 1

    def step(self, now: float, round_trip: float, achieved: float | None, *, controls: bool) -> None:
        """Judge what is known, and grow as long as no limit is.

        `achieved` packets a second were sent lately, None if there was not enough to send to tell; `controls` says whether
        there are endpoints to judge by.
        """
        if achieved is not None:
            self._achieved = (self._achieved + achieved) / 2 if self._achieved else achieved
        while self._groups and self._groups[0].is_known:  # in the order of asking: those with losses are known last
            self._judge(self._groups.popleft())
        if now >= self._next and self.rate <= HEADROOM * self._achieved and self._may_grow(controls):
            self._set(self.rate * GROWTH)
            self._next = now + max(STEP_SECONDS, round_trip)
            self._asked = self._heard = 0

    def no_room(self, now: float) -> None:
        """This machine lost packets itself: a full queue on the way out, a full ring on the way in."""
        if now < self._local_at + LOCAL_PAUSE:
            return
        self._local_at = now
        self._back_off(min(self.rate, self._achieved or inf) * LOCAL_BACK_OFF)
        self.slowed = f"slowed to {self.rate:,.0f} packets/s: this machine loses packets"

    def _may_grow(self, controls: bool) -> bool:
        return not controls or (self._limit == inf and 0 < self._asked * MOSTLY * (1 - self.base) <= self._heard)

    def _judge(self, group: Group) -> None:
        chance = 3 * sqrt(max(self.base, 0.02) * (1 - self.base) / group.asked)
        self._vain = self._vain + 1 if self._has_not_helped(group) else 0
        if self._vain >= ENOUGH:
            self.base, self._limit, self._vain = group.loss, inf, 0
        self._before = None
        if group.loss > self.base + max(NOTICEABLE, chance):
            self._before = group.loss
            came_through = max(LARGEST_FALL, BACK_OFF * (1 - group.loss) / (1 - self.base))
            self._back_off(group.rates / group.asked * came_through)
            if not group.answered:  # an outage: how much came through was not seen, so it is searched for in large steps
                self._creep = 1.0
            self.slowed = f"slowed to {self.rate:,.0f} packets/s: replies are lost"
            return
        self.base += (group.loss - self.base) / 4
        if self._limit < inf and self.rate <= SHOWN * group.rates / group.asked:
            self._set(self.rate * (1 + self._creep))
            self._creep = min(1.0, 2 * self._creep)
            self._groups.clear()  # they were sent at another rate

    def _has_not_helped(self, group: Group) -> bool:
        """Whether the loss is what it was before the rate was lowered, as far as can be told. More of it is another limit."""
        if self._before is None:
            return False
        chance = 2 * sqrt(self._before * (1 - self._before) / group.asked)
        return HELPED * self._before < group.loss <= self._before + chance

    def _back_off(self, rate: float) -> None:
        self._limit = max(LEAST_RATE, min(rate, self.rate))
        self._creep = CREEP
        self._set(self._limit)
        self._groups.clear()

    def _set(self, rate: float) -> None:
        self.rate = min(rate, self.ceiling or inf)
