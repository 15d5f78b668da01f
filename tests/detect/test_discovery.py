"""What never leaves the link: never judged where a stack does it by itself, inside the zone of its source where it is more."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable

import pytest

from detect.captures import Frame, ethernet, ipv4, ipv6, pcap, udp, zeek_conn, zeek_row
from reconshield.detect.flows import Flows
from reconshield.detect.match import match
from reconshield.detect.readers import recognise
from reconshield.detect.tally import Tally
from reconshield.jobs.detect import make_setting
from reconshield.jobs.policy import known_names
from reconshield.policy import read_policy
from reconshield.policy.gates import DISCOVERY_TYPES

AT = 1_760_000_000.0
CELL = """
version = 1
[[zone]]
name = "cell"
targets = ["10.20.0.0/16", "2001:db8:20::/48"]
secure = true
[[traffic]]
zone = "cell"
direction = "out"
services = ["dns"]
"""
NAMES = """
[[traffic]]
zone = "cell"
direction = "within"
ports = "U:5353,U:1900"
"""
HOST, HOST6, LOCAL6 = "10.20.4.9", "2001:db8:20::9", "fe80::9"


def tally_of(data: bytes) -> Tally:
    reader = recognise(data)
    assert reader is not None
    tally = Tally()
    for item in reader.read([data]):
        assert isinstance(item, Flows), item
        tally.add(item)
    return tally


def judged(rows: Iterable[dict[str, object]], text: str = CELL) -> list[tuple[str, int, dict[str, int]]]:
    """Destination, port and points of what is detected."""
    policy, problems = read_policy(text, "reconshield.toml", known_names())
    assert policy is not None, problems
    with tally_of(zeek_conn(rows)) as tally:
        found = match(tally, make_setting(policy, AT + 60)).detections
    return [(each.dst, each.port, {str(entry.kind): entry.points for entry in each.evidence}) for each in found]


def steady(src: str, dst: str, port: int, **more: object) -> list[dict[str, object]]:
    return [zeek_row(AT + 30 * number, src, dst, port, conn_state="S0", **more) for number in range(120)]


@pytest.mark.parametrize("kind", DISCOVERY_TYPES)
@pytest.mark.parametrize("proto", ["icmp", "icmp6"])
def test_discovery_of_ipv6_is_never_judged(kind: int, proto: str) -> None:
    """However steady, from a global or a link-local address, to a group, a neighbour or the router in another zone."""
    for src, dst in ((HOST6, "ff02::1:ff00:7"), (LOCAL6, "ff02::1"), (HOST6, "fe80::1"), (HOST6, "2001:db8:1::1")):
        assert judged(steady(src, dst, 0, proto=proto, **{"id.orig_p": kind})) == []


@pytest.mark.parametrize(
    ("kind", "src", "dst"), [(128, HOST6, "2001:db8:1::1"), (1, HOST6, "fe80::1"), (135, HOST, "10.9.9.9")]
)
def test_other_messages_are_judged(kind: int, src: str, dst: str) -> None:
    [(_, _, points)] = judged([zeek_row(AT, src, dst, 0, proto="icmp", **{"id.orig_p": kind})])
    assert points == {"policy": 60}


@pytest.mark.parametrize(
    ("src", "dst", "port"),
    [
        ("0.0.0.0", "255.255.255.255", 67),
        (HOST, "255.255.255.255", 67),
        (LOCAL6, "ff02::1:2", 547),
        (HOST6, "ff02::1:2", 547),
    ],
)
def test_asking_the_link_for_an_address_is_never_judged(src: str, dst: str, port: int) -> None:
    assert judged(steady(src, dst, port, proto="udp", service="dhcp")) == []


def test_a_renewal_sent_to_a_server_elsewhere_leaves_the_link() -> None:
    assert judged([zeek_row(AT, HOST, "10.9.9.9", 67, proto="udp")]) == [("10.9.9.9", 67, {"policy": 60})]


MULTICAST = [
    (HOST, "224.0.0.251", 5353),
    (HOST6, "ff02::fb", 5353),
    (HOST, "239.255.255.250", 1900),
    (HOST6, "ff02::c", 1900),
]


@pytest.mark.parametrize(("src", "dst", "port"), MULTICAST)
def test_asking_the_link_for_names_is_inside_the_zone(src: str, dst: str, port: int) -> None:
    """So it is for the policy to say: an entry `within` allows it, one `out` does not."""
    rows = [zeek_row(AT, src, dst, port, proto="udp")]
    assert judged(rows) == [(dst, port, {"policy": 60})]
    assert judged(rows, CELL + NAMES) == []
    assert judged(rows, CELL + NAMES.replace("within", "out")) == [(dst, port, {"policy": 60})]


def test_multicast_beyond_the_link_is_out() -> None:
    assert judged([zeek_row(AT, HOST, "239.1.1.1", 5353, proto="udp")], CELL + NAMES)[0][2]["policy"] == 60


def icmp6(src: str, dst: str, kind: int) -> bytes:
    return ethernet(ipv6(src, dst, 58, struct.pack("!BBHI", kind, 0, 0, 0) + bytes(16)))


def test_a_capture() -> None:
    """Messages in both directions, IGMP and DHCP are left out; a ping with its answer stays one conversation."""
    packets = [icmp6(LOCAL6, "fe80::1", 135), icmp6("fe80::1", LOCAL6, 136), icmp6(HOST6, "2001:db8:20::7", 128)]
    packets += [icmp6("2001:db8:20::7", HOST6, 129), icmp6("::", "ff02::16", 143), icmp6("fe80::1", "ff02::1", 134)]
    packets += [ethernet(ipv4(HOST, "224.0.0.22", 2, bytes(16))), ethernet(ipv4("0.0.0.0", "255.255.255.255", 17, udp(68, 67)))]
    with tally_of(pcap(Frame(AT + number, data) for number, data in enumerate(packets))) as tally:
        [ping] = tally.conversations
    assert (ping["transport"], ping["dport"], ping["flows"], ping["failed"]) == (58, 0, 1, 0)


def eve(proto: str, kind: int) -> str:
    flow: dict[str, object] = {"pkts_toserver": 1, "pkts_toclient": 1, "bytes_toserver": 86, "bytes_toclient": 78}
    flow |= {"start": "2025-10-09T08:53:20.000000+0000", "end": "2025-10-09T08:53:20.000000+0000"}
    event: dict[str, object] = {
        "timestamp": "2025-10-09T08:53:21.000000+0000",
        "flow_id": 7,
        "event_type": "flow",
        "src_ip": HOST6,
    }
    return json.dumps(event | {"dest_ip": "fe80::1", "proto": proto, "icmp_type": kind, "icmp_code": 0, "flow": flow})


def conn(kind: int) -> str:
    entry = {"ts": AT, "uid": "C1", "id.orig_h": HOST6, "id.orig_p": kind, "id.resp_h": "fe80::1", "id.resp_p": 0}
    return json.dumps({"_path": "conn"} | entry | {"proto": "icmp", "conn_state": "OTH"})


def netfilter(kind: int) -> str:
    ends = "2001:0db8:0020:0000:0000:0000:0000:0009 DST=fe80:0000:0000:0000:0000:0000:0000:0001"
    sizes = "LEN=72 TC=0 HOPLIMIT=255 FLOWLBL=0"
    return f"1760000000.5 fw kernel: pass IN=eth0 OUT= MAC= SRC={ends} {sizes} PROTO=ICMPv6 TYPE={kind} CODE=0"


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("line", [lambda kind: eve("IPv6-ICMP", kind), conn, netfilter])
def test_other_formats_tell_the_type_too(line: object, spaced: bool) -> None:
    """By columns, and line by line (a text with an escape in it)."""
    assert callable(line)
    odd = {True: ', "odd": "\\u00e9"}', False: "}"}[spaced]
    text = "".join((line(kind)[:-1] + odd if line is not netfilter else line(kind)) + "\n" for kind in (135, 128, 143))
    with tally_of(text.encode()) as tally:
        [left] = tally.conversations
    assert (left["transport"], left["flows"]) == (58, 1)
