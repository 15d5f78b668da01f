"""Arrays, text and records say the same."""

from __future__ import annotations

import numpy as np

from reconshield.model import Endpoint, Observation, Reason, State
from reconshield.scan.batch import OBSERVATION, address_texts, empty, from_records, is_v4, records, split_address

SEEN = [
    Observation(Endpoint("10.77.0.2", 110), State.OPEN, Reason.SYN_ACK, at=1.7e9, ttl=64, rtt_ms=0.12),
    Observation(Endpoint("2001:db8::2", 53, "udp"), State.OPEN_FILTERED, Reason.NO_RESPONSE, at=1.7e9 + 0.5),
    Observation(Endpoint("::1", 65535), State.CLOSED, Reason.CONN_REFUSED, at=1.7e9, rtt_ms=3000.001),
]


def test_records_and_back() -> None:
    batch = from_records(SEEN)
    assert list(records(batch)) == SEEN
    assert np.array_equal(from_records(records(batch)), batch)
    assert is_v4(batch["hi"], batch["lo"]).tolist() == [True, False, False]


def test_nothing_is_a_batch_too() -> None:
    assert list(records(from_records([]))) == []
    assert from_records([]).dtype == empty(0).dtype == OBSERVATION
    assert address_texts(empty(0)["hi"], empty(0)["lo"]) == []


def test_columns_are_those_of_the_contract() -> None:
    assert OBSERVATION.itemsize == 8 + 8 + 2 + 1 + 1 + 1 + 1 + 4 + 8


def test_rows_of_one_host_share_its_text() -> None:
    halves = [split_address(0xFFFF_0A4D_0002)] * 3 + [split_address(1)]
    hi, lo = (np.array(column, dtype=np.uint64) for column in zip(*halves, strict=True))
    texts = address_texts(hi, lo)
    assert texts == ["10.77.0.2"] * 3 + ["::1"]
    assert texts[0] is texts[2]
