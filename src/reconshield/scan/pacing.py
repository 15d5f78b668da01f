"""How fast, how long to wait, and how often to ask again. Pure: the time is an argument, in seconds of any steady clock.

    TokenBucket   how many attempts the rate allows now
    HostLimit     when a host may be sent to again
    NetLimit      when an address that has not answered may be sent to, for the sake of its network
    RoundTrip     how long to wait for an answer, from the answers that came
    Window        how many attempts may be open at once; grows with results, halves when the path loses replies
    LossMeter     how many attempts to endpoints that do answer were lost; how often silence is asked again
    estimate_recall   the share of endpoints that answer and were found, from that loss

An answer to a repeated attempt proves that the first was lost (a silent endpoint proves nothing, it may be a firewall). Loss is
measured on those alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, inf, log, sqrt

SAME_QUESTION, AT_ONCE = 1.0, 1.0
"""Seconds for which a question to an address is the same question to its network, and of a network's rate that may be used at
once."""
KEPT_ANSWERED = 131_072


@dataclass(slots=True)
class TokenBucket:
    """At most `rate` attempts a second; after a pause at most 5 ms worth at once. `rate` None allows everything."""

    rate: float | None
    _tokens: float = 1.0
    _at: float | None = None

    def take(self, now: float, wanted: int) -> int:
        """How many of `wanted` attempts may go now. They count as gone."""
        if self.rate is None:
            return wanted
        if self._at is not None:
            self._tokens = min(max(1.0, self.rate * 0.005), self._tokens + (now - self._at) * self.rate)
        self._at = now
        granted = min(wanted, int(self._tokens))
        self._tokens -= granted
        return granted

    def holds(self, count: int) -> bool:
        """Whether so many attempts could go, as far as the last `take` knew."""
        return self.rate is None or self._tokens >= count

    def give_back(self, count: int) -> None:
        """Attempts that were taken and not made."""
        self._tokens += count

    def wait(self) -> float:
        """Seconds from the last `take` until one attempt may go."""
        if self.rate is None or self._tokens >= 1:
            return 0.0
        return (1 - self._tokens) / self.rate


@dataclass(slots=True)
class HostLimit:
    """At most `rate` attempts a second to one host, evenly, with 10 ms of slack for a clock that ticks coarsely.

    Kept is one number a host, the time at which its next attempt is due (the generic cell rate algorithm); a host whose time
    is past owes nothing and is forgotten when the table is tidied, so the table is as large as the hosts of the last second.
    """

    rate: float
    _due: dict[str, float] = field(default_factory=dict)
    _tidy_at: int = 4096

    def ready_at(self, host: str, now: float) -> float:
        """When the host may be sent to: `now`, or later."""
        return max(now, self._due.get(host, now) - 0.01)

    def count(self, host: str, now: float) -> None:
        """An attempt goes to the host now."""
        self._due[host] = max(now, self._due.get(host, now)) + 1 / self.rate
        if len(self._due) > self._tidy_at:
            self._due = {name: due for name, due in self._due.items() if due > now}
            self._tidy_at = max(4096, 2 * len(self._due))

    def __len__(self) -> int:
        return len(self._due)


@dataclass(slots=True)
class NetLimit:
    """At most `rate` addresses a second of one network that have not answered yet, a hundred at once: `gates.NetGate` for one
    address after the other. A network is any number; whoever asks for a turn must take it.
    """

    rate: float
    _due: dict[int, float] = field(default_factory=dict)
    _turns: dict[str, float] = field(default_factory=dict)
    _answered: set[str] = field(default_factory=set)
    _tidy_at: int = 4096

    def is_free(self, host: str, now: float) -> bool:
        """Whether the host may be sent to without a turn: it has answered, or had its turn within a second."""
        return host in self._answered or self._turns.get(host, -inf) > now - SAME_QUESTION

    def turn(self, net: int, host: str, now: float) -> float:
        """When it is the host's turn: `now`, or later."""
        due = max(now, self._due.get(net, now))
        self._due[net] = due + 1 / self.rate
        turn = self._turns[host] = max(now, due - AT_ONCE)
        if len(self._turns) > self._tidy_at:
            self._turns = {name: at for name, at in self._turns.items() if at > now - SAME_QUESTION}
            self._due = {name: at for name, at in self._due.items() if at > now}
            self._tidy_at = max(4096, 2 * len(self._turns))
        return turn

    def answered(self, net: int, host: str, now: float) -> None:
        """The host has sent something itself: its turn is given back. Of very many such hosts the first are forgotten."""
        if host not in self._answered:
            if len(self._answered) >= KEPT_ANSWERED:
                self._answered.clear()
            self._answered.add(host)
            self._due[net] = self._due.get(net, now) - 1 / self.rate


@dataclass(slots=True)
class RoundTrip:
    """The time-out of an attempt, by RFC 6298 §2: smoothed round trip plus four times its variation, within bounds.

    `floor` should be 0.1 s for one host and more for many, because the estimate is of the whole scan and hosts differ. Until
    the first answer the time-out is `first`: one second (RFC 6298 §2.1) and a little, so that with one repetition it outlasts
    the three seconds after which a kernel says that nobody on the link has the address.
    """

    floor: float = 0.1
    first: float = 1.2
    ceiling: float = 3.0
    smoothed: float | None = None
    variation: float = 0.0

    def sample(self, seconds: float) -> None:
        """An answer came after `seconds`."""
        if self.smoothed is None:
            self.smoothed, self.variation = seconds, seconds / 2
            return
        self.variation += (abs(self.smoothed - seconds) - self.variation) / 4
        self.smoothed += (seconds - self.smoothed) / 8

    def timeout(self, tries: int = 0) -> float:
        """Seconds to wait for an attempt that was made `tries` times before; doubles each time (RFC 6298 §5.5)."""
        estimate = self.first if self.smoothed is None else self.smoothed + 4 * self.variation
        return float(min(self.ceiling, max(self.floor, estimate) * 2**tries))


@dataclass(slots=True)
class LossMeter:
    """The share of attempts that were lost, among those to endpoints that answered in the end."""

    retries: int = 1
    most: int = 4
    wanted: float = 1e-4
    answered: int = 0
    recovered: int = 0

    def count(self, answers: int, lost: int) -> None:
        """So many endpoints answered, after so many attempts that were lost."""
        self.answered += answers
        self.recovered += lost

    @property
    def loss(self) -> float:
        attempts = self.answered + self.recovered
        return self.recovered / attempts if attempts else 0.0

    def allowed(self) -> int:
        """How often silence is asked again: until fewer than 1 in 10,000 answers would be missed, within the bounds.

        With a share p of attempts lost, r repetitions miss p^(r+1). Fewer than three losses are no measurement.
        """
        if self.recovered < 3:
            return self.retries
        needed = ceil(log(self.wanted) / log(min(self.loss, 0.9))) - 1
        return max(self.retries, min(self.most, needed))


@dataclass(slots=True)
class Window:
    """How many attempts may be open at once: doubles with each round of results, then grows by one a round.

    It halves when more than 5 % of a round's answers needed a repetition (a few lost packets are weather, not overload), and
    falls to what is possible when the system has no more file descriptors, source ports or memory; `slowed` then says why.
    """

    most: int
    size: float = 256.0
    slowed: str | None = None
    _threshold: float = float("inf")
    _answers: int = 0
    _recovered: int = 0

    def __post_init__(self) -> None:
        self.size = min(self.size, self.most)

    def room(self, opened: int) -> int:
        """How many more attempts may be opened."""
        return int(self.size) - opened

    def finished(self, count: int) -> None:
        """So many attempts ended, with whatever result."""
        self.size = min(self.most, self.size + (count if self.size < self._threshold else count / self.size))

    def answered(self, answers: int, lost: int) -> None:
        """So many endpoints answered, after so many attempts that were lost."""
        self._answers += answers
        self._recovered += lost
        if self._recovered >= 8 and self._recovered > 0.05 * self._answers:
            self._shrink(self.size / 2, "replies are lost")
        elif self._answers >= max(400.0, self.size):
            self._answers = self._recovered = 0

    def starved(self, opened: int, why: str) -> None:
        """The system refused one more than the `opened` attempts."""
        self._shrink(opened * 0.75, why)

    def _shrink(self, size: float, why: str) -> None:
        self.size = self._threshold = max(1.0, size)
        self._answers = self._recovered = 0
        self.slowed = f"slowed to {int(self.size):,} connections at once: {why}"


CONFIDENCE = 1.96
"""Standard deviations: an interval that holds the truth in 95 of 100 cases."""


def estimate_recall(answered: int, lost: int, retries: int) -> tuple[float, float] | None:
    """The share of the endpoints that answer and were found, as an interval; None where no loss was measured.

    The loss of one attempt lies in Wilson's interval (Wilson 1927); an endpoint is missed when all its attempts are lost. That
    takes losses as independent of each other, and endpoints that answer nobody are none of those counted.
    """
    if not answered:
        return None
    attempts = LossMeter(retries, answered=answered, recovered=lost).allowed() + 1
    low, high = wilson(lost, answered + lost)
    return float(1 - high**attempts), float(1 - low**attempts)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The interval in which a share lies of which `hits` among `of` were seen."""
    share, square = hits / of, CONFIDENCE**2
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = CONFIDENCE * sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)
