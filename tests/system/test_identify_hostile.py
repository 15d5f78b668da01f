"""Servers that misbehave: each ends in bounded time and memory, and the service says what was really seen."""

from __future__ import annotations

import os
import re
import socket
import struct
import time
import tracemalloc

import pytest

from listeners import Talk, listening, targets
from reconshield.identify.drive import identify_all
from reconshield.identify.limits import Limits
from reconshield.model import Rung, Service, Tls

pytestmark = pytest.mark.system

SECONDS = 45.0
MEMORY = 24 * 1024 * 1024
GIGABYTE = 1 << 30


def silent(connection: socket.socket) -> None:
    time.sleep(60)


def closes(connection: socket.socket) -> None:
    connection.close()


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def drips(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x")
        time.sleep(1)


def drips_smtp(connection: socket.socket) -> None:
    for byte in b"220 a.test ESMTP " * 100:
        connection.sendall(bytes([byte]))
        time.sleep(0.3)


def floods(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"\xab\xcd" * 32768)


def huge_banner(connection: socket.socket) -> None:
    connection.sendall(b"220 ")
    for _ in range(GIGABYTE // 65536):
        connection.sendall(b"mail " * 13107)


def echoes(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def endless_headers(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: yes\r\n" * 100)


def huge_length(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 99999999999\r\n\r\n<title>x</title>")
    time.sleep(60)


def noise_for_tls(connection: socket.socket) -> None:
    while connection.recv(4096):
        connection.sendall(os.urandom(4096))


def record(kind: int, body: bytes) -> bytes:
    return bytes([kind, 3, 3]) + len(body).to_bytes(2, "big") + body


HELLO = b"\x02" + (38).to_bytes(3, "big") + b"\x03\x03" + bytes(32) + b"\0" + b"\x00\x9c" + b"\0"


def only_tls(connection: socket.socket, flight: bytes, pause: float = 0.0) -> None:
    """Answers a ClientHello with `flight`, anything else with an alert."""
    if connection.recv(4096)[:1] != b"\x16":
        connection.sendall(record(21, b"\x02\x0a"))
        return
    for at in range(0, len(flight), 16384):
        connection.sendall(flight[at : at + 16384])
        time.sleep(pause)
    time.sleep(30)


def garbage_tls(connection: socket.socket) -> None:
    only_tls(connection, record(22, HELLO) + record(22, os.urandom(2000)))


def endless_tls(connection: socket.socket) -> None:
    only_tls(connection, record(22, HELLO) + record(22, b"\x0b\xff\xff\xff" + bytes(16000)) * 100)


def megabyte_certificate(connection: socket.socket) -> None:
    der = b"\x30\x83\x0f\xff\xf0" + bytes(1_048_560)
    chain = len(der).to_bytes(3, "big") + der
    message = b"\x0b" + (len(chain) + 3).to_bytes(3, "big") + len(chain).to_bytes(3, "big") + chain
    pieces = b"".join(record(22, message[at : at + 16000]) for at in range(0, len(message), 16000))
    only_tls(connection, record(22, HELLO) + pieces)


def malformed_certificate(connection: socket.socket) -> None:
    der = b"\x30\x82\x01\x00" + os.urandom(256)
    chain = len(der).to_bytes(3, "big") + der
    message = b"\x0b" + (len(chain) + 3).to_bytes(3, "big") + len(chain).to_bytes(3, "big") + chain
    only_tls(connection, record(22, HELLO) + record(22, message) + record(22, b"\x0e\0\0\0"))


def hangs_in_tls(connection: socket.socket) -> None:
    only_tls(connection, record(22, HELLO)[:20])


def escapes(connection: socket.socket) -> None:
    connection.sendall(b"\x1b[2J\x1b]0;owned\x07=cmd|' /C calc'!A1\r\n")
    time.sleep(60)


def starttls_lies(connection: socket.socket) -> None:
    connection.sendall(b"+OK ready\r\n")
    connection.recv(100)
    connection.sendall(b"+OK\r\nSTLS\r\nUSER\r\n.\r\n")
    connection.recv(100)
    connection.sendall(b"+OK go on\r\n")
    while True:
        connection.sendall(os.urandom(4096))


SERVERS: list[tuple[Talk, set[str], Rung, Tls]] = [
    (silent, {"unknown"}, Rung.STAYS_OPEN, Tls.NONE),
    (closes, {"unknown"}, Rung.HANDSHAKE, Tls.NONE),
    (resets, {"unknown"}, Rung.HANDSHAKE, Tls.NONE),
    (drips, {"unknown"}, Rung.BYTES, Tls.NONE),
    (drips_smtp, {"unknown"}, Rung.BYTES, Tls.NONE),
    (floods, {"unknown"}, Rung.BYTES, Tls.NONE),
    (huge_banner, {"unknown"}, Rung.BYTES, Tls.NONE),
    (echoes, {"echo"}, Rung.PROTOCOL, Tls.NONE),
    (endless_headers, {"http"}, Rung.PROTOCOL, Tls.NONE),
    (huge_length, {"http"}, Rung.PROTOCOL, Tls.NONE),
    (noise_for_tls, {"unknown"}, Rung.BYTES, Tls.NONE),
    (garbage_tls, {"unknown"}, Rung.BYTES, Tls.IMPLICIT),
    (endless_tls, {"unknown"}, Rung.BYTES, Tls.IMPLICIT),
    (megabyte_certificate, {"unknown"}, Rung.BYTES, Tls.IMPLICIT),
    (malformed_certificate, {"unknown"}, Rung.BYTES, Tls.IMPLICIT),
    (hangs_in_tls, {"unknown"}, Rung.BYTES, Tls.IMPLICIT),
    (escapes, {"unknown"}, Rung.BYTES, Tls.NONE),
    (starttls_lies, {"pop3"}, Rung.PROTOCOL, Tls.STARTTLS),
]


def identify_with_care(talk: Talk, level: int = 3) -> tuple[Service, float, int]:
    with listening(talk) as listener:
        tracemalloc.start()
        started = time.monotonic()
        [service] = identify_all(targets(level), [listener.endpoint], None, Limits(strict=True))
        seconds, (_, peak) = time.monotonic() - started, tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return service, seconds, peak


@pytest.mark.parametrize(("talk", "services", "rung", "tls"), SERVERS, ids=[row[0].__name__ for row in SERVERS])
def test_hostile_server(talk: Talk, services: set[str], rung: Rung, tls: Tls) -> None:
    service, seconds, peak = identify_with_care(talk)
    assert (service.service in services, service.rung, service.tls) == (True, rung, tls), service
    assert seconds < SECONDS
    assert peak < MEMORY
    assert len(service.evidence) <= 40
    assert all(len(turn.received) <= 4096 and len(turn.sent) <= 4096 for turn in service.evidence)


def test_certificates_that_cannot_be_read_are_values() -> None:
    service, _, _ = identify_with_care(megabyte_certificate)
    assert re.match(r"the chain is 10485\d\d bytes long", service.facts["tls"]["certificate"]["unreadable"])
    service, _, _ = identify_with_care(malformed_certificate)
    assert set(service.facts["tls"]["certificate"]) == {"unreadable", "sha256"}


@pytest.mark.parametrize("talk", [floods, garbage_tls, starttls_lies, echoes], ids=lambda talk: talk.__name__)
def test_hostile_server_at_level_four(talk: Talk) -> None:
    service, seconds, peak = identify_with_care(talk, level=4)
    assert seconds < 2 * SECONDS
    assert peak < MEMORY
    for key in ("tls", "starttls_tls"):
        versions = service.facts.get(key, {}).get("versions", {})
        assert {"SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.3"} & {
            name for name, said in versions.items() if said == "accepted"
        } == set()
