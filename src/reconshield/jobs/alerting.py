"""What jobs found -> alerts and notices in the store, in one transaction; and how people answer: acknowledge, silence, list.

    raise_alerts    events and endings -> alerts that open, change, end -> notices in the outbox
    escalate_alerts what nobody took on -> notices to those who come next

Call `raise_alerts` with a store from `Store.together` to have the changes themselves in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconshield import host
from reconshield.addresses import AddressSet
from reconshield.alert.message import Alert, Ending, Event, Message, Notice, event_json, event_of, notice_json, notice_of
from reconshield.alert.route import Addressed, Rule, Silence, Step, address, escalate, weigh
from reconshield.errors import UserError
from reconshield.jobs.requests import read_targets, resolve_names
from reconshield.scope import meaning_of
from reconshield.store import alerts as kept
from reconshield.store import outbox
from reconshield.store.db import Store


def raise_alerts(
    store: Store, events: Iterable[Event], endings: Iterable[Ending], rules: Sequence[Rule], now: float
) -> tuple[Step, ...]:
    """Weigh what was found against what stands, keep it, and put the notices into the outbox. Gives what became of each."""
    events, endings = tuple(events), tuple(endings)
    if not events and not endings:
        return ()
    with store.together() as one:
        number = kept.lock_alerts(one)
        fingerprints = {event.fingerprint for event in events} | {ending.fingerprint for ending in endings}
        standing = {alert.event.fingerprint: alert for alert in map(alert_of, kept.standing(one, fingerprints))}
        steps = weigh(events, endings, standing, number)
        new = [row_of(step.alert) for step in steps if step.is_new]
        changed = [row_of(step.alert) for step in steps if not step.is_new]
        kept.save_alerts(one, new, changed)
        notices = address(steps, rules, list_silences(one, now), store.workspace, now)
        replace_untold(one, notices, now)
        put(one, notices, now)
    return tuple(steps)


def escalate_alerts(store: Store, rules: Sequence[Rule], now: float) -> int:
    """Pass on what nobody has taken on in time; how many alerts."""
    if not any(rule.escalate_after is not None for rule in rules):
        return 0
    passed, notices = escalate(list_standing(store), rules, list_silences(store, now), store.workspace, now)
    if passed:
        with store.together() as one:
            kept.lock_alerts(one)
            kept.save_alerts(one, [], [row_of(alert) for alert in passed])
            put(one, notices, now)
    return len(passed)


def put(store: Store, notices: Iterable[Addressed], now: float) -> None:
    rows = [(one.notice.key, one.notice.channel, one.due, notice_json(one.notice)) for one in notices]
    outbox.add_notices(store, rows, now)


def replace_untold(store: Store, newer: Sequence[Addressed], now: float) -> None:
    """Take older words about the same alerts out of what still waits for its first attempt (quiet hours held it back)."""
    if not newer:
        return
    said = {(one.notice.channel, message.alert.number) for one in newer for message in one.notice.messages}
    for waiting in outbox.waiting_untried(store, {channel for channel, _ in said}):
        notice = notice_of(waiting.key, waiting.channel, store.workspace, waiting.notice)
        left = tuple(message for message in notice.messages if (waiting.channel, message.alert.number) not in said)
        if len(left) < len(notice.messages):
            outbox.replace_notice(store, waiting.key, notice_json(replace(notice, messages=left)) if left else None, now)


def list_standing(store: Store) -> list[Alert]:
    return [alert_of(row) for row in kept.standing(store)]


def list_alerts(store: Store, *, limit: int | None = None, everything: bool = False) -> list[Message]:
    """The alerts that stand (or all), the newest first, as they would be told now."""
    return [as_message(alert_of(row)) for row in kept.list_alerts(store, limit=limit, everything=everything)]


def as_message(alert: Alert) -> Message:
    """How an alert stands now."""
    if alert.resolved_at is not None:
        return Message(alert, "resolved" if alert.ending else "notice")
    return Message(alert, "open" if alert.revision == 1 else "updated")


def acknowledge(store: Store, alert_id: str, now: float, by: str | None = None) -> Alert:
    """Take an alert on: until it gets worse or ends nothing more is told of it, and it is passed to nobody else."""
    digits = alert_id.strip().lower().removeprefix("a")
    number = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else None
    with store.together() as one:
        kept.lock_alerts(one)
        alert = alert_of(kept.find_alert(one, number, alert_id))
        if alert.resolved_at is not None:
            raise UserError("this alert is over", where=alert_id, hint="reconshield alert list")
        taken = replace(alert, acked_by=by or host.user_name(), acked_at=now)
        kept.save_alerts(one, [], [row_of(taken)])
    return taken


def add_silence(store: Store, silence: Silence, targets: Sequence[str] = ()) -> int:
    """Keep a silence; it must limit itself to something. Returns its number."""
    fits: dict[str, Any] = {
        name: getattr(silence, name) for name in ("kind", "zone", "asset", "fingerprint") if getattr(silence, name)
    }
    if targets:
        fits["area"] = area_of(targets).cidrs()
    if not fits:
        hint = "reconshield alert silence a81 --for 8h, or --on, --zone, --asset, --kind"
        raise UserError("a silence over everything would hide what nobody foresaw", where="alert silence", hint=hint)
    return kept.add_silence(
        store, until=silence.until, said_by=silence.by, reason=silence.reason, fits=fits, now=silence.created_at
    )


def list_silences(store: Store, now: float) -> list[Silence]:
    return [silence_of(row) for row in kept.silences(store, now)]


def silence_of(row: Mapping[str, Any]) -> Silence:
    fits = row["fits"]
    return Silence(
        number=row["number"],
        until=row["until"],
        by=row["said_by"],
        reason=row["reason"],
        kind=fits.get("kind"),
        zone=fits.get("zone"),
        asset=fits.get("asset"),
        area=area_of(fits["area"]) if "area" in fits else None,
        fingerprint=fits.get("fingerprint"),
        created_at=row["created_at"],
    )


def area_of(targets: Iterable[str]) -> AddressSet:
    """The addresses of a silence, names as they answer now."""
    read = read_targets(targets, wide=True)
    answers = resolve_names(read)
    area = AddressSet()
    for target in read:
        area |= meaning_of(target, answers)
    return area


def row_of(alert: Alert) -> dict[str, Any]:
    """An alert as `store.alerts` keeps it."""
    return {
        "number": alert.number,
        "fingerprint": alert.event.fingerprint,
        "kind": alert.event.kind,
        "severity": alert.event.severity.value,
        "event": event_json(alert.event),
        "opened_at": alert.opened_at,
        "changed_at": alert.changed_at,
        "revision": alert.revision,
        "resolved_at": alert.resolved_at,
        "ending": alert.ending,
        "acked_by": alert.acked_by,
        "acked_at": alert.acked_at,
        "escalated": list(alert.escalated),
    }


def alert_of(row: Mapping[str, Any]) -> Alert:
    same = ("number", "opened_at", "changed_at", "revision", "resolved_at", "ending", "acked_by", "acked_at")
    return Alert(event=event_of(row["event"]), escalated=tuple(row["escalated"]), **{name: row[name] for name in same})


def single_notice(channel: str, workspace: str, event: Event) -> Notice:
    """One event for one channel, outside every route: a test, an announcement. It is no alert and has no number."""
    message = Message(Alert(0, event, event.at, event.at), "notice")
    return Notice(f"{event.kind}-{event.fingerprint}-{channel}"[:64], channel, workspace, (message,), event.at)
