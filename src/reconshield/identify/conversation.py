"""One connection and the dialogue of a probe over it: a turn goes in, its answer comes out, within the limits.

What the server said before anything was sent stays in `heard`, and every probe that looks at it without sending finds it anew.
Each answer is recorded as a `model.Turn`. An answer ends when the probe's `until` says so, when the server leaves, when it
falls silent, or at a limit of bytes, pieces or time; so a server that drips or floods costs the same as one that answers.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from reconshield.identify.limits import Limits
from reconshield.identify.probe import Ask, Dialogue, Match, Place, Read, Reconnect, StartTls, Tell, Until, Where
from reconshield.identify.probe import Turn as Step
from reconshield.identify.tls import upgrade
from reconshield.identify.wire import Line, Wire
from reconshield.model import Turn

PIECES = 512
"""An answer in more pieces than this is a drip; it is cut, so that looking at each piece stays cheap."""

ECHO = 4
"""Fewer equal bytes than this prove no echo."""


class ProbeBug(Exception):
    """A probe raised. That is a mistake of ours, never of the server."""


@dataclass(slots=True)
class Outcome:
    """What a dialogue came to. `last` is the last thing heard in it, for the next guess."""

    match: Match | None = None
    turns: list[Turn] = field(default_factory=list)
    last: bytes = b""
    starttls: dict[str, Any] | None = None


@dataclass(slots=True)
class Conversation:
    """A connection in use. `reopen` makes another like it within the endpoint's budget; `started` is its zero time."""

    line: Line | None
    place: Place
    limits: Limits
    context: ssl.SSLContext
    started: float
    deadline: float
    reopen: Callable[[], Awaitable[Line | None]]
    rtt: float = 0.0
    patience: float = 1.5
    heard: bytes = b""
    settled: bool = False
    dirty: bool = False
    answered: bool = False
    echoed: bool = False
    echo_welcome: bool = False
    upgraded: dict[str, Any] | None = None
    turns: list[Turn] = field(default_factory=list)
    taken: int = 0

    @property
    def usable(self) -> bool:
        """Nothing was sent yet, and the server is still there or has left a greeting."""
        return not self.dirty and self.line is not None and (self.line.ended is None or bool(self.heard))

    @property
    def inside(self) -> bool:
        return not isinstance(self.line, Wire)

    async def listen(self, seconds: float) -> bytes:
        """What the server says unasked within `seconds`. The rest of it may still be on its way."""
        self.heard, cut = await self._gather(None, seconds)
        self.settled = cut or not self.heard or self.line is None or self.line.ended is not None
        return self.heard

    async def hold(self, probe: str, dialogue: Dialogue) -> Outcome:
        """Lead a dialogue to its end."""
        self.turns, self.taken = [], 0
        asked, match = advance(probe, dialogue, None)
        while asked is not None:
            answer = await self._take(probe, asked)
            if (self.echoed and not self.echo_welcome) or self.taken > 2 * self.limits.turns:
                dialogue.close()
                break
            asked, match = advance(probe, dialogue, answer)
        last = next((turn.received for turn in reversed(self.turns) if turn.received), b"")
        return Outcome(match, self.turns, last, self.upgraded)

    async def lead_to_tls(self, probe: str, dialogue: Dialogue) -> bool:
        """Follow a dialogue up to where TLS would begin, and leave it there. False when it does not come to that."""
        asked, _ = advance(probe, dialogue, None)
        while asked is not None and self.taken <= self.limits.turns:
            if isinstance(asked, StartTls):
                dialogue.close()
                return True
            asked, _ = advance(probe, dialogue, await self._take(probe, asked))
        return False

    async def _take(self, probe: str, step: Step) -> Any:
        """The answer to one turn. Beyond the limit of turns everything is silent."""
        self.taken += 1
        over = self.taken > self.limits.turns
        match step:
            case Where():
                return replace(self.place, open=self.line is not None and self.line.ended is None, heard=self.heard)
            case StartTls():
                return None if over else await self._upgrade()
            case Reconnect():
                return False if over else await self._renew()
            case Read():
                return b"" if over else await self._hear(probe, step.until)
            case Tell():
                return b"" if over else await self._tell(probe, step.data)
            case Ask():
                return b"" if over else await self._ask(probe, step)

    async def _hear(self, probe: str, until: Until | None) -> bytes:
        if self.dirty or not self.heard:
            data, cut = await self._gather(until, self._wait(), probe=probe)
        elif self.settled:
            data, cut = self.heard, False
        else:
            data, cut = await self._gather(until, self._wait(), self.heard, probe)
        if not self.dirty:
            self.heard = data
        self._record(probe, b"", data, cut)
        return data

    async def _tell(self, probe: str, data: bytes) -> bytes:
        self.dirty = True
        if self.line is not None:
            await self.line.send(data, self._limit())
        self._record(probe, data, b"", False)
        return b""

    async def _ask(self, probe: str, step: Ask) -> bytes:
        silent_before = not self.heard and not self.answered
        if self.heard and not self.dirty and self.line is not None and self.line.ended:
            # It spoke and hung up before it was asked (Redis in protected mode): no question gets another answer.
            self.dirty = True
            self._record(probe, b"", self.heard, False)
            return self.heard
        self.dirty = True
        data, cut = b"", False
        for _ in range(2 if self.place.transport == "udp" else 1):
            if self.line is None or not await self.line.send(step.data, self._limit()):
                break
            data, cut = await self._gather(step.until, self._wait(), probe=probe)
            if data:
                break
        self._record(probe, step.data, data, cut)
        self.echoed = silent_before and is_echo(step.data, data)
        return data

    async def _upgrade(self) -> dict[str, Any] | None:
        self.dirty = True
        if not isinstance(self.line, Wire):
            return None
        shaken = await upgrade(self.line, self.context, self.place.host, self._limit())
        if shaken.line is None:
            self.line.ended = self.line.ended or shaken.problem
            return None
        self.line, self.upgraded = shaken.line, shaken.facts
        return shaken.facts

    async def _renew(self) -> bool:
        self.close()
        self.line = await self.reopen()
        self.heard, self.settled, self.dirty = b"", False, False
        return self.line is not None

    def _wait(self) -> float:
        return self.limits.turn_seconds if self.answered else self.patience + 4 * self.rtt

    def _limit(self) -> float:
        return min(asyncio.get_running_loop().time() + self.limits.turn_seconds, self.deadline)

    async def _gather(self, until: Until | None, wait: float, have: bytes = b"", probe: str = "") -> tuple[bytes, bool]:
        """Bytes until the answer is whole, and whether more may have come. `wait` is for the first of them."""
        data, line = have, self.line
        loop = asyncio.get_running_loop()
        end = min(loop.time() + max(self.limits.turn_seconds, wait), self.deadline)
        by = min(loop.time() + wait, end)
        for _ in range(PIECES):
            if line is None or is_whole(probe, until, data):
                return data, False
            if data:
                pause = self.limits.idle_seconds if until else self.limits.quiet_seconds + self.rtt
                by = min(loop.time() + pause, end)
            piece = await line.receive(by)
            if not piece:
                self.settled = True
                return data, False
            data += piece
            self.answered = True
            if len(data) >= self.limits.turn_bytes:
                return data[: self.limits.turn_bytes], True
            if until is None and (self.place.transport == "udp" or loop.time() >= end):
                return data, False
        return data, True

    def _record(self, probe: str, sent: bytes, received: bytes, cut: bool) -> None:
        kept = self.limits.evidence_bytes
        ms = (asyncio.get_running_loop().time() - self.started) * 1000
        truncated = cut or len(received) > kept or len(sent) > kept
        self.turns.append(Turn(probe, sent[:kept], received[:kept], round(ms, 2), self.inside, truncated))

    def close(self) -> None:
        if self.line is not None:
            self.line.close()


def advance(probe: str, dialogue: Dialogue, answer: Any) -> tuple[Step | None, Match | None]:
    """Hand an answer to the dialogue: its next turn, or its verdict."""
    try:
        return dialogue.send(answer), None
    except StopIteration as verdict:
        return None, verdict.value
    except Exception as bug:
        raise ProbeBug(f"probe {probe} failed: {type(bug).__name__}: {bug}") from bug


def is_whole(probe: str, until: Until | None, data: bytes) -> bool:
    try:
        return bool(data) and until is not None and until(data)
    except Exception as bug:
        raise ProbeBug(f"probe {probe} failed: {type(bug).__name__}: {bug}") from bug


def is_echo(sent: bytes, received: bytes) -> bool:
    """Whether a server gave back what it was given. Short turns prove nothing."""
    if min(len(sent), len(received)) < ECHO:
        return False
    return received.startswith(sent) or sent.startswith(received)
