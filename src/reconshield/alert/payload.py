"""A notice as JSON: what webhooks and commands get as one object, and files as lines. Pure."""

from __future__ import annotations

import json
from typing import Any

from reconshield.alert.message import Notice, message_line
from reconshield.alert.words import notice_subject


def notice_body(notice: Notice) -> dict[str, Any]:
    """One object for the whole notice: its key, one line that says it all, every message as `alert list --json` has it."""
    return {
        "v": 1,
        "type": "notice",
        "key": notice.key,
        "workspace": notice.workspace,
        "channel": notice.channel,
        "title": notice_subject(notice),
        "alerts": [message_line(message, notice.workspace, notice.key) for message in notice.messages],
    }


def notice_bytes(notice: Notice) -> bytes:
    return json.dumps(notice_body(notice), ensure_ascii=False, separators=(",", ":")).encode()


def notice_lines(notice: Notice) -> bytes:
    """One line a message."""
    lines = (json.dumps(message_line(m, notice.workspace, notice.key), separators=(",", ":")) for m in notice.messages)
    return "".join(f"{line}\n" for line in lines).encode()
