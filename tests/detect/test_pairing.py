"""Records of one direction joined to flows, as a table of what each pair of records means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect.reading import flows_in
from reconshield.detect import pairing as module
from reconshield.detect.flows import Bad, Flows, Item, Mark
from reconshield.detect.pairing import ACK, FIN, RST, SYN, Half, Pairing, role_of

C, S = "10.0.0.5", "203.0.113.7"
UNSURE, ONE = int(Mark.UNSURE), int(Mark.ONE_SIDED)


def there(at: float, flags: int = -1, packets: int = 5, *, port: int = 80, transport: int = 6) -> Half:
    return Half(1, at, at + 1, C, S, 40_000, port, transport, flags, 100, packets, role_of(flags, packets))


def back(at: float, flags: int = -1, packets: int = 4, *, port: int = 80, transport: int = 6) -> Half:
    return Half(2, at, at + 1, S, C, port, 40_000, transport, flags, 900, packets, role_of(flags, packets))


def flows_of(*halves: Half, gap: float = 15, complete: bool = True, batch: int = 1000) -> list[dict[str, Any]]:
    pairing, items = Pairing("record", gap, complete=complete), list[Item]()
    for number, half in enumerate(halves, 1):
        pairing.add(half)
        if number % batch == 0:
            items += pairing.take()
    return flows_in([*items, *pairing.finish()])


NAN = float("nan")
ALL = SYN | ACK | FIN
TABLE = [
    ((there(0, ALL), back(0.1, ALL)), (C, "established", 0, (100, 900))),
    ((back(0.1, ALL), there(0, ALL)), (C, "established", 0, (100, 900))),
    ((back(0, ALL), there(0, ALL)), (C, "established", UNSURE, (100, 900))),
    ((there(0, SYN, 1), back(0, RST | ACK, 1)), (C, "refused", 0, (100, 900))),
    ((there(0, SYN, 3),), (C, "unanswered", 0, (100, -1))),
    ((back(0, SYN | ACK, 1),), (C, "unknown", ONE, (-1, 900))),
    ((there(0, ALL),), (C, "unknown", ONE, (100, -1))),
    ((back(0, ACK | FIN),), (C, "unknown", ONE | UNSURE, (-1, 900))),
    ((there(0, ACK), back(0.1, ACK)), (C, "established", UNSURE, (100, 900))),
    ((there(0, transport=17, port=53), back(0.1, transport=17, port=53)), (C, "established", 0, (100, 900))),
    ((there(0, transport=17, port=53),), (C, "unknown", ONE, (100, -1))),
    ((there(0, ALL), there(1.5, ACK)), (C, "unknown", ONE, (200, -1))),
    ((back(NAN, transport=17), there(NAN, transport=17)), (C, "established", UNSURE, (100, 900))),
    ((there(0, transport=17), there(float("nan"), transport=17)), (C, "unknown", ONE, (200, -1))),
]


@pytest.mark.parametrize(("halves", "wanted"), TABLE)
@pytest.mark.parametrize("batch", [1, 1000])
def test_what_records_mean_together(halves: tuple[Half, ...], wanted: tuple[object, ...], batch: int) -> None:
    (flow,) = flows_of(*halves, batch=batch)
    assert (flow["src"], flow["state"], flow["marks"], flow["octets"]) == wanted


def test_a_pause_parts_two_flows() -> None:
    assert [flow["start"] for flow in flows_of(there(0, SYN), there(17, SYN), back(17, RST, 1))] == [0, 17]


def test_where_not_every_packet_is_told_silence_means_nothing() -> None:
    assert [(flow["state"], flow["marks"]) for flow in flows_of(there(0, SYN, 1), complete=False)] == [("unknown", 0)]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", 4)
    halves = [there(at, ALL, port=at + 1) for at in range(10)] + [back(9.5, ALL, port=10), back(9.5, ALL, port=1)]
    flows = flows_of(*halves, batch=3)
    assert sum(flow["octets"][0] for flow in flows if flow["octets"][0] > 0) == 1000
    assert [flow["ends"][1] for flow in flows if flow["state"] == "established"] == [10]


HALVES = st.lists(
    st.tuples(
        *(st.integers(0, 1), st.booleans(), st.integers(0, 40), st.integers(0, 20), st.sampled_from([6, 17])),
        *(
            st.sampled_from([-1, SYN, ACK, SYN | ACK, RST, ALL]),
            st.integers(-1, 9),
            st.sampled_from([-1, -1, 0, 1]),
            st.booleans(),
        ),
    ),
    max_size=30,
)


@given(HALVES, st.integers(1, 7))
def test_the_order_of_records_and_the_size_of_batches_mean_nothing(made: list[tuple[Any, ...]], batch: int) -> None:
    halves = [
        Half(
            7,
            start + number / 1000,
            start + lasts + 1.0,
            S if turned else C,
            C if turned else S,
            80 if turned else 40_000 + host,
            40_000 + host if turned else 80,
            transport,
            flags if transport == 6 else -1,
            octets,
            octets,
            role_of(flags, octets) if transport == 6 else 0,
            view=view,
            both=both,
        )
        for number, (host, turned, start, lasts, transport, flags, octets, view, both) in enumerate(made)
    ]
    whole = flows_of(*halves)
    assert sorted(map(str, flows_of(*sorted(halves, key=lambda half: half.start), batch=batch))) == sorted(map(str, whole))
    assert sorted(map(str, flows_of(*sorted(halves, key=lambda half: half.start)))) == sorted(map(str, whole))
    assert [spans(halves, flow) for flow in whole] == [1] * len(whole)


def spans(halves: list[Half], flow: dict[str, Any]) -> int:
    """How many stretches without a pause the records of a flow's ends have from its beginning on, up to its end: one."""
    ends = {(flow["src"], flow["ends"][0]), (flow["dst"], flow["ends"][1])}
    mine = sorted(
        (half.start, half.end)
        for half in halves
        if {(half.src, half.sport), (half.dst, half.dport)} == ends and half.transport == flow["transport"]
    )
    begins, latest = [], float("-inf")
    for start, end in mine:
        if start > latest + 15:
            begins.append(start)
        latest = max(latest, end)
    return begins.count(flow["start"])


def test_numbers_too_large_for_their_column_are_named_or_cut() -> None:
    pairing = Pairing("record", 15)
    pairing.add(there(0, transport=2**70))
    pairing.add(Half(2, 0, 1, C, S, 40_000, 80, 6, flags=2**70, octets=2**70, packets=5))
    bad, flows = list(pairing.finish())
    assert isinstance(bad, Bad)
    assert "no protocol" in bad.why
    assert isinstance(flows, Flows)
    assert flows.rows.size == 1
