"""Records of one direction and interval to flows, against the same done one by one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detect.clouds import VPC_FIVE, vpc, vpc_answer, vpc_row
from detect.test_match import CELL, policy_of
from reconshield.detect import directions as module
from reconshield.detect import pieces
from reconshield.detect.directions import FLAGS_UNKNOWN, IDLE_OTHERS, IDLE_TCP, SYN, Directions
from reconshield.detect.flows import FlowState, Mark, Rows, new_rows
from reconshield.jobs import detect as jobs
from reconshield.jobs.detect import detect_files, make_setting

Array = NDArray[Any]
AT = 1_760_000_000

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


@contextmanager
def limits(**values: float) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setattr(module, name, value)
        yield


def join(rows: Rows, flags: Array | None = None, sensor: Array | None = None, block: int = 100) -> Rows:
    """The flows of a file with these rows, joined so many at a time."""
    flags = np.full(rows.size, FLAGS_UNKNOWN) if flags is None else flags
    sensor = np.zeros(rows.size, np.int64) if sensor is None else sensor
    directions = Directions()
    with limits(BLOCK=block):
        return np.concatenate([*directions.add(rows.copy(), flags, sensor), *directions.finish()])


@given(st.lists(RECORD, min_size=1, max_size=40), st.integers(1, 40))
def test_flows_are_what_they_are_one_by_one(steps: list[tuple[int, int, int, int, int]], block: int) -> None:
    at, records = 1000, []
    for client, transport, gap, packets, answer in steps:
        at += gap
        records.append((client, transport, at, packets, answer))
    joined = join(np.concatenate([record(*each) for each in records]), block=block)
    assert np.count_nonzero(joined["marks"] & Mark.CONTINUED == 0) == slow(records)
    assert set(joined["dport"].tolist()) == {443}
    for name, answering in (("sent_packets", 0), ("received_packets", 1)):
        assert np.maximum(joined[name], 0).sum() == sum(each[3] for each in records if each[4] == answering)


@given(st.lists(RECORD, min_size=1, max_size=40), st.integers(1, 100), st.randoms(use_true_random=False))
def test_both_directions_are_one_row_wherever_the_other_stands(
    steps: list[tuple[int, int, int, int, int]], block: int, dice: random.Random
) -> None:
    """Not further than `WAIT`, and some have no other one. Rows stand in any order; the flow begins with its first interval."""
    at, records = 1000, []
    for client, transport, gap, packets, answer in steps:
        at += 1 + gap % 7
        records.append((client, transport, at, packets, 0))
        records += [(client, transport, at, packets + 1, 1)] * answer
    rows = np.concatenate([record(*each) for each in records])
    rows["record"] = np.arange(rows.size)
    near = sorted(range(rows.size), key=lambda place: place + dice.uniform(0, 12))
    whole, parts = (join(rows[near], block=size) for size in (rows.size, block))
    for joined in (whole, parts):
        assert joined.size == len({(client, transport, start) for client, transport, start, _, _ in records})
        assert np.maximum(joined["sent_packets"], 0).sum() == sum(each[3] for each in records if not each[4])
        assert np.maximum(joined["received_packets"], 0).sum() == sum(each[3] for each in records if each[4])
    for name in ("state", "sent_packets", "received_packets", "dport"):
        np.testing.assert_array_equal(np.sort(whole[name]), np.sort(parts[name]))


def test_another_sensor_adds_only_that_it_was_stopped() -> None:
    rows = np.concatenate([record(0, 6, 1000 + at, 5, 0) for at in range(4)])
    rows["state"][3] = FlowState.DENIED
    joined = join(rows, sensor=np.array([1, 1, 2, 2]))
    assert joined["sent_packets"].tolist() == [5, 5]
    assert joined["state"].tolist() == [FlowState.DENIED, FlowState.UNKNOWN]


@pytest.mark.parametrize("block", [1, 2])
def test_what_is_known_tells_the_direction_of_other_records(block: int) -> None:
    rows = np.concatenate([record(0, 6, 1000, 5, 0), record(0, 6, 1060, 5, 0)])
    rows["dport"] = 50_000  # by the lower port the client would be taken for the server
    joined = join(rows, np.array([SYN, 0]), block=block)
    assert joined["dport"].tolist() == [50_000, 50_000]
    assert joined["marks"].tolist() == [0, Mark.CONTINUED | Mark.UNSURE]


@pytest.mark.parametrize("block", [1, 2, 4])
def test_of_the_same_port_on_both_sides_the_first_asks(block: int) -> None:
    rows = np.concatenate([record(client, 17, 1000, 5, answer) for client, answer in ((0, 0), (0, 1), (1, 1), (1, 0))])
    rows["sport"] = rows["dport"] = 123
    joined = join(rows, block=block)
    assert [(row["src_lo"], row["dst_lo"], row["state"]) for row in joined] == [
        (10, 99, FlowState.ESTABLISHED),
        (99, 11, FlowState.ESTABLISHED),
    ]


def test_a_syn_begins_another_flow_of_the_same_ends() -> None:
    rows = np.concatenate([record(0, 6, 1000 + 60 * at, 5, 0) for at in range(3)])
    assert join(rows, np.full(3, SYN))["marks"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(("flags", "state"), [(19, FlowState.ESTABLISHED), (4, FlowState.REFUSED), (0, FlowState.ESTABLISHED)])
@pytest.mark.parametrize("first", [0, 1])
def test_how_it_went_is_told_by_both_also_in_different_blocks(flags: int, state: FlowState, first: int) -> None:
    rows = np.concatenate([record(0, 6, 1000, 5, first), record(0, 6, 1000, 7, 1 - first)])
    joined = join(rows, np.array([flags if each else SYN for each in (first, 1 - first)]), block=1)
    assert [(row["state"], row["marks"], row["sent_packets"], row["received_packets"]) for row in joined] == [
        (state, 0, *((5, 7) if first == 0 else (7, 5)))
    ]


def test_the_other_direction_is_waited_for_so_long_and_no_more_than_so_many_wait() -> None:
    directions, sensor = Directions(), np.zeros(1, np.int64)
    clients = np.concatenate([record(client, 6, 1000 + client, 5, 0) for client in range(20)])
    with limits(BLOCK=1, MOST_WAITING=10, WAIT=100.0):
        found = [row for row in clients for row in directions.add(np.array([row]), np.array([SYN]), sensor)]
        alone = sum(rows.size for rows in found)
        assert (alone, directions._waiting.rows.size) == (12, 8)
        assert list(directions.remarks()) == [
            "more than 10 records waited for the other direction of their flow; 12 were taken alone before it could come"
        ]
        (later,) = directions.add(record(99, 6, 1200, 5, 0), np.array([SYN]), sensor)
        assert (later.size, directions._waiting.rows.size) == (8, 1)
    assert [rows["src_lo"].tolist() for rows in directions.finish()] == [[109]]


def test_what_is_known_is_bounded() -> None:
    directions = Directions()
    with limits(MOST_KNOWN=10, BLOCK=3):
        for at in range(50):
            rows = np.concatenate([record(client, 6, 1000 + at, 1, 0) for client in range(at, at + 3)])
            list(directions.add(rows, np.full(3, FLAGS_UNKNOWN), np.zeros(3, np.int64)))
            assert directions._keys.size <= 10
        list(directions.add(record(51, 6, 1050, 1, 0), np.array([FLAGS_UNKNOWN]), np.zeros(1, np.int64)))
    latest = np.concatenate(list(directions.finish()))[-1]
    assert (latest["src_lo"], latest["marks"] & Mark.CONTINUED) == (61, Mark.CONTINUED)


def vpc_log() -> bytes:
    """A day of a cell, records of both directions up to forty lines apart: refusals, DNS, and a stranger that is answered."""
    dice, rows = random.Random(5), []
    for number in range(400):
        start, sport = AT + 60 * number, 40_000 + number
        for dst, port, back in (("203.0.113.7", 4444, 4), ("203.0.113.53", 25, 19)):
            row = vpc_row(start, "10.20.4.9", dst, port, srcport=sport, tcp_flags=2)
            rows += [row, vpc_answer(row, tcp_flags=back, bytes=40)]
        dns = vpc_row(start, "10.20.4.9", "10.30.0.53", 53, srcport=sport, protocol=17)
        rows += [dns, vpc_answer(dns), *(each | {"interface-id": "eni-2"} for each in (dns, vpc_answer(dns)))]
    places = sorted(range(len(rows)), key=lambda place: place + dice.uniform(0, 40))
    return vpc((rows[place] for place in places), VPC_FIVE)


def test_detections_do_not_turn_on_how_a_log_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, found = tmp_path / "vpc.log", []
    path.write_bytes(vpc_log())
    setting = make_setting(policy_of(CELL), AT + 86_400.0)
    for piece, block in ((pieces.PIECE, module.BLOCK), (1000, module.BLOCK), (1000, 100), (50_000, 7)):
        monkeypatch.setattr(pieces, "PIECE", piece)
        monkeypatch.setattr(jobs, "CHUNK", min(piece, jobs.CHUNK))
        with limits(BLOCK=block):
            found.append(detect_files([path], setting, told=lambda _: None))
    conversations = {each.matches.conversations for each in found}
    assert conversations == {3}
    assert [each.inputs[0].records for each in found] == [1200] * 4
    first, *others = ([replace(each, sample=()) for each in one.matches.detections] for one in found)
    assert {str(entry.kind) for each in first for entry in each.evidence} >= {"policy", "failure"}
    assert [other == first for other in others] == [True] * 3
    assert found[0].matches.detections == found[1].matches.detections
