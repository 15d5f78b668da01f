"""Logs of JSON whose objects are no lines: arrays and pretty-printed ones say what the same objects say in lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from detect.reading import faults_in, flows_in, read_all
from detect.test_logs import eve
from detect.test_zeek import conn, entry
from reconshield.detect import builder, elements, pieces
from reconshield.detect.flows import Flows, Item, Listening, Naming
from reconshield.detect.readers import recognise

Event = dict[str, object]
Write = Callable[[list[Event]], bytes]

EVENTS = [
    eve("tls", tls={"sni": "mail.example"}),
    eve(),
    eve("alert", flow_id=2, alert={"signature": '}, {"timestamp": "\u00e9"}'}),
    eve(flow_id=3, app_proto="failed", proto="UDP"),
    eve(
        "dns",
        flow_id=4,
        proto="UDP",
        dest_port=53,
        dns={"type": "query", "queries": [{"rrname": "a.example"}, {"rrname": "b"}]},
    ),
    eve("netflow", flow_id=5, netflow={"pkts": 3, "bytes": 100, "start": "2025-10-09T08:53:20.125000+0000"}),
    eve("stats", stats={"uptime": 1}),
]
ENTRIES = [
    conn(service="ssl"),
    conn(proto="udp", **{"id.resp_p": 53}) | {"_path": "conn"},
    entry(query="a.example") | {"_path": "dns"},
    entry(server_name="mail.example", established=True) | {"_path": "ssl"},
    {"ts": 1_760_000_000.5, "host": "10.0.0.9", "port_num": 80, "port_proto": "tcp", "service": ["HTTP"]},
    {"ts": 1_760_000_000.5, "_path": "weird", "name": "x"},
]
LOGS = {"eve": EVENTS, "zeek-json": ENTRIES}
FORMS: dict[str, Write] = {
    "array": lambda events: json.dumps(events, separators=(",", ":")).encode(),
    "spaced array": lambda events: json.dumps(events).encode() + b"\n",
    "pretty array": lambda events: json.dumps(events, indent=2).encode(),
    "array of lines": lambda events: b"\n[\n" + b",\n".join(json.dumps(event).encode() for event in events) + b"\n]\n",
    "pretty objects": lambda events: b"\n".join(json.dumps(event, indent=4).encode() for event in events),
    "one line each, with a mark": lambda events: b"\xef\xbb\xbf" + FORMS["spaced array"](events),
}


def lines(events: list[Event]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def said(items: list[Item]) -> tuple[list[str], list[Naming], list[Listening]]:
    """Flows in any order, names and listeners."""
    flows = sorted(str(flow | {"record": 0}) for flow in flows_in(items))
    return flows, [item for item in items if isinstance(item, Naming)], [item for item in items if isinstance(item, Listening)]


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("piece", [pieces.PIECE, 100])
def test_the_same_is_said_in_every_form(name: str, form: str, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", piece)
    data = FORMS[form](LOGS[name] * 3)
    reader = recognise(data[:65_536])
    assert reader is not None
    assert reader.name == name
    items, wanted = read_all(data, 61), read_all(lines(LOGS[name] * 3))
    assert faults_in(items) == faults_in(wanted) == []
    assert said(items) == said(wanted)
    assert len(flows_in(items)) >= 3
    assert said(items)[1]


def test_flows_say_which_record_they_were() -> None:
    events = [eve(flow_id=number) for number in range(5)]
    for write in FORMS.values():
        assert [flow["record"] for flow in flows_in(read_all(write(events)))] == [1, 2, 3, 4, 5]


def test_each_damaged_event_is_named_and_the_others_are_used() -> None:
    good, lacking = json.dumps(eve()), json.dumps({name: value for name, value in eve().items() if name != "flow"})
    texts = [good, lacking, good, good.replace('"TCP"', "TCP"), "7", json.dumps(eve(src_ip="10.0.0.300")), good, good[:200]]
    items = read_all(("[" + ", ".join(texts)).encode())
    assert [flow["record"] for flow in flows_in(items)] == [1, 3, 7]
    assert sorted(fault.split(": line 1")[0] for fault in faults_in(items)) == [
        "record 2: the event lacks or misuses 'flow'",
        "record 4: no JSON: unexpected character, expected a JSON value",
        "record 5: what stands there is no JSON object",
        "record 6: '10.0.0.300' is no address",
        "record 8: the file ends within it",
    ]


def test_each_damaged_entry_is_named_and_the_others_are_used() -> None:
    broken: list[Event] = [conn(ts="soon"), conn(proto="x"), entry(query="a", **{"id.resp_p": 70_000}), {"a": 1}]
    known: Event = {"host": "x", "port_num": 1, "port_proto": "tcp", "ts": 1}
    items = read_all(FORMS["pretty array"]([conn(), *broken, known, conn()]))
    assert [flow["record"] for flow in flows_in(items)] == [1, 7]
    assert faults_in(items) == [
        "record 2: ts is none",
        "record 3: proto is none",
        "record 4: id.resp_p is none",
        "record 5: no entry of a conn, ssl, quic, dns, http or known_services log",
        "record 6: host is none",
    ]


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("form", ["array", "pretty array"])
def test_an_array_is_read_as_it_comes(name: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what has been read is kept nor what comes is waited for; an event that never ends is given up."""
    for module, limit, value in ((pieces, "PIECE", 2000), (builder, "BATCH", 10), (elements, "LONGEST", 20_000)):
        monkeypatch.setattr(module, limit, value)
    data = FORMS[form](LOGS[name][1:2] * 1000)
    endless = data[: data.index(b"}") - 1] + b"[" * 50_000
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        for begin in range(0, len(data), 500):
            taken += 1
            yield data[begin : begin + 500]

    reader = recognise(data)
    assert reader is not None
    items = reader.read(chunks())
    first = next(item for item in items if isinstance(item, Flows))
    assert first.rows.size >= 10
    assert taken * 500 < len(data) / 10
    assert 10 <= sum(item.rows.size for item in items if isinstance(item, Flows)) < 1000
    assert any("longer than" in fault or "within it" in fault for fault in faults_in(list(reader.read([endless]))))
