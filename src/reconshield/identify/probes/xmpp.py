"""XMPP (RFC 6120): open a stream, read its features, try STARTTLS. No login is begun.

Servers show their features only for a domain that they serve. Where the target was given by name that name is tried; else the
server often tells its own in the refusal, and is asked again with that.
"""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Reconnect, StartTls, Where

STREAM = re.compile(rb"<stream:stream\b([^>]{0,1000})>")
ENDS = (b"</stream:features>", b"<stream:features/>", b"</stream:error>", b"</stream:stream>")
STARTTLS = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"


def run() -> Dialogue:
    place = yield Where()
    kind = "server" if place.port in (5269, 5270) else "client"
    answer = yield Ask(write_stream(place.host, kind), until=_whole)
    opened = STREAM.search(answer)
    # a server gives every stream an id (§4.7.3), which tells it from an echo
    if not opened or b"http://etherx.jabber.org/streams" not in opened[1] or not re.search(rb"\bid=['\"]", opened[1]):
        return None
    domain = re.search(rb"\bfrom=['\"]([\w.-]{1,253})['\"]", opened[1])
    if b"host-unknown" in answer and domain and domain[1] != place.host.encode("ascii", "replace") and (yield Reconnect()):
        answer = yield Ask(write_stream(domain[1].decode("ascii"), kind), until=_whole)
    facts = _describe(answer, kind)
    if domain and domain[1] != place.host.encode("ascii", "replace"):
        facts["hostname"] = domain[1].decode("ascii")
    facts = _move_into_tls(facts) if place.tls else facts | (yield from _try_tls(facts))
    # the words with which Prosody (mod_c2s, mod_s2s) turns away a domain that is not its own
    prosody = re.search(rb">This (?:server|host) does not serve ", answer) is not None
    return Match("xmpp", "Prosody" if prosody else None, facts=facts)


def _try_tls(facts: dict[str, Any]) -> Any:
    if facts.get("starttls") not in ("offered", "required"):
        return {}
    if b"<proceed" not in (yield Ask(STARTTLS, until=lambda data: data.endswith(b">"))):
        return {"starttls_failed": True}
    upgraded = yield StartTls()
    return {"starttls_failed": True} if upgraded is None else {"starttls_tls": upgraded}


def _move_into_tls(facts: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in facts.items() if key not in ("starttls", "login_clear", "mechanisms_clear")}
    return kept | ({"mechanisms_tls": facts["mechanisms_clear"]} if "mechanisms_clear" in facts else {})


def write_stream(domain: str, kind: str) -> bytes:
    return (
        f"<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='jabber:{kind}' "
        "xmlns:stream='http://etherx.jabber.org/streams'>"
    ).encode("ascii", "replace")


def _whole(data: bytes) -> bool:
    return any(end in data for end in ENDS)


def _describe(answer: bytes, kind: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"stream": kind}
    error = re.search(rb"<stream:error>\s*<([\w-]{1,40})", answer)
    if error:
        return facts | {"error": error[1].decode("ascii")}
    mechanisms = [name.decode("ascii") for name in re.findall(rb"<mechanism>([A-Z0-9_-]{1,40})</mechanism>", answer)][:32]
    tls = re.search(rb"<starttls\b[^>]{0,200}(?:/>|>(.{0,200}?)</starttls>)", answer, re.DOTALL)
    required = bool(tls and b"<required" in (tls[1] or b""))
    facts["mechanisms_clear"] = mechanisms
    facts["starttls"] = "required" if required else "offered" if tls else "not offered"
    facts["login_clear"] = "offered" if "PLAIN" in mechanisms else "refused" if required else "not offered"
    return facts


PROBE = Probe("xmpp", ports=(5222, 5223, 5269, 5270), run=run)
