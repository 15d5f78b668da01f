"""JSON objects out of a stream: every shape, every cut, and what is whole around any damage."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect.reading import pieces
from reconshield.detect import elements as module
from reconshield.detect.elements import read_elements
from reconshield.detect.flows import Bad, Cut

BEGINS = re.compile(rb'\{\s*"time"\s*:|(?<=\n)\{(?=")')
TEXT = st.text(st.sampled_from('ab"\\{}[],: \n\u00e9'), max_size=8)
VALUE = st.recursive(
    st.integers(0, 9) | TEXT | st.none(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
RECORDS = st.lists(st.dictionaries(TEXT.filter(lambda name: name != "records"), VALUE, max_size=3), max_size=6)


def read(data: bytes, size: int = 1 << 20) -> tuple[list[object], list[str]]:
    found = list(read_elements(pieces(data, size), BEGINS))
    faults = [
        f"{each.where}: {each.why}" if isinstance(each, Bad) else each.why for each in found if isinstance(each, Bad | Cut)
    ]
    return [each[1] for each in found if isinstance(each, tuple)], faults


def write(records: list[dict[str, object]], shape: str, indent: int | None) -> bytes:
    if shape == "lines":
        return "".join(json.dumps(record) + "\n" for record in records).encode()
    head: dict[str, object] = {"more": {"records": [1], "a": "records"}}
    return json.dumps(head | {"records": records} if shape == "document" else records, indent=indent).encode()


@given(RECORDS, st.sampled_from(["document", "array", "lines"]), st.sampled_from([None, 2]), st.integers(1, 50))
def test_every_object_comes_out_whatever_the_shape(
    records: list[dict[str, object]], shape: str, indent: int | None, size: int
) -> None:
    assert read(write(records, shape, indent), size) == (records, [])


LIKE_A_SEAM = st.lists(st.sampled_from(('},{"time":', '"', "}", "{", ",", "x")), max_size=4).map("".join)
INNER = st.fixed_dictionaries({"time": LIKE_A_SEAM})
ALIKE = st.lists(
    st.fixed_dictionaries({"time": LIKE_A_SEAM | st.integers(0, 9), "more": st.lists(INNER, max_size=3)}), max_size=9
)


@given(ALIKE, st.sampled_from(["document", "array", "lines"]), st.sampled_from([None, 0, 2]), st.integers(1, 300))
def test_what_looks_like_the_end_of_a_record_is_none(
    records: list[dict[str, object]], shape: str, indent: int | None, size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reconshield.detect.pieces.PIECE", size)
        assert read(write(records, shape, indent), size) == (records, [])


@given(st.integers(0, 19), st.integers(0, 10_000), st.sampled_from([b'"', b"{", b"}", b"[", b"]", b"\\", b"", b"\0"]))
def test_damage_costs_the_record_it_is_in_and_its_neighbour_at_most(number: int, where: int, wrong: bytes) -> None:
    records = [{"time": at, "text": "x{", "more": [{"a": at}, "]"]} for at in range(20)]
    parts = [json.dumps(record).encode() for record in records]
    at = 1 + where % (len(parts[number]) - 1)
    parts[number] = parts[number][:at] + wrong + parts[number][at + 1 :]
    found, faults = read(b'{"records":[' + b",".join(parts) + b"]}", 13)
    lost = [record for record in records if record not in found]
    assert all(record["time"] in (number, number + 1) for record in lost)
    assert faults or len(found) == 20


def test_what_ends_too_early_and_what_is_no_object_is_named() -> None:
    good = b'{"time":1}'
    assert read(good + b'{"time":2') == ([{"time": 1}], ["record 2: the file ends within it"])
    assert read(good + b"\nrubbish\n" + good + b"\nmore") == (
        [{"time": 1}, {"time": 1}],
        ["record 2: what stands there is no JSON object", "record 4: what stands there is no JSON object"],
    )
    assert read(b'{"time": x}' + good) == (
        [{"time": 1}],
        ["record 1: no JSON: unexpected character, expected a JSON value: line 1 column 10 (char 9)"],
    )


def test_a_record_without_end_costs_no_memory_and_the_next_ones_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 10_000)
    monkeypatch.setattr("reconshield.detect.pieces.PIECE", 1000)
    good = b'{"time":1}'
    for filling in (b"[" * 50_000, b'"' + b"x" * 50_000, b'{"a":' * 9_000, b'"a",' * 12_000):
        found, faults = read(good + b'{"time":2,"x":' + filling + good + b"," + good, 500)
        assert found.count({"time": 1}) >= 2
        assert any("longer than" in fault for fault in faults)
    found, faults = read(good * 3 + b'{"time":[' * 50_000 + good, 500)
    assert found[:3] == [{"time": 1}] * 3


def test_hostile_beginnings_take_no_more_than_a_few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconshield.detect.pieces.PIECE", 30_000)
    begin = time.process_time()
    read(b'{"time":' * 60_000, 10_000)
    read(b'{"time":"\\' * 60_000, 10_000)
    read(b"{}x" * 60_000 + b"}\n", 10_000)
    read(b'[{"time":1},{"a":1}' + b',{"b":1},{"a":1}' * 5_000, 10_000)
    assert time.process_time() - begin < 10
