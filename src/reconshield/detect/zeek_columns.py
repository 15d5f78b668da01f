"""The entries of Zeek's conn.log in JSON by columns, for there are very many, and they come in few shapes.

What this cannot read is left to the reader, who takes it line by line and says the same of it, or names it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.columns import addresses, labels
from reconshield.detect.discovery import set_message
from reconshield.detect.flows import LATEST, Flows, FlowState, Mark, Names, Rows, new_rows
from reconshield.detect.shapes import Found, Path, Shape, Shapes
from reconshield.detect.zeek import STATES, TRANSPORTS, pack_state, service_name

Array = NDArray[Any]
Mask = NDArray[np.bool_]

PATH, TIME, DURATION, PROTO, STATE = ("_path",), ("ts",), ("duration",), ("proto",), ("conn_state",)
SERVICE, MISSED = ("service",), ("missed_bytes",)
ENDS: tuple[tuple[str, Path], ...] = (("src", ("id.orig_h",)), ("dst", ("id.resp_h",)))
PORTS: tuple[tuple[str, Path], ...] = (("sport", ("id.orig_p",)), ("dport", ("id.resp_p",)))
COUNTS: tuple[tuple[str, Path], ...] = (
    ("sent", ("orig_bytes",)),
    ("received", ("resp_bytes",)),
    ("sent_packets", ("orig_pkts",)),
    ("received_packets", ("resp_pkts",)),
)
UNTOLD = (FlowState.UNKNOWN, 0)


def conn_shapes(names: Names) -> Shapes[Flows]:
    """The shapes of entries of conn.log."""

    def read(found: Found) -> tuple[Flows, Mask]:
        rows, right = new_rows(found.lines.size), np.ones(found.lines.size, bool)
        right &= fill_times(rows, found) & fill_ends(rows, found)
        for name, path in COUNTS:
            if path in found.numbers:
                rows[name] = found.numbers[path]
        packed = labels(found.text(STATE), lambda text: pack_state(*STATES.get(text, UNTOLD)))
        rows["state"], rows["marks"] = packed >> 8, packed & 255
        if MISSED in found.numbers:
            rows["marks"] |= (found.numbers[MISSED] > 0) * np.uint8(Mark.LOSSY)
        if SERVICE in found.shape.texts:
            rows["app"] = labels(found.text(SERVICE), lambda text: names.number(service_name(text.decode())))
        rows["record"] = found.lines + found.source.first
        return Flows(rows.compress(right), names.all), right

    return Shapes(b'"conn_state"', fits, read, frozenset({PATH}))


def number(found: Found, path: Path) -> Array | None:
    """A number with or without a fraction."""
    return found.decimals.get(path, found.numbers.get(path))


def fill_times(rows: Rows, found: Found) -> Mask:
    start, duration = number(found, TIME), number(found, DURATION)
    rows["start"] = start
    rows["end"] = rows["start"] if duration is None else rows["start"] + duration
    rows["end"][~(rows["end"] < LATEST)] = np.nan
    return np.asarray(rows["start"] < LATEST, bool)


def fill_ends(rows: Rows, found: Found) -> Mask:
    """Addresses, ports and transport; where they are what they must be."""
    right = np.ones(rows.size, bool)
    for name, path in ENDS:
        rows[f"{name}_hi"], rows[f"{name}_lo"], fine = addresses(found.text(path))
        right &= fine & ((rows[f"{name}_hi"] != 0) | (rows[f"{name}_lo"] != 0))
    transport = labels(found.text(PROTO), lambda text: TRANSPORTS.get(text, 0))
    rows["transport"] = transport
    for name, path in PORTS:
        port = found.numbers[path]
        right &= port <= 65_535
        rows[name] = port & 0xFFFF
    set_message(rows, rows["sport"].copy())
    return np.asarray(right & (transport > 0), bool)


def fits(shape: Shape) -> bool:
    """Whether a flow can be told from it."""
    there = all(path in shape.texts for path in (PROTO, STATE, *(path for _, path in ENDS)))
    there &= all(path in shape.numbers for _, path in PORTS)
    there &= TIME in shape.numbers or TIME in shape.decimals
    others = {path for kind in (shape.texts, shape.decimals, shape.words) for path in kind}
    whole = all(path not in others for _, path in COUNTS) and MISSED not in others
    timed = DURATION not in shape.texts and DURATION not in shape.words
    named = all(SERVICE not in kind for kind in (shape.numbers, shape.decimals, shape.words))
    ours = shape.words.get(PATH, "conn") == "conn" and PATH not in shape.numbers and PATH not in shape.decimals
    return there and whole and timed and named and ours
