"""SQL Server Browser ([MC-SQLR] §2.2.2): the instances of a machine with their versions and ports. It knows no login."""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe

LIST_UNICAST, RESPONSE = b"\x03", 0x05


def run() -> Dialogue:
    answer = yield Ask(LIST_UNICAST)
    if len(answer) < 3 or answer[0] != RESPONSE or int.from_bytes(answer[1:3], "little") != len(answer) - 3:
        return None
    text = answer[3:].decode("latin-1")
    if not text.startswith("ServerName;"):
        return None
    instances = [_read_pairs(part) for part in text.split(";;")[:32] if part]
    facts: dict[str, Any] = {"auth": "none", "instances": instances, "hostname": instances[0].get("ServerName", "")}
    version = instances[0].get("Version", "")
    known = version if re.fullmatch(r"\d+\.\d+\.\d+(?:\.\d+)?", version) and len(instances) == 1 else None
    facts |= {"request_bytes": len(LIST_UNICAST), "answer_bytes": len(answer)}
    cpe = (name_cpe("microsoft", "sql_server", known),) if known else ()
    return Match("mssql-browser", "Microsoft SQL Server Browser", known, facts, cpe)


def _read_pairs(text: str) -> dict[str, str]:
    words = text.split(";")[:40]
    return {key[:40]: value[:100] for key, value in zip(words[::2], words[1::2], strict=False)}


PROBE = Probe("mssql-browser", ports=(1434,), run=run, transport="udp")
