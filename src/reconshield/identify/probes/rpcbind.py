"""Rpcbind (RFC 1833) over TCP and UDP: which versions it speaks, and over TCP which programs are registered.

The call for a version that does not exist is refused with the lowest and highest that do (RFC 5531 §9). The list is asked for
only over TCP, where no forged sender can turn it on others.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

IDENTITY = 0x52535243
PORTMAPPER, NULL, GETPORT, DUMP = 100000, 0, 3, 4
UDP_NUMBER = 17
PROGRAMS = {
    100000: "portmapper",
    100001: "rstatd",
    100002: "rusersd",
    100003: "nfs",
    100004: "ypserv",
    100005: "mountd",
    100007: "ypbind",
    100011: "rquotad",
    100021: "nlockmgr",
    100024: "status",
    100227: "nfs_acl",
}
"""Numbers registered with IANA ("rpc-program-numbers")."""
MISMATCH = 2


def run() -> Dialogue:
    answer = yield Ask(_frame(write_call(IDENTITY, 0xFF, NULL)), until=prefixed(4, at=0, extra=-0x80000000))
    facts = read_mismatch(answer[4:])
    if facts is None:
        return None
    listed = yield Ask(_frame(write_call(IDENTITY + 1, 2, DUMP)), until=prefixed(4, at=0, extra=-0x80000000))
    programs = read_dump(listed[4:])
    if programs:
        facts |= {"programs": programs, "auth": "none"}
    return Match("rpcbind", facts=facts)


def run_udp() -> Dialogue:
    facts = read_mismatch((yield Ask(write_call(IDENTITY, 0xFF, NULL))))
    return None if facts is None else Match("rpcbind", facts=facts)


def assess_udp(match: Match) -> Dialogue:
    """Where the portmapper itself is: four bytes of answer show that strangers are served."""
    answer = yield Ask(write_call(IDENTITY + 1, 2, GETPORT) + struct.pack("!4I", PORTMAPPER, 2, UDP_NUMBER, 0))
    if len(answer) != 28 or struct.unpack_from("!6I", answer) != (IDENTITY + 1, 1, 0, 0, 0, 0):
        return match
    return replace(match, facts=dict(match.facts) | {"auth": "none"})


def write_call(identity: int, version: int, procedure: int) -> bytes:
    """A call (RFC 5531 §9): id, CALL, RPC 2, program, version, procedure, no credentials, no verifier."""
    return struct.pack("!10I", identity, 0, 2, PORTMAPPER, version, procedure, 0, 0, 0, 0)


def _frame(call: bytes) -> bytes:
    """Over TCP a record is led by its length with the highest bit set (RFC 5531 §11)."""
    return struct.pack("!I", 0x80000000 | len(call)) + call


def read_mismatch(data: bytes) -> dict[str, Any] | None:
    """The versions of the program, from an accepted reply that says PROG_MISMATCH."""
    if len(data) < 32:
        return None
    identity, kind, status, _, verifier, accepted, low, high = struct.unpack_from("!8I", data)
    if identity != IDENTITY or kind != 1 or status or verifier or accepted != MISMATCH or not 1 <= low <= high <= 9:
        return None
    return {"protocol": f"portmapper {low}-{high}", "versions": list(range(low, high + 1))}


def read_dump(data: bytes) -> list[str]:
    """The registered programs as "nfs v3 tcp 2049", each once."""
    found: list[str] = []
    if len(data) < 24 or struct.unpack_from("!6I", data) != (IDENTITY + 1, 1, 0, 0, 0, 0):
        return found
    for at in range(24, min(len(data) - 19, 24 + 20 * 500), 20):
        more, program, version, protocol, port = struct.unpack_from("!5I", data, at)
        if more != 1:
            break
        transport = {6: "tcp", 17: "udp"}.get(protocol, str(protocol))
        found.append(f"{PROGRAMS.get(program, program)} v{version} {transport} {port}")
    return list(dict.fromkeys(found))


PROBE = Probe("rpcbind", ports=(111,), run=run)
UDP = Probe("rpcbind", ports=(111,), run=run_udp, transport="udp", assess=assess_udp)
