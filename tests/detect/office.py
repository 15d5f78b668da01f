"""An ordinary day of an office, made up: what machines say that nobody should be called for, and what somebody should.

Both as rows of Zeek's conn.log. The day is steady where machines are steady: polls, heartbeats and keep-alives beat like the
beacons that are looked for, and many of them get no answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detect.captures import zeek_row

Row = dict[str, object]
DAY = 1_760_000_000 - 1_760_000_000 % 86_400
HOUR = 3600
HOSTS = 60
UDP: Row = {"proto": "udp"}
UNANSWERED: Row = {"conn_state": "S0", "orig_bytes": 90, "resp_bytes": 0, "duration": "0.0"}
BIG: Row = {"duration": "18000", "orig_bytes": 9_000_000_000, "resp_bytes": 5_000_000}


def office_day() -> Iterator[Row]:
    dice = np.random.default_rng(5)
    for number in range(HOSTS):
        me, me6 = f"10.30.1.{number + 1}", f"2001:db8:30::{number + 1:x}"
        yield from browsing(dice, me, me6)
        yield from names(dice, number, me, me6)
        yield from heartbeats(number, me, me6)
        if number % 12 == 1:
            yield from calls(dice, number, me)
        yield from games(dice, number, me)
        yield from updates(dice, number, me)
    yield from servers()


def every(begin: int, end: int, step: int) -> range:
    return range(DAY + begin, DAY + end, step)


def browsing(dice: np.random.Generator, me: str, me6: str) -> Iterator[Row]:
    for at in np.sort(dice.integers(8 * HOUR, 18 * HOUR, 50)).tolist():
        yield zeek_row(DAY + at, me, f"198.51.100.{dice.integers(1, 200)}", 443, service="ssl")
        yield zeek_row(DAY + at, me6, f"2001:db8:c::{dice.integers(1, 200):x}", 443, service="quic", **UDP)
        yield zeek_row(DAY + at, me, "10.30.0.53", 53, service="dns", **UDP)


def names(dice: np.random.Generator, number: int, me: str, me6: str) -> Iterator[Row]:
    """Who is there: groups never answer; the stack's own discovery; time; DNS over TLS and QUIC."""
    for at in every(number, 24 * HOUR, 300):
        yield zeek_row(at, me, "224.0.0.251", 5353, service="dns", **UDP, **UNANSWERED)
        yield zeek_row(at, f"fe80::{number + 1:x}", "ff02::fb", 5353, service="dns", **UDP, **UNANSWERED)
        yield zeek_row(at, me, "224.0.0.252", 5355, service="dns", **UDP, **UNANSWERED)
        yield zeek_row(at, me6, "ff02::1:3", 5355, service="dns", **UDP, **UNANSWERED)
        yield zeek_row(at, me, "10.30.255.255", 137, service="dns", **UDP, **UNANSWERED)
        yield zeek_row(at, me6, f"ff02::1:ff00:{number:x}", 136, proto="icmp", **UNANSWERED, **{"id.orig_p": 135})
    for at in every(number, 24 * HOUR, 120):
        yield zeek_row(at, me, "239.255.255.250", 1900, **UDP, **UNANSWERED)
        yield zeek_row(at, me, "239.255.255.250", 3702, **UDP, **UNANSWERED)
    for pool in range(4):  # one of the pool has gone
        state = UNANSWERED if pool == 3 else {}
        yield from (zeek_row(at, me, f"203.0.113.{120 + pool}", 123, **UDP, **state) for at in every(number, 24 * HOUR, 1024))
        server = f"2001:db8:7::{dice.integers(1, 2000):x}"
        yield from (zeek_row(at, me6, server, 123, service="ntp", **UDP) for at in every(number, 24 * HOUR, 1024))
    if number % 5 == 0:
        yield from (zeek_row(at, me, "198.51.100.253", 853, service="ssl") for at in every(number, 24 * HOUR, 90))
        yield from (zeek_row(at, me, "198.51.100.254", 853, service="quic", **UDP) for at in every(number, 24 * HOUR, 90))


def heartbeats(number: int, me: str, me6: str) -> Iterator[Row]:
    """Mail every minute, telemetry, push services, an agent whose cloud the firewall does not let through."""
    yield from (zeek_row(at, me, "203.0.113.25", 993, service="ssl") for at in every(8 * HOUR + number, 18 * HOUR, 60))
    yield from (zeek_row(at, me, "198.51.100.250", 443, service="ssl", orig_bytes=311) for at in every(number, 86_400, 300))
    yield from (zeek_row(at, me6, f"2001:db8:e::{number:x}", 443, service="ssl") for at in every(number, 86_400, 240))
    yield from (zeek_row(at, me, f"203.0.113.{60 + number % 4}", 5223, service="ssl") for at in every(number, 86_400, 900))
    yield from (zeek_row(at, me, f"203.0.113.{70 + number % 9}", 5228, service="ssl") for at in every(number, 86_400, 840))
    yield from (zeek_row(at, me, f"203.0.113.{80 + number % 9}", 8883, service="ssl") for at in every(number, 86_400, 240))
    yield from (zeek_row(at, me, "198.51.100.249", 443, **UNANSWERED) for at in every(number, 86_400, 600))
    yield from (zeek_row(at, me, f"203.0.113.{90 + number}", 80, service="http") for at in every(number, 86_400, 300))


def calls(dice: np.random.Generator, number: int, me: str) -> Iterator[Row]:
    """Telephones keep their registration and their way through the NAT alive; voice goes to odd ports."""
    yield from (zeek_row(at, me, "203.0.113.7", 5060, service="sip", **UDP) for at in every(number, 86_400, 30))
    yield from (zeek_row(at, me, "203.0.113.8", 5061, service="ssl") for at in every(number, 86_400, 60))
    yield from (zeek_row(at, me, f"203.0.113.{10 + number % 8}", 3478, **UDP) for at in every(number, 86_400, 25))
    yield from (zeek_row(at, me, f"198.51.100.{dice.integers(1, 250)}", 19_302, **UDP) for at in every(number, 86_400, 3600))
    for at in np.sort(dice.integers(8 * HOUR, 18 * HOUR, 6)).tolist():
        voice = {"duration": "900", "orig_bytes": 7_000_000, "resp_bytes": 7_000_000}
        yield zeek_row(DAY + at, me, "203.0.113.7", int(dice.integers(10_000, 20_000)), **UDP, **voice)
    yield from (zeek_row(at, me, "203.0.113.4", 4500, **UDP) for at in every(number, 86_400, 20))


def games(dice: np.random.Generator, number: int, me: str) -> Iterator[Row]:
    """Peers on any port, many of them gone; a few that are asked for again and again."""
    if number % 12:
        return
    for at in np.sort(dice.integers(0, 24 * HOUR, 400)).tolist():
        peer, port = f"198.18.{dice.integers(0, 250)}.{dice.integers(1, 250)}", int(dice.integers(1025, 65_535))
        state = UNANSWERED if dice.random() < 0.6 else {"orig_bytes": int(dice.integers(100, 9_000_000))}
        yield zeek_row(DAY + at, me, peer, port, **(UDP if dice.random() < 0.5 else {}), **state)
    for tracker in range(3):
        yield from (zeek_row(at, me, f"198.18.0.{tracker}", 6969, **UDP, **UNANSWERED) for at in every(number, 86_400, 1800))
    yield from (zeek_row(at, me, "198.18.1.1", 27_015, **UDP) for at in every(19 * HOUR, 23 * HOUR, 10))
    yield from (zeek_row(at, me, "198.18.1.2", 25_565) for at in every(19 * HOUR, 23 * HOUR, 300))
    yield from (zeek_row(at, me, "198.18.1.3", 3074, **UDP) for at in every(19 * HOUR, 23 * HOUR, 15))


def updates(dice: np.random.Generator, number: int, me: str) -> Iterator[Row]:
    """Everybody at once, from the vendor, from each other, and from the house's own server."""
    for _ in range(12):
        at, much = DAY + 12 * HOUR + int(dice.integers(0, 1200)), {"resp_bytes": 90_000_000}
        yield zeek_row(at, me, f"198.51.100.{dice.integers(200, 220)}", 80, service="http", **much)
        yield zeek_row(at, me, f"10.30.1.{dice.integers(1, HOSTS)}", 7680, **much)
        yield zeek_row(at, me, "10.30.0.80", 8530, service="http", **much)
    yield zeek_row(DAY + 2 * HOUR, me, "10.30.0.90", 445, service="smb", **BIG)
    yield from (zeek_row(at, me, "10.30.0.10", 389, service="ldap") for at in every(number, 86_400, 1800))
    yield from (zeek_row(at, me, "10.30.0.10", 88, service="krb_tcp") for at in every(number, 86_400, 3600))
    yield from (zeek_row(at, me, "10.30.0.10", 135, service="dce_rpc") for at in every(number, 86_400, 7200))
    printer = f"10.30.2.{number % 4 + 1}"
    yield from (zeek_row(at, me, printer, 631, service="http") for at in every(8 * HOUR + number, 18 * HOUR, 300))
    yield from (zeek_row(at, me, printer, 161, service="snmp", **UDP) for at in every(8 * HOUR + number, 18 * HOUR, 60))
    yield from (zeek_row(at, me, printer, 9100, orig_bytes=4_000_000) for at in every(9 * HOUR + number, 17 * HOUR, 2 * HOUR))


def servers() -> Iterator[Row]:
    """Backups at night, and one machine that asks all others how they are."""
    yield zeek_row(DAY + 7200, "10.30.0.10", "203.0.113.90", 22, service="ssh", **BIG)
    yield zeek_row(DAY + 7200, "10.30.0.11", "203.0.113.91", 443, service="ssl", **BIG)
    yield zeek_row(DAY + 7200, "10.30.0.12", "10.30.0.90", 873, **BIG)
    for number in range(HOSTS):
        host = f"10.30.1.{number + 1}"
        for at in every(number, 86_400, 300):
            yield zeek_row(at, "10.30.0.99", host, 161, service="snmp", **UDP)
            yield zeek_row(at, "10.30.0.99", host, 9100, service="http")
            yield zeek_row(at, "10.30.0.99", host, 10_050)
            yield zeek_row(at, "10.30.0.99", host, 5985, service="http")
            yield zeek_row(at, "10.30.0.99", host, 22, service="ssh")
            yield zeek_row(at, "10.30.0.99", host, 8, proto="icmp", **{"id.orig_p": 8})


def beacon(src: str, dst: str, port: int, hours: int = 12, **more: object) -> list[Row]:
    return [zeek_row(DAY + at, src, dst, port, **more) for at in range(0, hours * HOUR, 60)]
