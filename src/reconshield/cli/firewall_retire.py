"""`reconshield firewall retire` and `verify`: close a service in stages, and look whether it is closed."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconshield.cli.runs import AsJson, open_database, print_lines, print_rows, width_of_terminal

if TYPE_CHECKING:
    from reconshield.cli.console import Invocation


def retire(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A service, or its port.", show_default=False)],
    flows: Annotated[
        list[Path] | None, typer.Option("--flows", metavar="FILE", help="Flow logs or captures: who still uses it.")
    ] = None,
    platform: Annotated[str, typer.Option("--platform", metavar="NAME", help="Which firewall.")] = "nftables",
    output: Annotated[Path | None, typer.Option("-o", metavar="FILE", help="Write the plan into a file.")] = None,
    as_json: AsJson = False,
) -> None:
    """A staged plan to close a service: users, replacement, notice, rules, proof, and the check that keeps it closed."""
    from reconshield.cli.output import whole_file
    from reconshield.jobs.firewall_retire import plan_retirement, retirement_data, retirement_text
    from reconshield.text import json_text

    call: Invocation = ctx.obj
    plan = plan_retirement(name, flows or (), platform)
    text = json_text(retirement_data(plan)) + "\n" if as_json else retirement_text(plan)
    if output is None:
        sys.stdout.write(text)
    else:
        with whole_file(output) as file:
            file.write(text)
        call.tell(f"written  {output}")
    call.suggest(plan.command)


def verify(
    ctx: typer.Context,
    run: Annotated[str, typer.Option(metavar="RUN", help="The run that found what should be closed.")] = "latest",
    run_after: Annotated[bool, typer.Option("--run-after", help="Measure those endpoints again now.")] = False,
    authorized_by: Annotated[str | None, typer.Option(metavar="NAME", help="Who allows the measurement.")] = None,
    policy: Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="The policy file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Is it really closed? Only a measurement afterwards says so. Exit 1 while something is open or was not looked at."""
    from reconshield.jobs.firewall_verify import compare, measure_again, to_verify
    from reconshield.jobs.policy import find_policy
    from reconshield.report.verified import verified_line, verified_rows

    call: Invocation = ctx.obj
    with open_database(call) as store:
        meant = find_policy(call.settings.home, policy)
        before, wanted = to_verify(store, run, meant)
        after = None
        if run_after:
            after = measure_again(store, call.settings, wanted, time.time(), time.time, authorized_by, policy=meant)
        found = list(compare(store, before, wanted, after))
    rows = [(each.endpoint, each.service, each.before, each.after, each.closed) for each in found]
    if as_json:
        print_lines(verified_line(*row) for row in rows)
    else:
        print_rows(call, verified_rows(rows, width_of_terminal()))
    if any(each.after is None for each in found):
        call.suggest(f"reconshield firewall verify --run {before.id} --run-after   measure them now")
    raise typer.Exit(0 if all(each.closed for each in found) else 1)
