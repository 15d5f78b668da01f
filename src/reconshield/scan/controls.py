"""Endpoints that are known to answer, asked again from time to time: by them loss is measured. Pure.

A control is chosen from the answers of a first attempt. It is asked again at random, one packet at a time, and what becomes of
it is told to `PathRate`. One that is silent three times in a row has changed its mind (some firewalls shut out who asks too
much) and is no control any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from reconshield.scan.flight import Gone
from reconshield.scan.path_rate import Group
from reconshield.scan.space import U64

MOST = 256
FIRST_ATTEMPT, ATTEMPTS = 8, 8
"""Controls use the attempts 8 to 15, in turn, so that each answer belongs to one question."""
MOST_MIXED = 16
"""Controls that are sent at once at most."""
GIVE_UP = 3
SHARE, A_SECOND = 0.05, 640.0
"""Of all packets, and packets a second: controls are at most so many."""

Key = tuple[int, int, int]
"""hi, lo, port."""


@dataclass(slots=True)
class Control:
    """One endpoint. While an answer is awaited, `asked` is when it was asked, `sending` in which packets, `group` with whom."""

    key: Key
    route: int
    turn: int = 0
    silent: int = 0
    asked: float = 0.0
    group: Group | None = None
    sending: Gone | None = None

    @property
    def attempt(self) -> int:
        return FIRST_ATTEMPT + self.turn % ATTEMPTS

    @property
    def gone_at(self) -> float:
        """When its question left."""
        return self.asked if self.sending is None else self.sending.gone_at


@dataclass(slots=True)
class Controls:
    """All controls of a lane. `seed` for the random choice."""

    seed: int = 0
    _known: dict[Key, Control] = field(default_factory=dict)
    _keys: list[Key] = field(default_factory=list)
    _awaited: dict[Key, Control] = field(default_factory=dict)
    _random: Random = field(init=False, repr=False)
    _due: float = 0.0

    def __post_init__(self) -> None:
        self._random = Random(self.seed)  # noqa: S311  a sample, no secret

    @property
    def count(self) -> int:
        return len(self._known)

    def learn(self, hi: U64, lo: U64, port: NDArray[np.uint16], route: NDArray[np.int32]) -> None:
        """Endpoints that have answered their first packet. Some are kept, and replaced in time, so that they stay a sample."""
        for at in self._random.sample(range(hi.size), min(max(1, MOST - len(self._keys)), hi.size)):
            key = (int(hi[at]), int(lo[at]), int(port[at]))
            if key in self._known:
                continue
            if len(self._keys) >= MOST:
                place = self._random.randrange(MOST)
                self._forget(place)
            self._keys.append(key)
            self._known[key] = Control(key, int(route[at]))

    def choose(self, now: float, rate: float, route: int, most: int) -> list[Control]:
        """The controls of a route to ask now, at most `most`, while `rate` packets a second are sent; they count as asked."""
        if not self._known or now < self._due:
            return []
        pause = 1 / max(1.0, min(A_SECOND, SHARE * rate))
        count = min(most, MOST_MIXED, 1 + int((now - self._due) / pause)) if self._due else min(most, 1)
        self._due = now + self._random.expovariate(1 / pause)
        chosen: list[Control] = []
        for _ in range(count):
            control = self._known[self._random.choice(self._keys)]
            if control.route == route and control.key not in self._awaited:
                control.turn, control.asked, control.sending = control.turn + 1, now, None
                self._awaited[control.key] = control
                chosen.append(control)
        return chosen

    def places(self, count: int, among: int) -> list[int]:
        """Where to put so many controls among other packets."""
        return [self._random.randint(0, among) for _ in range(count)]

    def take_back(self, control: Control) -> None:
        """It could not be asked now."""
        self._awaited.pop(control.key, None)

    def heard(self, key: Key, attempt: int) -> Group | None:
        """An answer to a control. Gives its group, None if no answer to this attempt is awaited."""
        control = self._awaited.get(key)
        if control is None or control.attempt != attempt:
            return None
        del self._awaited[key]
        control.silent = 0
        return control.group

    def expire(self, before: float) -> list[Group]:
        """The groups of those whose question left `before` and that have not answered."""
        late = [control for control in self._awaited.values() if control.gone_at < before]
        for control in late:
            del self._awaited[control.key]
            control.silent += 1
            if control.silent >= GIVE_UP and control.key in self._known:
                self._forget(self._keys.index(control.key))
        return [control.group for control in late if control.group is not None]

    def _forget(self, place: int) -> None:
        self._keys[place], last = self._keys[-1], self._keys[place]
        self._keys.pop()
        del self._known[last]
