"""Text logs to flows: known answers, and every fault named with its line."""

from __future__ import annotations

import json

import pytest

from detect.captures import ZEEK_FIELDS, zeek_conn, zeek_row
from detect.reading import faults_in, flows_in, read_all
from reconshield.detect.flows import Mark

AT = 1_760_000_000.125


@pytest.mark.parametrize("size", [1 << 20, 61])
def test_zeek_reads_columns_by_name(size: int) -> None:
    rows = [
        zeek_row(AT, "10.0.0.5", "203.0.113.7", 995, service="ssl", orig_pkts=3, resp_pkts=4),
        zeek_row(AT + 1, "2001:db8::5", "2001:db8::7", 53, proto="udp", service="dns", conn_state="S0"),
        zeek_row(AT + 2, "10.0.0.5", "10.0.0.9", 3, proto="icmp", conn_state="OTH", orig_bytes="-", missed_bytes=9),
    ]
    flows = flows_in(read_all(zeek_conn(rows, list(reversed(ZEEK_FIELDS))), size=size))
    assert [(flow["dst"], flow["ends"], flow["app"], flow["state"]) for flow in flows] == [
        ("203.0.113.7", (50_000, 995), "tls", "established"),
        ("2001:db8::7", (50_000, 53), "dns", "unanswered"),
        ("10.0.0.9", (0, 0), "", "unknown"),
    ]
    assert flows[0]["packets"] == (3, 4)
    assert (flows[2]["octets"], flows[2]["marks"]) == ((-1, 400), Mark.UNSURE | Mark.LOSSY)
    assert flows[0]["start"] == AT


def test_zeek_names_each_bad_line_and_uses_the_others() -> None:
    good = zeek_row(AT, "10.0.0.5", "203.0.113.7", 25)
    data = zeek_conn([good, good | {"id.orig_h": "10.0.0.999"}, good | {"id.resp_p": "70000"}, good | {"ts": "soon"}, good])
    lines = data.split(b"\n")
    lines.insert(7, b"too\tfew")
    lines.insert(8, lines[6].replace(b"10.0.0.5", b"10.0\0.0.5"))
    items = read_all(b"\n".join(lines))
    assert len(flows_in(items)) == 2
    assert sorted(faults_in(items)) == [
        "line 10: id.orig_h is none",
        "line 11: id.resp_p is none",
        "line 12: ts is none",
        "line 8: not 15 fields",
        "line 9: id.orig_h is none",
    ]


def test_zeek_logs_one_behind_the_other_may_have_other_columns() -> None:
    first = zeek_conn([zeek_row(AT, "10.0.0.5", "10.0.0.9", 22)])
    second = zeek_conn([zeek_row(AT, "10.0.0.6", "10.0.0.9", 22)], ["extra", *reversed(ZEEK_FIELDS)])
    assert [flow["src"] for flow in flows_in(read_all(first + second))] == ["10.0.0.5", "10.0.0.6"]


def eve(kind: str = "flow", **more: object) -> dict[str, object]:
    event: dict[str, object] = {"timestamp": "2025-10-09T08:53:20.125000+0000", "flow_id": 1, "event_type": kind}
    event |= {"src_ip": "10.0.0.5", "src_port": 40_000, "dest_ip": "203.0.113.7", "dest_port": 995, "proto": "TCP"}
    if kind == "flow":
        part: dict[str, object] = {"pkts_toserver": 5, "pkts_toclient": 4, "bytes_toserver": 300, "bytes_toclient": 900}
        part |= {"start": "2025-10-09T10:53:20.125000+0200", "end": "2025-10-09T10:54:20.125000+0200", "state": "closed"}
        event |= {"flow": part, "app_proto": "tls"}
    return event | more


def lines(*events: dict[str, object]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def test_eve_flows_and_the_remarks_of_flows_that_are_not_told() -> None:
    alert = eve("alert", flow_id=2, alert={"signature": "x"})
    told = eve("tls", tls={"sni": "mail.example"})
    flows = flows_in(read_all(lines(told, eve(), alert, eve(flow_id=3, app_proto="failed"))))
    assert [(flow["app"], flow["octets"], flow["state"]) for flow in flows] == [
        ("tls", (300, 900), "established"),
        ("unrecognised", (300, 900), "established"),
        ("", (-1, -1), "unknown"),
    ]
    assert flows[0]["start"] == AT


def test_eve_names_what_lacks_something() -> None:
    broken = eve()
    del broken["flow"]
    items = read_all(lines(eve(), broken, eve(src_ip="10.0.0.300")) + b"{not json\n[1]\n")
    assert len(flows_in(items)) == 1
    assert sorted(faults_in(items)) == [
        "line 2: the event lacks or misuses 'flow'",
        "line 3: '10.0.0.300' is no address",
        "line 4: no JSON: unexpected character, expected a string key: line 1 column 2 (char 1)",
        "line 5: no JSON object",
    ]
