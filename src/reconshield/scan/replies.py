"""TCP answers as columns: who answered which of our ports with what. Nothing is believed here; `syn` compares the cookie.

    found = read_tcp(packets, lengths)      packets: one a row, from the IP header on, cut or filled to one width
    found["row"], found["hi"], found["port"], found["ack"], …

Hostile rows (truncated, fragments, lengths that lie) are left out, never an exception. Checksums are not looked at: on veth and
loopback they arrive unfinished, elsewhere the network card or the cookie has checked. Pure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.model import Transport
from reconshield.rows import join
from reconshield.scan.batch import V4_BLOCK

U8 = NDArray[np.uint8]
Rows = NDArray[np.intp]

LEAST = 60
"""Bytes of a row at least: an IPv6 and a TCP header."""
TCP_BYTES = 20

REPLY = np.dtype(
    [
        ("row", "i8"),
        ("hi", "u8"),
        ("lo", "u8"),
        ("port", "u2"),
        ("port_from", "u2"),
        ("sequence", "u4"),
        ("ack", "u4"),
        ("flags", "u1"),
        ("ttl", "u1"),
    ]
)
"""`hi`, `lo`, `port`: who answers; `port_from`: our port; `sequence`, `ack`, `flags`: of the answer (RFC 9293 §3.1)."""

Replies = NDArray[np.void]
"""A one-dimensional array of dtype `REPLY`."""


def read_tcp(packets: U8, lengths: NDArray[np.integer[Any]]) -> Replies:
    """The TCP packets among rows of shape (rows, width ≥ 60), of which `lengths` bytes each are real."""
    if packets.ndim != 2 or packets.shape[1] < LEAST:
        raise ValueError(f"packets are rows of at least {LEAST} bytes")
    real = np.minimum(lengths, packets.shape[1])
    version = packets[:, 0]
    plain = np.flatnonzero((version == 0x45) & (packets[:, 9] == Transport.TCP) & (real >= 20 + TCP_BYTES))
    six = np.flatnonzero((version >> 4 == 6) & (packets[:, 6] == Transport.TCP) & (real >= 40 + TCP_BYTES))
    found = [_read_v4(packets, plain, 20), _read_v6(packets, six)]
    if plain.size + six.size < packets.shape[0]:
        found += _read_options(packets, real)
    return join(found) if sum(part.size > 0 for part in found) > 1 else max(found, key=len)


def _read_options(packets: U8, real: NDArray[np.integer[Any]]) -> list[Replies]:
    """IPv4 packets with options: one pass for each size of header, there are ten."""
    found = []
    for words in range(6, 16):
        size = 4 * words
        fits = (packets[:, 0] == 0x40 | words) & (packets[:, 9] == Transport.TCP) & (real >= size + TCP_BYTES)
        if fits.any():
            found.append(_read_v4(packets, np.flatnonzero(fits), size))
    return found


def _read_v4(packets: U8, rows: Rows, tcp: int) -> Replies:
    """Rows whose TCP header is at `tcp`. A later fragment has no ports: its offset is in the low 13 bits."""
    later = (packets[rows, 6] & 0x1F) | packets[rows, 7]
    if later.any():
        rows = rows[later == 0]
    found = np.empty(rows.size, dtype=REPLY)
    found["hi"] = 0
    found["lo"] = _field(packets, rows, 12, ">u4")
    found["lo"] |= np.uint64(V4_BLOCK << 32)
    found["ttl"] = packets[rows, 8]
    return _read_header(found, packets, rows, tcp)


def _read_v6(packets: U8, rows: Rows) -> Replies:
    """Rows without extension headers; answers to our packets have none."""
    found = np.empty(rows.size, dtype=REPLY)
    found["hi"], found["lo"] = _field(packets, rows, 8, ">u8"), _field(packets, rows, 16, ">u8")
    found["ttl"] = packets[rows, 7]
    return _read_header(found, packets, rows, 40)


def _read_header(found: Replies, packets: U8, rows: Rows, tcp: int) -> Replies:
    found["row"] = rows
    for name, at, kind in (("port", 0, ">u2"), ("port_from", 2, ">u2"), ("sequence", 4, ">u4"), ("ack", 8, ">u4")):
        found[name] = _field(packets, rows, tcp + at, kind)
    found["flags"] = packets[rows, tcp + 13]
    return found


def _field(packets: U8, rows: Rows, at: int, kind: str) -> NDArray[np.generic]:
    """One field of the chosen rows, most significant byte first."""
    size = int(kind[2])
    if at + size > packets.shape[1]:  # only rows that are long enough were chosen, so there are none
        return np.zeros(0, dtype=kind)
    field: NDArray[np.generic] = packets[:, at : at + size].view(kind)[rows, 0]
    return field
