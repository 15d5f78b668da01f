"""What `netstat` prints on Linux and BSD (`netstat -tulpn`, `-an`) and on Windows (`netstat -ano`).

Windows translates its words, so a listener is known by its peer: port 0 or none. Linux cuts long IPv6 addresses unless `-W` is
given; a line with such a stump is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconshield.detect.flows import Bad, Chunks, FlowState, Item, Reader
from reconshield.detect.sockets import End, Socket, Sockets, head_lines, read_end, read_sockets

UNIX = re.compile(r"(tcp|udp|sctp)(4|6|46)?\s+\d+\s+\d+\s+(?P<local>\S+)\s+(?P<peer>\S+)(\s+(?P<rest>.*))?$")
WINDOWS = re.compile(r"\s*(TCP|UDP)\s+(?P<local>\S+:\d+)\s+(?P<peer>\S+:(\d+|\*))(\s+(?P<rest>.*))?$")
HEADER = re.compile(r"Proto\s+Recv-Q\s+Send-Q\s+Local Address\s+Foreign Address")
PROGRAM = re.compile(r"(\d{1,9})/(\S.*?)\s*$")
PLAIN_PID = re.compile(r"(?:^|\s)(\d{1,9})\s*$")
LISTEN = "LISTEN"
STATES = {
    **dict.fromkeys(("ESTABLISHED", "TIME_WAIT", "CLOSE_WAIT", "LAST_ACK", "CLOSING"), FlowState.ESTABLISHED),
    **dict.fromkeys(("FIN_WAIT1", "FIN_WAIT2", "FIN_WAIT_1", "FIN_WAIT_2"), FlowState.ESTABLISHED),
}
OPENING = {"SYN_SENT": 1, "SYN_RECV": -1, "SYN_RECEIVED": -1, "SYN_RCVD": -1}
OURS = re.compile(r"\s*(tcp|udp|sctp)", re.IGNORECASE)


def read(chunks: Chunks) -> Iterator[Item]:
    yield from read_dated(chunks, None)


def read_dated(chunks: Chunks, changed: float | None) -> Iterator[Item]:
    sockets = Sockets(changed)
    for found in read_sockets(chunks):
        if isinstance(found, Bad):
            yield found
            continue
        number, line = found
        if not OURS.match(line):
            continue  # headings, sockets of other kinds, programs that stand below their line
        place = UNIX.match(line) or WINDOWS.match(line.rstrip())
        if place is None:
            yield Bad(f"line {number}", "no line of netstat")
            continue
        try:
            yield from sockets.add(read_socket(place, number))
        except ValueError as error:
            yield Bad(f"line {number}", str(error))
    yield from sockets.finish()


def read_socket(place: re.Match[str], number: int) -> Socket:
    local, peer = read_end(place["local"]), read_peer(place["peer"])
    rest = place["rest"] or ""
    state = rest.split(None, 1)[0].upper() if rest else ""
    program = PROGRAM.search(rest) if place.re is UNIX else None
    pid = program or (PLAIN_PID.search(rest) if place.re is WINDOWS else None)
    return Socket(
        number,
        place[1].lower(),
        local,
        None if state.startswith(LISTEN) or not peer[1] else peer,
        STATES.get(state, FlowState.UNKNOWN),
        OPENING.get(state, 0),
        state == "TIME_WAIT" or state not in STATES,
        program[2] if program else None,
        int(pid[1]) if pid else None,
    )


def read_peer(text: str) -> End:
    return ("::", 0) if text in {"*:*", "*.*"} else read_end(text)


def recognises(head: bytes) -> bool:
    lines = head_lines(head)
    return any(HEADER.match(line) or UNIX.match(line) for line in lines) or any(map(WINDOWS.match, lines))


READER = Reader(
    "netstat", "sockets of a host (netstat -tulpn, netstat -an, Windows netstat -ano)", recognises, read, read_dated
)
