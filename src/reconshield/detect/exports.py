"""A file of export packets as routers and probes send them, one behind the other: NetFlow v5 and v9, and IPFIX (RFC 5655).

    octets -> packet by packet -> sets -> records -> halves -> Pairing -> flows

The numbers of sets leave out those of the versions, so the walk through a packet's sets ends by itself where the next packet
begins; v9 does not say how long a packet is. Data that comes before its template is kept for it, within a limit. Where the file
is damaged the next packet is looked for, and what lies between is named. Templates are kept for each observation domain, so a
file should be of one exporter. Sources: Cisco NetFlow v5, RFC 3954, RFC 7011.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass, field

from reconshield.detect.discovery import message
from reconshield.detect.exported import Export, halves_of
from reconshield.detect.flows import Bad, Chunks, Cut, Item, Note
from reconshield.detect.octets import Octets
from reconshield.detect.pairing import Half, Pairing, role_of
from reconshield.detect.templates import Broken, Template, Values, read_option_templates, read_templates

V5, V9, IPFIX = 5, 9, 10
VERSIONS = (V5, V9, IPFIX)
HEADERS = {V5: 24, V9: 20, IPFIX: 16}
V5_RECORD = struct.Struct("!4s4s8xIIIIHHxBB9x")
V5_MOST = 30
PADDING = 4
"""A set is padded with fewer octets than that, and than a record has."""
TEMPLATES = {V9: (0, 1), IPFIX: (2, 3)}
"""Version -> the numbers of the sets that hold templates and templates of options."""
JOIN = 15.0
"""Seconds between records of one flow: exporters tell a flow as over when it has been silent for so long."""
MOST_WAITING = 8 << 20
MOST_FIELDS = 200_000
"""Fields of all templates together; beyond that they are forgotten."""
MOST_DOMAINS = 10_000
EARLIEST, LATEST = 631_152_000, 4_102_444_800
"""No packet was sent before 1990, none after 2100."""
NEAR = 366 * 86_400
"""Where a packet is looked for in a damaged file, it was sent so near to the one before."""
Key = tuple[int, int, int]
"""Version, domain, number of a template."""


@dataclass(slots=True)
class State:
    """What is known from the packets so far."""

    templates: dict[Key, Template] = field(default_factory=dict)
    waiting: dict[Key, list[tuple[Export, bytes]]] = field(default_factory=dict)
    fields: int = 0
    held: int = 0
    booted: dict[int, int] = field(default_factory=dict)
    biflows: set[int] = field(default_factory=set)
    """Domains whose exporter tells both directions in one record, where there are two."""
    sampled: int = 0
    useless: int = 0
    lost_sets: int = 0
    versions: set[int] = field(default_factory=set)
    packet: int = 0
    at: float | None = None
    """When the last packet was sent."""


class Exports:
    """Reads one file."""

    def __init__(self) -> None:
        self._state = State()
        self._pairing = Pairing("packet", JOIN)

    def read(self, chunks: Chunks) -> Iterator[Item]:
        state, octets = self._state, Octets(chunks)
        while head := octets.peek(24):
            version = int.from_bytes(head[:2], "big")
            if len(head) < HEADERS.get(version, 24):
                yield Cut(f"packet {state.packet + 1}: the file ends within its header")
                break
            if not plausible(head) or not self._expected(version, octets):
                begin = octets.place
                skip_to_packet(octets, state.at, state.versions or VERSIONS)
                yield Bad(f"octet {begin}", f"{octets.place - begin} octets that are no export packet")
                continue
            state.packet += 1
            state.versions.add(version)
            yield from self._read_v5(octets) if version == V5 else self._read_sets(octets, version)
            if self._pairing.full:
                yield from self._pairing.take()
        yield from self._pairing.finish()
        yield from self._remarks()

    def _expected(self, version: int, octets: Octets) -> bool:
        """Whether this version may come here: one that the file has had, or v5 with another packet right behind it."""
        if version != V5 or not self._state.versions or version in self._state.versions:
            return True
        wanted = 24 + 48 * octets.peek(4)[3]
        there = octets.peek(wanted + 24)
        return len(there) == wanted or plausible(there[wanted:])

    def _read_v5(self, octets: Octets) -> Iterator[Item]:
        state = self._state
        _, count, uptime, seconds, fraction, _, _, sampling = struct.unpack("!HHIIIIHH", octets.take(24))
        export = Export(state.packet, seconds + min(fraction, 10**9) / 1e9, uptime)
        state.at = float(seconds)
        self._note_sampling(sampling & 0x3FFF)
        there = min(count, room(octets, count * 48, state.at) // 48)
        if there < count:
            yield Bad(f"packet {state.packet}", f"{count} records are announced, {there} are there")
        for fields in V5_RECORD.iter_unpack(octets.take(there * 48)):
            self._pairing.add(v5_half(export, fields))

    def _read_sets(self, octets: Octets, version: int) -> Iterator[Item]:
        """The sets of a packet, until the next packet begins. IPFIX also says how long the packet is."""
        state = self._state
        left, count, told = 1 << 30, 1 << 16, 0
        if version == V9:
            _, count, uptime, seconds, _, domain = struct.unpack("!HHIIII", octets.take(20))
            export = Export(state.packet, float(seconds), uptime)
        else:
            _, length, seconds, _, domain = struct.unpack("!HHIII", octets.take(16))
            export, left = Export(state.packet, float(seconds), None), length - 16
        state.at = float(seconds)
        while left >= 4 and len(head := octets.peek(4)) == 4:
            number, length = struct.unpack("!HH", head)
            if number in VERSIONS:
                break
            template = state.templates.get((version, domain, number))
            if length > left or not credible(octets, version, template, due=told < count):
                yield Bad(f"packet {state.packet}", f"a set with the number {number} and {length} octets")
                return
            left -= length
            body = octets.take(length)[4:]
            told += yield from self._read_set((version, domain, number), export, body)
            if len(body) < length - 4:
                yield Cut(f"packet {state.packet}: the file ends within a set")
                return
        if version == IPFIX and left:
            yield Bad(f"packet {state.packet}", f"{left} octets less than its header says")

    def _read_set(self, key: Key, export: Export, body: bytes) -> Generator[Item, None, int]:
        """Read a set; gives how many records or templates it had (1 where that cannot be told)."""
        version, domain, number = key
        plain, options = TEMPLATES[version]
        try:
            if number == plain:
                return self._learn(key, read_templates(body))
            if number == options:
                return self._learn(key, read_option_templates(body, by_length=version == V9))
            if (template := self._state.templates.get(key)) is not None:
                return self._read_records(template, export, body, domain)
            self._hold(key, export, body)
        except Broken as error:
            yield Bad(f"packet {export.number}", str(error))
        return 1

    def _learn(self, key: Key, found: Iterator[tuple[int, Template | None]]) -> int:
        state, told = self._state, 0
        for told, (number, template) in enumerate(found, 1):  # noqa: B007 - how many there were
            place = (*key[:2], number)
            if template is None:
                state.templates.pop(place, None)
                continue
            state.fields += len(template.fields)
            if state.fields > MOST_FIELDS:
                state.templates.clear()
                state.fields = len(template.fields)
            state.templates[place] = template
            if template.both and len(state.biflows) < MOST_DOMAINS:
                state.biflows.add(key[1])
            for export, body in state.waiting.pop(place, []):
                state.held -= len(body)
                self._read_records(template, export, body, key[1])
        return told

    def _hold(self, key: Key, export: Export, body: bytes) -> None:
        """Keep data for its template."""
        state = self._state
        if state.held + len(body) > MOST_WAITING:
            state.lost_sets += 1
            return
        state.held += len(body)
        state.waiting.setdefault(key, []).append((export, body))

    def _read_records(self, template: Template, export: Export, body: bytes, domain: int) -> int:
        state, told = self._state, 0
        if export.uptime is None and (booted := state.booted.get(domain)) is not None:
            export = export.since(booted)
        for values in template.records(body):
            told += 1
            if template.options:
                self._read_options(values, domain)
                continue
            own = values.get("booted_ms")
            if isinstance(own, int) and export.uptime is None:
                export = export.since(own)
            self._note_sampling(values.get("sampling", 0))
            found = False
            for half in halves_of(values, export, biflows=domain in state.biflows):
                self._pairing.add(half)
                found = True
            state.useless += not found
        return told

    def _read_options(self, values: Values, domain: int) -> None:
        """What the exporter says of itself: whether it takes samples, and when it started."""
        one, gap = values.get("sample", 0), values.get("sample_gap", 0)
        if isinstance(one, int) and isinstance(gap, int) and one and gap:
            self._note_sampling((one + gap) // one)
        self._note_sampling(values.get("sampling", 0))
        if isinstance(booted := values.get("booted_ms"), int) and len(self._state.booted) < MOST_DOMAINS:
            self._state.booted[domain] = booted

    def _note_sampling(self, one_in: int | bytes) -> None:
        if isinstance(one_in, int) and one_in > 1:
            self._state.sampled = max(self._state.sampled, one_in)
            self._pairing.complete = False

    def _remarks(self) -> Iterator[Item]:
        state = self._state
        for (_, domain, number), held in state.waiting.items():
            yield Bad(f"template {number} of domain {domain}", f"is not in the file: {len(held)} sets could not be read")
        if state.lost_sets:
            yield Bad("sets", f"{state.lost_sets} more without a template could not be kept")
        if state.sampled:
            yield Note(f"the exporter took samples, one packet of {state.sampled}: silence means nothing")
        if state.useless:
            yield Note(f"{state.useless} records have no addresses or no protocol and are no flows")
        if self._pairing.doubled:
            yield Note(f"{self._pairing.doubled} records tell the same packets at another interface and are not counted again")


def v5_half(export: Export, fields: tuple[bytes, bytes, int, int, int, int, int, int, int, int]) -> Half:
    """A record of NetFlow v5; ICMP has type and code in the place of the port."""
    src, dst, packets, octets, first, last, sport, dport, flags, transport = fields
    begin, end = export.since_start(first), export.since_start(last)
    if transport == 6:
        return Half(export.number, begin, end, src, dst, sport, dport, 6, flags, octets, packets, role_of(flags, packets))
    if transport == 1:
        role = {8: 1, 0: -1}.get(dport >> 8, 0)
        return Half(export.number, begin, end, src, dst, message(1, dport >> 8), 0, 1, -1, octets, packets, role)
    return Half(export.number, begin, end, src, dst, sport, dport, transport, -1, octets, packets)


def plausible(head: bytes, before: float | None = None) -> bool:
    """Whether a packet can begin here; `before` is when the last one was sent."""
    if len(head) < 16:
        return False
    version, second = int.from_bytes(head[:2], "big"), int.from_bytes(head[2:4], "big")
    if version not in VERSIONS:
        return False
    seconds = int.from_bytes(head[4:8] if version == IPFIX else head[8:12], "big")
    if not EARLIEST <= seconds <= LATEST or (before is not None and abs(seconds - before) > NEAR):
        return False
    if version == V5:
        return 1 <= second <= V5_MOST
    begin = HEADERS[version]
    if len(head) < begin + 4:
        return version == IPFIX and second == 16
    number, length = int.from_bytes(head[begin : begin + 2], "big"), int.from_bytes(head[begin + 2 : begin + 4], "big")
    fits = length >= 4 and (number in TEMPLATES[version] or number >= 256)
    return fits if version == V9 else second == 16 or (fits and length <= second - 16)


def credible(octets: Octets, version: int, template: Template | None, *, due: bool) -> bool:
    """Whether the set that comes next can be one: its number, its length, and what is in it. Where none is `due` any more, what
    stands behind it must fit too.
    """
    number, length = struct.unpack("!HH", octets.peek(4))
    if length < 4:
        return False
    if number in TEMPLATES[version]:
        return holds_templates(number, octets.peek(length)[4:], version)
    if number < 256 or (template is None and not due):
        return False
    if template is not None and template.length and (length - 4) % template.length >= min(PADDING, template.length):
        return False
    behind = b"" if due else octets.peek(length + 4)[length:]
    if len(behind) < 4:
        return True
    following, size = struct.unpack("!HH", behind)
    return following in VERSIONS or (size >= 4 and (following in TEMPLATES[version] or following >= 256))


def holds_templates(number: int, body: bytes, version: int) -> bool:
    plain = number == TEMPLATES[version][0]
    try:
        return any(True for _ in (read_templates(body) if plain else read_option_templates(body, by_length=version == V9)))
    except Broken:
        return False


def room(octets: Octets, wanted: int, before: float) -> int:
    """How many of the wanted octets there are before the next packet or the end. Where a packet begins right behind them, or
    the file ends there, all are.
    """
    there = octets.peek(wanted + 24)
    if len(there) == wanted or plausible(there[wanted:], before):
        return wanted
    for place in range(0, min(len(there), wanted), 48):
        if plausible(there[place : place + 24], before):
            return place
    return min(len(there), wanted)


def skip_to_packet(octets: Octets, before: float | None, versions: Collection[int]) -> None:
    """Step over at least one octet, up to the next place where a packet of these versions can begin."""
    octets.take(1)
    while len(there := octets.peek(1 << 16)) > 1:
        found = [there.find(bytes((0, version))) for version in versions]
        places = [place for place in found if place >= 0]
        if not places:
            octets.take(len(there) - 1)
            if len(octets.peek(2)) < 2:
                break
            continue
        octets.take(min(places))
        if octets.peek(2)[1] in versions and plausible(octets.peek(24), before):
            return
        octets.take(1)
    octets.take(len(octets.peek(2)))
