"""The kernel's own tables of sockets: /proc/net/tcp, tcp6, udp, udp6, each by itself or one behind the other.

Addresses are hexadecimal in the byte order of the machine; little-endian is taken, as on x86 and ARM. Which table it is stands
in its header: only UDP's ends with `drops`. Source: Linux, Documentation/networking/proc_net_tcp.rst.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address

from reconshield.detect.flows import Bad, Chunks, FlowState, Item, Reader
from reconshield.detect.sockets import End, Socket, Sockets, head_lines, read_sockets

HEADER = re.compile(r"\s*sl\s+local_address\s+(rem|remote)_address\s+st\s")
LINE = re.compile(
    r"\s*\d+:\s+([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})\s+([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})\s+([0-9A-F]{2})\s"
)
LISTEN, CLOSE, TIME_WAIT = 0x0A, 0x07, 0x06
OPENING = {2: 1, 3: -1, 12: -1}
"""SYN_SENT; SYN_RECV and NEW_SYN_RECV."""


def read(chunks: Chunks) -> Iterator[Item]:
    yield from read_dated(chunks, None)


def read_dated(chunks: Chunks, changed: float | None) -> Iterator[Item]:
    sockets, transport = Sockets(changed), ""
    for found in read_sockets(chunks):
        if isinstance(found, Bad):
            yield found
            continue
        number, line = found
        if HEADER.match(line):
            transport = "udp" if "drops" in line else "tcp"
        elif line.strip():
            place = LINE.match(line)
            if place is None or not transport:
                yield Bad(f"line {number}", "no line of this table" if transport else "a line before the header")
            elif (socket := read_socket(place, transport, number)) is not None:
                yield from sockets.add(socket)
    yield from sockets.finish()


def read_socket(place: re.Match[str], transport: str, number: int) -> Socket | None:
    """The socket of a line; None for one that is bound to nothing yet."""
    local, peer = read_end(place[1], place[2]), read_end(place[3], place[4])
    state = int(place[5], 16)
    if state == LISTEN or (state == CLOSE and transport == "udp") or not peer[1]:
        return Socket(number, transport, local, None) if state != CLOSE or transport == "udp" else None
    flow = FlowState.UNKNOWN if state in OPENING else FlowState.ESTABLISHED
    return Socket(number, transport, local, peer, flow, OPENING.get(state, 0), state == TIME_WAIT)


def read_end(address: str, port: str) -> End:
    """Words of 32 bits, each with its lowest byte first."""
    packed = bytes.fromhex(address)
    found = ip_address(b"".join(packed[at : at + 4][::-1] for at in range(0, len(packed), 4)))
    plain = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(plain or found), int(port, 16)


def recognises(head: bytes) -> bool:
    return any(HEADER.match(line) for line in head_lines(head))


READER = Reader("proc-net", "sockets of a Linux host (/proc/net/tcp, tcp6, udp, udp6)", recognises, read, read_dated)
