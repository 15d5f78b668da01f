"""Every format from a file with its known breakage: what is read as a table, what is not by where it stands and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield.addresses import PortSet
from reconshield.intake.formats import INTAKES, recognise
from reconshield.intake.objects import LONGEST, read_objects
from reconshield.intake.reading import Bad, Cut, Intake, Item, Origin, Reading, Spread, Whole

FILES = Path(__file__).parent / "files"
FORMATS = {
    "nmap-mixed.xml": "nmap-xml",
    "nmap-old.xml": "nmap-xml",
    "masscan-broken.json": "masscan-json",
    "masscan.ndjson": "masscan-json",
    "masscan.list": "masscan-list",
    "naabu.jsonl": "naabu",
    "zgrab2.jsonl": "zgrab2",
}


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def read(name: str, size: int = 65_536) -> list[Item]:
    data = (FILES / name).read_bytes()
    intake = recognise(data)
    assert intake is not None
    assert intake.name == FORMATS[name]
    return list(intake.read(pieces(data, size)))


def told(items: list[Item]) -> list[str]:
    """Each item in a line, so that a test reads as a table."""
    return [tell(item) for item in items if not isinstance(item, Origin)]


def tell(item: Item) -> str:
    if isinstance(item, Reading):
        o, claim = item.observation, item.claim
        said = f" {claim.name}{'' if claim.probed else '?'}{' tls' if claim.tls else ''}" if claim else ""
        return f"{o.endpoint} {o.state.label} {o.reason.label}{said}{f' = {o.name}' if o.name else ''}"
    if isinstance(item, Spread):
        return f"{item.ip} {item.transport} {item.ports} {item.state.label} {item.reason.label}"
    if isinstance(item, Bad):
        return f"bad {item.where}: {item.why}"
    return f"cut {item.why}" if isinstance(item, Cut) else f"whole {item.ip}" if isinstance(item, Whole) else ""


TABLES = {
    "nmap-mixed.xml": [
        "192.0.2.1:7/tcp open syn-ack pop3 tls = mx1.example.org",
        "192.0.2.1:10/tcp filtered admin-prohibited = mx1.example.org",
        "192.0.2.1:53/udp open udp-response domain? = mx1.example.org",
        "192.0.2.1 tcp ((1, 6), (8, 9)) closed reset",
        "whole 192.0.2.1",
        "whole 2001:db8::2",
        "bad host 192.0.2.3 port 1/tcp: the state 'unfiltered' says neither open nor closed",
        "bad host 192.0.2.3 port 9/sctp: only tcp and udp are kept, not 'sctp'",
        "192.0.2.3:2/tcp closed reset",
    ],
    "nmap-old.xml": [
        "198.51.100.1:22/tcp open syn-ack ssh?",
        "198.51.100.1 tcp ((20, 21), (23, 29)) closed reset",
        "whole 198.51.100.1",
        "198.51.100.2:25/tcp open syn-ack",
        "bad host 198.51.100.2: 5 ports are only counted; the file does not say which they are",
        "bad host 198.51.100.2: 4 ports are only counted; the file does not say which they are",
    ],
    "masscan-broken.json": [
        "192.0.2.7:80/tcp open syn-ack",
        "192.0.2.7:22/tcp open imported ssh",
        "bad line 5: this is no JSON object",
        "bad line 6: only tcp and udp are kept, not 'icmp'",
        "2001:db8::9:443/tcp closed reset".replace("2001:db8::9", "[2001:db8::9]"),
        "192.0.2.7:80/tcp open syn-ack",
    ],
    "masscan.ndjson": ["192.0.2.7:80/tcp open syn-ack", "192.0.2.7:80/tcp open imported http"],
    "masscan.list": [
        "192.0.2.7:80/tcp open syn-ack",
        "192.0.2.7:53/udp open imported",
        "192.0.2.7:22/tcp open imported ssh",
        "bad line 5: only tcp and udp are kept, not 'sctp'",
        "bad line 6: a line has state, transport, port, address and time",
        "[2001:db8::7]:81/tcp closed reset",
    ],
    "naabu.jsonl": [
        "192.0.2.7:25/tcp open syn-ack = mx1.example.org",
        "192.0.2.7:53/udp open udp-response",
        "bad line 3: this is no JSON object",
        "bad line 4: '70000' is no port",
    ],
    "zgrab2.jsonl": [
        "192.0.2.7:22/tcp open imported ssh = mx1.example.org",
        "192.0.2.7:995/tcp open imported pop3 tls",
        "192.0.2.7:25/tcp open imported unknown",
        "192.0.2.8:22/tcp closed conn-refused",
        "bad line 4: the status 'connection-timeout' does not say whether the port is open",
        "bad line 5: the record does not say which port was asked",
    ],
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("size", [65_536, 97, 1])
def test_a_file_with_its_breakage(name: str, size: int) -> None:
    assert told(read(name, size)) == TABLES[name]


def test_nmap_says_what_was_measured_and_who_measured() -> None:
    origin = read("nmap-mixed.xml")[0]
    assert isinstance(origin, Origin)
    assert (origin.tool, origin.version, origin.started) == ("nmap", "7.93", 1795000000.0)
    assert origin.ports == PortSet(tcp=((1, 10),), udp=((53, 53), (123, 123)))


def test_nmap_products_and_cpe_come_only_from_probing() -> None:
    pop3, dns = (item.claim for item in read("nmap-mixed.xml") if isinstance(item, Reading) and item.claim)
    assert (pop3.product, pop3.cpe) == ("Dovecot pop3d", ("cpe:2.3:a:dovecot:dovecot:*:*:*:*:*:*:*:*",))
    assert (dns.product, dns.cpe) == (None, ())


@pytest.mark.parametrize(("hosts", "lines"), [(1, 5), (2, 6), (3, 9), (4, 9)])
@pytest.mark.parametrize("more", [0, 30])
def test_a_cut_off_nmap_file_gives_every_whole_host(hosts: int, lines: int, more: int) -> None:
    data = (FILES / "nmap-mixed.xml").read_bytes()
    end = 0
    for _ in range(hosts):
        end = data.index(b"</host>", end) + len(b"</host>")
    *found, last = told(list(INTAKES[0].read([data[: end + more]])))
    assert found == TABLES["nmap-mixed.xml"][:lines]
    assert last.startswith("cut the file ends or breaks at line")


BOMB = b"""<?xml version="1.0"?><!DOCTYPE nmaprun [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>
<nmaprun scanner="nmap"><host><address addr="192.0.2.1"/><ports><port protocol="tcp" portid="&b;"/></ports></host></nmaprun>"""
OUTSIDE = (
    b"""<?xml version="1.0"?><!DOCTYPE nmaprun [<!ENTITY x SYSTEM "file:///etc/passwd">]><nmaprun args="a">&x;</nmaprun>"""
)


@pytest.mark.parametrize("data", [BOMB, OUTSIDE])
def test_entities_are_refused(data: bytes) -> None:
    assert told(list(INTAKES[0].read([data]))) == [
        "cut it defines entities, which nmap never does; nothing after them was read"
    ]


def test_a_banner_is_kept_as_bytes() -> None:
    ssh = next(item.claim for item in read("masscan-broken.json") if isinstance(item, Reading) and item.claim)
    assert ssh.banner == b"SSH-2.0-OpenSSH_9.2p1\x1b[31m"


def test_an_endless_object_costs_no_more_than_its_limit() -> None:
    def endless() -> Iterator[bytes]:
        yield b'{"ip": "192.0.2.1", "ports": "'
        for _ in range(200):
            yield b"a" * 65_536
        yield b'\n{"ip": "192.0.2.2"}'

    found = list(read_objects(endless()))
    assert LONGEST < 2**20
    assert found[-1] == ("line 2", {"ip": "192.0.2.2"})
    assert isinstance(found[0], Bad)


@pytest.mark.parametrize("data", [b"", b"  \n", b"<html>", b"hello", b"[]", b"{}", b"\x00" * 100, b"PK\x03\x04"])
def test_what_is_no_result_is_not_recognised(data: bytes) -> None:
    assert recognise(data) is None


@pytest.mark.parametrize("intake", INTAKES, ids=lambda intake: intake.name)
@given(data=st.binary(max_size=400), size=st.integers(1, 64))
def test_any_bytes_are_read_without_a_fault_of_ours(intake: Intake, data: bytes, size: int) -> None:
    intake.recognises(data)
    for item in intake.read(pieces(data, size)):
        assert isinstance(item, Origin | Reading | Spread | Whole | Bad | Cut)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("ip", "port", "ports", "proto", "protocol", "timestamp", "data", "status", "domain", "host")


@pytest.mark.parametrize("intake", INTAKES[1:], ids=lambda intake: intake.name)
@given(record=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8))
def test_any_record_is_read_without_a_fault_of_ours(intake: Intake, record: dict[str, object]) -> None:
    for item in intake.read([json.dumps(record).encode(), b"\n"]):
        assert isinstance(item, Origin | Reading | Bad)


@pytest.mark.parametrize("encoding", ["U-F-8", "hex_codec", "big5", "idna"])
def test_an_nmap_file_in_an_encoding_that_cannot_be_read(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n<nmaprun></nmaprun>'
    assert list(INTAKES[0].read([text.encode()])) == [Cut("it names an encoding that cannot be read; nmap writes UTF-8")]


@given(at=st.integers(0, 3800), byte=st.integers(0, 255))
def test_a_damaged_nmap_file_never_gives_an_endpoint_that_is_none(at: int, byte: int) -> None:
    data = bytearray((FILES / "nmap-mixed.xml").read_bytes())
    data[at % len(data)] = byte
    for item in INTAKES[0].read([bytes(data)]):
        if isinstance(item, Spread):
            assert all(0 <= first <= last <= 65_535 for first, last in item.ports)
