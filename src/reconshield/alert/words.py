"""A message for people: the subject, the text of a mail, four lines for a chat; many messages as one. Pure.

The worst comes first, what to do stands above the fold, and everything that came from the network is escaped.
"""

from __future__ import annotations

from datetime import UTC, datetime

from reconshield.alert.message import ANNOUNCED, DETECTION, SILENCE_KINDS, TEST, Event, Message, Notice
from reconshield.model import Risk
from reconshield.text import duration, local_time, plural, printable

SHOWN = 3
"""How many of the messages of one run are told in full."""
LINE = 160


def subject(message: Message) -> str:
    """`[High 54] 110/tcp opened on mail-1 (10.77.0.2), not expected`."""
    return f"[{mark(message)}] {headline(message)}"


def mark(message: Message) -> str:
    """What stands in the bracket: resolved, not measured, or the rating with its number."""
    event = message.event
    if message.status == "resolved":
        return "Resolved"
    if event.kind in {ANNOUNCED, TEST}:
        return "Announced" if event.kind == ANNOUNCED else "Test"
    if event.kind in SILENCE_KINDS:
        return "Not measured"
    return rating_text(event.risk) if event.risk else event.severity.value.capitalize()


def rating_text(risk: Risk) -> str:
    return f"{risk.rating.capitalize()} {risk.score}"


def headline(message: Message) -> str:
    """The title; of what is over, how it ended and how long it lasted."""
    event, alert = message.event, message.alert
    if message.status != "resolved" or alert.resolved_at is None:
        return line(event.title)
    ended = f"{alert.ending or 'over'}"
    if event.kind == DETECTION:
        ended = f"{event.title.partition(': ')[0]}: {ended}"
    elif event.endpoint:
        ended = f"{event.endpoint.port}/{event.endpoint.transport} {ended} on {place_name(event)}"
    else:
        ended = f"{place_name(event) or event.kind}: {ended}"
    return line(f"{ended}, {ended_text(message)}")


def ended_text(message: Message) -> str:
    """`measured 10:20 UTC, open for 34 to 64 min`."""
    event, end = message.event, message.alert.resolved_at or message.event.at
    if event.kind == DETECTION:
        first, last = event.since[1], event.last
        return f"seen for {duration(last - first)}" if first is not None and last is not None else "seen without times"
    return f"measured {clock(end, end)}, {'open for' if event.after == 'open' else 'lasted'} {lasted(message)}"


def place_name(event: Event) -> str:
    """`mail-1`, or the address where it has no name."""
    return event.asset or (event.endpoint.ip if event.endpoint else event.zone or "")


def lasted(message: Message) -> str:
    """How long it lasted: `34 to 64 min`, as far as the measurements say."""
    last_seen, first_seen = message.event.since
    end = message.alert.resolved_at or message.event.at
    shortest = max(end - (first_seen or message.alert.opened_at), 0)
    if last_seen is None:
        return f"at least {duration(shortest)}"
    longest = max(end - last_seen, 0)
    if longest < 2 * 3600:
        return f"{round(shortest / 60)} to {round(longest / 60)} min"
    return f"{duration(shortest)} to {duration(longest)}"


def since_text(event: Event) -> str | None:
    """`between 09:16 (last seen closed) and 09:46 UTC (first seen open)`; the date where it is another day."""
    last_seen, first_seen = event.since
    if event.kind == DETECTION:
        return f"first flow {clock(first_seen, event.at)}" if first_seen is not None else None
    before, after = event.before or "otherwise", event.after or "so"
    if last_seen is not None and first_seen is not None:
        return (
            f"between {clock(last_seen, event.at)} (last seen {before}) and {clock(first_seen, event.at)} (first seen {after})"
        )
    if first_seen is not None:
        return f"{clock(first_seen, event.at)} at the latest; not measured before"
    return f"last seen {before} {clock(last_seen, event.at)}" if last_seen is not None else None


def clock(at: float, now: float) -> str:
    """The time with its zone, with the date where that is not the day of the message."""
    text = local_time(at)
    return text.split(" ", 1)[1] if text[:10] == local_time(now)[:10] else text


def risk_sum(risk: Risk) -> str:
    """`54 High = 44 base + 10 newly opened`: the factors of the catalogue are the base, what was found here comes after."""
    base = [f for f in risk.factors if f.name in BASE]
    others = [f for f in risk.factors if f.name not in BASE]
    parts = [f"{sum(f.points for f in base)} base"] if base else []
    text = " + ".join(parts)
    for factor in others:
        text += f" {'+' if factor.points >= 0 else '−'} {abs(factor.points)} {factor.name.replace('-', ' ')}"
    total = sum(f.points for f in risk.factors)
    cut = f", cut at {risk.score}" if total != risk.score else ""
    return f"{risk.score} {risk.rating.capitalize()} = {text.strip(' +')}{cut}"


BASE = frozenset({"impact", "authentication", "transport", "exploitation", "intended"})


def mail_text(message: Message) -> str:
    """The whole message, one labelled line after the other."""
    event, alert = message.event, message.alert
    owner = [event.owner or "no owner in the policy", f"zone {event.zone}" if event.zone else "", f"alert {alert.id}"]
    if message.status in {"open", "updated"}:
        owner.append("updated, not repeated, if it changes")
    rows: list[tuple[str, str | None]] = [
        ("What", event.what),
        ("Since", since_text(event)),
        ("Ended", f"{alert.ending or 'over'}, {ended_text(message)}" if message.status == "resolved" else None),
        ("Why", event.why),
        ("Score" if event.kind == DETECTION else "Risk", risk_sum(event.risk) if event.risk else None),
        *(("Do" if n == 0 else "", step) for n, step in enumerate(event.do if message.status != "resolved" else ())),
        ("Owner", " · ".join(part for part in owner if part) if message.status != "notice" else None),
        ("Proof", event.proof),
    ]
    return "\n".join(f"{label:<8} {line(text)}" for label, text in rows if text) + "\n"


def chat_text(message: Message) -> str:
    """Four lines: subject, why, what to do, the proof."""
    event = message.event
    rows = [subject(message), f"Why: {line(event.why)}"]
    rows += [f"Do: {line(event.do[0])}"] if event.do and message.status != "resolved" else []
    return "\n".join([*rows, line(event.proof)] if event.proof else rows)


def notice_subject(notice: Notice) -> str:
    """The subject of one message, or of many: the worst, and how many more."""
    first = subject(notice.messages[0])
    more = len(notice.messages) - 1
    return first if more == 0 else f"{first}, and {more} more"


def notice_text(notice: Notice) -> str:
    """The text of a mail: one message in full, of many the worst three and a count."""
    if len(notice.messages) == 1:
        return mail_text(notice.messages[0])
    parts = [f"{subject(m)}\n{mail_text(m)}" for m in notice.messages[:SHOWN]]
    rest = len(notice.messages) - SHOWN
    if rest > 0:
        parts.append(f"{plural(rest, 'more alert', 'more alerts')} of this run: reconshield alert list\n")
    return "\n".join(parts)


def notice_chat(notice: Notice) -> str:
    """The same for a chat."""
    parts = [chat_text(m) for m in notice.messages[:SHOWN]]
    rest = len(notice.messages) - SHOWN
    return "\n\n".join([*parts, f"{rest} more: reconshield alert list"] if rest > 0 else parts)


def line(text: str) -> str:
    """One line that no terminal and no mail header obeys."""
    return printable(text, None).replace("\\\\", "\\")[:400]


def utc_stamp(at: float) -> str:
    """RFC 3339 in UTC with milliseconds, as syslog and Alertmanager take it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
