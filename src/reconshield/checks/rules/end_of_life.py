"""Does a program run whose maker fixes nothing any more? By the version it states, and a table of dates with their sources."""

from __future__ import annotations

from reconshield.checks.check import Check, Context, Judgement
from reconshield.checks.lifespan import Ended, find_ended
from reconshield.model import Confidence, Service, Severity


def _judge(service: Service, context: Context) -> Judgement | None:
    found = find_ended(service, context.now)
    if not found:
        return None
    seen = "; ".join(f"{ended.name} {ended.version}: no fixes since {ended.on}" for ended in found)
    sure = Confidence.CONFIRMED if any(ended.confidence is Confidence.CONFIRMED for ended in found) else Confidence.PROBABLE
    return Judgement(seen, {"ended": [_evidence(ended) for ended in found]}, sure)


def _evidence(ended: Ended) -> dict[str, str]:
    return {"product": ended.name, "version": ended.version, "ended": ended.on, "source": ended.by}


CHECKS = (
    Check(
        id="{service}-end-of-life",
        title="Software past the end of its support",
        severity=Severity.MEDIUM,
        applies=lambda service: service.version is not None or bool(service.facts),
        judge=_judge,
        remedy="move to a release that its maker or distribution still fixes; until then allow listed networks only",
        refuted="the server states a release in support, or a distribution's package that is",
        attack=("T1190",),
    ),
)
