"""Observations in flight: NumPy arrays with one row per endpoint, and the way to and from text and records.

Engines fill arrays of `OBSERVATION`; whoever keeps a result turns its row into a record (`records`). An address is two unsigned
64-bit columns, `hi` and `lo`, of its 128-bit number, with IPv4 at `::ffff:a.b.c.d`, so one code path serves both families.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield import model
from reconshield.addresses import parse_address, text_of

OBSERVATION = np.dtype(model.OBSERVATION_FIELDS)

Batch = NDArray[np.void]
"""A one-dimensional array of dtype `OBSERVATION`."""

LOW_HALF = 2**64 - 1
V4_BLOCK = 0xFFFF
"""An address is IPv4 when `hi` is 0 and `lo >> 32` is this."""


def empty(size: int) -> Batch:
    """`size` rows of zeros: state 0 is no state, so a row that nobody filled is seen."""
    return np.zeros(size, dtype=OBSERVATION)


def split_address(number: int) -> tuple[int, int]:
    """The high and the low half of a 128-bit address."""
    return number >> 64, number & LOW_HALF


def join_address(hi: int, lo: int) -> int:
    return int(hi) << 64 | int(lo)


def address_text(hi: int, lo: int) -> str:
    """The spelling that the product prints."""
    return text_of(join_address(hi, lo))


def address_texts(hi: NDArray[np.uint64], lo: NDArray[np.uint64]) -> list[str]:
    """The spelling of each address. Each different address is spelt once; rows of one host share the string."""
    if hi.size and (hi == hi[0]).all():  # IPv4, or one IPv6 network: one column decides, and sorts ten times faster than two
        different, which = np.unique(lo, return_inverse=True)
        texts = [address_text(int(hi[0]), other) for other in different.tolist()]
    else:
        keys = np.empty(hi.size, dtype=[("hi", "u8"), ("lo", "u8")])
        keys["hi"], keys["lo"] = hi, lo
        both, which = np.unique(keys, return_inverse=True)
        texts = [address_text(one, other) for one, other in both.tolist()]
    return [texts[at] for at in which.tolist()]


def is_v4(hi: NDArray[np.uint64], lo: NDArray[np.uint64]) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = (hi == 0) & (lo >> np.uint64(32) == V4_BLOCK)
    return mask


def records(batch: Batch) -> Iterator[model.Observation]:
    """One record per row, in order."""
    for hi, lo, port, transport, state, reason, ttl, rtt_us, at in batch.tolist():
        yield model.Observation(
            endpoint=model.Endpoint(address_text(hi, lo), port, model.Transport(transport).label),
            state=model.State(state),
            reason=model.Reason(reason),
            at=at,
            ttl=ttl or None,
            rtt_ms=rtt_us / 1000 if rtt_us else None,
        )


def from_records(observations: Iterable[model.Observation]) -> Batch:
    """The inverse of `records`. The name of an observation has no column and is left behind."""
    rows: list[tuple[Any, ...]] = []
    for seen in observations:
        hi, lo = split_address(parse_address(seen.endpoint.ip))
        transport = model.Transport[seen.endpoint.transport.upper()]
        rtt_us = round((seen.rtt_ms or 0) * 1000)
        rows.append((hi, lo, seen.endpoint.port, transport, seen.state, seen.reason, seen.ttl or 0, rtt_us, seen.at))
    return np.array(rows, dtype=OBSERVATION)


def numbers_in(which: NDArray[np.int32]) -> list[int]:
    """The different numbers in a column, ascending; quick where there is one."""
    if which.size and (which == which[0]).all():
        return [int(which[0])]
    numbers: list[int] = np.unique(which).tolist()
    return numbers
