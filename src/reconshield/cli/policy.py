"""`reconshield policy`: check, show, format, propose and export the file that says what is expected."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconshield.cli.console import Invocation
from reconshield.cli.runs import open_database, print_lines
from reconshield.errors import UserError

if TYPE_CHECKING:
    from reconshield.policy import Policy, Problem

SYMBOLS = {"error": ("✗", "high"), "warning": ("!", "medium"), "note": ("-", "low")}

PolicyOption = Annotated[
    Path | None, typer.Option("--policy", metavar="FILE", help="The policy file (reconshield.toml here or in home).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer(no_args_is_help=True, help="The policy file: which exposures are expected, and which must be closed.")


@app.command("check")
def check(ctx: typer.Context, policy: PolicyOption = None, as_json: AsJson = False) -> None:
    """Say what is wrong with the file, line by line. Exit 1 for an error or a warning."""
    from reconshield.jobs.policy import examine_policy
    from reconshield.report.problems import problem_line

    call: Invocation = ctx.obj
    seen = examine_policy(locate(call, policy), time.time(), stored_vantages(call))
    if as_json:
        print_lines(problem_line(problem) for problem in seen.problems)
    else:
        for problem in seen.problems:
            print_problem(call, problem)
        if seen.policy is not None:
            call.print(f"{seen.path}: {contents(seen.policy)}")
    if any(problem.level != "note" for problem in seen.problems):
        raise typer.Exit(1)


@app.command("show")
def show(ctx: typer.Context, policy: PolicyOption = None, as_json: AsJson = False) -> None:
    """Print the policy with every default."""
    from reconshield.jobs.policy import load_policy
    from reconshield.policy.writing import policy_tables, policy_text

    call: Invocation = ctx.obj
    found = load_policy(call.settings.home, policy)
    if as_json:
        call.print(json.dumps(policy_tables(found), default=str, ensure_ascii=False))
    else:
        sys.stdout.write(policy_text(found))


@app.command("format")
def format_(
    ctx: typer.Context,
    policy: PolicyOption = None,
    test: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if the file would change.")] = False,
) -> None:
    """Lay the file out in the one way; comments, order and values stay."""
    from reconshield.cli.output import whole_file
    from reconshield.jobs.policy import read_text
    from reconshield.policy.formatting import format_policy

    call: Invocation = ctx.obj
    path = locate(call, policy)
    text = read_text(path)
    laid_out = format_policy(text, str(path))
    if laid_out == text:
        call.print(f"{path}: as it should be")
    elif test:
        call.print(f"{path}: would change")
        call.suggest(f"reconshield policy format --policy {path}")
        raise typer.Exit(1)
    else:
        mode = path.stat().st_mode & 0o7777
        with whole_file(path.resolve()) as stream:
            stream.write(laid_out)
        path.chmod(mode)
        call.print(f"{path}: laid out")


@app.command("propose")
def propose(
    ctx: typer.Context,
    policy: PolicyOption = None,
    run: Annotated[str, typer.Option(metavar="RUN", help="The run whose state is proposed.")] = "latest",
) -> None:
    """Print what is open and not expected as entries to review: reason and owner are blank. Changes nothing."""
    from reconshield.jobs.policy import find_policy
    from reconshield.jobs.proposal import propose_policy
    from reconshield.store.runs import find_run

    call: Invocation = ctx.obj
    found = find_policy(call.settings.home, policy)
    with open_database(call) as store:
        sys.stdout.writelines(propose_policy(store, find_run(store, run), found, time.time()))
    call.suggest("append it to the policy (>> reconshield.toml), fill in the blanks, then: reconshield policy check")


@app.command("export")
def export(
    ctx: typer.Context,
    format_: Annotated[
        str, typer.Option("--format", metavar="F", help="sigma, suricata, zeek, nftables, stix, prometheus or markdown.")
    ],
    policy: PolicyOption = None,
    output: Annotated[Path | None, typer.Option("-o", metavar="FILE", help="Write it into this file.")] = None,
    test: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if the file of -o would change.")] = False,
) -> None:
    """Write what zones may talk in the words of another tool. Nothing is applied."""
    from reconshield.cli.output import whole_file
    from reconshield.jobs.policy import load_policy
    from reconshield.jobs.policy_export import export_policy, find_format

    call: Invocation = ctx.obj
    find_format(format_)
    text = export_policy(load_policy(call.settings.home, policy), format_, time.time())
    if test:
        compare_export(call, output, text, format_)
        return
    if output is None:
        sys.stdout.write(text)
        return
    with whole_file(output) as stream:
        stream.write(text)
    call.tell(f"policy   {output}")


def compare_export(call: Invocation, output: Path | None, text: str, format_: str) -> None:
    """Whether a file is what would be written now: another policy, or an entry that has ended since, makes it old."""
    from reconshield.jobs.policy import read_text

    if output is None:
        raise UserError("--check compares a file", where="--check", hint=f"--format {format_} -o FILE --check")
    if output.exists() and read_text(output) == text:
        call.print(f"{output}: as it should be")
        return
    call.print(f"{output}: {'would change' if output.exists() else 'is not there'}")
    call.suggest(f"reconshield policy export --format {format_} -o {output}")
    raise typer.Exit(1)


def locate(call: Invocation, given: Path | None) -> Path:
    """The policy file that is meant; it must be there."""
    from reconshield.jobs.policy import NAME, locate_policy

    path = locate_policy(call.settings.home, given)
    if path is None:
        hint = f"reconshield policy propose > {NAME}   from what was measured"
        raise UserError("there is no policy file", where=f"{NAME} here or in {call.settings.home}", hint=hint)
    return path


def stored_vantages(call: Invocation) -> set[str]:
    """Where was measured from so far; only this machine's own name where there is no database yet."""
    from reconshield.store.runs import list_runs

    if call.settings.db_is_file and not Path(call.settings.db).exists():
        return set()
    with open_database(call) as store:
        return {call.settings.vantage} | {run.vantage for run in list_runs(store)}


def print_problem(call: Invocation, problem: Problem) -> None:
    """Three lines: what, where, next."""
    symbol, colour = SYMBOLS[problem.level]
    call.print(call.paint(f"{symbol} {problem.level:<8}", colour) + problem.message)
    call.print(f"  where   {problem.where}")
    if problem.hint:
        call.print(f"  next    {problem.hint}")


def contents(policy: Policy) -> str:
    """`2 zones, 1 asset, 3 expected exposures, 1 assertion`."""
    from reconshield.text import plural

    counts = (
        (policy.zones, "zone", "zones"),
        (policy.assets, "asset", "assets"),
        (policy.expects, "expected exposure", "expected exposures"),
        (policy.closed, "assertion", "assertions"),
        (policy.accepts, "accepted risk", "accepted risks"),
        (policy.traffic, "traffic rule", "traffic rules"),
        (policy.schedules, "schedule", "schedules"),
        (policy.blackouts, "blackout", "blackouts"),
        (policy.channels, "channel", "channels"),
        (policy.routes, "route", "routes"),
    )
    return ", ".join(plural(len(entries), one, many) for entries, one, many in counts if entries) or "nothing yet"
