"""`reconshield exposures` and `assets`: what is open now and whose it is, without a packet."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from reconshield.cli.console import Invocation
from reconshield.cli.policy import PolicyOption
from reconshield.cli.runs import AsJson, open_database, print_lines, print_rows, width_of_terminal

ZoneOption = Annotated[str | None, typer.Option("--zone", metavar="NAME", help="Only this zone.")]


def exposures(
    ctx: typer.Context,
    policy: PolicyOption = None,
    zone: ZoneOption = None,
    failing: Annotated[bool, typer.Option("--failing", help="Only what is not as the policy expects.")] = False,
    as_json: AsJson = False,
) -> None:
    """What is open now: since when, whose it is, and whether it is expected."""
    from reconshield.jobs.exposures import load_exposures
    from reconshield.jobs.policy import find_policy
    from reconshield.policy.verdict import FAILING
    from reconshield.report.exposures import exposure_line, exposure_rows

    call: Invocation = ctx.obj
    with open_database(call) as store:
        found = load_exposures(store, find_policy(call.settings.home, policy), time.time())
    found = [e for e in found if zone in {None, e.zone} and (not failing or e.verdict in FAILING)]
    if as_json:
        print_lines(exposure_line(exposure) for exposure in found)
        return
    print_rows(call, exposure_rows(found, width_of_terminal()))
    if found:
        call.suggest(f"reconshield history {found[0].endpoint}   every sighting of it")


def assets(ctx: typer.Context, policy: PolicyOption = None, zone: ZoneOption = None, as_json: AsJson = False) -> None:
    """What is declared or was found, with what each exposes and when it was last measured."""
    from reconshield.jobs.exposures import load_assets
    from reconshield.jobs.policy import find_policy
    from reconshield.report.exposures import asset_line, asset_rows

    call: Invocation = ctx.obj
    with open_database(call) as store:
        found = load_assets(store, find_policy(call.settings.home, policy), time.time())
    found = [asset for asset in found if zone in {None, asset.zone}]
    if as_json:
        print_lines(asset_line(asset) for asset in found)
    else:
        print_rows(call, asset_rows(found, width_of_terminal()))
