"""Flows summed up to conversations, against a dictionary that does it one by one; the same through the temporary file."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield.detect import tally as module
from reconshield.detect.flows import Flows, FlowState, Mark, new_rows
from reconshield.detect.tally import MOMENT, Beats, Tally

FLOW = st.tuples(
    st.integers(0, 3), st.integers(0, 3), st.sampled_from([53, 80]), st.sampled_from([6, 17]), st.integers(0, 4),
    st.integers(0, 300), st.integers(-1, 500), st.integers(0, 2), st.integers(0, 1), st.integers(0, 1),
)  # fmt: skip
APPS = ("", "http", "dns")


def batch(flows: list[tuple[int, ...]], begin: int) -> Flows:
    rows = new_rows(len(flows))
    for at, (src, dst, port, transport, state, second, sent, app, unsure, goes_on) in enumerate(flows):
        row = rows[at : at + 1]
        row["src_lo"], row["dst_lo"], row["dport"], row["transport"] = src, dst, port, transport
        row["state"], row["start"], row["end"], row["sent"], row["app"] = state, 1000 + second, 1002 + second, sent, app
        row["marks"], row["record"] = unsure * Mark.UNSURE | goes_on * Mark.CONTINUED, begin + at
    return Flows(rows, APPS)


@given(st.lists(st.lists(FLOW, max_size=12), min_size=1, max_size=5))
def test_conversations_are_what_a_dictionary_would_sum(batches: list[list[tuple[int, ...]]]) -> None:
    slow: dict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
    with Tally() as tally:
        begin = 0
        for flows in batches:
            tally.add(batch(flows, begin))
            begin += len(flows)
            for flow in flows:
                slow[flow[:4]].append(flow)
        rows = tally.conversations
        assert [key_of(row) for row in rows] == list(slow)
        for row, flows in zip(rows, slow.values(), strict=True):
            begun = [f for f in flows if not f[9]]
            assert int(row["flows"]) == len(begun)
            assert int(row["failed"]) == sum(f[4] in {FlowState.REFUSED, FlowState.UNANSWERED} for f in begun)
            assert int(row["denied"]) == sum(f[4] == FlowState.DENIED for f in begun)
            assert int(row["unsure"]) == sum(f[8] for f in begun)
            assert (row["first"], row["last"]) == (1000 + min(f[5] for f in flows), 1002 + max(f[5] for f in flows))
            assert int(row["sent"]) == sum(max(f[6], 0) for f in flows)
            names = {APPS[f[7]] for f in flows} - {""}
            assert (tally.apps[int(row["app"])] in names) if names else int(row["app"]) == 0
        seen = beats_of(tally, np.arange(rows.size))
        wanted = {at: sorted(1000 + f[5] for f in flows if not f[9]) for at, flows in enumerate(slow.values())}
        assert seen == {at: seconds for at, seconds in wanted.items() if seconds}


def beats_of(tally: Tally, chosen: np.ndarray) -> dict[int, list[int]]:
    return {n: rows["second"].tolist() for beats in tally.moments(chosen) for n, rows in beats.each()}


def test_beats_are_cut_into_lots() -> None:
    edges = [0, 5, 6, 7, 30, 31]
    beats = Beats(np.arange(5) * 10, np.array(edges), np.zeros(31, MOMENT))
    beats.rows["second"] = np.arange(31)
    lots = list(beats.lots(3, 8))
    assert [lot.numbers.tolist() for lot in lots] == [[0, 10, 20], [30], [40]]
    assert all(lot.edges[0] == 0 and lot.edges[-1] == lot.rows.size for lot in lots)
    each = {number: rows["second"].tolist() for lot in lots for number, rows in lot.each()}
    assert each == {10 * n: list(range(edges[n], edges[n + 1])) for n in range(5)}


def key_of(row: np.void) -> tuple[int, ...]:
    return int(row["src_lo"]), int(row["dst_lo"]), int(row["dport"]), int(row["transport"])


def test_moments_come_back_from_the_file_in_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 10)
    monkeypatch.setattr(module, "PASS", 15)
    with Tally() as tally:
        for begin in range(0, 120, 6):
            tally.add(batch([(at % 5, 0, 80, 6, 1, begin + at, 10, 0, 0, 0) for at in range(6)], begin))
        found = beats_of(tally, np.array([0, 2, 4]))
    assert sorted(found) == [0, 2, 4]
    assert found[2] == sorted(1000 + begin + 2 for begin in range(0, 120, 6))
    assert len(found[0]) == 40
