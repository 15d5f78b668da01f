"""Records of one direction joined to flows, as a table of what each pair of records means."""

from __future__ import annotations

from typing import Any

import pytest

from detect.reading import flows_in
from reconshield.detect import pairing as module
from reconshield.detect.builder import Builder
from reconshield.detect.flows import Mark
from reconshield.detect.pairing import ACK, FIN, RST, SYN, Half, Pairing, role_of

C, S = "10.0.0.5", "203.0.113.7"
UNSURE, ONE = int(Mark.UNSURE), int(Mark.ONE_SIDED)


def there(at: float, flags: int = -1, packets: int = 5, *, port: int = 80, transport: int = 6) -> Half:
    return Half(1, at, at + 1, C, S, 40_000, port, transport, flags, 100, packets, role_of(flags, packets))


def back(at: float, flags: int = -1, packets: int = 4, *, port: int = 80, transport: int = 6) -> Half:
    return Half(2, at, at + 1, S, C, port, 40_000, transport, flags, 900, packets, role_of(flags, packets))


def flows_of(*halves: Half, gap: float = 15, complete: bool = True) -> list[dict[str, Any]]:
    builder = Builder()
    pairing = Pairing(builder, gap, complete=complete)
    for half in halves:
        pairing.add(half)
    pairing.finish()
    return flows_in(list(builder.take()))


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
def test_what_records_mean_together(halves: tuple[Half, ...], wanted: tuple[object, ...]) -> None:
    (flow,) = flows_of(*halves)
    assert (flow["src"], flow["state"], flow["marks"], flow["octets"]) == wanted


def test_a_pause_parts_two_flows() -> None:
    assert [flow["start"] for flow in flows_of(there(0, SYN), there(17, SYN), back(17, RST, 1))] == [0, 17]


def test_where_not_every_packet_is_told_silence_means_nothing() -> None:
    assert [(flow["state"], flow["marks"]) for flow in flows_of(there(0, SYN, 1), complete=False)] == [("unknown", 0)]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", 3)
    halves = [there(0, ALL, port=port) for port in range(1, 11)] + [back(0.5, ALL, port=10), back(0.5, ALL, port=1)]
    flows = flows_of(*halves)
    assert sum(flow["octets"][0] for flow in flows if flow["octets"][0] > 0) == 1000
    assert [flow["ends"][1] for flow in flows if flow["state"] == "established"] == [10]
