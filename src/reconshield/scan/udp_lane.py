"""One loop of UDP questions: blocks in, finished blocks out. The counterpart of `lane`, which connects.

Each pair gets the question of its port from a socket of its own, so the kernel matches answers and ICMP errors to it. Silence
is asked again: soon where the network may have lost something, at the host's own pace where it thins out its errors
(`udp_pace`). A pair is sent three datagrams at most, whatever happens.
"""

from __future__ import annotations

import errno
import selectors
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from reconshield.errors import UserError
from reconshield.knowledge.payloads import DATAGRAMS, Payload
from reconshield.scan import sockets, udp_answers, verdicts
from reconshield.scan.lane import ANSWERED, DONE, FOUND, LONGEST_WAIT, PATIENCE, RECOVERED, REPEATED, TURN, Pace, Tally, World
from reconshield.scan.udp_pace import PROOF, Parked
from reconshield.scan.udp_socket import Asked, ask
from reconshield.scan.verdicts import Verdict
from reconshield.scan.work import Item, Waiting, Work

MOST_PARKED = 65_536
"""Silent pairs that wait for their hosts; with more of them no new block is begun."""


@dataclass(slots=True)
class Attempt:
    """One question that waits for its answer. `paced` if it waited for a host that thins out its errors."""

    asked: Asked
    item: Item
    started: float
    paced: bool
    ended: bool = False


class UdpLane:
    """One loop with its own sockets and its own pace. `question` gives the payload of a port."""

    def __init__(
        self, world: World[Work], tally: Tally, pace: Pace, patience: float, question: Callable[[int], Payload]
    ) -> None:
        self._world, self._tally, self._pace, self._question = world, tally, pace, question
        self._waiting = Waiting(pace.hosts, pace.nets)
        self._parked: Parked[str, Item] = Parked(patience, 1 / pace.hosts.rate if pace.hosts else 0.0)
        self._told: str | None = None
        self._done = self._found = self._repeated = 0
        self._more, self._opened = True, 0
        self._rows: dict[tuple[int, float], deque[Attempt]] = {}
        self._selector = selectors.DefaultSelector()
        self._starved_at: float | None = None
        self._wall = time.time() - time.perf_counter()

    def run(self) -> None:
        """Work until there are no more blocks or the world says stop. Every socket is closed at the end."""
        try:
            while not self._world.stopped():
                self._admit()
                if not (self._waiting or self._opened or self._parked.count):
                    return
                self._launch(time.perf_counter())
                self._hear()
                self._expire(time.perf_counter())
                self._account()
        finally:
            for row in self._rows.values():
                for attempt in row:
                    self._end(attempt)
            self._selector.close()

    def _admit(self) -> None:
        """Take blocks until a window's worth of pairs waits."""
        while self._more and self._waiting.has_room(self._pace.window.size) and self._parked.count < MOST_PARKED:
            work = self._world.take()
            if work is None:
                self._more = False
            elif work.left:
                self._waiting.add(work)
            else:  # no pair of it is for this lane's transport
                self._world.give(work)

    def _launch(self, now: float) -> None:
        """Ask as many as window, rate and hosts allow, at most a turn's worth; those that waited for their host come first."""
        room = min(TURN, self._pace.window.room(self._opened), len(self._waiting) + self._parked.count)
        granted = self._pace.bucket.take(now, room) if room > 0 else 0
        for used in range(granted):
            item = self._parked.next(now)
            paced = item is not None
            item = item or self._waiting.next(now)
            if item is None or not self._ask(item, now, paced):
                self._pace.bucket.give_back(granted - used)
                break
        self._give_up(now)

    def _ask(self, item: Item, now: float, paced: bool) -> bool:
        """Send one question. False if the system has no room for it; the pair waits again then."""
        work, index, tries = item
        goal = work.goals[index]
        self._parked.asked(goal[0], now)
        started = time.perf_counter()
        asked = ask(work.families[index], goal, self._question(goal[1]))
        if isinstance(asked, int):
            if asked in sockets.SHORTAGES:
                return self._starve(item, asked)
            self._settle(item, udp_answers.BY_ERRNO.get(asked), started, time.perf_counter(), paced)
            return True
        attempt = Attempt(asked, item, started, paced)
        # On loopback and fast links the answer is there already.
        if verdict := udp_answers.hear(asked.sock, goal):
            asked.sock.close()
            self._settle(item, verdict, started, time.perf_counter(), paced)
            return True
        try:
            self._selector.register(asked.sock, selectors.EVENT_READ, attempt)
        except OSError as failure:
            asked.sock.close()
            if failure.errno not in {errno.ENOMEM, errno.ENOSPC}:  # ENOSPC: too many watches (epoll_ctl)
                raise
            return self._starve(item, errno.ENOMEM)
        self._opened += 1
        self._starved_at = None
        self._rows.setdefault((tries, asked.wait), deque()).append(attempt)
        return True

    def _starve(self, item: Item, error: int) -> bool:
        """Do with fewer sockets and ask later. If even one is too many for long, the scan cannot go on."""
        self._waiting.again(item)
        self._pace.window.starved(self._opened, sockets.SHORTAGES[error])
        if not self._opened:
            now = time.perf_counter()
            self._starved_at = self._starved_at or now
            if now - self._starved_at > PATIENCE:
                raise UserError(f"no socket can be opened: {sockets.SHORTAGES[error]}", hint="close other programs and resume")
            time.sleep(LONGEST_WAIT / 5)
        return False

    def _hear(self) -> None:
        """Wait for something to do, and settle the questions that were answered."""
        delay = self._idle_for(time.perf_counter())
        if not self._opened:
            if self._waiting or self._parked.count:
                time.sleep(delay)
            return
        events = self._selector.select(delay)
        now = time.perf_counter()
        for key, _ in events:
            attempt: Attempt = key.data
            work, index, _ = attempt.item
            if verdict := udp_answers.hear(attempt.asked.sock, work.goals[index]):
                self._end(attempt)
                self._settle(attempt.item, verdict, attempt.started, now, attempt.paced)

    def _idle_for(self, now: float) -> float:
        """Seconds until a question may be sent or expires, if nothing is heard before."""
        ends = [row[0].started + self._timeout(key) for key, row in self._rows.items() if row]
        if self._pace.window.room(self._opened) > 0:
            # Blocks that are not begun for want of room in the parking place are waited for with the parked pairs.
            fresh = now if self._more and not self._waiting and self._parked.count < MOST_PARKED else self._waiting.due(now)
            ends.append(max(min(fresh, self._parked.due()), now + self._pace.bucket.wait()))
        return max(0.0, min([LONGEST_WAIT, *(end - now for end in ends)]))

    def _timeout(self, row: tuple[int, float]) -> float:
        """Longer for a repetition only while nobody has answered: then the kernel may still be looking for the neighbour."""
        tries, wait = row
        rtt = self._pace.rtt
        return rtt.timeout(tries if rtt.smoothed is None else 0) + wait

    def _expire(self, now: float) -> None:
        """End the questions whose time is up. Each row is in the order of starting."""
        for key, row in self._rows.items():
            limit = now - self._timeout(key)
            while row and (row[0].ended or row[0].started <= limit):
                attempt = row.popleft()
                if not attempt.ended:
                    self._end(attempt)
                    self._settle(attempt.item, None, attempt.started, now, attempt.paced)

    def _end(self, attempt: Attempt) -> None:
        if not attempt.ended:
            attempt.ended = True
            self._selector.unregister(attempt.asked.sock)
            attempt.asked.sock.close()
            self._opened -= 1

    def _settle(self, item: Item, verdict: Verdict | None, started: float, now: float, paced: bool) -> None:
        """Keep a verdict, or ask again where none came."""
        work, index, tries = item
        host = work.goals[index][0]
        self._pace.window.finished(1)
        if verdict is None:
            self._ask_again(item, host, now, paced)
            return
        if verdict is verdicts.UDP_CLOSED or verdict is verdicts.UDP_OPEN:
            self._waiting.answered(item, now)
        if verdict is verdicts.UDP_CLOSED:
            self._parked.asked(host, now).heard(now, tries)
            self._pace.rtt.sample(now - started)
        elif verdict is verdicts.UDP_OPEN:
            self._count_answer(tries, now - started)
        self._record(work, index, verdict, now - started, now)

    def _ask_again(self, item: Item, host: str, now: float, paced: bool) -> None:
        """What to do about silence: wait for the host's next error, repeat the question, or believe it."""
        work, index, tries = item
        known = self._parked.asked(host, now)
        known.vain += paced
        limiting = self._parked.limits(host, now)
        # The last question is for hosts that keep back errors, unless the one before was asked at their pace and proves enough.
        third = limiting and (known.turned >= PROOF or (tries > 0 and not paced))
        most = DATAGRAMS - 1 if third else min(self._pace.loss.allowed(), DATAGRAMS - 1)
        if tries >= most:
            self._record(work, index, verdicts.UDP_SILENT, 0.0, now)
            return
        self._repeated += 1
        if limiting:
            self._parked.add((work, index, tries + 1), host, now)
        else:
            self._waiting.again((work, index, tries + 1))

    def _give_up(self, now: float) -> None:
        """Believe the silence of the pairs whose hosts would take too long."""
        if self._parked.given_up:
            count = len(self._parked.given_up)
            host = self._parked.given_up[0][0].goals[self._parked.given_up[0][1]][0]
            self._world.tell(f"{host} says of about one port a second that it is closed: {count:,} not waited for")
            for work, index, _ in self._parked.given_up:
                self._record(work, index, verdicts.UDP_SILENT, 0.0, now)
            self._parked.given_up.clear()

    def _record(self, work: Work, index: int, verdict: Verdict, rtt: float, now: float) -> None:
        work.record(index, verdict, rtt, now + self._wall)
        self._done += 1
        if not work.left:
            self._world.give(work)

    def _count_answer(self, tries: int, rtt: float) -> None:
        """Learn from an answer: round trip, loss, room."""
        pace = self._pace
        lost = tries if rtt < pace.rtt.timeout() else 0  # an answer that was only slow was not lost
        self._found += 1
        pace.rtt.sample(rtt)
        pace.loss.count(1, lost)
        pace.window.answered(1, lost)

    def _account(self) -> None:
        """Say where we are."""
        tally, loss = self._tally, self._pace.loss
        tally[DONE], tally[FOUND], tally[REPEATED] = self._done, self._found, self._repeated
        tally[ANSWERED], tally[RECOVERED] = loss.answered, loss.recovered
        if self._pace.window.slowed != self._told and self._pace.window.slowed:
            self._told = self._pace.window.slowed
            self._world.tell(self._told)
