"""Neo4j's Bolt: its handshake (Bolt protocol documentation, "Handshake"), in which the server picks a version. No login."""

from __future__ import annotations

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, at_least

MAGIC = b"\x60\x60\xb0\x17"
OFFERS = ((4, 4), (4, 0), (3, 0), (1, 0))
REQUEST = MAGIC + b"".join(bytes([0, 0, minor, major]) for major, minor in OFFERS)


def run() -> Dialogue:
    answer = yield Ask(REQUEST, until=at_least(4))
    if len(answer) != 4 or answer[:2] != b"\0\0" or (answer[3], answer[2]) not in OFFERS:
        return None
    return Match("neo4j", facts={"protocol": f"Bolt {answer[3]}.{answer[2]}"})


PROBE = Probe("neo4j", ports=(7687,), run=run)
