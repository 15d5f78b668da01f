"""Mail over SMTP, inside TLS unless the operator says otherwise. A repeat carries the same Message-ID, an update refers to the
first mail of its alert, so mail programs show them as one conversation.
"""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from reconshield.alert.channel import PATIENCE, Channel, Field, Order, Outcome, read_port
from reconshield.alert.http import describe, tls_context
from reconshield.alert.words import notice_subject, notice_text
from reconshield.errors import UserError

REFUSED = (
    smtplib.SMTPRecipientsRefused,
    smtplib.SMTPSenderRefused,
    smtplib.SMTPDataError,
    smtplib.SMTPAuthenticationError,
    smtplib.SMTPHeloError,
)


def send(order: Order) -> Outcome:
    mail = mail_of(order)
    try:
        with session(order) as server:
            refused = server.send_message(mail)
    except REFUSED as error:
        return Outcome(
            False, f"the mail server refused it: {answer_of(error)}", rejects=isinstance(error, smtplib.SMTPDataError)
        )
    except (smtplib.SMTPException, OSError) as error:
        return Outcome(False, describe(error))
    if refused:
        return Outcome(True, f"accepted, but not for {', '.join(sorted(refused))}")
    return Outcome(True, "accepted")


def answer_of(error: smtplib.SMTPException) -> str:
    """Code and text of the server's answer."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return f"{code} {text.decode('utf-8', 'replace')}"[:200]
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {said.decode('utf-8', 'replace') if isinstance(said, bytes) else said}"[:200]
    return str(error)[:200]


@contextmanager
def session(order: Order) -> Iterator[smtplib.SMTP]:
    """A connection to the mail server: inside TLS, or after STARTTLS, or in clear where the operator asked for that."""
    settings, where = order.settings, f"channel {order.notice.channel}"
    security = settings["security"]
    port = read_port({"port": settings.get("port") or {"tls": "465", "starttls": "587"}.get(security, "25")}, where)
    if security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            settings["host"], port, timeout=PATIENCE, context=tls_context(settings.get("ca"))
        )
    else:
        server = smtplib.SMTP(settings["host"], port, timeout=PATIENCE)
    with server:
        if security == "starttls":
            server.starttls(
                context=tls_context(settings.get("ca"))
            )  # a server that does not offer it is an error, never clear text
        if user := settings.get("user"):
            if security == "none":
                raise UserError("a password does not travel in clear text", where=where, hint='security = "starttls"')
            server.login(user, settings.get("password", ""))
        yield server


def mail_of(order: Order) -> EmailMessage:
    """The mail. Headers are one line each by construction: `EmailMessage` refuses others."""
    notice, settings = order.notice, order.settings
    mail = EmailMessage()
    mail["Subject"] = notice_subject(notice)
    mail["From"], mail["To"] = settings["from"], settings["to"]
    mail["Date"] = format_datetime(datetime.fromtimestamp(order.at, UTC))
    mail["Message-ID"] = f"<{notice.key}@reconshield.invalid>"
    thread = f"<{notice.workspace}.{notice.messages[0].alert.id}@reconshield.invalid>"
    mail["References"] = thread
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-ReconShield-Key"] = notice.key
    if notice.messages[0].event.severity.rank >= 3:
        mail["Importance"] = "high"
    mail.set_content(notice_text(notice))
    return mail


CHANNEL = Channel(
    "email",
    "mail over SMTP with STARTTLS or TLS",
    (
        Field("host", "the mail server", required=True),
        Field("port", "its port (587, 465 for tls, 25 for none)"),
        Field("security", "how the connection is protected", "starttls", ("starttls", "tls", "none")),
        Field("user", "the account, where the server asks for one"),
        Field("password", "its password", secret=True),
        Field("from", "the sender", required=True),
        Field("to", "the receivers, separated by commas", required=True),
        Field("ca", "a file with the server's certificate authority"),
    ),
    send,
)
