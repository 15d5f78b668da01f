"""What every probe sends: each dialogue is led against silence, an echo and all recordings, and every message is written down.

`identify/sent.json` is the table that comes out; `docs/probes.md` shows it and `identify/test_sent.py` holds the probes to it.
To renew it: `python tests/sent.py`, and look at what changed. Messages that repeat something the server said cannot be listed
byte by byte; `identify/sent_variable.toml` describes them by a pattern, with a reason.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dialogues import Recording, bytes_of, recordings
from reconshield.identify.applications.questions import BY_PORT, QUESTIONS
from reconshield.identify.probe import Ask, Dialogue, Match, Place, Probe, Reconnect, StartTls, Tell, Where
from reconshield.identify.probes import PROBES, http

TABLE = Path(__file__).parent / "identify" / "sent.json"
VARIABLE = Path(__file__).parent / "identify" / "sent_variable.toml"
IDENTIFY, ASSESS = 3, 4
TURNS = 33

Answers = Callable[[Any], bytes]
"""What the other side says to a step of the dialogue."""


@dataclass(frozen=True, order=True)
class Row:
    """One message: who may send it, from which level on, and its bytes as text (`{host}` for the target's name)."""

    probe: str
    transport: str
    level: int
    sent: str


@dataclass(frozen=True)
class Variable:
    """A message that holds something of the server's own."""

    probe: str
    level: int
    pattern: re.Pattern[str]
    why: str


def written(data: bytes, place: Place) -> str:
    """Printable ASCII as it is, other bytes as \\xNN, the target as {host}."""
    text = "".join(chr(b) if 32 <= b < 127 and b != 92 else {13: "\\r", 10: "\\n"}.get(b, f"\\x{b:02x}") for b in data)
    return re.sub(re.escape(place.host) + r"(?::\d{1,5})?", "{host}", text)


def lead(dialogue: Dialogue, place: Place, answers: Answers, agree: bool = True) -> tuple[list[bytes], Match | None]:
    """Lead a dialogue to its end; every message that it sent, and its verdict."""
    sent: list[bytes] = []
    answer: Any = None
    silences = 0
    for _ in range(TURNS):
        try:
            step = dialogue.send(answer)
        except StopIteration as verdict:
            return sent, verdict.value
        if isinstance(step, Ask | Tell):
            sent.append(step.data)
        if isinstance(step, Where):
            answer = replace(place, open=silences % 2 == 0)  # some servers answer by hanging up, or by not doing so
        elif isinstance(step, StartTls):
            answer = {"version": "TLSv1.3"} if agree else None
        elif isinstance(step, Reconnect):
            answer = agree
        else:
            answer = b"" if isinstance(step, Tell) else answers(step)
            silences += isinstance(step, Ask) and not answer
    return sent, None


def silence(_step: Any) -> bytes:
    return b""


def echo(step: Any) -> bytes:
    return step.data if isinstance(step, Ask) else b""


def from_recording(recording: Recording) -> Answers:
    said = iter([bytes_of(t, "received") for t in recording.turns if "received" in t or "received_hex" in t])
    return lambda _step: next(said, b"")


def probe_of(recording: Recording) -> Probe:
    from importlib import import_module

    module = import_module(f"reconshield.identify.probes.{recording.path.parent.name}")
    found = module.UDP if recording.transport == "udp" and hasattr(module, "UDP") else module.PROBE
    assert isinstance(found, Probe)
    return found


def observe() -> Iterator[Row]:
    """Every message of every probe against silence, an echo and the recordings, some of them more than once."""
    for probe in PROBES:
        places = [Place("192.0.2.5", port, probe.transport, tls) for port in probe.ports for tls in (False, True)]
        for place in places:
            for answers in (silence, echo):
                yield from rows(probe, IDENTIFY, lead(probe.run(), place, answers)[0], place)
    for recording in recordings():
        probe = probe_of(recording)
        place = recording.place(probe)
        level = ASSESS if recording.assesses else IDENTIFY
        for agree in (True, False):
            sent, match = lead(recording.start(probe), place, from_recording(recording), agree)
            yield from rows(probe, level, sent, place)
            if match is not None and probe.assess is not None:
                for answers in (silence, echo):
                    yield from rows(probe, ASSESS, lead(probe.assess(match), place, answers, agree)[0], place)

    yield from known_paths()


def known_paths() -> Iterator[Row]:
    """Every GET that an application may be asked, whether or not a recording leads to it."""
    place = Place("192.0.2.5", 80)
    asked = [(q.path, q.level) for q in QUESTIONS] + [(path, IDENTIFY) for path in (*BY_PORT.values(), "/favicon.ico")]
    for path, level in asked:
        yield Row("http", "tcp", level, written(http.write_get(place, path), place))


def rows(probe: Probe, level: int, sent: list[bytes], place: Place) -> Iterator[Row]:
    return (Row(probe.name, probe.transport, level, written(data, place)) for data in sent)


def variables() -> list[Variable]:
    data = tomllib.loads(VARIABLE.read_text(encoding="utf-8"))
    return [Variable(v["probe"], v["level"], re.compile(v["pattern"]), v["why"]) for v in data["message"]]


def is_variable(row: Row, described: list[Variable]) -> bool:
    return any(v.probe == row.probe and v.level <= row.level and v.pattern.fullmatch(row.sent) for v in described)


def table() -> list[dict[str, Any]]:
    """The rows of the file: messages byte by byte, then those described by a pattern."""
    described = variables()
    seen = set(observe())
    low = {(row.probe, row.transport, row.sent) for row in seen if row.level == IDENTIFY}
    fixed = sorted(
        row
        for row in seen
        if not is_variable(row, described) and (row.level == IDENTIFY or (row.probe, row.transport, row.sent) not in low)
    )
    made: list[dict[str, Any]] = [vars(row) for row in fixed]
    made += [{"probe": v.probe, "level": v.level, "pattern": v.pattern.pattern, "why": v.why} for v in described]
    return made


def main() -> None:
    lines = ",\n".join(json.dumps(row, ensure_ascii=True) for row in table())
    TABLE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
