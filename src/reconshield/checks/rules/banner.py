"""Does the server tell every stranger its version? Not a hole, but what a search engine for hosts lives on."""

from __future__ import annotations

from reconshield.checks.check import Check, Context, Judgement
from reconshield.model import Confidence, Service, Severity


def _applies(service: Service) -> bool:
    return service.version is not None and service.confidence is not Confidence.GUESS


def _judge(service: Service, context: Context) -> Judgement:
    del context
    shown = " ".join(part for part in (service.product, service.version) if part)
    return Judgement(f"the server states {shown}", {"product": service.product, "version": service.version})


CHECKS = (
    Check(
        id="{service}-version-banner",
        title="Version is shown to everybody",
        severity=Severity.INFO,
        applies=_applies,
        judge=_judge,
        remedy="turn the version off in the banner where the server can; keep the package up to date either way",
        refuted="the server states no version",
        attack=("T1592.002",),
    ),
)
