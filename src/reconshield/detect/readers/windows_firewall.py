"""The log of the Windows firewall (pfirewall.log): connections let through and packets dropped, columns named by `#Fields:`.

Times are local. For what was let through the size is not that of the connection, so it is not read. A line of
INFO-EVENTS-LOST says how many events the firewall could not write. Source: Microsoft Learn, "Configure Windows Firewall
logging"; the columns are those of the file itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconshield.detect.builder import Builder, Record, whole
from reconshield.detect.discovery import message
from reconshield.detect.flows import NOT_KNOWN, Bad, Chunks, Cut, FlowState, Item, Mark, Note, Reader
from reconshield.detect.pieces import TooLong, cut_lines
from reconshield.detect.stamps import ZONELESS, read_local

NEEDED = ("date", "time", "action", "protocol", "src-ip", "dst-ip", "src-port", "dst-port")
TRANSPORTS = {"TCP": 6, "UDP": 17, "ICMP": 1, "ICMPV6": 58, "IGMP": 2, "GRE": 47, "ESP": 50, "AH": 51}
PORTED = (6, 17, 132)
STATES = {
    "ALLOW": FlowState.UNKNOWN,
    "OPEN": FlowState.UNKNOWN,
    "OPEN-INBOUND": FlowState.UNKNOWN,
    "DROP": FlowState.DENIED,
}
"""What was let through is not known to have been answered. CLOSE is the end of a connection that OPEN told."""
ENDED, LOST = "CLOSE", "INFO-EVENTS-LOST"
Fields = Mapping[str, int]


def read(chunks: Chunks) -> Iterator[Item]:
    builder, fields, lost = Builder(), dict[str, int](), 0
    for piece in cut_lines(chunks):
        if isinstance(piece, TooLong):
            yield Bad(f"line {piece.line}", "the line is longer than 1 MiB")
            continue
        for number, line in enumerate(piece.data.decode("utf-8", "replace").split("\n"), piece.first):
            text = line.strip("\r\ufeff ")
            if text.startswith("#Fields:"):
                names = text.split()[1:]
                fields = {name: place for place, name in enumerate(names)}
                if len(fields) < len(names):
                    yield from builder.take()
                    yield Cut(f"line {number}: #Fields names a column twice")
                    return
                if missing := [name for name in NEEDED if name not in fields]:
                    yield from builder.take()
                    yield Cut(f"line {number}: #Fields lacks {', '.join(missing)}")
                    return
            elif text and not text.startswith("#"):
                try:
                    lost += add_line(builder, text.split(), fields, number)
                except ValueError as error:
                    yield Bad(f"line {number}", str(error))
                if builder.full:
                    yield from builder.take()
    yield from builder.take()
    if lost:
        yield Note(f"the firewall could not write {lost} events")
    yield Note(ZONELESS)


def add_line(builder: Builder, values: list[str], fields: Fields, number: int) -> int:
    """Add the flow of a line; gives how many events the line says were lost. ValueError says what is wrong with it."""
    if not fields:
        raise ValueError("a record before the #Fields line")
    if not len(fields) <= len(values) <= len(fields) + 1:  # newer systems write a process number that older headers do not name
        raise ValueError(f"not {len(fields)} fields")
    row = {name: values[place] for name, place in fields.items()}
    if row["action"] == LOST:
        return whole(row.get("info"), 0)
    if row["action"] != ENDED:
        builder.add(read_flow(row, number))
    return 0


def read_flow(row: Mapping[str, str], number: int) -> Record:
    state = STATES.get(row["action"])
    if state is None:
        raise ValueError(f"unknown action {row['action'][:30]!r}")
    try:
        at = read_local(row["date"], row["time"])
    except ValueError:
        raise ValueError(f"'{row['date'][:12]} {row['time'][:12]}' is no time") from None
    transport = TRANSPORTS.get(row["protocol"].upper()) or whole(row["protocol"])
    if not 0 <= transport <= 255:
        raise ValueError(f"unknown protocol {row['protocol'][:20]!r}")
    kind = str(message(transport, whole(row.get("icmptype"))))
    sport, dport = (row["src-port"], row["dst-port"]) if transport in PORTED else (kind, "0")
    if "-" in {sport, dport}:
        raise ValueError("no port")
    packet = state == FlowState.DENIED
    flags = row.get("tcpflags", "-")
    blind = packet and transport == 6 and flags != "-" and ("S" not in flags or "A" in flags)
    return Record(
        number,
        at,
        at,
        row["src-ip"],
        row["dst-ip"],
        sport,
        dport,
        transport,
        state,
        marks=Mark.UNSURE if blind else 0,
        sent=(whole(row.get("size")) or NOT_KNOWN) if packet else NOT_KNOWN,
        sent_packets=1 if packet else NOT_KNOWN,
    )


def recognises(head: bytes) -> bool:
    return any(
        line.lstrip(b"\xef\xbb\xbf").startswith(b"#Fields:") and b" src-ip dst-ip " in line and b" action " in line
        for line in head.split(b"\n", 20)[:20]
    )


READER = Reader("windows-firewall", "Windows firewall log (pfirewall.log)", recognises, read)
