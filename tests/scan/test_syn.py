"""TCP answers: which are believed and what they mean, byte by byte, beside a slow reader, and under random and cut frames."""

from __future__ import annotations

import random
import struct
from ipaddress import ip_address

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconshield.addresses import parse_address
from reconshield.model import Reason, State
from reconshield.scan.batch import join_address, split_address
from reconshield.scan.cookies import Cookies, SourcePorts
from reconshield.scan.packets import Asked
from reconshield.scan.replies import read_tcp
from reconshield.scan.syn import Heard, SynMethod

WIDTH = 160
KEY = bytes(range(16))
METHOD = SynMethod(Cookies(KEY), SourcePorts(np.arange(61_440, 65_536, dtype=np.uint16)))
OURS = {4: "192.0.2.1", 6: "2001:db8::1"}
THEIRS = {4: "198.51.100.7", 6: "2001:db8::7"}
SYN, RST, ACK, FIN = 2, 4, 16, 1


def asked(target: str, port: int, attempt: int = 0) -> Asked:
    hi, lo = split_address(parse_address(target))
    return METHOD.ask(
        np.array([hi], dtype=np.uint64),
        np.array([lo], dtype=np.uint64),
        np.array([port], dtype=np.uint16),
        np.array([attempt], dtype=np.uint8),
        None,
        is_v4="." in target,
    )


def ip(version: int, source: str, target: str, protocol: int, body: bytes, options: bytes = b"", fragment: int = 0) -> bytes:
    ends = ip_address(source).packed + ip_address(target).packed
    if version == 6:
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, 57) + ends + body
    size = 20 + len(options)
    head = struct.pack("!BBHHHBBH", 0x40 | size // 4, 0, size + len(body), 9, fragment, 57, protocol, 0)
    return head + ends + options + body


def answer(version: int, flags: int, port: int = 80, attempt: int = 0, off: int = 1, wrong_port: int = 0, **more: int) -> bytes:
    """What a host sends back for our SYN; `off` from our sequence number, `wrong_port` beside our source port."""
    sent = asked(THEIRS[version], port, attempt)
    ack = (int(sent.sequence[0]) + off) % 2**32
    to = int(sent.port_from[0]) ^ wrong_port
    tcp = struct.pack("!HHIIBBHHH", port, to, 77, ack, 0x50, flags, 0, 0, 0)
    return ip(version, THEIRS[version], OURS[version], 6, tcp, bytes(more.get("options", 0)), more.get("fragment", 0))


def table(*packets: bytes) -> tuple[np.ndarray, np.ndarray]:
    rows = np.zeros((len(packets), WIDTH), dtype=np.uint8)
    for row, packet in zip(rows, packets, strict=True):
        row[: min(len(packet), WIDTH)] = np.frombuffer(packet[:WIDTH], dtype=np.uint8)
    return rows, np.array([len(packet) for packet in packets], dtype=np.uint32)


def read(*packets: bytes) -> Heard:
    return METHOD.read(*table(*packets))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("flags", "off", "wanted"),
    [
        (SYN | ACK, 1, (State.OPEN, Reason.SYN_ACK)),
        (RST | ACK, 1, (State.CLOSED, Reason.RESET)),
        (RST, 1, (State.CLOSED, Reason.RESET)),
        (RST | ACK, 0, (State.CLOSED, Reason.RESET)),
        (SYN | ACK, 0, None),
        (SYN | ACK, 2, None),
        (RST | ACK, 5, None),
        (ACK, 1, None),
        (SYN, 1, None),
        (FIN | ACK, 1, None),
        (SYN | ACK | RST, 1, (State.CLOSED, Reason.RESET)),
    ],
)
def test_flags_and_acknowledgement(version: int, flags: int, off: int, wanted: tuple[State, Reason] | None) -> None:
    heard = read(answer(version, flags, off=off))
    assert [(row["state"], row["reason"]) for row in heard] == ([wanted] if wanted else [])
    for row in heard:
        assert join_address(row["hi"], row["lo"]) == parse_address(THEIRS[version])
        assert (row["port"], row["attempt"], row["ttl"], row["row"]) == (80, 0, 57, 0)


@pytest.mark.parametrize("version", [4, 6])
def test_the_attempt_is_told(version: int) -> None:
    heard = read(*(answer(version, SYN | ACK, attempt=number) for number in range(16)))
    assert heard["attempt"].tolist() == list(range(16))


@pytest.mark.parametrize("version", [4, 6])
def test_an_answer_to_another_port_of_ours_is_not_believed(version: int) -> None:
    assert not read(answer(version, SYN | ACK, wrong_port=1024)).size


def test_options_and_fragments() -> None:
    packets = [
        answer(4, SYN | ACK, options=8),
        answer(4, SYN | ACK, options=40),
        answer(4, SYN | ACK, fragment=0x2000),
        answer(4, SYN | ACK, fragment=0x0001),
        answer(4, SYN | ACK, options=4, fragment=0x1000),
    ]
    assert read(*packets)["row"].tolist() == [2, 0, 1]


def test_another_scan_has_other_cookies() -> None:
    other = SynMethod(Cookies(bytes(16)), METHOD.sources)
    packets = table(*(answer(4, SYN | ACK, port=port) for port in range(1, 200)))
    assert METHOD.read(*packets).size == 199
    assert not other.read(*packets).size


def quote(version: int, kind: int, code: int, *, off: int = 0) -> bytes:
    """An ICMP error from a router about our SYN."""
    sent = asked(THEIRS[version], 80)
    sequence = (int(sent.sequence[0]) + off) % 2**32
    tcp = struct.pack("!HHIIBBHHH", int(sent.port_from[0]), 80, sequence, 0, 0x60, SYN, 0, 0, 0) + bytes(4)
    body = struct.pack("!BBHI", kind, code, 0, 0) + ip(version, OURS[version], THEIRS[version], 6, tcp)
    router = "203.0.113.1" if version == 4 else "2001:db8:9::1"
    return ip(version, router, OURS[version], 1 if version == 4 else 58, body)


@pytest.mark.parametrize(
    ("version", "kind", "code", "state", "reason"),
    [
        (4, 3, 1, State.UNREACHABLE, Reason.HOST_UNREACH),
        (4, 3, 3, State.FILTERED, Reason.PORT_UNREACH),
        (4, 3, 13, State.FILTERED, Reason.ADMIN_PROHIBITED),
        (4, 11, 0, State.FILTERED, Reason.TIME_EXCEEDED),
        (6, 1, 0, State.UNREACHABLE, Reason.NO_ROUTE),
        (6, 1, 1, State.FILTERED, Reason.ADMIN_PROHIBITED),
        (6, 1, 4, State.FILTERED, Reason.PORT_UNREACH),
    ],
)
def test_icmp_errors(version: int, kind: int, code: int, state: State, reason: Reason) -> None:
    heard = read(quote(version, kind, code), answer(version, SYN | ACK, port=81), quote(version, kind, code, off=1))
    assert [(row["port"], row["state"], row["reason"]) for row in heard] == [
        (81, State.OPEN, Reason.SYN_ACK),
        (80, state, reason),
    ]


def slow_read(packet: bytes, length: int) -> tuple[object, ...] | None:
    """One TCP packet read byte by byte, or None."""
    real = packet[: min(length, WIDTH)]
    if len(real) >= 20 and real[0] >> 4 == 4:
        size = (real[0] & 15) * 4
        if size < 20 or real[9] != 6 or int.from_bytes(real[6:8]) & 0x1FFF or len(real) < size + 20:
            return None
        source, ttl = 0xFFFF << 32 | int.from_bytes(real[12:16]), real[8]
    elif len(real) >= 60 and real[0] >> 4 == 6 and real[6] == 6:
        size, source, ttl = 40, int.from_bytes(real[8:24]), real[7]
    else:
        return None
    port, port_from, sequence, ack = struct.unpack_from("!HHII", real, size)
    return source, ttl, port, port_from, sequence, ack, real[size + 13]


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_random_and_cut_frames_read_like_byte_by_byte(seed: int) -> None:
    rng = random.Random(seed)
    seeds = [answer(4, SYN | ACK), answer(6, RST), answer(4, RST | ACK, options=12), quote(4, 3, 1), quote(6, 1, 4)]
    packets = []
    for _ in range(40):
        packet = bytearray(rng.choice([rng.randbytes(rng.randrange(1, 150)), *seeds]))
        for _ in range(rng.randrange(4)):
            packet[rng.randrange(len(packet))] = rng.randrange(256)
        packets.append(bytes(packet[: rng.randrange(1, len(packet) + 1)] if rng.random() < 0.3 else packet))
    rows, lengths = table(*packets)
    found = read_tcp(rows, lengths)
    wanted = {at: slow_read(packet, len(packet)) for at, packet in enumerate(packets)}
    assert {int(row["row"]): told(row) for row in found} == {at: told for at, told in wanted.items() if told}
    METHOD.read(rows, lengths)


def told(row: np.void) -> tuple[object, ...]:
    names = ("ttl", "port", "port_from", "sequence", "ack", "flags")
    return join_address(row["hi"], row["lo"]), *(int(row[name]) for name in names)


def test_rows_that_are_too_narrow_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 60"):
        read_tcp(np.zeros((1, 40), dtype=np.uint8), np.array([40]))
