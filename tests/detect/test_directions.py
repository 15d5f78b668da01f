"""Records of one direction and interval to flows, against the same done one by one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield.detect import directions as module
from reconshield.detect.directions import FLAGS_UNKNOWN, IDLE_OTHERS, IDLE_TCP, SYN, Directions
from reconshield.detect.flows import FlowState, Mark, Rows, new_rows

RECORD = st.tuples(st.integers(0, 3), st.sampled_from([6, 17]), st.integers(0, 1500), st.integers(1, 9), st.integers(0, 1))
"""Client, transport, seconds since the record before, packets, whether it is the answering direction."""


def record(client: int, transport: int, start: int, packets: int, answer: int) -> Rows:
    row = new_rows(1)
    ends = (client + 10, 40_000), (99, 443)
    for side, (address, port) in zip(("src", "dst"), reversed(ends) if answer else ends, strict=True):
        row[f"{side}_lo"], row[f"{side[0]}port"] = address, port
    row["transport"], row["start"], row["end"], row["sent_packets"] = transport, start, start + 5, packets
    return row


def slow(records: list[tuple[int, int, int, int, int]]) -> int:
    """How many flows they are: a silence of the same ends begins another one."""
    last, flows = dict[tuple[int, int], float](), 0
    for client, transport, start, _, _ in records:
        key = client, transport
        flows += key not in last or start - last[key] > (IDLE_TCP if transport == 6 else IDLE_OTHERS)
        last[key] = start + 5
    return flows


@given(st.lists(RECORD, min_size=1, max_size=40), st.lists(st.integers(1, 39), max_size=4))
def test_flows_are_what_they_are_one_by_one(steps: list[tuple[int, int, int, int, int]], cuts: list[int]) -> None:
    at, records = 1000, []
    for client, transport, gap, packets, answer in steps:
        at += gap
        records.append((client, transport, at, packets, answer))
    edges = sorted({0, *(cut for cut in cuts if cut < len(records)), len(records)})
    directions, found = Directions(), []
    for begin, end in pairwise(edges):
        rows = np.concatenate([record(*each) for each in records[begin:end]])
        found.append(directions.join(rows, np.full(rows.size, FLAGS_UNKNOWN), np.zeros(rows.size, np.int64)))
    joined = np.concatenate(found)
    assert np.count_nonzero(joined["marks"] & Mark.CONTINUED == 0) == slow(records)
    assert set(joined["dport"].tolist()) == {443}
    for name, answering in (("sent_packets", 0), ("received_packets", 1)):
        assert np.maximum(joined[name], 0).sum() == sum(each[3] for each in records if each[4] == answering)


def test_another_sensor_adds_only_that_it_was_stopped() -> None:
    rows = np.concatenate([record(0, 6, 1000 + at, 5, 0) for at in range(4)])
    rows["state"][3] = FlowState.DENIED
    joined = Directions().join(rows, np.full(4, FLAGS_UNKNOWN), np.array([1, 1, 2, 2]))
    assert joined["sent_packets"].tolist() == [5, 5]
    assert joined["state"].tolist() == [FlowState.DENIED, FlowState.UNKNOWN]


def test_what_is_known_tells_the_direction_of_later_records() -> None:
    directions, sensor = Directions(), np.zeros(1, np.int64)
    first, later = record(0, 6, 1000, 5, 0), record(0, 6, 1060, 5, 0)
    first["dport"] = later["dport"] = 50_000  # by the lower port the client would be taken for the server
    directions.join(first, np.array([SYN]), sensor)
    joined = directions.join(later, np.array([0]), sensor)
    assert (joined["dport"].tolist(), joined["marks"][0] & Mark.CONTINUED) == ([50_000], Mark.CONTINUED)


def test_a_syn_begins_another_flow_of_the_same_ends() -> None:
    rows = np.concatenate([record(0, 6, 1000 + 60 * at, 5, 0) for at in range(3)])
    joined = Directions().join(rows, np.full(3, SYN), np.zeros(3, np.int64))
    assert joined["marks"].tolist() == [0, 0, 0]


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KNOWN", 10)
    directions = Directions()
    for at in range(50):
        rows = np.concatenate([record(client, 6, 1000 + at, 1, 0) for client in range(at, at + 3)])
        directions.join(rows, np.full(3, FLAGS_UNKNOWN), np.zeros(3, np.int64))
        assert directions._keys.size <= 10
    latest = directions.join(record(51, 6, 1050, 1, 0), np.array([FLAGS_UNKNOWN]), np.zeros(1, np.int64))
    assert latest["marks"][0] & Mark.CONTINUED
