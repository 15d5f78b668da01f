"""JSON Lines by columns against a parser: what is taken is what the parser says, what the parser refuses is never taken."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect.captures import zeek_row
from detect.reading import faults_in, flows_in, read_all
from detect.test_hostile import damage
from detect.test_logs import eve
from reconshield.detect import eve_flows, shapes
from reconshield.detect.flows import Names, Reader
from reconshield.detect.pieces import Piece
from reconshield.detect.readers import eve as reader
from reconshield.detect.readers import zeek_json
from reconshield.detect.shapes import Lines, Path, make_shape
from reconshield.detect.zeek_columns import conn_shapes

VALUE = st.integers(0, 10**17) | st.text(st.sampled_from('aé"\\/,:{}[] 1\x07'), max_size=4) | st.booleans() | st.none()
OBJECT = st.fixed_dictionaries(
    {
        "a": VALUE,
        "b": st.fixed_dictionaries({"c": VALUE, "d": VALUE | st.floats(-1, 1) | st.floats(0, 1e15)}),
        "e": st.lists(VALUE, max_size=2),
    }
)


def at(found: Any, path: Path) -> object:
    for step in path:
        found = found[step]
    return found


def check_taken(data: bytes, template: bytes) -> int:
    """Every line that has the shape of the template, against the parser. Gives how many have it."""
    shape = make_shape(template)
    if shape is None:
        return 0
    lines = Lines(Piece(data, 1))
    found = lines.of_shape(shape, np.ones(lines.count, bool))
    for row, number in enumerate(found.lines.tolist()):
        parsed = orjson.loads(lines.line(number))
        for path in shape.texts:
            assert found.text(path).text(row).decode() == at(parsed, path)
        for path, values in found.numbers.items():
            value = at(parsed, path)
            assert (type(value), value) == (int, values[row])
        for path, numbers in found.decimals.items():
            assert isinstance(value := at(parsed, path), int | float)
            assert math.isclose(value, numbers[row], rel_tol=1e-12)
        for path, word in shape.words.items():
            assert at(parsed, path) == word
    return found.lines.size


@given(st.lists(OBJECT, min_size=1, max_size=12), st.sampled_from([None, (", ", ": ")]), st.integers(0, 1000))
def test_what_is_taken_is_what_a_parser_says(objects: list[Any], style: tuple[str, str] | None, seed: int) -> None:
    written = [json.dumps(each, separators=style or (",", ":"), ensure_ascii=False).encode() for each in objects]
    data = b"\n".join(written) + b"\n"
    for template in written:
        taken = check_taken(data, template)
        if make_shape(template) is not None and max(map(len, written)) < 60:
            assert taken >= 1
    for broken in damage(data, random.Random(seed)):
        check_taken(broken.removesuffix(b"\n") + b"\n", written[0])


def test_what_has_no_shape() -> None:
    for line in (
        b'{"a":-1}',
        b'{"a":"\\n"}',
        b'{"a":1,"a":2}',
        b'{"a":[1,2]}',
        b'{"a":}',
        b"",
        b'{"a":"\xc3\xa9"}',
    ):
        assert make_shape(line) is None
    assert make_shape(b'{"a":{"x":1},"b":"","a":{"y":""}}') is None


def test_numbers_with_zeros_in_front_and_controls_in_texts_are_not_taken() -> None:
    template = b'{"a":1,"b":"x"}'
    good = [b'{"a":20,"b":""}', b'{"a":0,"b":"y"}']
    bad = [
        b'{"a":007,"b":"x"}',
        b'{"a":,"b":"x"}',
        b'{"a":1 ,"b":"x"}',
        b'{"a":1,"b":"\t"}',
        b'{"a":1,"b":"\xff"}',
        b'{"a":1,"b":"x"}}',
    ]
    assert check_taken(b"".join(line + b"\n" for line in [*good, *bad]), template) == 2
    good = [b'{"a":1.25}', b'{"a":0.0123456789012345678}', b'{"a":3}', b'{"a":0}', b'{"a":1712345678.123456789}']
    bad = [
        b'{"a":1.}',
        b'{"a":.5}',
        b'{"a":01.5}',
        b'{"a":1.5.5}',
        b'{"a":-1.5}',
        b'{"a":}',
        b'{"a":.}',
        b'{"a":00}',
    ]
    assert check_taken(b"".join(line + b"\n" for line in [*good, *bad]), b'{"a":0.5}') == 5


KINDS = st.sampled_from(["flow", "tls", "alert", "netflow"])
MORE = st.fixed_dictionaries(
    {},
    optional={
        "app_proto": st.sampled_from(["tls", "failed", "krb5", 5]),
        "src_port": st.sampled_from([1, 65_535, 65_536, "80", None]),
        "src_ip": st.sampled_from(["2001:db8::1", "10.0.0.300", "::", 7]),
        "proto": st.sampled_from(["UDP", "ICMP", "X"]),
        "tcp": st.sampled_from(
            [
                {"tcp_flags_ts": "1b", "tcp_flags_tc": "14", "rst": True},
                {"tcp_flags_ts": "xx", "tcp_flags_tc": "00", "rst": True},
            ]
        ),
        "flow_id": st.sampled_from([2, 2**63, "x"]),
        "note": st.sampled_from(["a/b", 'a"b', "é"]),
    },
)
EXTENT = st.fixed_dictionaries(
    {},
    optional={
        "pkts_toserver": st.sampled_from([0, 7, "7", -1]),
        "pkts_toclient": st.sampled_from([0, 7]),
        "bytes_toclient": st.sampled_from([10**17, 10**19, None]),
        "action": st.sampled_from(["drop", "pass"]),
        "start": st.sampled_from(
            ["2025-02-29T08:53:20.125000+0000", "2024-02-29T23:59:59.000001-0730", "2025-10-09T08:53:20Z"]
        ),
        "alerted": st.booleans(),
    },
)


@given(st.lists(st.tuples(KINDS, MORE, EXTENT), min_size=1, max_size=15), st.integers(0, 1000))
def test_eve_by_columns_says_the_same_as_line_by_line(
    events: list[tuple[str, dict[str, Any], dict[str, Any]]], seed: int
) -> None:
    made = []
    for number, (kind, more, extent) in enumerate(events):
        event = eve(kind, flow_id=number) | more
        if isinstance(flow := event.get("flow"), dict):
            event["flow"] = flow | extent
        made.append(json.dumps(event, separators=(",", ":"), ensure_ascii=number % 2 == 0).encode())
    data = b"\n".join(made) + b"\n"
    for each in (data, *damage(data, random.Random(seed))):
        found = outcome(each)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shapes, "MOST_SHAPES", 0)
            assert found == outcome(each)


def test_eve_by_columns_in_each_special_case() -> None:
    reset = {"tcp_flags_ts": "1b", "rst": True}
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"src_port": 65_536}, {}),
        ({"src_ip": "::"}, {}),
        ({"tcp": reset | {"tcp_flags_tc": "14"}}, {}),
        ({"tcp": reset | {"tcp_flags_tc": "12"}}, {}),
        ({"tcp": reset | {"tcp_flags_tc": "14", "tcp_flags_ts": "10"}}, {}),
        ({"tcp": reset | {"tcp_flags_tc": "zz"}}, {}),
        ({"tcp": {"tcp_flags_tc": "14", "syn": True}}, {}),
        ({}, {"action": "drop"}),
        ({}, {"pkts_toclient": 0}),
        ({}, {"pkts_toserver": 0}),
        ({}, {"pkts_toserver": 0, "pkts_toclient": 0}),
        ({}, {"start": "2225-10-09T08:53:20.125000+0000"}),
    ]
    found = []
    for number, (more, extent) in enumerate(cases):
        event = eve(flow_id=number) | more
        event["flow"] = eve()["flow"] | extent  # type: ignore[operator]
        data = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        found.append([flow["state"] for flow in flows_in(read_all(data, 1 << 20, reader.READER))])
        with pytest.MonkeyPatch.context() as patch:
            expected = outcome(data)
            patch.setattr(shapes, "MOST_SHAPES", 0)
            assert expected == outcome(data)
    states = [
        "refused",
        "established",
        "unknown",
        "",
        "established",
        "denied",
        "unanswered",
        "unknown",
        "unknown",
        "established",
    ]
    assert found == [[], [], *([state] if state else [] for state in states)]


def outcome(data: bytes, which: Reader = reader.READER) -> tuple[list[str], list[str]]:
    items = read_all(data, 1 << 20, which)
    return sorted(map(repr, flows_in(items))), sorted(faults_in(items))


def test_most_flows_are_read_by_columns() -> None:
    data = b"".join(json.dumps(eve(flow_id=number), separators=(",", ":")).encode() + b"\n" for number in range(50))
    lines = Lines(Piece(data, 1))
    names = Names()
    taken = list(eve_flows.flow_shapes(lambda _: 6, names.number, names).take(lines))
    assert [flows.rows.size for (flows, _), _ in taken] == [50]


def test_a_shape_of_which_no_line_can_be_used_is_met_once() -> None:
    event = eve()
    event["flow"] = event["flow"] | {"start": "2025-10-09T08:53:20Z"}  # type: ignore[operator]
    names = Names()
    met = eve_flows.flow_shapes(lambda _: 6, names.number, names)
    lines = Lines(Piece(b"".join([json.dumps(event, separators=(",", ":")).encode() + b"\n"] * 100), 1))
    for _ in range(5):
        assert [places.size for _, places in met.take(lines)] in ([0], [0, 0])
    assert len(met.met) == 1


TIMES = [1_760_000_000.125, 1_760_000_000, "2025-10-09T08:53:20Z", 1e300, -1.5, 2**32]
FIELDS: dict[str, list[object]] = {
    "_path": ["conn", "dns", 5],
    "duration": [0, 1.5, 0.0123456789012345678, 1e-7, "2", None],
    "id.orig_h": ["2001:db8::1", "10.0.0.300", "::", 7],
    "id.resp_p": [0, 65_535, 65_536, "80", 80.5],
    "proto": ["udp", "icmp", "x"],
    "service": ["ssl", "ssl,smtp", "-", 5, None],
    "conn_state": ["S0", "OTH", "REJ", "?", None],
    "missed_bytes": [0, 9, "9", 9.5],
    "orig_bytes": [10**17, 10**19, None, 1.5, "7"],
    "local_orig": [True, False],
    "tunnel_parents": [[], ["C1"]],
}
ENTRY = st.fixed_dictionaries(
    {"ts": st.sampled_from(TIMES)}, optional={name: st.sampled_from(values) for name, values in FIELDS.items()}
)


def conn_line(entry: dict[str, Any]) -> bytes:
    base = zeek_row(0, "10.0.0.5", "203.0.113.7", 995, orig_pkts=3) | {"ts": TIMES[0], "duration": 2.5}
    return json.dumps(base | entry, separators=(",", ":")).encode() + b"\n"


def both_ways(data: bytes) -> tuple[list[str], list[str]]:
    found = outcome(data, zeek_json.READER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "MOST_SHAPES", 0)
        assert found == outcome(data, zeek_json.READER)
    return found


def test_zeek_by_columns_in_each_special_case() -> None:
    used = 0
    for name, values in [("ts", TIMES), *FIELDS.items()]:
        for value in values:
            used += len(both_ways(conn_line({name: value}))[0])
    assert used == 40


@given(st.lists(ENTRY, min_size=1, max_size=15), st.integers(0, 1000))
def test_zeek_by_columns_says_the_same_as_line_by_line(entries: list[dict[str, Any]], seed: int) -> None:
    made = [conn_line(entry) for entry in entries]
    data = b"".join(made)
    for each in (data, *(one + one for one in made), *damage(data, random.Random(seed))):
        both_ways(each)


def test_most_connections_of_zeek_are_read_by_columns() -> None:
    entry = zeek_row(0, "10.0.0.5", "203.0.113.7", 995) | {"ts": 1_760_000_000.125, "duration": 0.5}
    lines = Lines(Piece(json.dumps(entry).encode() + b"\n", 1))
    assert [flows.rows["end"].tolist() for flows, _ in conn_shapes(Names()).take(lines)] == [[1_760_000_000.625]]
