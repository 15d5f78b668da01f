"""What Argus' `ra` prints with separators: `ra -r FILE -c , -n`; also the binetflow files of CTU. Columns by their header.

Argus' own binary files and `ra`'s output without separators are recognised only to say what to run. Ports are decimal, or
hexadecimal with `0x`. A state with `_` lists the flags of both sides. Source: ra(1), and the files themselves.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from reconshield.detect.builder import Builder, Record, whole
from reconshield.detect.flows import Bad, Chunks, Cut, FlowState, Item, Mark, Note, Reader
from reconshield.detect.pieces import TooLong, cut_lines
from reconshield.detect.stamps import ZONELESS, read_iso, read_local

NEEDED = ("StartTime", "Proto", "SrcAddr", "Sport", "DstAddr", "Dport")
TRANSPORTS = {
    name: number
    for number, names in {
        1: ("icmp",),
        2: ("igmp",),
        6: ("tcp",),
        17: ("udp", "rtp", "rtcp", "udt"),
        41: ("ipv6",),
        47: ("gre",),
        50: ("esp",),
        51: ("ah",),
        58: ("ipv6-icmp", "icmp6"),
        89: ("ospf",),
        103: ("pim",),
        112: ("vrrp",),
        132: ("sctp",),
    }.items()
    for name in names
}
PORTED = (6, 17, 132)
NOT_IP = frozenset(
    ("arp", "rarp", "llc", "man", "ether", "stp", "ipx/spx", "cdp", "lldp", "eapol", "isis", "clns", "mpls", "loop")
)
STATES = {
    "CON": FlowState.ESTABLISHED,
    "EST": FlowState.ESTABLISHED,
    "FIN": FlowState.ESTABLISHED,
    "CLO": FlowState.ESTABLISHED,
    "ECR": FlowState.ESTABLISHED,
    "REQ": FlowState.UNANSWERED,
    "INT": FlowState.UNANSWERED,
    "ECO": FlowState.UNANSWERED,
    "URP": FlowState.REFUSED,
}
"""What `State` says beside flags; INT is a flow to which nobody has answered yet, URP one that ICMP says has no port."""
MAGICS = {struct.pack(order + "I", cookie) for cookie in (0xE5617ACB, 0xE5712DCB, 0xE57150CB) for order in "<>"}
RUN = "run: ra -r FILE -c , -n"
ZERO_DATE = "times have no date and are not known; ra -u prints them in full"


def read(chunks: Chunks) -> Iterator[Item]:
    builder, layout, remarks, strange = Builder(), None, dict[str, None](), 0
    for piece in cut_lines(chunks):
        if isinstance(piece, TooLong):
            yield Bad(f"line {piece.line}", "the line is longer than 1 MiB")
            continue
        for number, line in enumerate(piece.data.split(b"\n"), piece.first):
            if number == 1 and (is_binary(line) or b"\0" in line[:64]):
                yield Cut(f"these are Argus' own records; {RUN}")
                return
            text = line.decode("utf-8", "replace").strip("\r\ufeff")
            if (found := Layout.of(text)) is not None:
                layout = found
                if layout.fault:
                    yield from builder.take()
                    yield Cut(f"line {number}: {layout.fault}")
                    return
            elif text.strip():
                try:
                    strange += not add_line(builder, layout, text, number, remarks)
                except ValueError as error:
                    yield Bad(f"line {number}", str(error))
                if builder.full:
                    yield from builder.take()
    yield from builder.take()
    yield from map(Note, remarks)
    if strange:
        yield Note(f"{strange} records of ARP and others are not of IP")


class Layout:
    """The header: what separates the columns, and what they are."""

    def __init__(self, separator: str, names: Sequence[str]) -> None:
        self.separator, self.names = separator, tuple(names)
        missing = [name for name in NEEDED if name not in names]
        self.fault = f"the header lacks {', '.join(missing)}" if missing else ""
        if not separator:
            self.fault = f"the columns have no separator; {RUN}"
        elif len(set(names)) < len(self.names):
            self.fault = "the header names a column twice"

    @classmethod
    def of(cls, text: str) -> Layout | None:
        """The layout of a header line, None for any other line."""
        if "SrcAddr" not in text or "DstAddr" not in text:
            return None
        separator = next((char for char in ",\t;|" if text.count(char) > 3), "")
        return cls(separator, [name.strip() for name in text.split(separator or None)])


def add_line(builder: Builder, layout: Layout | None, text: str, number: int, remarks: dict[str, None]) -> bool:
    """Add the flow of a line; False where it is not of IP. ValueError says what is wrong with it."""
    if layout is None:
        raise ValueError("a record before the header")
    values = text.split(layout.separator, len(layout.names) - 1)
    if len(values) < len(layout.names):
        raise ValueError(f"not {len(layout.names)} fields")
    row = dict(zip(layout.names, map(str.strip, values), strict=True))
    name = row["Proto"].lower()
    if name in NOT_IP or (name.isdecimal() and len(name) > 3):  # ra -nn writes an EtherType
        return False
    builder.add(read_flow(row, number, remarks))
    return True


def read_flow(row: Mapping[str, str], number: int, remarks: dict[str, None]) -> Record:
    name = row["Proto"].lower()
    transport = TRANSPORTS.get(name) or whole(name)
    if not 0 <= transport <= 255:
        raise ValueError(f"unknown protocol {name[:20]!r}")
    begin, remark = read_start(row["StartTime"])
    if remark:
        remarks[remark] = None
    end = begin + read_number(row.get("Dur", "") or "0", "Dur")
    sport, dport = (read_port(row["Sport"]), read_port(row["Dport"])) if transport in PORTED else (0, 0)
    sent, received = count_sides(row, "Bytes")
    sent_packets, received_packets = count_sides(row, "Pkts")
    src, dst, way = row["SrcAddr"], row["DstAddr"], row.get("Dir", "->")
    if "<" in way and ">" not in way:
        src, dst, sport, dport = dst, src, dport, sport
        sent, received, sent_packets, received_packets = received, sent, received_packets, sent_packets
    return Record(
        number,
        begin,
        end,
        src,
        dst,
        sport,
        dport,
        transport,
        state_of(row.get("State", ""), received_packets),
        Mark.UNSURE if "?" in way or "who" in way else 0,
        name if name in {"rtp", "rtcp"} else "",
        sent,
        received,
        sent_packets,
        received_packets,
    )


def count_sides(row: Mapping[str, str], what: str) -> tuple[int, int]:
    """Octets or packets of both sides; of total, source's and destination's any two are enough."""
    total, sent, received = (whole(row.get(f"{side}{what}")) for side in ("Tot", "Src", "Dst"))
    if sent < 0 <= received <= total:
        sent = total - received
    if received < 0 <= sent <= total:
        received = total - sent
    return sent, received


def state_of(text: str, received: int) -> FlowState:
    """How it went. `SPA_SPA` are the flags of source and destination."""
    if "_" in text:
        mine, _, theirs = text.partition("_")
        if "S" in mine and not theirs:
            return FlowState.UNANSWERED if "A" not in mine else FlowState.UNKNOWN
        if "R" in theirs and "S" not in theirs and "S" in mine:
            return FlowState.REFUSED
        return FlowState.ESTABLISHED if "A" in mine and "A" in theirs else FlowState.UNKNOWN
    found = STATES.get(text[:3].upper(), FlowState.UNKNOWN)
    return FlowState.UNKNOWN if found == FlowState.UNANSWERED and received > 0 else found


def read_port(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 6:
        return int(text)
    if text.lower().startswith("0x") and 2 < len(text) < 7:
        return int(text, 16)
    raise ValueError(f"{text[:20]!r} is no port; {RUN}")


def read_number(text: str, name: str) -> float:
    value = float(text) if text.replace(".", "", 1).isdecimal() else -1.0
    if not 0 <= value < 1e9:
        raise ValueError(f"{name} is {text[:20]!r}")
    return value


@lru_cache(65_536)
def read_start(text: str) -> tuple[float, str]:
    """Unix seconds, and what must be said of them: `2011/08/10 09:46:53.047277`, `2011-08-10T09:46:53`, `1313585053.04`."""
    if text.replace(".", "", 1).isdecimal() and 8 < len(text.partition(".")[0]) < 11:
        return float(text), ""
    day, gap, clock = text.replace("/", "-").replace("T", " ").partition(" ")
    try:
        if not gap and ":" in day:
            read_local("2000-1-1", day)
            return float("nan"), ZERO_DATE
        if clock.endswith("Z") or "+" in clock:
            return read_iso(f"{day}T{clock}"), ""
        return read_local(day, clock), ZONELESS
    except ValueError:
        raise ValueError(f"{text[:30]!r} is no time") from None


def is_binary(head: bytes) -> bool:
    """A record that begins a stream of Argus: a management record with the cookie of its version."""
    return head[:1] != b"" and head[0] & 0xF0 == 0x80 and any(magic in head[:64] for magic in MAGICS)


def recognises(head: bytes) -> bool:
    first = head[:4096].split(b"\n", 1)[0].decode("utf-8", "replace")
    return is_binary(head) or ("StartTime" in first and "Proto" in first and Layout.of(first) is not None)


READER = Reader("argus", "Argus (ra -c , -n) and binetflow", recognises, read)
