"""Can a password be sent before TLS? Judged from what the server *offers*: nobody's name and nobody's password is sent.

Offering TLS is not enough: the finding goes away only when login before TLS is refused or not offered.
"""

from __future__ import annotations

from collections.abc import Callable

from reconshield.checks.check import Check, Context, Judgement
from reconshield.model import Service, Severity, Tls

REMEDIES = {
    "pop3": "Dovecot: `ssl = required`, then `doveadm reload`; any server: refuse USER and SASL PLAIN before STLS",
    "imap": "Dovecot: `ssl = required`, then `doveadm reload`; any server: announce LOGINDISABLED before STARTTLS",
    "smtp": "Postfix: `smtpd_tls_auth_only = yes`, then `postfix reload`; any server: no AUTH before STARTTLS",
    "ftp": "vsftpd: `ssl_enable=YES`, `force_local_logins_ssl=YES`; better: replace FTP by SFTP on the SSH port",
    "ldap": "OpenLDAP: `security simple_bind=128` in slapd.conf or olcSecurity; clients: StartTLS or 636",
    "postgresql": "postgresql.conf: `ssl = on`; pg_hba.conf: `hostssl` lines in place of `host`, then reload",
    "mysql": "mysqld: `require_secure_transport = ON`",
    "http": "serve the pages that ask for a password by HTTPS alone; on the plain port answer with a redirect",
    "redis": "redis.conf: `port 0`, `tls-port 6379` and the certificate; or listen on loopback and reach it by a tunnel",
    "telnet": "replace telnet by SSH; until then allow it from a management network only",
    "nntp": "require TLS before AUTHINFO, or serve 563 only",
    "xmpp": "require TLS for client connections",
    "mqtt": "serve 8883 with TLS and remove the listener on 1883",
    "amqp": "serve 5671 with TLS and remove the listener on 5672",
    "irc": "serve 6697 with TLS; refuse services passwords on clear-text connections",
}


def _judge(service: Service, context: Context) -> Judgement | None:
    del context
    if service.facts.get("login_clear") != "offered":
        return None
    mechanisms = [str(m) for m in service.facts.get("mechanisms_clear", ())]
    offer = (
        f"the server offers login before TLS ({', '.join(mechanisms)})" if mechanisms else "the server offers login before TLS"
    )
    upgrade = "; TLS is offered but not required" if service.tls is Tls.STARTTLS else "; TLS is not offered"
    evidence = {key: service.facts[key] for key in ("capabilities", "mechanisms_clear", "starttls") if key in service.facts}
    return Judgement(offer + upgrade, evidence)


def _applies(name: str) -> Callable[[Service], bool]:
    return lambda service: service.service == name and service.tls is not Tls.IMPLICIT


CHECKS = tuple(
    Check(
        id=f"{name}-cleartext-login",
        title="Password can travel in clear text",
        severity=Severity.HIGH if name == "telnet" else Severity.MEDIUM,
        applies=_applies(name),
        judge=_judge,
        remedy=remedy,
        refuted="the server refuses login, or does not offer it, before TLS",
        attack=("T1040", "T1557"),
        references=("rfc8314",) if name in {"pop3", "imap", "smtp"} else (),
    )
    for name, remedy in REMEDIES.items()
)
