"""The UDP engine for processes that may open packet sockets: thousands of questions in flight, without a socket for each.

Blocks of a plan go in; the UDP pairs of each come out once, with state and reason, as from `udp`. `reachable` says for which
addresses it can be used: not for this machine's own (raw packets to oneself are dropped) nor over devices with a link layer
that this program does not build; those are left to `udp`. One lane does the work, in a child process where forking is safe,
else in a thread; it gives up all privileges once its sockets are open.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from reconshield.addresses import AddressSet
from reconshield.host.privileges import drop_capabilities
from reconshield.knowledge.payloads import DATAGRAMS
from reconshield.model import Transport
from reconshield.scan.cookies import KEY_BYTES, Cookies
from reconshield.scan.crew import BlockDone, Crew, may_fork
from reconshield.scan.effort import Options, Progress, report
from reconshield.scan.gates import HostGate, NetGate
from reconshield.scan.lane import Pace, Tally, World
from reconshield.scan.neighbours import Neighbours
from reconshield.scan.net_queue import NetQueue
from reconshield.scan.pacing import LossMeter, RoundTrip, TokenBucket, Window
from reconshield.scan.raw_udp_block import Block
from reconshield.scan.raw_udp_lane import Means, RawUdpLane
from reconshield.scan.route import Routes, find_routes
from reconshield.scan.space import AddressSpace
from reconshield.scan.udp import FLOOR_MANY, FLOOR_ONE, PER_HOST, check
from reconshield.scan.udp_questions import Questions
from reconshield.scan.udp_wire import SOURCE_PORTS, Wire, is_sent_raw

if TYPE_CHECKING:
    from reconshield.scan.plan import Plan
    from reconshield.scope import Targets

FIRST_WINDOW, MOST_WINDOW = 2048.0, 65_536


def reachable(addresses: AddressSet) -> AddressSet:
    """The addresses for which raw packets can be used, or that no packet reaches at all."""
    found = AddressSet()
    for route in find_routes(addresses):
        if route.verdict is not None or is_sent_raw(route):
            found |= route.addresses
    return found


def measure(
    plan: Plan,
    targets: Targets,
    blocks: Iterable[int],
    options: Options | None = None,
    stop: threading.Event | None = None,
    among: AddressSet | None = None,
) -> Iterator[BlockDone | Progress]:
    """Measure the UDP pairs of the blocks, of the addresses `among`, all `reachable`. Raises as `udp.measure` does."""
    check(plan, targets)
    return _measure(plan, targets, blocks, options or Options(), stop or threading.Event(), among or plan.targets)


def _measure(
    plan: Plan, targets: Targets, blocks: Iterable[int], options: Options, stop: threading.Event, among: AddressSet
) -> Iterator[BlockDone | Progress]:
    routes, space, exempt = find_routes(among), AddressSpace(among), AddressSpace(targets.exempt)
    everything = among.covers(plan.targets)

    def load(number: int) -> Block:
        pairs = plan.pairs(number)
        mine = pairs.transport == Transport.UDP
        if not everything:
            mine &= space.find(pairs.hi, pairs.lo) >= 0
        return Block(number, pairs, np.flatnonzero(mine), exempt.find(pairs.hi, pairs.lo) < 0)

    def make_lane(world: World[Block], tally: Tally) -> _Runner:
        return _Runner(world, tally, plan, targets, options, routes)

    with Crew(load, make_lane, iter(blocks), stop, children=1 if may_fork() else 0) as crew:
        yield from report(crew)


class _Runner:
    """A lane with the sockets that it needs, opened where it runs."""

    def __init__(
        self, world: World[Block], tally: Tally, plan: Plan, targets: Targets, options: Options, routes: Routes
    ) -> None:
        self._world, self._tally, self._plan = world, tally, plan
        self._targets, self._options, self._routes = targets, options, routes

    def run(self) -> None:
        """Open the sockets, give up privileges, work, close."""
        plan, options = self._plan, self._options
        per_host = options.per_host or PER_HOST
        pace = Pace(
            window=Window(most=MOST_WINDOW, size=FIRST_WINDOW),
            rtt=RoundTrip(floor=FLOOR_ONE if plan.targets.count == 1 else FLOOR_MANY),
            loss=LossMeter(retries=min(options.retries, DATAGRAMS - 1), most=DATAGRAMS - 1),
            bucket=TokenBucket(min(options.rate or inf, per_host * plan.targets.count)),
            hosts=None,
        )
        # Where a host has fewer ports than it may be asked in a second, no limit of its can be reached.
        hosts = HostGate(per_host) if plan.ports.count * DATAGRAMS > per_host else None
        nets = NetQueue(NetGate(options.per_net)) if options.per_net else None
        with Wire(self._routes) as wire, Neighbours(self._routes) as neighbours:
            drop_capabilities()
            questions = Questions(
                plan.ports, self._targets.level, Cookies(secrets.token_bytes(KEY_BYTES)), wire.base, SOURCE_PORTS
            )
            means = Means(plan, self._routes, wire, neighbours, questions, hosts, 1 / per_host, nets, options.patience)
            RawUdpLane(self._world, self._tally, pace, means).run()
