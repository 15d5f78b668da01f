"""What `lsof -i` prints (`lsof -nP -i`, `lsof -nP -iTCP -sTCP:LISTEN`): sockets of a host with the programs that hold them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconshield.detect.flows import Bad, Chunks, FlowState, Item, Reader
from reconshield.detect.sockets import Socket, Sockets, head_lines, read_end, read_sockets

HEADER = re.compile(r"COMMAND\s+PID\s.*\sNODE\s+NAME")
LINE = re.compile(
    r"(?P<command>\S+)\s+(?P<pid>\d{1,9})\s.*\sIPv(?P<version>[46])\s+\S+\s+\S+\s+(?P<kind>TCP|UDP)\s+"
    r"(?P<local>\S+?)(->(?P<peer>\S+))?(\s+\((?P<state>[\w-]+)\))?(\s+.*)?$"
)
STATES = {
    **dict.fromkeys(("ESTABLISHED", "CLOSE_WAIT", "TIME_WAIT", "LAST_ACK", "CLOSING"), FlowState.ESTABLISHED),
    **dict.fromkeys(("FIN_WAIT1", "FIN_WAIT2", "FIN_WAIT_1", "FIN_WAIT_2"), FlowState.ESTABLISHED),
}
OPENING = {"SYN_SENT": 1, "SYN_RECV": -1, "SYN_RCVD": -1}
UNBOUND = {"CLOSED", "IDLE"}
SOCKET = re.compile(r"\sIPv[46]\s")
EVERY = {"4": "0.0.0.0", "6": "::"}  # noqa: S104 - what `*` means, nothing is bound


def read(chunks: Chunks) -> Iterator[Item]:
    yield from read_dated(chunks, None)


def read_dated(chunks: Chunks, changed: float | None) -> Iterator[Item]:
    sockets = Sockets(changed)
    for found in read_sockets(chunks):
        if isinstance(found, Bad):
            yield found
            continue
        number, line = found
        if HEADER.match(line) or not SOCKET.search(line):
            continue  # files of other kinds
        place = LINE.match(line)
        if place is None:
            yield Bad(f"line {number}", "no line of lsof -i")
        elif place["state"] not in UNBOUND:
            try:
                yield from sockets.add(read_socket(place, number))
            except ValueError as error:
                yield Bad(f"line {number}", str(error))
    yield from sockets.finish()


def read_socket(place: re.Match[str], number: int) -> Socket:
    every, state = EVERY[place["version"]], place["state"] or ""
    return Socket(
        number,
        place["kind"].lower(),
        read_end(place["local"], every),
        read_end(place["peer"], every) if place["peer"] else None,
        STATES.get(state, FlowState.UNKNOWN),
        OPENING.get(state, 0),
        state == "TIME_WAIT",
        place["command"].replace("\\x20", " "),
        int(place["pid"]),
    )


def recognises(head: bytes) -> bool:
    return any(HEADER.match(line) for line in head_lines(head))


READER = Reader("lsof", "sockets of a host (lsof -nP -i)", recognises, read, read_dated)
