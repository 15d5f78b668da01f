"""Sockets as the connect engine needs them: made without detours, closed without traces, and what their errors mean.

Numbers, not members of enumerations, and the plain C type of socket: in a loop of 20 microseconds naming them would show.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys

from reconshield.errors import UserError
from reconshield.scan import answers, verdicts

NONBLOCK = int(getattr(socket, "SOCK_NONBLOCK", 0))
STREAM = int(socket.SOCK_STREAM) | NONBLOCK
REUSABLE = sys.platform == "linux"
STILL_UNDER_WAY = {0, errno.EALREADY, errno.EINPROGRESS, errno.EISCONN}
UNDER_WAY = {0, errno.EINPROGRESS, errno.EWOULDBLOCK}
SHORTAGES = {
    errno.EMFILE: "this process may open no more files (ulimit -n)",
    errno.ENFILE: "the system has no more files to open",
    errno.EADDRNOTAVAIL: "all source ports are in use",
    errno.ENOBUFS: "the system has no memory for more connections",
    errno.ENOMEM: "the system has no memory for more connections",
}

RESET_ON_CLOSE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""struct linger: closing sends RST, so no port is left in TIME_WAIT here and no half-closed connection there."""


def make_socket(family: int) -> socket.SocketType:
    """A non-blocking TCP socket that keeps ICMP messages. The plain C type: half the cost of `socket.socket`."""
    sock = socket.SocketType(family, STREAM)
    if not NONBLOCK:
        sock.setblocking(False)
    if answers.ERROR_QUEUE:
        level, option = answers.RECVERR[family]
        sock.setsockopt(level, option, 1)
    return sock


def ask_again(sock: socket.SocketType, goal: tuple[str, int]) -> int:
    """How an attempt stands just after it began: its error, or 0 for both "connected" and "not yet".

    Where the answer came at once it is known already. Linux gives the error to a second `connect` and then takes the socket for
    unconnected, so it can be used again; that saves making and closing one for each closed port, a third of the kernel's work.
    """
    if not REUSABLE:
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    error = sock.connect_ex(goal)
    return 0 if error in STILL_UNDER_WAY else error


def judge_missing_socket(error: int) -> verdicts.Verdict:
    """Without a socket nothing was measured, unless this system does not know the address family at all."""
    if error == errno.EAFNOSUPPORT:
        return verdicts.NO_ROUTE
    raise UserError(
        f"this system lets the process open no socket ({errno.errorcode.get(error, error)})",
        hint="run it outside the sandbox",
    )


def has_no_source(family: int, goal: tuple[str, int]) -> bool:
    """Whether no source address leads to this target (else no port is free). A UDP connect finds out and sends nothing."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        return sock.connect_ex(goal) == errno.EADDRNOTAVAIL


def read_ends(sock: socket.SocketType) -> tuple[tuple[str, int], tuple[str, int]] | None:
    """Our own and the other end of a connection as address and port; None if it is not connected yet."""
    try:
        own, other = sock.getsockname(), sock.getpeername()
    except OSError:  # ENOTCONN: not yet, or reset since; then the selector tells
        return None
    return own[:2], other[:2]
