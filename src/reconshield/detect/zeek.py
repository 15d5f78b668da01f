"""What Zeek's logs have in common: the header lines of TSV, and its words for transports, states and protocols.

Columns are found by name, never by place: versions and scripts add and move them. `#fields` may come again with another list,
as in logs that were put one behind the other. Source: Zeek documentation, "Zeek log formats" and conn.log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import hexdigits

from reconshield.detect.flows import FlowState, Mark
from reconshield.detect.pieces import Piece
from reconshield.knowledge.dialects import ZEEK

TRANSPORTS: Mapping[bytes, int] = {b"icmp": 1, b"tcp": 6, b"udp": 17, b"icmp6": 58, b"sctp": 132}

STATES: Mapping[bytes, tuple[FlowState, int]] = {
    b"S0": (FlowState.UNANSWERED, 0),
    b"REJ": (FlowState.REFUSED, 0),
    b"S1": (FlowState.ESTABLISHED, 0),
    b"SF": (FlowState.ESTABLISHED, 0),
    b"S2": (FlowState.ESTABLISHED, 0),
    b"S3": (FlowState.ESTABLISHED, 0),
    b"RSTO": (FlowState.ESTABLISHED, 0),
    b"RSTR": (FlowState.ESTABLISHED, 0),
    b"RSTOS0": (FlowState.UNANSWERED, 0),
    b"SH": (FlowState.UNKNOWN, Mark.ONE_SIDED),
    b"RSTRH": (FlowState.UNKNOWN, Mark.ONE_SIDED),
    b"SHR": (FlowState.UNKNOWN, Mark.ONE_SIDED),
    b"OTH": (FlowState.UNKNOWN, Mark.UNSURE),
}
"""conn_state -> how it went, and what is odd about it. OTH began before the capture: who began it is a guess."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the header lines say: the separator, how many columns there are, and the place of each by its name."""

    separator: int
    count: int
    fields: Mapping[str, int]


def split_comments(piece: Piece) -> Iterator[Piece]:
    """Header lines one by one, everything between them in one piece."""
    data, begin, line = piece.data, 0, piece.first
    while begin < len(data):
        if data[begin : begin + 2].lstrip()[:1] == b"#":
            finish = data.index(b"\n", begin) + 1
        else:
            mark = data.find(b"\n#", begin) if data.find(b"#", begin) >= 0 else -1  # for one character find is far quicker
            finish = mark + 1 if mark >= 0 else len(data)
        yield Piece(data[begin:finish], line)
        if finish < len(data):
            line += data.count(b"\n", begin, finish)
        begin = finish


def read_comment(line: bytes, separator: int) -> tuple[int, Layout | None]:
    """What a header line changes: the separator, or the columns."""
    text = line.strip().decode("utf-8", "replace")
    if text.startswith("#separator"):
        value = text.removeprefix("#separator").strip()
        return read_separator(value), None
    if text.startswith("#fields"):
        names = text.split(chr(separator))[1:]
        return separator, Layout(separator, len(names), {name: place for place, name in enumerate(names)})
    return separator, None


def read_separator(value: str) -> int:
    """The byte that `\\x09` means, or the one character that stands there; a tab for anything else."""
    if value.startswith("\\x"):
        return int(value[2:4], 16) if all(char in hexdigits for char in value[2:4]) and len(value) >= 4 else 9
    return ord(value) if len(value) == 1 and value.isascii() else 9


def pack_state(state: FlowState, marks: int) -> int:
    return state << 8 | marks


def service_name(text: str) -> str:
    """Zeek's list of protocols in our names: `smtp,tls` for mail that went on inside TLS; empty where none was seen."""
    if text in {"-", "(empty)", ""}:
        return ""
    return ",".join(dict.fromkeys(ZEEK.get(name, name) for name in text.lower().split(",") if name))
