"""NATS: the INFO line that every server greets with, a JSON object (NATS documentation, "Client Protocol")."""

from __future__ import annotations

import json
import re
from typing import Any

from reconshield.identify.probe import Dialogue, Match, Probe, Read, StartTls, first_line, line, name_cpe


def run() -> Dialogue:
    hello = yield Read(until=line)
    info = _read_info(hello)
    if info is None:
        return None
    facts: dict[str, Any] = {"greeting": first_line(hello)[:200], "auth": "required" if info.get("auth_required") else "none"}
    facts |= {key: str(info[key]) for key in ("server_name", "cluster", "go") if isinstance(info.get(key), str)}
    facts["jetstream"] = bool(info.get("jetstream"))
    required, offered = bool(info.get("tls_required")), bool(info.get("tls_available"))
    facts["starttls"] = "required" if required else "offered" if offered else "not offered"
    facts["login_clear"] = "refused" if required else "offered"
    if required or offered:
        upgraded = yield StartTls()
        facts |= {"starttls_failed": True} if upgraded is None else {"starttls_tls": upgraded}
    version = info.get("version")
    stated = version if isinstance(version, str) and re.fullmatch(r"\d[\w.+-]{0,40}", version) else None
    return Match("nats", "NATS", stated, facts, (name_cpe("linuxfoundation", "nats-server", stated),))


def _read_info(hello: bytes) -> dict[str, Any] | None:
    if not hello.startswith(b"INFO {"):
        return None
    try:
        info = json.loads(first_line(hello)[5:])
    except (ValueError, RecursionError):
        return None
    return info if isinstance(info, dict) and "server_id" in info else None


PROBE = Probe("nats", ports=(4222, 6222), run=run, speaks_first=True)
