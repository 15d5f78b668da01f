"""The UDP engine that needs no privileges: it asks each port in the protocol that the port usually has, and waits.

Blocks of a plan go in; the UDP pairs of each come out once, with state and reason, as from `connect`. A lane does the work in a
thread (`udp_lane`), because the limits of a host are kept by one. What is sent is decided by `knowledge.payloads`; ports that
must not be asked are refused before anything is sent, for without a datagram nothing is known of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from reconshield.errors import Refused, UserError
from reconshield.knowledge.payloads import DATAGRAMS, payload_of, why_unmeasurable
from reconshield.model import Transport
from reconshield.scan.crew import BlockDone, Crew
from reconshield.scan.effort import Options, Progress, raised_file_limit, report
from reconshield.scan.lane import Pace, Tally, World
from reconshield.scan.pacing import HostLimit, LossMeter, NetLimit, RoundTrip, TokenBucket, Window
from reconshield.scan.space import AddressSpace
from reconshield.scan.udp_lane import UdpLane
from reconshield.scan.work import Work

if TYPE_CHECKING:
    from reconshield.addresses import AddressSet, PortSet
    from reconshield.scan.plan import Plan
    from reconshield.scope import Targets

FRAME_BYTES = 42
"""An empty datagram to an IPv4 address: Ethernet 14, IP 20, UDP 8."""

PER_HOST = 1000.0
"""Questions a second to one host where nobody names a limit: a kernel gives no more errors than that (icmp_msgs_per_sec)."""

FIRST_WINDOW = 1024.0
FLOOR_ONE, FLOOR_MANY = 0.7, 1.0
"""Seconds that an answer is waited for at least: a program gives it, not the kernel. For one host, and for several."""


def measure(
    plan: Plan,
    targets: Targets,
    blocks: Iterable[int],
    options: Options | None = None,
    stop: threading.Event | None = None,
    among: AddressSet | None = None,
) -> Iterator[BlockDone | Progress]:
    """Measure the UDP pairs of the blocks, of the addresses `among` if some are given.

    When `stop` is set the iterator ends within a second, after the blocks finished by then.

    Raises `Refused` if the plan holds an address that is not in `targets` or a port that must not be asked, `UserError` if it
    holds no UDP port.
    """
    check(plan, targets)
    return _measure(plan, targets, blocks, options or Options(), stop or threading.Event(), among)


def check(plan: Plan, targets: Targets) -> None:
    """Refuse what must not be sent: to addresses without a grant, to ports that get nothing."""
    beyond = plan.targets - targets.addresses
    if beyond:
        raise Refused("the plan holds addresses that are not authorised", where=beyond.text(3), hint="reconshield grant list")
    if not plan.ports.udp:
        raise UserError("there is no UDP port to ask", where=f"-p {plan.ports.text()}", hint="-p U:53,161")
    held = unmeasurable_ports(plan.ports)
    if held:
        port, why = next(iter(held.items()))
        raise Refused(f"UDP port {port} is not measured: {why}", where=f"-p U:{port}", hint="scan without it")


def unmeasurable_ports(ports: PortSet) -> dict[int, str]:
    """The UDP ports of a set to which nothing may be sent, and why."""
    each = (port for first, last in ports.udp for port in range(first, last + 1))
    return {port: why for port in each if (why := why_unmeasurable(port)) is not None}


def question_bytes(ports: PortSet, level: int) -> int:
    """What one question to each UDP port of a set costs on the wire, headers included."""
    each = (port for first, last in ports.udp for port in range(first, last + 1))
    return sum(FRAME_BYTES + len(payload_of(port, level).data) for port in each)


def _measure(
    plan: Plan, targets: Targets, blocks: Iterable[int], options: Options, stop: threading.Event, among: AddressSet | None
) -> Iterator[BlockDone | Progress]:
    mine = AddressSpace(among) if among is not None else None
    exempt = AddressSpace(plan.targets & targets.exempt)
    limited = not targets.exempt.covers(plan.targets)

    def load(number: int) -> Work:
        pairs = plan.pairs(number).only(Transport.UDP)
        if mine is not None:
            pairs = pairs.where(mine.find(pairs.hi, pairs.lo) >= 0)
        return Work(number, pairs, (exempt.find(pairs.hi, pairs.lo) < 0).tolist() if limited else None)

    with raised_file_limit() as files:
        pace = Pace(
            window=Window(most=min(options.window, files), size=FIRST_WINDOW),
            rtt=RoundTrip(floor=FLOOR_ONE if plan.targets.count == 1 else FLOOR_MANY),
            loss=LossMeter(retries=min(options.retries, DATAGRAMS - 1), most=DATAGRAMS - 1),
            bucket=TokenBucket(options.rate),
            hosts=HostLimit(options.per_host or PER_HOST) if limited else None,
            nets=NetLimit(options.per_net) if limited and options.per_net else None,
        )

        def make_lane(world: World[Work], tally: Tally) -> UdpLane:
            return UdpLane(world, tally, pace, options.patience, partial(payload_of, level=targets.level))

        with Crew(load, make_lane, iter(blocks), stop, children=0) as crew:
            yield from report(crew)
