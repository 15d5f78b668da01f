"""Does a DNS server look up names for strangers? Asked once, at level 4: a recursive question that was not refused.

Such a server takes part in reflection attacks, and shows whose names its own users look up.
"""

from __future__ import annotations

from reconshield.checks.check import fact_check
from reconshield.model import Severity

CHECKS = (
    fact_check(
        "dns-open-recursion",
        "DNS looks up names for strangers",
        Severity.MEDIUM,
        service="dns",
        fact=("recursion", True),
        seen="a recursive question from here was taken on: the answer says RA and no refusal",
        remedy="BIND: `recursion no;` on an authoritative server, else `allow-recursion` with your own networks",
        refuted="the same question is refused, or answered without RA",
        attack=("T1498.002",),
        references=("rfc5358",),
    ),
)
