"""`detect run`: flow logs and captures in, detections out.

    files -> unpacked pieces -> reader -> tally -> match against policy, catalogue, documented ports and our own scans

A file that cannot be read as a whole gives what it has; nothing is guessed. Only when nothing at all could be read is it a
mistake of the user's.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from heapq import nlargest
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import cast

from reconshield.detect.expected import Services
from reconshield.detect.fallen_silent import Watched, fallen_silent
from reconshield.detect.flows import Bad, Cut, Flows, Item, Listening, Naming, Note, Reader
from reconshield.detect.indicators import Indicators
from reconshield.detect.match import Matches, match
from reconshield.detect.pieces import as_utf8
from reconshield.detect.readers import READERS, recognise
from reconshield.detect.scene import PortUse, Setting
from reconshield.detect.suppress import suppress
from reconshield.detect.talk import Place, talk_in
from reconshield.detect.tally import Tally
from reconshield.detection import Talk
from reconshield.errors import UserError
from reconshield.policy import Policy
from reconshield.report.detected import conclusion_of

Hear = Callable[[Naming], None]

CHUNK = 1 << 20
HEAD = 1 << 16
SWELLS, SMALL = 200, 256 << 20
"""How many times its size a packed log may grow (five to fifty times is usual); to so many bytes any may."""
FAULTS_SHOWN = 3
MOST_NOTES = 10
MOST_TALK = 10_000
PACKED: dict[bytes, Callable[[BufferedReader], BufferedReader]] = {
    b"\x1f\x8b": lambda file: cast("BufferedReader", gzip.GzipFile(fileobj=file)),
    b"BZh": lambda file: cast("BufferedReader", bz2.BZ2File(file)),
    b"\xfd7zXZ\x00": lambda file: cast("BufferedReader", lzma.LZMAFile(file)),  # noqa: SIM115 - who opened the file closes it
}
"""First bytes of packed files, and what unpacks them."""


CONVERT = "editcap -F pcap {} new.pcap"
FOREIGN: dict[bytes, tuple[str, str]] = {
    b"\x28\xb5\x2f\xfd": ("files packed with zstd", "zstd -d {}"),
    b"\x04\x22\x4d\x18": ("files packed with lz4", "lz4 -d {}"),
    b"PK\x03\x04": ("zip archives", "unzip {}"),
    b"7z\xbc\xaf\x27\x1c": ("7z archives", "7z x {}"),
    b"PAR1": ("Parquet files", "let the flow log be written as text, or turn the file into JSON or CSV with a database"),
    b"\x0c\xa5": ("nfcapd files", "give the packets of the exporter, one behind the other"),
    b"snoop\0\0\0": ("captures of snoop", CONVERT),
    b"GMBU": ("captures of Network Monitor", CONVERT),
    b"RTSS": ("captures of Network Monitor", CONVERT),
    b"\x34\xcd\xb2\xa1": ("captures in the modified format of old Linux systems", CONVERT),
    b"\xa1\xb2\xcd\x34": ("captures in the modified format of old Linux systems", CONVERT),
    b"ElfFile\0": ("Windows event logs", "give the log of the firewall, pfirewall.log"),
}
"""First bytes of what people have and what is not read: what it is, and what to do."""


@dataclass(slots=True)
class Input:
    """A file that was read: its format, its flows (`records`), the names that clients asked for, the sockets that wait for
    others, what could not be used (the first of it in words), and what must be known of the whole.
    """

    path: Path
    format: str = ""
    records: int = 0
    names: int = 0
    listeners: int = 0
    bad: int = 0
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        self.bad += 1
        if len(self.faults) < FAULTS_SHOWN:
            self.faults.append(text)


@dataclass(frozen=True, slots=True)
class Detected:
    """What came of it."""

    inputs: tuple[Input, ...]
    matches: Matches
    silent: frozenset[str] = frozenset()
    talk: Mapping[Place, Talk] = field(default_factory=dict)
    """Who talks to endpoints that were known before, of hosts that the flows show."""


def detect_files(
    paths: Iterable[Path],
    setting: Setting,
    *,
    since: float | None = None,
    format_: str = "auto",
    told: Callable[[Input], None],
    pictured: int = 0,
    watched: Iterable[Watched] = (),
    known: Iterable[Place] = (),
) -> Detected:
    """Read all files and judge them together. `told` hears of each file when it has been read; so many of the worst detections
    get a picture. Of the `watched` it says which have fallen silent, of the `known` endpoints who talks to them.
    """
    with Tally() as tally:
        inputs = read_files(tally, paths, since=since, format_=format_, told=told, hear=setting.hear)
        named = replace(setting, sources=tuple(str(found.path) for found in inputs))
        matches = match(tally, named, pictured)
        marked = tuple(suppress(matches.detections, setting.policy, setting.now))
        silent = fallen_silent(tally.parts(), watched)
        return Detected(inputs, replace(matches, detections=marked), silent, talk_shown(tally, known, named))


def talk_shown(tally: Tally, known: Iterable[Place], setting: Setting) -> dict[Place, Talk]:
    """Who talks to endpoints of hosts that the flows show; of more than `MOST_TALK` the busiest."""
    places = list(known)
    found = talk_in(tally, places, setting.scans, setting.sources) if places else {}
    shown = ((place, talk) for place, talk in found.items() if talk.seen or talk.own)
    return dict(nlargest(MOST_TALK, shown, key=lambda each: each[1].flows + each[1].attempts))


def read_files(
    tally: Tally,
    paths: Iterable[Path],
    *,
    since: float | None = None,
    format_: str = "auto",
    told: Callable[[Input], None],
    hear: Hear,
) -> tuple[Input, ...]:
    """Read all files into a tally. Nothing in any of them is a `UserError`."""
    inputs = []
    for number, path in enumerate(paths):
        found = Input(path)
        read_into(tally, found, number, since, format_, hear)
        inputs.append(found)
        told(found)
    if not any(found.records or found.names or found.listeners for found in inputs):
        first = inputs[0]
        what = first.faults[0] if first.faults else "there is no record in it"
        raise UserError(f"nothing could be read: {what}", where=str(first.path), hint="reconshield detect run --help")
    return tuple(inputs)


def read_into(tally: Tally, found: Input, number: int, since: float | None, format_: str, hear: Hear = lambda _: None) -> None:
    """Add a file's flows to the tally and note what is wrong with it."""
    with explained(found.path), open_log(found.path) as file, closing(pieces_of(file, found)) as pieces:
        head = next(pieces, b"")
        reader = choose_reader(head, found.path, format_)
        found.format = reader.name
        for item in reader.items(chain([head], pieces), found.path.stat().st_mtime):
            take_item(tally, item, found, number, since, hear)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What the system says of a file that it does not give, as the user's mistake."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"the file cannot be read: {reason}", where=str(path), hint=f"ls -l {path}") from error


def take_item(tally: Tally, item: Item, found: Input, number: int, since: float | None, hear: Hear) -> None:
    match item:
        case Flows(rows, apps):
            found.records += rows.size
            tally.add(Flows(rows[~(rows["start"] < since)], apps) if since is not None else item, number)
        case Listening():
            found.listeners += 1
        case Naming(at):
            found.names += 1
            if since is None or not at < since:
                hear(item)
        case Note(text):
            if text not in found.notes and len(found.notes) < MOST_NOTES:
                found.notes.append(text)
        case Bad(where, why):
            found.fault(f"{where}: {why}")
        case Cut(why):
            found.fault(why)


def open_log(path: Path) -> BufferedReader:
    """The file, a regular one: a pipe or device could wait for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise UserError("this is no regular file", where=str(path), hint="give a flow log or a capture")
    return path.open("rb")


def pieces_of(file: BufferedReader, found: Input) -> Generator[bytes, None, None]:
    """The unpacked content. A packed file that is cut or broken, or a bomb, gives what could be unpacked."""
    start = file.read(6)
    file.seek(0)
    unpack = next((unpack for magic, unpack in PACKED.items() if start.startswith(magic)), None)
    source = unpack(file) if unpack else file
    raw = iter(lambda: source.read1(CHUNK), b"")
    try:
        yield from as_utf8(until_swollen(raw, os.fstat(file.fileno()).st_size, found) if unpack else raw)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        found.fault(f"the packed file ends or breaks early: {error}")


def until_swollen(pieces: Iterable[bytes], packed: int, found: Input) -> Iterator[bytes]:
    """The pieces of a packed file, as long as it can be a log: a bomb would keep whoever reads it busy for days."""
    left = max(SMALL, SWELLS * packed)
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            found.fault(f"the packed file grows to more than {SWELLS} times its size, more than logs do; the rest was not read")
            return
        yield piece


def choose_reader(head: bytes, path: Path, format_: str) -> Reader:
    """The format that was named, or the one that the file looks like."""
    names = ", ".join(reader.name for reader in READERS)
    if format_ != "auto":
        named = next((reader for reader in READERS if reader.name == format_), None)
        if named is None:
            raise UserError(f"unknown format {format_!r}", where=f"--format {format_}", hint=f"--format one of auto, {names}")
        return named
    found = recognise(head[:HEAD])
    foreign = next((each for magic, each in FOREIGN.items() if head.startswith(magic)), None)
    if found is None and foreign:
        raise UserError(f"{foreign[0]} are not read", where=str(path), hint=foreign[1].format(path))
    if found is None:
        what = "the file is empty" if not head.strip() else "this looks like no flow log or capture that can be read"
        raise UserError(what, where=str(path), hint=f"name it: --format one of {names}")
    return found


def make_setting(policy: Policy | None, now: float, indicators: Indicators | None = None) -> Setting:
    """What flows are held against, from the catalogue and the table of documented ports."""
    known = indicators or Indicators()
    return Setting(
        now=now,
        policy=policy or Policy(),
        services=catalogue_services(),
        port_uses=documented_uses,
        indicators=known.find,
        hear=known.hear,
    )


def catalogue_services() -> Services:
    from reconshield.addresses import PortSet
    from reconshield.knowledge.index import load_index

    index = load_index()

    @lru_cache(4096)
    def at(port: int, transport: str) -> tuple[tuple[str, str], ...]:
        return tuple((row.service, row.tls) for row in index.at(port, transport))

    def ports_of(service: str) -> PortSet:
        rows = index.services[service].endpoints if service in index.services else ()
        tcp, udp = (tuple((row.port, row.port) for row in rows if row.transport == name) for name in ("tcp", "udp"))
        return PortSet(tcp, udp)

    return Services(at, ports_of)


@lru_cache(4096)
def documented_uses(port: int, transport: str) -> tuple[PortUse, ...]:
    from reconshield.knowledge.malware import known_uses

    return tuple(
        PortUse(use.family, use.tier, use.attack, use.source, use.year)
        for use in known_uses()
        if use.transport == transport and use.covers(port)
    )


def conclusion(detected: Detected) -> str:
    """The last line: how many conversations, and how they were rated."""
    matches = detected.matches
    text = conclusion_of(matches.detections, matches.conversations, matches.noted, matches.left_out)
    only_names = not matches.conversations and any(found.names for found in detected.inputs)
    return f"{text}; what clients asked for is held against indicators where its flow is read too" if only_names else text
