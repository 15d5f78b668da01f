"""Recorded dialogues: reads `identify/transcripts/<probe>/*.toml` and leads a probe through one. Format: identify/README.md."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Place, Probe, Read, Reconnect, StartTls, Tell, Where

FOLDER = Path(__file__).parent / "identify" / "transcripts"


@dataclass(frozen=True)
class Recording:
    path: Path
    data: dict[str, Any]

    @property
    def turns(self) -> list[dict[str, Any]]:
        return list(self.data.get("turn", []))

    @property
    def transport(self) -> str:
        return str(self.data.get("transport", "tcp"))

    @property
    def assesses(self) -> bool:
        return bool(self.data.get("dialogue") == "assess")

    def place(self, probe: Probe) -> Place:
        data = self.data
        heard = str(data.get("heard", "")).encode("latin-1")
        port = data.get("port", probe.ports[0])
        return Place(data.get("host", "192.0.2.5"), port, self.transport, data.get("tls", False), heard=heard)

    def match(self, key: str) -> Match | None:
        table = dict(self.data.get(key, {}))
        if not table:
            return None
        return Match(**{**table, "cpe": tuple(table.get("cpe", ())), "facts": table.get("facts", {})})

    def start(self, probe: Probe) -> Dialogue:
        if not self.assesses:
            return probe.run()
        given = self.match("given") or Match(probe.name)
        assert probe.assess is not None, f"{probe.name} has no assess, but {self.path.name} records one"
        return probe.assess(given)


def recordings(probe: str | None = None) -> list[Recording]:
    paths = sorted(FOLDER.glob(f"{probe or '*'}/*.toml"))
    return [Recording(path, tomllib.loads(path.read_text(encoding="utf-8"))) for path in paths]


def bytes_of(turn: dict[str, Any], key: str) -> bytes:
    if f"{key}_hex" in turn:
        return bytes.fromhex("".join(turn[f"{key}_hex"].split()))
    return str(turn.get(key, "")).encode("latin-1")


def replay(recording: Recording, probe: Probe) -> Match | None:
    """Lead the probe through the recording; what it sends must be what was sent. After the last turn all is silence."""
    turns = iter(recording.turns)
    dialogue = recording.start(probe)
    place = recording.place(probe)
    answer: Any = None
    for _ in range(64):
        try:
            step = dialogue.send(answer)
        except StopIteration as verdict:
            match = verdict.value
            assert match is None or isinstance(match, Match)
            return match
        if isinstance(step, Where):
            answer = place
            continue
        turn = next(turns, None)
        answer = answer_of(step, turn, recording.path.name)
        place = replace(place, open=not (turn or {}).get("ended", False))
    raise AssertionError(f"{recording.path.name}: the dialogue does not end")


def answer_of(step: Any, turn: dict[str, Any] | None, where: str) -> Any:
    if isinstance(step, StartTls):
        assert turn is None or "starttls" in turn, f"{where}: the probe turns to TLS where the recording does not"
        return (turn or {}).get("starttls") or None
    if isinstance(step, Reconnect):
        return bool((turn or {}).get("reconnect"))
    assert isinstance(step, Read | Ask | Tell)
    assert turn is None or not {"starttls", "reconnect"} & set(turn), f"{where}: the recording expects {turn}, not {step}"
    if turn is not None and isinstance(step, Ask | Tell):
        assert step.data == bytes_of(turn, "sent"), where
    return b"" if turn is None or isinstance(step, Tell) else bytes_of(turn, "received")
