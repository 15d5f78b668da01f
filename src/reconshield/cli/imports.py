"""`reconshield import`: the results of another tool become a run of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconshield.cli.console import Invocation
from reconshield.cli.runs import AsJson, open_database, print_lines

if TYPE_CHECKING:
    from reconshield.jobs.imports import Imported


def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file that the other tool wrote.", show_default=False)],
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="auto, nmap-xml, masscan-json, masscan-list, naabu, zgrab2")
    ] = "auto",
    vantage: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where it was measured from; import:TOOL if not said.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep what nmap, masscan, naabu or zgrab2 measured, as a run with a vantage of its own. Sends nothing."""
    from reconshield.jobs.imports import import_file
    from reconshield.jobs.results import load_head, load_summary
    from reconshield.report.lines import run_line, summary_line
    from reconshield.report.table import counts_text
    from reconshield.text import count, plural, printable

    call: Invocation = ctx.obj
    with open_database(call, create=True) as store:
        made = import_file(store, file, format_=format_, vantage=vantage)
        head, summary = load_head(made.run), load_summary(store, made.run)
    warn_of_losses(call, made)
    if as_json:
        name = printable(file.name, None)
        print_lines(
            [
                {"v": 1, "type": "input", "file": name, "format": made.format, "records": made.records, "bad": made.bad},
                run_line(head),
                summary_line(head.id, summary),
            ]
        )
    else:
        hosts = plural(head.addresses, "address", "addresses")
        call.print(f"{head.id}  {printable(file.name)} · {made.format} · {hosts} · from {printable(head.vantage)}")
        claimed = f"{plural(made.services, 'service', 'services')} named by {made.tool}"
        call.print(f"{count(summary.measured)} endpoints measured: {counts_text(summary)}; {claimed}")
        call.suggest(f"reconshield report {head.id}")
    raise typer.Exit(4 if made.cut else 0)


def warn_of_losses(call: Invocation, made: Imported) -> None:
    """Say what of the file is not in the run."""
    from reconshield.text import count, plural

    if made.bad:
        more = f" and {count(made.bad - len(made.faults))} more" if made.bad > len(made.faults) else ""
        call.tell(f"warning: {plural(made.bad, 'record', 'records')} could not be used: {'; '.join(made.faults)}{more}")
    if made.cut:
        call.tell(f"warning: {made.cut}; what was whole before is kept")
