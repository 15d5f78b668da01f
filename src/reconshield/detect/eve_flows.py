"""The `flow` events of EVE by columns, for there are very many, and they come in few shapes.

What this cannot read is left to the reader, who takes it line by line and says the same of it, or names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.columns import addresses, labels, moments
from reconshield.detect.flows import LATEST, Flows, FlowState, Mark, Names, new_rows
from reconshield.detect.shapes import Found, Lines, Path, Shape, make_shape

Array = NDArray[Any]
Mask = NDArray[np.bool_]

IS_FLOW = b'"event_type":"flow"'
MOST_SHAPES = 64
SYN = 2
WRONG = 256
"""Instead of flags of TCP that are none."""

TIMES: tuple[tuple[str, Path], ...] = (("start", ("flow", "start")), ("end", ("flow", "end")))
ENDS: tuple[tuple[str, Path], ...] = (("src", ("src_ip",)), ("dst", ("dest_ip",)))
PORTS: tuple[tuple[str, Path], ...] = (("sport", ("src_port",)), ("dport", ("dest_port",)))
COUNTS: tuple[tuple[str, Path], ...] = (
    ("sent", ("flow", "bytes_toserver")),
    ("received", ("flow", "bytes_toclient")),
    ("sent_packets", ("flow", "pkts_toserver")),
    ("received_packets", ("flow", "pkts_toclient")),
)
PROTO, FLOW_ID, ACTION, APP, RESET = ("proto",), ("flow_id",), ("flow", "action"), ("app_proto",), ("tcp", "rst")
FLAGS_TO_SERVER, FLAGS_TO_CLIENT = ("tcp", "tcp_flags_ts"), ("tcp", "tcp_flags_tc")
TEXTS: tuple[Path, ...] = (*(path for _, path in (*TIMES, *ENDS)), PROTO)
NUMBERS: tuple[Path, ...] = (*(path for _, path in COUNTS), FLOW_ID)
OTHER_TEXTS: tuple[Path, ...] = (ACTION, APP, FLAGS_TO_SERVER, FLAGS_TO_CLIENT)
OTHER_NUMBERS: tuple[Path, ...] = tuple(path for _, path in PORTS)
MOST_TRIES = 20
"""Lines of a piece that are taken apart in search of a shape."""


@dataclass(slots=True)
class Columns:
    """The shapes met so far. `transport` and `app` give the number of a protocol by its name in the file."""

    transport: Callable[[str], int]
    app: Callable[[str], int]
    names: Names
    shapes: list[Shape] = field(default_factory=list)

    def take(self, lines: Lines, first: int) -> Iterator[tuple[Flows, Array, Array]]:
        """Flows, with their ids and the places of their lines. `first` is the number of the first line."""
        left = np.ones(lines.count, bool)
        for shape in self.shapes:
            if (found := self._read(lines.of_shape(shape, left), first)) is not None:
                left[found[2]] = False
                yield found
        seen = tries = 0
        while len(self.shapes) < MOST_SHAPES and tries < MOST_TRIES:
            if (number := next_flow(lines, left, seen)) is None:
                break
            seen, tries = number + 1, tries + 1
            fresh = make_shape(lines.line(number), frozenset({("event_type",)}))
            if fresh is None or not fits(fresh):
                continue
            self.shapes.append(fresh)
            if (found := self._read(lines.of_shape(fresh, left), first)) is not None:
                left[found[2]] = False
                yield found

    def _read(self, found: Found, first: int) -> tuple[Flows, Array, Array] | None:
        """The flows of lines of one shape, but for those with a value that is none."""
        if not found.lines.size:
            return None
        rows, right = new_rows(found.lines.size), np.ones(found.lines.size, bool)
        for name, path in TIMES:
            rows[name], fine = moments(found.text(path))
            right &= fine & (rows[name] >= 0) & (rows[name] < LATEST)
        for name, path in ENDS:
            rows[f"{name}_hi"], rows[f"{name}_lo"], fine = addresses(found.text(path))
            right &= fine & ((rows[f"{name}_hi"] != 0) | (rows[f"{name}_lo"] != 0))
        for name, path in PORTS:
            if (port := found.numbers.get(path)) is not None:
                right &= port <= 65_535
                rows[name] = port & 0xFFFF
        for name, path in COUNTS:
            rows[name] = found.numbers[path]
        rows["transport"] = labels(found.text(PROTO), lambda text: self.transport(text.decode()))
        if APP in found.shape.texts:
            rows["app"] = labels(found.text(APP), lambda text: self.app(text.decode()))
        rows["state"], fine = states(found, rows["sent_packets"], rows["received_packets"])
        right &= fine
        one_sided = (rows["received_packets"] > 0) & (rows["sent_packets"] == 0)
        rows["marks"] = np.where(one_sided, Mark.ONE_SIDED, 0)
        rows["record"] = found.lines + first
        ids = found.numbers[FLOW_ID]
        if right.all():
            return Flows(rows, self.names.all), ids, found.lines
        return Flows(rows[right], self.names.all), ids[right], found.lines[right]


def fits(shape: Shape) -> bool:
    """Whether a flow can be told from it."""
    there = all(path in shape.texts for path in TEXTS) and all(path in shape.numbers for path in NUMBERS)
    texts = not any(path in shape.numbers or path in shape.words for path in OTHER_TEXTS)
    return there and texts and not any(path in shape.texts or path in shape.words for path in OTHER_NUMBERS)


def next_flow(lines: Lines, left: Mask, seen: int) -> int | None:
    """The next line that is left and looks like a flow."""
    for number in np.flatnonzero(left[seen:] & lines.plain[seen:]).tolist():
        if IS_FLOW in lines.line(seen + number):
            return int(seen + number)
    return None


def states(found: Found, sent: Array, received: Array) -> tuple[Array, Mask]:
    """How each flow went, as the reader has it for one; and where the flags are what they should be."""
    state = np.where(sent > 0, FlowState.ESTABLISHED, FlowState.UNKNOWN)
    right = np.ones(sent.size, bool)
    if found.shape.words.get(RESET) is True:
        to_client, to_server = (flags_of(found, path) for path in (FLAGS_TO_CLIENT, FLAGS_TO_SERVER))
        right = (to_client < WRONG) & (to_server < WRONG)
        refused = np.where(to_server & SYN != 0, FlowState.REFUSED, FlowState.UNKNOWN)
        state = np.where(to_client & SYN == 0, refused, state)
    state = np.where(received > 0, state, np.where(sent > 0, FlowState.UNANSWERED, FlowState.UNKNOWN))
    if ACTION in found.shape.texts:
        dropped = labels(found.text(ACTION), lambda text: int(text == b"drop"))
        state = np.where(dropped > 0, FlowState.DENIED, state)
    return state, right


def flags_of(found: Found, path: Path) -> Array:
    def number(text: bytes) -> int:
        try:
            return min(int(text, 16), WRONG) if text.isalnum() else WRONG
        except ValueError:
            return WRONG

    return labels(found.text(path), number) if path in found.shape.texts else np.zeros(found.lines.size, np.int64)
