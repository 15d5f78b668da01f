"""Does a UDP service answer with more bytes than it was asked, so that it can be turned on others with a forged sender?

Judged from the one question that the probe sent and its answer. The factor that advisories document for the protocol is named
as documented: it is not a measurement of this server.
"""

from __future__ import annotations

from collections.abc import Callable

from reconshield.checks.check import Check, Context, Judgement
from reconshield.model import Service, Severity

DOCUMENTED = {
    "chargen": "358.8",
    "cldap": "56 to 70",
    "coap": "27 to 34",
    "dns": "28 to 54",
    "mdns": "2 to 10",
    "memcached": "10,000 to 51,000",
    "mssql-browser": "about 25",
    "netbios-ns": "3.8",
    "ntp": "556.9",
    "qotd": "140.3",
    "rpcbind": "7 to 28",
    "slp": "up to 2,200",
    "snmp": "6.3",
    "ssdp": "30.8",
    "tftp": "60",
    "ws-discovery": "10 to 500",
}
"""Bandwidth amplification factors of CISA TA14-017A and later measurements (research of SLP: CVE-2023-29552)."""
LEAST = 1.2


def measure_factor(service: Service) -> tuple[int, int] | None:
    """Bytes asked and bytes answered of the turn that grew the most; None when none is on record."""
    asked, answered = service.facts.get("request_bytes"), service.facts.get("answer_bytes")
    turns = [(len(turn.sent), len(turn.received)) for turn in service.evidence if turn.sent and turn.received]
    if isinstance(asked, int) and isinstance(answered, int) and asked > 0:
        turns.append((asked, answered))
    return max(turns, key=lambda pair: pair[1] / pair[0], default=None)


def _applies(name: str) -> Callable[[Service], bool]:
    return lambda service: service.service == name and service.endpoint.transport == "udp"


def _judge(service: Service, context: Context) -> Judgement | None:
    del context
    measured = measure_factor(service)
    if measured is None or measured[1] < LEAST * measured[0]:
        return None
    asked, answered = measured
    documented = DOCUMENTED[service.service]
    seen = f"{asked} bytes asked, {answered} answered: {answered / asked:.1f} times; documented for the protocol: {documented}"
    return Judgement(seen, {"request_bytes": asked, "answer_bytes": answered, "documented_factor": documented})


CHECKS = tuple(
    Check(
        id=f"{name}-amplifier",
        title="Can be used to flood others",
        severity=Severity.MEDIUM,
        applies=_applies(name),
        judge=_judge,
        remedy="answer listed networks only (firewall or the server's access list); turn the UDP side off where TCP will do",
        refuted=f"the answer is no larger than {LEAST} times the question, or none comes",
        attack=("T1498.002",),
        references=("cisa-ta14-017a",),
    )
    for name in DOCUMENTED
)
