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

import numpy as np
from numpy.typing import NDArray

from reconshield.scan import verdicts
from reconshield.scan.controls import FIRST_ATTEMPT
from reconshield.scan.flight import Flight, Rows
from reconshield.scan.lane import ANSWERED, DONE, FOUND, LONGEST_WAIT, RECOVERED, REPEATED, Tally, World
from reconshield.scan.outbox import Gear, Outbox, RawPace
from reconshield.scan.syn import Heard
from reconshield.scan.verdicts import Verdict
from reconshield.scan.wires import CHUNK

MOST_UNDER_WAY = 2**20
"""Pairs without a verdict; with more of them no new block is begun. About 60 bytes each."""

TURN_SECONDS = 0.002
LEARN_SECONDS = 0.005
"""How often the pace is adapted."""
SAID_AGAIN = 1.0
"""Seconds after which a kernel says SYN-ACK again (RFC 6298 §2): so late it is no round trip, but the first was lost."""
CONTROL_PATIENCE = 0.2
"""Seconds that an answer to a control is waited for at least."""


class RawLane:
    """One loop with its own wires and its own pace."""

    def __init__(self, world: World[Flight], tally: Tally, gear: Gear, pace: RawPace) -> None:
        self._world, self._tally, self._gear, self._pace = world, tally, gear, pace
        self._outbox = Outbox(gear, pace, self._settle)
        self._flights: dict[int, Flight] = {}
        self._more = True
        self._under_way = self._done = self._found = 0
        self._learn_at = self._learned_at = 0.0
        self._learned_sent = 0
        self._busy = False
        self._told: str | None = None
        self._wall = time.time() - time.perf_counter()
        for sock in gear.neighbours.sockets():
            gear.wires.watch(sock.fileno())

    def run(self) -> None:
        """Work until there are no more blocks or the world says stop."""
        with self._gear.wires, self._gear.neighbours:
            while not self._world.stopped():
                self._admit()
                if not self._flights:
                    break
                now = time.perf_counter()
                self._gear.neighbours.step(now)
                sent = self._outbox.send(now)
                self._busy = self._busy and self._outbox.has_more
                heard = self._hear()
                self._judge(self._heard_until())
                self._learn(now)
                if self._flights:
                    self._rest(now, sent, heard)
            self._account()
            self._world.finish()  # the kernel takes a tenth of a second to give back packet sockets; nobody need wait for it

    def _rest(self, now: float, sent: int, heard: int) -> None:
        """Wait for something to do. A little work is left to become more: columns of a few rows cost as much as long ones."""
        if self._outbox.is_blocked:
            self._gear.wires.wait_for_room(LONGEST_WAIT)
        elif sent < CHUNK // 2 and not (self._outbox.has_more and self._pace.bucket.holds(CHUNK // 2)):
            time.sleep(TURN_SECONDS)
            if not sent and not heard:
                self._gear.wires.wait(self._idle_for(now))

    def _admit(self) -> None:
        """Take blocks until enough pairs are under way."""
        while self._more and self._outbox.is_short and self._under_way < MOST_UNDER_WAY:
            flight = self._world.take()
            if flight is None:
                self._more = False
            elif flight.left:
                self._flights[flight.number] = flight
                self._under_way += flight.left
                self._outbox.add(flight, flight.waiting())
            else:
                self._world.give(flight)

    def _settle(self, flight: Flight, rows: Rows, verdict: Verdict) -> None:
        """Pairs that nothing will be heard of any more."""
        flight.settle(rows, verdict, time.time())
        self._count_done(flight, rows.size)

    def _hear(self) -> int:
        """Take what has come in. Gives the number of packets."""
        count = 0
        for packets in self._gear.wires.hear():
            count += packets.lengths.size
            heard = self._gear.method.read(packets.bytes, packets.lengths)
            heard = heard.compress(packets.believed[heard["row"]])
            if heard.size:
                self._match(heard, packets.stamps[heard["row"]])
        return count

    def _heard_until(self) -> float:
        """The time up to which everything was heard (a steady clock's): an answer that waits in a ring is not late."""
        return min(time.perf_counter(), self._gear.wires.heard_until - self._wall)

    def _match(self, heard: Heard, stamps: NDArray[np.float64]) -> None:
        """Give answers to the blocks that their endpoints are in. Others are of no pair of this plan, or too late."""
        control = heard["attempt"] >= FIRST_ATTEMPT
        if control.any():
            self._hear_controls(heard.compress(control))
            heard, stamps = heard.compress(~control), stamps[~control]
        transport = np.full(heard.size, self._gear.method.transport, dtype=np.uint8)
        steps = self._gear.plan.step_of(heard["hi"], heard["lo"], heard["port"], transport)
        blocks, rows = np.divmod(steps, self._gear.plan.block_size)
        for number in np.unique(blocks[steps >= 0]).tolist():
            mask = blocks == number
            flight = self._flights.get(number)
            if flight is None:
                self._end_half_open(heard.compress(mask))
            else:
                self._record(flight, heard.compress(mask), rows[mask], stamps[mask])

    def _record(self, flight: Flight, heard: Heard, rows: Rows, stamps: NDArray[np.float64]) -> None:
        """Keep the first answer of each pair."""
        first = flight.first_of_each(rows)
        if first.size < rows.size:
            again = flight.answered_by[rows] == heard["attempt"]
            again[first] = False
            self._end_half_open(heard.compress(again & (flight.state[rows] == verdicts.OPEN.state)))
        if not first.size:
            return
        rows, heard, stamps = rows[first], heard.take(first), stamps[first]
        rtt = stamps - flight.sent[rows]
        current = heard["attempt"] == flight.attempt
        flight.record(rows, heard, stamps, np.where(current, rtt, 0.0))
        self._found += int((heard["state"] == verdicts.OPEN.state).sum())
        self._learn_answers(flight, rows, heard, rtt)
        self._count_done(flight, rows.size)

    def _end_half_open(self, heard: Heard) -> None:
        """A SYN-ACK that comes again shows that the RST of our own kernel did not arrive."""
        opened = heard.compress(heard["state"] == verdicts.OPEN.state)
        if opened.size:
            self._outbox.send_resets(opened)

    def _judge(self, now: float) -> None:
        """Ask again in blocks whose round is over, or call the rest silent."""
        for flight in list(self._flights.values()):
            if flight.due > now:
                if not flight.is_timed and flight.is_out:
                    flight.due = now + self._timeout(flight)
            elif flight.attempt < self._pace.loss.allowed():
                self._outbox.add(flight, flight.next_round(), first=True)
            else:
                self._settle(flight, flight.waiting(), self._gear.method.silent)

    def _timeout(self, flight: Flight) -> float:
        """Longer for a repetition only while nobody has answered: how far the path bears more is `path`'s to find."""
        return self._pace.rtt.timeout(flight.attempt if self._pace.rtt.smoothed is None else 0)

    def _count_done(self, flight: Flight, count: int) -> None:
        self._done += count
        self._under_way -= count
        if not flight.left and count:
            del self._flights[flight.number]
            self._world.give(flight)

    # Learning

    def _learn_answers(self, flight: Flight, rows: Rows, heard: Heard, rtt: NDArray[np.float64]) -> None:
        """What answers show of the path; ICMP errors are delayed and thinned out by routers and show nothing."""
        told = np.isin(heard["state"], (verdicts.OPEN.state, verdicts.RESET.state))
        self._pace.loss.count(int(told.sum()), int(heard["attempt"][told].sum()))
        current = told & (heard["attempt"] == flight.attempt)
        if self._pace.rtt.smoothed is not None:
            current &= (rtt < SAID_AGAIN) | (heard["state"] != verdicts.OPEN.state)
        if current.any():
            self._pace.rtt.sample(max(float(rtt[current].max()), 0.0))
        if self._pace.nets:
            self._pace.nets.answered(heard["hi"][told], heard["lo"][told])
        first = told & (heard["attempt"] == 0)
        if first.any():
            chosen = heard.compress(first)
            self._pace.controls.learn(chosen["hi"], chosen["lo"], chosen["port"], flight.which[rows[first]])

    def _hear_controls(self, heard: Heard) -> None:
        for hi, lo, port, attempt in heard[["hi", "lo", "port", "attempt"]].tolist():
            group = self._pace.controls.heard((hi, lo, port), attempt)
            if group is not None:
                self._pace.path.answer(group)
                self._pace.loss.count(1, 0)

    def _learn(self, now: float) -> None:
        """Adapt the pace, and say where we are."""
        if now < self._learn_at:
            return
        pace, since = self._pace, now - self._learned_at
        achieved = (self._outbox.sent - self._learned_sent) / since if self._busy else None
        self._busy = self._outbox.has_more
        self._learn_at, self._learned_at, self._learned_sent = now + LEARN_SECONDS, now, self._outbox.sent
        patience = max(CONTROL_PATIENCE, (pace.rtt.smoothed or 0.0) + 4 * pace.rtt.variation)
        for group in pace.controls.expire(min(now, self._heard_until()) - patience):
            pace.path.lose(group)
            pace.loss.count(0, 1)
        self._gear.wires.check()
        if self._gear.wires.lost():
            pace.path.no_room(now)
        pace.path.step(now, pace.rtt.smoothed or 0.0, achieved, controls=pace.controls.count > 0)
        pace.bucket.rate = pace.path.rate
        self._account()

    def _account(self) -> None:
        tally, loss = self._tally, self._pace.loss
        tally[DONE], tally[FOUND], tally[REPEATED] = self._done, self._found, self._outbox.repeated
        tally[ANSWERED], tally[RECOVERED] = loss.answered, loss.recovered
        if self._pace.path.slowed != self._told and self._pace.path.slowed:
            self._told = self._pace.path.slowed
            self._world.tell(self._told)

    def _idle_for(self, now: float) -> float:
        """Seconds until something is due, if nothing is heard before."""
        ends = [self._outbox.due(now), *(flight.due for flight in self._flights.values())]
        if any(flight.leaving and not flight.unsent for flight in self._flights.values()):
            ends.append(now + TURN_SECONDS)
        return max(0.0, min(LONGEST_WAIT, min(ends) - now))
