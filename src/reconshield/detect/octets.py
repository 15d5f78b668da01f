"""A stream of bytes from which so many can be taken, or looked at, at a time."""

from __future__ import annotations

from reconshield.detect.flows import Chunks


class Octets:
    """`place` is how many octets have been taken."""

    def __init__(self, chunks: Chunks) -> None:
        self.place = 0
        self._chunks = iter(chunks)
        self._data = b""
        self._begin = 0

    def peek(self, count: int) -> bytes:
        """The next octets; fewer where the stream ends."""
        if len(self._data) - self._begin < count:
            parts, size = [self._data[self._begin :]], len(self._data) - self._begin
            while size < count and (chunk := next(self._chunks, None)) is not None:
                parts.append(chunk)
                size += len(chunk)
            self._data, self._begin = b"".join(parts), 0
        return self._data[self._begin : self._begin + count]

    def take(self, count: int) -> bytes:
        """The same, and step over them."""
        found = self.peek(count)
        self._begin += len(found)
        self.place += len(found)
        return found
