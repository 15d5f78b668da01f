"""A socket for one UDP question: connected, so that the kernel gives it only the target's answers and errors.

Where an answer may come from another port (TFTP, SSDP) it stays unconnected, bound to the address that leads to the target;
who answers is then checked by address (`udp_answers.hear`).
"""

from __future__ import annotations

import errno
import socket
from typing import NamedTuple

from reconshield.knowledge.payloads import Payload
from reconshield.scan import answers, sockets

DATAGRAM = int(socket.SOCK_DGRAM) | sockets.NONBLOCK
OWN_PORT_TRIES = 4


class Asked(NamedTuple):
    """A question under way. `wait` seconds may be added to the usual time-out."""

    sock: socket.SocketType
    wait: float


def ask(family: int, goal: tuple[str, int], payload: Payload) -> Asked | int:
    """Send one datagram to `goal`, or give the error number for which it could not be sent."""
    sock: socket.SocketType | None = None
    try:
        sock = _open(family, goal, connected=not payload.elsewhere)
        sock.sendto(payload.data, goal) if payload.elsewhere else sock.send(payload.data)
    except OSError as failure:
        error = failure.errno or errno.EIO
        if sock is None:
            return error
        if error in {errno.EAGAIN, errno.EWOULDBLOCK}:
            error = errno.ENOBUFS
        # An error of the way there, told by this very call, may stand with its reason in the queue.
        if error not in sockets.SHORTAGES and error not in {errno.EPERM, errno.EINVAL, errno.EACCES}:
            return Asked(sock, payload.wait)
        sock.close()
        return error
    return Asked(sock, payload.wait)


def _open(family: int, goal: tuple[str, int], *, connected: bool) -> socket.SocketType:
    sock = _connect(family, goal)
    for _ in range(OWN_PORT_TRIES):
        if sock.getsockname()[:2] != goal:
            break
        # The free port that the kernel chose on our own address is the one to be asked: we would answer ourselves.
        other = _connect(family, goal)
        sock.close()
        sock = other
    if connected:
        return sock
    own = sock.getsockname()[0]
    sock.close()
    free = _make(family)
    free.bind((own, 0))
    return free


def _connect(family: int, goal: tuple[str, int]) -> socket.SocketType:
    sock = _make(family)
    try:
        sock.connect(goal)
    except OSError:
        sock.close()
        raise
    return sock


def _make(family: int) -> socket.SocketType:
    sock = socket.SocketType(family, DATAGRAM)
    if not sockets.NONBLOCK:
        sock.setblocking(False)
    if answers.ERROR_QUEUE:
        level, option = answers.RECVERR[family]
        sock.setsockopt(level, option, 1)
    return sock
