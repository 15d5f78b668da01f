"""`reconshield evidence` and `rejudge`: what a statement rests on, and whether today's checks still make it."""

from __future__ import annotations

from typing import Annotated

import typer

from reconshield.cli.console import Invocation
from reconshield.cli.runs import AsJson, RunArgument, open_database, print_lines, print_rows, width_of_terminal


def evidence(
    ctx: typer.Context,
    run: RunArgument,
    endpoint: Annotated[str, typer.Argument(metavar="IP:PORT", help="192.0.2.7:110, [::1]:110, 192.0.2.7:53/udp")],
    as_json: AsJson = False,
) -> None:
    """What was sent to an endpoint and what came back, with the line that decides."""
    from reconshield.jobs.evidence import load_evidence
    from reconshield.report.dialogue import evidence_lines
    from reconshield.report.evidence import evidence_rows

    call: Invocation = ctx.obj
    with open_database(call) as store:
        seen = load_evidence(store, run, endpoint)
    if as_json:
        print_lines(evidence_lines(seen))
        return
    print_rows(call, evidence_rows(seen, width_of_terminal(), run))
    call.suggest(f"reconshield port {seen.endpoint.port}   what this is and how to close it")


def rejudge(
    ctx: typer.Context,
    run: RunArgument,
    save: Annotated[bool, typer.Option("--save", help="Keep the new judgement in place of the old one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge a stored run with the probes and checks of today, without a packet."""
    from reconshield.jobs.rejudge import rejudge_run
    from reconshield.report.rejudged import rejudged_lines, rejudged_rows

    call: Invocation = ctx.obj
    with open_database(call) as store:
        again = rejudge_run(store, run, save=save)
    if as_json:
        print_lines(rejudged_lines(again))
    else:
        print_rows(call, rejudged_rows(again, width_of_terminal()))
