"""A program that sends one raw packet to itself where nobody else sees it, and prints as JSON what came of it.

    python -m reconshield.host.trial

It leaves for a network namespace of its own (as root, else inside a user namespace), brings up the loopback device there, and
sends one frame from a packet socket to another with a receive ring, which is all that the raw engine needs of the kernel. The
namespace ends with the program; nothing reaches any network.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import mmap
import os
import select
import socket
import struct
import sys

NEW_USER, NEW_NET = 0x1000_0000, 0x4000_0000
SOL_PACKET, RX_RING, VERSION = 263, 5, 10
GET_FLAGS, SET_FLAGS, IFF_UP = 0x8913, 0x8914, 1
BLOCK, FRAME = 1 << 16, 2048
PROTOCOL = 0x88B5
"""An Ethernet type for local experiments (IEEE 802)."""
WAIT_MS = 2000


def main() -> None:
    """Try, and print what happened."""
    namespace, why = leave()
    raw = False
    if namespace:
        try:
            raw = send_to_self()
            why = "" if raw else "a packet was sent and not heard"
        except OSError as error:
            why = f"a packet socket fails: {os.strerror(error.errno or 0)}"
    sys.stdout.write(json.dumps({"namespace": namespace, "raw": raw, "why": why}))


def leave() -> tuple[str, str]:
    """Move into a new network namespace: how that was done (root, user), or why it cannot be."""
    library = ctypes.CDLL(None, use_errno=True)
    if not library.unshare(NEW_NET):
        return "root", ""
    if not library.unshare(NEW_USER | NEW_NET):
        return "user", ""
    return "", f"no namespace can be made: {os.strerror(ctypes.get_errno())}"


def send_to_self() -> bool:
    """One frame over loopback, through a receive ring. Raises OSError where the kernel refuses a step."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        name = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, GET_FLAGS, name))[1]
        fcntl.ioctl(control, SET_FLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as receiver,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender,
    ):
        receiver.setsockopt(SOL_PACKET, VERSION, 1)  # TPACKET_V2
        receiver.setsockopt(SOL_PACKET, RX_RING, struct.pack("4I", BLOCK, 1, FRAME, BLOCK // FRAME))
        with mmap.mmap(receiver.fileno(), BLOCK, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE):
            receiver.bind(("lo", PROTOCOL))
            sender.bind(("lo", 0))
            sender.send(bytes(12) + PROTOCOL.to_bytes(2) + b"reconshield".ljust(46, b"\0"))
            waiting = select.poll()
            waiting.register(receiver, select.POLLIN)
            return bool(waiting.poll(WAIT_MS))


if __name__ == "__main__":
    main()
