"""The loop of the raw engine: blocks in, finished blocks out. The counterpart of `lane` (connect) and `udp_lane`.

    admit     take blocks while few pairs are under way
    send      as many packets as the pace allows: pairs of a new round, in the plan's order
    hear      answers, matched to packets by the cookie and to pairs by the plan
    judge     rounds whose time-out is over: silent pairs are asked again, or were silent

One thread does all of this on whole columns; other threads only push packets out (`wires`). Each turn handles what has come
up since the last one, so the slower the machine the larger the columns and the less each packet costs.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reconshield.scan import verdicts
from reconshield.scan.flight import Flight, Rows
from reconshield.scan.lane import ANSWERED, DONE, FOUND, LONGEST_WAIT, RECOVERED, REPEATED, Tally, World
from reconshield.scan.neighbours import FAILED, READY, WAITING, Neighbours
from reconshield.scan.pacing import LossMeter, RoundTrip, TokenBucket
from reconshield.scan.plan import Plan
from reconshield.scan.route import Routes
from reconshield.scan.syn import Heard, SynMethod
from reconshield.scan.wires import CHUNK, Wires, has_mac, link_of

MOST_UNDER_WAY = 2**20
"""Pairs without a verdict; with more of them no new block is begun. About 60 bytes each."""

NEIGHBOUR_PAUSE = 0.01
"""Seconds until pairs whose next hop is not known yet are looked at again."""


class Segment(NamedTuple):
    """Pairs of a flight that wait to be sent in its present round."""

    flight: Flight
    rows: Rows


@dataclass(slots=True)
class RawPace:
    """What a lane keeps to."""

    rtt: RoundTrip
    loss: LossMeter
    bucket: TokenBucket


@dataclass(frozen=True, slots=True)
class Gear:
    """What a lane sends and hears with. Everything that needs privileges is open already."""

    plan: Plan
    routes: Routes
    method: SynMethod
    neighbours: Neighbours
    wires: Wires


class RawLane:
    """One loop with its own wires and its own pace."""

    def __init__(self, world: World[Flight], tally: Tally, gear: Gear, pace: RawPace) -> None:
        self._world, self._tally, self._gear, self._pace = world, tally, gear, pace
        self._shapes = [gear.method.shape(link_of(r), r.source) if r.source is not None else None for r in gear.routes]
        self._resets = [gear.method.reset_shape(link_of(r), r.source) if r.source is not None else None for r in gear.routes]
        self._has_mac = [has_mac(route) for route in gear.routes]
        self._flights: dict[int, Flight] = {}
        self._queue: deque[Segment] = deque()
        self._parked: deque[Segment] = deque()
        self._parked_until = 0.0
        self._more = True
        self._under_way = 0
        self._done = self._found = self._repeated = 0
        for sock in gear.neighbours.sockets():
            gear.wires.watch(sock.fileno())

    def run(self) -> None:
        """Work until there are no more blocks or the world says stop."""
        with self._gear.wires, self._gear.neighbours:
            while not self._world.stopped():
                self._admit()
                if not self._flights:
                    return
                now = time.perf_counter()
                self._gear.neighbours.step(now)
                sent = self._send(now)
                heard = self._hear()
                self._judge(now)
                self._account()
                if not sent and not heard:
                    self._gear.wires.wait(self._idle_for(now))

    def _admit(self) -> None:
        """Take blocks until enough pairs are under way."""
        while self._more and len(self._queue) < 2 and self._under_way < MOST_UNDER_WAY:
            flight = self._world.take()
            if flight is None:
                self._more = False
            elif flight.left:
                self._flights[flight.number] = flight
                self._under_way += flight.left
                self._queue.append(Segment(flight, flight.waiting()))
            else:
                self._world.give(flight)

    # Sending

    def _send(self, now: float) -> int:
        """Send what the pace allows of the first segment. Gives the number of packets."""
        if self._parked and now >= self._parked_until:
            self._queue.extendleft(self._parked)
            self._parked.clear()
            self._parked_until = now + NEIGHBOUR_PAUSE
        if not self._queue:
            return 0
        granted = self._pace.bucket.take(now, min(CHUNK, self._queue[0].rows.size))
        if not granted:
            return 0
        flight, rows = self._queue.popleft()
        if rows.size > granted:
            self._queue.appendleft(Segment(flight, rows[granted:]))
        sent = self._send_rows(flight, rows[:granted])
        self._pace.bucket.give_back(granted - sent)
        return sent

    def _send_rows(self, flight: Flight, rows: Rows) -> int:
        """Send to those of the rows that still wait and can be reached now."""
        fresh = rows[flight.is_new(rows)]
        self._count_sent(flight, rows.size - fresh.size)
        table = flight.table
        known, mac = self._gear.neighbours.look_up(flight.which[fresh], table["hi"][fresh], table["lo"][fresh])
        if (known != READY).any():
            self._set_aside(flight, fresh, known)
            fresh, mac = fresh[known == READY], mac[known == READY]
        routes = np.unique(flight.which[fresh])
        if routes.size == 1:
            return self._send_by(int(routes[0]), flight, fresh, mac)
        return sum(
            self._send_by(number, flight, fresh[flight.which[fresh] == number], mac[flight.which[fresh] == number])
            for number in routes.tolist()
        )

    def _send_by(self, number: int, flight: Flight, rows: Rows, mac: NDArray[np.uint8]) -> int:
        """Send by one route as much as there is room for; the rest goes back to the queue."""
        shape = self._shapes[number]
        got = self._gear.wires.rows(number, shape, rows.size) if shape is not None else None
        if got is None or shape is None:
            self._queue.appendleft(Segment(flight, rows))
            return 0
        data, sending = got
        if sending.count < rows.size:
            self._queue.appendleft(Segment(flight, rows[sending.count :]))
            rows, mac = rows[: sending.count], mac[: sending.count]
        table = flight.table
        attempt = np.full(rows.size, flight.attempt, dtype=np.uint8)
        asked = self._gear.method.ask(
            table["hi"][rows],
            table["lo"][rows],
            table["port"][rows],
            attempt,
            mac if self._has_mac[number] else None,
            is_v4=shape.is_v4,
        )
        shape.fill(data, asked)
        flight.sent[rows] = time.time()
        sending.go()
        self._repeated += rows.size if flight.attempt else 0
        self._count_sent(flight, rows.size)
        return rows.size

    def _set_aside(self, flight: Flight, rows: Rows, known: NDArray[np.uint8]) -> None:
        """Keep the pairs whose next hop is not known yet for later, and settle those that cannot be reached."""
        waiting = rows[known == WAITING]
        if waiting.size:
            self._parked.append(Segment(flight, waiting))
        failed = rows[known == FAILED]
        for number in np.unique(flight.which[failed]).tolist():
            self._settle(flight, failed[flight.which[failed] == number], self._gear.routes[number].verdict)
        self._count_sent(flight, failed.size)

    def _settle(self, flight: Flight, rows: Rows, verdict: verdicts.Verdict | None) -> None:
        flight.settle(rows, verdict or verdicts.NO_NEIGHBOUR, time.time())
        self._count_done(flight, rows.size)

    def _count_sent(self, flight: Flight, count: int) -> None:
        """The round's clock starts when its last pair has been sent."""
        flight.unsent -= count
        if not flight.unsent:
            flight.due = time.perf_counter() + self._pace.rtt.timeout(flight.attempt)

    # Hearing

    def _hear(self) -> int:
        """Take what has come in. Gives the number of packets."""
        count = 0
        for packets in self._gear.wires.hear():
            count += packets.lengths.size
            heard = self._gear.method.read(packets.bytes, packets.lengths)
            heard = heard[packets.believed[heard["row"]]]
            if heard.size:
                self._match(heard, packets.stamps[heard["row"]])
        return count

    def _match(self, heard: Heard, stamps: NDArray[np.float64]) -> None:
        """Give answers to the blocks that their endpoints are in. Others are of no pair of this plan, or too late."""
        transport = np.full(heard.size, self._gear.method.transport, dtype=np.uint8)
        steps = self._gear.plan.step_of(heard["hi"], heard["lo"], heard["port"], transport)
        size = self._gear.plan.block_size
        blocks = steps // size
        for number in np.unique(blocks).tolist():
            flight = self._flights.get(number)
            if flight is not None:
                mask = blocks == number
                self._record(flight, heard[mask], steps[mask] - number * size, stamps[mask])

    def _record(self, flight: Flight, heard: Heard, rows: Rows, stamps: NDArray[np.float64]) -> None:
        """Keep the first answer of each pair."""
        first = flight.first_of_each(rows)
        rows, heard, stamps = rows[first], heard[first], stamps[first]
        if not rows.size:
            return
        table, rtt = flight.table, stamps - flight.sent[rows]
        current = heard["attempt"] == flight.attempt
        for name in ("state", "reason", "ttl"):
            table[name][rows] = heard[name]
        table["at"][rows] = stamps
        table["rtt_us"][rows] = np.where(current, np.clip(rtt * 1e6, 1, 2**32 - 1), 0)
        flight.answered_by[rows] = heard["attempt"]
        flight.left -= rows.size
        if current.any():
            self._pace.rtt.sample(float(max(rtt[current].max(), 0.0)))
        self._pace.loss.count(rows.size, int(heard["attempt"].sum()))
        self._found += int((heard["state"] == verdicts.OPEN.state).sum())
        self._count_done(flight, rows.size)

    # The end of rounds

    def _judge(self, now: float) -> None:
        """Ask again in blocks whose round is over, or call the rest silent."""
        for flight in [flight for flight in self._flights.values() if flight.due <= now]:
            if flight.attempt < self._pace.loss.allowed():
                self._queue.appendleft(Segment(flight, flight.next_round()))
            else:
                rows = flight.waiting()
                flight.settle(rows, self._gear.method.silent, time.time())
                self._count_done(flight, rows.size)

    def _count_done(self, flight: Flight, count: int) -> None:
        self._done += count
        self._under_way -= count
        if not flight.left:
            del self._flights[flight.number]
            self._world.give(flight)

    def _account(self) -> None:
        """Say where we are."""
        tally, loss = self._tally, self._pace.loss
        tally[DONE], tally[FOUND], tally[REPEATED] = self._done, self._found, self._repeated
        tally[ANSWERED], tally[RECOVERED] = loss.answered, loss.recovered

    def _idle_for(self, now: float) -> float:
        """Seconds until something is due, if nothing is heard before."""
        ends = [flight.due for flight in self._flights.values()]
        if self._queue:
            ends.append(now + max(self._pace.bucket.wait(), 0.0005))
        if self._parked:
            ends.append(self._parked_until)
        return max(0.0005, min([LONGEST_WAIT, *(end - now for end in ends)]))
