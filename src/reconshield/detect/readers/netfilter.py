"""What Linux firewalls log: lines of iptables' LOG and nftables' `log`, in a syslog file, a journal (text or JSON) or dmesg.

A line is a packet. Packets of one connection are joined, so that a SYN that was sent again is no second attempt. The prefix is
free text of whoever wrote the rules; only its words say that the packet was stopped. An ICMP error quotes the packet that it is
about in brackets, which is not read. Source: Linux, net/netfilter/nf_log_syslog.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from reconshield.detect.discovery import message
from reconshield.detect.flows import Bad, Chunks, Item, Note, Reader
from reconshield.detect.pairing import ACK, FIN, PSH, RST, SYN, Half, Pairing, role_of
from reconshield.detect.pieces import TooLong, cut_lines
from reconshield.detect.stamps import MONTHS, NOT_A_TIME, ZONELESS, Yearless, read_iso, read_local

TRANSPORTS = {b"TCP": 6, b"UDP": 17, b"ICMP": 1, b"ICMPv6": 58, b"SCTP": 132, b"UDPLITE": 136, b"ESP": 50, b"AH": 51}
PORTED = (6, 17, 132, 136)
ECHO = {(1, b"8"): 1, (58, b"128"): 1, (1, b"0"): -1, (58, b"129"): -1}
FLAGS = {b"SYN": SYN, b"ACK": ACK, b"FIN": FIN, b"RST": RST, b"PSH": PSH}
MOST_KNOWN = 10_000
TCP_GAP, GAP = 120.0, 30.0
"""Seconds after which another packet of the same ends is another attempt: how long the kernel itself remembers one."""

FIELD = re.compile(rb"\b(SRC|DST|PROTO)=(\S+)")
WHOLE = re.compile(
    rb".*?\bSRC=(\S+) DST=(\S+)(?: LEN=(\d+))?\b.*?\bPROTO=(\S+)(?: TYPE=(\d+)|(?: SPT=(\S+) DPT=(\S+)))?(?=\s|$)"
)
MOST_LEAD, MOST_BODY = 1024, 2048
"""Octets before and behind `IN=… OUT=…`; the kernel writes fewer. Patterns look at no more, for they could be led astray."""
FLAG = re.compile(rb" (SYN|ACK|FIN|RST|PSH)(?= |$)")
STOPPED = re.compile(rb"drop|den(y|ied)|block|reject|refuse|discard|\bban(ned)?\b", re.IGNORECASE)
STAMP = re.compile(
    rb"\s*(?:<\d{1,3}>)?(?:1 )?(?:\w+\s*:\w+\s*: )?(?:"
    rb"(?P<iso>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)(?=\s)"
    rb"|(?P<month>[A-Z][a-z]{2})\s+(?P<day>\d{1,2})\s+(?:(?P<year>\d{4})\s+)?(?P<clock>\d\d:\d\d:\d\d(?:\.\d+)?)(?=\s)"
    rb"|[A-Z][a-z]{2} (?P<cmonth>[A-Z][a-z]{2})\s+(?P<cday>\d{1,2}) (?P<cclock>\d\d:\d\d:\d\d) (?P<cyear>\d{4})(?=\s)"
    rb"|(?P<epoch>\d{9,10}\.\d{1,9})(?=\s)"
    rb"|\[[A-Z][a-z]{2} (?P<bmonth>[A-Z][a-z]{2})\s+(?P<bday>\d{1,2}) (?P<bclock>\d\d:\d\d:\d\d) (?P<byear>\d{4})\]"
    rb")"
)
ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
KERNEL = re.compile(rb"kernel\b[^:]*:\s*(?:\[\s*[\d.]+\])?|^(?:<\d{1,3}>)?\[\s*[\d.]+\]")
HOST = re.compile(rb"\s*\S+\s")


def read(chunks: Chunks) -> Iterator[Item]:
    yield from read_dated(chunks, None)


def read_dated(chunks: Chunks, changed: float | None) -> Iterator[Item]:
    clock, pairing = Clock(changed), Pairing("line", GAP, TCP_GAP, complete=False)
    for piece in cut_lines(chunks):
        if isinstance(piece, TooLong):
            yield Bad(f"line {piece.line}", "the line is longer than 1 MiB")
            continue
        for number, line in enumerate(piece.data.split(b"\n"), piece.first):
            if b" OUT=" not in line:
                continue
            if line.startswith(b"{"):
                line = journal_line(line)  # noqa: PLW2901 - the same in the shape of the others
            place = find_packet(line)
            if place is None or b" ARP HTYPE=" in line:
                continue
            try:
                pairing.add(read_packet(line, place, number, clock))
            except ValueError as error:
                yield Bad(f"line {number}", str(error))
            if pairing.full:
                yield from pairing.take()
    yield from pairing.finish()
    yield from map(Note, clock.remarks())


def journal_line(line: bytes) -> bytes:
    """An entry of `journalctl -o json` as `-o short-unix` writes it; empty where it is none."""
    try:
        entry = orjson.loads(line)
        at = int(entry.get("_SOURCE_REALTIME_TIMESTAMP") or entry["__REALTIME_TIMESTAMP"])
        text = f"{at // 1_000_000}.{at % 1_000_000:06} {entry.get('_HOSTNAME', '-')} kernel: {entry['MESSAGE']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return b""
    return text.encode("utf-8", "replace").replace(b"\n", b" ")


def find_packet(line: bytes) -> tuple[int, int] | None:
    """Where `IN=… OUT=…` begins and ends."""
    at = line.find(b" OUT=")
    while at >= 0:
        begin = line.rfind(b"IN=", line.rfind(b" ", 0, at) + 1, at)
        if begin >= 0:
            end = line.find(b" ", at + 1)
            return begin, end if end >= 0 else len(line)
        at = line.find(b" OUT=", at + 1)
    return None


def read_packet(line: bytes, place: tuple[int, int], number: int, clock: Clock) -> Half:
    """The packet of a line. ValueError says what is wrong with it."""
    begin, end = place
    if begin > MOST_LEAD:
        raise ValueError("what stands before IN= is longer than 1 KiB")
    body = line[end : end + MOST_BODY].split(b" [SRC=", 1)[0]
    found = WHOLE.match(body)
    if found is None:
        raise ValueError(why_not(body))
    src, dst, length, name, kind, source, target = found.groups()
    transport = TRANSPORTS.get(name) or small(name, "PROTO", 255)
    sport = dport = 0
    flags, role = -1, ECHO.get((transport, kind), 0) if kind else 0
    if transport in PORTED:
        if source is None:
            raise ValueError("no ports: a fragment, or the line is cut")
        sport, dport = small(source, "SPT", 65_535), small(target, "DPT", 65_535)
    if kind:
        sport = message(transport, int(kind))
    if transport == 6:
        flags = sum(FLAGS[word] for word in set(FLAG.findall(body, found.end())))
        role = role_of(flags, 1)
    at = clock.read(line, number)
    lead = line[:begin]
    return Half(
        number,
        at,
        at,
        src.decode("ascii", "replace"),
        dst.decode("ascii", "replace"),
        sport,
        dport,
        transport,
        flags,
        small(length, "LEN", 2**32) if length else -1,
        1,
        role,
        bool(STOPPED.search(lead)) and bool(STOPPED.search(prefix_of(lead))),
    )


def why_not(body: bytes) -> str:
    """What a line lacks."""
    names = [name for name, _ in FIELD.findall(body)]
    missing = [name.decode() for name in (b"SRC", b"DST", b"PROTO") if name not in names]
    return f"no {' and '.join(missing)}" if missing else "SRC, DST and PROTO are not where the kernel writes them"


def small(text: bytes, name: str, most: int) -> int:
    if text.isdigit() and len(text) < 12 and int(text) <= most:
        return int(text)
    raise ValueError(f"{name} is {text[:20].decode('ascii', 'replace')!r}")


def prefix_of(lead: bytes) -> bytes:
    """What the rule wrote before the packet: behind `kernel:` and the kernel's own clock, else behind time and host."""
    found = KERNEL.search(lead)
    if found is None and (found := STAMP.match(lead)) and not found["byear"]:
        found = HOST.match(lead, found.end()) or found
    return lead[found.end() :] if found else lead


class Clock:
    """The times at the beginnings of lines, and what must be said of them."""

    def __init__(self, changed: float | None) -> None:
        self._yearless = Yearless(changed)
        self._zoneless = self._timeless = False
        self._known: dict[bytes, float] = {}

    def read(self, line: bytes, number: int) -> float:
        """Unix seconds; NaN where the line has no time (a kernel's own clock counts from its start). ValueError for a time
        that is none.
        """
        found = STAMP.match(line, 0, MOST_LEAD)
        if found is None:
            self._timeless = True
            return NOT_A_TIME
        stamp = found[0]
        if (known := self._known.get(stamp)) is not None:
            return known
        text = {name: value.decode("ascii") for name, value in found.groupdict().items() if value}
        try:
            at = self._moment(text, number)
        except ValueError:
            raise ValueError(f"{stamp.strip().decode('ascii')[:40]!r} is no time") from None
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        self._known[stamp] = at
        return at

    def _moment(self, text: dict[str, str], number: int) -> float:
        if "iso" in text:
            self._zoneless |= not ZONE.search(text["iso"])
            return read_iso(text["iso"])
        if "epoch" in text:
            return float(text["epoch"])
        self._zoneless = True
        b = next((kind for kind in "bc" if f"{kind}month" in text), "")
        month, day, clock = MONTHS.get(text[f"{b}month"], 0), int(text[f"{b}day"]), text[f"{b}clock"]
        if year := text.get(f"{b}year"):
            return read_local(f"{year}-{month}-{day}", clock)
        return self._yearless.read(month, day, clock, number)

    def remarks(self) -> list[str]:
        said = self._yearless.remarks()
        if self._zoneless:
            said.append(ZONELESS)
        if self._timeless:
            said.append("some lines have no time of day; when they were is not known")
        return said


def recognises(head: bytes) -> bool:
    """A line that names interfaces, addresses and a protocol."""
    lines = (journal_line(line) if line.startswith(b"{") else line for line in head.split(b"\n") if b" OUT=" in line)
    places = ((line, find_packet(line)) for line in lines)
    wanted = {b"SRC", b"DST"}
    return any(at and wanted <= {name for name, _ in FIELD.findall(line, at[1], at[1] + MOST_BODY)} for line, at in places)


READER = Reader("netfilter", "iptables and nftables log lines (syslog, journal, dmesg)", recognises, read, read_dated)
