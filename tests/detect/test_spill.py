"""Conversations beyond memory: whatever the limits are, the same conversations, moments and detections come out."""

from __future__ import annotations

import random
import resource
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect.test_match import CELL, DAY, policy_of
from detect.test_tally import FLOW, batch
from reconshield.addresses import AddressSet, PortSet
from reconshield.detect import learned
from reconshield.detect import match as matching
from reconshield.detect import tally as module
from reconshield.detect.flows import Flows, FlowState, Mark, new_rows
from reconshield.detect.indicators import Indicators, parse_indicator
from reconshield.detect.learn import propose_traffic
from reconshield.detect.match import match
from reconshield.detect.scene import OwnScan, Setting
from reconshield.detect.shelves import Shelves
from reconshield.detect.tally import MOMENT, Tally
from reconshield.errors import UserError
from reconshield.jobs.detect import make_setting

V4 = 0xFFFF_0000_0000
APPS = ("", "http", "dns", "tls", "ssh", "unrecognised")


@contextmanager
def limits(**values: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setattr(module, name, value)
        yield


@given(st.lists(st.lists(FLOW, max_size=12), min_size=1, max_size=8), st.integers(1, 5), st.integers(1, 12))
def test_conversations_and_moments_are_the_same_from_the_file(flows: list[list[tuple[int, ...]]], most: int, part: int) -> None:
    with limits(KEPT=5, PASS=7, MOST_PART=part), Tally() as whole, Tally(most) as split:
        for number, some in enumerate(flows):
            for tally in (whole, split):
                tally.add(batch(some, number * 12), number)
        wanted, found = whole.conversations, split.conversations
        for name in wanted.dtype.names or ():
            if name != "order":  # one that comes again when it is in the file has a number left out
                np.testing.assert_array_equal(wanted[name], found[name])
        assert whole.span == split.span
        every = np.arange(wanted.size)
        assert beats_of(whole, every) == beats_of(split, every)
        chosen = every[::2]
        assert beats_of(split, chosen) == {number: beats for number, beats in beats_of(whole, every).items() if number % 2 == 0}


def beats_of(tally: Tally, chosen: np.ndarray) -> dict[int, list[tuple[int, int]]]:
    return {
        n: sorted(zip(m["second"].tolist(), m["sent"].tolist(), strict=True))
        for beats in tally.moments(chosen)
        for n, m in beats.each()
    }


def made_flows(seed: int, count: int) -> Iterator[Flows]:
    """Traffic of 90 hosts and of strangers: a beacon, refusals, a scan, wrong protocols, and one server that many use."""
    dice, beat = random.Random(seed), 0
    ports = (22, 53, 80, 110, 443, 445, 3389, 4444, 8443, 50_000)
    for begin in range(0, count, 500):
        rows = new_rows(500)
        for at in range(500):
            row, kind = rows[at : at + 1], dice.random()
            host = V4 + 0x0A14_0400 + dice.randrange(90)
            peer = (
                V4 + 0xCB00_7100 + dice.randrange(60)
                if kind < 0.7 or 0.77 < kind < 0.8
                else V4 + 0x0A14_0400 + dice.randrange(90)
            )
            port, app, start = dice.choice(ports), dice.randrange(6), DAY + dice.random() * 86_400 * 9
            if kind > 0.9:
                host, peer, port = V4 + 0xC633_6400 + dice.randrange(250), V4 + 0x0A14_0401, dice.choice((22, 443))
            elif kind > 0.8:
                host, peer, port, start, beat = V4 + 0x0A14_0409, V4 + 0xCB00_71C8, 4444, DAY + beat * 900, beat + 1
            elif kind > 0.77:
                host, port = V4 + 0x0A28_0003, 4444  # our scanner, in no zone
            row["src_lo"], row["dst_lo"], row["dport"], row["transport"] = host, peer, port, dice.choice((6, 6, 6, 17))
            row["start"], row["end"], row["app"], row["record"] = start, start + dice.random() * 50_000, app, begin + at
            row["sent"], row["received"] = 300 if port == 4444 else dice.randrange(2_000_000), dice.randrange(1000)
            row["state"] = dice.choice((FlowState.ESTABLISHED, FlowState.UNKNOWN, FlowState.REFUSED, FlowState.DENIED))
            row["marks"] = dice.choice((0, 0, 0, Mark.UNSURE, Mark.ONE_SIDED, Mark.CONTINUED))
        yield Flows(rows, APPS)


def setting_of() -> Setting:
    known = Indicators([parse_indicator("203.0.113.7"), parse_indicator("203.0.113.16/30")])
    ours = AddressSet(((V4 + 0x0A28_0003, V4 + 0x0A28_0003),))
    scan = OwnScan("run 1", ours, AddressSet(((0, 2**128 - 1),)), PortSet(((1, 65_535),), ()), DAY, DAY + 86_400 * 20)
    return replace(make_setting(policy_of(CELL), DAY + 86_400.0 * 9, known), scans=(scan,), sources=("a.log",))


@pytest.mark.parametrize(("most", "part"), [(10_000, 300_000), (40, 50)])
def test_detections_are_the_same_from_the_file(monkeypatch: pytest.MonkeyPatch, most: int, part: int) -> None:
    monkeypatch.setattr(matching, "MOST_DETECTIONS", most)
    with limits(KEPT=1000, PASS=500, MOST_PART=part), Tally() as whole, Tally(200) as split:
        for flows in made_flows(7, 3_000):
            for tally in (whole, split):
                tally.add(Flows(flows.rows.copy(), flows.apps))
        assert not whole.spilled
        assert split.spilled
        if part == 50:
            assert any(len(group) > 1 for group in split.groups())
        wanted, found = (match(tally, setting_of(), pictured=5) for tally in (whole, split))
        again = match(split, setting_of(), pictured=5)
    assert (wanted.conversations, wanted.noted, wanted.left_out) == (found.conversations, found.noted, found.left_out)
    assert wanted.detections == found.detections
    assert wanted == found == again
    kinds = {str(entry.kind) for detection in wanted.detections for entry in detection.evidence}
    every = {"policy", "rhythm", "failure", "direction", "port list", "rarity", "indicator", "volume", "novelty"}
    assert most == 40 or every <= kinds
    assert wanted.own
    assert bool(wanted.left_out) == (most == 40)


def test_the_proposal_is_the_same_from_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    office = replace(setting_of(), policy=policy_of(CELL[: CELL.index("[[traffic]]")]))
    with limits(MOST_PART=50), Tally() as whole, Tally(200) as split:
        for flows in made_flows(7, 3_000):
            for tally in (whole, split):
                tally.add(Flows(flows.rows.copy(), flows.apps))
        wanted = list(propose_traffic(whole, office, "cell-3"))
        monkeypatch.setattr(learned, "MOST", 100)
        shelves = Mock(wraps=Shelves)
        monkeypatch.setattr(learned, "Shelves", shelves)
        found = list(propose_traffic(split, office, "cell-3"))
        assert len(list(split.parts())) > 5
        shelves.assert_called_once_with(learned.PAIR, learned.SHELVES)
    assert wanted == found
    entries = tomllib.loads("".join(found))["traffic"]
    assert {entry["direction"] for entry in entries} == {"in", "out", "within"}
    assert any("wan" in entry["with"] for entry in entries if entry["direction"] != "within")
    assert any("wan" not in entry["with"] for entry in entries if entry["direction"] != "within")
    assert any(text.endswith(" more\n") for text in found)


def test_a_full_disk_is_not_blamed_on_the_log() -> None:
    shelves = Shelves(MOMENT, 4)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(UserError, match="no room for what memory cannot hold: file too large"):
            shelves.put(np.zeros(1000, MOMENT), np.zeros(1000, np.int64))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        shelves.close()


def test_shelves_give_back_what_lies_on_them_in_order() -> None:
    shelves = Shelves(MOMENT, 4)
    for time, numbers in enumerate(([3, 0, 0, 2], [1, 0, 3], [])):
        rows = np.zeros(len(numbers), MOMENT)
        rows["second"], rows["sent"] = time, np.arange(len(numbers))
        order = np.argsort(numbers, kind="stable")
        shelves.put(rows, np.array(numbers, np.int64)[order], order)
    found = [(int(row["second"]), int(row["sent"])) for block in shelves.take(0, 1) for row in block]
    assert found == [(0, 1), (0, 2), (1, 1), (1, 0)]
    assert shelves.sizes().tolist() == [3, 1, 1, 2]
    shelves.close()
