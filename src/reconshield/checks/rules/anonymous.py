"""Was the session granted that a protocol defines for nobody? Asked once, only at level 4, and left at once."""

from __future__ import annotations

from reconshield.checks.check import Check, fact_check
from reconshield.model import Severity


def _anonymous(
    service: str, problem: str, title: str, severity: Severity, seen: str, remedy: str, references: tuple[str, ...] = ()
) -> Check:
    return fact_check(
        f"{service}-{problem}",
        title,
        severity,
        service=service,
        fact=("anonymous", True),
        seen=seen,
        remedy=remedy,
        refuted="the same attempt is refused",
        attack=("T1078",),
        references=references,
    )


CHECKS = (
    _anonymous(
        "ftp",
        "anonymous-login",
        "FTP lets anybody in as anonymous",
        Severity.MEDIUM,
        "the user `anonymous` was let in, then the session was ended",
        "vsftpd: `anonymous_enable=NO`, then restart; if it is meant, allow reading only",
        ("rfc1635",),
    ),
    _anonymous(
        "ldap",
        "anonymous-bind",
        "LDAP answers an anonymous bind",
        Severity.MEDIUM,
        "an anonymous bind succeeded",
        "OpenLDAP: `disallow bind_anon` (olcDisallows: bind_anon) and `require authc`",
        ("rfc4513",),
    ),
    _anonymous(
        "mqtt",
        "anonymous-login",
        "MQTT accepts clients without a user",
        Severity.HIGH,
        "CONNECT without a user was accepted, then the session was ended",
        "Mosquitto: `allow_anonymous false` and a password file",
    ),
    _anonymous(
        "smb",
        "null-session",
        "SMB lets nobody in particular into IPC$",
        Severity.MEDIUM,
        "a session without a user was set up and let into IPC$, then ended",
        "Samba: `restrict anonymous = 2`; Windows: RestrictNullSessAccess = 1",
    ),
    _anonymous(
        "amqp",
        "anonymous-login",
        "AMQP accepts SASL ANONYMOUS",
        Severity.HIGH,
        "SASL ANONYMOUS was accepted",
        "remove the mechanism ANONYMOUS from the broker's list",
    ),
)
