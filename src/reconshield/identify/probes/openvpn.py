"""OpenVPN over UDP and TCP: the first packet of a client, answered by a server that does not hide behind a shared key.

OpenVPN wire protocol draft, "P_CONTROL_HARD_RESET_CLIENT_V2": opcode 7, key 0, our session id, no acknowledgements, packet 0.
The server answers with opcode 8, its own session id and ours; with `tls-auth` or `tls-crypt` it stays silent. No key exchange
follows, and nothing is acknowledged.
"""

from __future__ import annotations

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

SESSION = b"recnshld"
RESET_CLIENT, RESET_SERVER = 7 << 3, 8 << 3
REQUEST = bytes([RESET_CLIENT]) + SESSION + b"\0" + bytes(4)


def run() -> Dialogue:
    """Over TCP each packet is led by its length."""
    answer = yield Ask(len(REQUEST).to_bytes(2, "big") + REQUEST, until=prefixed(2))
    size = int.from_bytes(answer[:2], "big")
    return _match(answer[2 : 2 + size])


def run_udp() -> Dialogue:
    return _match((yield Ask(REQUEST)))


def _match(packet: bytes) -> Match | None:
    """Opcode, session id, one acknowledgement (of packet 0) with our session id, packet id."""
    if len(packet) < 26 or packet[0] & 0xF8 != RESET_SERVER or packet[9] != 1 or packet[14:22] != SESSION:
        return None
    return Match("openvpn", "OpenVPN", facts={"hidden": False, "request_bytes": len(REQUEST), "answer_bytes": len(packet)})


PROBE = Probe("openvpn", ports=(1194,), run=run)
UDP = Probe("openvpn", ports=(1194,), run=run_udp, transport="udp")
