"""What never leaves the link: never judged where a stack does it by itself, inside the zone of its source where it is more."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable

import pytest

from detect import hostlogs
from detect.captures import Frame, ethernet, ipv4, ipv6, pcap, udp, zeek_conn, zeek_row
from detect.exporters import FOUR_MS, FOUR_UP, SIX_MS, Field, a_set, four, ipfix, template, v5, v5_record, v9
from reconshield.detect.flows import Flows, Note
from reconshield.detect.match import match
from reconshield.detect.readers import recognise
from reconshield.detect.tally import Tally
from reconshield.jobs.detect import make_setting
from reconshield.jobs.policy import known_names
from reconshield.policy import read_policy
from reconshield.policy.gates import DISCOVERY_TYPES, ICMP_ERRORS

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
        assert isinstance(item, (Flows, Note)), item
        if isinstance(item, Flows):
            tally.add(item)
    return tally


def judged(rows: Iterable[dict[str, object]], text: str = CELL) -> list[tuple[str, int, dict[str, int]]]:
    return judged_file(zeek_conn(rows), text)


def judged_file(data: bytes, text: str = CELL) -> list[tuple[str, int, dict[str, int]]]:
    """Destination, port and points of what is detected."""
    policy, problems = read_policy(text, "reconshield.toml", known_names())
    assert policy is not None, problems
    with tally_of(data) as tally:
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
    ("kind", "src", "dst"), [(128, HOST6, "2001:db8:1::1"), (144, HOST6, "fe80::1"), (135, HOST, "10.9.9.9")]
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


def eve(proto: str, kind: int, src: str = HOST6, dst: str = "fe80::1", event_type: str = "flow") -> str:
    counts: dict[str, object] = {"pkts_toserver": 1, "pkts_toclient": 1, "bytes_toserver": 86, "bytes_toclient": 78}
    flow = (counts if event_type == "flow" else {"pkts": 1, "bytes": 86}) | {
        "start": "2025-10-09T08:53:20.000000+0000",
        "end": "2025-10-09T08:53:20.000000+0000",
    }
    event: dict[str, object] = {"timestamp": "2025-10-09T08:53:21.000000+0000", "flow_id": 7, "event_type": event_type}
    event |= {"src_ip": src, "dest_ip": dst, "proto": proto, "icmp_type": kind, "icmp_code": 1}
    return json.dumps(event | {event_type: flow})


def conn(kind: int, src: str = HOST6, dst: str = "fe80::1") -> str:
    entry = {"ts": AT, "uid": "C1", "id.orig_h": src, "id.orig_p": kind, "id.resp_h": dst, "id.resp_p": 1}
    return json.dumps({"_path": "conn"} | entry | {"proto": "icmp", "conn_state": "OTH"})


def netfilter(kind: int, src: str = HOST6, dst: str = "fe80::1") -> str:
    said = hostlogs.packet(src, dst, proto="ICMPv6" if ":" in src else "ICMP")
    return f"1760000000.5 fw kernel: pass {said}TYPE={kind} CODE=1 [SRC={dst} DST={src} LEN=60 PROTO=TCP SPT=1 DPT=2 ]"


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


def exported(fields: tuple[Field, ...], kind: int, src: str, dst: str) -> bytes:
    """The set of a template, and that of a record with type and code in the place of the port of its destination."""
    record = four(src, dst, 0, kind << 8 | 1, proto=58 if ":" in src else 1, flags=0, up=fields == FOUR_UP)
    return a_set(0 if fields == FOUR_UP else 2, template(256, fields)) + a_set(256, record)


def typed(kind: int, src: str, dst: str) -> bytes:
    """IPFIX with type and code in elements of their own, and nothing in the place of the port."""
    fields = (*FOUR_MS, (176, 1), (177, 1)) if "." in src else (*SIX_MS, (178, 1), (179, 1))
    record = four(src, dst, 0, 0, proto=58 if ":" in src else 1, flags=0) + bytes([kind, 1])
    return ipfix(a_set(2, template(256, fields)), a_set(256, record))


def pfirewall(kind: int, src: str, dst: str) -> bytes:
    name = "ICMPV6" if ":" in src else "ICMP"
    return hostlogs.pfirewall((AT, f"ALLOW {name} {src} {dst} - - 0 - - - - {kind} 1 - SEND"))


def line(text: str) -> bytes:
    return f"{text}\n".encode()


def eve_name(src: str) -> str:
    return "IPv6-ICMP" if ":" in src else "ICMP"


LOGS: dict[str, Callable[[int, str, str], bytes]] = {
    "zeek": lambda kind, src, dst: zeek_conn([zeek_row(AT, src, dst, 1, proto="icmp", **{"id.orig_p": kind})]),
    "zeek json": lambda kind, *ends: line(conn(kind, *ends)),
    "zeek json by line": lambda kind, *ends: line(conn(kind, *ends)[:-1] + ', "odd": "\\u00e9"}'),
    "eve": lambda kind, src, dst: line(eve(eve_name(src), kind, src, dst)),
    "eve by line": lambda kind, src, dst: line(eve(eve_name(src), kind, src, dst)[:-1] + ', "odd": "\\u00e9"}'),
    "eve alert": lambda kind, src, dst: line(eve(eve_name(src), kind, src, dst, "alert")),
    "eve netflow": lambda kind, src, dst: line(eve(eve_name(src), kind, src, dst, "netflow")),
    "netfilter": lambda kind, *ends: line(netfilter(kind, *ends)),
    "windows": pfirewall,
    "netflow v9": lambda kind, *ends: v9(exported(FOUR_UP, kind, *ends)),
    "ipfix": lambda kind, *ends: ipfix(exported(SIX_MS if ":" in ends[0] else FOUR_MS, kind, *ends)),
    "ipfix with types": typed,
    "netflow v5": lambda kind, src, dst: v5(v5_record(src, dst, 0, kind << 8 | 1, proto=1)),
}
"""An ICMP message of a type with code 1 as each log tells it, by what reads it."""

FOR_IPV4_ONLY = {"netflow v5", "netflow v9"}
ENDS = {1: (HOST, "203.0.113.9"), 58: (HOST6, "2001:db8:1::1")}
ERRORS = [(number, kind) for number, kinds in ICMP_ERRORS.items() for kind in kinds]
OTHERS = [(1, 0), (1, 8), (1, 13), (1, 135), (58, 5), (58, 11), (58, 128), (58, 129)]


def in_each(messages: list[tuple[int, int]]) -> list[tuple[str, int, int]]:
    return [(name, *each) for name in LOGS for each in messages if each[0] == 1 or name not in FOR_IPV4_ONLY]


def told(name: str, transport: int, kind: int) -> list[tuple[str, int, dict[str, int]]]:
    return judged_file(LOGS[name](kind, *ENDS[transport]))


@pytest.mark.parametrize(("name", "transport", "kind"), in_each(ERRORS))
def test_who_answers_with_an_error_breaks_no_rule(name: str, transport: int, kind: int) -> None:
    """A host of the secure cell says to a stranger that a port is shut or an address is not there."""
    assert told(name, transport, kind) == []


@pytest.mark.parametrize(("name", "transport", "kind"), in_each(OTHERS))
def test_who_sends_another_message_breaks_the_rule_as_before(name: str, transport: int, kind: int) -> None:
    found = told(name, transport, kind)
    assert [points["policy"] for _, _, points in found] == [60]


def test_an_error_hides_nothing_else_of_its_sender() -> None:
    """Not even what it sends over TCP from a port with the number of that type."""
    src, dst = ENDS[1]
    rows = [zeek_row(AT, src, dst, 1, proto="icmp", **{"id.orig_p": 3})]
    rows += [zeek_row(AT + 1, src, dst, port, proto="tcp", **{"id.orig_p": 3}) for port in (1, 4444)]
    rows += [zeek_row(AT + 2, src, dst, 0, proto="icmp", **{"id.orig_p": 8})]
    assert {(port, points["policy"]) for _, port, points in judged(rows)} == {(1, 60), (4444, 60), (0, 60)}
