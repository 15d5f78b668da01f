"""The inquiry into one endpoint: connect, listen, choose, ask, until a probe matches or the budget is spent.

    connect ── listens ──▸ greeting ──▸ the probe that knows it
                   └─▸ silence ──▸ the port's probe ─▸ TLS ─▸ the rest, each on a connection of its own
                                      TLS runs ──▸ the same again inside it

Every answer to a wrong question is a hint that may change what comes next. While a silent server is asked, one connection goes
on listening, for those that greet late. What comes out is a `model.Service`, and it says no more than was seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from dataclasses import dataclass
from typing import Any

from reconshield.identify import order
from reconshield.identify.conversation import Conversation, Outcome, ProbeBug, is_echo
from reconshield.identify.limits import Limits
from reconshield.identify.own_hello import read_with_own_hello
from reconshield.identify.probe import Match, Place, Probe
from reconshield.identify.tls import Handshake, shows_identity, upgrade
from reconshield.identify.tls_hello import looks_like_tls
from reconshield.identify.wire import RESET, Line, Meter, Wire, connect
from reconshield.knowledge.speech import recognise
from reconshield.model import Endpoint, Rung, Turn

RUNGS = list(Rung)


@dataclass(frozen=True, slots=True)
class Kit:
    """What all inquiries of a run share."""

    limits: Limits
    probes: tuple[Probe, ...]
    context: ssl.SSLContext


class Inquiry:
    """Everything learned about one endpoint so far, and the means to learn more. `verdict` makes a service of it."""

    def __init__(self, endpoint: Endpoint, name: str | None, kit: Kit) -> None:
        self.endpoint, self.name, self.kit = endpoint, name, kit
        self.started = asyncio.get_running_loop().time()
        self.at = time.time()
        self.deadline = self.started + kit.limits.endpoint_seconds
        self.budget = kit.limits.connections
        self.meter = Meter(kit.limits.endpoint_bytes)
        self.rung = Rung.SYN_ACK
        self.match: Match | None = None
        self.probe: Probe | None = None
        self.tls_facts: dict[str, Any] | None = None
        self.starttls: dict[str, Any] | None = None
        self.evidence: list[Turn] = []
        self.others: list[str] = []
        self.notes: list[str] = []
        self.tried: set[str] = set()
        self.echoes = False
        self.silences = 0
        self._tls_done = False
        self._opened: list[Conversation] = []
        self._listener: asyncio.Task[Conversation | None] | None = None
        self._listened = False

    async def run(self) -> None:
        """Find out what speaks here."""
        try:
            async with asyncio.timeout_at(self.deadline + 1):
                if self.endpoint.transport == "udp":
                    await self._ask_around(None, tls=False)
                elif conversation := await self.open(tls=False):
                    await self._explore(conversation, tls=False)
        except TimeoutError:
            self.notes.append(f"stopped after {self.kit.limits.endpoint_seconds:.0f} s")
        finally:
            await self.leave()
        if self.match is None:
            self._say_untried()

    async def hear_only(self, why: str) -> None:
        """A held-back endpoint: one connection, no byte; its greeting may be read."""
        self.notes.append(f"held back: {why}")
        if self.endpoint.transport == "udp":
            return
        try:
            if conversation := await self.open(tls=False):
                self._keep_greeting(await conversation.listen(2.0))
        finally:
            await self.leave()

    async def ask_machine(self) -> None:
        """A machine that its owner lets us ask: the port's own read-only probes, no TLS, nothing else."""
        self._tls_done = True
        await self.run()

    async def leave(self) -> None:
        """Close every connection that is still open."""
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
        for conversation in self._opened:
            conversation.close()

    # ── connections ──

    async def connect(self) -> Wire | None:
        """A connection within the budget. A failure is noted when there has been none before."""
        if self.budget <= 0 or self.meter.spent or asyncio.get_running_loop().time() > self.deadline:
            return None
        self.budget -= 1
        made = await connect(self.endpoint, self.kit.limits.connect_seconds, self.meter)
        if isinstance(made, str):
            if self.rung is Rung.SYN_ACK:
                self.notes = [f"no connection: {made}"]
            if made is RESET:
                self.climb(Rung.HANDSHAKE)
            return None
        if self.endpoint.transport == "tcp":
            self.climb(Rung.HANDSHAKE)
        return made

    async def open(self, tls: bool) -> Conversation | None:
        """A connection to talk over, in TLS if asked."""
        wire = await self.connect()
        if wire is None:
            return None
        if not tls:
            return self.converse(wire, wire.rtt, tls=False)
        shaken = await self.shake(wire)
        if shaken.line is None:
            wire.close()
            return None
        return self.converse(shaken.line, wire.rtt, tls=True)

    def converse(self, line: Line, rtt: float, tls: bool) -> Conversation:
        async def reopen() -> Line | None:
            again = await self.open(tls)
            return again.line if again else None

        place = Place(self.name or self.endpoint.ip, self.endpoint.port, self.endpoint.transport, tls)
        kit = self.kit
        made = Conversation(line, place, kit.limits, kit.context, self.started, self.deadline, reopen, rtt)
        self._opened.append(made)
        return made

    async def shake(self, wire: Wire) -> Handshake:
        limits = self.kit.limits
        patience = (
            limits.turn_seconds if order.tls_first(self.endpoint.port) or self.tls_facts else limits.silence_seconds + 0.5
        )
        by = min(asyncio.get_running_loop().time() + patience + 4 * wire.rtt, self.deadline)
        return await upgrade(wire, self.kit.context, self.name, by)

    def climb(self, rung: Rung) -> None:
        self.rung = max(self.rung, rung, key=RUNGS.index)

    # ── strategy ──

    async def _explore(self, conversation: Conversation, tls: bool) -> None:
        """Listen, then either answer the greeting or ask."""
        seconds = order.listen_seconds(self.endpoint.port, tls, conversation.rtt, self.kit.probes)
        greeting = await conversation.listen(seconds)
        if greeting:
            await self._answer_greeting(conversation, tls)
            return
        if conversation.line is not None and conversation.line.ended:
            self.budget = min(self.budget, 2)  # it hangs up at once; a second look is fair, eight are not
        else:
            self.climb(Rung.STAYS_OPEN)
        await self._ask_around(conversation, tls)

    async def _answer_greeting(self, conversation: Conversation | None, tls: bool) -> None:
        greeting = conversation.heard if conversation else b""
        self.climb(Rung.BYTES)
        named = recognise(greeting)
        for probe in order.candidates(self.endpoint.port, "tcp", greeting, tls, self.kit.probes):
            if conversation is None or not conversation.usable:
                if probe.name not in named:
                    break  # a look at the greeting is free, a new connection for a long shot is not
                conversation = await self.open(tls)
            if conversation is None:
                break
            conversation.patience = self.kit.limits.turn_seconds
            await self._try(probe, conversation)
            if self._is_sure():
                return
            if conversation.dirty:
                conversation.close()
        if self.match is None:
            self._keep_greeting(greeting)

    async def _ask_around(self, conversation: Conversation | None, tls: bool) -> None:
        port, transport, probes = self.endpoint.port, self.endpoint.transport, self.kit.probes
        waiting = [*order.candidates(port, transport, b"", tls, probes)]
        if order.greets(port, probes) and conversation and conversation.usable and not order.tls_first(port):
            self._listen_on(conversation, tls)
            conversation = None
        tls_due = order.tls_first(port)
        while self.match is None and not self.echoes:
            if transport == "tcp" and not tls and not self._tls_done and (tls_due or not waiting):
                hints = await self._try_tls(conversation)
                if self.tls_facts is not None:
                    return
            elif waiting:
                probe = waiting.pop(0)
                if conversation is None or not conversation.usable:
                    conversation = await self.open(tls)
                if conversation is None:
                    break
                hints = recognise((await self._try(probe, conversation)).last)
                if self._watch_silence(conversation, tls) and probe.name == "http":
                    waiting = order.after_silence(waiting)
                conversation.close()
            else:
                break
            conversation = None
            tls_due = True
            waiting = order.promote(
                waiting, hints, [p for p in probes if p.transport == transport and p.name not in self.tried]
            )
            if self._listener and self._listener.done() and await self._late_greeting(tls):
                return
        await self._settle(tls)

    async def _settle(self, tls: bool) -> None:
        """The last steps of asking: an echo is named, a match that wants TLS is followed, a late greeting awaited."""
        if self.echoes:
            await self._name_echo(tls)
        elif self.match is None and self._listener and self.rung is Rung.STAYS_OPEN:
            await self._late_greeting(tls)
        elif self.match is not None and self.match.facts.get("tls_expected") and not tls and not self._tls_done:
            await self._follow_to_tls()

    async def _follow_to_tls(self) -> None:
        plain, probe = self._withdraw()
        await self._try_tls(None)
        self.others += [f"{plain.service} without TLS: the server asked for TLS"] if plain and self.match else []
        if self.match is None:
            self.match, self.probe = plain, probe

    async def _try(self, probe: Probe, conversation: Conversation) -> Outcome:
        """One probe on one connection. What it learned, and what it heard, is kept if it said anything."""
        self.tried.add(probe.name)
        if not conversation.answered:
            conversation.patience = self._patience(probe)
        conversation.echo_welcome = probe.name == "echo"
        try:
            outcome = await conversation.hold(probe.name, probe.run())
        except ProbeBug as bug:
            if self.kit.limits.strict:
                raise
            self.notes.append(f"{bug} (a bug of ours)")
            return Outcome(turns=conversation.turns)
        self.echoes = self.echoes or conversation.echoed
        if conversation.dirty or outcome.match:
            self.keep(outcome.turns)
        if outcome.last:
            self.climb(Rung.BYTES)
        if outcome.match is not None and (conversation.echo_welcome or not conversation.echoed):
            self._accept(probe, outcome.match, outcome)
        return outcome

    def _patience(self, probe: Probe) -> float:
        """How long to wait for a first answer: longer where the port suggests it, shorter after three silences."""
        seconds = self.kit.limits.silence_seconds
        usual = self.endpoint.port in probe.ports
        if self.endpoint.transport == "udp":  # each datagram is sent twice
            return seconds if usual else seconds / 3
        return 2 * seconds if usual else seconds if self.silences < 3 else seconds * 2 / 3

    def _withdraw(self) -> tuple[Match | None, Probe | None]:
        """Take back the match, for a better one to be found."""
        match, probe = self.match, self.probe
        self.match = self.probe = None
        return match, probe

    def _is_sure(self) -> bool:
        return self.match is not None and self.match.sure

    def _accept(self, probe: Probe, match: Match, outcome: Outcome) -> None:
        if self.match is not None and not match.sure:
            self.others.append(f"{match.service}: only the shape of the greeting")
            return
        if self.match is not None:
            self.others.append(f"{self.match.service}: only the shape of the greeting")
        self.match, self.probe = match, probe
        self.starttls = outcome.starttls
        self.climb(Rung.PROTOCOL if match.sure else Rung.BYTES)
        if shows_identity(outcome.starttls):
            self.climb(Rung.TLS_IDENTITY)

    # ── TLS ──

    async def _try_tls(self, conversation: Conversation | None) -> tuple[str, ...]:
        """Try TLS, and go on inside it when it runs. Gives back what the answer hints at when it does not."""
        self._tls_done = True
        wire: Line | None = conversation.line if conversation and conversation.usable else await self.connect()
        if not isinstance(wire, Wire):
            return ()
        shaken = await self.shake(wire)
        if shaken.line is not None:
            self.tls_facts = shaken.facts
            self.climb(Rung.TLS_IDENTITY if shows_identity(shaken.facts) else Rung.BYTES)
            await self._explore(self.converse(shaken.line, wire.rtt, tls=True), tls=True)
            return ()
        wire.close()
        kept = self.kit.limits.evidence_bytes
        if shaken.heard:
            self.climb(Rung.BYTES)
            ms = (asyncio.get_running_loop().time() - self.started) * 1000
            cut = len(shaken.heard) > kept
            self.keep([Turn("tls", shaken.sent[:kept], shaken.heard[:kept], round(ms, 2), truncated=cut)])
        self.echoes = is_echo(shaken.sent, shaken.heard)
        if not self.echoes and (shaken.answer.speaks_tls or looks_like_tls(shaken.heard)):
            self.tls_facts = await read_with_own_hello(self.connect, self.name, self.deadline)
            self.climb(Rung.TLS_IDENTITY if shows_identity(self.tls_facts) else Rung.BYTES)
            self.notes.append(f"TLS, but no session: {shaken.problem}")
        return recognise(shaken.heard)

    # ── late greetings, echoes ──

    def _watch_silence(self, conversation: Conversation, tls: bool) -> bool:
        """Whether a question was met by silence on an open connection. After the first such one, keep one ear open."""
        if conversation.answered or self.endpoint.transport == "udp":
            return False
        self.silences += 1
        silent = conversation.line is not None and conversation.line.ended is None
        if silent and not self._listened and self.budget > 2:
            self._listen_on(None, tls)
        return silent

    def _listen_on(self, conversation: Conversation | None, tls: bool) -> None:
        async def listen() -> Conversation | None:
            ear = conversation or await self.open(tls)
            if ear is not None:
                await ear.listen(self.kit.limits.late_greeting_seconds)
            return ear if ear and ear.heard else None

        self._listener, self._listened = asyncio.create_task(listen()), True

    async def _late_greeting(self, tls: bool) -> bool:
        """Whether the ear heard something; if so it has been followed."""
        if self._listener is None:
            return False
        heard, self._listener = await self._listener, None
        if heard is not None:
            await self._answer_greeting(heard, tls)
        return heard is not None

    async def _name_echo(self, tls: bool) -> None:
        self._withdraw()
        self.notes.append("sends back what it is sent")
        for probe in self.kit.probes:
            if probe.name == "echo" and probe.transport == self.endpoint.transport and (ear := await self.open(tls)):
                await self._try(probe, ear)

    # ── evidence ──

    def _keep_greeting(self, greeting: bytes) -> None:
        if greeting:
            self.climb(Rung.BYTES)
            kept = self.kit.limits.evidence_bytes
            self.keep([Turn("listen", b"", greeting[:kept], truncated=len(greeting) > kept)])

    def keep(self, turns: list[Turn]) -> None:
        self.evidence += turns[: self.kit.limits.evidence_turns - len(self.evidence)]

    def _say_untried(self) -> None:
        left = [p for p in self.kit.probes if p.transport == self.endpoint.transport and not p.speaks_first]
        count = sum(p.name not in self.tried and p.name != "echo" for p in left)
        greeted = any(turn.probe == "listen" for turn in self.evidence)
        if count and not self.echoes and not greeted and self.rung is not Rung.SYN_ACK:
            self.notes.append(f"{count} probes not tried")
