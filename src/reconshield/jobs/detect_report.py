"""What `detect run` found, made ready for the formats that are read elsewhere: files, policy, names of techniques."""

from __future__ import annotations

from collections.abc import Iterable

from reconshield.detection import Detection
from reconshield.jobs.detect import Detected, Input
from reconshield.jobs.indicators import FeedRead
from reconshield.knowledge.catalog import attack_names
from reconshield.knowledge.sections import attack_version
from reconshield.report.detected import DetectionReport, FeedNote, InputNote


def make_report(found: Detected, feeds: Iterable[FeedRead], policy: str, now: float) -> DetectionReport:
    """The report of a whole run; `policy` is the file that the flows were held against, if any."""
    matches = found.matches
    return DetectionReport(
        detections=matches.detections,
        own=matches.own,
        allowed=matches.allowed,
        inputs=tuple(map(input_note, found.inputs)),
        conversations=matches.conversations,
        noted=matches.noted,
        left_out=matches.left_out,
        made=now,
        feeds=tuple(FeedNote(str(f.path), f.format, f.used, f.expired, f.unused, f.bad) for f in feeds),
        span=matches.span,
        policy=policy,
        techniques=techniques_of(matches.detections),
        attack_version=attack_version(),
        talk=found.talk,
    )


def input_note(read: Input) -> InputNote:
    return InputNote(
        file=str(read.path),
        format=read.format,
        records=read.records,
        bad=read.bad,
        faults=tuple(read.faults),
        names=read.names,
        listeners=read.listeners,
        notes=tuple(read.notes),
    )


def report_one(found: Detection, now: float) -> DetectionReport:
    """One detection of a log that is followed."""
    return DetectionReport(
        (found,), (), (), (), 0, 0, 0, now, techniques=techniques_of([found]), attack_version=attack_version()
    )


def techniques_of(detections: Iterable[Detection]) -> dict[str, str]:
    """The names of the ATT&CK ids that occur."""
    names = attack_names()
    ids = sorted({uid for found in detections for uid in found.attack})
    return {uid: names[uid] for uid in ids if uid in names}
