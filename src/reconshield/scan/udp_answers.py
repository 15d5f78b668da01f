"""What a UDP socket has to say after a question, as a state with its reason.

An answer makes the port open. An ICMP error comes through the socket's error queue with type, code and sender (see `answers`):
"port unreachable" from the target itself is what a kernel sends for a closed port; from anybody on the way it is a firewall's.
`None` means that nothing has come yet.
"""

from __future__ import annotations

import errno
import socket

from reconshield.model import Reason, State
from reconshield.scan import answers
from reconshield.scan.answers import Verdict

OPEN = Verdict(State.OPEN, Reason.UDP_RESPONSE)
CLOSED = Verdict(State.CLOSED, Reason.PORT_UNREACH)
SILENT = Verdict(State.OPEN_FILTERED, Reason.NO_RESPONSE)

BY_ERRNO = {
    # Without the message itself nobody knows who sent it; a closed port is by far the commonest.
    errno.ECONNREFUSED: CLOSED,
    errno.ECONNRESET: CLOSED,
    errno.EHOSTUNREACH: answers.NO_HOST,
    errno.EHOSTDOWN: answers.NO_HOST,
    errno.ENETUNREACH: answers.NO_NET,
    errno.ENETDOWN: answers.NO_NET,
    errno.EPERM: answers.PROHIBITED,
    errno.EACCES: answers.PROHIBITED,
    errno.EINVAL: answers.NO_ROUTE,
    errno.EADDRNOTAVAIL: answers.NO_ROUTE,
    errno.ENOPROTOOPT: answers.NO_PROTOCOL,
    errno.EPROTO: answers.NO_PROTOCOL,
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
                return OPEN
    return judge(sock, goal, error)


def judge(sock: socket.SocketType, goal: tuple[str, int], error: int) -> Verdict | None:
    """The verdict of the ICMP message that the kernel kept, else of the error number."""
    kept = answers.fetch_error(sock)
    if kept is None:
        return BY_ERRNO.get(error)
    verdict = answers.judge_icmp(sock, kept)
    if verdict is answers.REJECTED and answers.sent_by(kept, goal[0]):
        return CLOSED
    return verdict
