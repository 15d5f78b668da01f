"""`reconshield intel`: renew the tables that age, say how old they are, go back. Nothing is fetched by any other verb."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reconshield.cli.console import Invocation
    from reconshield.jobs.intel import Status

app = typer.Typer(name="intel", no_args_is_help=True, help="The tables that age: KEV, EPSS, the registry of ports.")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Feeds = Annotated[list[str] | None, typer.Argument(metavar="[kev|epss|ports]...", help="Which feeds; without, all.")]


@app.command("update")
def update(
    ctx: typer.Context,
    feeds: Feeds = None,
    from_file: Annotated[Path | None, typer.Option(metavar="F", help="Read one feed from a file; nothing is fetched.")] = None,
    allow_downgrade: Annotated[bool, typer.Option("--allow-downgrade", help="Take a feed older than the one in use.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch feeds from their fixed hosts over HTTPS, or read one from a file, check them, and use them from now on."""
    from reconshield.jobs import intel
    from reconshield.text import count

    call: Invocation = ctx.obj
    done = intel.update(
        call.settings.home / "feeds", feeds or (), now=time.time(), from_file=from_file, allow_downgrade=allow_downgrade
    )
    if as_json:
        call.print(json.dumps([asdict(row) for row in done]))
        return
    for row in done:
        change = row.version if row.state == "unchanged" else f"{row.before or 'nothing'} → {row.version}"
        call.print(f"{row.feed:<6} {row.state:<10} {change}  {count(row.rows)} rows")
    call.suggest("reconshield intel status")


@app.command("status")
def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Which tables are in use, how old they are, where they came from."""
    from reconshield.jobs import intel

    call: Invocation = ctx.obj
    rows = intel.status(call.settings.home / "feeds", datetime.now(UTC).date())
    if as_json:
        call.print(json.dumps([asdict(row) for row in rows]))
        return
    call.print(f"{'FEED':<6} {'VERSION':<11} {'AGE':<10} {'ROWS':>8}  {'STATE':<8} SOURCE")
    for row in rows:
        call.print(_line(row))
    stale = [row.feed for row in rows if row.state != "ok"]
    for row in rows:
        if remark := REMARKS.get(row.state):
            call.tell(f"warning: {row.title} {remark}")
    if stale:
        call.suggest(f"reconshield intel update {' '.join(stale)}   fetches over HTTPS from their publishers")


REMARKS = {
    "aging": "is more than 14 days old",
    "old": "is more than 45 days old; what is newer is missing",
    "broken": "differs from what was fetched",
}


def _line(row: Status) -> str:
    from reconshield.cli.runs import fold
    from reconshield.text import count

    age = "-" if row.days is None else f"{row.days} days"
    when = f", {row.retrieved_at[:10]}" if row.retrieved_at else ""
    head = f"{row.feed:<6} {row.version or '-':<11} {age:<10} {count(row.rows):>8}  {row.state:<8} "
    return fold(head, f"{row.source}{when}", "       ")


@app.command("rollback")
def rollback(ctx: typer.Context, feeds: Feeds = None, as_json: AsJson = False) -> None:
    """Use the table before the current one again, or the package's own where there is none."""
    from reconshield.jobs import intel

    call: Invocation = ctx.obj
    done = intel.rollback(call.settings.home / "feeds", feeds or ())
    if as_json:
        call.print(json.dumps([asdict(row) for row in done]))
        return
    for row in done:
        call.print(f"{row.feed:<6} {row.before} → {row.version}")
    if not done:
        call.print("Nothing was ever fetched; the tables of the package are in use.")
