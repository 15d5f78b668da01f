"""Which programs of a service are past the end of their support, by the tables of `knowledge.lifecycle`. Pure.

A distribution supports its packages longer than the maker does, so a program that shows its distribution is judged by the
release of that distribution alone, and only where the package names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconshield.checks.software import WINDOWS, Software, read_software
from reconshield.knowledge.lifecycle import Lifecycle, Line, find_end, find_release
from reconshield.model import Confidence, Service


@dataclass(frozen=True, slots=True)
class Ended:
    """A program, or the release of a distribution, whose support has ended. `by` is who said so."""

    name: str
    version: str
    on: str
    by: str
    confidence: Confidence


def find_ended(service: Service, now: float) -> tuple[Ended, ...]:
    """Every program of a service whose support had ended by `now` (Unix seconds)."""
    found = (ended for program in read_software(service) for ended in _judge(program, now))
    return tuple(dict.fromkeys(found))


def _judge(program: Software, now: float) -> Iterator[Ended]:
    if program.os is not None and program.os not in WINDOWS:
        known = find_release(program.os, program.package) if program.package else None
        if known and known[1].has_ended(now):
            name, _, version = known[0].rpartition(" ")
            yield _make(name, version, (known[1], known[2]), Confidence.CONFIRMED)
        return
    ended = find_end(program.product, program.version)
    if ended and ended[0].has_ended(now):
        sure = Confidence.CONFIRMED if program.os in WINDOWS else Confidence.PROBABLE
        yield _make(program.product, program.version, ended, sure)


def _make(name: str, version: str, known: tuple[Line, Lifecycle], confidence: Confidence) -> Ended:
    line, life = known
    return Ended(name, version, line.ended.isoformat(), life.source, confidence)
