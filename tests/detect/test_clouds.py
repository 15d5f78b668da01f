"""Flow logs of clouds to flows: known answers, the traps of each format, and every fault named with its line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from detect.clouds import VPC_FIVE, document, gcp, gcp_rule, json_lines, nsg, vnet, vpc, vpc_answer, vpc_row
from detect.reading import faults_in, flows_in, read_all
from reconshield.detect import directions
from reconshield.detect.flows import Flows, Mark
from reconshield.detect.tally import Tally

AT = 1_760_000_000
HOUR = AT - 3200
ROW = vpc_row(AT, "10.0.0.5", "203.0.113.7", 443)


@pytest.mark.parametrize("size", [1 << 20, 61])
@pytest.mark.parametrize("shape", ["header", "bare", "time", "csv", "underscores"])
def test_vpc_in_every_shape(shape: str, size: int) -> None:
    rows = [ROW, vpc_row(AT + 1, "2001:db8::5", "2001:db8::7", 53, protocol=17, action="REJECT", bytes=70, packets=1)]
    data = vpc(rows, header=shape != "bare" and shape != "time", sep="," if shape == "csv" else " ")
    if shape == "time":
        data = b"".join(b"2025-10-09T08:53:20.000Z " + line + b"\n" for line in data.splitlines())
    if shape == "underscores":
        head, _, rest = data.partition(b"\n")
        data = head.replace(b"-", b"_") + b"\n" + rest
    items = read_all(data, size)
    assert faults_in(items) == []
    assert [
        (flow["src"], flow["dst"], flow["ends"], flow["transport"], flow["state"], flow["octets"]) for flow in flows_in(items)
    ] == [
        ("10.0.0.5", "203.0.113.7", (40_000, 443), 6, "unknown", (300, -1)),
        ("2001:db8::5", "2001:db8::7", (40_000, 53), 17, "denied", (70, -1)),
    ]


def test_vpc_two_directions_of_one_interval_are_one_flow() -> None:
    open_ = ROW | {"tcp-flags": 3}
    refused = vpc_row(AT, "10.0.0.5", "203.0.113.8", 25, tcp_flags=2)
    high = vpc_row(AT, "10.0.0.5", "203.0.113.9", 50_000, tcp_flags=2)
    rows = [
        open_,
        vpc_answer(refused, tcp_flags=4, packets=1, bytes=40),
        refused,
        vpc_answer(open_, tcp_flags=19, packets=9, bytes=9_000),
        vpc_answer(high, tcp_flags=18),
    ]
    flows = sorted(flows_in(read_all(vpc(rows, VPC_FIVE))), key=lambda flow: flow["dst"])
    assert [(flow["dst"], flow["ends"], flow["state"], flow["marks"], flow["octets"], flow["packets"]) for flow in flows] == [
        ("203.0.113.7", (40_000, 443), "established", 0, (300, 9_000), (5, 9)),
        ("203.0.113.8", (40_000, 25), "refused", 0, (300, 40), (5, 1)),
        ("203.0.113.9", (40_000, 50_000), "established", 0, (-1, 300), (-1, 5)),
    ]


def test_vpc_a_long_connection_is_one_flow_however_many_interfaces_tell_of_it() -> None:
    later, elsewhere = vpc_answer(ROW, start=AT + 60, end=AT + 120), vpc_answer(ROW, interface_id="eni-2")
    flows = flows_in(read_all(vpc([ROW, later, elsewhere, elsewhere | {"action": "REJECT"}])))
    assert [(flow["octets"], flow["marks"], flow["start"], flow["state"]) for flow in flows] == [
        ((300, -1), Mark.UNSURE, AT, "denied"),
        ((-1, 300), Mark.UNSURE | Mark.CONTINUED, AT, "unknown"),
    ]
    assert {(flow["dst"], flow["ends"]) for flow in flows} == {("203.0.113.7", (40_000, 443))}


def test_vpc_a_connection_that_lasts_a_day_has_no_rhythm_but_a_duration() -> None:
    rows = [ROW | {"start": AT + at, "end": AT + at + 60, "dstport": 2222} for at in range(0, 86_400, 60)]
    items = read_all(vpc(rows), 50_000)
    with Tally() as tally:
        for item in items:
            assert isinstance(item, Flows)
            tally.add(item)
        (row,) = tally.conversations
        assert (int(row["flows"]), float(row["longest"]), int(row["sent"])) == (1, 86_400.0, 1440 * 300)
        assert [beats.rows.size for beats in tally.moments(np.array([0]))] == [1]


def test_vpc_without_flags_nothing_is_said_of_tcp_but_udp_was_answered() -> None:
    udp = ROW | {"protocol": 17, "dstaddr": "203.0.113.8"}
    flows = flows_in(read_all(vpc([ROW, vpc_answer(ROW), udp, vpc_answer(udp)])))
    assert sorted((flow["transport"], flow["state"]) for flow in flows) == [(6, "unknown"), (17, "established")]


def test_vpc_true_ends_count_before_those_of_a_nat_gateway() -> None:
    row = vpc_row(AT, "10.0.0.5", "10.0.1.1", 443, pkt_srcaddr="10.0.0.5", pkt_dstaddr="203.0.113.7")
    broken = row | {"pkt-dstaddr": "203.0.113.700"}
    items = read_all(vpc([row, ROW, broken], VPC_FIVE))
    assert [flow["dst"] for flow in flows_in(items)] == ["203.0.113.7", "203.0.113.7"]
    assert faults_in(items) == ["line 4: dstaddr is none"]


def test_vpc_headers_may_come_again_with_other_columns() -> None:
    data = vpc([ROW]) + vpc([ROW | {"srcaddr": "10.0.0.6"}], tuple(reversed(VPC_FIVE)))
    items = read_all(data)
    assert [(flow["src"], flow["record"]) for flow in flows_in(items)] == [("10.0.0.5", 2), ("10.0.0.6", 4)]
    assert faults_in(items) == []


def test_vpc_names_each_bad_line_once_and_uses_the_others() -> None:
    none = dict.fromkeys(("srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "action"), "-")
    rows = [ROW, ROW | none | {"log-status": "NODATA"}, ROW | none | {"log-status": "SKIPDATA"}, ROW | {"log-status": "FINE"}]
    rows += [ROW | {"srcaddr": "10.0.0.999", "dstport": 70_000}, ROW | {"protocol": 300}, ROW | {"action": "DROP"}]
    rows += [ROW | {"start": "soon"}, ROW | {"bytes": "-"}]
    items = read_all(vpc(rows) + b"2 too few\n")
    assert [(flow["record"], flow["octets"]) for flow in flows_in(items)] == [(2, (300, -1)), (10, (-1, -1))]
    assert sorted(faults_in(items)) == [
        "line 11: not 14 fields",
        "line 4: SKIPDATA: AWS could not record all flows of this interval",
        "line 5: log-status is none",
        "line 6: srcaddr is none",
        "line 7: protocol is none",
        "line 8: action is none",
        "line 9: start is none",
    ]


def test_vpc_a_header_that_lacks_what_makes_a_flow_is_refused() -> None:
    items = read_all(vpc([ROW], ("srcaddr", "dstaddr", "bytes")))
    assert (flows_in(items), faults_in(items)) == ([], ["line 1: the header lacks srcport, dstport, protocol, start"])


ENDS = "10.0.0.5,203.0.113.7,40000,443"
NSG = [
    f"{AT},{ENDS},T,O,A,B,,,,",
    f"{AT + 60},{ENDS},T,O,A,C,10,1000,8,9000",
    f"{AT + 120},{ENDS},T,O,A,E,1,100,2,200",
]
STOPPED = f"{AT},10.0.0.5,203.0.113.8,40000,25,T,O,D,B,,,,"
SILENT = [f"{AT},10.0.0.5,203.0.113.9,40000,53,U,O,A,B,,,,", f"{AT + 60},10.0.0.5,203.0.113.9,40000,53,U,O,A,E,3,210,0,0"]
VNET = [
    f"{AT}125,{ENDS},6,O,B,NX,0,0,0,0",
    f"{AT + 60}125,{ENDS},6,O,C,NX,10,1000,8,9000",
    f"{AT + 120}125,{ENDS},6,O,E,X,1,100,2,200",
]


def told(flow: dict[str, object]) -> tuple[object, ...]:
    return flow["dst"], flow["ends"], flow["transport"], flow["state"], flow["octets"], flow["packets"], flow["start"]


@pytest.mark.parametrize("size", [1 << 20, 61])
@pytest.mark.parametrize("shape", ["document", "pretty", "lines", "array"])
def test_azure_in_every_shape(shape: str, size: int) -> None:
    records = [*nsg(NSG[:2], [STOPPED]), *nsg(NSG[2:], SILENT)]
    data = document(records, indent=2 if shape == "pretty" else None)
    data = json_lines(records) if shape == "lines" else data.removeprefix(b'{"records": ') if shape == "array" else data
    items = read_all(b"\xef\xbb\xbf" + data, size)
    assert faults_in(items) == []
    assert sorted(map(told, flows_in(items)), key=str) == [
        ("203.0.113.7", (40_000, 443), 6, "established", (1100, 9200), (11, 10), AT),
        ("203.0.113.8", (40_000, 25), 6, "denied", (-1, -1), (-1, -1), AT),
        ("203.0.113.9", (40_000, 53), 17, "unanswered", (210, 0), (3, 0), AT),
    ]


def test_azure_virtual_networks_and_version_1() -> None:
    stopped = f"{AT}125,10.0.0.5,203.0.113.8,40000,25,6,O,D,NX,0,0,0,0"
    one = f"{AT},10.0.0.5,203.0.113.9,40000,53,U,O,A"
    items = read_all(document([*vnet(VNET[:1], [*VNET[1:], stopped]), *nsg([one])]))
    assert faults_in(items) == []
    assert sorted(map(told, flows_in(items)), key=str) == [
        ("203.0.113.7", (40_000, 443), 6, "established", (1100, 9200), (11, 10), AT + 0.125),
        ("203.0.113.8", (40_000, 25), 6, "denied", (-1, -1), (-1, -1), AT + 0.125),
        ("203.0.113.9", (40_000, 53), 17, "unknown", (-1, -1), (-1, -1), AT),
    ]


def test_azure_what_a_second_interface_tells_counts_only_where_it_was_stopped() -> None:
    other = [each.replace(",O,A,", ",I,A,") for each in NSG]
    items = read_all(document([*nsg(NSG), *nsg(other, mac="000D3AF87857")]))
    assert [flow["octets"] for flow in flows_in(items)] == [(1100, 9200)]
    items = read_all(document([*nsg(NSG[:1]), *nsg([NSG[0].replace(",O,A,", ",I,D,")])]))
    assert [flow["state"] for flow in flows_in(items)] == ["denied"]


def test_azure_connections_of_the_same_ends_one_after_the_other() -> None:
    again = [f"{AT + 180}{NSG[0][len(str(AT)) :]}", f"{AT + 2000}{NSG[1][len(str(AT)) :]}"]
    flows = flows_in(read_all(document(nsg([*NSG, *again]))))
    assert [(flow["start"], flow["octets"]) for flow in flows] == [
        (AT, (1100, 9200)),
        (AT + 180, (-1, -1)),
        (AT + 2000, (1000, 9000)),
    ]


def test_azure_remembers_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconshield.detect.readers.azure_flow.MOST_OPEN", 8)
    many = [f"{AT + at},10.0.0.5,203.0.113.7,{40_000 + at},443,T,O,A,B,,,," for at in range(50)]
    assert len(flows_in(read_all(document(nsg(many))))) == 50


def test_azure_names_each_bad_tuple_and_record_and_uses_the_others() -> None:
    tuples = [NSG[0], "1,2", NSG[0].replace(str(AT), "x"), NSG[0].replace(",T,", ",X,"), NSG[0].replace(",A,", ",Y,")]
    tuples += [NSG[0].replace(",B,", ",Z,"), SILENT[0].replace("10.0.0.5", "10.0.0.500"), STOPPED.replace(",25,", ",70000,")]
    items = read_all(document([*nsg(tuples), {"time": "x"}, {"time": "x", "properties": {"flows": 5}}, *nsg([STOPPED])]))
    assert sorted(flow["dst"] for flow in flows_in(items)) == ["203.0.113.7", "203.0.113.8"]
    assert sorted(faults_in(items)) == [
        "record 1, tuple 2: not 13 fields",
        "record 1, tuple 3: 'x' is no time",
        "record 1, tuple 4: 'X' is no protocol",
        "record 1, tuple 5: 'Y' is no decision",
        "record 1, tuple 6: 'Z' is no state",
        "record 1: '10.0.0.500' is no address",
        "record 1: '70000' is no port",
        "record 2: the record lacks or misuses 'properties'",
        "record 3: the record lacks or misuses 'int' object is not iterable",
    ]


@pytest.mark.parametrize("size", [1 << 20, 61])
@pytest.mark.parametrize("shape", ["lines", "array", "pretty"])
@pytest.mark.parametrize("block", [1, directions.BLOCK])
def test_gcp_tells_a_flow_up_to_four_times(shape: str, size: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directions, "BLOCK", block)
    entries = [
        gcp(at, "10.0.0.5", "10.0.0.9", 443, reporter=reporter, back=back)
        for at in (0, 5, 10)
        for reporter, back in (("SRC", False), ("DEST", True), ("DEST", False), ("SRC", True))
    ]
    entries.append({"logName": "projects/p/logs/other", "textPayload": "x"})
    data = json_lines(entries) if shape == "lines" else json.dumps(entries, indent=2 if shape == "pretty" else None).encode()
    items = read_all(data, size)
    assert faults_in(items) == []
    flows = flows_in(items)
    assert {(flow["src"], flow["dst"], flow["ends"]) for flow in flows} == {("10.0.0.5", "10.0.0.9", (40_000, 443))}
    assert [(flow["octets"], flow["packets"], flow["marks"]) for flow in flows] == [
        ((300, 300), (5, 5), Mark.UNSURE),
        ((300, 300), (5, 5), Mark.UNSURE | Mark.CONTINUED),
        ((300, 300), (5, 5), Mark.UNSURE | Mark.CONTINUED),
    ]
    assert {flow["start"] for flow in flows} == {HOUR + 0.5}


def test_gcp_firewall_log_tells_who_began_and_what_was_stopped() -> None:
    entries = [gcp_rule(0, "10.0.0.5", "203.0.113.7", 60_000, "ALLOWED"), gcp_rule(0, "10.0.0.5", "203.0.113.8", 25, "DENIED")]
    entries += [gcp(1, "10.0.0.5", "203.0.113.7", 60_000)]
    flows = flows_in(read_all(json_lines(entries)))
    assert [(flow["dst"], flow["state"], flow["marks"] & ~Mark.UNSURE, flow["octets"]) for flow in flows] == [
        ("203.0.113.7", "unknown", 0, (-1, -1)),
        ("203.0.113.8", "denied", 0, (-1, -1)),
        ("203.0.113.7", "unknown", Mark.CONTINUED, (300, -1)),
    ]


def test_gcp_names_each_bad_entry_and_uses_the_others() -> None:
    good = gcp(0, "10.0.0.5", "203.0.113.7", 443)
    bad = [{"logName": "x/vpc_flows"}, gcp(0, "10.0.0.5", "203.0.113.7", 70_000), gcp(0, "me", "203.0.113.7", 443)]
    bad += [gcp(0, "10.0.0.5", "203.0.113.7", 443, start_time="soon"), gcp(0, "10.0.0.5", "203.0.113.7", 443, disposition="x")]
    bad += [gcp(0, "10.0.0.5", "203.0.113.7", 443, connection={"protocol": 300})]
    items = read_all(json_lines([good, *bad]))
    assert [flow["record"] for flow in flows_in(items)] == [1]
    assert sorted(faults_in(items)) == [
        "record 2: no jsonPayload.connection",
        "record 3: '70000' is no port",
        "record 4: 'me' is no address",
        "record 5: start_time is none",
        "record 6: disposition is none",
        "record 7: protocol is none",
    ]
