"""WS-Discovery (OASIS 1.1 §5.2), asked directly: printers, cameras and Windows machines tell what they are and where."""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

MESSAGE_ID = b"urn:uuid:5245434f-4e53-4849-454c-440000000001"
REQUEST = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    b' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    b' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Header>'
    b"<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>"
    b"<a:MessageID>" + MESSAGE_ID + b"</a:MessageID>"
    b"<a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header>"
    b"<s:Body><d:Probe/></s:Body></s:Envelope>"
)


def run() -> Dialogue:
    answer = yield Ask(REQUEST)
    if b"ProbeMatches" not in answer or MESSAGE_ID not in answer:
        return None
    facts: dict[str, Any] = {"auth": "none", "request_bytes": len(REQUEST), "answer_bytes": len(answer)}
    types, addresses = _read(answer, b"Types"), _read(answer, b"XAddrs")
    facts |= ({"types": types} if types else {}) | ({"addresses": addresses} if addresses else {})
    return Match("ws-discovery", facts=facts)


def _read(answer: bytes, name: bytes) -> list[str]:
    """The words of the first element of that name, whatever its prefix."""
    found = re.search(rb"<(?:[\w-]{1,20}:)?" + name + rb"(?:\s[^>]{0,300})?>([^<]{0,2000})</", answer)
    return found[1].decode("utf-8", "replace").split()[:16] if found else []


PROBE = Probe("ws-discovery", ports=(3702,), run=run, transport="udp")
