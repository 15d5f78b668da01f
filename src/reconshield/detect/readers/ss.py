"""What `ss` prints on Linux (`ss -tulpn`, `ss -tn`, with or without a header): listeners and connections of a host.

Columns come and go with what was asked for: `Netid` is there when several kinds were, `State` when several states were. Without
`Netid` a line is taken for TCP, unless its state is UDP's. Source: iproute2, misc/ss.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconshield.detect.flows import Bad, Chunks, FlowState, Item, Note, Reader
from reconshield.detect.sockets import Socket, Sockets, head_lines, read_end, read_sockets

TRANSPORTS = {"tcp": "tcp", "mptcp": "tcp", "udp": "udp", "sctp": "sctp"}
OTHERS = re.compile(r"(u_|p_|v_|ti_)\w+$|(nl|raw|icmp6?|dccp|xdp|unix|\?\?\?|tipc|nlink|packet|vsock)$")
STATES = {
    "LISTEN": None,
    "UNCONN": None,
    "ESTAB": FlowState.ESTABLISHED,
    "SYN-SENT": FlowState.UNKNOWN,
    "SYN-RECV": FlowState.UNKNOWN,
    **dict.fromkeys(("FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSE-WAIT", "LAST-ACK", "CLOSING"), FlowState.ESTABLISHED),
}
OPENING = {"SYN-SENT": 1, "SYN-RECV": -1}
USER = re.compile(r'users:\(\("(.*?)",pid=(\d{1,9})')
HEADER = re.compile(r"(Netid\s+)?(State\s+)?Recv-Q\s+Send-Q\s+Local Address:Port\s+Peer Address:Port")
LINE = re.compile(rf"(\S+\s+)?({'|'.join(STATES)})\s+\d+\s+\d+\s+\S+:[^\s:]+\s+\S+:[^\s:]+(\s|$)")
TAKEN = "the list has no column Netid: its lines are taken for TCP"


def read(chunks: Chunks) -> Iterator[Item]:
    yield from read_dated(chunks, None)


def read_dated(chunks: Chunks, changed: float | None) -> Iterator[Item]:
    sockets, taken = Sockets(changed), False
    for found in read_sockets(chunks):
        if isinstance(found, Bad):
            yield found
            continue
        number, line = found
        if not line.strip() or line[0].isspace() or HEADER.match(line):
            continue  # what is indented goes on about the socket before
        try:
            words = line.split()
            named = words[0] in TRANSPORTS
            if not named and OTHERS.match(words[0]):
                continue
            socket = read_socket(words[1:] if named else words, TRANSPORTS.get(words[0], ""), line, number)
        except ValueError as error:
            yield Bad(f"line {number}", str(error))
            continue
        taken |= not named and socket.peer is not None
        yield from sockets.add(socket)
    yield from sockets.finish()
    if taken:
        yield Note(TAKEN)


def read_socket(words: list[str], transport: str, line: str, number: int) -> Socket:
    """The socket of a line without its first column. ValueError says what is wrong with it."""
    state = words.pop(0) if words and not words[0].isdigit() else ""
    if (state and state not in STATES) or len(words) < 4 or not (words[0].isdigit() and words[1].isdigit()):
        raise ValueError("no line of ss")
    user = USER.search(line)
    local, peer = read_end(words[2]), read_end(words[3])
    alone = STATES.get(state, FlowState.UNKNOWN) is None or not peer[1]
    return Socket(
        number,
        transport or ("udp" if state == "UNCONN" else "tcp"),
        local,
        None if alone else peer,
        STATES.get(state) or FlowState.UNKNOWN,
        OPENING.get(state, 0),
        state == "TIME-WAIT",
        user[1] if user else None,
        int(user[2]) if user else None,
    )


def recognises(head: bytes) -> bool:
    return any(HEADER.match(line) or LINE.match(line) for line in head_lines(head))


READER = Reader("ss", "sockets of a Linux host (ss -tulpn, ss -tn)", recognises, read, read_dated)
