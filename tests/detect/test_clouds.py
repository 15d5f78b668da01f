"""Flow logs of clouds to flows: known answers, the traps of each format, and every fault named with its line."""

from __future__ import annotations

import numpy as np
import pytest

from detect.clouds import VPC_FIVE, vpc, vpc_answer, vpc_row
from detect.reading import faults_in, flows_in, read_all
from reconshield.detect.flows import Flows, Mark
from reconshield.detect.tally import Tally

AT = 1_760_000_000
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
        assert [moments.size for _, moments in tally.moments(np.array([0]))] == [1]


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
