"""NetFlow and IPFIX against known answers: times, both directions, templates in every order, damage; and Argus' text."""

from __future__ import annotations

import struct
from collections import Counter
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect.exporters import (
    AT,
    BOOT,
    FOUR_MS,
    FOUR_UP,
    IPFIX_TEN,
    SIX_MS,
    V5_TEN,
    V9_TEN,
    WHOLE,
    Field,
    a_set,
    argus,
    four,
    ipfix,
    packed,
    template,
    v5,
    v5_record,
    v9,
)
from detect.reading import faults_in, flows_in, read_all
from reconshield.detect import exports as module
from reconshield.detect.flows import Item, Mark, Note

C, S = "10.0.0.5", "203.0.113.7"
ONE, UNSURE = int(Mark.ONE_SIDED), int(Mark.UNSURE)


def notes_in(items: list[Item]) -> list[str]:
    return [item.text for item in items if isinstance(item, Note)]


def brief(flow: dict[str, Any]) -> tuple[object, ...]:
    return flow["src"], flow["dst"], flow["ends"], flow["state"], flow["marks"], flow["octets"], flow["packets"]


@pytest.mark.parametrize("size", [1 << 20, 11])
def test_v5_joins_directions_and_knows_the_time(size: int) -> None:
    data = v5(
        v5_record(S, C, 443, 40_000, begin=AT + 0.25, octets=900, packets=4),
        v5_record(C, S, 40_000, 443, begin=AT + 0.125),
        v5_record(C, S, 40_001, 25, flags=2, packets=1, octets=60, begin=AT + 2),
        v5_record(C, S, 0, 8 << 8, proto=1, begin=AT + 3),
        v5_record(S, C, 0, 0, proto=1, begin=AT + 3, octets=84, packets=1),
        v5_record(S, C, 53, 40_002, proto=17, begin=AT + 4),
        at=AT + 10.5,
    )
    items = read_all(data, size)
    assert [brief(flow) for flow in flows_in(items)] == [
        (C, S, (40_000, 443), "established", 0, (180, 900), (3, 4)),
        (C, S, (40_001, 25), "unanswered", 0, (60, -1), (1, -1)),
        (C, S, (0, 0), "established", 0, (180, 84), (3, 1)),
        (C, S, (40_002, 53), "unknown", ONE | UNSURE, (-1, 180), (-1, 3)),
    ]
    assert [round(flow["start"] - AT, 3) for flow in flows_in(items)] == [0.125, 2, 3, 4]
    assert faults_in(items) == []


def test_the_exporters_clock_begins_again_after_49_days() -> None:
    wrap = BOOT + 2**32 / 1000
    flows = flows_in(read_all(v5(v5_record(C, S, 40_000, 443, begin=wrap - 20, end=wrap + 1), at=wrap + 5)))
    assert abs(flows[0]["start"] - (wrap - 20)) < 0.002
    late = flows_in(read_all(v5(v5_record(C, S, 40_000, 443, begin=AT + 12, end=AT + 13), at=AT + 10)))
    assert late[0]["start"] == AT + 12  # an exporter whose two clocks differ a little


def test_samples_are_said_and_silence_then_means_nothing() -> None:
    syn = v5_record(C, S, 40_000, 25, flags=2, packets=1)
    items = read_all(v5(syn, sampling=0x4000 | 100))
    assert [flow["state"] for flow in flows_in(items)] == ["unknown"]
    assert "one packet of 100" in notes_in(items)[0]
    options = struct.pack("!HHHHHHH", 257, 4, 4, 1, 4, 34, 4)
    by_options = v9(a_set(1, options), a_set(257, struct.pack("!II", 1, 512)), a_set(0, template(256, FOUR_UP)))
    assert "one packet of 512" in notes_in(read_all(by_options + V9_TEN))[0]
    ipfix_options = struct.pack("!HHHHHHHHH", 257, 3, 1, 143, 4, 305, 4, 306, 4)
    told = ipfix(a_set(3, ipfix_options), a_set(257, struct.pack("!III", 1, 1, 99), 1))
    assert "one packet of 100" in notes_in(read_all(told + IPFIX_TEN))[0]


@pytest.mark.parametrize("size", [1 << 20, 13])
def test_v9_keeps_data_for_its_template_and_templates_apart(size: int) -> None:
    early = v9(a_set(256, four(C, S, 40_000, 443, up=True)))
    other = v9(a_set(0, template(256, FOUR_UP[::-1])), domain=2)
    known = v9(a_set(0, template(256, FOUR_UP)))
    orphan = v9(a_set(999, bytes(40)), a_set(256, four(C, S, 40_001, 443, up=True)))
    narrow = ((8, 4), (12, 4), (4, 1), (1, 3), (2, 3), (22, 4))
    again = v9(
        a_set(0, template(256, narrow)),
        a_set(256, packed(C) + packed(S) + struct.pack("!B6sI", 47, b"\0\1\2\0\0\3", 99_000_000)),
    )
    items = read_all(early + other + known + orphan + again, size)
    flows = flows_in(items)
    assert [(flow["ends"], flow["transport"], flow["octets"][0], flow["record"]) for flow in flows] == [
        ((40_000, 443), 6, 180, 1),
        ((40_001, 443), 6, 180, 4),
        ((0, 0), 47, 258, 5),
    ]
    assert faults_in(items) == ["template 999 of domain 1: is not in the file: 1 sets could not be read"]


def test_ipfix_of_two_directions_in_one_record() -> None:
    back = 29_305
    fields = (*FOUR_MS, (1, 4, back), (2, 4, back), (6, 1, back), (239, 1))

    def record(sport: int, octets: int, packets: int, biflow: int, flags: int = 0x1B, proto: int = 6) -> bytes:
        return four(C, S, sport, 25, flags=flags, proto=proto) + struct.pack(
            "!IIBB", octets, packets, 0x1B if packets else 0, biflow
        )

    data = ipfix(
        a_set(2, template(300, fields)),
        a_set(300, record(40_000, 900, 4, 1) + record(40_001, 0, 0, 1, proto=17) + record(40_002, 0, 0, 1, flags=2), 1),
        a_set(300, record(40_003, 900, 4, 2) + record(40_004, 900, 4, 0), 1),
    )
    items = read_all(data)
    assert [(brief(flow)[:-1]) for flow in flows_in(items)] == [
        (C, S, (40_000, 25), "established", 0, (180, 900)),
        (C, S, (40_001, 25), "unanswered", 0, (180, -1)),
        (C, S, (40_002, 25), "unanswered", 0, (180, -1)),
        (S, C, (25, 40_003), "established", 0, (900, 180)),
        (C, S, (40_004, 25), "established", UNSURE, (180, 900)),
    ]
    assert faults_in(items) == []


def test_an_exporter_of_biflows_says_less_where_nobody_answered() -> None:
    both = template(300, (*FOUR_MS, (2, 4, 29_305)))
    short = a_set(2, template(301, FOUR_MS)) + a_set(301, four(C, S, 53, 40_000, proto=17), 1)
    (flow,) = flows_in(read_all(ipfix(a_set(2, both), short)))
    assert brief(flow)[:5] == (C, S, (53, 40_000), "unanswered", 0)
    (flow,) = flows_in(read_all(ipfix(short)))
    assert brief(flow)[:5] == (S, C, (40_000, 53), "unknown", ONE | UNSURE)


def test_a_firewall_tells_the_beginning_and_the_end_of_a_connection() -> None:
    created: tuple[Field, ...] = (*FOUR_MS[:5], (233, 1), (323, 8))
    ended = (*created, (152, 8), (231, 4), (232, 4))
    ends = packed(C) + packed(S) + struct.pack("!HHB", 53, 40_000, 6)
    data = v9(
        a_set(0, template(300, created) + template(301, ended)),
        a_set(300, ends + struct.pack("!BQ", 1, AT * 1000)),
        a_set(301, ends + struct.pack("!BQQII", 2, AT * 1000 + 90_000, AT * 1000, 500, 700)),
    )
    (flow,) = flows_in(read_all(data))
    assert brief(flow)[:6] == (C, S, (53, 40_000), "established", 0, (500, 700))
    assert flow["start"] == AT


def test_ipfix_with_fields_of_any_length_and_other_enterprises() -> None:
    fields = (*SIX_MS, (82, 65_535), (7, 4, 9_999), (371, 65_535))
    record = four("2001:db8::5", "2001:db8::7", 40_000, 443) + b"\4eth0" + b"\0\0\0\7" + b"\xff\1\0" + b"x" * 256
    unfinished = four("2001:db8::5", "2001:db8::7", 40_001, 443) + b"\4eth0" + b"\0\0\0\7" + b"\xff\1\0" + b"x"
    data = ipfix(a_set(2, template(300, fields)), a_set(300, record + record[:35] + b"\x9c\x42" + record[37:]))
    items = read_all(data + ipfix(a_set(300, record + unfinished, 1)))
    assert {flow["src"] for flow in flows_in(items)} == {"2001:db8::5"}
    assert faults_in(items) == ["packet 2: a field is longer than its set"]
    withdrawn = ipfix(a_set(2, struct.pack("!HH", 300, 0))) + ipfix(a_set(300, record))
    assert faults_in(read_all(data + withdrawn))[-1].startswith("template 300 of domain 1: is not in the file")


WAYS = {
    "seconds": (((150, 4), (151, 4)), struct.pack("!II", AT, AT + 2)),
    "ntp": (((154, 8), (155, 8)), struct.pack("!QQ", (AT + 2_208_988_800) << 32, (AT + 2_208_988_802) << 32)),
    "ago": (((158, 4), (159, 4)), struct.pack("!II", 10_000_000, 8_000_000)),
    "since start": (((160, 8), (22, 4), (21, 4)), struct.pack("!QII", AT * 1000 - 5_000_000, 5_000_000, 5_002_000)),
    "lasted": (((152, 8), (161, 4)), struct.pack("!QI", AT * 1000, 2000)),
    "observed": (((323, 8),), struct.pack("!Q", AT * 1000)),
    "none": ((), b""),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_tell_a_time(way: str) -> None:
    fields, values = WAYS[way]
    record = four(C, S, 40_000, 443, up=True)[:-8] + values
    (flow,) = flows_in(read_all(ipfix(a_set(2, template(300, (*FOUR_UP[:-2], *fields))), a_set(300, record, 1))))
    assert flow["start"] == AT if way != "none" else flow["start"] != flow["start"]


def test_when_the_exporter_started_may_be_told_in_the_same_packet() -> None:
    booted = AT * 1000 - 5_000_000
    options = a_set(3, struct.pack("!HHHHHHH", 400, 2, 1, 143, 4, 160, 8)) + a_set(400, struct.pack("!IQ", 1, booted), 1)
    record = four(C, S, 40_000, 443, up=True)[:-8] + struct.pack("!II", 5_000_000, 5_002_000)
    flows = a_set(2, template(300, FOUR_UP)) + a_set(300, record, 1)
    assert [flow["start"] for flow in flows_in(read_all(ipfix(options, flows) + ipfix(flows, at=AT + 40)))] == [AT]
    assert all(flow["start"] != flow["start"] for flow in flows_in(read_all(ipfix(flows))))


def test_what_a_firewall_denied_and_what_no_flow_is() -> None:
    fields = (*FOUR_MS, (233, 1), (89, 1))
    rows = [
        four(C, S, 40_000 + n, 445) + bytes((event, status)) for n, (event, status) in enumerate(((3, 64), (1, 64), (1, 130)))
    ]
    two = ipfix(a_set(2, template(301, ((1, 8), (2, 8)))), a_set(301, bytes(32)))
    items = read_all(ipfix(a_set(2, template(300, fields)), a_set(300, b"".join(rows), 1)) + two)
    assert [flow["state"] for flow in flows_in(items)] == ["denied", "unknown", "denied"]
    assert notes_in(items) == ["2 records have no addresses or no protocol and are no flows"]


def test_the_same_packets_at_two_interfaces_count_once() -> None:
    data = ipfix(
        a_set(2, template(300, (*FOUR_MS, (61, 1)))),
        a_set(
            300,
            four(C, S, 40_000, 443) + b"\0" + four(C, S, 40_000, 443) + b"\1" + four(S, C, 443, 40_000, begin=AT + 0.5) + b"\1",
            1,
        ),
    )
    items = read_all(data)
    assert [flow["octets"] for flow in flows_in(items)] == [(180, 180)]
    assert "1 records tell the same packets" in notes_in(items)[0]


@pytest.mark.parametrize("packets", [V5_TEN, V9_TEN, IPFIX_TEN])
@pytest.mark.parametrize("junk", [b"\0", b"\0\5\0\1", b"\0\x0a\0\x20" + bytes(8), b"\xff" * 70_000])
def test_junk_between_packets_costs_no_record(packets: bytes, junk: bytes) -> None:
    whole = flows_in(read_all(packets))
    half = len(packets) // 2
    if packets is IPFIX_TEN or packets is V5_TEN:
        assert half * 2 == len(packets)
    items = read_all(packets[:half] + junk + packets[half:], 1000)
    found, wanted = (Counter(str(brief(flow)) for flow in flows) for flows in (flows_in(items), whole))
    assert found == wanted
    assert 1 <= len(faults_in(items)) <= 2


def test_damage_within_a_packet_is_named_and_the_others_are_used() -> None:
    one = len(V5_TEN) // 10
    damaged = V5_TEN[:one] + V5_TEN[one : one + 2] + b"\0\x1e" + V5_TEN[one + 4 :]  # thirty records where there are two
    items = read_all(damaged)
    assert len(flows_in(items)) == 10
    assert faults_in(items) == ["packet 2: 30 records are announced, 2 are there"]
    one = len(IPFIX_TEN) // 10
    damaged = IPFIX_TEN[:one] + IPFIX_TEN[one : one + 2] + b"\0\xf0" + IPFIX_TEN[one + 4 :]  # longer than it is
    items = read_all(damaged)
    assert len(flows_in(items)) == 10
    assert "octets less than its header says" in faults_in(items)[0]


@pytest.mark.parametrize("name", ["netflow", "ipfix"])
def test_a_cut_file_gives_what_is_whole(name: str) -> None:
    data = WHOLE[name]
    items = read_all(data[:-20])
    assert len(flows_in(items)) == len(flows_in(read_all(data))) - 1
    assert faults_in(items) == [f"packet {20 if name == 'netflow' else 10}: the file ends within a set"]


def test_data_without_templates_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 100)
    items = read_all(b"".join(v9(a_set(256, bytes(40))) for _ in range(5)))
    assert faults_in(items) == [
        "template 256 of domain 1: is not in the file: 2 sets could not be read",
        "sets: 3 more without a template could not be kept",
    ]


FLOW = st.tuples(
    st.integers(0, 2),
    st.integers(1, 65_535),
    st.integers(1, 65_535),
    st.sampled_from([6, 17]),
    st.integers(1, 9),
    st.integers(0, 99),
)


@given(st.lists(FLOW, min_size=1, max_size=20, unique_by=lambda f: (f[0], *sorted(f[1:3]), f[3])), st.integers(1, 400))
def test_v5_v9_and_ipfix_say_the_same(flows: list[tuple[int, ...]], size: int) -> None:
    def files() -> list[bytes]:
        made = [b"", v9(a_set(0, template(256, FOUR_UP))), ipfix(a_set(2, template(256, FOUR_MS)))]
        for host, sport, dport, proto, packets, second in flows:
            ends, more = (
                (C, f"203.0.113.{host}", sport, dport),
                dict[str, Any](proto=proto, packets=packets, octets=packets * 60),
            )
            begin, end = float(AT + second), float(AT + second + 1)
            made[0] += v5(v5_record(*ends, **more, begin=begin, end=end), at=end)
            made[1] += v9(a_set(256, four(*ends, **more, begin=begin, end=end, up=True)), at=end)
            made[2] += ipfix(a_set(256, four(*ends, **more, begin=begin, end=end), 1), at=end)
        return made

    found = [
        sorted((*brief(flow), flow["start"], flow["transport"]) for flow in flows_in(read_all(data, size))) for data in files()
    ]
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == len(flows)
    assert sum(max(flow[5]) for flow in found[0]) == sum(packets * 60 for *_, packets, _ in flows)


def test_argus_reads_columns_by_name() -> None:
    data = argus(
        "2025/10/09 08:53:20.500000,1.5,tcp,10.0.0.5,40000,   ->,203.0.113.7,443,SPA_SPA,9,900,300",
        "2025/10/09 08:53:21.500000,0,tcp,10.0.0.5,40001,   ->,203.0.113.7,25,S_RA,2,120,60",
        "2025/10/09 08:53:22.500000,0,udp,10.0.0.5,0x9c42,  <->,203.0.113.7,53,CON,2,120,60",
        "2025/10/09 08:53:23.500000,0,icmp,10.0.0.5,0x0008,   ->,203.0.113.7,0x01af,ECO,1,60,60",
        "2025/10/09 08:53:24.500000,0,tcp,203.0.113.7,80,  <?,10.0.0.5,40003,FA_FA,3,180,120",
        "2025/10/09 08:53:25.500000,0,arp,00:11:22:33:44:55,,  who,10.0.0.5,,INT,1,60,60",
        "2025/10/09 08:53:26.500000,0,tcp,10.0.0.5,http,   ->,203.0.113.7,25,S_,2,120,60",
        "soon,0,tcp,10.0.0.5,1,   ->,203.0.113.7,25,S_,2,120,60",
        "2025/10/09 08:53:26.500000,0,tcp,10.0.0.5,1",
        "2025/10/09 08:53:26.500000,0,tcp,10.0.0.555,1,   ->,203.0.113.7,25,S_,2,120,60",
        "2025/10/09 08:53:27.500000,0,rtp,10.0.0.5,1,   ->,203.0.113.7,25,INT,2,120,120",
    )
    items = read_all(data)
    assert [(*brief(flow)[:-1], flow["app"]) for flow in flows_in(items)] == [
        (C, S, (40_000, 443), "established", 0, (300, 600), ""),
        (C, S, (40_001, 25), "refused", 0, (60, 60), ""),
        (C, S, (40_002, 53), "established", 0, (60, 60), ""),
        (C, S, (0, 0), "unanswered", 0, (60, 0), ""),
        (C, S, (40_003, 80), "established", UNSURE, (60, 120), ""),
        (C, S, (1, 25), "unanswered", 0, (120, 0), "rtp"),
    ]
    assert flows_in(items)[0]["start"] == datetime(2025, 10, 9, 8, 53, 20, 500_000).astimezone().timestamp()
    assert faults_in(items) == [
        "line 8: 'http' is no port; run: ra -r FILE -c , -n",
        "line 9: 'soon' is no time",
        "line 10: not 12 fields",
        "line 11: '10.0.0.555' is no address",
    ]
    assert [note[:26] for note in notes_in(items)] == ["times have no zone: they a", "1 records of ARP and other"]


def test_argus_of_other_columns_and_times() -> None:
    header = "StartTime\tFlgs\tProto\tSrcAddr\tSport\tDir\tDstAddr\tDport\tSrcPkts\tDstPkts\tSrcBytes\tDstBytes\tState"
    row = "{}\t e\ttcp\t10.0.0.5\t40000\t->\t203.0.113.7\t443\t3\t4\t300\t400\tFIN"
    items = read_all(argus(row.format(f"{AT}.250000"), row.format("08:53:20.5"), header=header))
    flows = flows_in(items)
    assert [(flow["octets"], flow["packets"]) for flow in flows] == [((300, 400), (3, 4))] * 2
    assert flows[0]["start"] == AT + 0.25
    assert flows[1]["start"] != flows[1]["start"]
    assert notes_in(items) == ["times have no date and are not known; ra -u prints them in full"]


@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("83100020") + bytes(4) + bytes.fromhex("e5712dcb") + bytes(100),
        b"      StartTime      Flgs  Proto    SrcAddr  Sport   Dir   DstAddr  Dport  TotPkts   TotBytes State\n   08:53 e tcp",
    ],
)
def test_what_cannot_be_read_of_argus_says_what_to_run(data: bytes) -> None:
    (fault,) = faults_in(read_all(data))
    assert fault.endswith("run: ra -r FILE -c , -n")
