"""`reconshield runs`, `report`, `diff` and `history`: look back at what was measured, without a packet."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconshield.cli.console import Invocation
from reconshield.errors import UserError

if TYPE_CHECKING:
    from reconshield.model import Severity
    from reconshield.policy import Policy
    from reconshield.report.line_types import Line
    from reconshield.report.result import RunResult
    from reconshield.report.rows import Row
    from reconshield.store.db import Store

NEWEST = 30
"""Runs that are listed unless all are asked for."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON Lines.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="An id, the beginning of one, or latest.", show_default=False)]

app = typer.Typer(help="The runs that are kept: list them, remove old ones, copy the database.")


@app.callback(invoke_without_command=True)
def runs(
    ctx: typer.Context,
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Every run, not just the newest 30.")] = False,
) -> None:
    """List the runs, the newest first; `prune` removes old ones, `backup` copies the database."""
    if ctx.invoked_subcommand is None:
        show_runs(ctx.obj, as_json=as_json, everything=everything)


def show_runs(call: Invocation, *, as_json: bool, everything: bool) -> None:
    from reconshield.jobs.runs import list_entries
    from reconshield.report.listing import entry_line, entry_rows

    limit = None if everything or as_json else NEWEST + 1
    with open_database(call) as store:
        entries = list_entries(store, limit)
    if as_json:
        print_lines(entry_line(entry) for entry in entries)
    elif not entries:
        call.print("No runs yet.")
        call.suggest("reconshield scan localhost")
    else:
        print_rows(call, entry_rows(entries[:NEWEST] if limit else entries, width_of_terminal()))
        if limit and len(entries) > NEWEST:
            call.suggest("reconshield runs --all   older runs")


@app.command("list")
def list_(
    ctx: typer.Context,
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Every run, not just the newest 30.")] = False,
) -> None:
    """List the runs, the newest first: the same as `runs` alone."""
    show_runs(ctx.obj, as_json=as_json, everything=everything)


@app.command("prune")
def prune(
    ctx: typer.Context,
    older: Annotated[str, typer.Option(metavar="90d", help="Remove runs that are older: 12h, 90d, 26w.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Remove old runs with all they measured; grants and the audit log stay."""
    from reconshield.jobs.runs import remove_old_runs
    from reconshield.jobs.times import parse_duration
    from reconshield.text import iso_time, local_time, plural

    call: Invocation = ctx.obj
    before = time.time() - parse_duration(older, "--older")
    with open_database(call) as store:
        removed = remove_old_runs(store, before)
    if as_json:
        call.print(json.dumps({"removed": removed, "older_than": iso_time(before)}))
    elif not removed["runs"]:
        call.print(f"Nothing removed: no run is from before {local_time(before)}.")
    else:
        parts = [plural(removed[name], name.removesuffix("s"), name) for name in ("observations", "services", "findings")]
        call.print(f"{plural(removed['runs'], 'run', 'runs')} from before {local_time(before)} removed: {', '.join(parts)}.")


@app.command("backup")
def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; an existing one is never overwritten.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Copy the whole database, all workspaces, while it is in use."""
    from reconshield.jobs.runs import back_up
    from reconshield.text import size

    call: Invocation = ctx.obj
    with open_database(call) as store:
        octets = back_up(store, file)
    if as_json:
        call.print(json.dumps({"file": str(file), "bytes": octets}))
        return
    call.print(f"The database is copied to {file} ({size(octets)}).")
    call.suggest(f"reconshield --db {file} runs   look into it")


def report(
    ctx: typer.Context,
    run: RunArgument,
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, jsonl, json, csv, html, …")] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the result to a file.")] = None,
    all_states: Annotated[bool, typer.Option("--all-states", help="List closed and filtered endpoints too.")] = False,
    with_evidence: Annotated[bool, typer.Option("--with-evidence", help="Print what endpoints answered.")] = False,
    fail_on: Annotated[str | None, typer.Option(metavar="SEVERITY", help="Exit 1 for findings this bad or worse.")] = None,
    flows: Annotated[
        list[Path] | None, typer.Option("--flows", metavar="FILE", help="Flow logs: who talks to each, in HTML.")
    ] = None,
) -> None:
    """Print a stored run in any format."""
    from reconshield.cli.output import check_format, open_output, write_result
    from reconshield.cli.scan import exit_code, parse_severity
    from reconshield.jobs.policy import try_policy
    from reconshield.jobs.results import load_result
    from reconshield.jobs.run_export import STREAMED

    call: Invocation = ctx.obj
    chosen, threshold = check_format("jsonl" if as_json else format_), parse_severity(fail_on)
    with open_database(call) as store:
        policy, warning = try_policy(call.settings.home)
        if chosen in STREAMED and not (all_states or flows):
            if warning:
                call.tell(f"warning: {warning}")
            raise typer.Exit(stream_report(call, store, run, chosen, policy, output, threshold))
        result = load_result(store, run, all_states=all_states, policy=policy)
    if warning:
        call.tell(f"warning: {warning}")
    if flows:
        result = with_flows(call, result, flows, chosen, policy)
    with open_output(call, output, chosen, all_states=all_states) as sink:
        write_result(
            call,
            result,
            sink.stream,
            chosen,
            all_states=all_states,
            to_file=sink.to_file,
            with_evidence=with_evidence,
            every=True,
        )
    raise typer.Exit(exit_code(result.summary.state, {finding.severity for finding in result.findings}, threshold))


def stream_report(
    call: Invocation,
    store: Store,
    run_text: str,
    format_: str,
    policy: Policy | None,
    output: Path | None,
    threshold: Severity | None,
) -> int:
    """Write a run as it is read, however large it is; the exit code."""
    from reconshield.cli.output import open_output
    from reconshield.cli.scan import exit_code
    from reconshield.jobs.results import load_summary
    from reconshield.jobs.run_export import export_run
    from reconshield.report.formats import find_format
    from reconshield.store.runs import find_run
    from reconshield.store.services import finding_kinds

    run = find_run(store, run_text)
    pieces = export_run(store, run.id, find_format(format_), policy=policy)
    with open_output(call, output, format_) as sink:
        sink.stream.writelines(pieces)
    return exit_code(load_summary(store, run).state, {kind.sample.severity for kind in finding_kinds(store, run.id)}, threshold)


def with_flows(call: Invocation, result: RunResult, flows: list[Path], format_: str, policy: Policy | None) -> RunResult:
    """The run with who talks to what is open in it; only its page has room for that."""
    from reconshield.cli.detect_output import input_summary
    from reconshield.jobs.detect_past import load_past
    from reconshield.jobs.exposure_talk import add_talk_to_run

    if format_ != "html":
        hint = "--format html, or: reconshield exposures --flows FILE"
        raise UserError(f"{format_} does not say who talks", where="--flows", hint=hint)
    scans = load_past(call.settings, policy, time.time()).scans
    return add_talk_to_run(result, flows, scans, told=lambda read: call.tell(input_summary(read)))


def diff(ctx: typer.Context, before: RunArgument, after: RunArgument, as_json: AsJson = False) -> None:
    """What changed from one run to another, claimed only where both measured."""
    from reconshield.jobs.comparison import compare_runs
    from reconshield.report.changes import change_lines, comparison_rows

    call: Invocation = ctx.obj
    with open_database(call) as store:
        found = compare_runs(store, before, after)
    if not found.comparable:
        call.tell(f"warning: {found.before.id} is from {found.before.vantage}, {found.after.id} from {found.after.vantage}")
    if found.before.started > found.after.started:
        call.tell("warning: the first run is the newer one, so the changes are told backwards")
    if as_json:
        print_lines(change_lines(found))
        return
    print_rows(call, comparison_rows(found, width_of_terminal()))
    if first := next((change for change in found.changes if change.kind == "opened"), None):
        call.suggest(f"reconshield evidence {found.after.id} {first.endpoint}   sent and received")


def history(
    ctx: typer.Context,
    place: Annotated[str, typer.Argument(metavar="IP[:PORT]", help="192.0.2.7, 192.0.2.7:110, [2001:db8::7]:53/udp")],
    as_json: AsJson = False,
) -> None:
    """Every sighting of an address or of one endpoint over all runs, the newest first."""
    from reconshield.jobs.evidence import load_sightings
    from reconshield.report.listing import sighting_lines, sighting_rows

    call: Invocation = ctx.obj
    with open_database(call) as store:
        seen = load_sightings(store, place)
    if as_json:
        print_lines(sighting_lines(seen))
    elif not seen:
        call.print(f"{place} was never measured, or never answered. This does not mean closed.")
        call.suggest("reconshield runs   what was measured")
    else:
        print_rows(call, sighting_rows(seen, width_of_terminal()))


def open_database(call: Invocation, *, create: bool = False) -> Store:
    """The database of this invocation. One that was named and is not there is a `StoreError`, unless the command begins one."""
    from reconshield.store.db import open_store

    return open_store(call.settings.db, call.settings.workspace, create=create or call.settings.db_is_own)


def width_of_terminal() -> int:
    """Columns to lay out for; 80 where there is no terminal."""
    return max(shutil.get_terminal_size((80, 24)).columns, 40)


def fold(head: str, text: str, indent: str) -> str:
    """Both in one line where that fits the terminal (or there is none), else the text below, wrapped and indented."""
    from reconshield.report.rows import wrap
    from reconshield.text import width_of

    width = shutil.get_terminal_size((sys.maxsize, 24)).columns
    if width_of(head + text) <= width:
        return head + text
    below = ("".join(span.text for span in row) for row in wrap(indent, text, width))
    return "\n".join((head.rstrip(), *below))


def print_rows(call: Invocation, rows: Iterable[Row]) -> None:
    """Rows in the colours that are allowed."""
    for row in rows:
        call.print("".join(call.paint(span.text, span.colour) for span in row).rstrip())


def print_lines(lines: Iterable[Line]) -> None:
    """JSON Lines; never respelt in ASCII, so that they stay data."""
    from reconshield.report.lines import dump_lines

    sys.stdout.writelines(dump_lines(lines))
