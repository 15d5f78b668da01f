"""What firewalls of hosts log, against known answers: times without a year and zone, what the words say, what is joined."""

from __future__ import annotations

import json
import time
from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect.hostlogs import WHOLE, iso_stamp, netfilter, packet, pfirewall, syslog_stamp
from detect.reading import faults_in, flows_in, pieces
from reconshield.detect.flows import Item, Mark, Note
from reconshield.detect.readers import recognise
from reconshield.detect.stamps import Yearless

AT = 1_760_000_000
DAY = 86_400


def items_of(data: bytes, changed: float = AT + DAY, size: int = 1 << 20) -> list[Item]:
    reader = recognise(data)
    assert reader is not None
    return list(reader.items(pieces(data, size), changed))


def notes_in(items: list[Item]) -> list[str]:
    return [item.text for item in items if isinstance(item, Note)]


def brief(flow: dict[str, object]) -> tuple[object, ...]:
    return flow["src"], flow["dst"], flow["ends"], flow["state"], flow["marks"], flow["packets"]


@pytest.mark.parametrize("stamp", ["syslog", "iso"])
@pytest.mark.parametrize("size", [1 << 20, 57])
def test_log_lines_become_flows_with_what_their_prefix_says(stamp: str, size: int) -> None:
    data = netfilter(
        (AT, "[UFW BLOCK] ", packet("203.0.113.5", "10.0.0.9", 22)),
        (AT + 3, "[UFW BLOCK] ", packet("203.0.113.5", "10.0.0.9", 22)),  # the same SYN again
        (AT + 4, "nft accept new: ", packet("10.0.0.5", "10.0.0.9", 443)),
        (AT + 5, "FINAL-REJECT ", packet("2001:db8::5", "2001:db8::9", 53, proto="UDP")),
        (AT + 6, "seen ", packet("10.0.0.9", "10.0.0.5", 40_001, sport=25, flags="ACK SYN")),
        (AT + 7, "seen ", packet("10.0.0.5", "10.0.0.9", proto="2")),
        stamp=stamp,
    )
    items = items_of(data, size=size)
    flows = flows_in(items)
    assert [brief(flow) for flow in sorted(flows, key=lambda flow: flow["start"])] == [
        ("203.0.113.5", "10.0.0.9", (40_000, 22), "denied", 0, (2, -1)),
        ("10.0.0.5", "10.0.0.9", (40_000, 443), "unknown", 0, (1, -1)),
        ("2001:db8::5", "2001:db8::9", (40_000, 53), "denied", 0, (1, -1)),
        ("10.0.0.5", "10.0.0.9", (40_001, 25), "unknown", Mark.ONE_SIDED, (-1, 1)),
        ("10.0.0.5", "10.0.0.9", (0, 0), "unknown", Mark.ONE_SIDED, (1, -1)),
    ]
    assert [flow["start"] for flow in flows] == [AT, AT + 4, AT + 5, AT + 6, AT + 7]
    assert flows[0]["octets"] == (120, -1)
    assert faults_in(items) == []
    years = ["times have no year: guessed from when the file was last changed (2025)"]
    zone = ["times have no zone: they are read as local times of this machine"]
    assert notes_in(items) == ([*years, *zone] if stamp == "syslog" else [])


def test_both_directions_of_a_connection_are_one_flow() -> None:
    data = netfilter(
        (AT, "fwd ", packet("10.0.0.5", "203.0.113.7", 25)),
        (AT, "fwd ", packet("203.0.113.7", "10.0.0.5", 40_000, sport=25, flags="ACK SYN", length=52)),
        (AT + 1, "fwd ", packet("10.0.0.5", "203.0.113.7", 25, flags="ACK", length=40)),
        (AT + 9, "fwd ", packet("10.0.0.5", "203.0.113.8", 25)),
        (AT + 9, "fwd ", packet("203.0.113.8", "10.0.0.5", 40_000, sport=25, flags="ACK RST", length=40)),
    )
    flows = flows_in(items_of(data))
    assert [(flow["dst"], flow["state"], flow["marks"], flow["octets"]) for flow in flows] == [
        ("203.0.113.7", "established", 0, (100, 52)),
        ("203.0.113.8", "refused", 0, (60, 40)),
    ]


STAMPS = {
    "<4>Oct  9 10:53:20 gate kernel: ": True,
    "Oct  9 2025 10:53:20 gate kernel: ": True,
    "[Thu Oct  9 10:53:20 2025] ": True,
    "kern  :warn  : [Thu Oct  9 10:53:20 2025] ": True,
    "2025-10-09T10:53:20 gate kernel: ": True,
    "<4>1 2025-10-09T10:53:20 gate kernel - - - ": True,
    "[12345.678901] ": False,
}


@pytest.mark.parametrize(("lead", "timed"), STAMPS.items())
def test_every_way_to_write_the_time(lead: str, timed: bool) -> None:
    data = f"{lead}DROP {packet('10.0.0.5', '10.0.0.9')}\n".encode()
    items = items_of(data)
    (flow,) = flows_in(items)
    wanted = datetime(2025, 10, 9, 10, 53, 20).astimezone().timestamp()
    assert (flow["start"] == wanted) if timed else flow["start"] != flow["start"]
    assert flow["state"] == "denied"
    assert bool(notes_in(items)) == ("Z" not in lead)


def test_seconds_since_the_epoch_and_zones() -> None:
    for lead in (
        f"{AT}.250000 gate kernel: ",
        f"{iso_stamp(AT + 0.25)} gate kernel: ",
        "2025-10-09T10:53:20.250+0200 gate kernel: ",
    ):
        items = items_of(f"{lead}DROP {packet('10.0.0.5', '10.0.0.9')}\n".encode())
        assert [flow["start"] for flow in flows_in(items)] == [AT + 0.25]
        assert notes_in(items) == []


def test_the_journal_as_json() -> None:
    entry = {"__REALTIME_TIMESTAMP": str(AT * 1_000_000 + 250_000), "_HOSTNAME": "dropbox", "PRIORITY": "4"}
    said = [f"[UFW ALLOW] {packet('10.0.0.5', '10.0.0.9')}", f"DROP {packet('10.0.0.6', '10.0.0.9')}", [1, 2], "IN= OUT="]
    data = b"".join(json.dumps(entry | {"MESSAGE": text}).encode() + b"\n" for text in said)
    items = items_of(data + b'{"MESSAGE": " OUT=\n')
    assert [(flow["src"], flow["state"], flow["start"]) for flow in flows_in(items)] == [
        ("10.0.0.5", "unknown", AT + 0.25),
        ("10.0.0.6", "denied", AT + 0.25),
    ]
    assert faults_in(items) == ["line 4: no SRC and DST and PROTO"]
    assert notes_in(items) == []


def test_the_host_is_no_word_of_the_rule() -> None:
    data = f"{syslog_stamp(AT)} dropbox ulogd[7]: pass {packet('10.0.0.5', '10.0.0.9')}\n".encode()
    assert [flow["state"] for flow in flows_in(items_of(data))] == ["unknown"]


def test_faults_are_named_and_the_rest_is_used() -> None:
    good = packet("10.0.0.5", "10.0.0.9")
    inner = " [SRC=10.0.0.9 DST=10.0.0.5 LEN=60 PROTO=TCP SPT=1 DPT=2 ]"
    said = [
        good,
        good.replace("SRC=10.0.0.5", "SRC=10.0.0.555"),
        good.replace("DPT=22", "DPT=70000"),
        good.replace("SPT=40000 DPT=22 ", "FRAG:64 "),
        good.replace("SRC=10.0.0.5 ", ""),
        good.replace("PROTO=TCP", "PROTO=XYZ"),
        "IN=eth0 OUT= ARP HTYPE=1 PTYPE=0x0800 OPCODE=1",
        packet("10.0.0.7", "10.0.0.9", proto="ICMP") + "TYPE=3 CODE=1" + inner,
    ]
    data = netfilter(*((AT + number * 500, "DROP ", text) for number, text in enumerate(said)))
    data += f"Feb 31 10:00:00 gate kernel: DROP {good}\n".encode()
    items = items_of(data)
    assert [(flow["src"], flow["transport"]) for flow in flows_in(items)] == [("10.0.0.5", 6), ("10.0.0.7", 1)]
    assert faults_in(items) == [
        "line 4: DPT is '70000'",
        "line 5: no ports: a fragment, or the line is cut",
        "line 6: no SRC",
        "line 7: PROTO is 'XYZ'",
        "line 10: 'Feb 31 10:00:00' is no time",
        "line 3: '10.0.0.555' is no address",
    ]


def test_without_knowing_when_the_file_was_changed_no_year_is_made_up() -> None:
    data = WHOLE["netfilter"]
    reader = recognise(data)
    assert reader is not None
    items = list(reader.read([data]))
    assert all(flow["start"] != flow["start"] for flow in flows_in(items))
    assert "times have no year and are not known" in notes_in(items)


@given(st.lists(st.integers(AT - 300 * DAY, AT), min_size=1, max_size=30), st.integers(0, DAY // 2))
def test_a_log_of_less_than_a_year_gets_its_own_years_back(times: list[int], later: int) -> None:
    years = Yearless(max(times) + later)
    for line, at in enumerate(sorted(times), 1):
        when = time.localtime(at)
        found = years.read(when.tm_mon, when.tm_mday, f"{when.tm_hour}:{when.tm_min}:{when.tm_sec}", line)
        assert found == at or when.tm_isdst != time.localtime(found).tm_isdst
    assert years.back_at is None


def test_a_log_of_more_than_a_year_says_that_years_may_be_wrong() -> None:
    lines = [(AT - ago * DAY, "DROP ", packet("10.0.0.5", "10.0.0.9")) for ago in (500, 300, 100, 0)]
    assert all(one[0] < two[0] for one, two in pairwise(lines))
    notes = notes_in(items_of(netfilter(*lines)))
    assert "line 3: times go back by more than 30 days; years before it may be wrong" in notes


def test_windows_firewall_reads_columns_by_name() -> None:
    rows = (
        (AT, "DROP TCP 203.0.113.5 10.0.0.9 40000 445 52 S 1 0 64240 - - - RECEIVE 4"),
        (AT + 1, "DROP TCP 10.0.0.9 203.0.113.5 445 40000 40 A 1 0 64240 - - - SEND 4"),
        (AT + 2, "ALLOW UDP 10.0.0.9 10.0.0.1 50000 53 0 - - - - - - - SEND 1234"),
        (AT + 3, "ALLOW ICMP fe80::1 fe80::2 - - 0 - - - - 8 0 - RECEIVE 0"),
        (AT + 4, "INFO-EVENTS-LOST - - - - - - - - - - - - 7 - -"),
        (AT + 5, "CLOSE TCP 10.0.0.9 10.0.0.1 50001 80 - - - - - - - - - 1"),
        (AT + 6, "DROP TCP 10.0.0.9 10.0.0.1 - 80 - - - - - - - - - 1"),
        (AT + 7, "MAYBE TCP 10.0.0.9 10.0.0.1 1 80 - - - - - - - - - 1"),
        (AT + 8, "DROP TCP 10.0.0.9"),
    )
    items = items_of(pfirewall(*rows, pid=True))
    assert [(*brief(flow), flow["start"] - AT, flow["octets"]) for flow in flows_in(items)] == [
        ("203.0.113.5", "10.0.0.9", (40_000, 445), "denied", 0, (1, -1), 0, (52, -1)),
        ("10.0.0.9", "203.0.113.5", (445, 40_000), "denied", Mark.UNSURE, (1, -1), 1, (40, -1)),
        ("10.0.0.9", "10.0.0.1", (50_000, 53), "unknown", 0, (-1, -1), 2, (-1, -1)),
        ("fe80::1", "fe80::2", (0, 0), "unknown", 0, (-1, -1), 3, (-1, -1)),
    ]
    assert faults_in(items) == ["line 12: no port", "line 13: unknown action 'MAYBE'", "line 14: not 18 fields"]
    assert "the firewall could not write 7 events" in notes_in(items)
    short = pfirewall(rows[0])  # a header that does not name the last column
    assert len(flows_in(items_of(short))) == 1
    assert faults_in(items_of(short.replace(b" dst-port", b""))) == ["line 4: #Fields lacks dst-port"]
