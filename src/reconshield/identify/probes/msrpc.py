"""Windows RPC (C706 chapter 12, [MS-RPCE]): a bind to the endpoint mapper, the interface that tells who listens where.

No call follows the bind, so nothing is asked of the machine and nobody logs in.
"""

from __future__ import annotations

import struct
import uuid

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

BIND, BIND_ACK, BIND_NAK, FAULT = 11, 12, 13, 3
CALL = 0x5253
MAPPER = uuid.UUID("e1af8308-5d1f-11c9-91a4-08002b14a0fa")
NDR = uuid.UUID("8a885d04-1ceb-11c9-9fe8-08002b104860")

whole_packet = prefixed(2, at=8, extra=-10, order="little")


def run() -> Dialogue:
    answer = yield Ask(write_bind(), until=whole_packet)
    if len(answer) < 16 or answer[:2] != b"\x05\0" or answer[4:5] != b"\x10" or answer[2] not in (BIND_ACK, BIND_NAK, FAULT):
        return None
    length, _, call = struct.unpack_from("<HHI", answer, 8)
    if length != len(answer) or call != CALL:
        return None
    facts: dict[str, object] = {"protocol": "DCE/RPC 5.0", "bind": answer[2] == BIND_ACK}
    if answer[2] == BIND_ACK and len(answer) >= 26:
        size = int.from_bytes(answer[24:26], "little")
        facts["secondary"] = answer[26 : 26 + size].rstrip(b"\0").decode("latin-1")
    return Match("msrpc", facts=facts)


def write_bind() -> bytes:
    """Version 5.0, first and last fragment, little endian; sizes, one context: the mapper version 3 in NDR version 2."""
    context = struct.pack("<HBB", 0, 1, 0) + MAPPER.bytes_le + struct.pack("<I", 3) + NDR.bytes_le + struct.pack("<I", 2)
    body = struct.pack("<HHIBBH", 4280, 4280, 0, 1, 0, 0) + context
    return struct.pack("<BBBB4sHHI", 5, 0, BIND, 3, b"\x10\0\0\0", 16 + len(body), 0, CALL) + body


PROBE = Probe("msrpc", ports=(135, 593), run=run)
