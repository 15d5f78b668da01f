"""RTSP (RFC 2326 §10.1): OPTIONS for the server as a whole. No stream is described or opened."""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

REQUEST = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: ReconShield\r\n\r\n"
STATUS = re.compile(r"RTSP/(\d\.\d) (\d{3})[^\r\n]{0,100}\r?\n")
NAMED = re.compile(r"([A-Za-z][\w .-]{1,40}?)(?:/| v)(\d[\w.-]{0,30})")
"""A `Server` header that gives a name and a version."""


def run() -> Dialogue:
    answer = yield Ask(REQUEST, until=lambda data: b"\r\n\r\n" in data)
    text = answer.decode("latin-1")
    status = STATUS.match(text)
    if not status:
        return None
    headers = dict(re.findall(r"^(Server|Public|WWW-Authenticate): *([^\r\n]{0,300})", text, re.MULTILINE))
    facts: dict[str, Any] = {"protocol": f"RTSP/{status[1]}", "status": int(status[2])}
    facts["auth"] = "required" if status[2] == "401" else "unknown"
    if "Public" in headers:
        facts["methods"] = [name.strip() for name in headers["Public"].split(",")][:32]
    server = headers.get("Server", "")
    if server:
        facts["server"] = server
    named = NAMED.match(server)
    return Match("rtsp", named[1] if named else server or None, named[2] if named else None, facts)


PROBE = Probe("rtsp", ports=(554, 8554), run=run)
