"""One loop of connection attempts: blocks in, finished blocks out.

A lane takes blocks while it has room, opens non-blocking connections as fast as the pacing allows, hears of their ends from the
selector, asks silent endpoints again, and hands on each block when its last pair has a verdict. Several blocks are under way at
once, so one that waits for time-outs does not hold up the next. Nothing is ever given up for want of resources: the window
shrinks and the pair goes back to the queue.

On loopback and fast links the answer is there when `connect` returns; then the pair never meets the selector, which is what
makes 65,535 closed ports a matter of a second.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol, TypeVar

from reconshield.errors import UserError
from reconshield.scan import answers, sockets, verdicts
from reconshield.scan.batch import Batch
from reconshield.scan.pacing import HostLimit, LossMeter, NetLimit, RoundTrip, TokenBucket, Window
from reconshield.scan.verdicts import Verdict
from reconshield.scan.work import Item, Waiting, Work

TURN = 32
"""Attempts between two looks at the selector: keeps measured round trips within a millisecond."""

LONGEST_WAIT = 0.1
"""Seconds until a stop is noticed at the latest."""

PATIENCE = 10.0
"""Seconds of shortage, without one connection of our own, after which the scan ends with an error."""

ECHOES = 2
"""How often a connection that met itself is tried again."""


@dataclass(slots=True)
class Attempt:
    """One connection that waits for its answer."""

    sock: socket.SocketType
    item: Item
    started: float
    ended: bool = False


@dataclass(slots=True)
class Pace:
    """What a lane keeps to."""

    window: Window
    rtt: RoundTrip
    loss: LossMeter
    bucket: TokenBucket
    hosts: HostLimit | None
    nets: NetLimit | None = None


DONE, FOUND, REPEATED, ANSWERED, RECOVERED = range(5)
"""Places in a tally: pairs with a verdict, open ones, repeated attempts; and those of `LossMeter`."""

TALLY_SIZE = 5


class Tally(Protocol):
    """A few numbers that the lane keeps up to date for another thread or process to read."""

    def __getitem__(self, place: int, /) -> int: ...
    def __setitem__(self, place: int, value: int, /) -> None: ...


class Job(Protocol):
    """A block under way, however an engine keeps it."""

    number: int

    def batch(self) -> Batch: ...


W = TypeVar("W", bound=Job)


class World(Protocol[W]):
    """What a lane sees of the world: the next block or None, where finished ones go, who hears why it is slow, when to stop.

    `finish` is a lane's last word: blocks and counts are as they stay. One that has much to close says it before it closes.
    """

    def take(self) -> W | None: ...
    def give(self, work: W) -> None: ...
    def tell(self, why: str) -> None: ...
    def finish(self) -> None: ...
    def stopped(self) -> bool: ...


class Lane:
    """One loop with its own connections and its own pace."""

    def __init__(self, world: World[Work], tally: Tally, pace: Pace) -> None:
        self._world, self._tally, self._pace = world, tally, pace
        self._told: str | None = None
        self._done = self._found = self._repeated = 0
        self._ended = self._answers = self._lost = 0
        self._slowest = 0.0
        self._waiting = Waiting(pace.hosts, pace.nets)
        self._more = True
        self._opened = 0
        self._silent: list[deque[Attempt]] = []
        self._selector = selectors.DefaultSelector()
        self._starved_at: float | None = None
        self._spare: dict[int, socket.SocketType] = {}
        self._wall = time.time() - time.perf_counter()

    def run(self) -> None:
        """Work until there are no more blocks or the world says stop. Every connection is closed at the end."""
        try:
            while not self._world.stopped():
                self._admit()
                if not (self._waiting or self._opened):
                    return
                self._launch(time.perf_counter())
                self._hear()
                self._expire(time.perf_counter())
                self._learn()
                self._account()
        finally:
            self._close()

    def _account(self) -> None:
        """Say where we are."""
        tally, loss = self._tally, self._pace.loss
        tally[DONE], tally[FOUND], tally[REPEATED] = self._done, self._found, self._repeated
        tally[ANSWERED], tally[RECOVERED] = loss.answered, loss.recovered
        if self._pace.window.slowed != self._told and self._pace.window.slowed:
            self._told = self._pace.window.slowed
            self._world.tell(self._told)

    def _admit(self) -> None:
        """Take blocks until a window's worth of pairs waits."""
        while self._more and self._waiting.has_room(self._pace.window.size):
            work = self._world.take()
            if work is None:
                self._more = False
            elif work.left:
                self._waiting.add(work)
            else:  # no pair of it is for this lane's transport
                self._world.give(work)

    def _launch(self, now: float) -> None:
        """Open as many connections as window, rate and host limits allow, at most a turn's worth."""
        room = min(TURN, self._pace.window.room(self._opened), len(self._waiting))
        granted = self._pace.bucket.take(now, room) if room > 0 else 0
        for used in range(granted):
            item = self._waiting.next(now)
            if item is None or not self._open(item):
                self._pace.bucket.give_back(granted - used)
                return

    def _open(self, item: Item) -> bool:
        """Start one attempt. False if the system has no room for it; the pair is back in the queue then."""
        work, index, _ = item
        family = work.families[index]
        sock: socket.SocketType | None = None
        try:
            sock = self._spare.pop(family, None) or sockets.make_socket(family)
            started = time.perf_counter()
            error = sock.connect_ex(work.goals[index])
            if error in sockets.UNDER_WAY:
                error = sockets.ask_again(sock, work.goals[index])
                if not error:
                    return self._await(Attempt(sock, item, started))
        except OSError as failure:
            started, error = time.perf_counter(), failure.errno or errno.EIO
        if error in sockets.SHORTAGES and not (
            error == errno.EADDRNOTAVAIL and sockets.has_no_source(family, work.goals[index])
        ):
            return self._starve(sock, item, error)
        if sock is None:
            verdict: Verdict | None = sockets.judge_missing_socket(error)
        else:
            verdict = answers.judge(sock, error)
            self._put_away(sock, family, verdict)
        self._settle(item, verdict, started, time.perf_counter())
        return True

    def _put_away(self, sock: socket.SocketType, family: int, verdict: Verdict | None) -> None:
        """Keep a refused socket for the next attempt where the system lets one connect again, else close it."""
        if sockets.REUSABLE and verdict is verdicts.REFUSED and family not in self._spare:
            self._spare[family] = sock
        else:
            sock.close()

    def _await(self, attempt: Attempt) -> bool:
        """Leave an attempt to the selector and the clock."""
        try:
            self._selector.register(attempt.sock, selectors.EVENT_WRITE, attempt)
        except OSError as failure:
            if failure.errno not in sockets.SHORTAGES and failure.errno != errno.ENOSPC:  # ENOSPC: too many watches (epoll_ctl)
                raise
            return self._starve(attempt.sock, attempt.item, errno.ENOMEM)
        self._opened += 1
        self._starved_at = None
        tries = attempt.item[2]
        while len(self._silent) <= tries:
            self._silent.append(deque())
        self._silent[tries].append(attempt)
        return True

    def _starve(self, sock: socket.SocketType | None, item: Item, error: int) -> bool:
        """Do with fewer connections and ask later. If even one is too many for long, the scan cannot go on."""
        if sock is not None:
            sock.close()
        self._waiting.again(item)
        self._pace.window.starved(self._opened, sockets.SHORTAGES[error])
        if not self._opened:
            now = time.perf_counter()
            self._starved_at = self._starved_at or now
            if now - self._starved_at > PATIENCE:
                raise UserError(
                    f"no connection can be opened: {sockets.SHORTAGES[error]}", hint="close other programs and resume"
                )
            time.sleep(LONGEST_WAIT / 5)
        return False

    def _hear(self) -> None:
        """Wait for something to do, and settle the attempts that have ended."""
        delay = self._idle_for(time.perf_counter())
        if not self._opened:
            if delay and self._waiting:
                time.sleep(delay)
            return
        events = self._selector.select(delay)
        now = time.perf_counter()
        for key, _ in events:
            self._hear_one(key.data, now)

    def _idle_for(self, now: float) -> float:
        """Seconds until an attempt may be opened or expires, if nothing is heard before."""
        ends = [row[0].started + self._pace.rtt.timeout(tries) for tries, row in enumerate(self._silent) if row]
        if (self._more or self._waiting) and self._pace.window.room(self._opened) > 0:
            due = now if self._more and not self._waiting else self._waiting.due(now)
            ends.append(max(due, now + self._pace.bucket.wait()))
        return max(0.0, min([LONGEST_WAIT, *(end - now for end in ends)]))

    def _hear_one(self, attempt: Attempt, now: float) -> None:
        """An attempt is connected, has failed, or has a message from the network."""
        sock = attempt.sock
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        verdict = answers.judge(sock, error)
        if not error and not verdict:
            ends = sockets.read_ends(sock)
            if ends is None:
                return
            if ends[0] == ends[1]:
                self._meet_itself(attempt, now)
                return
            verdict = verdicts.OPEN
        self._end(attempt, reset=verdict is verdicts.OPEN)
        self._settle(attempt.item, verdict, attempt.started, now)

    def _meet_itself(self, attempt: Attempt, now: float) -> None:
        """A source port of our own address happened to be the target port, and the connection leads to itself: ask again.

        The kernel takes no source port that somebody listens on, so if nothing else comes of it the port is closed.
        """
        self._end(attempt)
        work, index, tries = attempt.item
        if tries < ECHOES:
            self._waiting.again((work, index, tries + 1))
        else:
            self._settle(attempt.item, verdicts.REFUSED, attempt.started, now)

    def _expire(self, now: float) -> None:
        """End the attempts whose time is up. Each row is in the order of starting."""
        for tries, row in enumerate(self._silent):
            limit = now - self._pace.rtt.timeout(tries)
            while row and (row[0].ended or row[0].started <= limit):
                attempt = row.popleft()
                if not attempt.ended:
                    verdict = answers.read_icmp(attempt.sock)
                    self._end(attempt)
                    self._settle(attempt.item, verdict, attempt.started, now)

    def _end(self, attempt: Attempt, *, reset: bool = False) -> None:
        attempt.ended = True
        self._selector.unregister(attempt.sock)
        if reset:
            attempt.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, sockets.RESET_ON_CLOSE)
        attempt.sock.close()
        self._opened -= 1

    def _settle(self, item: Item, verdict: Verdict | None, started: float, now: float) -> None:
        """Keep a verdict, or ask again where none came."""
        work, index, tries = item
        self._ended += 1
        if verdict is None:
            if tries < self._pace.loss.allowed():
                self._repeated += 1
                self._waiting.again((work, index, tries + 1))
                return
            work.record(index, verdicts.SILENT, 0.0, now + self._wall)
        else:
            work.record(index, verdict, now - started, now + self._wall)
            # Loss and round trip are those of hosts that answer; ICMP errors are delayed and thinned out by routers.
            if verdict is verdicts.REFUSED or verdict is verdicts.OPEN:
                self._waiting.answered(item, now)
                self._count_answer(verdict, tries, now - started)
        self._done += 1
        if not work.left:
            self._world.give(work)

    def _count_answer(self, verdict: Verdict, tries: int, rtt: float) -> None:
        self._answers += 1
        if verdict is verdicts.OPEN:
            self._found += 1
        if tries and rtt < self._pace.rtt.timeout():  # an answer that was only slow was not lost
            self._lost += tries
        self._slowest = max(self._slowest, rtt)

    def _learn(self) -> None:
        """Adapt the pace to what this turn showed; one round trip a turn, the longest."""
        if not self._ended:
            return
        self._starved_at = None
        self._pace.window.finished(self._ended)
        if self._answers:
            self._pace.rtt.sample(self._slowest)
            self._pace.loss.count(self._answers, self._lost)
            self._pace.window.answered(self._answers, self._lost)
        self._ended = self._answers = self._lost = 0
        self._slowest = 0.0

    def _close(self) -> None:
        for row in self._silent:
            for attempt in row:
                if not attempt.ended:
                    self._end(attempt)
        for sock in self._spare.values():
            sock.close()
        self._selector.close()
