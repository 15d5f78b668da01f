"""Chats and push services through Apprise (extra `chat`): Slack, Teams, Mattermost, Discord, ntfy, Pager Duty and many more."""

from __future__ import annotations

import logging

from reconshield.alert.channel import Channel, Field, Order, Outcome
from reconshield.alert.words import notice_chat, notice_subject
from reconshield.errors import UserError
from reconshield.model import Severity

KIND = {Severity.CRITICAL: "failure", Severity.HIGH: "failure", Severity.MEDIUM: "warning"}


def send(order: Order) -> Outcome:
    try:
        import apprise
    except ImportError as error:
        hint = "pip install 'reconshield[chat]'"
        raise UserError("chat channels need the package apprise", where=f"channel {order.notice.channel}", hint=hint) from error
    service = apprise.Apprise()
    if not service.add(order.settings["url"]):
        hint = "see https://github.com/caronc/apprise for the form of each service"
        raise UserError("apprise does not know this kind of url", where=f"channel {order.notice.channel}", hint=hint)
    notice = order.notice
    over = all(message.status == "resolved" for message in notice.messages)
    kind = "success" if over else KIND.get(notice.messages[0].event.severity, "info")
    with apprise.LogCapture(level=logging.WARNING, name="apprise") as said:  # type: ignore[no-untyped-call]
        accepted = service.notify(body=notice_chat(notice), title=notice_subject(notice), notify_type=kind, body_format="text")
        why = said.getvalue().strip().splitlines()
    return Outcome(bool(accepted), "accepted" if accepted else without_secret(why, order.settings["url"]))


def without_secret(lines: list[str], url: str) -> str:
    """The last line of what Apprise said, unless it repeats the address, which holds the key to the chat."""
    last = lines[-1] if lines else "the service did not accept it"
    return last[:200] if url not in last else "the service did not accept it"


CHANNEL = Channel(
    "apprise",
    "Slack, Teams, Mattermost, Discord, ntfy, … (extra chat)",
    (Field("url", "the address in Apprise's form, such as ntfy://host/topic", required=True, secret=True),),
    send,
)
