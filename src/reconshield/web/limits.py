"""How much one visitor may ask of the API: a bucket of tokens each, which fills again as time goes.

By session or token where somebody is known, else by address (IPv6: by /64, for one household has so many). Buckets are of this
process; of too many the one that was used longest ago is forgotten, so no crowd of addresses makes the table grow without end.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import ceil

from reconshield.errors import UserError

MOST_BUCKETS = 20_000


class TooMany(UserError):
    """The bucket is empty; there is room again after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many requests", where="rate limit", hint=f"try again in {max(1, ceil(seconds))} s")
        self.seconds = max(1, ceil(seconds))


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many requests at once, and so many a second in the long run."""

    name: str
    burst: int
    per_second: float


KNOWN = Allowance("visitor", 240, 20.0)
STRANGER = Allowance("address", 30, 1.0)


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of an allowance, and the seconds until it is whole again."""

    allowance: Allowance
    remaining: int
    whole_in: int
    wait: float = 0.0
    """Seconds until a request is taken again; 0 when this one was."""

    def headers(self) -> Iterable[tuple[str, str]]:
        """As draft-ietf-httpapi-ratelimit-headers spells it."""
        window = ceil(self.allowance.burst / self.allowance.per_second)
        yield "ratelimit-policy", f'"{self.allowance.name}";q={self.allowance.burst};w={window}'
        yield "ratelimit", f'"{self.allowance.name}";r={self.remaining};t={self.whole_in}'


@dataclass(slots=True)
class Limits:
    """The buckets of one process. `clock` is monotonic seconds."""

    known: Allowance = KNOWN
    stranger: Allowance = STRANGER
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, who: str, allowance: Allowance) -> Left:
        """Count one request of somebody."""
        now = self.clock()
        with self._lock:
            level, before = self._buckets.pop(who, (float(allowance.burst), now))
            level = min(allowance.burst, level + (now - before) * allowance.per_second)
            allowed = level >= 1
            level -= allowed
            self._buckets[who] = (level, now)
            while len(self._buckets) > MOST_BUCKETS:
                self._buckets.popitem(last=False)
        wait = 0.0 if allowed else (1 - level) / allowance.per_second
        return Left(allowance, int(level), ceil((allowance.burst - level) / allowance.per_second), wait)
