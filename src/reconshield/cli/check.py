"""`reconshield check`: measure what the policy is about, or take a run, and say what is not as it should be."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from reconshield.cli.console import Invocation
from reconshield.cli.output import whole_file
from reconshield.cli.policy import PolicyOption
from reconshield.cli.progress import ProgressLine
from reconshield.cli.runs import open_database, width_of_terminal
from reconshield.cli.scan import show_plan, show_progress, stop_on_interrupt

if TYPE_CHECKING:
    from reconshield.jobs.scan import Prepared
    from reconshield.report.checked import Checked
    from reconshield.store.db import Store


def check(
    ctx: typer.Context,
    policy: PolicyOption = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Judge this run (or import) instead of measuring.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail for what is expected and missing, too.")] = False,
    ports: Annotated[
        str | None, typer.Option("-p", "--ports", metavar="PORTS", help="Measure these (the commonest and those named).")
    ] = None,
    level: Annotated[int | None, typer.Option(metavar="2|3|4", help="2 port scan, 3 identify, 4 assess (the grant's).")] = None,
    rate: Annotated[float | None, typer.Option(metavar="N", help="At most N connects a second.")] = None,
    authorized_by: Annotated[str | None, typer.Option(metavar="NAME", help="Who allows it: records a grant now.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")] = False,
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, jsonl, junit, sarif")] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the result to a file.")] = None,
) -> None:
    """Is what is exposed what should be? Exit 1 when a verdict fails."""
    from reconshield.jobs.check import check_run, prepare_check, request_scan
    from reconshield.jobs.policy import load_policy
    from reconshield.report.formats import VERDICTS, find_format

    call: Invocation = ctx.obj
    chosen = find_format("jsonl" if as_json else format_, VERDICTS).name
    found = load_policy(call.settings.home, policy)
    with open_database(call) as store:
        if run is None:
            request = request_scan(found, ports=ports, level=level, authorized_by=authorized_by, rate=rate)
            prepared = prepare_check(store, call.settings, request, time.time(), policy=found)
            if dry_run:
                show_plan(call, prepared, as_json=chosen == "jsonl")
                return
            run = follow(call, store, prepared)
        checked = check_run(store, run, found, time.time(), strict=strict)
        write(call, checked, chosen, output)
    raise typer.Exit(1 if checked.failed else 0)


def follow(call: Invocation, store: Store, prepared: Prepared) -> str:
    """Measure with a progress line, and give the id of the run. Ctrl-C stops it and judges nothing."""
    from reconshield.jobs import scan as job

    stop, run = threading.Event(), ""
    line = ProgressLine("check", quiet=call.quiet, ascii=call.ascii)
    with stop_on_interrupt(stop):
        for event in job.run_scan(store, prepared, time.time, stop):
            show_progress(line, event)
            if isinstance(event, job.Started):
                run = event.head.id
    line.clear()
    if stop.is_set():
        call.tell("stopped. What was measured is saved; nothing was judged.")
        call.suggest(f"reconshield scan --resume {run}", f"reconshield check --run {run}")
        raise typer.Exit(130)
    return run


def write(call: Invocation, checked: Checked, format_: str, output: Path | None) -> None:
    """The verdicts in a format, to a file that appears when it is whole, or to standard output."""
    if output is not None:
        with whole_file(output, saved=True) as stream:
            write_to(stream, call, checked, format_, to_file=True)
        call.tell(f"report   {output}")
    else:
        write_to(sys.stdout, call, checked, format_, to_file=False)
    worst = next(checked.verdicts("forbidden", "unexpected", "expired"), None) if format_ == "table" else None
    if worst and worst.verdict.endpoint:
        call.suggest(
            f"reconshield evidence {checked.head.id} {worst.verdict.endpoint}   sent and received",
            f"reconshield policy propose --run {checked.head.id}   what is open, for review",
        )


def write_to(stream: TextIO, call: Invocation, checked: Checked, format_: str, *, to_file: bool) -> None:
    from reconshield.report.formats import render_verdicts

    if format_ == "table":
        write_table(stream, call, checked, to_file=to_file)
    else:
        stream.writelines(render_verdicts(checked, format_))


def write_table(stream: TextIO, call: Invocation, checked: Checked, *, to_file: bool) -> None:
    from reconshield.report.checked import checked_rows

    for row in checked_rows(checked, 120 if to_file else width_of_terminal()):
        text = "".join(span.text if to_file else call.paint(span.text, span.colour) for span in row)
        stream.write(call.spell(text.rstrip()) + "\n")
    stream.flush()
