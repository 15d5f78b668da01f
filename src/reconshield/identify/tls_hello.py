"""Our own half of the first flight of TLS: a ClientHello of any version from SSL 3.0 on, and a reader of what comes back.

It needs no cryptography and does not depend on what the local OpenSSL still speaks, so a server that knows only SSL 3.0 is seen
as one. Bytes in, facts out; whoever has the connection sends and receives. Structures: RFC 6101 (SSL 3.0), RFC 5246, RFC 8446.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconshield.identify.tls_names import ALERTS, CIPHERS, OLD_SUITES, TLS13_SUITES, VERSIONS

CHANGE, ALERT, HANDSHAKE = 20, 21, 22
SERVER_HELLO, CERTIFICATE, HELLO_DONE = 2, 11, 14
SERVER_NAME, GROUPS, POINTS, SIGNATURES, ALPN, SUPPORTED_VERSIONS, KEY_SHARE = 0, 10, 11, 13, 16, 43, 51
FALLBACK_RENEGOTIATION = 0x00FF  # RFC 5746 §3.3: says "secure renegotiation" where an extension may not stand
FLIGHT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server's first flight shows. Everything None: no TLS record came. `certificates` are DER, the leaf first.

    `oversized` is the announced length of a Certificate message that is longer than anybody should read.
    """

    version: str | None = None
    cipher: str | None = None
    alpn: str | None = None
    alert: str | None = None
    certificates: tuple[bytes, ...] = ()
    oversized: int = 0
    done: bool = False

    @property
    def speaks_tls(self) -> bool:
        return self.version is not None or self.alert is not None


def client_hello(version: int, name: str | None, random: bytes, alpn: Sequence[str] = ()) -> bytes:
    """One record that offers exactly `version` (0x0300 to 0x0304). `random` is 64 bytes: nonce, then a key share."""
    suites = TLS13_SUITES if version == 0x0304 else (*OLD_SUITES, FALLBACK_RENEGOTIATION)
    body = min(version, 0x0303).to_bytes(2, "big") + random[:32]
    body += vector(random[:32] if version == 0x0304 else b"", 1)
    body += vector(b"".join(suite.to_bytes(2, "big") for suite in suites), 2) + vector(b"\0", 1)
    if version > 0x0300:
        body += vector(extensions(version, name, random[32:64], alpn), 2)
    message = b"\x01" + vector(body, 3)
    return b"\x16" + min(version, 0x0301).to_bytes(2, "big") + vector(message, 2)


def extensions(version: int, name: str | None, share: bytes, alpn: Sequence[str]) -> bytes:
    """Extensions that servers of that version want to see, the server's name if there is one."""
    made = b""
    if name:
        made += extension(SERVER_NAME, vector(b"\0" + vector(name.encode("idna"), 2), 2))
    made += extension(GROUPS, vector(bytes.fromhex("001d 0017 0018 0019 0100"), 2))
    made += extension(POINTS, vector(b"\0", 1))
    if version >= 0x0303:
        schemes = "0403 0503 0603 0807 0808 0804 0805 0806 0401 0501 0601 0203 0201 0202"
        made += extension(SIGNATURES, vector(bytes.fromhex(schemes), 2))
    if alpn:
        made += extension(ALPN, vector(b"".join(vector(word.encode(), 1) for word in alpn), 2))
    if version == 0x0304:
        made += extension(SUPPORTED_VERSIONS, vector(b"\x03\x04", 1))
        # Any 32 bytes are a public key of X25519 (RFC 7748 §5): the server can answer, we never need the secret.
        made += extension(KEY_SHARE, vector(b"\x00\x1d" + vector(share, 2), 2))
    return made


def vector(data: bytes, size: int) -> bytes:
    return len(data).to_bytes(size, "big") + data


def extension(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(data, 2)


def read_answer(data: bytes) -> Answer:
    """The facts of a server's first flight, as far as it has come. Takes any bytes."""
    version = cipher = alpn = alert = None
    certificates: tuple[bytes, ...] = ()
    done = False
    stream = b""
    for kind, body in records(data):
        if kind == ALERT and len(body) == 2 and body[0] in {1, 2}:
            alert = ALERTS.get(body[1], f"alert {body[1]}")
            done = True
        if kind != HANDSHAKE or done:
            break  # from here on encrypted, or nothing more
        stream += body
    for kind, body in messages(stream):
        if kind == SERVER_HELLO and version is None:
            version, cipher, alpn = read_server_hello(body)
        elif version is None:
            break
        elif kind == CERTIFICATE:
            certificates = tuple(read_certificates(body))
        done = done or kind == HELLO_DONE
    oversized = announced(stream) if version and not certificates else 0
    return Answer(version, cipher, alpn, alert, certificates, oversized, done or oversized > 0 or version == "TLSv1.3")


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Whole TLS records from the start of `data`; ends at the first thing that is none."""
    at = 0
    while at + 5 <= len(data):
        kind, major, minor = data[at : at + 3]
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        if kind not in {CHANGE, ALERT, HANDSHAKE} or major != 3 or minor > 4 or not 0 < length <= 0x4000 + 2048:
            return
        body = data[at + 5 : at + 5 + length]
        if len(body) < length:
            return
        yield kind, body
        at += 5 + length


def messages(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Whole handshake messages."""
    at = 0
    while at + 4 <= len(stream):
        length = int.from_bytes(stream[at + 1 : at + 4], "big")
        body = stream[at + 4 : at + 4 + length]
        if len(body) < length:
            return
        yield stream[at], body
        at += 4 + length


def announced(stream: bytes) -> int:
    """The length of an unfinished Certificate message, if it is longer than a flight may be; else 0."""
    at = 0
    while at + 4 <= len(stream):
        length = int.from_bytes(stream[at + 1 : at + 4], "big")
        if stream[at] == CERTIFICATE and length > FLIGHT:
            return length
        at += 4 + length
    return 0


def read_server_hello(body: bytes) -> tuple[str | None, str | None, str | None]:
    """Version, cipher suite, ALPN. A HelloRetryRequest has the same form and shows the same."""
    if len(body) < 38:
        return None, None, None
    number = int.from_bytes(body[:2], "big")
    at = 35 + body[34]
    suite = int.from_bytes(body[at : at + 2], "big")
    alpn = None
    for kind, value in read_extensions(body[at + 3 :]):
        if kind == SUPPORTED_VERSIONS and len(value) == 2:
            number = int.from_bytes(value, "big")
        elif kind == ALPN and len(value) > 3:
            alpn = value[3 : 3 + value[2]].decode("latin-1")
    if len(body) < at + 3 or number not in VERSIONS:
        return None, None, None
    return VERSIONS[number], CIPHERS.get(suite, f"0x{suite:04X}"), alpn


def read_extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    at, end = 2, 2 + int.from_bytes(data[:2], "big")
    while at + 4 <= min(end, len(data)):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        yield int.from_bytes(data[at : at + 2], "big"), data[at + 4 : at + 4 + length]
        at += 4 + length


def read_certificates(body: bytes) -> Iterator[bytes]:
    """The chain of a Certificate message of TLS 1.2 or older (RFC 5246 §7.4.2)."""
    at = 3
    while at + 3 <= len(body):
        length = int.from_bytes(body[at : at + 3], "big")
        if at + 3 + length > len(body):
            return
        yield body[at + 3 : at + 3 + length]
        at += 3 + length


def looks_like_tls(data: bytes) -> bool:
    """Whether bytes begin as a record that a server sends: ServerHello or alert. An echoed ClientHello does not."""
    if len(data) < 6 or data[1] != 3 or data[2] > 4:
        return False
    return (data[0] == HANDSHAKE and data[5] == SERVER_HELLO) or (
        data[0] == ALERT and data[3:5] == b"\0\2" and data[5] in {1, 2}
    )


def judge_version(asked: int, answer: Answer) -> str:
    """One row of the version sweep: "accepted", "refused", or "not shown" when the server left without a word."""
    if answer.version is not None:
        return "accepted" if answer.version == VERSIONS[asked] else "refused"
    return "refused" if answer.alert is not None else "not shown"
