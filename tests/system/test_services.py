"""What a scan says about real servers, against the truth of how they are configured. The table is the test.

Findings are compared as whole sets: what is listed must be found, and nothing else may be claimed.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from system.configured import LAX, LAX6, SERVERS, STRICT, STRICT6, WORDS
from system.listeners import listening
from system.netns import Lab, Namespace, can_make_namespaces
from system.scanning import Answer, scan
from system.servers import missing_programs, running

pytestmark = [pytest.mark.system, pytest.mark.quiet]  # thirteen servers have to answer in time

PORTS = sorted({int(endpoint.rsplit(":", 1)[1]) for server in SERVERS for endpoint in server.endpoints} - {12345})
HELD = 102  # a PLC's port: gets no byte


class Expected(NamedTuple):
    """One endpoint: what it is, and all findings there are. `score` and `version` only where configuration fixes them."""

    address: str
    port: int
    service: str
    product: str | None
    tls: str
    findings: str
    score: int | None = None
    versioned: bool = False


TABLE = (
    Expected(LAX, 21, "ftp", "vsftpd", "none", "ftp-anonymous-login ftp-cleartext-login ftp-version-banner", 69, True),
    Expected(LAX, 2100, "ftp", "vsftpd", "none", "ftp-cleartext-login ftp-version-banner", 54, True),
    Expected(LAX6, 21, "ftp", "vsftpd", "none", "ftp-anonymous-login ftp-cleartext-login ftp-version-banner", 69, True),
    Expected(STRICT, 21, "ftp", "vsftpd", "starttls", "tls-self-signed ftp-version-banner", 39, True),
    # Debian's package has the fix of what its version is known for: said as a note.
    Expected(LAX, 22, "ssh", "OpenSSH", "none", "ssh-known-vulnerability ssh-version-banner", 44, True),
    Expected(LAX6, 22, "ssh", "OpenSSH", "none", "ssh-known-vulnerability ssh-version-banner", 44, True),
    Expected(LAX, 8443, "ssh", "OpenSSH", "none", "ssh-known-vulnerability ssh-unexpected-port ssh-version-banner", 44, True),
    # Nobody can log in on 25: whether there is TLS says nothing about passwords.
    Expected(LAX, 25, "smtp", "Postfix smtpd", "starttls", "tls-self-signed", 30),
    Expected(LAX6, 25, "smtp", "Postfix smtpd", "starttls", "tls-self-signed", 30),
    Expected(STRICT, 25, "smtp", "Postfix smtpd", "starttls", "tls-self-signed", 30),
    Expected(LAX, 2525, "smtp", "Postfix smtpd", "none", "", 30),
    Expected(LAX, 465, "smtp", "Postfix smtpd", "implicit", "tls-self-signed", 18),
    Expected(LAX, 587, "smtp", "Postfix smtpd", "starttls", "smtp-cleartext-login tls-self-signed", 26),
    Expected(STRICT, 587, "smtp", "Postfix smtpd", "starttls", "tls-self-signed", 11),
    Expected(LAX, 53, "dns", "ISC BIND", "none", "dns-open-recursion dns-version-banner", None, True),
    Expected(LAX6, 53, "dns", "ISC BIND", "none", "dns-open-recursion dns-version-banner", None, True),
    Expected(LAX, 5300, "dns", "ISC BIND", "none", "dns-open-recursion dns-version-banner", None, True),
    Expected(STRICT, 53, "dns", None, "none", ""),
    Expected(LAX, 80, "http", "nginx", "none", "http-version-banner", None, True),
    Expected(LAX6, 80, "http", "nginx", "none", "http-version-banner", None, True),
    Expected(LAX, 8080, "http", "nginx", "none", "http-cleartext-login http-version-banner", None, True),
    Expected(LAX, 443, "http", "nginx", "implicit", "tls-self-signed tls-old-version http-version-banner", 16, True),
    Expected(
        LAX, 1521, "http", "nginx", "implicit", "tls-expired tls-self-signed http-unexpected-port http-version-banner", 16, True
    ),
    Expected(STRICT, 443, "http", "nginx", "implicit", "", 16),
    Expected(STRICT, 8444, "http", "nginx", "implicit", "tls-expires-soon", 16),
    Expected(STRICT, 8445, "http", "nginx", "implicit", "tls-not-yet-valid", 16),
    Expected(STRICT, 3306, "http", "nginx", "none", "http-unexpected-port"),
    Expected(LAX, 110, "pop3", "Dovecot pop3d", "starttls", "pop3-cleartext-login tls-expired tls-self-signed", 44),
    Expected(LAX6, 110, "pop3", "Dovecot pop3d", "starttls", "pop3-cleartext-login tls-self-signed", 44),
    Expected(LAX, 31110, "pop3", "Dovecot pop3d", "starttls", "pop3-cleartext-login tls-expired tls-self-signed", 44),
    Expected(LAX, 995, "pop3", "Dovecot pop3d", "implicit", "tls-expired tls-self-signed", 28),
    Expected(STRICT, 110, "pop3", "Dovecot pop3d", "starttls", "tls-self-signed", 29),
    Expected(STRICT6, 110, "pop3", "Dovecot pop3d", "starttls", "tls-self-signed", 29),
    Expected(STRICT, 995, "pop3", "Dovecot pop3d", "implicit", "tls-self-signed", 28),
    Expected(LAX, 143, "imap", "Dovecot imapd", "starttls", "imap-cleartext-login tls-self-signed", 40),
    Expected(LAX6, 143, "imap", "Dovecot imapd", "starttls", "imap-cleartext-login tls-self-signed", 40),
    Expected(LAX, 993, "imap", "Dovecot imapd", "implicit", "tls-self-signed", 28),
    Expected(STRICT, 143, "imap", "Dovecot imapd", "starttls", "tls-self-signed", 25),
    Expected(STRICT6, 143, "imap", "Dovecot imapd", "starttls", "tls-self-signed", 25),
    Expected(LAX, 6379, "redis", "Redis", "none", "redis-no-auth redis-version-banner", 100, True),
    Expected(LAX6, 6379, "redis", "Redis", "none", "redis-no-auth redis-version-banner", 100, True),
    Expected(LAX, 4443, "redis", "Redis", "implicit", "redis-no-auth tls-self-signed redis-version-banner", None, True),
    Expected(LAX, 7777, "redis", "Redis", "none", ""),  # protected mode: strangers are turned away
    Expected(STRICT, 6379, "redis", "Redis", "none", "redis-cleartext-login", 73),
    Expected(LAX, 11211, "memcached", "Memcached", "none", "memcached-no-auth memcached-version-banner", 84, True),
    Expected(LAX6, 11211, "memcached", "Memcached", "none", "memcached-no-auth memcached-version-banner", 84, True),
    Expected(
        LAX,
        27017,
        "memcached",
        "Memcached",
        "none",
        "memcached-no-auth memcached-unexpected-port memcached-version-banner",
        84,
        True,
    ),
    # Whether a login needs a password, and whether it may be in clear, is decided per user; nobody's name is tried.
    Expected(LAX, 5432, "postgresql", "PostgreSQL", "starttls", "tls-self-signed", 53),
    Expected(LAX6, 5432, "postgresql", "PostgreSQL", "starttls", "tls-self-signed", 53),
    Expected(STRICT, 5432, "postgresql", "PostgreSQL", "none", "", 53),
    Expected(LAX, 3306, "mysql", "MariaDB", "none", "mysql-version-banner", 53, True),
    Expected(LAX, 13306, "mysql", "MariaDB", "none", "mysql-version-banner", 53, True),
    Expected(
        LAX, 389, "ldap", "OpenLDAP", "starttls", "ldap-anonymous-bind ldap-cleartext-login tls-self-signed tls-old-version", 81
    ),
    Expected(
        LAX6,
        389,
        "ldap",
        "OpenLDAP",
        "starttls",
        "ldap-anonymous-bind ldap-cleartext-login tls-self-signed tls-old-version",
        81,
    ),
    Expected(LAX, 636, "ldap", "OpenLDAP", "implicit", "ldap-anonymous-bind tls-self-signed tls-old-version"),
    # A bind as nobody is granted, and shows nothing: found, but no proof of an open directory.
    Expected(
        LAX,
        3268,
        "ldap",
        "OpenLDAP",
        "starttls",
        "ldap-anonymous-bind ldap-cleartext-login tls-self-signed tls-old-version",
        66,
    ),
    Expected(STRICT, 389, "ldap", None, "starttls", "tls-self-signed"),
    Expected(LAX, 5900, "vnc", None, "none", "vnc-no-auth vnc-no-encryption vnc-exposed", 82),
    Expected(LAX, 5909, "vnc", None, "none", "vnc-no-encryption vnc-exposed", 67),
    Expected(STRICT, 5900, "vnc", None, "none", "vnc-exposed", 67),
    Expected(LAX, 445, "smb", "Samba smbd", "none", "smb-null-session smb-signing-not-required smb-v1", 98),
    Expected(LAX, 139, "smb", "Samba smbd", "none", "smb-null-session smb-signing-not-required smb-v1", 98),
    Expected(STRICT, 445, "smb", "Samba smbd", "none", "", 83),
)


class World(NamedTuple):
    scanner: Namespace
    host: Namespace


def greet_as_ftp(connection: socket.socket) -> None:
    connection.sendall(b"220 ready\r\n")


def serve_ftp(connection: socket.socket) -> None:
    """Just enough of FTP to see what is asked; TLS is announced and never begun."""
    connection.sendall(b"220 Test FTP server\r\n")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All servers, on two IPv4 and two IPv6 addresses, and a scanner at the other end of a cable."""
    if not can_make_namespaces():
        pytest.skip("needs root, ip and nft")
    if missing := missing_programs(SERVERS):
        pytest.skip(f"not installed: {', '.join(missing)}; `make packages` as root installs them")
    with Lab() as lab:
        scanner, host = lab.namespace("scan"), lab.namespace("servers")
        lab.link(scanner, host, "10.93.0.1/24", f"{LAX}/24", "fd93::1/64", f"{LAX6}/64")
        for address in (f"{STRICT}/24", f"{STRICT6}/64"):
            device = host.run("ip", "-br", "link", "show", "type", "veth").split("@")[0]
            host.run("ip", "address", "add", address, "dev", device, *(("nodad",) if ":" in address else ()))
        with running(host, SERVERS, tmp_path_factory.mktemp("world"), WORDS):
            yield World(scanner, host)


@pytest.fixture(scope="module")
def assessed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """The one scan that the table is compared with."""
    ports = ",".join(map(str, PORTS))
    return scan(world.scanner, tmp_path_factory.mktemp("home"), LAX, LAX6, STRICT, STRICT6, "-p", ports, "--level", "4")


@pytest.fixture(scope="module")
def identified(world: World, tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """The same hosts at level 3."""
    ports = ",".join(map(str, PORTS))
    return scan(world.scanner, tmp_path_factory.mktemp("home"), LAX, STRICT, "-p", ports, "--level", "3")


def test_the_scan_ends_well(assessed: Answer) -> None:
    assert (assessed.code, assessed.summary["state"]) == (0, "complete"), assessed.error
    assert assessed.summary["probes"] == 4 * len(PORTS)


@pytest.mark.parametrize("expected", TABLE, ids=lambda e: f"{e.service}-{e.address}-{e.port}")
def test_service(assessed: Answer, expected: Expected) -> None:
    endpoint = (expected.address, expected.port)
    row = assessed.services()[endpoint]
    seen = (row["service"], row["product"], row["tls"], row["confidence"])
    assert seen == (expected.service, expected.product, expected.tls, "confirmed"), row
    assert assessed.findings(endpoint) == set(expected.findings.split()), row["facts"]
    assert (row["version"] is not None) == expected.versioned
    assert expected.score in (None, row["risk"]["score"]), row["risk"]["factors"]


def test_every_finding_has_evidence_a_remedy_and_the_risk_of_its_endpoint(assessed: Answer) -> None:
    services = assessed.services()
    for finding in assessed.of("finding"):
        service = services[finding["ip"], finding["port"]]
        assert finding["evidence"]["seen"], finding
        assert finding["remedy"], finding
        assert finding["risk"] == service["risk"], finding
        assert service["evidence"], finding


def test_open_redis_shows_its_arithmetic(assessed: Answer) -> None:
    risk = assessed.services()[LAX, 6379]["risk"]
    assert [factor["points"] for factor in risk["factors"]] == [30, 20, 5, 20, 10, 15]
    assert (risk["score"], risk["rating"]) == (100, "critical")


def test_nothing_that_listens_is_missed(assessed: Answer) -> None:
    known = {(e.address, e.port) for e in TABLE}
    others = {key: row["service"] for key, row in assessed.services().items() if key not in known}
    # dovecot listens on every address and samba on both its ports; no endpoint remains unknown.
    assert set(others.values()) <= {"pop3", "imap", "smb"}, others
    assert known <= assessed.services().keys()


def test_level_three_asks_for_no_session(identified: Answer) -> None:
    assert identified.code == 0
    for row in identified.of("service"):
        facts = row["facts"]
        assert facts.keys().isdisjoint({"anonymous", "recursion", "smb1"}), row
        assert "versions" not in (facts.get("tls") or facts.get("starttls_tls") or {}), row
        sent = "".join(turn["sent"] for turn in row["evidence"])
        assert not any(word in sent for word in ("USER", "PASS", "AUTH PLAIN", "NTLMSSP", "listDatabases")), row
    further = {"ftp-anonymous-login", "ldap-anonymous-bind", "smb-null-session", "smb-v1", "dns-open-recursion"}
    assert further.isdisjoint(row["check"] for row in identified.of("finding"))


def test_level_three_finds_the_same_services(assessed: Answer, identified: Answer) -> None:
    after, before = identified.services(), assessed.services()
    assert {key: row["service"] for key, row in after.items()} == {key: before[key]["service"] for key in after}
    assert after.keys() == {key for key in before if ":" not in key[0]}


FTP_WORDS = {3: {b"FEAT"}, 4: {b"FEAT", b"USER anonymous"}}


@pytest.mark.parametrize("level", FTP_WORDS)
def test_what_an_ftp_server_hears(world: World, tmp_path: Path, level: int) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"220 test FTP server\r\n")
        while line := connection.recv(1024):
            ftp.received += line
            connection.sendall(b"211-Features:\r\n SIZE\r\n211 End\r\n" if line == b"FEAT\r\n" else b"530 No.\r\n")

    with listening(world.host, LAX, 2121, talk) as ftp:
        answer = scan(world.scanner, tmp_path, LAX, "-p", "2121", "--level", str(level))
    assert answer.services()[LAX, 2121]["service"] == "ftp"
    assert set(ftp.received.splitlines()) - {b"QUIT"} == FTP_WORDS[level]


def test_level_two_connects_and_sends_no_byte(world: World, tmp_path: Path) -> None:
    with listening(world.host, LAX, 6400) as silent, listening(world.host, LAX, 110 + 10000, serve_ftp) as greeting:
        answer = scan(world.scanner, tmp_path, LAX, "-p", "6400,10110", "--level", "2")
    assert answer.code == 0
    assert {row["confidence"] for row in answer.of("service")} == {"guess"}
    assert not answer.of("finding")
    for listener in (silent, greeting):
        assert listener.received == b""
        assert listener.connections <= 1  # the raw engine makes none


def test_a_held_back_port_gets_no_byte(world: World, tmp_path: Path) -> None:
    with listening(world.host, LAX, HELD, greet_as_ftp) as plc:
        answer = scan(world.scanner, tmp_path, LAX, "-p", str(HELD), "--level", "4")
    assert plc.received == b""
    assert plc.connections >= 1
    assert [row["port"] for row in answer.of("held-back")] == [HELD]
    assert "held back" in answer.services()[LAX, HELD]["note"]
