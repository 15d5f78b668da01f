"""`detect run --follow`: a log that grows and is rotated, judged as it comes, until somebody stops it.

    Tail -> whole new lines, with the header before them -> reader -> tally -> match -> detections that are new or rated higher

Memory and disk are bounded: beyond `MOST_CONVERSATIONS` or `MOST_FLOWS` what was gathered is given up and it starts afresh.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BufferedReader
from pathlib import Path

from reconshield.detect.compare import Key, key_of
from reconshield.detect.evidence import RATINGS
from reconshield.detect.flows import Bad, Flows, Item, Reader
from reconshield.detect.match import match
from reconshield.detect.scene import Setting
from reconshield.detect.suppress import suppress
from reconshield.detect.tally import Tally
from reconshield.detection import Detection
from reconshield.errors import UserError
from reconshield.jobs.detect import PACKED, Input, choose_reader, explained, open_log, take_item

PIECE = 8 << 20
MOST_LINE = 16 << 20
POLL = 1.0
LEAST_PAUSE = 2.0
"""Seconds between two judgements at least; more where one takes long, so that it costs a fifth of the time at most."""
SHARE = 5
MOST_CONVERSATIONS = 1_000_000
MOST_FLOWS = 20_000_000
IN_MEMORY = 2 * MOST_CONVERSATIONS
"""Conversations are judged again and again, so they stay in memory."""
LINE = re.compile(r"line (\d+)")


class Tail:
    """The lines of a growing file; after a rotation those of the file that has its name then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BufferedReader | None = None
        self._begin()

    def _begin(self) -> None:
        self._rest, self._header, self._lines = b"", b"", 0

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def take(self) -> tuple[bytes, int]:
        """New whole lines behind the header, and what to add to their numbers; nothing where nothing came."""
        if self._file is None:
            self._file = open_log(self.path)
        data = self._rest + self._file.read(PIECE)
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > MOST_LINE:
            raise UserError("a line is longer than 16 MB", where=str(self.path), hint="is it a log of lines?")
        lines, self._rest = data[:cut], data[cut:]
        if not lines:
            self._look_for_rotation()
            return b"", 0
        header, before = self._header, self._lines
        self._header = self._header or find_header(lines)
        self._lines += lines.count(b"\n")
        return header + lines, before - header.count(b"\n")

    def _look_for_rotation(self) -> None:
        """Another file of that name, or the same one emptied: go on at its beginning. None for now: wait."""
        if self._file is None:
            return
        try:
            there = self.path.stat()
            if (there.st_dev, there.st_ino) == file_id(self._file) and there.st_size >= self._file.tell():
                return
            fresh = open_log(self.path)
        except FileNotFoundError:
            return
        self.close()
        self._begin()
        self._file = fresh


def file_id(file: BufferedReader) -> tuple[int, int]:
    here = os.fstat(file.fileno())
    return here.st_dev, here.st_ino


def find_header(lines: bytes) -> bytes:
    """What names the columns: comments at the beginning, else a first line without any digit."""
    header = b""
    for line in lines.splitlines(keepends=True):
        if not line.startswith(b"#"):
            break
        header += line
    first = lines.partition(b"\n")[0]
    return header or (b"" if re.search(rb"\d", first) else first + b"\n")


class Follow:
    """One log, followed. `found` counts what was read, `told` knows the rating that each detection was last given out with."""

    def __init__(self, path: Path, setting: Setting, format_: str = "auto", since: float | None = None) -> None:
        self.found = Input(path)
        self._told: dict[Key, int] = {}
        self._setting = replace(setting, sources=(str(path),))
        self._format, self._since = format_, since
        self._reader: Reader | None = None
        self._tally = Tally(IN_MEMORY)

    def run(
        self, wait: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic
    ) -> Iterator[Detection]:
        """Detections as they arise, for ever; `wait` is called where nothing new is there."""
        tail, due, pending = Tail(self.found.path), clock(), False
        try:
            while True:
                with explained(self.found.path):
                    data, shift = tail.take()
                if data:
                    self._add(data, shift)
                    pending = True
                if pending and clock() >= due:
                    begun = clock()
                    yield from self._judge()
                    due, pending = clock() + max(LEAST_PAUSE, SHARE * (clock() - begun)), False
                if not data:
                    wait(POLL)
        except KeyboardInterrupt:
            if pending:
                yield from self._judge()
            raise
        finally:
            tail.close()
            self._tally.close()

    def _add(self, data: bytes, shift: int) -> None:
        if self._reader is None:
            if b"\0" in data[:PIECE] or data.startswith(tuple(PACKED)):
                hint = "read it without --follow"
                raise UserError("only a log of lines can be followed", where=str(self.found.path), hint=hint)
            self._reader = choose_reader(data, self.found.path, self._format)
            self.found.format = self._reader.name
        for item in self._reader.items([data], time.time()):
            take_item(self._tally, shifted(item, shift), self.found, 0, self._since, self._setting.hear)

    def _judge(self) -> Iterator[Detection]:
        setting = replace(self._setting, now=time.time())
        for detection in suppress(match(self._tally, setting).detections, setting.policy, setting.now):
            key, place = key_of(detection), RATINGS.index(detection.grade.rating)
            if place < self._told.get(key, len(RATINGS)):
                self._told[key] = place
                yield detection
        rows = self._tally.conversations
        if rows.size > MOST_CONVERSATIONS or int(rows["flows"].sum()) > MOST_FLOWS:
            self._tally.close()
            self._tally = Tally(IN_MEMORY)
            self._told.clear()


def shifted(item: Item, shift: int) -> Item:
    """An item with the number of its line in the file, not in what was read of it."""
    if isinstance(item, Flows):
        item.rows["record"] = (item.rows["record"].astype("i8") + shift).astype("u8")
    elif isinstance(item, Bad):
        return Bad(LINE.sub(lambda found: f"line {int(found[1]) + shift}", item.where), item.why)
    return item
