"""ICMP errors as columns: every type and code in a table, and the column parser beside a slow one that reads byte by byte."""

from __future__ import annotations

import random
import socket
import struct
from ipaddress import ip_address
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield.model import Reason, State
from reconshield.scan.batch import join_address
from reconshield.scan.icmp import WIDTH, Errors, read_errors
from reconshield.scan.verdicts import BY_ICMP, BY_ICMP6

OWN, TARGET, ROUTER = "10.91.0.1", "10.91.0.2", "10.91.9.9"
OWN6, TARGET6, ROUTER6 = "fd91::1", "fd91::2", "fd91::9"


class Shape(NamedTuple):
    """How an error is laid out: what differs between senders."""

    options: bytes = b""
    quoted_options: bytes = b""
    fragment: int = 0
    protocol: int = 17


PLAIN = Shape()


def packed(address: str) -> bytes:
    return ip_address(address).packed


def v4_header(source: str, target: str, protocol: int, body: int, options: bytes = b"", fragment: int = 0) -> bytes:
    size = 20 + len(options)
    return (
        struct.pack("!BBHHHBBH", 0x40 | size // 4, 0, size + body, 0xBEEF, fragment, 61, protocol, 0)
        + packed(source)
        + packed(target)
        + options
    )


def error4(kind: int, code: int, sender: str = TARGET, shape: Shape = PLAIN) -> bytes:
    quoted = v4_header(OWN, TARGET, shape.protocol, 8, shape.quoted_options, shape.fragment) + struct.pack(
        "!HHI", 40_001, 161, 0x01020304
    )
    message = struct.pack("!BBHI", kind, code, 0, 0) + quoted
    return v4_header(sender, OWN, 1, len(message), shape.options) + message


def v6_header(source: str, target: str, following: int, body: int) -> bytes:
    return struct.pack("!IHBB", 6 << 28, body, following, 62) + packed(source) + packed(target)


def error6(kind: int, code: int, sender: str = TARGET6, protocol: int = 17) -> bytes:
    quoted = v6_header(OWN6, TARGET6, protocol, 8) + struct.pack("!HHI", 40_001, 161, 0x01020304)
    message = struct.pack("!BBHI", kind, code, 0, 0) + quoted
    return v6_header(sender, OWN6, 58, len(message)) + message


def read(*packets: bytes) -> Errors:
    rows = np.zeros((len(packets), WIDTH), dtype=np.uint8)
    for at, packet in enumerate(packets):
        cut = packet[:WIDTH]
        rows[at, : len(cut)] = np.frombuffer(cut, dtype=np.uint8)
    return read_errors(rows, np.array([len(packet) for packet in packets]))


def told(errors: Errors) -> list[str]:
    return [f"{State(one['state']).label} {Reason(one['reason']).label}" for one in errors]


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (error4(3, 0, ROUTER), "unreachable net-unreach"),
        (error4(3, 1, ROUTER), "unreachable host-unreach"),
        (error4(3, 2), "filtered proto-unreach"),
        (error4(3, 3), "closed port-unreach"),
        (error4(3, 3, ROUTER), "filtered port-unreach"),
        (error4(3, 3, shape=Shape(protocol=6)), "filtered port-unreach"),
        (error4(3, 6), "unreachable net-unreach"),
        (error4(3, 7), "unreachable host-unreach"),
        (error4(3, 8), "unreachable host-unreach"),
        (error4(3, 9), "filtered net-prohibited"),
        (error4(3, 10), "filtered host-prohibited"),
        (error4(3, 11), "unreachable net-unreach"),
        (error4(3, 12), "unreachable host-unreach"),
        (error4(3, 13), "filtered admin-prohibited"),
        (error4(3, 14), "filtered admin-prohibited"),
        (error4(3, 15), "filtered admin-prohibited"),
        (error4(11, 0, ROUTER), "filtered time-exceeded"),
        (error6(1, 0, ROUTER6), "unreachable no-route"),
        (error6(1, 1), "filtered admin-prohibited"),
        (error6(1, 2), "unreachable no-route"),
        (error6(1, 3, ROUTER6), "unreachable host-unreach"),
        (error6(1, 4), "closed port-unreach"),
        (error6(1, 4, ROUTER6), "filtered port-unreach"),
        (error6(1, 4, protocol=6), "filtered port-unreach"),
        (error6(1, 5), "filtered admin-prohibited"),
        (error6(1, 6), "filtered admin-prohibited"),
        (error6(3, 0, ROUTER6), "filtered time-exceeded"),
        (error6(4, 1), "filtered proto-unreach"),
    ],
)
def test_what_an_error_says(packet: bytes, expected: str) -> None:
    assert told(read(packet)) == [expected]


def test_every_other_type_and_code_says_nothing() -> None:
    for known, make in ((BY_ICMP, error4), (BY_ICMP6, error6)):
        codes = [(kind, code) for kind in range(256) for code in (*range(20), 255)]
        seen = read(*(make(kind, code) for kind, code in codes))
        assert {codes[row] for row in seen["row"].tolist()} == set(known)


@pytest.mark.parametrize(
    ("packet", "own", "target", "sender"),
    [(error4(3, 3, ROUTER), OWN, TARGET, ROUTER), (error6(1, 4, ROUTER6), OWN6, TARGET6, ROUTER6)],
)
def test_whom_an_error_names(packet: bytes, own: str, target: str, sender: str) -> None:
    [one] = read(packet)

    def number(address: str) -> int:
        return int(ip_address(address)) | (0xFFFF << 32 if "." in address else 0)

    assert join_address(one["hi"], one["lo"]) == number(target)
    assert join_address(one["own_hi"], one["own_lo"]) == number(own)
    assert join_address(one["sender_hi"], one["sender_lo"]) == number(sender)
    assert (one["port_from"], one["port"], one["transport"], one["quoted"]) == (40_001, 161, 17, 0x01020304)
    assert (one["ident"], one["ttl"]) == ((0xBEEF, 61) if "." in target else (0, 62))


def test_options_fragments_and_cuts() -> None:
    options = bytes(range(40))
    rows = [
        error4(3, 3, shape=Shape(options=options)),
        error4(3, 3, shape=Shape(quoted_options=options)),
        error4(3, 3, shape=Shape(fragment=0x2000)),  # the first fragment has the ports
        error4(3, 3, shape=Shape(fragment=1)),
        error4(3, 3, shape=Shape(protocol=1)),
        error4(3, 3)[:55],
        error6(1, 4)[:95],
        b"",
        error4(3, 3),
    ]
    assert read(*rows)["row"].tolist() == [0, 1, 2, 8]


def test_rows_too_short_for_any_error_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="60"):
        read_errors(np.zeros((3, 40), dtype=np.uint8), np.zeros(3, dtype=np.int64))


def read_slowly(packet: bytes) -> tuple[int, int, int, int, int] | None:
    """Own port, port, word behind, state and reason of one packet, read byte by byte as the RFCs have it."""
    packet = packet[:WIDTH]
    try:
        if packet[0] >> 4 == 4 and packet[9] == 1:
            start, sender, table = 4 * (packet[0] & 15), packet[12:16], BY_ICMP
            inner = start + 8
            size = 4 * (packet[inner] & 15)
            if start < 20 or packet[inner] >> 4 != 4 or size < 20 or int.from_bytes(packet[inner + 6 : inner + 8]) & 0x1FFF:
                return None
            target, protocol = packet[inner + 16 : inner + 20], packet[inner + 9]
        elif packet[0] >> 4 == 6 and packet[6] == 58:
            start, sender, table, inner, size = 40, packet[8:24], BY_ICMP6, 48, 40
            if packet[inner] >> 4 != 6:
                return None
            target, protocol = packet[inner + 24 : inner + 40], packet[inner + 6]
        else:
            return None
        port_from, port, word = struct.unpack_from("!HHI", packet, inner + size)
        verdict = table.get((packet[start], packet[start + 1]))
    except (IndexError, struct.error):
        return None
    if verdict is None or protocol not in {6, 17}:
        return None
    closed = protocol == 17 and sender == target and verdict.reason is Reason.PORT_UNREACH
    return port_from, port, word, State.CLOSED if closed else verdict.state, verdict.reason


GOOD = [
    error4(3, 3),
    error4(11, 0, ROUTER),
    error4(3, 13, shape=Shape(options=bytes(8))),
    error6(1, 4),
    error6(1, 1, protocol=6),
]


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(0, WIDTH + 40))
def test_hostile_packets_are_read_as_by_the_slow_parser(seed: int, damage: int, length: int) -> None:
    """Good errors with flipped bytes, cut anywhere or with a tail, and pure noise."""
    chance = random.Random(seed)
    packets = []
    for good in [*GOOD, chance.randbytes(WIDTH)]:
        packet = bytearray(good + chance.randbytes(60))
        for _ in range(chance.randrange(damage)):
            packet[chance.randrange(64)] = chance.choice([0, 1, 3, 4, 6, 17, 0x45, 0x4F, 0x60, 255, chance.randrange(256)])
        packets.append(bytes(packet[: length or len(good)]))
    seen = {
        int(one["row"]): (one["port_from"], one["port"], one["quoted"], one["state"], one["reason"]) for one in read(*packets)
    }
    assert seen == {at: slow for at, packet in enumerate(packets) if (slow := read_slowly(packet)) is not None}


def test_addresses_of_the_kernel_are_ours() -> None:
    """The two spellings of an address agree with the system's own."""
    [one] = read(error4(3, 1, ROUTER))
    assert int(one["lo"]) & 0xFFFFFFFF == int.from_bytes(socket.inet_aton(TARGET))
