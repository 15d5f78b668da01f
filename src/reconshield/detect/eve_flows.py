"""The `flow` events of EVE by columns, for there are very many, and they come in few shapes.

What this cannot read is left to the reader, who takes it line by line and says the same of it, or names it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.columns import addresses, labels, moments
from reconshield.detect.discovery import set_message
from reconshield.detect.flows import LATEST, Flows, FlowState, Mark, Names, new_rows
from reconshield.detect.shapes import Found, Path, Shape, Shapes

Array = NDArray[Any]
Mask = NDArray[np.bool_]

IS_FLOW = b'"event_type":"flow"'
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
ICMP_TYPE = ("icmp_type",)
OTHER_NUMBERS: tuple[Path, ...] = (*(path for _, path in PORTS), ICMP_TYPE)


Told = tuple[Flows, NDArray[np.int64]]
"""Flows, and their ids in the file."""


def flow_shapes(transport: Callable[[str], int], app: Callable[[str], int], names: Names) -> Shapes[Told]:
    """The shapes of flow events. `transport` and `app` give the number of a protocol by its name in the file."""

    def read(found: Found) -> tuple[Told, Mask]:
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
        rows["transport"] = labels(found.text(PROTO), lambda text: transport(text.decode()))
        if ICMP_TYPE in found.numbers:
            set_message(rows, found.numbers[ICMP_TYPE])
        if APP in found.shape.texts:
            rows["app"] = labels(found.text(APP), lambda text: app(text.decode()))
        rows["state"], fine = states(found, rows["sent_packets"], rows["received_packets"])
        right &= fine
        one_sided = (rows["received_packets"] > 0) & (rows["sent_packets"] == 0)
        rows["marks"] = np.where(one_sided, Mark.ONE_SIDED, 0)
        rows["record"] = found.lines + found.source.first
        return (Flows(rows[right], names.all), found.numbers[FLOW_ID][right]), right

    return Shapes(IS_FLOW, fits, read, frozenset({("event_type",)}))


def fits(shape: Shape) -> bool:
    """Whether a flow can be told from it."""
    if shape.decimals:
        return False
    there = all(path in shape.texts for path in TEXTS) and all(path in shape.numbers for path in NUMBERS)
    texts = not any(path in shape.numbers or path in shape.words for path in OTHER_TEXTS)
    return there and texts and not any(path in shape.texts or path in shape.words for path in OTHER_NUMBERS)


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
