"""SIP (RFC 3261 §11): OPTIONS, over TCP and UDP. It names no user; `rport` (RFC 3581) brings the answer back to our port."""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Place, Probe, Where

PRODUCTS: tuple[tuple[str, str], ...] = (
    (r"kamailio \((\d[\w.-]*)", "Kamailio"),
    (r"OpenSIPS \((\d[\w.-]*)", "OpenSIPS"),
    (r"OpenSER \((\d[\w.-]*)", "OpenSER"),
    (r"Asterisk(?: PBX)?(?: (?:certified/)?(\d[\w.~+-]*))?", "Asterisk"),
    (r"FreeSWITCH(?:-mod_sofia/(\d[\w.]*))?", "FreeSWITCH"),
    (r"FPBX-(?:[\d.]+)\((\d[\w.]*)\)", "FreePBX"),
    (r"Cisco-SIPGateway/(\S+)", "Cisco SIP gateway"),
)
STATUS = re.compile(r"SIP/2\.0 (\d{3}) ?([^\r\n]{0,100})\r?\n")


def run() -> Dialogue:
    place = yield Where()
    answer = yield Ask(_write_options(place), until=lambda data: b"\r\n\r\n" in data)
    text = answer.decode("latin-1")
    status = STATUS.match(text)
    if not status:
        return None
    headers = _read_headers(text)
    facts: dict[str, Any] = {"status": int(status[1]), "reason": status[2]}
    facts["auth"] = "required" if status[1] in ("401", "407") else "unknown"
    if "allow" in headers:
        facts["methods"] = [name.strip() for name in headers["allow"].split(",")][:32]
    server = headers.get("server") or headers.get("user-agent")
    if server:
        facts["server"] = server
    return _name(server or "", facts)


def _write_options(place: Place) -> bytes:
    host = f"[{place.host}]" if ":" in place.host else place.host
    lines = (
        f"OPTIONS sip:{host}:{place.port} SIP/2.0",
        f"Via: SIP/2.0/{place.transport.upper()} reconshield.invalid;branch=z9hG4bK5253;rport",
        "Max-Forwards: 0",
        "From: <sip:reconshield.invalid>;tag=5253",
        f"To: <sip:{host}>",
        "Call-ID: 5253@reconshield.invalid",
        "CSeq: 1 OPTIONS",
        "Contact: <sip:reconshield.invalid>",
        "Accept: application/sdp",
        "Content-Length: 0",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii", "replace")


def _read_headers(text: str) -> dict[str, str]:
    """The last of each header, by its name in lower case."""
    lines = text.split("\r\n\r\n", 1)[0].split("\r\n")[1:100]
    return {name.strip().lower(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def _name(server: str, facts: dict[str, Any]) -> Match:
    for pattern, product in PRODUCTS:
        found = re.match(pattern, server)
        if found:
            return Match("sip", product, found[1], facts)
    return Match("sip", facts=facts)


PROBE = Probe("sip", ports=(5060, 5061, 5080), run=run)
UDP = Probe("sip", ports=(5060, 5080), run=run, transport="udp")
