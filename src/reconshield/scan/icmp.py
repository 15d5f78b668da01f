"""ICMP and ICMPv6 errors as columns: which of our packets each one quotes, who sent it, and what it says of the endpoint.

    errors = read_errors(packets, lengths)      packets: one a row, from the IP header on, cut or filled to one width
    errors["state"], errors["port"], …          an element for each row that is an error about a TCP or UDP packet

An error quotes the IP header of the packet that it is about and at least eight bytes behind it: both ports and, in TCP, the
sequence number. Anybody may send one, so whoever asked compares `port_from` and `quoted` with its cookie before it believes it.

"Port unreachable" from the target itself is a closed UDP port; from anybody on the way, or for TCP, a firewall's rejection
(`verdicts`). Pure; hostile rows are left out, never an exception.  RFC 792, RFC 1812 §4.3.2.3, RFC 4443 §3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.model import Transport
from reconshield.rows import join
from reconshield.scan import verdicts
from reconshield.scan.batch import V4_BLOCK
from reconshield.scan.space import U64
from reconshield.scan.verdicts import Verdict

ICMP, ICMP6 = 1, 58
LEAST, WIDTH = 60, 128
"""Bytes of a row at least, and what holds every error about our packets: 60 + 8 + 28 in IPv4, 40 + 8 + 48 in IPv6."""

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]
Rows = NDArray[np.intp]
Places = NDArray[np.int64]

ERROR = np.dtype(
    [
        ("row", "i8"),
        ("hi", "u8"),
        ("lo", "u8"),
        ("port", "u2"),
        ("transport", "u1"),
        ("own_hi", "u8"),
        ("own_lo", "u8"),
        ("port_from", "u2"),
        ("quoted", "u4"),
        ("ident", "u2"),
        ("sender_hi", "u8"),
        ("sender_lo", "u8"),
        ("ttl", "u1"),
        ("state", "u1"),
        ("reason", "u1"),
    ]
)
"""`row`: the packet that the error came in. `hi`, `lo`, `port`, `transport`: the endpoint that was asked; `own_hi`, `own_lo`,
`port_from`: our end, as quoted. `quoted`: the word behind the ports (sequence number in TCP; length and checksum in UDP),
`ident`: the quoted IPv4 identification (0 in IPv6). `sender_hi`, `sender_lo`, `ttl`: of the error itself."""

Errors = NDArray[np.void]
"""A one-dimensional array of dtype `ERROR`."""


def read_errors(packets: U8, lengths: NDArray[np.integer[Any]]) -> Errors:
    """The errors among packets of shape (rows, width ≥ 60), of which `lengths` bytes each are real."""
    if packets.ndim != 2 or packets.shape[1] < LEAST:
        raise ValueError(f"packets are rows of at least {LEAST} bytes")
    version = packets[:, 0] >> 4
    real: Places = np.minimum(lengths, packets.shape[1]).astype(np.int64)
    v4 = _read_v4(packets, real, np.flatnonzero((version == 4) & (packets[:, 9] == ICMP)))
    v6 = _read_v6(packets, real, np.flatnonzero((version == 6) & (packets[:, 6] == ICMP6)))
    return join([v4, v6])


def _read_v4(packets: U8, lengths: Places, rows: Rows) -> Errors:
    outer = (packets[rows, 0] & 15).astype(np.int64) * 4
    whole = (outer >= 20) & (lengths[rows] >= outer + 8 + 20 + 8)
    rows, outer = rows[whole], outer[whole]
    inner = outer + 8
    size = (packets[rows, inner] & 15).astype(np.int64) * 4
    good = (packets[rows, inner] >> 4 == 4) & (size >= 20) & (lengths[rows] >= inner + size + 8)
    # A later fragment has no ports; its offset is in the low 13 bits.
    good &= _word(packets, rows, inner + 6) & 0x1FFF == 0
    rows, outer, inner, size = rows[good], outer[good], inner[good], size[good]
    found = np.zeros(rows.size, dtype=ERROR)
    found["row"] = rows
    found["lo"], found["own_lo"] = _address(packets, rows, inner + 16), _address(packets, rows, inner + 12)
    found["sender_lo"] = _address(packets, rows, np.full_like(outer, 12))
    found["ident"], found["ttl"] = _word(packets, rows, inner + 4), packets[rows, 8]
    found["transport"] = packets[rows, inner + 9]
    return _judge(found, _BY_ICMP, packets, outer, inner + size)


def _read_v6(packets: U8, lengths: Places, rows: Rows) -> Errors:
    """Our packets have no extension headers; an error that has one itself is left out."""
    rows = rows[lengths[rows] >= 40 + 8 + 40 + 8]
    rows = rows[packets[rows, 48] >> 4 == 6]
    found = np.zeros(rows.size, dtype=ERROR)
    found["row"] = rows
    for end, at in (("sender_", 8), ("own_", 48 + 8), ("", 48 + 24)):
        halves = np.ascontiguousarray(packets[rows, at : at + 16]).view(">u8")
        found[f"{end}hi"], found[f"{end}lo"] = halves[:, 0], halves[:, 1]
    found["ttl"], found["transport"] = packets[rows, 7], packets[rows, 48 + 6]
    return _judge(found, _BY_ICMP6, packets, np.full(rows.size, 40), np.full(rows.size, 88))


def _judge(found: Errors, table: U8, packets: U8, message: Places, transport: Places) -> Errors:
    """Fill in ports, state and reason (the quoted transport header is at `transport`); drop what is about no endpoint."""
    rows: Rows = found["row"]
    found["port_from"], found["port"] = _word(packets, rows, transport), _word(packets, rows, transport + 2)
    found["quoted"] = _word(packets, rows, transport + 4).astype(np.uint32) << np.uint32(16) | _word(
        packets, rows, transport + 6
    )
    kind, code = packets[rows, message].astype(np.int64), packets[rows, message + 1]
    found["state"], found["reason"] = table[kind << 8 | code].T
    from_target = (found["sender_hi"] == found["hi"]) & (found["sender_lo"] == found["lo"])
    closed = from_target & (found["transport"] == Transport.UDP) & (found["reason"] == verdicts.REJECTED.reason)
    found["state"][closed] = verdicts.UDP_CLOSED.state
    return found[(found["state"] > 0) & np.isin(found["transport"], [Transport.TCP, Transport.UDP])]


def _word(packets: U8, rows: Rows, at: Places) -> U16:
    """Two bytes, the high one first."""
    word: U16 = packets[rows, at].astype(np.uint16) << np.uint16(8) | packets[rows, at + 1]
    return word


def _address(packets: U8, rows: Rows, at: Places) -> U64:
    """The low half of an IPv4 address."""
    high, low = _word(packets, rows, at), _word(packets, rows, at + 2)
    found: U64 = high.astype(np.uint64) << np.uint64(16) | low | np.uint64(V4_BLOCK << 32)
    return found


def _tabulate(verdict_of: dict[tuple[int, int], Verdict]) -> U8:
    table = np.zeros((65536, 2), dtype=np.uint8)
    for (kind, code), verdict in verdict_of.items():
        table[kind << 8 | code] = verdict
    return table


_BY_ICMP, _BY_ICMP6 = _tabulate(verdicts.BY_ICMP), _tabulate(verdicts.BY_ICMP6)
