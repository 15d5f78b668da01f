"""Drive probes over open endpoints: many at once, few per host, each result as soon as it is there.

    open endpoints ─▸ Turnstile (fair to hosts) ─▸ Inquiry per endpoint ─▸ model.Service

`identify` is the asynchronous iterator; `identify_all` runs it in this thread and ends cleanly when it is interrupted. Only
`scope.Targets` say what may be asked; an endpoint outside them is refused before anything is sent. Endpoints are taken from the
iterable as they are needed, so memory does not grow with their number.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from reconshield.errors import Refused
from reconshield.identify import order, posture
from reconshield.identify.inquiry import Inquiry, Kit
from reconshield.identify.limits import Limits
from reconshield.identify.names import choose_names, names_told, probe_by_name, wants_name
from reconshield.identify.probe import Match, Probe
from reconshield.identify.tls import make_context
from reconshield.model import Confidence, Endpoint, Service, Tls
from reconshield.scope import Targets

IDENTIFY, ASSESS = 3, 4
CONNECTIONS_BY_NAME = 3
NAMES_KEPT = 64
STOP_SECONDS = 0.2
"""How often a wish to stop is looked for."""


class Turnstile:
    """Lets endpoints in: at most `room(host)` of one host at a time, hosts in turn, looking `ahead` into the iterable."""

    def __init__(self, endpoints: Iterable[Endpoint], room: Callable[[str], int], ahead: int) -> None:
        self._endpoints = iter(endpoints)
        self._room, self._ahead = room, ahead
        self._waiting: dict[str, deque[Endpoint]] = {}
        self._inside: dict[str, int] = {}
        self._hosts: deque[str] = deque()
        self._count = 0

    def enter(self) -> Endpoint | None:
        """The next endpoint whose host has room; None when there is none now."""
        while self._count < self._ahead and (endpoint := next(self._endpoints, None)) is not None:
            self._count += 1
            queue = self._waiting.setdefault(endpoint.ip, deque())
            queue.append(endpoint)
            if len(queue) == 1 and self._inside.get(endpoint.ip, 0) < self._room(endpoint.ip):
                self._hosts.append(endpoint.ip)
        if not self._hosts:
            return None
        host = self._hosts.popleft()
        endpoint = self._waiting[host].popleft()
        self._count -= 1
        self._inside[host] = self._inside.get(host, 0) + 1
        self._offer(host)
        return endpoint

    def leave(self, host: str) -> None:
        full = self._inside[host] >= self._room(host)
        self._inside[host] -= 1
        if not self._inside[host]:
            del self._inside[host]
        if full:
            self._offer(host)

    def _offer(self, host: str) -> None:
        """Let a host have another turn if it has endpoints waiting and room for one."""
        if not self._waiting.get(host):
            self._waiting.pop(host, None)
        elif self._inside.get(host, 0) < self._room(host):
            self._hosts.append(host)


async def identify(
    targets: Targets,
    endpoints: Iterable[Endpoint],
    level: int | None = None,
    limits: Limits | None = None,
    probes: tuple[Probe, ...] | None = None,
) -> AsyncGenerator[Service, None]:
    """What speaks on each endpoint, in the order in which it becomes known.

    `level` may lower that of `targets`, never raise it; below 3 nothing is sent. `probes` default to all there are. Raises
    `errors.Refused` at an endpoint that `targets` does not allow.
    """
    limits = limits or Limits()
    if probes is None:
        from reconshield.identify.probes import PROBES

        probes = PROBES
    reached = targets.level if level is None else min(level, targets.level)
    kit = Kit(limits, probes, make_context())

    def room(host: str) -> int:
        return limits.per_own_host if host in targets.exempt else limits.per_host

    stile = Turnstile(allowed(targets, endpoints), room, limits.ahead)
    done: asyncio.Queue[asyncio.Task[Service]] = asyncio.Queue()
    running: set[asyncio.Task[Service]] = set()
    told: dict[str, list[str]] = {}
    nameless: list[Service] = []
    try:
        while True:
            while len(running) < limits.concurrency and (endpoint := stile.enter()) is not None:
                task = asyncio.create_task(inquire(endpoint, targets.names.get(endpoint.ip), reached, kit))
                running.add(task)
                task.add_done_callback(done.put_nowait)
            if not running:
                break
            finished = await done.get()
            running.discard(finished)
            service = finished.result()
            stile.leave(service.endpoint.ip)
            told[service.endpoint.ip] = [*told.get(service.endpoint.ip, ()), *islice(names_told(service), NAMES_KEPT)][
                :NAMES_KEPT
            ]
            if wants_name(service) and service.name is None:
                nameless.append(service)
            else:
                yield service
        for service in nameless:
            yield await ask_by_name(service, choose_names(told[service.endpoint.ip], service), reached, kit)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def identify_all(
    targets: Targets,
    endpoints: Iterable[Endpoint],
    level: int | None = None,
    limits: Limits | None = None,
    probes: tuple[Probe, ...] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Service]:
    """`identify` for callers without an event loop. Between two results nothing runs, so be quick about each.

    Once `stop` is set it ends within `STOP_SECONDS`; endpoints without a result are left as they are.
    """
    stop = stop or threading.Event()

    async def take(services: AsyncIterator[Service]) -> Service | None:
        coming = asyncio.ensure_future(anext(services, None))
        while not stop.is_set():
            if (await asyncio.wait({coming}, timeout=STOP_SECONDS))[0]:
                return coming.result()
        coming.cancel()
        await asyncio.wait({coming})
        return None

    with asyncio.Runner() as runner:
        services = identify(targets, endpoints, level, limits, probes)
        try:
            while (service := runner.run(take(services))) is not None:
                yield service
        finally:
            runner.run(finish(services))


async def ask_by_name(service: Service, names: Iterable[str], level: int, kit: Kit) -> Service:
    """Ask again under names that the host gives itself; the same service where none of them is its own."""
    probes = tuple(probe for probe in kit.probes if probe.name == probe_by_name(service))
    few = replace(kit, probes=probes, limits=replace(kit.limits, connections=CONNECTIONS_BY_NAME))
    for name in names:
        again = await inquire(service.endpoint, name, level, few)
        if again.service != "unknown" and not wants_name(again):
            facts = {**again.facts, "asked_as": name}
            return replace(
                again, name=None, product=again.product or service.product, cpe=again.cpe or service.cpe, facts=facts
            )
    return service


async def finish(services: AsyncGenerator[Service, None]) -> None:
    await services.aclose()


def allowed(targets: Targets, endpoints: Iterable[Endpoint]) -> Iterator[Endpoint]:
    for endpoint in endpoints:
        if not targets.allows(endpoint.ip):
            raise Refused(f"{endpoint} is outside the scope", hint="reconshield grant list")
        yield endpoint


async def inquire(endpoint: Endpoint, name: str | None, level: int, kit: Kit) -> Service:
    """All that may be done about one endpoint at this level."""
    why = kit.limits.held(endpoint)
    machine_probes = order.for_machines(endpoint, kit.probes) if why and kit.limits.touch_ot else ()
    asked = machine_probes or tuple(probe for probe in kit.probes if not probe.touches_ot)
    inquiry = Inquiry(endpoint, name, replace(kit, probes=asked))
    if level < IDENTIFY:
        inquiry.notes.append(f"not identified: level {level} sends nothing after the port scan")
    elif why and not machine_probes:
        await inquiry.hear_only(why)
    elif machine_probes:
        await inquiry.ask_machine()
    else:
        await inquiry.run()
        if level >= ASSESS:
            await posture.assess(inquiry)
    return verdict(inquiry)


def verdict(inquiry: Inquiry) -> Service:
    """The service that an inquiry found, or `unknown` with whatever was seen."""
    match = inquiry.match
    facts: dict[str, Any] = dict(match.facts) if match else {}
    if inquiry.starttls is not None and "starttls_tls" in facts:
        facts["starttls_tls"] = inquiry.starttls
    if inquiry.tls_facts:
        facts["tls"] = inquiry.tls_facts
    found = match or Match("unknown")
    sure = Confidence.CONFIRMED if found.sure else Confidence.PROBABLE
    return Service(
        inquiry.endpoint,
        found.service,
        sure if match else Confidence.GUESS,
        at=time.time(),
        product=found.product,
        version=found.version,
        cpe=found.cpe,
        tls=tls_form(inquiry, facts),
        rung=inquiry.rung,
        probe=inquiry.probe.name if inquiry.probe else None,
        facts=facts,
        evidence=tuple(inquiry.evidence),
        others=tuple(inquiry.others),
        note="; ".join(dict.fromkeys(inquiry.notes)) or None,
        name=inquiry.name,
    )


def tls_form(inquiry: Inquiry, facts: dict[str, Any]) -> Tls:
    if inquiry.tls_facts is not None:
        return Tls.IMPLICIT
    if inquiry.starttls is not None or facts.get("starttls") in {"offered", "required"}:
        return Tls.STARTTLS
    return Tls.NONE
