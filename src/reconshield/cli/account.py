"""`reconshield account`: who may sign in to the web app. For who owns the database; the app itself has the rest."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from reconshield.cli.runs import open_database

if TYPE_CHECKING:
    from reconshield.access import Member
    from reconshield.cli.console import Invocation

app = typer.Typer(no_args_is_help=True, help="Who may sign in to the web app: add, list, link, disable, enable.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name to sign in with.")]


@app.command("add")
def add(
    ctx: typer.Context,
    name: Name,
    role: Annotated[str, typer.Option(metavar="ROLE", help="viewer, analyst, operator or admin.")] = "viewer",
    as_json: AsJson = False,
) -> None:
    """Let somebody into the workspace, and print the link with which they choose a password."""
    from reconshield.access import LINK_LASTS, read_role
    from reconshield.jobs.accounts import invite_account

    call: Invocation = ctx.obj
    wanted, now = read_role(role), time.time()
    with open_database(call, create=True) as store:
        code = invite_account(store, name, wanted, now)
    if as_json:
        about = {"account": name.strip(), "workspace": call.settings.workspace, "role": wanted.value}
        print_json(call, about | link_data(code, now + LINK_LASTS))
        return
    call.print(f"{name.strip()} belongs to {call.settings.workspace} as {wanted.value}")
    print_link(call, code, now + LINK_LASTS)


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Print who belongs to the workspace."""
    from reconshield.jobs.accounts import list_members

    call: Invocation = ctx.obj
    with open_database(call) as store:
        members = list_members(store)
    if as_json:
        print_json(call, [describe(member) for member in members])
        return
    if not members:
        call.print(f"Nobody has an account in {call.settings.workspace}.")
        call.suggest("reconshield account add NAME --role admin")
        return
    width = max(len(member.account) for member in members)
    call.print(f"{member.account:<{width}}  {member.role.value:<8}  {state_of(member)}" for member in members)


@app.command("link")
def link(
    ctx: typer.Context,
    name: Name,
    end_totp: Annotated[bool, typer.Option("--end-totp", help="The device is lost: do without the second factor.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a link with which an account gets a new password. It works once, for 15 minutes."""
    from reconshield.access import LINK_LASTS
    from reconshield.jobs.accounts import signin_link

    call: Invocation = ctx.obj
    now = time.time()
    with open_database(call, create=True) as store:
        code = signin_link(store, name, now, ends_totp=end_totp)
    if as_json:
        print_json(call, {"account": name.strip(), "ends_totp": end_totp} | link_data(code, now + LINK_LASTS))
        return
    print_link(call, code, now + LINK_LASTS)


@app.command("disable")
def disable(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Let nobody sign in with an account, in any workspace of the database: sessions end, tokens stop working."""
    from reconshield.jobs.accounts import disable_account

    call: Invocation = ctx.obj
    with open_database(call) as store:
        disable_account(store, name, time.time())
    say_state(call, name, "disabled", as_json=as_json)


@app.command("enable")
def enable(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Let a disabled account sign in again, with the password it had."""
    from reconshield.jobs.accounts import enable_account

    call: Invocation = ctx.obj
    with open_database(call) as store:
        enable_account(store, name, time.time())
    say_state(call, name, "enabled", as_json=as_json)


def print_json(call: Invocation, value: object) -> None:
    call.print(json.dumps(value, indent=2))


def say_state(call: Invocation, name: str, state: str, *, as_json: bool) -> None:
    if as_json:
        print_json(call, {"account": name.strip(), "state": state})
    else:
        call.print(f"{name.strip()} is {state}")


def print_link(call: Invocation, code: str | None, until: float) -> None:
    """The path alone on its line, so that it is easy to copy; the code is shown this once."""
    from reconshield.access import link_path
    from reconshield.text import local_time

    if code is None:
        call.print("it has a password already and can sign in now")
        return
    call.print(["open this path of the web app to choose a password:", f"  {link_path(code)}"])
    call.print(f"it works once, until {local_time(until)}")


def link_data(code: str | None, until: float) -> dict[str, str | None]:
    from reconshield.access import link_path
    from reconshield.text import iso_time

    if code is None:
        return {"code": None, "path": None, "until": None}
    return {"code": code, "path": link_path(code), "until": iso_time(until)}


def state_of(member: Member) -> str:
    """What there is to know about a member, in a few words."""
    from reconshield.text import local_time

    if member.disabled:
        return "disabled"
    if member.invited:
        return "invited, has no password yet"
    used = f"signed in {local_time(member.last_used)}" if member.last_used else "never signed in here"
    return f"{used} · second factor" if member.totp else used


def describe(member: Member) -> dict[str, object]:
    from reconshield.text import iso_time

    return {
        "account": member.account,
        "role": member.role.value,
        "added": iso_time(member.added),
        "last_used": iso_time(member.last_used) if member.last_used else None,
        "invited": member.invited,
        "disabled": member.disabled,
        "totp": member.totp,
    }
