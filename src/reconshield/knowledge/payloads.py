"""What may be sent to a UDP port to learn whether something answers: one harmless question a port, from `payloads.toml`.

TCP says of itself whether a port is open; a UDP service says nothing until it is asked in its own protocol. So the scan needs a
question for each usual UDP port. A port without one, or whose question needs a higher level, gets an empty datagram: it shows a
closed port (by the ICMP error) and asks nothing. Held-back ports (`ports.held_back`) and port 0 get nothing at all, so they
cannot be measured.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from reconshield.knowledge.ports import held_back

PAYLOADS = Path(__file__).with_name("payloads.toml")
DATAGRAMS = 3
"""One question and two repetitions at most, for each port of each host."""

SCAN_LEVEL = 2
_TOKEN = re.compile(r"'([^']*)'|#[^\n]*|([0-9a-f]{2})|\s+")


@dataclass(frozen=True, slots=True)
class Payload:
    """A question: its bytes, what it asks, where that is specified, from which level on, and the largest answer (bytes).

    `elsewhere` says that the answer may come from another port, `wait` how many seconds it may be late by the protocol.
    """

    name: str
    ports: tuple[int, ...]
    asks: str
    spec: str
    data: bytes
    answer: int
    level: int = SCAN_LEVEL
    elsewhere: bool = False
    wait: float = 0.0


NOTHING = Payload("", (), "nothing: an empty datagram", "RFC 768", b"", 0)
"""What a port gets that has no question."""


def payload_of(port: int, level: int) -> Payload:
    """The question that a UDP port gets from a scan of this level. Never for `unmeasurable` ports."""
    found = _by_port().get(port)
    return found if found is not None and level >= found.level else NOTHING


def why_unmeasurable(port: int) -> str | None:
    """Why nothing may be sent to a UDP port, so that its state cannot be known; None if it can be measured."""
    if port == 0:
        return "nothing can be sent to port 0"
    held = held_back(port, "udp")
    return f"{held.kind} port held back, and UDP shows no state without a datagram" if held else None


@cache
def all_payloads() -> tuple[Payload, ...]:
    """Every question, in the order of the file. A row whose size is not the one that it states raises ValueError."""
    return tuple(_read(row) for row in _load()["payload"])


@cache
def unasked() -> dict[int, str]:
    """Ports of catalogue services that have no question, and why."""
    return {int(port): why for port, why in _load()["unasked"].items()}


@cache
def _by_port() -> dict[int, Payload]:
    return {port: payload for payload in all_payloads() for port in payload.ports}


def _load() -> dict[str, Any]:
    import tomllib

    return tomllib.loads(PAYLOADS.read_text(encoding="utf-8"))


def _read(row: dict[str, Any]) -> Payload:
    size, fill = row.pop("bytes"), row.pop("fill", 0)
    data = _read_data(row.pop("data")).ljust(fill, b"\0")
    if len(data) != size:
        raise ValueError(f"payload {row['name']} has {len(data)} bytes, not the {size} that it states")
    return Payload(data=data, ports=tuple(row.pop("ports")), **row)


def _read_data(text: str) -> bytes:
    """Hexadecimal bytes and 'text'; the rest of a line after # is a remark."""
    data, at = b"", 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"not a payload: {text[at : at + 20]!r}")
        quoted, octet = token.groups()
        data += quoted.encode("ascii") if quoted is not None else bytes.fromhex(octet or "")
        at = token.end()
    return data
