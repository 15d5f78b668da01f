"""Packets to flows: every capture format, every link type, both families, tags, fragments, cuts; known answers."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from detect.captures import (
    ACK,
    RST,
    SYN,
    Frame,
    conversation,
    ethernet,
    ipv4,
    ipv6,
    pcap,
    pcapng,
    tcp,
    udp,
)
from detect.reading import faults_in, flows_in, read_all
from reconshield.detect.flows import Mark

AT = 1_760_000_000.25
MAIL = [("server", b"+OK ready\r\n"), ("client", b"CAPA\r\n"), ("server", b"+OK\r\nUSER\r\n.\r\n")]


def one(data: bytes, size: int = 1 << 20) -> dict[str, Any]:
    [flow] = flows_in(read_all(data, size))
    return flow


@pytest.mark.parametrize(("order", "nano", "size"), list(product("<>", [False, True], [1 << 20, 17])))
def test_pcap_in_any_byte_order_and_any_pieces(order: str, nano: bool, size: int) -> None:
    flow = one(pcap(conversation(AT, "10.0.0.5", 40_000, "203.0.113.7", 110, MAIL), order=order, nano=nano), size=size)
    assert (flow["src"], flow["dst"], flow["ends"]) == ("10.0.0.5", "203.0.113.7", (40_000, 110))
    assert (flow["state"], flow["app"], flow["marks"]) == ("established", "pop3", 0)
    assert (flow["octets"], flow["packets"]) == ((6, 25), (4, 4))
    assert flow["start"] == pytest.approx(AT, abs=1e-5)


@pytest.mark.parametrize(("order", "resolution", "size"), list(product("<>", [3, 6, 9], [1 << 20, 13])))
def test_pcapng_in_any_byte_order_and_clock(order: str, resolution: int, size: int) -> None:
    frames = conversation(AT, "2001:db8::5", 40_000, "2001:db8::7", 110, MAIL)
    flow = one(pcapng(frames, order=order, resolution=resolution), size=size)
    assert (flow["src"], flow["ends"], flow["octets"]) == ("2001:db8::5", (40_000, 110), (6, 25))
    assert flow["start"] == pytest.approx(AT, abs=2e-3)


PACKET = ipv4("10.0.0.5", "10.0.0.9", 17, udp(5000, 53, b"ask"))


@pytest.mark.parametrize(
    ("link", "data"),
    [
        (1, ethernet(PACKET)),
        (1, ethernet(PACKET, 100)),
        (1, ethernet(PACKET, 100, 200)),
        (101, PACKET),
        (12, PACKET),
        (0, b"\x02\0\0\0" + PACKET),
        (113, bytes(14) + b"\x08\x00" + PACKET),
        (276, b"\x08\x00" + bytes(18) + PACKET),
    ],
)
def test_every_link_type(link: int, data: bytes) -> None:
    flow = one(pcap([Frame(AT, data)], link=link))
    assert (flow["src"], flow["dst"], flow["ends"], flow["transport"]) == ("10.0.0.5", "10.0.0.9", (5000, 53), 17)
    assert (flow["octets"], flow["state"]) == ((3, 0), "unanswered")


def test_a_link_type_that_nobody_reads_is_named() -> None:
    items = read_all(pcap([Frame(AT, b"x")], link=105))
    assert flows_in(items) == []
    assert "link type 105 (802.11) cannot be read" in faults_in(items)[0]


def test_ipv6_extension_headers_are_walked() -> None:
    options = bytes([60, 0]) + bytes(6) + bytes([17, 1]) + bytes(14)
    flow = one(pcap([Frame(AT, ethernet(ipv6("2001:db8::1", "2001:db8::2", 0, options + udp(4000, 5353, b"q"))))]))
    assert (flow["ends"], flow["transport"], flow["octets"]) == ((4000, 5353), 17, (1, 0))


def test_fragments_belong_to_the_flow_of_the_first() -> None:
    body = udp(5000, 53, b"x" * 72)
    frames = [
        Frame(AT, ethernet(ipv4("10.0.0.5", "10.0.0.9", 17, body[:40], ident=7, more=True))),
        Frame(AT, ethernet(ipv4("10.0.0.5", "10.0.0.9", 17, body[40:], ident=7, offset=40))),
    ]
    flow = one(pcap(frames))
    assert (flow["ends"], flow["octets"], flow["packets"]) == ((5000, 53), (72, 0), (2, 0))


@pytest.mark.parametrize(
    ("steps", "state", "marks"),
    [
        ([("client", SYN)], "unanswered", 0),
        ([("client", SYN), ("client", SYN)], "unanswered", 0),
        ([("client", SYN), ("server", RST | ACK)], "refused", 0),
        ([("client", SYN), ("server", SYN | ACK)], "established", 0),
        ([("server", SYN | ACK), ("client", ACK)], "established", 0),
        ([("client", ACK)], "unknown", Mark.UNSURE | Mark.ONE_SIDED),
    ],
)
def test_how_a_flow_went(steps: list[tuple[str, int]], state: str, marks: int) -> None:
    ends = {"client": ("10.0.0.5", "10.0.0.9", 40_000, 80), "server": ("10.0.0.9", "10.0.0.5", 80, 40_000)}
    frames = []
    for number, (side, flags) in enumerate(steps):
        src, dst, sport, dport = ends[side]
        frames.append(Frame(AT + number, ethernet(ipv4(src, dst, 6, tcp(sport, dport, flags, sequence=1)))))
    flow = one(pcap(frames))
    assert (flow["src"], flow["ends"]) == ("10.0.0.5", (40_000, 80))
    assert (flow["state"], flow["marks"]) == (state, marks)


def test_a_new_syn_on_the_same_ports_is_a_new_flow_and_a_repeated_one_is_not() -> None:
    first = conversation(AT, "10.0.0.5", 40_000, "10.0.0.9", 80, [("client", b"GET / HTTP/1.1\r\n\r\n")])
    again = conversation(AT + 5, "10.0.0.5", 40_000, "10.0.0.9", 80)
    flows = flows_in(read_all(pcap([*first, first[0], *again])))
    assert [flow["octets"][0] for flow in flows] == [18, 0]


def test_silence_ends_a_flow() -> None:
    ask = ethernet(PACKET)
    flows = flows_in(read_all(pcap([Frame(AT, ask), Frame(AT + 30, ask), Frame(AT + 200, ask)])))
    assert [flow["packets"][0] for flow in flows] == [2, 1]


def test_what_is_spoken_is_told_by_the_first_bytes_not_by_the_port() -> None:
    web = [("client", b"POST /q HTTP/1.1\r\nHost: x\r\n\r\n"), ("server", b"HTTP/1.1 200 OK\r\n\r\n")]
    odd = [("client", b"\x00\x13\x37"), ("server", b"\x01\x02")]
    frames = conversation(AT, "10.0.0.5", 1025, "10.0.0.9", 110, web) + conversation(AT, "10.0.0.5", 1026, "10.0.0.9", 110, odd)
    assert [flow["app"] for flow in flows_in(read_all(pcap(frames)))] == ["http", "unrecognised"]


def test_a_cut_file_gives_what_is_whole() -> None:
    data = pcap(conversation(AT, "10.0.0.5", 40_000, "10.0.0.9", 110, MAIL))
    items = read_all(data[:-10])
    assert len(flows_in(items)) == 1
    assert faults_in(items) == ["packet 8: the file ends within it"]
    items = read_all(pcapng(conversation(AT, "10.0.0.5", 40_000, "10.0.0.9", 110, MAIL))[:-10])
    assert (len(flows_in(items)), faults_in(items)) == (1, ["packet 8: the file ends within a block"])


def test_a_snapped_packet_counts_with_its_length_on_the_wire() -> None:
    frame = ethernet(ipv4("10.0.0.5", "10.0.0.9", 17, udp(5000, 53, b"x" * 500)))
    assert one(pcap([Frame(AT, frame[:60], len(frame))]))["octets"] == (500, 0)
    items = read_all(pcap([Frame(AT, frame[:20], len(frame))]))
    assert (flows_in(items), faults_in(items)) == ([], ["frames: 1 cut before their addresses or ports"])
