"""Can a password be sent before TLS? Judged from what the server *offers*: nobody's name and nobody's password is sent.

Offering TLS is not enough: the finding goes away only when login before TLS is refused or not offered. For a few protocols a
login that is wanted without TLS is one in clear, because the protocol has no other kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconshield.checks.check import Check, Context, Judgement
from reconshield.model import Confidence, Service, Severity, Tls

REMEDIES = {
    "pop3": "Dovecot: `ssl = required`, then `doveadm reload`; any server: refuse USER and SASL PLAIN before STLS",
    "imap": "Dovecot: `ssl = required`, then `doveadm reload`; any server: announce LOGINDISABLED before STARTTLS",
    "smtp": "Postfix: `smtpd_tls_auth_only = yes`, then `postfix reload`; any server: no AUTH before STARTTLS",
    "ftp": "vsftpd: `ssl_enable=YES`, `force_local_logins_ssl=YES`; better: replace FTP by SFTP on the SSH port",
    "ldap": "OpenLDAP: `security tls=1` in slapd.conf, or `olcSecurity: tls=1`; clients: StartTLS or 636",
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
    "mssql": "SQL Server: Force Encryption = Yes and a certificate that the clients trust",
    "nats": "nats-server.conf: a `tls` block with a certificate; clients connect by tls://",
    "afp": "Netatalk: remove uams_clrtxt.so from `uam list`; better: replace AFP by SMB 3",
    "managesieve": "Dovecot: `ssl = required`, then `doveadm reload`",
    "asterisk-manager": "manager.conf: `tlsenable = yes`, `bindaddr = 127.0.0.1`",
    "freeswitch-event": "event_socket.conf.xml: listen-ip 127.0.0.1 and a password of your own; reach it by SSH",
    "http-proxy": "ask for the proxy password inside TLS only, or reach the proxy by a VPN",
}


@dataclass(frozen=True, slots=True)
class ByNature:
    """A protocol whose login without TLS is in clear: the fact that shows that a login is wanted, the values that do."""

    key: str
    values: tuple[object, ...]
    seen: str
    remedy: str
    reference: str


BY_NATURE = {
    "mqtt": ByNature(
        "auth", ("required",), "a user and a password are wanted, and CONNECT sends them as they are", "", "mqtt-5"
    ),
    "mpd": ByNature(
        "auth",
        ("required",),
        "the command `password` is wanted, which sends it as it is",
        "bind MPD to loopback (`bind_to_address`) and reach it by SSH",
        "",
    ),
    "socks": ByNature(
        "method",
        ("password",),
        "the proxy wants a user and a password, which RFC 1929 sends as they are",
        "reach the proxy through SSH or a VPN, or allow listed networks only",
        "rfc1929",
    ),
    "cassandra": ByNature(
        "authenticator",
        ("org.apache.cassandra.auth.PasswordAuthenticator", "com.scylladb.auth.PasswordAuthenticator"),
        "PasswordAuthenticator is wanted, which takes the password as it is",
        "cassandra.yaml: `client_encryption_options: enabled: true, optional: false`",
        "cassandra-security",
    ),
    "memcached": ByNature(
        "auth",
        ("required",),
        "a login is wanted, and both of its forms (SASL PLAIN, text) send the password as it is",
        "start memcached with `-Z` (TLS), or listen on loopback and reach it by a tunnel",
        "memcached-tls",
    ),
    "tor-control": ByNature(
        "mechanisms_clear",
        (["HASHEDPASSWORD"],),
        "the only login takes the password as it is",
        "torrc: `CookieAuthentication 1`, ControlPort on loopback or a Unix socket",
        "",
    ),
}


def _judge(service: Service, context: Context) -> Judgement | None:
    del context
    if service.facts.get("bind_clear") == "accepted":
        seen = "a bind as nobody was accepted in clear, and nothing shows that one with a password would be refused"
        return Judgement(seen, {"bind_clear": "accepted", "starttls": service.facts.get("starttls")}, Confidence.PROBABLE)
    if service.facts.get("login_clear") != "offered":
        return _judge_nature(service)
    if service.facts.get("auth") == "none" and service.facts.get("login_form") is not True:
        return None  # where nobody is asked for a password, none travels
    mechanisms = [str(m) for m in service.facts.get("mechanisms_clear", ())]
    offer = (
        f"the server offers login before TLS ({', '.join(mechanisms)})" if mechanisms else "the server offers login before TLS"
    )
    if service.facts.get("login_form") is True:
        offer = "the page shows a password field"
    upgrade = "; TLS is offered but not required" if service.tls is Tls.STARTTLS else "; TLS is not offered"
    evidence = {
        key: service.facts[key]
        for key in ("capabilities", "mechanisms_clear", "starttls", "login_form")
        if key in service.facts
    }
    return Judgement(offer + upgrade, evidence)


def _judge_nature(service: Service) -> Judgement | None:
    nature = BY_NATURE.get(service.service)
    if nature is None or service.tls is not Tls.NONE or service.facts.get(nature.key) not in nature.values:
        return None
    return Judgement(nature.seen, {nature.key: service.facts[nature.key]}, remedy=nature.remedy or None)


def _applies(name: str) -> Callable[[Service], bool]:
    """HTTP also stands for the applications that the catalogue knows by a name of their own."""
    if name == "http":
        return lambda service: (
            service.tls is not Tls.IMPLICIT
            and (service.service == name or ("status" in service.facts and service.service not in REMEDIES))
        )
    return lambda service: service.service == name and service.tls is not Tls.IMPLICIT


def _make(name: str, remedy: str) -> Check:
    source = BY_NATURE[name].reference if name in BY_NATURE else ""
    return Check(
        id=f"{name}-cleartext-login",
        title="Password can travel in clear text",
        severity=Severity.HIGH if name == "telnet" else Severity.MEDIUM,
        applies=_applies(name),
        judge=_judge,
        remedy=remedy,
        refuted="the server refuses login, or does not offer it, before TLS",
        attack=("T1040", "T1557"),
        references=("rfc8314",) if name in {"pop3", "imap", "smtp"} else (source,) if source else (),
    )


CHECKS = tuple(
    _make(name, remedy) for name, remedy in ({name: nature.remedy for name, nature in BY_NATURE.items()} | REMEDIES).items()
)
