"""Talking inside TLS, with whoever: no verification, the oldest version that the local OpenSSL still has, any cipher.

`upgrade` runs the handshake over a `Wire` and gives back a `TlsLine` that reads and writes like one, with the facts of what was
agreed. The bytes that the server sent during it are kept: `tls_hello` reads from them what OpenSSL does not tell (the chain up
to TLS 1.2), and what the server said if it spoke no TLS at all. Verifying is no business of ours: a certificate that nobody
trusts is what we came to report.
"""

from __future__ import annotations

import ipaddress
import ssl
import warnings
from dataclasses import dataclass, field
from typing import Any

from reconshield.identify.certificate import read_certificate
from reconshield.identify.tls_hello import Answer, read_answer
from reconshield.identify.wire import CHUNK, Wire

KEPT = 64 * 1024
LEGACY_SERVER_CONNECT = 0x4  # SSL_OP_LEGACY_SERVER_CONNECT: servers without RFC 5746 are still servers
NAMES = {"TLSv1": "TLSv1.0"}


def make_context() -> ssl.SSLContext:
    """A client that takes whatever it can get. It is costly to make: one a run."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are what we look for
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.options |= LEGACY_SERVER_CONNECT
    return context


@dataclass(slots=True)
class Handshake:
    """How an attempt went: `line` and `facts` when it succeeded, else `problem`. `heard` are the server's raw bytes."""

    line: TlsLine | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    heard: bytes = b""
    sent: bytes = b""
    problem: str | None = None

    @property
    def answer(self) -> Answer:
        return read_answer(self.heard)


class TlsLine:
    """A connection inside TLS, read and written like a `Wire`."""

    __slots__ = ("_incoming", "_outgoing", "_tls", "ended", "wire")

    def __init__(self, wire: Wire, context: ssl.SSLContext, name: str | None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self.wire = wire
        self.ended: str | None = None

    async def shake(self, by: float, result: Handshake) -> bool:
        """Run the handshake; what is sent and heard goes into `result`. True when TLS runs."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as problem:
                result.problem = (problem.reason or "handshake failed").lower().replace("_", " ")
                await self._flush(by)
                return False
            else:
                return await self._flush(by)
            result.sent = result.sent or self._outgoing_copy()
            if not await self._flush(by, result) or not await self._fill(by, result):
                return False

    def _outgoing_copy(self) -> bytes:
        data = self._outgoing.read()
        self._outgoing.write(data)
        return data

    async def _flush(self, by: float, result: Handshake | None = None) -> bool:
        data = self._outgoing.read()
        if not data or await self.wire.send(data, by):
            return True
        # The server may have answered before it hung up: what it said is worth reading.
        return result is not None and self.wire.ended is None

    async def _fill(self, by: float, result: Handshake) -> bool:
        data = await self.wire.receive(by)
        if not data:
            result.problem = "no answer" if data is None else "closed"
            return False
        result.heard = (result.heard + data)[:KEPT]
        self._incoming.write(data)
        return True

    async def receive(self, by: float) -> bytes | None:
        while True:
            try:
                data = self._tls.read(CHUNK)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as problem:
                self.ended = (problem.reason or "closed").lower().replace("_", " ")
                return b""
            else:
                self.ended = None if data else "closed"
                return data
            await self._flush(by)
            raw = await self.wire.receive(by)
            if raw is None:
                return None
            if not raw:
                self.ended = self.wire.ended
                return b""
            self._incoming.write(raw)

    async def send(self, data: bytes, by: float) -> bool:
        try:
            self._tls.write(data)
        except ssl.SSLError:
            return False
        return await self._flush(by)

    def close(self) -> None:
        self.wire.close()

    def describe(self, cipher: str | None) -> dict[str, Any]:
        """Version, cipher, ALPN if any was agreed, and the certificate. `cipher` is its IANA name, if the hello showed it."""
        version = self._tls.version() or "unknown"
        agreed = self._tls.cipher()
        facts: dict[str, Any] = {"version": NAMES.get(version, version), "cipher": cipher or (agreed[0] if agreed else None)}
        if alpn := self._tls.selected_alpn_protocol():
            facts["alpn"] = alpn
        if der := self._tls.getpeercert(binary_form=True):
            facts["certificate"] = read_certificate(der)
        return facts


async def upgrade(wire: Wire, context: ssl.SSLContext, host: str | None, by: float) -> Handshake:
    """Turn a connection to TLS; `host` goes into SNI when it is a name."""
    result = Handshake()
    try:
        line = TlsLine(wire, context, name_for_sni(host))
    except (ValueError, UnicodeError):  # a name that SNI cannot carry
        line = TlsLine(wire, context, None)
    if not await line.shake(by, result):
        return result
    result.line = line
    answer = result.answer
    result.facts = line.describe(answer.cipher)
    result.facts |= describe_chain(answer)
    return result


def describe_chain(answer: Answer) -> dict[str, Any]:
    """Who issued whom, where the server sent its chain in clear (TLS 1.2 and older)."""
    if len(answer.certificates) < 2:
        return {}
    return {"chain": [read_certificate(der).get("subject", "unreadable") for der in answer.certificates[:8]]}


def describe_answer(answer: Answer) -> dict[str, Any]:
    """TLS facts from our own hello, for servers that the local OpenSSL cannot talk to."""
    facts: dict[str, Any] = {"version": answer.version, "cipher": answer.cipher}
    if answer.alpn:
        facts["alpn"] = answer.alpn
    if answer.certificates:
        facts["certificate"] = read_certificate(answer.certificates[0])
    elif answer.oversized:
        facts["certificate"] = {"unreadable": f"the chain is {answer.oversized} bytes long"}
    return {**facts, **describe_chain(answer)}


def name_for_sni(host: str | None) -> str | None:
    """A host name, but no address: RFC 6066 §3 forbids those."""
    if not host:
        return None
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return None


def shows_identity(facts: dict[str, Any] | None) -> bool:
    """Whether TLS facts hold a certificate that could be read."""
    return bool(facts) and "unreadable" not in (facts or {}).get("certificate", {"unreadable": "none came"})
