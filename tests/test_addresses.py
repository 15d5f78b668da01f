"""Targets and ports as tables: what is written, what it means, and what is said of what means nothing."""

import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield.addresses import (
    LOOPBACK,
    NEVER,
    AddressSet,
    PortSet,
    parse_address,
    parse_ports,
    parse_target,
    parse_targets_file,
    text_of,
)
from reconshield.errors import UserError

V4 = 0xFFFF_0000_0000

MEANINGS = [
    ("10.0.0.5", "10.0.0.5"),
    (" 10.0.0.5 ", "10.0.0.5"),
    ("10.88.3", "10.88.0.3"),
    ("10.3", "10.0.0.3"),
    ("0x0a580304", "10.88.3.4"),
    ("0X0A580304", "10.88.3.4"),
    ("0x0a.0x58.3.4", "10.88.3.4"),
    ("167772161", "10.0.0.1"),
    ("010.0.0.1", "8.0.0.1"),
    ("0177.1", "127.0.0.1"),
    ("10.0.0.1.", "10.0.0.1"),
    ("１０.0.0.1", "10.0.0.1"),
    ("10。0。0。1", "10.0.0.1"),
    ("::ffff:1.2.3.4", "1.2.3.4"),
    ("::ffff:0102:0304", "1.2.3.4"),
    ("0:0:0:0:0:FFFF:1.2.3.4", "1.2.3.4"),
    ("[2001:db8::1]", "2001:db8::1"),
    ("2001:DB8:0:0::1", "2001:db8::1"),
    ("10.0.0.0/24", "10.0.0.0/24"),
    ("10.0.0.77/24", "10.0.0.0/24"),
    ("10.0.0.1/32", "10.0.0.1"),
    ("::ffff:10.0.0.0/120", "10.0.0.0/24"),
    ("10.0.0.1-20", "10.0.0.1-20"),
    ("10.0.0.0-255", "10.0.0.0/24"),
    ("10.0.0.1-10.0.1.9", "10.0.0.1-10.0.1.9"),
    ("10.0.0-1.1-254", "10.0.0.1-254, 10.0.1.1-254"),
    ("10.0.0-1.*", "10.0.0.0/23"),
    ("10.0.0-1.5", "10.0.0.5, 10.0.1.5"),
    ("10.0.0.1,3,5-7", "10.0.0.1, 10.0.0.3, 10.0.0.5-7"),
    ("10.0.0.250-", "10.0.0.250-255"),
    ("10.*.*.*", "10.0.0.0/8"),
    ("9-10.*.0-255.-", "9.0.0.0-10.255.255.255"),
    ("2001:db8::/120", "2001:db8::/120"),
    ("2001:db8::10-2001:db8::1f", "2001:db8::10/124"),
    ("2001:db8::1-3", "2001:db8::1-2001:db8::3"),
]


@pytest.mark.parametrize(("text", "meaning"), MEANINGS)
def test_target_is_read_as_these_addresses(text: str, meaning: str) -> None:
    target = parse_target(text)
    assert target.name is None
    assert target.addresses is not None
    assert target.addresses.text() == meaning


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mail.example.org", "mail.example.org"),
        ("Mail.Example.ORG.", "mail.example.org"),
        ("localhost", "localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example.", "xn--bcher-kva.example"),
        ("10.0.0.1.example", "10.0.0.1.example"),
        ("_imap._tcp.example", "_imap._tcp.example"),
        ("db-1", "db-1"),
        ("fe80", "fe80"),
    ],
)
def test_target_is_read_as_a_name(text: str, name: str) -> None:
    target = parse_target(text)
    assert target.name == name
    assert target.addresses is None


@pytest.mark.parametrize(
    ("text", "says", "hints"),
    [
        ("", "is empty", "give an address"),
        ("fe80::1%eth0", "scope id", "without %"),
        ("10.0.0.1%25", "scope id", "without %"),
        ("0.0.0.0/0", "whole Internet", "responsible"),
        ("::/0", "whole Internet", "responsible"),
        ("::ffff:0:0/96", "whole Internet", "responsible"),
        ("*.*.*.*", "whole Internet", "responsible"),
        ("0.0.0.0-255.255.255.255", "whole Internet", "responsible"),
        ("2001:db8::/64", "shorter than /112", "give addresses"),
        ("2001:db8::-2001:db8::2:0", "shorter than /112", "give addresses"),
        ("10.0.0.20-10.0.0.1", "reversed", "write 10.0.0.1-10.0.0.20"),
        ("10.0.0.20-1", "reversed", "write 1-20"),
        ("2001:db8::9-1", "reversed", "write 2001:db8::1-2001:db8::9"),
        ("10.0/16", "all four parts", "write 10.0.0.0/16"),
        ("10.0.0.0/33", "from 1 to 32", "192.0.2.0/24"),
        ("10.0.0.0/", "from 1 to 32", "192.0.2.0/24"),
        ("10.0.0.0/255.255.0.0", "from 1 to 32", "192.0.2.0/24"),
        ("mail.example/24", "no network", "192.0.2.0/24"),
        ("10.0.0.256", "out of range", "a part is 0 to 255"),
        ("10.0.0.1.5", "no IPv4", "separate targets by blanks"),
        ("10.0.0.1,10.0.0.2", "no IPv4", "separate targets by blanks"),
        ("010.0.0.1-5", "no IPv4", "write parts"),
        ("08.0.0.1", "no IPv4", "write parts"),
        ("4294967296", "no IPv4", "four parts"),
        ("0x", "no IPv4", "four parts"),
        ("foo.0x7f", "no IPv4", "four parts"),
        ("*.*.*.1", "too many pieces", "networks"),
        ("10.0.0.1:22", "no IPv6 address", "10.0.0.1 -p 22"),
        ("::ffff:10.0.0.1-20", "no IPv6 address", "2001:db8::7"),
        ("1::2::3", "no IPv6 address", "2001:db8::7"),
        ("https://example.com/x", "a URL", "example.com"),
        ("a b", "neither an address nor a host name", "give"),
        ("-rf", "neither", "give"),
        ("a..b", "neither", "give"),
        ("*.example.org", "neither", "give"),
        ("a" * 64, "neither", "give"),
        ("ü" * 64, "IDNA", "xn--"),
        ("x" * 5000, "too long", "give"),
    ],
)
def test_nonsense_is_refused_with_what_where_next(text: str, says: str, hints: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_target(text)
    assert says in caught.value.message
    assert caught.value.where == text[:80]
    assert hints in (caught.value.hint or "")


def test_grants_and_exclusions_may_name_large_ipv6_networks_but_never_everything() -> None:
    assert (
        parse_target("2001:db8::/32", wide=True).addresses
        == parse_target("2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", wide=True).addresses
    )
    for text in ("::/0", "2000::/3", "0.0.0.0/0"):
        with pytest.raises(UserError, match="whole Internet"):
            parse_target(text, wide=True)


def test_target_file_skips_comments_and_names_the_line_of_a_mistake() -> None:
    lines = ["# mail\n", "10.0.0.1  10.0.0.2 # two\n", "\n", "mx.example\n"]
    assert [target.text for target in parse_targets_file(lines, "hosts")] == ["10.0.0.1", "10.0.0.2", "mx.example"]
    with pytest.raises(UserError) as caught:
        parse_targets_file(["10.0.0.1", "10.0.0.300"], "hosts")
    assert caught.value.where == "hosts line 2: 10.0.0.300"
    with pytest.raises(UserError, match="empty"):
        parse_targets_file(["# nobody", ""], "hosts")


def test_what_is_never_measured() -> None:
    for text in ("0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "ff02::1"):
        assert text in NEVER, text
    for text in ("1.0.0.0", "223.255.255.255", "127.0.0.1", "::1", "fe80::1", "2001:db8::1"):
        assert text not in NEVER, text
    assert "127.255.0.1" in LOOPBACK
    assert "::1" in LOOPBACK
    assert "128.0.0.1" not in LOOPBACK


def test_large_sets_cost_nothing() -> None:
    began = time.process_time()
    for _ in range(1000):
        ten = parse_target("10.0.0.0/8").addresses
        assert ten is not None
        rest = ten - AddressSet.of("10.1.2.3")
        assert rest.count == 2**24 - 1
    assert time.process_time() - began < 60  # not a measurement: an entry for each address would take hours
    assert len(rest.cidrs()) == 24


numbers = st.integers(0, 2**32 - 1) | st.integers(0, 60)


@given(numbers)
def test_every_spelling_that_the_c_library_reads_is_the_address_it_reaches(number: int) -> None:
    octets = number.to_bytes(4)
    a, b, c, d = octets
    spellings = [
        str(number), hex(number), f"{number:#X}", f"0{number:o}", f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{number & 0xFFFF}",
        f"{a:#x}.{b:#o}.{c}.{d}".replace("0o", "0"), f"{a}.{b}.{c}.{d}",
    ]  # fmt: skip
    for spelling in spellings:
        assert socket.inet_aton(spelling) == octets
        assert parse_address(spelling) == V4 | number, spelling


@given(st.text("0123456789abcdefxX.", max_size=20))
def test_no_text_reaches_an_address_through_the_c_library_that_was_not_read(text: str) -> None:
    try:
        reached = socket.inet_aton(text)
    except OSError:
        return
    target = parse_target(text)
    assert target.addresses == AddressSet(((V4 | int.from_bytes(reached),) * 2,))


spots = st.integers(0, 40).map(lambda n: V4 - 20 + n)
ranges = st.lists(st.tuples(spots, spots).map(lambda pair: (min(pair), max(pair))), max_size=6)


def members(addresses: AddressSet) -> set[int]:
    return {value for first, last in addresses.ranges for value in range(first, last + 1)}


@given(ranges, ranges)
def test_algebra_is_that_of_sets(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    a, b = AddressSet(tuple(left)), AddressSet(tuple(right))
    assert members(a | b) == members(a) | members(b)
    assert members(a & b) == members(a) & members(b)
    assert members(a - b) == members(a) - members(b)
    assert a.covers(b) == (members(a) >= members(b))
    assert a.count == len(members(a))
    assert bool(a) == bool(members(a))
    assert {value for value in range(V4 - 25, V4 + 25) if value in a} == members(a)
    if a:
        assert a.first == min(members(a))


@given(ranges)
def test_text_and_networks_mean_the_set_they_were_made_from(pairs: list[tuple[int, int]]) -> None:
    addresses = AddressSet(tuple(pairs))
    for parts in (addresses.cidrs(), addresses.text(limit=99).split(", ") if addresses else ()):
        union = AddressSet()
        for part in parts:
            union |= parse_target(part).addresses or AddressSet()
        assert union == addresses


@given(st.integers(0, 2**128 - 1))
def test_an_address_survives_its_text(value: int) -> None:
    assert parse_address(text_of(value)) == value


@pytest.mark.parametrize(
    ("text", "canonical", "count"),
    [
        ("22", "22", 1),
        ("22,80,1-1024", "1-1024", 1024),
        ("-", "1-65535", 65535),
        ("1-", "1-65535", 65535),
        ("-1024", "1-1024", 1024),
        ("0-", "0-65535", 65536),
        ("T:80,U:53,161", "80,U:53,161", 3),
        ("U:53,T:80,443,22", "22,80,443,U:53", 4),
        ("80,U:53,t:443", "80,443,U:53", 3),
        (" 22, 80 ,22", "22,80", 2),
        ("U:-", "U:1-65535", 65535),
        ("100-200,150-300,301", "100-301", 202),
    ],
)
def test_ports_are_read_as_nmap_reads_them(text: str, canonical: str, count: int) -> None:
    request = parse_ports(text)
    assert request.ports.text() == canonical
    assert request.ports.count == count
    assert request.names == ()
    assert parse_ports(canonical).ports == request.ports


def test_names_of_ports_stay_names_with_their_transport() -> None:
    request = parse_ports("pop3,110,U:@common-udp,53,domain,T:HTTP-alt,pop3,9pfs")
    assert request.names == (
        ("", "pop3"),
        ("udp", "@common-udp"),
        ("udp", "domain"),
        ("tcp", "http-alt"),
        ("tcp", "pop3"),
        ("tcp", "9pfs"),
    )
    assert request.ports == PortSet(tcp=((110, 110),), udp=((53, 53),))


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("22,70000", "port 70000 is out of range (0–65535)", "-p 22,7000"),
        ("1-99999", "port 99999 is out of range (0–65535)", "-p 1-9999"),
        ("100-20", "the port range 100-20 is reversed", "-p 20-100"),
        ("", "a port is missing", "-p 1-1024"),
        ("22,,80", "a port is missing", "-p 22,80"),
        ("T:,80", "a port is missing", "-p 80"),
        ("S:80", "unknown prefix s: of a port", "-p T:80,U:53"),
        ("1-2-3", "1-2-3 is no port or range of ports", "-p 22,80,1-1024"),
        ("²", "'²' is no port", "-p 22,80,1-1024"),
        ("pop3;ls", "'pop3;ls' is no port", "-p 22,80,1-1024"),
    ],
)
def test_port_mistakes_get_three_lines(text: str, says: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_ports(text)
    assert caught.value.message == says
    assert caught.value.where == f"-p {text}"
    assert (caught.value.hint or "").startswith(hint)


def test_port_sets_combine() -> None:
    a, b = parse_ports("1-100,U:53").ports, parse_ports("50-60,U:53,161").ports
    assert (a - b).text() == "1-49,61-100"
    assert (a | b).text() == "1-100,U:53,161"
    assert (a & b).text() == "50-60,U:53"
    assert ("udp", 53) in a
    assert ("tcp", 53) in a
    assert ("udp", 54) not in a
    assert not (a - a)
