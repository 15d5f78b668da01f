"""Which packets the kernel hands to us: programs for its packet filter (classic BPF), assembled here. Pure.

Only TCP and UDP to our source ports and ICMP errors pass, so a flood of other traffic costs nothing. Sockets see packets from
the IP header on (SOCK_DGRAM), whatever the device puts before it. Format: linux/filter.h, McCanne and Jacobson 1993.
"""

from __future__ import annotations

import struct

KEEP_BYTES = 128
"""Of each packet; an ICMPv6 error that quotes ours fits."""

LOAD_BYTE, LOAD_HALF = 0x30, 0x28
LOAD_BYTE_X, LOAD_HALF_X = 0x50, 0x48
HEADER_TO_X = 0xB1
"""The size of the IPv4 header at this offset into the index register."""
JUMP_EQUAL, JUMP_ABOVE, JUMP_FROM, JUMP_BITS, RETURN = 0x15, 0x25, 0x35, 0x45, 0x06

Step = tuple[int, int, str, str]
"""Operation, operand, and for jumps the labels to go to if it holds and if not (empty: the next step)."""


def answers_v4(first: int, last: int) -> bytes:
    """IPv4: TCP and UDP to the ports `first` to `last`, ICMP destination unreachable (3) and time exceeded (11)."""
    return _assemble(
        {
            "start": [(LOAD_HALF, 6, "", ""), (JUMP_BITS, 0x1FFF, "drop", "")],  # a later fragment
            "kind": [
                (HEADER_TO_X, 0, "", ""),
                (LOAD_BYTE, 9, "", ""),
                (JUMP_EQUAL, 6, "ports", ""),
                (JUMP_EQUAL, 17, "ports", ""),
                (JUMP_EQUAL, 1, "", "drop"),
                (LOAD_BYTE_X, 0, "", ""),
                (JUMP_EQUAL, 3, "keep", ""),
                (JUMP_EQUAL, 11, "keep", "drop"),
            ],
            "ports": [(LOAD_HALF_X, 2, "", ""), *_between(first, last)],
        }
    )


def answers_v6(first: int, last: int) -> bytes:
    """IPv6: the same; ICMPv6 errors are the types below 128 (RFC 4443 §2.1)."""
    return _assemble(
        {
            "start": [
                (LOAD_BYTE, 6, "", ""),
                (JUMP_EQUAL, 6, "ports", ""),
                (JUMP_EQUAL, 17, "ports", ""),
                (JUMP_EQUAL, 58, "", "drop"),
                (LOAD_BYTE, 40, "", ""),
                (JUMP_FROM, 128, "drop", "keep"),
            ],
            "ports": [(LOAD_HALF, 42, "", ""), *_between(first, last)],
        }
    )


def _between(first: int, last: int) -> list[Step]:
    return [(JUMP_FROM, first, "", "drop"), (JUMP_ABOVE, last, "drop", "keep")]


def _assemble(parts: dict[str, list[Step]]) -> bytes:
    """The steps of all parts with labels turned into distances; `keep` and `drop` are added at the end."""
    parts = parts | {"keep": [(RETURN, KEEP_BYTES, "", "")], "drop": [(RETURN, 0, "", "")]}
    places: dict[str, int] = {}
    steps: list[Step] = []
    for label, part in parts.items():
        places[label] = len(steps)
        steps += part
    code = b""
    for at, (operation, operand, yes, no) in enumerate(steps):
        jumps = (places[label] - at - 1 if label else 0 for label in (yes, no))
        code += struct.pack("=HBBI", operation, *jumps, operand)
    return code
