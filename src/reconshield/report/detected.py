"""What `detect run` found, as every format of it gets it, and the words and numbers that the formats share.

Ids are computed, not drawn: the same conversation has the same one in every format and every run, so that whoever takes them in
knows it again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid5

from reconshield import __version__
from reconshield.detection import Detection, Suppressed, Talk
from reconshield.report.detections import endpoint_text
from reconshield.text import count

SPACE = UUID("5b1f0a4e-3c57-5d0b-9f0d-6a3f2b7c9e11")
"""The name space of our own ids (RFC 9562, version 5)."""
PROTOCOL_NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "sctp": 132}
LIMIT = 100
PICTURED = 500
"""Detections that a page wants a picture of: it shows fewer in full, and sums up many of one kind in its timeline."""
THRESHOLDS = {"low": "20 to 39", "medium": "40 to 59", "high": "60 to 84", "critical": "85 to 100"}
"""The scores of each rating (`detect.evidence` decides; a test holds both together)."""


@dataclass(frozen=True, slots=True)
class InputNote:
    """A file that was read: what it is, how many records, names and listeners it gave, what in it could not be used, and what
    was guessed (`notes`).
    """

    file: str
    format: str
    records: int
    bad: int
    faults: tuple[str, ...] = ()
    names: int = 0
    listeners: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedNote:
    """A file of indicators that was read."""

    file: str
    format: str
    used: int
    expired: int
    unused: int
    bad: int


@dataclass(frozen=True, slots=True)
class DetectionReport:
    """All that was found in some flow logs, the worst first. `made` is when (Unix seconds); `span` the time that the flows
    cover, None where no record has a time; `techniques` are the names of the ATT&CK ids that occur, of `attack_version`;
    `talk` is who talks to what scans knew to be open (address, port, transport), where the flows show its host.
    """

    detections: tuple[Detection, ...]
    own: tuple[Detection, ...]
    allowed: tuple[Detection, ...]
    inputs: tuple[InputNote, ...]
    conversations: int
    noted: int
    left_out: int
    made: float
    feeds: tuple[FeedNote, ...] = ()
    span: tuple[float, float] | None = None
    policy: str = ""
    techniques: Mapping[str, str] = field(default_factory=dict)
    attack_version: str = ""
    version: str = __version__
    talk: Mapping[tuple[str, int, str], Talk] = field(default_factory=dict)


def own_uuid(*parts: str) -> str:
    """The UUID that these parts always give."""
    return str(uuid5(SPACE, "\n".join(parts)))


def times_of(detection: Detection, made: float) -> tuple[float, float]:
    """First and last flow. Where the log has no times it is the time of the report, for formats that need one."""
    if math.isnan(detection.first):
        return made, made
    return detection.first, max(detection.first, detection.last)


def title_of(detection: Detection) -> str:
    """`10.20.4.9 to 203.0.113.35:110/tcp: secure zone cell-3 expects no pop3`."""
    return f"{detection.src} to {endpoint_text(detection)}: {reason_of(detection)}"


def reason_of(detection: Detection) -> str:
    """The heaviest piece of evidence in words."""
    return max(detection.evidence, key=lambda entry: entry.points).because if detection.evidence else "no evidence"


def sum_text(detection: Detection) -> str:
    """`60 policy + 25 protocol − 15 reply confusion = 70`, with what cut the sum or held the rating."""
    total = sum(entry.points for entry in detection.evidence)
    text = ""
    for entry in detection.evidence:
        sign = ("− " if entry.points < 0 else "") if not text else (" − " if entry.points < 0 else " + ")
        text += f"{sign}{abs(entry.points)} {entry.kind}"
    text += f" = {total}"
    if total > LIMIT:
        text += f", cut at {LIMIT}"
    if detection.grade.held:
        text += f"; held at {detection.grade.rating}: {detection.grade.held}"
    return text


def evidence_text(detection: Detection) -> str:
    """Every piece of evidence with its points, then the sum."""
    parts = [f"{entry.points} {entry.kind}: {entry.because}" for entry in detection.evidence]
    return "; ".join([*parts, sum_text(detection)])


def live(suppressed: Suppressed | None) -> bool:
    """Whether a suppression holds."""
    return suppressed is not None and suppressed.live


def protocol_number(transport: str) -> int | None:
    """The IP protocol of a transport's name; names that are numbers are those."""
    if transport.isdecimal():
        return int(transport)
    return PROTOCOL_NUMBERS.get(transport)


def ip_version(address: str) -> int:
    return 6 if ":" in address else 4


def conclusion_text(report: DetectionReport) -> str:
    return conclusion_of(report.detections, report.conversations, report.noted, report.left_out)


def conclusion_of(detections: Sequence[Detection], conversations: int, noted: int, left_out: int) -> str:
    """How many conversations there were, and how they were rated; and how many more reach Low than are kept."""
    ratings = [detection.grade.rating for detection in detections]
    parts = [f"{count(ratings.count(name))} {name}" for name in reversed(THRESHOLDS) if name in ratings]
    rated = ", ".join(parts) or "none rated low or above"
    marked = sum(1 for detection in detections if live(detection.suppressed))
    cut = f"; {count(left_out)} more reach low, the worst are kept" if left_out else ""
    suppressed = f" ({count(marked)} suppressed)" if marked else ""
    return f"{count(conversations)} conversations: {rated}{suppressed}{cut}; {count(noted)} noted below low"
