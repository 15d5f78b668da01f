"""`reconshield exposures` and `assets`: what is open now and whose it is, without a packet."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconshield.cli.console import Invocation
from reconshield.cli.policy import PolicyOption
from reconshield.cli.runs import AsJson, open_database, print_lines, print_rows, width_of_terminal
from reconshield.errors import UserError

if TYPE_CHECKING:
    from reconshield.policy import Policy
    from reconshield.report.exposures import Exposure

ZoneOption = Annotated[str | None, typer.Option("--zone", metavar="NAME", help="Only this zone.")]


def exposures(
    ctx: typer.Context,
    policy: PolicyOption = None,
    zone: ZoneOption = None,
    ports: Annotated[
        str | None, typer.Option("-p", "--ports", metavar="PORTS", help="Only these: 22,80 · U:53 · @mail")
    ] = None,
    failing: Annotated[bool, typer.Option("--failing", help="Only what is not as the policy expects.")] = False,
    as_json: AsJson = False,
    flows: Annotated[
        list[Path] | None, typer.Option("--flows", metavar="FILE", help="Flow logs: who talks to each. May be repeated.")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="24h", help="Only flows of that time before now.")] = None,
    unused: Annotated[bool, typer.Option("--unused", help="Only what no flow is answered by, with --flows.")] = False,
) -> None:
    """What is open now: since when, whose it is, whether it is expected, and who talks to it."""
    from reconshield.jobs.exposures import load_exposures
    from reconshield.jobs.policy import find_policy
    from reconshield.jobs.scan_request import read_ports
    from reconshield.policy.verdict import FAILING
    from reconshield.report.exposures import exposure_line, exposure_rows
    from reconshield.store.runs import list_runs

    call: Invocation = ctx.obj
    if (unused or since) and not flows:
        raise UserError("nothing says who talks", where="--unused" if unused else "--since", hint="--flows FILE")
    rules, now = find_policy(call.settings.home, policy), time.time()
    check_zone(zone, rules)
    wanted = read_ports(ports) if ports else None
    with open_database(call) as store:
        found, measured = load_exposures(store, rules, now), bool(list_runs(store, 1))
    if flows:
        found = with_talk(call, found, flows, since, rules, now)
    found = [e for e in found if zone in {None, e.zone} and (not failing or e.verdict in FAILING)]
    found = [e for e in found if wanted is None or (e.endpoint.transport, e.endpoint.port) in wanted]
    found = [e for e in found if e.unused or not unused]
    if as_json:
        print_lines(exposure_line(exposure) for exposure in found)
        return
    if not measured:
        tell_unmeasured(call)
        return
    print_rows(call, exposure_rows(found, width_of_terminal()))
    if found:
        steps = [f"reconshield history {found[0].endpoint}   every sighting of it"]
        if idle := next((e for e in found if e.unused), None):
            steps.append(f"reconshield firewall advise {idle.endpoint.port}   close what nobody talks to")
        call.suggest(*steps)


def check_zone(zone: str | None, policy: Policy | None) -> None:
    """A mistyped zone would look as if nothing were open in it."""
    known = {entry.name for entry in policy.zones} if policy else set()
    if zone is not None and zone not in known | {"wan"}:
        names = " | ".join(sorted(known | {"wan"}))
        raise UserError(f"there is no zone {zone}", where=f"--zone {zone}", hint=f"--zone {names}")


def tell_unmeasured(call: Invocation) -> None:
    call.print("Nothing was measured yet; this does not mean that nothing is open.")
    call.suggest("reconshield scan localhost")


def with_talk(
    call: Invocation, found: list[Exposure], files: list[Path], since: str | None, policy: Policy | None, now: float
) -> list[Exposure]:
    """The exposures with who talks to each. What was read is a remark beside the result."""
    from reconshield.cli.detect_output import input_summary
    from reconshield.jobs.detect_past import load_past
    from reconshield.jobs.exposure_talk import add_talk
    from reconshield.jobs.times import parse_duration

    begin = now - parse_duration(since, "--since") if since else None
    scans = load_past(call.settings, policy, now).scans
    return add_talk(found, files, scans, since=begin, told=lambda read: call.tell(input_summary(read)))


def assets(ctx: typer.Context, policy: PolicyOption = None, zone: ZoneOption = None, as_json: AsJson = False) -> None:
    """What is declared or was found, with what each exposes and when it was last measured."""
    from reconshield.jobs.exposures import load_assets
    from reconshield.jobs.policy import find_policy
    from reconshield.report.exposures import asset_line, asset_rows

    call: Invocation = ctx.obj
    rules = find_policy(call.settings.home, policy)
    check_zone(zone, rules)
    with open_database(call) as store:
        found = load_assets(store, rules, time.time())
    found = [asset for asset in found if zone in {None, asset.zone}]
    if as_json:
        print_lines(asset_line(asset) for asset in found)
    else:
        print_rows(call, asset_rows(found, width_of_terminal()))
