"""Does a DNS server look up names for strangers? Asked once, at level 4: a recursive question that was not refused.

Such a server takes part in reflection attacks, and shows whose names its own users look up.
"""

from __future__ import annotations

from reconshield.checks.check import Check, Context, Judgement
from reconshield.model import Service, Severity


def _judge(service: Service, context: Context) -> Judgement | None:
    del context
    if service.facts.get("recursion") is not True:
        return None
    return Judgement("a recursive question from here was taken on: the answer says RA and no refusal", {"recursion": True})


CHECKS = (
    Check(
        id="dns-open-recursion",
        title="DNS looks up names for strangers",
        severity=Severity.MEDIUM,
        applies=lambda service: service.service == "dns",
        judge=_judge,
        remedy="BIND: `recursion no;` on an authoritative server, else `allow-recursion` with your own networks",
        refuted="the same question is refused, or answered without RA",
        attack=("T1498.002",),
        references=("rfc5358",),
    ),
)
