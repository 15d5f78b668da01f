"""The filter programs, run by the kernel on a pair of sockets: what passes and what does not."""

from __future__ import annotations

import socket
import struct
import sys

import pytest

from reconshield.scan import filters
from reconshield.scan.ring import attach_filter

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="socket filters are Linux's")

TCP = struct.pack("!HHIIBBHHH", 80, 61_500, 0, 0, 0x50, 0x12, 0, 0, 0)


def v4(body: bytes, protocol: int = 6, options: bytes = b"", fragment: int = 0) -> bytes:
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBB", 0x40 | words, 0, 4 * words + len(body), 1, fragment, 64, protocol)
    return head + bytes(10) + options + body


def v6(body: bytes, protocol: int = 6) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + bytes(32) + body


def to_port(port: int) -> bytes:
    return TCP[:2] + struct.pack("!H", port) + TCP[4:]


def passes(program: bytes, packet: bytes) -> int:
    """How many bytes of the packet the kernel hands on."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        attach_filter(ours, program)
        ours.setblocking(False)
        theirs.send(packet)
        try:
            return len(ours.recv(4096))
        except BlockingIOError:
            return 0


V4_CASES = [
    ("tcp to the first port", v4(to_port(61_440)), True),
    ("tcp to the last port", v4(to_port(65_535)), True),
    ("tcp to another port", v4(to_port(61_439)), False),
    ("udp", v4(to_port(62_000), protocol=17), True),
    ("tcp behind options", v4(to_port(62_000), options=bytes(8)), True),
    ("another port behind options", v4(to_port(22), options=bytes(8)), False),
    ("a later fragment", v4(to_port(62_000), fragment=0x2001), False),
    ("a first fragment", v4(to_port(62_000), fragment=0x2000), True),
    ("icmp unreachable", v4(bytes([3, 1]) + bytes(40), protocol=1), True),
    ("icmp time exceeded", v4(bytes([11, 0]) + bytes(40), protocol=1), True),
    ("ping", v4(bytes([8, 0]) + bytes(40), protocol=1), False),
    ("sctp", v4(to_port(62_000), protocol=132), False),
    ("cut", v4(b""), False),
    ("nothing", b"\x45", False),
]
V6_CASES = [
    ("tcp", v6(to_port(61_440)), True),
    ("tcp to another port", v6(to_port(61_439)), False),
    ("udp", v6(to_port(65_535), protocol=17), True),
    ("icmp unreachable", v6(bytes([1, 4]) + bytes(60), protocol=58), True),
    ("neighbour advertisement", v6(bytes([136, 0]) + bytes(60), protocol=58), False),
    ("cut", v6(b""), False),
]


@pytest.mark.parametrize(("packet", "wanted"), [case[1:] for case in V4_CASES], ids=[case[0] for case in V4_CASES])
def test_ipv4(packet: bytes, wanted: bool) -> None:
    assert bool(passes(filters.answers_v4(61_440, 65_535), packet)) is wanted


@pytest.mark.parametrize(("packet", "wanted"), [case[1:] for case in V6_CASES], ids=[case[0] for case in V6_CASES])
def test_ipv6(packet: bytes, wanted: bool) -> None:
    assert bool(passes(filters.answers_v6(61_440, 65_535), packet)) is wanted


def test_long_packets_are_cut() -> None:
    assert passes(filters.answers_v4(61_440, 65_535), v4(to_port(62_000) + bytes(1000))) == filters.KEEP_BYTES
