"""What a conversation is summed up to, and the sums: of flows, and of parts of a conversation that came one after another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.flows import FlowState, Mark, Rows

CONVERSATION = np.dtype(
    [
        ("src_hi", "u8"),
        ("src_lo", "u8"),
        ("dst_hi", "u8"),
        ("dst_lo", "u8"),
        ("dport", "u2"),
        ("transport", "u1"),
        ("marks", "u1"),
        ("app", "u2"),
        ("flows", "u4"),
        ("failed", "u4"),
        ("denied", "u4"),
        ("unsure", "u4"),
        ("first", "f8"),
        ("last", "f8"),
        ("sent", "u8"),
        ("received", "u8"),
        ("longest", "f4"),
        ("source", "u4"),
        ("record", "u8"),
        ("order", "u8"),
    ],
    align=True,
)
"""A conversation. `flows` counts flows, not the rows that go on from earlier ones (`Mark.CONTINUED`); `failed` those that were
refused or not answered, `unsure` those whose beginner is a guess; `app` is the first protocol seen in it (a number of
`Tally.apps`); `longest` a flow's duration in seconds; `record` and `source` say where the first flow stands, `order` rises with
when that came. `sent` and `received` add up what is known."""

ENDS = ("src_hi", "src_lo", "dst_hi", "dst_lo", "dport", "transport")
ADDED = ("flows", "failed", "denied", "unsure", "sent", "received")

Array = NDArray[Any]


def sum_groups(rows: Rows, first: Array, apps: NDArray[np.uint16], source: int) -> Array:
    """A row for each group of rows that lie together; `first` says where each begins."""
    groups = np.zeros(first.size, CONVERSATION)
    lead = rows.take(first)
    for name in ENDS:
        groups[name] = lead[name]
    state, marks = rows["state"].copy(), rows["marks"].copy()
    begun = marks & Mark.CONTINUED == 0
    counted = {
        "flows": begun,
        "failed": begun & ((state == FlowState.REFUSED) | (state == FlowState.UNANSWERED)),
        "denied": begun & (state == FlowState.DENIED),
        "unsure": begun & (marks & Mark.UNSURE != 0),
    }
    for name, which in counted.items():
        if which.any():  # most files have nothing to count for some of them
            groups[name] = np.add.reduceat(which, first, dtype=np.uint32)
    if marks.any():
        groups["marks"] = np.bitwise_or.reduceat(marks, first)
    start, end = rows["start"], rows["end"]
    groups["first"] = np.fmin.reduceat(start, first)
    groups["last"] = np.fmax.reduceat(np.fmax(start, end), first)
    groups["longest"] = np.nan_to_num(np.fmax.reduceat(end - start, first))
    for name in ("sent", "received"):
        groups[name] = np.add.reduceat(np.maximum(rows[name], 0), first)
    groups["app"] = np.maximum.reduceat(apps[rows["app"]], first)
    groups["record"], groups["source"] = np.minimum.reduceat(rows["record"], first), source
    return groups


def merge_parts(keys: NDArray[np.uint64], rows: Array) -> tuple[NDArray[np.uint64], Array]:
    """Each key once, by rising key, and one row for it. Rows of one key are parts of a conversation, the earlier first."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = first_of_each(ordered)
    merged = rows.take(order[first])
    sizes = np.diff(first, append=keys.size)
    several = np.flatnonzero(sizes > 1)
    if several.size:
        parts = rows.take(order[np.repeat(sizes > 1, sizes)])
        begin = np.cumsum(sizes[several]) - sizes[several]
        for name, value in sum_parts(parts, begin).items():
            merged[name][several] = value
    return ordered[first], merged


def sum_parts(parts: Array, first: Array) -> dict[str, Array]:
    """What the parts of each conversation come to, in the columns in which that is not what its first part has."""
    summed = {name: np.add.reduceat(parts[name], first) for name in ADDED}
    summed["first"] = np.fmin.reduceat(parts["first"], first)
    summed["last"] = np.fmax.reduceat(parts["last"], first)
    summed["longest"] = np.fmax.reduceat(parts["longest"], first)
    summed["marks"] = np.bitwise_or.reduceat(parts["marks"], first)
    named = np.minimum.reduceat(np.where(parts["app"] != 0, np.arange(parts.size), parts.size), first)
    summed["app"] = np.where(named < parts.size, parts["app"][np.minimum(named, parts.size - 1)], 0)
    return summed


def first_of_each(ordered: Array) -> NDArray[np.int64]:
    """Where each run of equal keys begins."""
    new = np.ones(ordered.size, bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return np.flatnonzero(new)
