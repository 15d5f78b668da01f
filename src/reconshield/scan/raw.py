"""The engine that sends packets itself: stateless SYNs through the kernel's packet rings, built and read in columns.

Blocks of a plan go in; each comes out once, as from `connect`, with what a raw scan sees beyond that: TTL, exact round trips,
and reset instead of refused. `raw_lane` is the loop; here is what it needs, opened in a process of its own that gives up its
privileges before the first packet of somebody else is read.

    for event in measure(plan, targets, range(plan.blocks)): ...

Linux only; needs CAP_NET_RAW to begin. No rule of the machine's firewall and no other setting is changed.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from reconshield.errors import Refused, UserError
from reconshield.host.privileges import drop_capabilities
from reconshield.model import Transport
from reconshield.scan.controls import Controls
from reconshield.scan.cookies import KEY_BYTES, Cookies
from reconshield.scan.crew import BlockDone, Crew, may_fork
from reconshield.scan.effort import Options, Progress, report
from reconshield.scan.flight import Flight
from reconshield.scan.gates import HostGate, NetGate
from reconshield.scan.lane import Tally, World
from reconshield.scan.neighbours import Neighbours
from reconshield.scan.outbox import Gear, RawPace
from reconshield.scan.pacing import LossMeter, RoundTrip, TokenBucket
from reconshield.scan.path_rate import PathRate
from reconshield.scan.raw_lane import RawLane
from reconshield.scan.route import find_routes
from reconshield.scan.source_ports import find_source_ports
from reconshield.scan.space import AddressSpace
from reconshield.scan.syn import SynMethod
from reconshield.scan.wires import Wires

if TYPE_CHECKING:
    from reconshield.scan.plan import Plan
    from reconshield.scope import Targets

FRAME_BYTES = 58
"""A SYN to an IPv4 address: Ethernet 14, IP 20, TCP 20 and one option of 4."""

ONE_FLOOR, MANY_FLOOR = 0.1, 0.5
"""Seconds that an answer is waited for at least: from one host, and from several, of which the slowest counts."""

BLOCKS_KEPT = 4
"""Finished blocks that wait for a slow reader: ten megabytes each at most."""


def measure(
    plan: Plan, targets: Targets, blocks: Iterable[int], options: Options | None = None, stop: threading.Event | None = None
) -> Iterator[BlockDone | Progress]:
    """Measure the TCP pairs of the blocks that can be reached by raw packets. Ends within a second when `stop` is set.

    Raises `Refused` if the plan holds an address that is not in `targets`, `UserError` if it holds no TCP port.
    """
    beyond = plan.targets - targets.addresses
    if beyond:
        raise Refused("the plan holds addresses that are not authorised", where=beyond.text(3), hint="reconshield grant list")
    if not plan.ports.tcp:
        raise UserError("there is no TCP port to send a SYN to", where=f"-p {plan.ports.text()}", hint="-p 22,80,1-1024")
    scan = _Scan(plan, targets, options or Options())
    children = 1 if may_fork() else 0
    with Crew(scan.load, scan.make_lane, iter(blocks), stop or threading.Event(), children, BLOCKS_KEPT) as crew:
        yield from report(crew)


class _Scan:
    """What one call of `measure` works on."""

    def __init__(self, plan: Plan, targets: Targets, options: Options) -> None:
        self._plan, self._options = plan, options
        self._routes = find_routes(plan.targets)
        self._limited = not targets.exempt.covers(plan.targets)
        self._exempt = AddressSpace(plan.targets & targets.exempt)
        self._sources = find_source_ports()

    def load(self, number: int) -> Flight:
        pairs = self._plan.pairs(number)
        which = self._routes.find(pairs.hi, pairs.lo)
        limited = self._exempt.find(pairs.hi, pairs.lo) < 0 if self._limited else None
        return Flight(number, pairs, which, pairs.transport == Transport.TCP, limited)

    def make_lane(self, world: World[Flight], tally: Tally) -> RawLane:
        """Open everything that needs privileges, and give them up."""
        options, one = self._options, self._plan.targets.count == 1
        method = SynMethod(Cookies(secrets.token_bytes(KEY_BYTES)), self._sources)
        gear = Gear(
            plan=self._plan,
            routes=self._routes,
            method=method,
            neighbours=Neighbours(self._routes),
            wires=Wires(self._routes, self._sources, options.senders),
        )
        drop_capabilities()
        pace = RawPace(
            rtt=RoundTrip(floor=min(options.first_wait, ONE_FLOOR if one else MANY_FLOOR), first=options.first_wait),
            loss=LossMeter(retries=options.retries),
            bucket=TokenBucket(options.rate),
            path=PathRate(ceiling=options.rate),
            controls=Controls(),
            hosts=HostGate(options.per_host) if self._limited and options.per_host else None,
            nets=NetGate(options.per_net) if self._limited and options.per_net else None,
        )
        return RawLane(world, tally, gear, pace)
