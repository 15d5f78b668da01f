"""UDP datagrams that came in, as columns: who sent them, from which port, to which of ours. Nothing is believed here.

    found = read_udp(packets, lengths)      packets: one a row, from the IP header on, cut or filled to one width
    found["row"], found["hi"], found["port"], found["port_to"], …

Hostile rows (truncated, later fragments) are left out, never an exception. Pure; the counterpart of `replies`.  RFC 768.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.model import Transport
from reconshield.scan.batch import V4_BLOCK

LEAST = 60
"""Bytes of a row at least."""
UDP_BYTES = 8

DATAGRAM = np.dtype([("row", "i8"), ("hi", "u8"), ("lo", "u8"), ("port", "u2"), ("port_to", "u2"), ("ttl", "u1")])
Datagrams = NDArray[np.void]
"""A one-dimensional array of dtype `DATAGRAM`."""


def read_udp(packets: NDArray[np.uint8], lengths: NDArray[np.integer[Any]]) -> Datagrams:
    """The datagrams among packets of shape (rows, width ≥ 60), of which `lengths` bytes each are real."""
    if packets.ndim != 2 or packets.shape[1] < LEAST:
        raise ValueError(f"packets are rows of at least {LEAST} bytes")
    real = np.minimum(lengths, packets.shape[1])
    version = packets[:, 0] >> 4
    four = np.flatnonzero((version == 4) & (packets[:, 9] == Transport.UDP) & (real >= 20 + UDP_BYTES))
    size = (packets[four, 0] & 15).astype(np.int64) * 4
    whole = (size >= 20) & (real[four] >= size + UDP_BYTES) & (packets[four, 6] & 0x1F == 0) & (packets[four, 7] == 0)
    four, size = four[whole], size[whole]
    six = np.flatnonzero((version == 6) & (packets[:, 6] == Transport.UDP) & (real >= 40 + UDP_BYTES))
    found = np.zeros(four.size + six.size, dtype=DATAGRAM)
    first, second = found[: four.size], found[four.size :]
    first["lo"] = packets[four, 12:16].view(">u4")[:, 0].astype(np.uint64) | np.uint64(V4_BLOCK << 32)
    halves = np.ascontiguousarray(packets[six, 8:24]).view(">u8")
    second["hi"], second["lo"] = halves[:, 0], halves[:, 1]
    first["ttl"], second["ttl"] = packets[four, 8], packets[six, 7]
    for part, rows, header in ((first, four, size), (second, six, np.full(six.size, 40))):
        part["row"] = rows
        for name, at in (("port", 0), ("port_to", 2)):
            part[name] = packets[rows, header + at].astype(np.uint16) << np.uint16(8) | packets[rows, header + at + 1]
    return found
