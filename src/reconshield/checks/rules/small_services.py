"""Do the old small services still answer? Nobody needs them; they feed loops, floods and strangers' curiosity."""

from __future__ import annotations

from collections.abc import Callable

from reconshield.checks.check import Check, Context, Judgement
from reconshield.model import Confidence, Service, Severity

NAMES = {
    "echo": ("Echo sends back whatever comes", "T1498.002", "rfc862"),
    "chargen": ("Chargen sends characters without end", "T1498.002", "rfc864"),
    "qotd": ("Quote of the day answers", "T1498.002", "rfc865"),
    "daytime": ("Daytime tells the clock", "T1592.002", "rfc867"),
    "time": ("Time tells the clock", "T1592.002", "rfc868"),
    "finger": ("Finger tells who is logged in", "T1592.002", "rfc1288"),
    "ident": ("Ident tells who owns a connection", "T1592.002", "rfc1413"),
    "gopher": ("Gopher answers", "T1592.002", "rfc1436"),
}


def _judge(title: str) -> Callable[[Service, Context], Judgement]:
    def judge(service: Service, context: Context) -> Judgement:
        del context
        told = service.facts.get("greeting") or service.facts.get("answer")
        return Judgement(title, {"answer": str(told)[:200]} if told else {})

    return judge


def _applies(name: str) -> Callable[[Service], bool]:
    return lambda service: service.service == name and service.confidence is not Confidence.GUESS


CHECKS = tuple(
    Check(
        id=f"{name}-exposed",
        title=title,
        severity=Severity.LOW,
        applies=_applies(name),
        judge=_judge(title),
        remedy="turn it off: inetd/xinetd `disable = yes`; Cisco: `no service tcp-small-servers` and `udp-small-servers`",
        refuted="the endpoint does not answer any more",
        attack=(attack,),
        references=(source,),
    )
    for name, (title, attack, source) in NAMES.items()
)
