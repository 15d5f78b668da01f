"""A second look at endpoints that are hard to believe: connect, wait a moment, see whether the connection holds.

No byte is sent. Who answers for others often takes the handshake back as soon as it has asked the real host; a server greets or
waits. The connection is ended by RST. Limits are those of the scan: attempts a second in all and to one host.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
import time
from collections.abc import Sequence

from reconshield.errors import Refused
from reconshield.model import Endpoint
from reconshield.scan.doubt import Outcome
from reconshield.scan.effort import Options, raised_file_limit
from reconshield.scan.pacing import HostLimit, TokenBucket
from reconshield.scan.sockets import RESET_ON_CLOSE
from reconshield.scope import Targets

HANDSHAKE_SECONDS, HELD_SECONDS = 2.0, 1.0
AT_ONCE = 512


def confirm(
    targets: Targets, endpoints: Sequence[Endpoint], options: Options, stop: threading.Event
) -> dict[Endpoint, Outcome]:
    """Connect once to each TCP endpoint. What was not reached when `stop` was set is missing in the answer."""
    beyond = next((place for place in endpoints if place.ip not in targets.addresses), None)
    if beyond is not None:
        raise Refused(f"no grant covers {beyond.ip}. Nothing was sent.", where=str(beyond), hint="reconshield grant list")
    with raised_file_limit() as files:
        return asyncio.run(_confirm_all(targets, endpoints, options, stop, min(AT_ONCE, files)))


async def _confirm_all(
    targets: Targets, endpoints: Sequence[Endpoint], options: Options, stop: threading.Event, at_once: int
) -> dict[Endpoint, Outcome]:
    bucket = TokenBucket(options.rate)
    hosts = HostLimit(options.per_host) if options.per_host else None
    room = asyncio.Semaphore(at_once)
    found: dict[Endpoint, Outcome] = {}

    async def look(place: Endpoint) -> None:
        try:
            found[place] = await _look(place)
        finally:
            room.release()

    async with asyncio.TaskGroup() as group:
        for place in endpoints:
            await room.acquire()
            if stop.is_set():
                room.release()
                break
            await _wait_turn(place, bucket, None if place.ip in targets.exempt else hosts)
            group.create_task(look(place))
    return found


async def _wait_turn(place: Endpoint, bucket: TokenBucket, hosts: HostLimit | None) -> None:
    while not bucket.take(time.monotonic(), 1):
        await asyncio.sleep(bucket.wait())
    if hosts is not None:
        now = time.monotonic()
        ready = hosts.ready_at(place.ip, now)
        hosts.count(place.ip, ready)
        await asyncio.sleep(ready - now)


async def _look(place: Endpoint) -> Outcome:
    """One connection."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in place.ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await loop.sock_connect(sock, (place.ip, place.port))
        except OSError as failure:  # TimeoutError is one
            return Outcome.CLOSED if failure.errno == errno.ECONNREFUSED else Outcome.LOST
        try:
            async with asyncio.timeout(HELD_SECONDS):
                return Outcome.SPOKE if await loop.sock_recv(sock, 1) else Outcome.CLOSED
        except TimeoutError:
            return Outcome.HELD
        except OSError:
            return Outcome.CLOSED
