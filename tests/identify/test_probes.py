"""Every probe against the dialogues recorded from real servers, and the list of probes against the files."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from dialogues import Recording, recordings, replay
from reconshield.identify import order, probes
from reconshield.identify.probe import Match, Probe

ALL = recordings()
FILES = sorted(path.stem for path in Path(probes.__file__).parent.glob("*.py") if path.stem != "__init__")


def probe_for(recording: Recording) -> Probe:
    name = recording.path.parent.name
    module = import_module(f"reconshield.identify.probes.{name}")
    found = module.UDP if recording.transport == "udp" and hasattr(module, "UDP") else module.PROBE
    assert isinstance(found, Probe)
    return found


@pytest.mark.parametrize("recording", ALL, ids=lambda r: f"{r.path.parent.name}/{r.path.stem}")
def test_probe_reads_its_recording(recording: Recording) -> None:
    assert "source" in recording.data
    assert replay(recording, probe_for(recording)) == recording.match("match")
    assert recording.data.get("none", False) == (recording.match("match") is None)


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_in_the_list_and_recorded(name: str) -> None:
    module = import_module(f"reconshield.identify.probes.{name}")
    for value in vars(module).values():
        assert not isinstance(value, Probe) or value in probes.PROBES, "add it to identify/probes/__init__.py"
    answers = [r.match("match") for r in ALL if r.path.parent.name == name]
    assert any(answers), f"tests/identify/transcripts/{name} has no recognised server"
    assert None in answers, f"tests/identify/transcripts/{name} has no server that is something else"


def test_no_two_probes_share_name_and_transport() -> None:
    keys = [(probe.name, probe.transport) for probe in probes.PROBES]
    assert len(keys) == len(set(keys))


def greets(recording: Recording) -> bool:
    """The server speaks first in this recording."""
    first = recording.turns[0]
    return not recording.assesses and recording.transport == "tcp" and "sent" not in first and "sent_hex" not in first


@pytest.mark.parametrize("recording", [r for r in ALL if greets(r)], ids=lambda r: f"{r.path.parent.name}/{r.path.stem}")
def test_no_other_probe_is_sure_of_a_recorded_greeting(recording: Recording) -> None:
    """Whoever greets is taken by its own probe alone."""
    first = recording.turns[0]
    for probe in probes.PROBES:
        if not probe.speaks_first or probe.transport == "udp" or probe.name.replace("-", "_") == recording.path.parent.name:
            continue
        only_greeting = Recording(recording.path, {**recording.data, "turn": [first]})
        match: Match | None = replay(only_greeting, probe)
        if not recording.data.get("none"):
            assert match is None or not match.sure, probe.name


def test_orders_name_probes_that_exist() -> None:
    names = {transport: {p.name for p in probes.PROBES if p.transport == transport} for transport in ("tcp", "udp")}
    assert set(order.COMMON) | set(order.PATIENT) <= names["tcp"]
    assert set(order.COMMON_UDP) <= names["udp"]
