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
        ("record", "u8"),
        ("source", "u4"),
        ("order", "u4"),
    ]
)
"""A conversation. `flows` counts flows, not the rows that go on from earlier ones (`Mark.CONTINUED`); `failed` those that were
refused or not answered, `unsure` those whose beginner is a guess; `app` is the first protocol seen in it (a number of
`Tally.apps`); `longest` a flow's duration in seconds; `record` and `source` say where the first flow stands, `order` rises with
when that came. `sent` and `received` add up what is known."""

ENDS = ("src_hi", "src_lo", "dst_hi", "dst_lo", "dport", "transport")
ADDED = ("flows", "failed", "denied", "unsure", "sent", "received")

Array = NDArray[Any]


def sum_groups(rows: Rows, order: Array, first: Array, apps: NDArray[np.uint16], source: int) -> Array:
    """A row for each group of equal keys: `order` sorts the rows by key, `first` says where each group begins."""
    groups = np.zeros(first.size, CONVERSATION)
    lead = rows[order[first]]
    for name in ENDS:
        groups[name] = lead[name]
    state, marks = rows["state"][order], rows["marks"][order]
    begun = marks & Mark.CONTINUED == 0
    failed = (state == FlowState.REFUSED) | (state == FlowState.UNANSWERED)
    groups["flows"] = np.add.reduceat(begun, first, dtype=np.uint32)
    groups["failed"] = np.add.reduceat(begun & failed, first, dtype=np.uint32)
    groups["denied"] = np.add.reduceat(begun & (state == FlowState.DENIED), first, dtype=np.uint32)
    groups["unsure"] = np.add.reduceat(begun & (marks & Mark.UNSURE != 0), first, dtype=np.uint32)
    groups["marks"] = np.bitwise_or.reduceat(marks, first)
    start, end = rows["start"][order], rows["end"][order]
    groups["first"] = np.fmin.reduceat(start, first)
    groups["last"] = np.fmax.reduceat(np.fmax(start, end), first)
    groups["longest"] = np.nan_to_num(np.fmax.reduceat(end - start, first))
    for name in ("sent", "received"):
        groups[name] = np.add.reduceat(np.maximum(rows[name][order], 0), first)
    groups["app"] = np.maximum.reduceat(apps[rows["app"][order]], first)
    groups["record"], groups["source"] = np.minimum.reduceat(rows["record"][order], first), source
    return groups


def merge_into(here: Array, more: Array) -> None:
    """Add later rows of the same conversations to these."""
    for name in ADDED:
        here[name] += more[name]
    here["first"] = np.fmin(here["first"], more["first"])
    here["last"] = np.fmax(here["last"], more["last"])
    here["longest"] = np.fmax(here["longest"], more["longest"])
    here["marks"] |= more["marks"]
    here["app"] = np.where(here["app"] == 0, more["app"], here["app"])


def merge_parts(rows: Array, keys: NDArray[np.uint64]) -> tuple[Array, NDArray[np.uint64]]:
    """One row for each key, by rising key, with its key. Rows of one key are parts of a conversation, the earlier first."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] ^ np.uint64(1)) != 0)
    if first.size == rows.size:
        return rows[order], ordered
    sorted_ = rows[order]
    merged = sorted_[first]
    for name in ADDED:
        merged[name] = np.add.reduceat(sorted_[name], first)
    merged["first"] = np.fmin.reduceat(sorted_["first"], first)
    merged["last"] = np.fmax.reduceat(sorted_["last"], first)
    merged["longest"] = np.fmax.reduceat(sorted_["longest"], first)
    merged["marks"] = np.bitwise_or.reduceat(sorted_["marks"], first)
    named = np.where(sorted_["app"] != 0, np.arange(rows.size), rows.size)
    at = np.minimum.reduceat(named, first)
    merged["app"] = np.where(at < rows.size, sorted_["app"][np.minimum(at, rows.size - 1)], 0)
    return merged, ordered[first]
