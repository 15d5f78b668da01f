"""What a UDP socket has to say after a question, as a state with its reason.

An answer makes the port open. An ICMP error comes through the socket's error queue with type, code and sender (see `answers`):
"port unreachable" from the target itself is what a kernel sends for a closed port; from anybody on the way it is a firewall's.
`None` means that nothing has come yet.
"""

from __future__ import annotations

import errno
import socket

from reconshield.scan import answers, verdicts
from reconshield.scan.verdicts import Verdict

BY_ERRNO = {
    # Without the message itself nobody knows who sent it; a closed port is by far the commonest.
    errno.ECONNREFUSED: verdicts.UDP_CLOSED,
    errno.ECONNRESET: verdicts.UDP_CLOSED,
    errno.EHOSTUNREACH: verdicts.NO_HOST,
    errno.EHOSTDOWN: verdicts.NO_HOST,
    errno.ENETUNREACH: verdicts.NO_NET,
    errno.ENETDOWN: verdicts.NO_NET,
    errno.EPERM: verdicts.PROHIBITED,
    errno.EACCES: verdicts.PROHIBITED,
    errno.EINVAL: verdicts.NO_ROUTE,
    errno.EADDRNOTAVAIL: verdicts.NO_ROUTE,
    errno.ENOPROTOOPT: verdicts.NO_PROTOCOL,
    errno.EPROTO: verdicts.NO_PROTOCOL,
}


def hear(sock: socket.SocketType, goal: tuple[str, int]) -> Verdict | None:
    """Look once at what has come from `goal`, without waiting. An answer counts more than an error."""
    error = 0
    for _ in range(2):  # an error that waits is told first, and once
        try:
            _, sender = sock.recvfrom(1)
        except BlockingIOError:
            break
        except OSError as failure:
            error = failure.errno or errno.EIO
        else:
            if sender[0] == goal[0]:
                return verdicts.UDP_OPEN
    return judge(sock, goal, error)


def judge(sock: socket.SocketType, goal: tuple[str, int], error: int) -> Verdict | None:
    """The verdict of the ICMP message that the kernel kept, else of the error number."""
    kept = answers.fetch_error(sock)
    if kept is None:
        return BY_ERRNO.get(error)
    verdict = answers.judge_icmp(sock, kept)
    if verdict is verdicts.REJECTED and answers.sent_by(kept, goal[0]):
        return verdicts.UDP_CLOSED
    return verdict
