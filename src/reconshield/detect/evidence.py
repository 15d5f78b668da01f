"""The kinds of evidence, what each is worth, and the hard rules of the rating.

A port alone says little, so points add up only from independent classes, and every point names its reason. The table is ours,
by what the public lists and RITA's authors say of their own limits (docs/detection.md has the sources).
"""

from __future__ import annotations

from enum import StrEnum

from reconshield.detection import NOTED, Evidence, Grade
from reconshield.text import plural


class Kind(StrEnum):
    """Classes of evidence; each counts once in a detection."""

    POLICY = "policy"
    PORT_LIST = "port list"
    PROTOCOL = "protocol"
    DIRECTION = "direction"
    RHYTHM = "rhythm"
    FAILURE = "failure"
    NOVELTY = "novelty"
    RARITY = "rarity"
    VOLUME = "volume"
    DURATION = "duration"
    INDICATOR = "indicator"
    LISTENER = "listener"
    ALLOWED = "allowed"
    SCANNER = "own scanner"
    CONFUSION = "reply confusion"
    ONE_SIDED = "one-sided capture"


POLICY_ORDINARY, POLICY_SECURE = 35, 60
TIERS = {"A": 10, "B": 6, "C": 3}
PROTOCOL = 25
OUTWARD, LATERAL = 10, 6
RHYTHM_STRONG, RHYTHM_WEAK = 20, 10
FAILURE = 12
NOVELTY = 8
RARITY = 8
VOLUME = 8
LONG, VERY_LONG = 6, 10
INDICATOR = 40
LISTENER = 20
ALLOWED, SCANNER, CONFUSION, ONE_SIDED = -50, -30, -15, -10

STRONG = frozenset({Kind.POLICY, Kind.PROTOCOL, Kind.INDICATOR, Kind.LISTENER, Kind.FAILURE})
"""What software that does its work seldom shows. Without one of these a detection stays Low: being rare, steady, long or
large is how backups, telemetry and mail clients behave, and a port number is no evidence of what uses it."""

SUPPORTING = frozenset(kind for kind in Kind) - {Kind.PORT_LIST}
THRESHOLDS = (("critical", 85), ("high", 60), ("medium", 40), ("low", 20))
RATINGS = tuple(name for name, _ in THRESHOLDS)
"""The worst first."""


def grade(evidence: tuple[Evidence, ...]) -> Grade:
    """The score and rating of evidence: the sum from 0 to 100, and the rating that the hard rules allow."""
    total = sum(entry.points for entry in evidence)
    score = max(0, min(100, total))
    rating = next((name for name, least in THRESHOLDS if score >= least), NOTED)
    kinds = {entry.kind for entry in evidence if entry.points > 0}
    if rating in {NOTED, "low"}:
        return Grade(score, rating)
    if not kinds & STRONG:
        return Grade(
            score, "low", "nothing here is more than unusual: no policy, protocol, failure or indicator speaks against it"
        )
    secure = any(entry.kind == Kind.POLICY and entry.points >= POLICY_SECURE for entry in evidence)
    if rating in {"high", "critical"} and len(kinds & SUPPORTING) < 2 and not secure:
        return Grade(score, "medium", f"{plural(len(kinds), 'class', 'classes')} of evidence: High needs two")
    return Grade(score, rating)
