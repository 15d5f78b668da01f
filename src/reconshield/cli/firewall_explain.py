"""`reconshield firewall explain`: why a port of this machine is open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconshield.cli.runs import AsJson, open_database, print_lines, print_rows, width_of_terminal
from reconshield.errors import UserError

if TYPE_CHECKING:
    from reconshield.cli.console import Invocation
    from reconshield.report.explanation import Told


def explain(
    ctx: typer.Context,
    port: Annotated[str, typer.Argument(metavar="PORT", help="A number, or the name of a service.", show_default=False)],
    transport: Annotated[str | None, typer.Option(metavar="tcp|udp", help="Only this transport.")] = None,
    rules: Annotated[list[str] | None, typer.Option(metavar="FILE", help="Rules from a file, not the live ones.")] = None,
    as_json: AsJson = False,
) -> None:
    """Why this port is open: who listens, which rule lets it in, whether it is published, what was measured. Sends nothing."""
    from reconshield.report.explanation import explanation_line, explanation_rows

    call: Invocation = ctx.obj
    if transport not in {None, "tcp", "udp"}:
        raise UserError("a transport is tcp or udp", where=f"--transport {transport}", hint="--transport tcp")
    found = look(call, port, transport, rules or [])
    if as_json:
        print_lines(explanation_line(told) for told in found)
        return
    for told in found:
        print_rows(call, explanation_rows(told, width_of_terminal()))
    open_ones = [told.port for told in found if "open" in told.verdict]
    if open_ones:
        call.suggest(f"reconshield port {open_ones[0]}   what this is and how to close it")


def look(call: Invocation, port: str, transport: str | None, rules: list[str]) -> list[Told]:
    """With the database where there is one; none is made for a question."""
    from reconshield.jobs.firewall_explain import explain_port

    if call.settings.db_is_file and not Path(call.settings.db).is_file():
        return explain_port(port, transport, None, rules)
    with open_database(call) as store:
        return explain_port(port, transport, store, rules)
