"""What people do with alerts by hand: try a channel, and silence what is known."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reconshield import __version__, host
from reconshield.alert.channel import Order, Outcome
from reconshield.alert.message import TEST, Event, fingerprint
from reconshield.alert.route import Silence
from reconshield.errors import UserError
from reconshield.jobs.alerting import add_silence, alert_of, single_notice
from reconshield.jobs.channels import ready_channels
from reconshield.jobs.policy import load_policy
from reconshield.jobs.times import parse_duration
from reconshield.model import Severity
from reconshield.settings import Settings
from reconshield.store import alerts as kept
from reconshield.store.db import Store


def try_channel(settings: Settings, given: Path | None, name: str, now: float) -> Outcome:
    """Send a test message now, past routes, silences and the outbox."""
    ways = ready_channels(load_policy(settings.home, given))
    if name not in ways:
        known = ", ".join(ways) or "none"
        raise UserError("the policy has no channel of that name", where=name, hint=f"its channels are: {known}")
    machine = socket.gethostname()
    event = Event(
        fingerprint=fingerprint(TEST, name, f"{now:.6f}"),
        kind=TEST,
        severity=Severity.INFO,
        title=f"channel {name} works",
        what=f"a test message from ReconShield {__version__} on {machine}",
        why="somebody wanted to see that alerts arrive here",
        do=("nothing: alerts look like this one",),
        at=now,
        vantage=settings.vantage,
        proof="reconshield alert list",
    )
    notice = single_notice(name, settings.workspace, event)
    return ways[name].channel.send(Order(notice, ways[name].resolved(), now, machine, __version__))


def silence_what(
    store: Store,
    now: float,
    *,
    alert_id: str | None,
    on: Sequence[str],
    zone: str | None,
    asset: str | None,
    kind: str | None,
    lasting: str,
    reason: str,
    by: str | None = None,
) -> Silence:
    """Keep a silence. It needs a reason, and something that it is about. `by` is who says it; default: who runs this."""
    if not reason.strip():
        raise UserError("a silence needs a reason", where="--reason", hint='--reason "moving the mail server until noon"')
    mark = None
    if alert_id is not None:
        digits = alert_id.strip().lower().removeprefix("a")
        number = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else None
        mark = alert_of(kept.find_alert(store, number, alert_id)).event.fingerprint
    until = now + parse_duration(lasting, "--for")
    made = Silence(0, until, by or host.user_name(), reason.strip(), kind, zone, asset, None, mark, now)
    return replace(made, number=add_silence(store, made, on))


def end_silence(store: Store, number: int, now: float) -> None:
    """End it now; one that does not hold is a `UserError`."""
    if not kept.end_silence(store, number, now):
        raise UserError("there is no silence of that number that holds", where=str(number), hint="reconshield alert list")
