"""Was the session granted that a protocol defines for nobody? Asked once, only at level 4, and left at once."""

from __future__ import annotations

from reconshield.checks.check import Check, Context, Judgement, fact_check
from reconshield.model import Service, Severity


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


OFFERED_IN = ("mechanisms_clear", "mechanisms_tls")


def _offered(service: str, remedy: str) -> Check:
    """The SASL mechanism ANONYMOUS in the server's own list (RFC 4505); it is not tried."""

    def judge(found: Service, context: Context) -> Judgement | None:
        del context
        lists = {key: found.facts.get(key) for key in OFFERED_IN}
        keys = [key for key, names in lists.items() if isinstance(names, list) and "ANONYMOUS" in names]
        if not keys or "anonymous" in found.facts:
            return None
        return Judgement("the server lists the SASL mechanism ANONYMOUS", {key: lists[key] for key in keys})

    return Check(
        f"{service}-anonymous-offered",
        "A login as nobody is offered",
        Severity.LOW,
        lambda found: found.service == service,
        judge,
        remedy,
        "ANONYMOUS is not in the list of mechanisms",
        ("T1078",),
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
    _anonymous(
        "svn",
        "anonymous-read",
        "Subversion lets anybody in",
        Severity.MEDIUM,
        "the mechanism ANONYMOUS was accepted, then the session was ended",
        "svnserve.conf: `anon-access = none`; if it is meant, `read` and only public repositories",
        ("svnbook",),
    ),
    _anonymous(
        "afp",
        "guest-login",
        "AFP lets guests in",
        Severity.MEDIUM,
        "the server lists the login `No User Authent`",
        "Netatalk: remove uams_guest.so from `uam list`; macOS: turn guest access to shared folders off",
        ("netatalk-afp.conf",),
    ),
    _anonymous(
        "irc",
        "open-registration",
        "IRC takes anybody as a user",
        Severity.INFO,
        "a nick was registered without a password, and left at once",
        "if it is not a public network: a connection password or SASL only, or listed networks",
        ("rfc2812",),
    ),
    _offered("xmpp", "Prosody: remove `anonymous` from `authentication` of the host; ejabberd: no `auth_method: anonymous`"),
    _offered("imap", "Dovecot: remove `anonymous` from `auth_mechanisms`"),
    _offered("pop3", "Dovecot: remove `anonymous` from `auth_mechanisms`"),
    _offered("smtp", "Dovecot as SASL server: remove `anonymous` from `auth_mechanisms`; Postfix: `noanonymous`"),
    _offered("amqp", "RabbitMQ: remove ANONYMOUS from `auth_mechanisms`"),
    _offered("ldap", "OpenLDAP: `disallow bind_anon`, and remove ANONYMOUS from the SASL mechanisms"),
)
