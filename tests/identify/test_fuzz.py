"""One fuzz test over all probes: any bytes, and recordings that are cut, mixed and mutated. No probe may raise, hang or lie.

A dialogue must end within the driver's limit of turns, and facts must be plain JSON values.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialogues import bytes_of, recordings
from reconshield.identify.probe import Ask, Match, Place, Probe, Read, Reconnect, StartTls, Tell, Where
from reconshield.identify.probes import PROBES
from reconshield.knowledge.speech import recognise

CORPUS = sorted(
    {bytes_of(turn, "received") for r in recordings() for turn in r.turns if "received" in turn or "received_hex" in turn}
)

SLOW = 0.5
"""Seconds that a whole dialogue may compute, 64 KiB answers included; a regular expression gone wild takes minutes."""


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A recorded answer with bytes cut off, changed, doubled, or another answer behind it."""
    data = bytearray(draw(st.sampled_from(CORPUS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(data))))
        match draw(st.sampled_from(["cut", "change", "double", "insert", "join"])):
            case "cut":
                del data[at:]
            case "change":
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "double":
                data[at:at] = data[:at]
            case "insert":
                data[at:at] = draw(st.binary(max_size=12))
            case "join":
                data += draw(st.sampled_from(CORPUS))
    return bytes(data[: 64 * 1024])


ANSWERS = st.lists(st.one_of(mutated(), st.sampled_from([*CORPUS, b""]), st.binary(max_size=200)), max_size=20)


def lead(probe: Probe, dialogue: Any, answers: list[bytes], tls: bool, agree: bool) -> Match | None:
    """Answer every turn from the list, then with silence."""
    left = iter(answers)
    answer: Any = None
    for _ in range(33):
        try:
            step = dialogue.send(answer)
        except StopIteration as verdict:
            return verdict.value  # type: ignore[no-any-return]  # asserted by the caller
        if isinstance(step, Where):
            answer = Place("192.0.2.5", probe.ports[0], probe.transport, tls, open=agree)
        elif isinstance(step, StartTls):
            answer = {"version": "TLSv1.2"} if agree else None
        elif isinstance(step, Reconnect):
            answer = agree
        elif isinstance(step, Tell):
            answer = b""
        else:
            assert isinstance(step, Ask | Read)
            answer = next(left, b"")
            if step.until is not None:
                assert step.until(answer) in (True, False)
    raise AssertionError("more than 32 turns")


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: f"{p.name}-{p.transport}")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answers=ANSWERS, tls=st.booleans(), agree=st.booleans())
def test_probe_takes_any_answer(probe: Probe, answers: list[bytes], tls: bool, agree: bool) -> None:
    match = lead(probe, probe.run(), answers, tls, agree)
    assert match is None or isinstance(match, Match)
    if match is not None:
        json.dumps(dict(match.facts), allow_nan=False)
        assert isinstance(match.version, str | None)
        if probe.assess is not None:
            further = lead(probe, probe.assess(match), answers[::-1], tls, agree)
            assert further is None or further.service == match.service


LONG = [
    b"A" * 65536,
    b"220-" + b"a-" * 32000,
    b"+OK " + b"\r\n" * 32000,
    b"* CAPABILITY " + b"AUTH=" * 13000 + b"\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 10000,
    b"HTTP/1.1 200 OK\r\n\r\n" + b"<title" * 10000,
    b"SSH-2.0-" + b"x" * 65000 + b"\r\n",
    b" " * 65536,
    b"(" * 65536,
    b"0\x84\xff\xff\xff\xff" * 10000,
    b"\x00" * 65536,
    b"$999999\r\n" + b"redis_version:" * 4000,
    b"\xff\xfb" * 32000,
    b"220 " + b"ESMTP " * 10000 + b"\r\n",
]


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: f"{p.name}-{p.transport}")
def test_probe_is_quick_on_long_answers(probe: Probe) -> None:
    for data in LONG:
        started = time.process_time()
        lead(probe, probe.run(), [data] * 16, tls=False, agree=True)
        assert time.process_time() - started < SLOW, data[:20]


def test_long_first_bytes_are_named_quickly() -> None:
    for data in LONG:
        started = time.process_time()
        recognise(data)
        assert time.process_time() - started < SLOW, data[:20]


@given(st.binary(max_size=600))
def test_first_bytes_are_named_or_not(data: bytes) -> None:
    assert len(set(recognise(data))) == len(recognise(data))
    assert isinstance(recognise(data, "client"), tuple)
