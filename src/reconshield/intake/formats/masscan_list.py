"""masscan's list (`-oL`): one endpoint a line.

open tcp 80 192.0.2.7 1795000000
banner tcp 22 192.0.2.7 1795000000 ssh SSH-2.0-OpenSSH_9.2

What was asked and stayed silent is not in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconshield.intake.lines import split_lines
from reconshield.intake.reading import (
    Bad,
    Chunks,
    Claim,
    Faulty,
    Intake,
    Item,
    Origin,
    Reading,
    read_endpoint,
    read_state,
    read_time,
)
from reconshield.model import Observation, Reason, State

SHAPE = re.compile(rb"^(?:\s*#[^\n]*\n)*\s*(?:#masscan|(?:open|closed|banner) (?:tcp|udp|sctp|icmp|ip) \d+ [0-9a-fA-F.:]+ \d+)")


def recognises(head: bytes) -> bool:
    return bool(SHAPE.match(head))


def read(chunks: Chunks) -> Iterator[Item]:
    """Every line that is no comment."""
    yield Origin("masscan")
    for number, line in split_lines(chunks):
        if line.startswith(b"#"):
            continue
        try:
            yield read_line(line)
        except Faulty as fault:
            yield Bad(f"line {number}", str(fault))


def read_line(line: bytes) -> Reading:
    kind, *fields = line.decode("utf-8", "replace").split(" ", 6)
    if len(fields) < 4:
        raise Faulty("a line has state, transport, port, address and time")
    transport, port, ip, at = fields[:4]
    endpoint = read_endpoint(ip, port, transport)
    if kind == "banner":
        name, banner = [*fields[4:], "", ""][:2]
        seen = Observation(endpoint, State.OPEN, Reason.IMPORTED, read_time(at))
        return Reading(seen, Claim(name or "unknown", True, banner=banner.encode()))
    state = read_state(kind)
    reason = {State.OPEN: Reason.SYN_ACK, State.CLOSED: Reason.RESET}.get(state) if transport == "tcp" else None
    return Reading(Observation(endpoint, state, reason or Reason.IMPORTED, read_time(at)))


INTAKE = Intake("masscan-list", "masscan", recognises, read)
