"""`reconshield grant`: say who allowed what to be measured, see it, end it, and read the log of all of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from reconshield.cli.runs import fold, open_database

if TYPE_CHECKING:
    from reconshield.scope import Grant
    from reconshield.store.audit import Entry
    from reconshield.store.db import Store

app = typer.Typer(no_args_is_help=True, help="Who allowed what to be measured: add, list, revoke, refresh, audit.")

NEWEST = 100
"""Entries of the log that are printed unless all are asked for."""

ACCOUNT_WORDS = ("account", "kind", "role", "from", "to", "what", "token", "name", "link", "client")
"""What entries about accounts have to say (docs/accounts.md)."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
GrantId = Annotated[str, typer.Argument(metavar="ID", help="The id that `grant list` shows, such as g3.")]


@app.command("add")
def add(
    ctx: typer.Context,
    targets: Annotated[
        list[str] | None, typer.Argument(metavar="TARGET…", help="Address, network, range, name, or @FILE.", show_default=False)
    ] = None,
    by: Annotated[str, typer.Option(metavar="NAME", help="Who allows it: a person who may decide that. Required.")] = "",
    level: Annotated[int, typer.Option(metavar="0-4", help="0 never touch, 1 passive, 2 port scan, 3 identify, 4 assess.")] = 3,
    exclude: Annotated[list[str] | None, typer.Option(metavar="T", help="Never measure this, whoever allows it.")] = None,
    file: Annotated[str | None, typer.Option("-iL", metavar="FILE", help="Targets from a file, - is standard input.")] = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="T", help="Begin: a date or time, or 12h, 3d.")] = None,
    until: Annotated[str | None, typer.Option(metavar="T", help="End: a date or time, or 12h, 30d. Default: 90d.")] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for example a ticket.")] = None,
    contact: Annotated[str | None, typer.Option(metavar="TEXT", help="Whom to call when something breaks.")] = None,
    as_json: AsJson = False,
) -> None:
    """Record that somebody allows targets to be measured."""
    from reconshield.jobs.grants import add_grant
    from reconshield.jobs.times import parse_moment
    from reconshield.report.grants import grant_part

    now = time.time()
    with open_database(ctx.obj, create=True) as store:
        kept = add_grant(
            store,
            [*(targets or ()), *([f"@{file}"] if file else ())],
            by=by,
            now=now,
            level=level,
            exclude_texts=exclude or (),
            valid_from=parse_moment(from_, now, "--from") if from_ else None,
            until=parse_moment(until, now, "--until", ends=True) if until else None,
            reason=reason,
            contact=contact,
        )
    if as_json:
        print_json(ctx, {**grant_part(kept.grant, now), "entry": kept.entry})
        return
    lasts = "" if until else " (90 days; --until says otherwise)"
    ctx.obj.print([*card(kept.grant, lasts), f"    recorded as audit entry {kept.entry}"])
    if kept.grant.level > 1:
        ctx.obj.suggest(f"reconshield scan {kept.grant.targets[0].text} --dry-run   what would be sent")


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Print every grant, valid ones first."""
    from reconshield.jobs.grants import list_grants
    from reconshield.report.grants import grant_part, grant_state

    now = time.time()
    with open_database(ctx.obj) as store:
        grants = sorted(list_grants(store), key=lambda grant: not grant.valid_at(now))
    if as_json:
        print_json(ctx, [grant_part(grant, now) for grant in grants])
        return
    if not grants:
        ctx.obj.print("No grants: only this machine may be scanned.")
        ctx.obj.suggest('reconshield grant add TARGET --by "NAME"')
        return
    for grant in grants:
        ctx.obj.print(card(grant, "", grant_state(grant, now)))


@app.command("revoke")
def revoke(ctx: typer.Context, grant_id: GrantId, as_json: AsJson = False) -> None:
    """End a grant now. What was measured under it is kept."""
    from reconshield.jobs.grants import revoke_grant
    from reconshield.report.grants import grant_part

    now = time.time()
    with open_database(ctx.obj) as store:
        kept = revoke_grant(store, grant_id, now)
    if as_json:
        print_json(ctx, {**grant_part(kept.grant, now), "entry": kept.entry})
        return
    ctx.obj.print(f"{kept.grant.text()} is revoked; recorded as audit entry {kept.entry}")


@app.command("refresh")
def refresh(ctx: typer.Context, grant_id: GrantId, as_json: AsJson = False) -> None:
    """Ask the names of a grant again, and allow the addresses that they have now."""
    from reconshield.jobs.grants import refresh_grant
    from reconshield.report.grants import change_parts, grant_part

    now = time.time()
    with open_database(ctx.obj) as store:
        fresh = refresh_grant(store, grant_id, now)
    if as_json:
        print_json(ctx, {**grant_part(fresh.grant, now), "entry": fresh.entry, "changes": change_parts(fresh.changes)})
        return
    for name, before, after in fresh.changes:
        ctx.obj.print(f"{name}: {before.text()} → {after.text()}")
    changed = f"{len(fresh.changes)} names changed" if fresh.changes else "every name answers as before"
    ctx.obj.print(f"{fresh.grant.id} is refreshed: {changed}; recorded as audit entry {fresh.entry}")


@app.command("audit")
def audit(
    ctx: typer.Context,
    verify: Annotated[bool, typer.Option("--verify", help="Check the chain; a broken one exits 1.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every entry, not just the newest 100.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the log of grants, uses and refusals, or check that nobody edited it."""
    from reconshield.report.grants import entry_part
    from reconshield.store.audit import entries

    with open_database(ctx.obj) as store:
        if verify:
            verify_log(ctx, store, as_json=as_json)
            return
        found = entries(store, limit=None if everything or as_json else NEWEST)
    if as_json:
        print_json(ctx, [entry_part(entry) for entry in found])
        return
    ctx.obj.print(map(entry_line, found) if found else "The audit log is empty.")
    if found and found[0].number > 1:
        ctx.obj.suggest(f"reconshield grant audit --all   {found[0].number - 1:,} older entries")


def verify_log(ctx: typer.Context, store: Store, *, as_json: bool) -> None:
    """Say whether the chain is whole, and what to write down elsewhere so that a cut end is noticed too."""
    from reconshield.report.grants import chain_part
    from reconshield.store.audit import entries, verify_chain

    broken, newest = verify_chain(store), entries(store, limit=1)
    last = newest[0] if newest else None
    if as_json:
        print_json(ctx, chain_part(broken, last))
    elif broken is not None:
        ctx.obj.print(f"✗ the audit log is broken at entry {broken}: it is missing, or was edited or moved")
        ctx.obj.suggest("compare with a backup of the database; entries before it are as they were written")
    elif last is None:
        ctx.obj.print("✓ the audit log is whole: it has no entry yet")
    else:
        ctx.obj.print(f"✓ the audit log is whole: entries 1 to {last.number}, newest hash {last.hash}")
    if broken is not None:
        raise typer.Exit(1)


def print_json(ctx: typer.Context, value: object) -> None:
    ctx.obj.print(json.dumps(value, indent=2))


def card(grant: Grant, lasts: str, state: str = "") -> list[str]:
    """A grant in a few lines for people."""
    from reconshield.scope import LEVELS
    from reconshield.text import local_time

    targets = [f"{t.text} ({t.addresses.text(4)})" if t.name else t.text for t in grant.targets]
    lines = [
        f"{grant.id:<4}{shorten(targets)}",
        f"    level {grant.level}, {LEVELS[grant.level]} · until {local_time(grant.until)}{lasts}"
        + (f" · {state}" if state else ""),
    ]
    if grant.valid_from > grant.created_at:
        lines.append(f"    from {local_time(grant.valid_from)}")
    if grant.exclusions:
        lines.append(f"    without {shorten([target.text for target in grant.exclusions])}")
    notes = [f"by {grant.by}", f"contact {grant.contact}" if grant.contact else "", grant.reason or ""]
    return [*lines, "    " + " · ".join(note for note in notes if note)]


def shorten(texts: list[str], limit: int = 6) -> str:
    rest = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + rest


def entry_line(entry: Entry) -> str:
    """An entry of the log for people: number, time, who, what, about what; in one line where the terminal has room for it."""
    from reconshield.text import local_time, printable

    detail = entry.detail
    about = [str(detail["grant"])] if "grant" in detail else list(detail.get("grants", ()))
    targets = [target["text"] if isinstance(target, dict) else str(target) for target in detail.get("targets", ())]
    about += [shorten(targets, 3)] if targets else []
    about += [str(detail["message"])] if "message" in detail else []
    about += [str(detail[name]) for name in ACCOUNT_WORDS if detail.get(name) and not isinstance(detail[name], (dict, list))]
    what = printable(" · ".join(about), 100)
    head = f"{entry.number:>5}  {local_time(entry.at, seconds=True)}  "
    return fold(head, f"{printable(entry.actor, 32):<8}  {entry.event:<15}  {what}", "       ")
