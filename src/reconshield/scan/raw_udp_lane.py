"""One loop of raw UDP questions: blocks in, finished blocks out. The counterpart of `udp_lane`, without a socket for each.

    admit     take a block, look up its routes; what has no way is settled at once
    resolve   wait for the link-layer addresses of its next hops
    ask       build the packets of many pairs at once and send them, as fast as window, rate and hosts allow
    hear      read what came, find the pairs that it is about, settle them
    expire    silence is asked again: soon, or at the host's own pace where it thins out its errors (`udp_pace`)

A pair is sent three datagrams at most, whatever happens. Replies count only if they come to the source port that belongs to
their endpoint (`udp_questions`) and the plan has it.
"""

from __future__ import annotations

import select
import time
from collections import deque
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reconshield.knowledge.payloads import DATAGRAMS
from reconshield.model import State, Transport
from reconshield.scan import verdicts
from reconshield.scan.gates import HostGate
from reconshield.scan.icmp import Errors, read_errors
from reconshield.scan.lane import ANSWERED, DONE, FOUND, LONGEST_WAIT, RECOVERED, REPEATED, Pace, Tally, World
from reconshield.scan.neighbours import FAILED, READY, WAITING, Neighbours
from reconshield.scan.net_queue import NetQueue
from reconshield.scan.plan import Plan
from reconshield.scan.raw_udp_block import Block, Part, Rows
from reconshield.scan.route import Routes
from reconshield.scan.udp_pace import PROOF, Parked
from reconshield.scan.udp_packets import build_packets
from reconshield.scan.udp_questions import Questions
from reconshield.scan.udp_replies import Datagrams, read_udp
from reconshield.scan.udp_wire import Wire

TURN = 512
"""Questions between two looks at what came."""
TICK = 0.001
"""Seconds that a turn takes at least where there is less to do: many small turns would cost more than the work."""
MOST_PARKED = 262_144
RESOLVE_SECONDS = 0.005
"""Between two looks at neighbours that are waited for."""
SAMPLED = 16
"""Round trips that are learned from of one look."""

Item = tuple[Block, int, int]
Times = NDArray[np.float64]
"""When each packet came, in Unix seconds."""


class Means(NamedTuple):
    """What a lane works with. `hosts` limits each host, `pause` is the seconds between two questions to one by that; `nets` the
    silent addresses of each network; `patience` seconds are spent on a host that thins out its errors.
    """

    plan: Plan
    routes: Routes
    wire: Wire
    neighbours: Neighbours
    questions: Questions
    hosts: HostGate | None
    pause: float
    nets: NetQueue | None
    patience: float


class RawUdpLane:
    """One loop over packet sockets."""

    def __init__(self, world: World[Block], tally: Tally, pace: Pace, means: Means) -> None:
        self._world, self._tally, self._pace, self._means = world, tally, pace, means
        self._blocks: dict[int, Block] = {}
        self._fresh: deque[Part] = deque()
        self._again: deque[Part] = deque()
        self._unresolved: list[Part] = []
        self._held: list[tuple[float, int, Part]] = []
        self._deadlines: list[tuple[float, int, Part, bool]] = []
        self._parked: Parked[int, Item] = Parked(means.patience, means.pause if means.hosts else 0.0)
        self._order = count()
        self._waiting = self._flying = self._done = self._found = self._repeated = 0
        self._more, self._told, self._looked, self._turned = True, "", 0.0, 0.0
        self._wall = time.time() - time.perf_counter()
        self._poll = select.poll()
        for waiting in (*(ring.fileno() for ring in means.wire.rings), *(sock.fileno() for sock in means.neighbours.sockets())):
            self._poll.register(waiting, select.POLLIN)

    def run(self) -> None:
        """Work until there are no more blocks or the world says stop."""
        while not self._world.stopped():
            self._admit()
            if not self._blocks:
                return
            now = time.perf_counter()
            self._resolve(now)
            self._launch(now)
            self._hear()
            self._expire(time.perf_counter())
            self._account()

    def _admit(self) -> None:
        """Take blocks until a window's worth of pairs waits."""
        nets = self._means.nets
        while self._more and self._waiting < self._pace.window.size and self._parked.count < MOST_PARKED:
            if nets and nets.is_full:
                return
            block = self._world.take()
            if block is None:
                self._more = False
                return
            self._blocks[block.number] = block
            hi, lo, port = block.pairs.hi[block.mine], block.pairs.lo[block.mine], block.pairs.port[block.mine]
            block.route[block.mine] = self._means.routes.find(hi, lo)
            block.port_from[block.mine] = self._means.questions.port_from(hi, lo, port)
            block.wait[block.mine] = self._means.questions.waits(port)
            for number, route in enumerate(self._means.routes):
                if route.verdict is not None:
                    self._settle(block, np.flatnonzero(block.route == number), route.verdict)
            rows = block.unknown(block.mine)
            self._waiting += rows.size
            self._unresolved.append(Part(block, rows))
            self._finish(block)

    def _resolve(self, now: float) -> None:
        """Let those go on whose next hop is known, settle those whose next hop does not answer."""
        neighbours = self._means.neighbours
        if neighbours.waiting:
            neighbours.step(now)
        if not self._unresolved or (neighbours.waiting and now - self._looked < RESOLVE_SECONDS):
            return
        self._looked = now
        left = []
        for block, rows in self._unresolved:
            known, mac = neighbours.look_up(block.route[rows], block.pairs.hi[rows], block.pairs.lo[rows])
            if (ready := rows[known == READY]).size:
                build_packets(block, ready, mac[known == READY], self._means.routes, self._means.questions)
                self._fresh.append(Part(block, ready))
            failed = rows[known == FAILED]
            self._waiting -= failed.size
            self._settle(block, failed, verdicts.NO_NEIGHBOUR)
            if (waiting := rows[known == WAITING]).size:
                left.append(Part(block, waiting))
            self._finish(block)
        self._unresolved = left

    # Asking

    def _launch(self, now: float) -> None:
        """Ask as many as window, rate and hosts allow; those that waited for their host come first."""
        while self._held and self._held[0][0] <= now:
            self._again.appendleft(heappop(self._held)[2])
        if self._means.nets and not self._again:
            self._again.extend(self._means.nets.release(now))
        room = min(TURN, self._pace.window.room(self._flying))
        granted = self._pace.bucket.take(now, room) if room > 0 else 0
        left = granted - self._ask_parked(granted, now)
        for queue in (self._again, self._fresh):
            while left > 0 and queue:
                asked, all_may = self._ask_part(queue, left, now)
                left -= asked
                if not all_may:  # more of these hosts would only be held too; others come with the next turn
                    break
        self._pace.bucket.give_back(left)
        self._give_up()

    def _ask_parked(self, most: int, now: float) -> int:
        """Ask pairs whose hosts may be asked about their silent ports now."""
        parts: dict[int, list[int]] = {}
        asked = 0
        while asked < most and (item := self._parked.next(now)) is not None:
            block, row, _ = item
            if not block.state[row]:
                parts.setdefault(block.number, []).append(row)
                asked += 1
        for number, rows in parts.items():
            self._ask(self._blocks[number], np.array(rows, dtype=np.intp), now, paced=True)
        return asked

    def _ask_part(self, queue: deque[Part], most: int, now: float) -> tuple[int, bool]:
        """Ask the first rows of a queue: how many were, and whether their hosts let all of them. Others wait for their network
        or host.
        """
        block, rows = queue.popleft()
        if rows.size > most:
            queue.appendleft(Part(block, rows[most:]))
            rows = rows[:most]
        self._waiting -= rows.size if queue is self._fresh else 0
        rows = block.unknown(rows)  # a late answer may have come while it waited to be asked again
        rows = self._means.nets.admit(block, rows, now) if self._means.nets else rows
        hosts = self._means.hosts
        may = hosts.admit(block.pairs.hi[rows], block.pairs.lo[rows], now) if hosts else np.ones(rows.size, dtype=np.bool_)
        if not may.all():
            heappush(self._held, (now + self._means.pause, next(self._order), Part(block, rows[~may])))
        self._ask(block, rows[may], now, paced=False)
        return int(may.sum()), bool(may.all())

    def _ask(self, block: Block, rows: Rows, now: float, *, paced: bool) -> None:
        """Send one question to each row."""
        if not rows.size:
            return
        tries = block.tries[rows]
        self._repeated += int(np.count_nonzero(tries))
        block.tries[rows] = tries + 1
        block.asked[rows] = now
        block.flying[rows] = True
        self._flying += rows.size
        packets = block.packets
        places = zip(block.route[rows].tolist(), block.group[rows].tolist(), block.place[rows].tolist(), strict=True)
        self._means.wire.send_all((route, packets[group][place]) for route, group, place in places)
        timeout = self._pace.rtt.timeout(int(tries.min()) if self._pace.rtt.smoothed is None else 0)
        wait = block.wait[rows]
        for late in (0.0,) if not wait.any() else np.unique(wait).tolist():
            part = Part(block, rows[wait == late])
            heappush(self._deadlines, (now + timeout + late, next(self._order), part, paced))

    # Hearing

    def _hear(self) -> None:
        """Wait for something to do, and settle what has come."""
        now = time.perf_counter()
        delay = self._idle_for(now)
        if self._turned + TICK > now and delay > 0:
            time.sleep(self._turned + TICK - now)
        else:
            self._poll.poll(1000 * delay)
        self._turned = time.perf_counter()
        for packets in self._means.wire.hear():
            for read, hear in ((read_errors, self._hear_errors), (read_udp, self._hear_answers)):
                found = read(packets.bytes, packets.lengths)
                found = found.compress(packets.believed[found["row"]])
                if found.size:
                    hear(found, packets.stamps[found["row"]])

    def _idle_for(self, now: float) -> float:
        """Seconds until a question may be sent or expires, if nothing is heard before."""
        ends = [now + LONGEST_WAIT]
        if self._unresolved:
            ends.append(now + RESOLVE_SECONDS)
        if self._deadlines:
            ends.append(self._deadlines[0][0])
        if self._pace.window.room(self._flying) > 0:
            ready = now if self._again or self._fresh else self._held[0][0] if self._held else now + LONGEST_WAIT
            let_go = self._means.nets.due() if self._means.nets else ready
            ends.append(max(min(ready, let_go, self._parked.due()), now + self._pace.bucket.wait()))
        return max(0.0, min(ends) - now)

    def _hear_answers(self, answers: Datagrams, stamps: Times) -> None:
        """Whoever answers a question of ours is open."""
        port = self._means.questions.asked_port(answers)
        ours = self._means.questions.port_from(answers["hi"], answers["lo"], port) == answers["port_to"]
        answers, port, stamps = answers.compress(ours), port[ours], stamps[ours]
        for block, rows, first in self._find(answers["hi"], answers["lo"], port):
            fresh, which = self._take(block, rows, first, stamps)
            block.answer(fresh, State.OPEN, verdicts.UDP_OPEN.reason, answers["ttl"][which])
            self._found += fresh.size
            self._know(block, fresh)
            self._count_answers(block.tries[fresh] - 1, block.rtt_us[fresh] / 1e6)
            self._finish(block)

    def _hear_errors(self, errors: Errors, stamps: Times) -> None:
        """ICMP errors about questions of ours."""
        expected = self._means.questions.port_from(errors["hi"], errors["lo"], errors["port"])
        ours = (expected == errors["port_from"]) & (errors["transport"] == Transport.UDP)
        errors, stamps = errors.compress(ours), stamps[ours]
        for block, rows, first in self._find(errors["hi"], errors["lo"], errors["port"]):
            fresh, which = self._take(block, rows, first, stamps)
            told = errors.take(which)
            self._know(block, fresh[(told["sender_hi"] == told["hi"]) & (told["sender_lo"] == told["lo"])])
            block.answer(fresh, told["state"], told["reason"], told["ttl"])
            closed = fresh[told["state"] == State.CLOSED]
            now = time.perf_counter()
            for row, tries in zip(closed.tolist(), block.tries[closed].tolist(), strict=True):
                self._parked.asked(block.host(row), float(block.asked[row])).heard(now, tries - 1)
            for rtt in block.rtt_us[closed[:SAMPLED]].tolist():
                self._pace.rtt.sample(rtt / 1e6)
            self._finish(block)

    def _find(
        self, hi: NDArray[np.uint64], lo: NDArray[np.uint64], port: NDArray[np.uint16]
    ) -> list[tuple[Block, Rows, NDArray[np.intp]]]:
        """The blocks under way that these endpoints belong to: ascending rows, each once, and which endpoint each row is."""
        found = []
        positions = self._means.plan.step_of(hi, lo, port, np.full(port.shape, Transport.UDP, dtype=np.uint8))
        numbers = positions // self._means.plan.block_size
        for number in np.unique(numbers).tolist():
            if (block := self._blocks.get(number)) is not None:
                mine = np.flatnonzero(numbers == number)
                rows, first = np.unique(positions[mine] - number * self._means.plan.block_size, return_index=True)
                found.append((block, rows, mine[first]))
        return found

    def _take(self, block: Block, rows: Rows, which: Rows, stamps: Times) -> tuple[Rows, Rows]:
        """Those of the rows that were asked and have no state yet, with what answered them; they are no longer waited for."""
        new = (block.state[rows] == 0) & (block.tries[rows] > 0)
        fresh, which = rows[new], which[new]
        flying = int(block.flying[fresh].sum())
        block.flying[fresh] = False
        self._flying -= flying
        self._pace.window.finished(flying)
        came = stamps[which]
        block.rtt_us[fresh] = np.clip((came - self._wall - block.asked[fresh]) * 1e6, 1, 2**32 - 1)
        block.seen[fresh] = came
        self._done += fresh.size
        return fresh, which

    def _know(self, block: Block, rows: Rows) -> None:
        """The addresses of these rows have sent something themselves."""
        if self._means.nets:
            self._means.nets.answered(block.pairs.hi[rows], block.pairs.lo[rows])

    def _count_answers(self, tries: NDArray[np.uint8], rtt: NDArray[np.float64]) -> None:
        """Learn from answers: round trip, loss, room. An answer that was only slow was not lost."""
        pace = self._pace
        lost = int(tries[rtt < pace.rtt.timeout()].sum())
        for seconds in rtt[:SAMPLED].tolist():
            pace.rtt.sample(seconds)
        pace.loss.count(tries.size, lost)
        pace.window.answered(tries.size, lost)

    # Silence

    def _expire(self, now: float) -> None:
        """End the questions whose time is up."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, (block, rows), paced = heappop(self._deadlines)
            silent = rows[block.flying[rows]]
            if not silent.size:
                continue
            block.flying[silent] = False
            self._flying -= silent.size
            self._pace.window.finished(silent.size)
            self._ask_again(block, silent, now, paced=paced)
            self._finish(block)

    def _ask_again(self, block: Block, rows: Rows, now: float, *, paced: bool) -> None:
        """What to do about silence: wait for the host's next error, repeat the question, or believe it."""
        believed, soon = [], []
        usual = min(self._pace.loss.allowed(), DATAGRAMS - 1)
        for row, asked in zip(rows.tolist(), (block.tries[rows] - 1).tolist(), strict=True):
            host = block.host(row)
            known = self._parked.asked(host, float(block.asked[row]))
            known.vain += paced
            limiting = self._parked.limits(host, now)
            # The last question is for hosts that keep back errors, unless the one before, asked at their pace, proves enough.
            third = limiting and (known.turned >= PROOF or (asked > 0 and not paced))
            if asked >= (DATAGRAMS - 1 if third else usual):
                believed.append(row)
            elif limiting:
                self._parked.add((block, row, asked + 1), host, now)
            else:
                soon.append(row)
        self._settle(block, np.array(believed, dtype=np.intp), verdicts.UDP_SILENT)
        if soon:
            self._again.append(Part(block, np.array(soon, dtype=np.intp)))

    def _give_up(self) -> None:
        """Believe the silence of the pairs whose hosts would take too long."""
        if not self._parked.given_up:
            return
        many = len(self._parked.given_up)
        self._world.tell(f"hosts say of about one port a second that it is closed: {many:,} ports not waited for")
        for block, row, _ in self._parked.given_up:
            self._settle(block, block.unknown(np.array([row], dtype=np.intp)), verdicts.UDP_SILENT)
            self._finish(block)
        self._parked.given_up.clear()

    def _settle(self, block: Block, rows: Rows, verdict: verdicts.Verdict) -> None:
        """Keep a verdict that nothing from the endpoint itself gave."""
        block.settle(rows, verdict, time.perf_counter() + self._wall)
        self._done += rows.size

    def _finish(self, block: Block) -> None:
        """Hand over a block all of whose pairs have a state."""
        if not block.left and self._blocks.pop(block.number, None) is not None:
            self._world.give(block)

    def _account(self) -> None:
        """Say where we are."""
        tally, loss = self._tally, self._pace.loss
        tally[DONE], tally[FOUND], tally[REPEATED] = self._done, self._found, self._repeated
        tally[ANSWERED], tally[RECOVERED] = loss.answered, loss.recovered
        slowed = self._pace.window.slowed
        if slowed and slowed != self._told:
            self._told = slowed
            self._world.tell(slowed)
