"""Two records that are the two directions of one flow become one: for sensors that write each direction by itself.

Only what is certain is joined: the same sensor, the same ends, and the same interval. Everything else stays a record of one
direction, whose other counts are not known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.flows import Mark, Rows

ENDS = ("src_hi", "src_lo", "dst_hi", "dst_lo")
SAME = (*ENDS, "sport", "dport", "transport", "start", "end")
COUNTS = ("sent", "sent_packets"), ("received", "received_packets")


def turn(rows: Rows, where: NDArray[np.bool_]) -> None:
    """Make the other side the one that began: ends, ports and counts change places."""
    turned = rows[where]
    for one, other in (
        ("src_hi", "dst_hi"),
        ("src_lo", "dst_lo"),
        ("sport", "dport"),
        ("sent", "received"),
        ("sent_packets", "received_packets"),
    ):
        rows[one][where], rows[other][where] = turned[other], turned[one]


def find_pairs(rows: Rows, answer: NDArray[np.bool_], sensor: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of requests, and for each the place of its answer. `answer` says which rows were turned."""
    order = np.lexsort([answer, sensor, *(rows[name] for name in SAME)])
    one, two = order[:-1], order[1:]
    found = ~answer[one] & answer[two] & (sensor[one] == sensor[two])
    for name in SAME:
        found &= rows[name][one] == rows[name][two]
    return one[found], two[found]


def join(rows: Rows, requests: NDArray[np.int64], answers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Put the counts of answers beside those of their requests; gives which rows remain."""
    for name in COUNTS[1]:
        rows[name][requests] = rows[name][answers]
    sure = (rows["marks"][answers] & Mark.UNSURE) == 0
    rows["marks"][requests[sure]] &= np.uint8(255 - Mark.UNSURE)
    remain = np.ones(rows.size, bool)
    remain[answers] = False
    return remain
