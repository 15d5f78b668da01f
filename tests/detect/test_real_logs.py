"""Logs as people have them: marks of an encoding, columns left out, other clocks, numbers for names."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path

import pytest

from detect.captures import Frame, ethernet, ipv4, pcap, zeek_conn, zeek_row
from detect.reading import flows_in, read_all
from reconshield.detect.pieces import as_utf8
from reconshield.jobs.detect import Detected, detect_files, make_setting
from reconshield.jobs.policy import known_names
from reconshield.policy import read_policy
from reconshield.report.detections import endpoint_text
from reconshield.text import place_text

AT = 1_760_000_000.0
POLICY = """
version = 1
[[zone]]
name = "cell"
targets = ["10.0.0.9"]
[[traffic]]
zone = "cell"
direction = "in"
ports = "443"
with = ["wan"]
"""
ROW = zeek_row(AT, "10.0.0.5", "203.0.113.9", 443)
ZEEK = zeek_conn([ROW])
JSON = json.dumps(ROW | {"ts": AT, "id.orig_p": 50_000}).encode() + b"\n"
FIREWALL = (
    "#Version: 1.5\r\n#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags tcpsyn tcpack tcpwin "
    "icmptype icmpcode info path\r\n\r\n"
    "2026-11-27 10:11:12 DROP TCP 203.0.113.9 10.0.0.5 51000 445 60 S 1 0 64240 - - - RECEIVE\r\n"
)


def judged(data: bytes, path: Path) -> Detected:
    path.write_bytes(data)
    return detect_files([path], make_setting(None, AT), told=lambda _: None)


@pytest.mark.parametrize("data", [ZEEK, JSON, FIREWALL.encode()], ids=["tsv", "json", "firewall"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_the_mark_of_an_encoding_costs_no_record(data: bytes, encoding: str, tmp_path: Path) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    [read] = judged((mark + data.decode()).encode(encoding), tmp_path / "log").inputs
    assert (read.records, read.bad, read.faults) == (1, 0, [])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_utf_16_in_pieces_of_any_size(size: int) -> None:
    data = FIREWALL.encode("utf-16")
    assert b"".join(as_utf8(data[at : at + size] for at in range(0, len(data), size))) == FIREWALL.encode()
    assert b"".join(as_utf8([b"a"])) == b"a"
    assert list(as_utf8([])) == []


def test_a_conn_log_with_few_columns_is_read() -> None:
    [flow] = flows_in(read_all(zeek_conn([ROW], ["ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto"])))
    assert (flow["ends"], flow["octets"], flow["state"]) == ((50_000, 443), (-1, -1), "unknown")


def test_times_of_zeek_in_milliseconds() -> None:
    [flow] = flows_in(read_all(JSON.replace(b"1760000000.0", b"1760000000250")))
    assert flow["start"] == pytest.approx(AT + 0.25)


def test_the_clock_of_busybox_syslog() -> None:
    packet = b"SRC=203.0.113.9 DST=10.0.0.5 LEN=60 TTL=52 ID=1 PROTO=TCP SPT=51000 DPT=22 WINDOW=64240 RES=0x00 SYN URGP=0 \n"
    [flow] = flows_in(read_all(b"Fri Nov 27 10:11:12 2026 kern.warn kernel: [12.5] drop IN=wan OUT= MAC= " + packet))
    assert not isnan(flow["start"])
    assert flow["state"] == "denied"


def test_ra_with_numbers_names_what_is_not_of_ip() -> None:
    head = b"StartTime,Flgs,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,TotPkts,TotBytes,State\n"
    rows = b"1760000000.5,e,2054,10.0.0.5,,who,10.0.0.1,,2,88,CON\n1760000000.5,e,6,10.0.0.5,50000,->,10.0.0.9,22,9,900,FIN\n"
    items = read_all(head + rows)
    assert len(flows_in(items)) == 1
    assert [type(item).__name__ for item in items if not hasattr(item, "rows")] == ["Note"]


@pytest.mark.parametrize(
    ("port", "transport", "text"),
    [(110, "tcp", "110/tcp"), (0, "tcp", "0/tcp"), (0, "1", "icmp"), (0, "58", "icmp6"), (0, "99", "protocol 99")],
)
def test_a_place_without_ports_is_named_by_its_protocol(port: int, transport: str, text: str) -> None:
    assert place_text(port, transport) == text


def test_a_ping_is_told_in_words(tmp_path: Path) -> None:
    policy, problems = read_policy(POLICY, "reconshield.toml", known_names())
    assert policy, problems
    path = tmp_path / "ping.pcap"
    path.write_bytes(pcap([Frame(AT, ethernet(ipv4("10.0.0.5", "10.0.0.9", 1, bytes([8]) + bytes(7))))]))
    [found] = detect_files([path], make_setting(policy, AT), told=lambda _: None).matches.detections
    assert endpoint_text(found) == "10.0.0.9 icmp"
    assert found.evidence[0].because.startswith("zone cell expects no icmp here")
    assert found.following == "on 10.0.0.5: tcpdump -ni any host 10.0.0.9 and icmp"
