"""Dates and durations as people write them: `2026-12-31`, `2026-12-31T18:00`, `30d`, `12h`.

A date or time without a zone is local time. A date that ends something includes that day.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

from reconshield.errors import UserError

SECONDS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
DURATION = re.compile(r"([0-9]{1,5})([hdw])", re.ASCII)
HINT = "write a date as 2026-12-31, a time as 2026-12-31T18:00, a duration as 12h or 30d"


def parse_duration(text: str, where: str) -> float:
    """Seconds in `12h`, `30d` or `2w`; more than nothing."""
    match = DURATION.fullmatch(text.strip().lower())
    if match is None or int(match[1]) == 0:
        raise UserError("this is no duration", where=f"{where} {text}", hint="write it as 12h, 30d or 2w")
    return int(match[1]) * SECONDS[match[2]]


def parse_moment(text: str, now: float, where: str, *, ends: bool = False) -> float:
    """Unix seconds of a date, a time, or a duration from `now` on. `where` names the option in errors."""
    plain = text.strip()
    if DURATION.fullmatch(plain.lower()):
        return now + parse_duration(plain, where)
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", plain, re.ASCII):
            midnight = datetime.combine(date.fromisoformat(plain), time())
            return (midnight + timedelta(days=1)).timestamp() - 1 if ends else midnight.timestamp()
        return datetime.fromisoformat(plain).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise UserError("this is no date, time or duration", where=f"{where} {text}", hint=HINT) from error


def parse_past(text: str, now: float, where: str) -> float:
    """Unix seconds of a date or time, or of a duration before `now`; nothing that is still to come."""
    plain = text.strip()
    if DURATION.fullmatch(plain.lower()):
        return now - parse_duration(plain, where)
    moment = parse_moment(plain, now, where)
    if moment > now:
        raise UserError(
            "this is still to come", where=f"{where} {text}", hint="write a date as 2026-11-20, or a duration as 7d"
        )
    return moment
