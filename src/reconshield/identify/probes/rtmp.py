"""RTMP: the first two messages of its handshake (Adobe, "Real-Time Messaging Protocol 1.0" §5.2). No stream is asked for."""

from __future__ import annotations

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, at_least

SIZE = 1536
RANDOM = (b"reconshield " * 128)[: SIZE - 8]
HELLO = b"\x03" + bytes(8) + RANDOM
WHOLE = 1 + 2 * SIZE


def run() -> Dialogue:
    answer = yield Ask(HELLO, until=at_least(WHOLE))
    # the server's version, its own 1536 bytes, then ours again with its time in the second field
    if len(answer) < WHOLE or answer[0] != 3 or answer[1 + SIZE + 8 : WHOLE] != RANDOM:
        return None
    return Match("rtmp", facts={"protocol": "RTMP 3"})


PROBE = Probe("rtmp", ports=(1935,), run=run)
