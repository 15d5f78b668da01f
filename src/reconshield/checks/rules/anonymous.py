"""Was the session granted that a protocol defines for nobody? Asked once, only at level 4, and left at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconshield.checks.check import Check, Context, Judgement
from reconshield.model import Service, Severity


@dataclass(frozen=True, slots=True)
class _Rule:
    """How one kind of anonymous session is named, weighed and mended."""

    service: str
    problem: str
    title: str
    severity: Severity
    seen: str
    remedy: str
    references: tuple[str, ...] = ()


RULES = (
    _Rule(
        "ftp",
        "anonymous-login",
        "FTP lets anybody in as anonymous",
        Severity.MEDIUM,
        "the user `anonymous` was let in, then the session was ended",
        "vsftpd: `anonymous_enable=NO`, then restart; if it is meant, allow reading only",
        ("rfc1635",),
    ),
    _Rule(
        "ldap",
        "anonymous-bind",
        "LDAP answers an anonymous bind",
        Severity.MEDIUM,
        "an anonymous bind succeeded",
        "OpenLDAP: `disallow bind_anon` (olcDisallows: bind_anon) and `require authc`",
        ("rfc4513",),
    ),
    _Rule(
        "mqtt",
        "anonymous-login",
        "MQTT accepts clients without a user",
        Severity.HIGH,
        "CONNECT without a user was accepted, then the session was ended",
        "Mosquitto: `allow_anonymous false` and a password file",
    ),
    _Rule(
        "smb",
        "null-session",
        "SMB lets nobody in particular into IPC$",
        Severity.MEDIUM,
        "a session without a user was set up and let into IPC$, then ended",
        "Samba: `restrict anonymous = 2`; Windows: RestrictNullSessAccess = 1",
    ),
    _Rule(
        "amqp",
        "anonymous-login",
        "AMQP accepts SASL ANONYMOUS",
        Severity.HIGH,
        "SASL ANONYMOUS was accepted",
        "remove the mechanism ANONYMOUS from the broker's list",
    ),
)


def _applies(name: str) -> Callable[[Service], bool]:
    return lambda service: service.service == name


def _judge(rule: _Rule) -> Callable[[Service, Context], Judgement | None]:
    def judge(service: Service, context: Context) -> Judgement | None:
        del context
        if service.facts.get("anonymous") is not True:
            return None
        return Judgement(rule.seen, {"anonymous": True})

    return judge


CHECKS = tuple(
    Check(
        id=f"{rule.service}-{rule.problem}",
        title=rule.title,
        severity=rule.severity,
        applies=_applies(rule.service),
        judge=_judge(rule),
        remedy=rule.remedy,
        refuted="the same attempt is refused",
        attack=("T1078",),
        references=rule.references,
    )
    for rule in RULES
)
