"""Raw IP sockets as a second way out, for what must pass through this machine's own routing: its own addresses.

A packet with our own address as source that comes in by a device is dropped by the kernel as forged ("martian"), and so it is
on loopback. Sent through a raw IP socket it takes the way of the kernel's own packets. That costs a system call for each; the
same way serves devices whose link-layer header this program does not build. The methods are those of `ring.SendRing`.
raw(7), ipv6(7).
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]

ROW_BYTES = 128
SHORT_PAUSE = 0.0005


class SendQueue:
    """Packets on their way to the kernel's own IP layer, header included."""

    def __init__(self, rows: int, *, is_v4: bool) -> None:
        family = socket.AF_INET if is_v4 else socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)  # IPPROTO_RAW: packets bring their IP header
        self._family = family
        self._goal = slice(16, 20) if is_v4 else slice(24, 40)
        self._rows = np.zeros((rows, ROW_BYTES), dtype=np.uint8)
        self._length = 0
        self._busy = False
        self.dropped = 0
        """Packets for which the kernel had no room."""

    def room(self, most: int) -> int:
        """How many rows can be taken now, `most` of them."""
        return 0 if self._busy else min(most, self._rows.shape[0])

    def take(self, count: int, frame: U8) -> tuple[int, U8]:
        """`count` rows, which hold `frame` already, and their place."""
        self._busy = True
        rows = self._rows[:count]
        rows[:, : frame.size] = frame
        self._length = frame.size
        return 0, rows

    def push(self, at: int, count: int) -> None:
        """Send the rows taken at this place. A packet that our own firewall refuses is as good as lost on the way."""
        for row in self._rows[at : at + count]:
            data = row[: self._length].tobytes()
            goal = socket.inet_ntop(self._family, data[self._goal])
            try:
                with suppress(PermissionError):
                    self._socket.sendto(data, (goal, 0))
            except OSError:
                self.dropped += 1
                time.sleep(SHORT_PAUSE)
        self._busy = False

    def close(self) -> None:
        self._socket.close()
