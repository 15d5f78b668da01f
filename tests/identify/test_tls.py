"""TLS facts: our own hello against real servers and recorded bytes, certificates of every kind, and any bytes at all."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from listeners import Talk, listening, targets
from reconshield.identify.certificate import read_certificate
from reconshield.identify.drive import identify_all
from reconshield.identify.limits import Limits
from reconshield.identify.tls_hello import Answer, client_hello, judge_version, looks_like_tls, read_answer
from reconshield.identify.tls_names import VERSIONS
from reconshield.model import Rung, Service, Tls

RANDOM = bytes(range(64))
QUICK = Limits(strict=True, silence_seconds=0.5, turn_seconds=1.0, late_greeting_seconds=1.0, spacing=0.0)
HELLO_12 = bytes.fromhex("16 0303 002a 02 000026 0303" + "00" * 32 + "00 c02f 00")
HELLO_SSL3 = bytes.fromhex("16 0300 002a 02 000026 0300" + "00" * 32 + "00 0005 00")
HELLO_13 = bytes.fromhex("16 0303 0032 02 00002e 0303" + "00" * 32 + "00 1302 00 0006 002b 0002 0304")
REFUSAL = bytes.fromhex("15 0301 0002 02 46")

ANSWERS = [
    (HELLO_12, Answer("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")),
    (HELLO_SSL3, Answer("SSLv3", "TLS_RSA_WITH_RC4_128_SHA")),
    (HELLO_13, Answer("TLSv1.3", "TLS_AES_256_GCM_SHA384", done=True)),
    (HELLO_12.replace(b"\xc0\x2f", b"\xfe\xfe"), Answer("TLSv1.2", "0xFEFE")),
    (REFUSAL, Answer(alert="protocol_version", done=True)),
    (HELLO_12[:-1], Answer()),
    (b"", Answer()),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", Answer()),
    (client_hello(0x0303, None, RANDOM), Answer()),  # an echo
]


@pytest.mark.parametrize(("data", "answer"), ANSWERS)
def test_first_flight_is_read(data: bytes, answer: Answer) -> None:
    assert read_answer(data) == answer
    assert looks_like_tls(data) == answer.speaks_tls or data == HELLO_12[:-1]


@pytest.mark.parametrize(
    ("asked", "data", "verdict"),
    [
        (0x0303, HELLO_12, "accepted"),
        (0x0304, HELLO_12, "refused"),  # a lower version was chosen
        (0x0300, HELLO_SSL3, "accepted"),
        (0x0301, REFUSAL, "refused"),
        (0x0301, b"", "not shown"),  # left without a word, as dovecot does
    ],
)
def test_version_is_accepted_refused_or_not_shown(asked: int, data: bytes, verdict: str) -> None:
    assert judge_version(asked, read_answer(data)) == verdict


def make_certificate(key: Any, **changes: Any) -> bytes:
    subject = x509.Name(changes.get("subject", [x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")]))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(changes.get("issuer", subject))
        .public_key(key.public_key())
        .serial_number(0x1234)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
    )
    if names := changes.get("names"):
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(changes.get("signer", key), algorithm).public_bytes(serialization.Encoding.DER)


RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
SAN = [x509.DNSName("a.test"), x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]
CA = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Some CA")])

CERTIFICATES = [
    (make_certificate(RSA), {"key": "RSA 2048", "key_type": "RSA", "key_bits": 2048, "signature": "sha256WithRSAEncryption"}),
    (make_certificate(EC), {"key": "EC 256", "signature": "ecdsaWithSHA256", "self_signed": True}),
    (
        make_certificate(ED),
        {"key": "Ed25519", "key_bits": 256, "key_type": "Ed25519", "signature": "Ed25519", "self_signed": True},
    ),
    (make_certificate(EC, names=SAN), {"names": ["a.test", "192.0.2.1"], "subject": "CN=mail.test"}),
    (make_certificate(EC), {"names": ["mail.test"], "issuer": "CN=mail.test", "serial": "1234"}),
    (make_certificate(EC), {"not_before": "2020-01-01T00:00:00Z", "not_after": "2030-01-01T00:00:00Z"}),
    (make_certificate(EC, issuer=CA), {"self_signed": False, "issuer": "CN=Some CA"}),
    (make_certificate(EC, signer=ec.generate_private_key(ec.SECP256R1())), {"self_signed": False}),
    (make_certificate(EC, subject=[]), {"subject": "", "names": []}),
]


@pytest.mark.parametrize(("der", "facts"), CERTIFICATES)
def test_certificate_facts(der: bytes, facts: dict[str, Any]) -> None:
    read = read_certificate(der)
    assert {key: read[key] for key in facts} == facts
    assert len(read["sha256"]) == 64


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x82\xff\xff" + bytes(70_000), CERTIFICATES[0][0][:-9], b"\x00" * 100])
def test_unreadable_certificate_is_a_value(der: bytes) -> None:
    assert set(read_certificate(der)) == {"unreadable", "sha256"}


@given(st.binary(max_size=400), st.integers(0, 900), st.binary(min_size=1, max_size=4))
def test_any_bytes_are_read(data: bytes, at: int, change: bytes) -> None:
    read_answer(data)
    read_answer(HELLO_12[:at] + data)
    mutated = bytearray(CERTIFICATES[0][0])
    mutated[at : at + len(change)] = change
    assert "sha256" in read_certificate(bytes(mutated))
    assert "unreadable" in read_certificate(data)


def serve_tls(folder: Path, greeting: bytes = b"", newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Talk:
    """A TLS server that greets, or answers HTTP."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    forms = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key.write_bytes(RSA.private_bytes(*forms))
    certificate.write_text(ssl.DER_cert_to_PEM_cert(CERTIFICATES[0][0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = newest
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1_2

    def talk(connection: socket.socket) -> None:
        try:
            inside = context.wrap_socket(connection, server_side=True)
        except ssl.SSLError:
            return
        with inside:
            inside.sendall(greeting)
            while asked := inside.recv(4096):
                inside.sendall(b"-ERR\r\n" if greeting else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" if asked else b"")

    return talk


def identify_one(talk: Talk, level: int = 3) -> Service:
    with listening(talk) as listener:
        [service] = identify_all(targets(level), [listener.endpoint], None, QUICK)
    return service


@pytest.mark.parametrize(("greeting", "service"), [(b"", "http"), (b"+OK ready\r\n", "pop3")])
def test_service_inside_tls_is_found(tmp_path: Path, greeting: bytes, service: str) -> None:
    found = identify_one(serve_tls(tmp_path, greeting))
    assert (found.service, found.tls, found.rung) == (service, Tls.IMPLICIT, Rung.TLS_IDENTITY)
    assert found.facts["tls"]["certificate"]["subject"] == "CN=mail.test"
    assert found.facts["tls"]["version"] == "TLSv1.3"
    assert "login_clear" not in found.facts


def test_versions_are_swept_at_level_four(tmp_path: Path) -> None:
    found = identify_one(serve_tls(tmp_path, newest=ssl.TLSVersion.TLSv1_2), level=4)
    facts = found.facts["tls"]
    assert facts["versions"] == {name: "accepted" if name == "TLSv1.2" else "refused" for name in VERSIONS.values()}
    assert facts["cipher"].startswith("TLS_ECDHE_RSA_WITH_")


def test_server_that_only_our_hello_can_read() -> None:
    """SSL 3.0 alone: the local OpenSSL gets an alert, our hello sees version, cipher and certificate."""
    der = CERTIFICATES[0][0]
    chain = len(der).to_bytes(3, "big") + der
    message = b"\x0b" + (len(chain) + 3).to_bytes(3, "big") + len(chain).to_bytes(3, "big") + chain
    flight = HELLO_SSL3 + b"\x16\x03\x00" + len(message).to_bytes(2, "big") + message + b"\x16\x03\x00\x00\x04\x0e\0\0\0"

    def talk(connection: socket.socket) -> None:
        hello = connection.recv(4096)
        connection.sendall(flight if hello[9:11] == b"\x03\x00" else REFUSAL)
        connection.recv(4096)

    found = identify_one(talk)
    assert (found.service, found.tls, found.rung) == ("unknown", Tls.IMPLICIT, Rung.TLS_IDENTITY)
    assert found.facts["tls"]["version"] == "SSLv3"
    assert found.facts["tls"]["cipher"] == "TLS_RSA_WITH_RC4_128_SHA"
    assert found.facts["tls"]["certificate"]["subject"] == "CN=mail.test"
    assert found.note is not None
    assert found.note.startswith("TLS, but no session")


def test_plain_answer_to_tls_is_a_hint(tmp_path: Path) -> None:
    """An HTTPS port answers a plain request with a plain refusal; what counts is what it is inside TLS."""
    inner = serve_tls(tmp_path)

    def talk(connection: socket.socket) -> None:
        if connection.recv(1, socket.MSG_PEEK) == b"\x16":
            inner(connection)
            return
        connection.recv(4096)
        body = b"<center>The plain HTTP request was sent to HTTPS port</center>"
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    found = identify_one(talk)
    assert (found.service, found.tls) == ("http", Tls.IMPLICIT)
    assert found.facts["status"] == 200
    assert found.others == ("http without TLS: the server asked for TLS",)


def test_hello_names_the_server_only_by_name() -> None:
    assert b"mail.test" in client_hello(0x0303, "mail.test", RANDOM)
    assert client_hello(0x0300, "mail.test", RANDOM) == client_hello(0x0300, None, RANDOM)
