"""What a raw lane has to send: pairs in the order of their turn, held up only by what must hold them up.

    queue      pairs whose turn has come: repeated ones first, so that blocks get finished
    parked     pairs whose next hop is being asked for, or whose host or network is at its limit; looked at again in between

A packet goes out when the path rate allows one, its next hop is known, and its host and network may be sent to. Beside the
pairs of the blocks there are controls (`controls`) and the RST that end half-open connections.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reconshield.scan import verdicts
from reconshield.scan.batch import numbers_in
from reconshield.scan.controls import MOST_MIXED, Control, Controls
from reconshield.scan.flight import Flight, Rows, span
from reconshield.scan.gates import HostGate, NetGate
from reconshield.scan.neighbours import FAILED, READY, Neighbours
from reconshield.scan.pacing import LossMeter, RoundTrip, TokenBucket
from reconshield.scan.packets import U8, Shape
from reconshield.scan.path_rate import PathRate
from reconshield.scan.plan import Plan
from reconshield.scan.route import Route, Routes
from reconshield.scan.syn import Heard, SynMethod
from reconshield.scan.verdicts import Verdict
from reconshield.scan.wires import CHUNK, Wires, has_mac, link_of

MOST_PAIRS = CHUNK - MOST_MIXED
"""Pairs that are sent to at once at most, so that there is room for controls among them."""
PARKED_PAUSE = 0.005
"""Seconds between two looks at what is parked."""
MOST_PARKED = 16_384
"""With more pairs parked no new ones are taken from the queue."""
CONTROL = np.dtype([("hi", "u8"), ("lo", "u8"), ("port", "u2"), ("attempt", "u1")])
LOOKED_AT = 4 * CHUNK
"""Parked pairs of one look."""


@dataclass(frozen=True, slots=True)
class Gear:
    """What a lane sends and hears with. Everything that needs privileges is open already."""

    plan: Plan
    routes: Routes
    method: SynMethod
    neighbours: Neighbours
    wires: Wires


@dataclass(slots=True)
class RawPace:
    """What a lane keeps to."""

    rtt: RoundTrip
    loss: LossMeter
    path: PathRate
    bucket: TokenBucket
    controls: Controls
    hosts: HostGate | None
    nets: NetGate | None


class Packets(NamedTuple):
    """Packets to be built: the columns hi, lo, port and attempt, the next hop of each, and the controls among them."""

    columns: list[NDArray[Any]]
    mac: U8
    controls: list[Control]


class Segment(NamedTuple):
    """Pairs of a flight that are to be sent in its present round, in ascending order."""

    flight: Flight
    rows: Rows


class Outbox:
    """The pairs that wait to be sent. `unreachable` is told which of them cannot be sent to at all, and why."""

    def __init__(self, gear: Gear, pace: RawPace, unreachable: Callable[[Flight, Rows, Verdict], None]) -> None:
        self._gear, self._pace, self._unreachable = gear, pace, unreachable
        self._shapes = [_shape(gear.method.shape, route) for route in gear.routes]
        self._resets = [_shape(gear.method.reset_shape, route) for route in gear.routes]
        self._has_mac = [has_mac(route) for route in gear.routes]
        self._queue: deque[Segment] = deque()
        self._parked: deque[Segment] = deque()
        self._parked_count = 0
        self._look_at = 0.0
        self._unstamped = np.zeros(CHUNK)
        self.is_blocked = False
        """Whether every sender was busy when something could have been sent."""
        self.sent = 0
        """Packets so far, all kinds."""
        self.repeated = 0
        """Those to pairs that were asked before."""

    @property
    def is_short(self) -> bool:
        """Whether there is room for another block."""
        return len(self._queue) < 2 and self._parked_count < MOST_PARKED

    def add(self, flight: Flight, rows: Rows, *, first: bool = False) -> None:
        """Pairs of a new round."""
        (self._queue.appendleft if first else self._queue.append)(Segment(flight, rows))

    @property
    def has_more(self) -> bool:
        """Whether pairs wait that nothing but the rate holds up."""
        return bool(self._queue) and self._parked_count < MOST_PARKED

    def due(self, now: float) -> float:
        """When something may be sent, as far as can be said now; infinite if nothing waits."""
        times = [now + self._pace.bucket.wait()] if self._queue else []
        return min([*times, self._look_at] if self._parked else times, default=float("inf"))

    def send(self, now: float) -> int:
        """Send what may go now. Gives the number of packets."""
        before, self.is_blocked = self.sent, False
        if self._parked and now >= self._look_at:
            self._look_at = now + PARKED_PAUSE
            self._send_parked(now)
        if self._queue and self._parked_count < MOST_PARKED:
            flight, rows = self._queue.popleft()
            self._send_some(flight, rows, now)
        return self.sent - before

    def send_resets(self, heard: Heard) -> None:
        """End half-open connections; those for which there is no room now will answer again."""
        which = self._gear.routes.find(heard["hi"], heard["lo"])
        for number in numbers_in(which):
            shape, chosen = self._resets[number], heard.compress(which == number)[:CHUNK]
            if shape is None or self._gear.wires.room(number, chosen.size) < chosen.size:
                continue
            _, mac = self._gear.neighbours.look_up_by(number, chosen["hi"], chosen["lo"])
            asked = self._gear.method.reset(chosen, self._mac(number, mac))
            self._gear.wires.send(number, shape, asked, self._unstamped, np.arange(chosen.size))
            self.sent += chosen.size

    def _send_parked(self, now: float) -> None:
        """Look once at parked pairs, those of one flight together; who may still not go is parked again."""
        flights: dict[int, list[Segment]] = {}
        looked = 0
        for _ in range(len(self._parked)):
            if looked >= LOOKED_AT:
                break
            segment = self._parked.popleft()
            looked += segment.rows.size
            flights.setdefault(id(segment.flight), []).append(segment)
        self._parked_count -= looked
        for segments in flights.values():
            rows = np.sort(np.concatenate([segment.rows for segment in segments]))
            for at in range(0, rows.size, MOST_PAIRS):
                self._send_some(segments[0].flight, rows[at : at + MOST_PAIRS], now, park=True)

    def _send_some(self, flight: Flight, rows: Rows, now: float, *, park: bool = False) -> None:
        """Send the first pairs of a row as far as the rate allows; the rest goes back to where it came from."""
        granted = self._pace.bucket.take(now, min(MOST_PAIRS, rows.size))
        if granted < rows.size:
            rest = Segment(flight, rows[granted:])
            if park:
                self._park(rest)
            else:
                self._queue.appendleft(rest)
        if granted:
            sent = self._send_rows(flight, rows[:granted], now)
            self._pace.bucket.give_back(granted - sent)

    def _park(self, segment: Segment) -> None:
        self._parked.append(segment)
        self._parked_count += segment.rows.size

    def _send_rows(self, flight: Flight, rows: Rows, now: float) -> int:
        """Send to those of the pairs that have no verdict yet and can be sent to now."""
        is_new = flight.is_new(span(rows))
        fresh = rows if is_new.all() else rows[is_new]
        flight.unsent -= rows.size - fresh.size
        if not fresh.size:
            return 0
        if len(flight.routes) == 1:
            return self._send_by(flight.routes[0], flight, fresh, now)
        which = flight.which[span(fresh)]
        return sum(self._send_by(number, flight, fresh[which == number], now) for number in numbers_in(which))

    def _send_by(self, number: int, flight: Flight, rows: Rows, now: float) -> int:
        """Send by one route what it has room for, and set aside the rest."""
        verdict, shape = self._gear.routes[number].verdict, self._shapes[number]
        if verdict is not None or shape is None:
            flight.unsent -= rows.size
            self._unreachable(flight, rows, verdict or verdicts.NO_ROUTE)
            return 0
        room = self._gear.wires.room(number, rows.size + MOST_MIXED)
        if room < rows.size:
            self._queue.appendleft(Segment(flight, rows[room:]))
            rows = rows[:room]
            if not room:
                self.is_blocked = True
                return 0
        rows, mac = self._choose(number, flight, rows, now)
        if not rows.size:
            return 0
        packets = self._mix_in_controls(number, flight, rows, mac, room - rows.size, now)
        hi, lo, port, attempt = packets.columns
        asked = self._gear.method.ask(hi, lo, port, attempt, self._mac(number, packets.mac), is_v4=shape.is_v4)
        sending = self._gear.wires.send(number, shape, asked, flight.sent, span(rows))
        flight.leaving.append(sending)
        for control in packets.controls:
            control.sending = sending
        self.sent += packets.mac.shape[0]
        self.repeated += rows.size if flight.attempt else 0
        flight.unsent -= rows.size
        return int(rows.size)

    def _mix_in_controls(self, number: int, flight: Flight, rows: Rows, mac: U8, spare: int, now: float) -> Packets:
        """The packets to some pairs, and among them controls at places taken by chance: they must fare like the others."""
        attempt = np.full(rows.size, flight.attempt, dtype=np.uint8)
        places = span(rows)
        columns = [*(flight.table[name][places] for name in ("hi", "lo", "port")), attempt]
        chosen = self._pace.controls.choose(now, self._pace.path.rate, number, spare)
        if not chosen:
            return Packets(columns, mac, [])
        table = np.array([(*control.key, control.attempt) for control in chosen], dtype=CONTROL)
        known, hop = self._gear.neighbours.look_up_by(number, table["hi"], table["lo"])
        may_go = (known == READY) & self._may_go(table["hi"], table["lo"], now)
        going: list[Control] = []
        for control, goes in zip(chosen, may_go.tolist(), strict=True):
            if goes:
                control.group = self._pace.path.ask()
                going.append(control)
            else:
                self._pace.controls.take_back(control)
        table, hop = table[may_go], hop[may_go]
        among = self._pace.controls.places(table.size, rows.size)
        order = np.insert(np.arange(rows.size), among, np.arange(rows.size, rows.size + table.size))
        names = table.dtype.names or ()
        mixed = [np.concatenate([column, table[name]])[order] for column, name in zip(columns, names, strict=True)]
        return Packets(mixed, np.concatenate([mac, hop])[order], going)

    def _choose(self, number: int, flight: Flight, rows: Rows, now: float) -> tuple[Rows, U8]:
        """Those pairs that may be sent to now, with the next hop's address; the others are parked, or settled for good."""
        places = span(rows)
        hi, lo = flight.table["hi"][places], flight.table["lo"][places]
        known, mac = self._gear.neighbours.look_up_by(number, hi, lo)
        may_go = known == READY
        if not may_go.all():
            failed = rows[known == FAILED]
            if failed.size:
                flight.unsent -= failed.size
                self._unreachable(flight, failed, verdicts.NO_NEIGHBOUR)
        if flight.limited is not None:
            limited = np.flatnonzero(may_go & flight.limited[rows])
            may_go[limited] = self._may_go(hi[limited], lo[limited], now)
        if may_go.all():
            return rows, mac
        wait = rows[~may_go & (known != FAILED)]
        if wait.size:
            self._park(Segment(flight, wait))
        return rows[may_go], mac[may_go]

    def _may_go(self, hi: NDArray[np.uint64], lo: NDArray[np.uint64], now: float) -> NDArray[np.bool_]:
        """Whose host and network may be sent to now; they count as sent to."""
        may_go = self._pace.hosts.admit(hi, lo, now) if self._pace.hosts else np.ones(hi.size, dtype=np.bool_)
        if self._pace.nets:
            may_go[may_go] = self._pace.nets.admit(hi[may_go], lo[may_go], now)
        return may_go

    def _mac(self, number: int, mac: U8) -> U8 | None:
        return mac if self._has_mac[number] else None


def _shape(make: Callable[[bytes, int], Shape], route: Route) -> Shape | None:
    """What packets by a route look like; None where there is no way."""
    return make(link_of(route), route.source) if route.verdict is None and route.source is not None else None
