"""What the kernel says about a connection attempt, as a state with its reason.

A connecting socket tells little: one error number. Linux (since 5.9) also keeps the ICMP message behind it for whoever asked
with `IP_RECVERR`, without privileges; with it the reasons are those that a raw scan sees, and a firewall that answers "port
unreachable" is told from a closed port. Elsewhere the error number decides.

`None` as a verdict means that no answer came.
"""

from __future__ import annotations

import errno
import socket

from reconshield.scan import verdicts
from reconshield.scan.verdicts import Verdict

BY_ERRNO = {
    errno.ECONNREFUSED: verdicts.REFUSED,
    # Only an established connection can be reset or broken: the SYN-ACK had come.
    errno.ECONNRESET: verdicts.OPEN,
    errno.EPIPE: verdicts.OPEN,
    errno.EHOSTUNREACH: verdicts.NO_HOST,
    errno.EHOSTDOWN: verdicts.NO_HOST,
    errno.ENETUNREACH: verdicts.NO_NET,
    errno.ENETDOWN: verdicts.NO_NET,
    # The local firewall or a "prohibit" route says EPERM or EACCES, a "blackhole" route EINVAL.
    errno.EPERM: verdicts.PROHIBITED,
    errno.EACCES: verdicts.PROHIBITED,
    errno.EINVAL: verdicts.NO_ROUTE,
    # Only where no address of ours leads there; a lack of ports has been told apart before.
    errno.EADDRNOTAVAIL: verdicts.NO_ROUTE,
    errno.ENOPROTOOPT: verdicts.NO_PROTOCOL,
    errno.EPROTO: verdicts.NO_PROTOCOL,
}
"""Every error that is a measurement; any other means that no answer came."""

ERROR_QUEUE = int(getattr(socket, "MSG_ERRQUEUE", 0))
RECVERR = {int(socket.AF_INET): (socket.IPPROTO_IP, 11), int(socket.AF_INET6): (socket.IPPROTO_IPV6, 25)}
"""Level and number of IP_RECVERR and IPV6_RECVERR in Linux, by address family; Python does not name them."""

FROM_ICMP, FROM_ICMP6 = 2, 3
"""`ee_origin` of struct sock_extended_err (linux/errqueue.h)."""


def judge(sock: socket.SocketType, error: int) -> Verdict | None:
    """The verdict on an attempt that ended with `error` (0 for: not connected, but something is to be told)."""
    return read_icmp(sock) or BY_ERRNO.get(error)


def read_icmp(sock: socket.SocketType) -> Verdict | None:
    """The verdict of the ICMP message that the kernel kept, if there is one."""
    kept = fetch_error(sock)
    return None if kept is None else judge_icmp(sock, kept)


def fetch_error(sock: socket.SocketType) -> bytes | None:
    """The ICMP message that the kernel kept as its struct sock_extended_err, if there is one."""
    if not ERROR_QUEUE:
        return None
    try:
        _, ancillary, _, _ = sock.recvmsg(1, 128, ERROR_QUEUE)
    except OSError:  # EAGAIN: the queue is empty
        return None
    return next((data for _, _, data in ancillary if len(data) >= 16 and data[4] in {FROM_ICMP, FROM_ICMP6}), None)


def judge_icmp(sock: socket.SocketType, kept: bytes) -> Verdict | None:
    """The verdict of struct sock_extended_err: origin, type and code at 4, 5 and 6."""
    table = verdicts.BY_ICMP if kept[4] == FROM_ICMP else verdicts.BY_ICMP6
    verdict = table.get((kept[5], kept[6]))
    if verdict is verdicts.NO_HOST and sent_by(kept, sock.getsockname()[0]):
        return verdicts.NO_NEIGHBOUR  # our own kernel's: nobody on the link answered for the address (ARP, neighbour discovery)
    return verdict


def sent_by(kept: bytes, address: str) -> bool:
    """Whether the message came from this address; the sender's socket address stands from 16 on."""
    sender = kept[16:]
    if ":" in address:
        return sender[8:24] == socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    return sender[4:8] == socket.inet_pton(socket.AF_INET, address)
