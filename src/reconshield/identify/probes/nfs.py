"""NFS over TCP and UDP: which versions the server speaks, by asking for one that does not exist (RFC 5531 §9). No file is read.

A call for procedure 0 of a version that is not there is refused with the lowest and highest that are.
"""

from __future__ import annotations

import struct

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

IDENTITY = 0x52534E46
NFS, NO_SUCH_VERSION, MISMATCH = 100003, 0xFF, 2
CALL = struct.pack("!10I", IDENTITY, 0, 2, NFS, NO_SUCH_VERSION, 0, 0, 0, 0, 0)


def run() -> Dialogue:
    """Over TCP a record is led by its length with the highest bit set (RFC 5531 §11)."""
    answer = yield Ask(struct.pack("!I", 0x80000000 | len(CALL)) + CALL, until=prefixed(4, extra=-0x80000000))
    return _match(answer[4:])


def run_udp() -> Dialogue:
    return _match((yield Ask(CALL)))


def _match(data: bytes) -> Match | None:
    if len(data) < 32:
        return None
    identity, kind, status, _, verifier, accepted, low, high = struct.unpack_from("!8I", data)
    if (identity, kind, status, verifier, accepted) != (IDENTITY, 1, 0, 0, MISMATCH) or not 2 <= low <= high <= 9:
        return None
    return Match("nfs", facts={"protocol": f"NFS {low}-{high}", "versions": list(range(low, high + 1))})


PROBE = Probe("nfs", ports=(2049,), run=run)
UDP = Probe("nfs", ports=(2049,), run=run_udp, transport="udp")
