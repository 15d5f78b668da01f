"""`reconshield firewall evaluate`: a file of rules, judged without a packet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconshield.cli.runs import AsJson, print_lines, print_rows, width_of_terminal

if TYPE_CHECKING:
    from reconshield.cli.console import Invocation


def evaluate(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Rules in any known format; - is standard input.")],
    sources: Annotated[
        list[str] | None, typer.Option("--from", metavar="CIDR", help="Who asks; without it, everybody.")
    ] = None,
    ports: Annotated[str | None, typer.Option("-p", metavar="PORTS", help="Which ports; without it, all.")] = None,
    against: Annotated[str | None, typer.Option(metavar="FILE2", help="Rules to compare with: what FILE alters.")] = None,
    flows: Annotated[str | None, typer.Option(metavar="FILE", help="Flows that were seen, as CSV or JSON Lines.")] = None,
    policy: Annotated[Path | None, typer.Option(metavar="FILE", help="Ask for every zone of this policy file.")] = None,
    subject: Annotated[str | None, typer.Option(metavar="NAME", help="Of several filters in FILE, those named so.")] = None,
    through: Annotated[bool, typer.Option("--through", help="Packets that are passed on, not those to the host.")] = False,
    outward: Annotated[bool, typer.Option("--out", help="Packets that the host sends.")] = False,
    as_json: AsJson = False,
) -> None:
    """What rules let through, with the rule that decides; which are without effect; what a change alters. Sends nothing."""
    from reconshield.jobs.firewall_evaluate import ask_for, compare_files, evaluate_file, judge_flows
    from reconshield.jobs.policy import load_policy
    from reconshield.report.ruling import evaluation_lines, evaluation_rows

    call: Invocation = ctx.obj
    zones = load_policy(call.settings.home, policy) if policy is not None else None
    asked = ask_for(sources or (), ports, policy=zones, through=through, outward=outward)
    if flows is not None:
        found = judge_flows(file, flows, against, subject)
    elif against is not None:
        found = compare_files(against, file, asked, subject)
    else:
        found = evaluate_file(file, asked, subject)
    if as_json:
        print_lines(evaluation_lines(found))
    else:
        print_rows(call, evaluation_rows(found, width_of_terminal()))
