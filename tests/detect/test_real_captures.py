"""What real captures hold beside plain packets: tunnels, labels, errors, jumbograms, cuts, and what begins in the middle."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from detect.captures import ACK, SYN, Frame, block, conversation, ethernet, ipv4, ipv6, pcap, pcapng, tcp, udp
from detect.reading import faults_in, flows_in, read_all
from reconshield.detect.expected import FORMATS
from reconshield.detect.flows import UNRECOGNISED, Note
from reconshield.errors import UserError
from reconshield.jobs.detect import FOREIGN, catalogue_services, detect_files, make_setting
from reconshield.knowledge.speech import RECOGNISED

AT = 1_760_000_000.0
WEB = [("client", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), ("server", b"HTTP/1.1 200 OK\r\n\r\n")]
INNER = conversation(AT, "10.0.0.5", 40_000, "10.0.0.9", 80, WEB)
OUTER = ("192.0.2.1", "192.0.2.2")
Wrap = Callable[[bytes], bytes]


def typed(kind: int, body: bytes) -> bytes:
    return bytes(12) + struct.pack("!H", kind) + body


def in_udp(port: int, head: bytes) -> Wrap:
    return lambda body: ethernet(ipv4(*OUTER, 17, udp(50_000, port, head + body)))


def in_gre(head: bytes) -> Wrap:
    return lambda body: ethernet(ipv4(*OUTER, 47, head + body))


GRE = struct.pack("!HH", 0, 0x0800)
KEYED = struct.pack("!HHI", 0x2000, 0x0800, 5)
MIRRORED = struct.pack("!HHIII", 0x1000, 0x88BE, 1, 0x1000_0000, 0)
VXLAN = struct.pack("!II", 0x0800_0000, 5 << 8)
GENEVE = struct.pack("!BBHII", 1, 0, 0x6558, 5 << 8, 0)
LABELS = struct.pack("!II", 100 << 12 | 0x40, 101 << 12 | 0x140)

LINKS: dict[str, Wrap] = {
    "pppoe": lambda body: typed(0x8864, struct.pack("!BBHHH", 0x11, 0, 7, len(body) + 2, 0x21) + body),
    "mpls": lambda body: typed(0x8847, LABELS + body),
}
TUNNELS: dict[str, Wrap] = {
    "ip in ip": lambda body: ethernet(ipv4(*OUTER, 4, body)),
    "gre": in_gre(GRE),
    "gre with a key": in_gre(KEYED),
    "gre with ethernet": lambda body: in_gre(struct.pack("!HH", 0, 0x6558))(ethernet(body)),
    "erspan": lambda body: in_gre(MIRRORED)(ethernet(body)),
    "vxlan": lambda body: in_udp(4789, VXLAN)(ethernet(body, 7)),
    "geneve": lambda body: in_udp(6081, GENEVE)(ethernet(body)),
    "gtp": lambda body: in_udp(2152, struct.pack("!BBHI", 0x30, 255, len(body), 5))(body),
    "gre in ip in ip": lambda body: ethernet(ipv4(*OUTER, 4, ipv4(*OUTER, 47, GRE + body))),
}


def wrapped(wrap: Wrap) -> bytes:
    return pcap([Frame(frame.at, wrap(frame.data[14:])) for frame in INNER])


@pytest.mark.parametrize("name", [*LINKS, *TUNNELS])
def test_what_is_wrapped_is_found_and_a_tunnel_stays_a_flow(name: str) -> None:
    flows = flows_in(read_all(wrapped((LINKS | TUNNELS)[name])))
    [inner] = [flow for flow in flows if flow["src"] == "10.0.0.5"]
    assert (inner["dst"], inner["ends"], inner["state"], inner["app"]) == ("10.0.0.9", (40_000, 80), "established", "http")
    assert (inner["octets"], inner["packets"]) == ((27, 19), (4, 3))
    assert bool(len(flows) - 1) == (name in TUNNELS)


def test_ipv6_in_ipv4() -> None:
    six = [frame.data[14:] for frame in conversation(AT, "2001:db8::1", 40_000, "2001:db8::2", 80, WEB)]
    flows = flows_in(read_all(pcap([Frame(AT, ethernet(ipv4(*OUTER, 41, packet))) for packet in six])))
    assert {flow["src"]: flow["app"] for flow in flows} == {"192.0.2.1": "", "2001:db8::1": "http"}


@pytest.mark.parametrize("port", [4789, 6081, 2152])
def test_what_only_has_the_port_of_a_tunnel_is_left_alone(port: int) -> None:
    body = b"\xff" * 8 + INNER[0].data
    [flow] = flows_in(read_all(pcap([Frame(AT, ethernet(ipv4(*OUTER, 17, udp(50_000, port, body))))])))
    assert flow["ends"] == (50_000, port)


@pytest.mark.parametrize(("version", "kinds"), [(4, (3, 4, 5, 11, 12)), (6, (1, 2, 3, 4))])
def test_an_error_of_icmp_is_no_flow_and_does_not_turn_a_ping_round(version: int, kinds: tuple[int, ...]) -> None:
    make, ends, number, echo = (
        (ipv4, ("10.0.0.5", "10.0.0.9"), 1, (8, 0)) if version == 4 else (ipv6, ("2001:db8::5", "2001:db8::9"), 58, (128, 129))
    )
    quoted = make(*ends, 17, udp(5000, 161, b"x"))
    errors = [make(*ends[::-1], number, bytes([kind]) + bytes(7) + quoted) for kind in kinds]
    pings = [make(*ends, number, bytes([echo[0]]) + bytes(7)), make(*ends[::-1], number, bytes([echo[1]]) + bytes(7))]
    [flow] = flows_in(read_all(pcap([Frame(AT, ethernet(packet)) for packet in (*errors, *pings)])))
    assert (flow["src"], flow["state"], flow["packets"]) == (ends[0], "established", (1, 1))


@pytest.mark.parametrize("header", [True, False])
def test_a_jumbogram_of_ipv6_has_its_length(header: bool) -> None:
    body = tcp(40_000, 80, ACK, bytes(100_000))
    option = bytes([6, 0, 0xC2, 4]) + struct.pack("!I", len(body) + 8)
    packet = bytearray(ipv6("2001:db8::1", "2001:db8::2", 0 if header else 6, b""))
    packet += option + body if header else body
    [flow] = flows_in(read_all(pcap([Frame(AT, ethernet(bytes(packet)))])))
    assert flow["octets"] == (100_000, 0)


def test_fragments_of_an_unanswered_datagram_do_not_make_it_one_sided() -> None:
    body = udp(5000, 33_434, b"x" * 72)
    frames = [
        Frame(AT, ethernet(ipv4("10.0.0.5", "10.0.0.9", 17, body[:40], ident=7, more=True))),
        Frame(AT, ethernet(ipv4("10.0.0.5", "10.0.0.9", 17, body[40:], ident=7, offset=40))),
    ]
    [flow] = flows_in(read_all(pcap(frames)))
    assert (flow["marks"], flow["state"]) == (0, "unanswered")


def app_of(frames: list[Frame]) -> str:
    [flow] = flows_in(read_all(pcap(frames)))
    return str(flow["app"])


def test_octets_from_the_middle_are_never_called_unknown() -> None:
    odd = [("client", b"\x00\x13\x37"), ("server", b"\x01\x02")]
    frames = conversation(AT, "10.0.0.5", 40_000, "10.0.0.9", 110, odd)
    assert (app_of(frames), app_of(frames[3:])) == (UNRECOGNISED, "")
    assert app_of(INNER[3:]) == "http", "both sides agree"
    assert app_of([INNER[4]]) == "", "one side alone may be anything"


def test_cut_octets_are_never_called_unknown() -> None:
    long = [("client", b"GET /" + b"a" * 200 + b" HTTP/1.1\r\n\r\n")]
    frames = conversation(AT, "10.0.0.5", 40_000, "10.0.0.9", 80, long)
    assert app_of(frames) == "http"
    assert app_of([Frame(frame.at, frame.data[:96], len(frame.data)) for frame in frames]) == ""


@pytest.mark.parametrize("port", [53, 88, 135, 502, 1433, 2049, 27_017])
def test_a_protocol_that_nobody_recognises_is_no_mismatch_on_its_own_port(port: int) -> None:
    services = catalogue_services()
    assert services.mismatch(port, "tcp", UNRECOGNISED) is None
    assert port == 27_017 or services.mismatch(port, "tcp", "tls"), "what is recognised as another one still is"
    assert services.mismatch(110, "tcp", UNRECOGNISED)


@pytest.mark.parametrize(("port", "app"), [(5601, "http"), (3000, "tls"), (8123, "http"), (9200, "tls"), (27_017, "tls")])
def test_products_that_speak_in_http_or_tls_are_no_mismatch(port: int, app: str) -> None:
    assert catalogue_services().mismatch(port, "tcp", app) is None


def test_names_of_services_are_those_of_the_catalogue() -> None:
    from reconshield.knowledge.index import load_index

    known = set(load_index().services)
    assert all(names <= known for names in FORMATS.values())
    assert {"pop3", "ssh"} <= RECOGNISED
    assert "dns" not in RECOGNISED


def test_frames_without_ip_are_told_where_they_are_many() -> None:
    other = [Frame(AT, typed(0x0806, bytes(28)))] * 3 + [Frame(AT, typed(38, bytes(38)))]
    [note] = [item.text for item in read_all(pcap([*other, *INNER])) if isinstance(item, Note)]
    assert note == "frames: 4 hold no IP packet: 3 ARP, 1 no EtherType"
    assert not [item for item in read_all(pcap(other[:1] + INNER * 3)) if isinstance(item, Note)]


def test_frames_of_two_interfaces_keep_their_numbers() -> None:
    parts = [block("<", 0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    parts += [block("<", 1, struct.pack("<HHI", link, 0, 0)) for link in (1, 101)]
    for number in range(4):
        packet = ipv4("10.0.0.5", "10.0.0.9", 17, udp(5000 + number, 53, b"ask"))
        data = packet if number % 2 else ethernet(packet)
        parts.append(block("<", 6, struct.pack("<IIIII", number % 2, 0, number, len(data), len(data)) + data))
    flows = flows_in(read_all(b"".join(parts)))
    assert {flow["ends"][0]: flow["record"] for flow in flows} == {5000: 1, 5001: 2, 5002: 3, 5003: 4}


@pytest.mark.parametrize("magic", FOREIGN)
def test_formats_that_are_not_read_are_named_with_a_way_out(magic: bytes, tmp_path: Path) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(magic + bytes(100))
    with pytest.raises(UserError, match="are not read") as caught:
        detect_files([path], make_setting(None, AT), told=lambda _: None)
    assert caught.value.hint


def test_a_capture_of_arp_alone_says_so(tmp_path: Path) -> None:
    path = tmp_path / "arp.pcap"
    path.write_bytes(pcap([Frame(AT, typed(0x0806, bytes(28)))] * 2))
    with pytest.raises(UserError, match="2 hold no IP packet: 2 ARP"):
        detect_files([path], make_setting(None, AT), told=lambda _: None)


def test_a_retransmitted_beginning_is_one_flow() -> None:
    syn = Frame(AT, ethernet(ipv4("10.0.0.5", "10.0.0.9", 6, tcp(40_000, 80, SYN, sequence=9))))
    assert len(flows_in(read_all(pcap([syn, Frame(AT + 1, syn.data), Frame(AT + 3, syn.data)])))) == 1


@pytest.mark.parametrize("at", [0, 1])
def test_packets_that_were_mixed_up_are_one_flow(at: int) -> None:
    mixed = [INNER[1], INNER[0], *INNER[3:1:-1], *INNER[4:]]
    flows = flows_in(read_all(pcap(mixed) if at else pcapng(mixed)))
    assert [(flow["src"], flow["app"], flow["octets"]) for flow in flows] == [("10.0.0.5", "http", (27, 19))]


def test_the_same_packets_from_two_interfaces_are_one_flow() -> None:
    parts = [block("<", 0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    parts += [block("<", 1, struct.pack("<HHI", link, 0, 0)) for link in (1, 101)]
    for number, frame in enumerate(INNER):
        for interface, data in ((0, frame.data), (1, frame.data[14:])):
            parts.append(block("<", 6, struct.pack("<IIIII", interface, 0, number, len(data), len(data)) + data))
    [flow] = flows_in(read_all(b"".join(parts)))
    assert (flow["packets"], flow["app"]) == ((8, 6), "http")


@pytest.mark.parametrize(("kept", "whole"), [(67, False), (68, True)])
def test_frames_of_ipv6_cut_behind_the_flags_of_tcp_are_packets(kept: int, whole: bool) -> None:
    frames = conversation(AT, "2001:db8::1", 40_000, "2001:db8::2", 80, WEB)
    items = read_all(pcap([Frame(frame.at, frame.data[:kept], len(frame.data)) for frame in frames]))
    assert [(flow["state"], flow["octets"]) for flow in flows_in(items)] == ([("established", (27, 19))] if whole else [])
    assert bool(faults_in(items)) is not whole
