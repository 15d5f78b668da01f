"""Rows that memory has no room for, on numbered shelves of an unnamed temporary file.

What is put down at once is in the order of its shelves, so a run of shelves comes back with one read for each time that
something was put down. The file vanishes with the process, however that ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.errors import UserError

Array = NDArray[Any]
BLOCK = 1 << 16
"""Rows that are written or read at once."""


@contextmanager
def no_room() -> Iterator[None]:
    """What the system says where it has no room, as the user's mistake; it is no fault of the log that is being read."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        place = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - only named
        raise UserError(
            f"no room for what memory cannot hold: {reason}", where=place, hint="set TMPDIR to a larger disk"
        ) from error


class Shelves:
    """`count` shelves for rows of one dtype."""

    def __init__(self, dtype: np.dtype[Any], count: int) -> None:
        self._dtype, self._count = dtype, count
        with no_room():
            self._file = tempfile.TemporaryFile(buffering=0, prefix="reconshield-")  # noqa: SIM115 closed by `close`
        self._begins: list[NDArray[np.int64]] = []
        """For each time: the number of the row with which each shelf begins, and where the last one ends."""
        self._size = 0

    def close(self) -> None:
        self._file.close()

    def put(self, rows: Array, shelf: NDArray[np.int64], order: Array | None = None) -> None:
        """Put rows down. `shelf` has the number of each row's, in rising order once `order` is applied to the rows."""
        edges = np.searchsorted(shelf, np.arange(self._count + 1)) + self._size
        self._begins.append(edges.astype(np.int64))
        with no_room():
            self._file.seek(0, 2)
            for begin in range(0, shelf.size, BLOCK):
                block = rows[begin : begin + BLOCK] if order is None else rows.take(order[begin : begin + BLOCK])
                left = memoryview(block.tobytes())
                while left:
                    left = left[self._file.write(left) :]
        self._size += int(shelf.size)

    def sizes(self) -> NDArray[np.int64]:
        """How many rows are on each shelf."""
        return np.asarray(sum((np.diff(begins) for begins in self._begins), np.zeros(self._count, np.int64)))

    def take(self, first: int, last: int) -> Iterator[Array]:
        """The rows of these shelves, the last one included, in blocks, in the order in which they were put down."""
        for begins in self._begins:
            begin, end = int(begins[first]), int(begins[last + 1])
            while begin < end:
                count = min(BLOCK, end - begin)
                self._file.seek(begin * self._dtype.itemsize)
                yield np.frombuffer(self._file.read(count * self._dtype.itemsize), self._dtype)
                begin += count
