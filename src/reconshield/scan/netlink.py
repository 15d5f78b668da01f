"""Questions to the Linux kernel about devices, routes and neighbours: netlink messages over a plain socket, no privileges.

A question is a message: a header, a structure by its kind, attributes (number, length, value). The kernel answers with one
message or, for a `dump`, with all rows of a table. What comes out is the structure and the attributes of each; what they mean
is known by who asked (`route`, `neighbours`).  Format: netlink(7), rtnetlink(7), linux/rtnetlink.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from reconshield.errors import UserError

GET_LINK, GET_ROUTE, GET_NEIGHBOUR, GET_RULE = 18, 26, 30, 34

HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")
REQUEST, ROOT_AND_MATCH = 0x01, 0x300
ERROR, DONE = 2, 3
INTERRUPTED = 0x10
"""A flag of the kernel's: the table changed while it was told, so the rows may not fit each other."""

WITHOUT_FLAGS = 0x3FFF
ANSWER_SECONDS = 5.0
AT_ONCE = 64
"""Questions under way: their answers fit the receive buffer."""

DUMP_TRIES = 5

Attributes = dict[int, bytes]


class Message(NamedTuple):
    """The structure of an answer as bytes, and its attributes by number."""

    fixed: bytes
    attributes: Attributes


class Netlink:
    """One socket to the routing part of the kernel, in the network namespace of the thread that opened it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.settimeout(ANSWER_SECONDS)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def dump(self, kind: int, fixed: bytes) -> list[Message]:
        """All rows of a table. `fixed` is the structure of the question; its first byte is the address family (0: all)."""
        for _ in range(DUMP_TRIES):
            rows, whole = [], True
            self._socket.send(self._frame(kind, ROOT_AND_MATCH, fixed))
            for number, flags, body in self._answers(self._sequence):
                if number == ERROR:
                    raise _failure(-struct.unpack_from("=i", body)[0])
                whole = whole and not flags & INTERRUPTED
                rows.append(_parse(body, len(fixed)))
            if whole:
                return rows
        return rows  # a table that changes all the time: the last look is as good as any

    def ask_all(self, kind: int, questions: Sequence[bytes], fixed_size: int) -> list[Message | int]:
        """The answer to each question: a message, or the error number that the kernel has for it."""
        answers: list[Message | int] = []
        for at in range(0, len(questions), AT_ONCE):
            part = questions[at : at + AT_ONCE]
            self._socket.send(b"".join(self._frame(kind, 0, question) for question in part))
            answers += [self._answer(fixed_size) for _ in part]
        return answers

    def _frame(self, kind: int, flags: int, body: bytes) -> bytes:
        self._sequence += 1
        return HEADER.pack(HEADER.size + len(body), kind, REQUEST | flags, self._sequence, 0) + body

    def _answer(self, fixed_size: int) -> Message | int:
        _, number, _, _, body = next(_split(self._receive()))
        return -int(struct.unpack_from("=i", body)[0]) if number == ERROR else _parse(body, fixed_size)

    def _answers(self, sequence: int) -> Iterator[tuple[int, int, bytes]]:
        """The rows of a dump until its end; what an interrupted question left behind is passed over."""
        while True:
            for _, number, flags, about, body in _split(self._receive()):
                if about != sequence:
                    continue
                if number == DONE:
                    return
                yield number, flags, body
                if number == ERROR:
                    return

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except TimeoutError:
            raise UserError("the kernel does not answer questions about its routes", hint="--engine connect") from None


def attribute(number: int, value: bytes) -> bytes:
    """One attribute, filled up to four bytes."""
    return (ATTRIBUTE.pack(4 + len(value), number) + value).ljust(4 + (len(value) + 3 & ~3), b"\0")


def attributes_of(data: bytes) -> Attributes:
    """The attributes in a stretch of bytes. A number that comes twice keeps its last value."""
    found: Attributes = {}
    at = 0
    while at + 4 <= len(data):
        length, number = ATTRIBUTE.unpack_from(data, at)
        if length < 4:
            break
        found[number & WITHOUT_FLAGS] = data[at + 4 : at + length]
        at += length + 3 & ~3
    return found


def _parse(body: bytes, fixed_size: int) -> Message:
    return Message(body[:fixed_size], attributes_of(body[fixed_size:]))


def _split(data: bytes) -> Iterator[tuple[int, int, int, int, bytes]]:
    """The messages in one read: length, number, flags, the question's number, body."""
    at = 0
    while at + HEADER.size <= len(data):
        length, number, flags, sequence, _ = HEADER.unpack_from(data, at)
        if length < HEADER.size:
            return
        yield length, number, flags, sequence, data[at + HEADER.size : at + length]
        at += length + 3 & ~3


def _failure(number: int) -> OSError:
    return OSError(number, f"{os.strerror(number)} ({errno.errorcode.get(number, number)})", "netlink")
