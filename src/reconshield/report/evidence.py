"""What a statement about one endpoint rests on: the dialogue as it was kept, with the line that decides.

Every byte that a stranger sent passes `bytes_text` before it is shown. The deciding line is the answer that holds what the
finding quotes. Works as well for an endpoint without finding, and for one that did not answer: then it says what was seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconshield.model import Confidence, Endpoint, Finding, Observation, Reason, Rung, Service, State, Turn
from reconshield.report.answer import was_asked
from reconshield.report.result import HeldBack, RatedService, RunHead
from reconshield.report.rows import Row, Span, wrap
from reconshield.text import bytes_text, count, local_time, printable, size, width_of

SHOWN_TURNS = 24
NO_TURN = Turn("", b"", b"")
MARK = 17
"""Columns for what a line shows, at the end of it."""
DECIDES = "decides"
"""The mark of the turn that a finding rests on."""
LOGIN_WORDS = ("USER", "LOGIN", "AUTH", "STLS", "STARTTLS", "PASS")
"""Of a long answer, lines with these are shown before others that a finding quotes."""
NOT_SENT: dict[str, tuple[str, ...]] = {
    "ftp": ("USER", "PASS"),
    "imap": ("LOGIN", "AUTHENTICATE"),
    "irc": ("PASS", "OPER"),
    "nntp": ("AUTHINFO",),
    "pop3": ("USER", "PASS", "AUTH"),
    "redis": ("AUTH", "CONFIG", "EVAL"),
    "smtp": ("AUTH", "MAIL", "RCPT"),
    "xmpp": ("auth",),
}
"""Commands that a login or an attack would need; those that no kept line has are named."""

ANSWERS = {
    Reason.CONN_REFUSED: "refused (RST)",
    Reason.RESET: "RST",
    Reason.NO_RESPONSE: "nothing came back",
    Reason.PORT_UNREACH: "ICMP port unreachable",
    Reason.UDP_RESPONSE: "an answer",
    Reason.NO_NEIGHBOUR: "no neighbour has this address",
    Reason.NO_ROUTE: "no route leads there",
}
MEANINGS = {
    State.CLOSED: "the host answered, and nothing listened there",
    State.FILTERED: "something between here and there keeps packets away, or the host is silent",
    State.OPEN_FILTERED: "open or filtered: a UDP service may stay silent when it does not like a question",
    State.UNREACHABLE: "the host could not be reached",
}


@dataclass(frozen=True, slots=True)
class EndpointEvidence:
    """All that a run knows of one endpoint. `refuted` says for each check what would make its finding go away."""

    head: RunHead
    endpoint: Endpoint
    observation: Observation
    service: RatedService | None = None
    findings: tuple[Finding, ...] = ()
    refuted: Mapping[str, str] = field(default_factory=dict)
    held: HeldBack | None = None
    imported: bool = False


def evidence_rows(seen: EndpointEvidence, width: int, run_text: str) -> Iterator[Row]:
    """The evidence for the terminal; `run_text` is how the caller named the run."""
    findings = sorted(seen.findings, key=lambda f: -f.severity.rank)
    worst = findings[0] if findings else None
    yield from wrap("", head_text(seen), width, "bold")
    if worst:
        yield from check_rows(worst, width)
    elif seen.service:
        yield from wrap("service  ", service_text(seen.service), width)
    yield from dialogue_rows(seen, worst, width)
    yield from conclusion_rows(seen, worst, width)
    for finding in findings[1:]:
        yield []
        yield from check_rows(finding, width)
        yield from wrap("because  ", because(finding), width)
        yield from refuted_rows(seen, finding, width)
    if findings[1:]:
        yield []
    yield from kept_rows(seen, width, run_text)


def head_text(seen: EndpointEvidence) -> str:
    endpoint, service = seen.endpoint, seen.service.service if seen.service else None
    name = service.name if service else seen.observation.name
    at = service.at if service else seen.observation.at
    place = f"{printable(name, 60)} ({endpoint.ip})" if name else endpoint.ip
    what = printable(service.service, 40) if service else seen.observation.state.label
    level = f"by {seen.head.engine}, imported" if seen.imported else f"level {seen.head.level}"
    port = f"{endpoint.port}/{endpoint.transport}"
    return f"{port} {what} on {place} · {local_time(at, seconds=True)} · from {printable(seen.head.vantage, 40)} · {level}"


def check_rows(finding: Finding, width: int) -> Iterator[Row]:
    risk = f" · risk {finding.risk.score}" if finding.risk else ""
    text = f"{finding.check} · severity {finding.severity.value}{risk} · {finding.confidence.value}"
    yield from wrap("check    ", text, width)


def service_text(rated: RatedService) -> str:
    s = rated.service
    sure = s.confidence.value
    if s.confidence is Confidence.GUESS:
        sure = "no probe recognised it" if was_asked(s) else "a guess by the port number"
    parts = [s.service, *(printable(text, 60) for text in (s.product, s.version) if text)]
    return f"{' '.join(parts)} · {sure} · risk {rated.risk.score} {rated.risk.rating}"


def because(finding: Finding) -> str:
    return printable(str(finding.evidence.get("seen", finding.title)), 400)


def refuted_rows(seen: EndpointEvidence, finding: Finding, width: int) -> Iterator[Row]:
    if refuted := seen.refuted.get(finding.check):
        yield from wrap("refuted  ", f"if {refuted}; then this finding does not exist", width)


def conclusion_rows(seen: EndpointEvidence, worst: Finding | None, width: int) -> Iterator[Row]:
    """What follows from the dialogue, what was left out on purpose, and what would refute it."""
    service = seen.service.service if seen.service else None
    if worst:
        yield from wrap("because  ", because(worst), width)
    elif seen.observation.state is State.OPEN:
        yield from wrap("finding  ", "none: no check found anything wrong with these facts", width)
    else:
        text = f"{seen.observation.state.label} ({seen.observation.reason.label}): {MEANINGS[seen.observation.state]}"
        yield from wrap("state    ", text, width)
    if seen.held:
        yield from wrap("held     ", f"{seen.held.kind} port: {seen.held.because}; no byte was sent", width)
    elif service and any(turn.sent for turn in service.evidence) and not seen.imported:
        yield from wrap("not sent ", not_sent(service), width)
    if worst:
        yield from refuted_rows(seen, worst, width)
    if service and (service.note or service.others):
        yield from wrap("note     ", printable("; ".join([service.note or "", *service.others]).strip("; "), 400), width, "dim")


def not_sent(service: Service) -> str:
    """The commands of a login that stand in no kept line; names and passwords are never sent."""
    sent = b"\n".join(turn.sent for turn in service.evidence).decode("latin-1").upper()
    words = [w for w in NOT_SENT.get(service.service, ()) if not re.search(rf"\b{w.upper()}\b", sent)]
    return f"{', '.join(words)}: nobody's name, nobody's password" if words else "nobody's name, nobody's password"


def kept_rows(seen: EndpointEvidence, width: int, run_text: str) -> Iterator[Row]:
    turns = seen.service.service.evidence if seen.service else ()
    octets = sum(len(turn.sent) + len(turn.received) for turn in turns)
    if octets:
        cut = " (some answers were longer)" if any(turn.truncated for turn in turns) else ""
        text = f"{size(octets)}{cut}; judge it again without a packet: reconshield rejudge {run_text}"
        yield from wrap("kept     ", text, width)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a dialogue: when, what was sent, what came back, what it shows."""

    ms: float
    sent: str
    received: str
    mark: str = ""


def dialogue_rows(seen: EndpointEvidence, finding: Finding | None, width: int) -> Iterator[Row]:
    """The dialogue in columns; on narrow terminals the mark comes under its line."""
    turns = seen.service.service.evidence if seen.service else ()
    shown = turns[:SHOWN_TURNS]
    sent_width = min(max([7, *(width_of(sent_text(turn)) for turn in shown)]) + 2, max(width // 4, 10))
    time_width = max(len(time_text(turn.ms)) for turn in (*shown, NO_TURN)) + 2
    room = max(width - time_width - sent_width - 4 - MARK, 12)
    entries = [first_entry(seen), *turn_entries(seen, shown, finding, room)]
    for entry in entries:
        sent = f"→ {fit(entry.sent, sent_width)}" if entry.sent else " " * (sent_width + 2)
        line = f"{time_text(entry.ms):<{time_width}}{sent}{f'← {entry.received}' if entry.received else ''}"
        gap = width - width_of(line) - MARK + 2
        if entry.mark and gap < 0:
            yield [Span(line)]
            yield [Span(" " * max(width - MARK + 2, 0)), Span(entry.mark, "bold" if entry.mark == DECIDES else "dim")]
        else:
            pad = " " * gap if entry.mark else ""
            yield [Span(line + pad), Span(entry.mark, "bold" if entry.mark == DECIDES else "dim")]
    if len(turns) > len(shown):
        yield [Span(f"  {count(len(turns) - len(shown))} more: add --json", "dim")]


def time_text(ms: float) -> str:
    return f"  +{ms:.1f} ms"


def first_entry(seen: EndpointEvidence) -> Entry:
    """The measurement of the port itself."""
    o, tcp = seen.observation, seen.endpoint.transport == "tcp"
    asked = (
        seen.head.engine if seen.imported else "a datagram" if not tcp else "SYN" if seen.head.engine == "raw" else "connect"
    )
    if o.reason is Reason.SYN_ACK:
        answer = "accepted" if asked == "connect" else "SYN-ACK"
        mark = "rung: handshake" if asked == "connect" else "rung: syn-ack"
    else:
        answer, mark = ANSWERS.get(o.reason, o.reason.label if not seen.imported else o.state.label), ""
    more = [f"ttl {o.ttl}" if o.ttl else "", f"{o.rtt_ms:.2f} ms" if o.rtt_ms else ""]
    return Entry(0.0, asked, ", ".join(part for part in (answer, *more) if part), mark)


def turn_entries(seen: EndpointEvidence, turns: tuple[Turn, ...], finding: Finding | None, room: int) -> Iterator[Entry]:
    words = quoted_words(finding)
    for turn, mark in zip(turns, turn_marks(seen, turns, finding), strict=True):
        more = ", then TLS" if mark.upgraded else ""
        answer = received_text(turn.received, room - len(more), words if mark.text == DECIDES else ())
        yield Entry(turn.ms, sent_text(turn), answer + more, mark.text)


@dataclass(frozen=True, slots=True)
class Mark:
    """What a turn shows: that it decides, or the rung of the ladder that it reached first. `upgraded`: TLS begins after it."""

    text: str
    upgraded: bool


def turn_marks(seen: EndpointEvidence, turns: tuple[Turn, ...], finding: Finding | None) -> Iterator[Mark]:
    """What each turn of a dialogue shows."""
    service = seen.service.service if seen.service else None
    decides = deciding_turn(turns, quoted_words(finding), service.probe if service else None) if finding else -1
    heard = next((at for at, turn in enumerate(turns) if turn.received), -1)
    matched = max(
        (at for at, turn in enumerate(turns) if service and turn.probe == service.probe and turn.received), default=-1
    )
    for at, turn in enumerate(turns):
        upgraded = at + 1 < len(turns) and turns[at + 1].tls and not turn.tls
        mark = ""
        if at == decides:
            mark = DECIDES
        elif upgraded and service and service.rung is Rung.TLS_IDENTITY:
            mark = "rung: TLS"
        elif at == heard:
            mark = "rung: bytes"
        elif at == matched and service and service.confidence is Confidence.CONFIRMED:
            mark = "rung: protocol"
        yield Mark(mark, upgraded)


def quoted_words(finding: Finding | None) -> tuple[str, ...]:
    """The texts that a finding quotes from the answers."""
    if finding is None:
        return ()
    found: list[str] = re.findall(r"[A-Z+][A-Z0-9+_-]{3,}", str(finding.evidence.get("seen", "")))
    for key, value in finding.evidence.items():
        if key != "seen":
            collect(value, found)
    return tuple(dict.fromkeys(word for word in found if len(word) > 2))


def collect(value: Any, found: list[str]) -> None:
    """Every text in a JSON value."""
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            collect(inner, found)
    elif isinstance(value, list | tuple):
        for inner in value:
            collect(inner, found)


def deciding_turn(turns: tuple[Turn, ...], words: tuple[str, ...], probe: str | None) -> int:
    """The answer that has most of what the finding quotes, the first of equals; else the last answer to the probe."""
    scores = [sum(word.encode("utf-8", "replace").upper() in turn.received.upper() for word in words) for turn in turns]
    if scores and max(scores) > 0:
        return scores.index(max(scores))
    return max((at for at, turn in enumerate(turns) if turn.received and turn.probe == probe), default=-1)


def sent_text(turn: Turn) -> str:
    return bytes_text(turn.sent.rstrip(b"\r\n"))


def received_text(data: bytes, room: int, words: tuple[str, ...] = ()) -> str:
    """The lines of an answer in one; where they do not fit, the first and as many of those that decide as have room."""
    lines = [bytes_text(line) for line in re.split(rb"\r?\n", data.strip(b"\r\n"))]
    whole = "  ".join(lines)
    if len(whole) <= room:
        return whole
    wanted = {at: weight_of(line, words) for at, line in enumerate(lines[1:], 1)}
    chosen: list[int] = []
    for at in sorted((at for at, weight in wanted.items() if weight >= 0), key=lambda at: (wanted[at], at)):
        if len(join_lines(lines, [*chosen, at])) <= room:
            chosen.append(at)
    return fit(join_lines(lines, chosen) if chosen else whole, room).rstrip()


def weight_of(line: str, words: tuple[str, ...]) -> int:
    """0 for lines with what the finding's sentence names, 1 for those that a login needs, 2 for others quoted, else -1."""
    parts = set(re.split(r"[^A-Z0-9_-]+|^[0-9]{3}-", line.upper()))
    if not any(word.upper() in line.upper() for word in words):
        return -1
    return 0 if words[0].upper() in parts else 1 if parts & set(LOGIN_WORDS) else 2


def join_lines(lines: list[str], chosen: list[int]) -> str:
    return "  ".join([f"{lines[0]} …", *(lines[at] for at in sorted(chosen))])


def fit(text: str, room: int) -> str:
    """The text in exactly so many columns, cut with `…`."""
    if len(text) > room:
        text = text[: max(room - 1, 1)] + "…"
    return text.ljust(room)
