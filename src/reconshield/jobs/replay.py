"""A stored dialogue read again by the probe of today: the same answers in, perhaps more facts out, and no packet.

The probe is led through the turns that were kept. As soon as it asks something that was not asked then, or an answer was kept
only in part, the replay ends and what was stored stays: an answer is never made up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Place, Probe, Read, Reconnect, StartTls, Tell, Where
from reconshield.model import Confidence, Service, Tls, Turn

MAX_STEPS = 64


class Unlike(Exception):
    """The dialogue of today is not the one that was kept."""


def read_again(service: Service, probe: Probe) -> Service | None:
    """The service as the probe of today understands what was kept; None when the dialogue cannot be led again."""
    turns = [t for t in service.evidence if t.probe == probe.name and (t.tls or service.tls is not Tls.IMPLICIT)]
    waiting = iter(turns)
    place = Place(
        service.name or service.endpoint.ip, service.endpoint.port, service.endpoint.transport, service.tls is Tls.IMPLICIT
    )
    upgraded = service.facts.get("starttls_tls")
    try:
        match = lead(probe.run(), waiting, place, upgraded)
        rest = list(waiting)
        if match is not None and rest and probe.assess is not None:
            match = lead(probe.assess(match), iter(rest), place, upgraded) or match
    except Unlike:
        return None
    return renew(service, match) if match is not None else None


def lead(dialogue: Dialogue, turns: Iterator[Turn], place: Place, upgraded: Any) -> Match | None:
    """Lead a dialogue through kept turns to its verdict."""
    answer: Any = None
    for _ in range(MAX_STEPS):
        try:
            step = dialogue.send(answer)
        except StopIteration as verdict:
            found: Match | None = verdict.value
            return found
        match step:
            case Where():
                answer = place
            case StartTls():
                answer = upgraded
            case Reconnect():
                answer = True
            case Read() | Ask() | Tell():
                answer = take(next(turns, None), step)
    raise Unlike


def take(turn: Turn | None, step: Read | Ask | Tell) -> bytes:
    """The kept answer to a step."""
    asked = b"" if isinstance(step, Read) else step.data
    if turn is None or turn.truncated or turn.sent != asked:
        raise Unlike
    return turn.received


def renew(service: Service, match: Match) -> Service:
    """The service with what the match says; TLS facts do not come from the dialogue and stay."""
    facts = dict(match.facts)
    if "tls" in service.facts:
        facts["tls"] = service.facts["tls"]
    offered = "starttls_tls" in facts or facts.get("starttls") in {"offered", "required"}
    form = Tls.IMPLICIT if service.tls is Tls.IMPLICIT else Tls.STARTTLS if offered else Tls.NONE
    return replace(
        service,
        service=match.service,
        confidence=Confidence.CONFIRMED if match.sure else Confidence.PROBABLE,
        product=match.product,
        version=match.version,
        cpe=match.cpe,
        tls=form,
        facts=facts,
    )
