"""`reconshield alert`: try a channel, list what stands, take it on, silence what is known."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconshield.cli.runs import open_database

if TYPE_CHECKING:
    from reconshield.alert.message import Message
    from reconshield.cli.console import Invocation
    from reconshield.store.db import Store

app = typer.Typer(no_args_is_help=True, help="What somebody must know: try a channel, list, take on, silence.")

NEWEST = 30
PolicyOption = Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="The policy; default: reconshield.toml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON Lines.")]


@app.command("test")
def try_(
    ctx: typer.Context,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="A channel of the policy.", show_default=False)],
    policy: PolicyOption = None,
    as_json: AsJson = False,
) -> None:
    """Send a test message through a channel now. Exit code 1 when it was not accepted."""
    from reconshield.jobs.alert_trial import try_channel

    call: Invocation = ctx.obj
    outcome = try_channel(call.settings, policy, channel, time.time())
    if as_json:
        call.print(json.dumps({"channel": channel, "accepted": outcome.accepted, "detail": outcome.detail}))
    else:
        mark, word = ("✓", "accepted") if outcome.accepted else ("✗", "not accepted")
        call.print(f"{mark} {channel}: {word} ({outcome.detail})")
    if not outcome.accepted:
        raise typer.Exit(1)


@app.command("list")
def list_(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    undelivered: Annotated[bool, typer.Option("--undelivered", help="What waits in the outbox, or was given up.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the alerts that stand, the newest first."""
    call: Invocation = ctx.obj
    with open_database(call) as store:
        if undelivered:
            print_undelivered(call, store, as_json=as_json)
            return
        from reconshield.jobs.alerting import list_alerts, list_silences

        found = list_alerts(store, limit=None if as_json or everything else NEWEST + 1, everything=everything)
        silences = list_silences(store, time.time())
    if as_json:
        from reconshield.alert.message import message_line
        from reconshield.text import json_text

        call.print(json_text(message_line(message, call.settings.workspace)) for message in found)
        return
    if not found:
        call.print("No alert stands." if not everything else "No alert has been raised yet.")
    for message in found[: None if everything else NEWEST]:
        print_message(call, message)
    for silence in silences:
        from reconshield.text import local_time, printable

        call.print(f"  silence {silence.number} until {local_time(silence.until)} by {silence.by}: {printable(silence.reason)}")
    if found and not everything:
        call.suggest(f"reconshield alert ack {found[0].alert.id}   take it on")


def print_message(call: Invocation, message: Message) -> None:
    """Two lines: what, and since when with whom."""
    from reconshield.alert.words import subject
    from reconshield.text import local_time

    event, alert = message.event, message.alert
    call.print(call.paint(f"{alert.id:<5} ", event.severity.value) + subject(message))
    parts = [
        f"since {local_time(alert.opened_at)}" if message.status != "notice" else local_time(alert.opened_at),
        f"taken on by {alert.acked_by}" if alert.acked_by else "",
        event.owner or "",
        event.proof or "",
    ]
    call.print("      " + call.paint(" · ".join(part for part in parts if part), "dim"))


def print_undelivered(call: Invocation, store: Store, *, as_json: bool) -> None:
    from reconshield.store.outbox import list_deliveries
    from reconshield.text import iso_time, local_time, plural, printable

    found = list_deliveries(store)
    if as_json:
        rows = [
            {
                "v": 1,
                "type": "delivery",
                "key": one.key,
                "channel": one.channel,
                "state": one.state,
                "created": iso_time(one.created_at),
                "due": iso_time(one.due),
                "attempts": one.attempts,
                "detail": one.detail,
                "messages": len(one.notice["messages"]),
            }
            for one in found
        ]
        call.print(json.dumps(row) for row in rows)
        return
    if not found:
        call.print("Nothing waits: every notice was accepted.")
    for one in found:
        state = "given up" if one.state == "dead" else f"next try {local_time(one.due)}"
        tried = plural(one.attempts, "attempt", "attempts")
        call.print(
            f"{one.channel}  {local_time(one.created_at)}  {tried}, {state}: {printable(one.detail or 'not tried yet', 100)}"
        )
    if any(one.state == "dead" for one in found):
        call.suggest("reconshield alert retry   try what was given up again")


@app.command("ack")
def ack(
    ctx: typer.Context,
    alert_id: Annotated[str, typer.Argument(metavar="ID", help="The id that `alert list` shows, such as a81.")],
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who takes it on; default: you.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take an alert on: nothing more is told of it until it gets worse or ends."""
    from reconshield.jobs.alerting import acknowledge, as_message

    call: Invocation = ctx.obj
    with open_database(call) as store:
        alert = acknowledge(store, alert_id, time.time(), by)
    if as_json:
        from reconshield.alert.message import message_line

        call.print(json.dumps(message_line(as_message(alert), call.settings.workspace), ensure_ascii=False))
        return
    call.print(f"{alert.id} is taken on by {alert.acked_by}; it is told again when it gets worse, and when it is over")


@app.command("retry")
def retry(
    ctx: typer.Context,
    channel: Annotated[str | None, typer.Argument(metavar="[CHANNEL]", help="Of this channel only.")] = None,
    as_json: AsJson = False,
) -> None:
    """Try notices again that were given up, after their channel was mended."""
    from reconshield.store.outbox import revive
    from reconshield.text import plural

    call: Invocation = ctx.obj
    with open_database(call) as store:
        number = revive(store, channel, time.time())
    call.print(json.dumps({"revived": number}) if as_json else f"{plural(number, 'notice waits', 'notices wait')} again.")


@app.command("silence")
def silence(
    ctx: typer.Context,
    alert_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="An alert such as a81.")] = None,
    on: Annotated[list[str] | None, typer.Option("--on", metavar="TARGET", help="At these addresses.")] = None,
    zone: Annotated[str | None, typer.Option(metavar="NAME", help="In this zone.")] = None,
    asset: Annotated[str | None, typer.Option(metavar="NAME", help="On this asset.")] = None,
    kind: Annotated[str | None, typer.Option(metavar="CHANGE", help="Of this kind, such as opened.")] = None,
    lasting: Annotated[str, typer.Option("--for", metavar="8h", help="How long: 8h, 2d.")] = "8h",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why. Required.")] = "",
    end: Annotated[int | None, typer.Option(metavar="N", help="End silence N now.")] = None,
    as_json: AsJson = False,
) -> None:
    """Keep what is known from being told for a while; it stays in the list. Or end a silence."""
    from reconshield.jobs.alert_trial import end_silence, silence_what
    from reconshield.text import local_time

    call: Invocation = ctx.obj
    now = time.time()
    with open_database(call) as store:
        if end is not None:
            end_silence(store, end, now)
            call.print(json.dumps({"ended": end}) if as_json else f"silence {end} has ended")
            return
        made = silence_what(
            store, now, alert_id=alert_id, on=on or [], zone=zone, asset=asset, kind=kind, lasting=lasting, reason=reason
        )
    if as_json:
        call.print(json.dumps({"silence": made.number, "until": made.until, "by": made.by, "reason": made.reason}))
        return
    call.print(f"silence {made.number} until {local_time(made.until)} by {made.by}: {made.reason}")
    call.suggest(f"reconshield alert silence --end {made.number}")
