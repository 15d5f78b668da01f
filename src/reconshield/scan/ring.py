"""Rings that this process and the kernel share: thousands of packets go out or come in with one system call, or none.

    out = SendRing("eth0", ETH_IPV4)              come = ReceiveRing("eth0", ETH_IPV4, answers_v4(first, last))
    at, rows = out.take(1000, shape.frame)        packets = come.read(4096)
    shape.fill(rows, asked)                       … columns of packets.bytes, packets.lengths, packets.stamps
    out.push(at, 1000)                            come.release(packets)

A ring is memory mapped into this process and seen as an array with one row a packet. A word at the start of each row says whose
it is. `push` is one system call that sends all of them and lets other threads run meanwhile.

Linux only; needs CAP_NET_RAW to be made, nothing afterwards. packet(7), Documentation/networking/packet_mmap.rst: TPACKET_V2.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import socket
import struct
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]

SOL_PACKET, SO_ATTACH_FILTER = 263, 26
RX_RING, STATISTICS, VERSION, TX_RING, LOSS, VNET_HEADER, QDISC_BYPASS, IGNORE_OUTGOING = 5, 6, 10, 13, 14, 15, 20, 23
TPACKET_V2 = 1
"""Numbers of linux/if_packet.h, which Python does not name."""

FREE, READY, TAKEN = 0, 1, 1 << 28
"""TP_STATUS_AVAILABLE and TP_STATUS_SEND_REQUEST, and a number of our own for rows that are being filled; in a receive ring 0
is the kernel's and bit 0 (TP_STATUS_USER) ours."""
VLAN_VALID = 1 << 4
VNET_AT, VNET_BYTES = 32, 10
"""struct virtio_net_hdr, behind struct tpacket2_hdr in a row of a send ring. All of it is 0 but the length of the headers. As
that says the whole packet, the kernel copies these few bytes into its own memory; else it would hand on a page of ours, which
a virtual device at once copies into a page taken for that: a fifth of the whole way."""
DATA_AT = VNET_AT + VNET_BYTES
"""Where the packet begins in a row of a send ring."""
TO_US = 0
"""sll_pkttype PACKET_HOST."""

BLOCK_BYTES = 1 << 16
SEND_ROW, RECEIVE_ROW = 128, 256
SHORT_PAUSE = 0.0005

HEADER = np.dtype(
    {
        "names": ["status", "length", "kept", "packet_at", "seconds", "nanoseconds", "vlan", "type"],
        "formats": ["u4", "u4", "u4", "u2", "u4", "u4", "u2", "u1"],
        "offsets": [0, 4, 8, 14, 16, 20, 24, 42],
    }
)
"""struct tpacket2_hdr (`packet_at` is tp_net), and sll_pkttype of the sockaddr_ll behind it."""


class SendRing:
    """Packets on their way out of one device. `protocol` tells devices without a link-layer header what they carry."""

    def __init__(self, device: str, protocol: int, rows: int = 4096, row_bytes: int = SEND_ROW) -> None:
        self._socket = _open_socket(socket.SOCK_RAW)
        for option in (QDISC_BYPASS, LOSS, VNET_HEADER):
            self._socket.setsockopt(SOL_PACKET, option, 1)
        self._goal = (device, protocol)
        self._memory, self._rows = _map_ring(self._socket, TX_RING, rows, row_bytes)
        self._socket.bind((device, 0))  # protocol 0: this socket receives nothing
        self._status = self._rows[:, :4].view(np.uint32)[:, 0]
        self._length = self._rows[:, 4:8].view(np.uint32)[:, 0]
        self._headers = self._rows[:, VNET_AT + 2 : VNET_AT + 4].view(np.uint16)[:, 0]
        self._room = row_bytes - DATA_AT
        self._frames: list[U8] = []
        self._laid = np.full(rows, -1, dtype=np.int16)
        self._head = 0
        self.dropped = 0
        """Packets for which the device had no room."""

    def room(self, most: int) -> int:
        """How many rows can be taken now: `most`, or all to the end of the ring; 0 while one of these is still in use."""
        status = self._status[self._head : self._head + most]
        return 0 if status.any() else status.size

    def take(self, count: int, frame: U8) -> tuple[int, U8]:
        """The next `count` rows, which hold `frame` already, and their place; not more than there is `room` for."""
        at, rows = self._head, slice(self._head, self._head + count)
        data = self._rows[rows, DATA_AT:]
        number = self._number_of(frame)
        if not (self._laid[rows] == number).all():
            data[:, : frame.size] = frame
            self._length[rows], self._headers[rows] = VNET_BYTES + frame.size, frame.size
            self._laid[rows] = number
        self._status[rows] = TAKEN
        self._head = (self._head + count) % self._status.size
        return at, data

    def push(self, at: int, count: int) -> None:
        """Send the rows taken at this place. A device whose queue is full loses a packet (counted), and is given time."""
        self._status[at : at + count] = READY
        while True:
            try:
                self._socket.sendto(b"", socket.MSG_DONTWAIT, self._goal)
            except OSError as failure:
                if failure.errno not in {errno.ENOBUFS, errno.EAGAIN}:
                    raise
                self.dropped += failure.errno == errno.ENOBUFS
            if self._status[at + count - 1] != READY:
                return
            time.sleep(SHORT_PAUSE)  # the memory for packets under way is used up

    def close(self) -> None:
        self._socket.close()

    def _number_of(self, frame: U8) -> int:
        for number, known in enumerate(self._frames):
            if known is frame:
                return number
        if frame.size > self._room:
            raise ValueError(f"a packet of {frame.size} bytes does not fit a row of {self._room}")
        self._frames.append(frame)
        return len(self._frames) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Packets:
    """Packets in a receive ring, from the IP header on. `stamps` in Unix seconds. `believed`: to us, and from our network."""

    bytes: U8
    lengths: NDArray[np.uint32]
    stamps: NDArray[np.float64]
    believed: NDArray[np.bool_]


class ReceiveRing:
    """Packets that came in by one device and passed a filter program."""

    def __init__(self, device: str, protocol: int, program: bytes, rows: int = 1 << 15, row_bytes: int = RECEIVE_ROW) -> None:
        self._socket = _open_socket(socket.SOCK_DGRAM)
        attach_filter(self._socket, program)
        self._socket.setsockopt(SOL_PACKET, IGNORE_OUTGOING, 1)
        self._memory, self._rows = _map_ring(self._socket, RX_RING, rows, row_bytes)
        self._socket.bind((device, protocol))
        self._headers = self._rows[:, : HEADER.itemsize].view(HEADER)[:, 0]
        self._status = self._rows[:, :4].view(np.uint32)[:, 0]
        self._head = 0

    def fileno(self) -> int:
        """For poll: readable when a packet waits."""
        return self._socket.fileno()

    def read(self, most: int) -> Packets | None:
        """The packets that wait, to the end of the ring at most; None if there is none. They stay until `release`."""
        status = self._status[self._head : self._head + most]
        if not status[0] & READY:
            return None
        waiting = np.flatnonzero((status & READY) == 0)
        count = int(waiting[0]) if waiting.size else status.size
        heads = self._headers[self._head : self._head + count]
        at = int(heads["packet_at"][0])  # the same for all: fixed by the kind of socket
        return Packets(
            bytes=self._rows[self._head : self._head + count, at:],
            lengths=heads["kept"],
            stamps=heads["seconds"] + heads["nanoseconds"] * 1e-9,
            # A tag that the kernel took off belongs to another network, unless it carries a priority alone (802.1Q §6.9).
            believed=(heads["type"] == TO_US) & ((heads["status"] & VLAN_VALID == 0) | (heads["vlan"] & 0xFFF == 0)),
        )

    def release(self, packets: Packets) -> None:
        """Give the rows back to the kernel."""
        count = packets.lengths.size
        self._status[self._head : self._head + count] = FREE
        self._head = (self._head + count) % self._status.size

    def has_more(self) -> bool:
        """Whether a packet waits."""
        return bool(self._status[self._head] & READY)

    def lost(self) -> int:
        """Packets that found the ring full since the last call."""
        return int(struct.unpack("II", self._socket.getsockopt(SOL_PACKET, STATISTICS, 8))[1])

    def close(self) -> None:
        self._socket.close()


def attach_filter(sock: socket.socket, program: bytes) -> None:
    """Let the kernel apply a classic BPF program to what the socket receives."""
    held = ctypes.create_string_buffer(program)
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program) // 8, ctypes.addressof(held)))


def _open_socket(kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, kind, 0)
    sock.setsockopt(SOL_PACKET, VERSION, TPACKET_V2)
    return sock


def _map_ring(sock: socket.socket, option: int, rows: int, row_bytes: int) -> tuple[mmap.mmap, U8]:
    """Make the ring of a socket and see it as an array of shape (rows, row_bytes)."""
    size = rows * row_bytes
    block = min(BLOCK_BYTES, size)
    sock.setsockopt(SOL_PACKET, option, struct.pack("IIII", block, size // block, row_bytes, rows))
    memory = mmap.mmap(sock.fileno(), size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    return memory, np.frombuffer(memory, dtype=np.uint8).reshape(rows, row_bytes)
