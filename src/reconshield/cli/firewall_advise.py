"""`reconshield firewall advise` and `prove`: rules for your own firewall, and packets that show what they do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconshield.cli.runs import AsJson, open_database, print_lines, print_rows, width_of_terminal
from reconshield.errors import UserError

if TYPE_CHECKING:
    from reconshield.cli.console import Invocation
    from reconshield.jobs.firewall_advise import Advised

Allow = Annotated[list[str] | None, typer.Option("--allow", metavar="CIDR", help="A network that may still get in.")]
PlatformOption = Annotated[
    str, typer.Option("--platform", metavar="NAME", help="Which firewall (docs/firewall.md lists them).")
]


def advise(
    ctx: typer.Context,
    ports: Annotated[
        list[str] | None, typer.Argument(metavar="PORT…", help="Numbers or names of services.", show_default=False)
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="What a run found open and nobody expects.")] = None,
    allow: Allow = None,
    deny: Annotated[
        list[str] | None, typer.Option("--deny", metavar="CIDR", help="A network that must not be allowed.")
    ] = None,
    platform: PlatformOption = "nftables",
    log: Annotated[bool, typer.Option("--log", help="Note what is denied, at a limited rate.")] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; goes into comments.")] = "",
    policy: Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="The policy file, for --run.")] = None,
    output: Annotated[Path | None, typer.Option("-o", metavar="DIR", help="Write the files into this folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rules that close a port to all but some networks, with the way to apply them safely and to take them back."""
    from reconshield.jobs.firewall_advise import Wish, line_of
    from reconshield.jobs.firewall_advise import advise as find_advice
    from reconshield.jobs.policy import find_policy

    call: Invocation = ctx.obj
    wish = Wish(tuple(ports or ()), run, tuple(allow or ()), tuple(deny or ()), platform, log, reason)
    if run is None:
        found = find_advice(wish, None, None)
    else:
        with open_database(call) as store:
            found = find_advice(wish, store, find_policy(call.settings.home, policy))
    if output is not None:
        write_files(call, output, found)
    if as_json:
        print_lines(line_of(advised) for advised in found)
    elif output is None:
        for advised in found:
            show(call, advised)
    if not as_json and run is None:
        words = " ".join([*(ports or ()), *(f"--allow {net}" for net in allow or ())])
        call.suggest(f"reconshield firewall prove {words} --platform {platform}   try them with packets")


def show(call: Invocation, advised: Advised) -> None:
    from reconshield.report.advice import advice_rows

    advice, intent = advised.advice, advised.intent
    ports = ", ".join(map(str, intent.ports))
    whom = "everybody" if intent.public else intent.allow.text(4) if intent.allow else "nobody but this machine"
    host = f" on {advised.host}" if advised.host else ""
    title = f"{advice.platform}: {ports}{host}, open to {whom}"
    steps = {"apply": advice.apply, "undo": advice.undo, "check": advice.check}
    files = [(file.name, file.text) for file in advice.files]
    print_rows(call, advice_rows(title, files, steps, (*advised.remarks, *advice.notes), width_of_terminal()))


def write_files(call: Invocation, folder: Path, found: list[Advised]) -> None:
    """Each host's files into a folder of its own."""
    for advised in found:
        place = folder / advised.host.replace(":", "-") if advised.host else folder
        try:
            place.mkdir(parents=True, exist_ok=True)
            for file in advised.advice.files:
                (place / file.name).write_text(file.text, encoding="utf-8")
                call.tell(f"written  {place / file.name}")
        except OSError as error:
            raise UserError(f"the files cannot be written: {error.strerror}", where=str(place), hint="-o DIR") from error


def prove(
    ctx: typer.Context,
    ports: Annotated[list[str], typer.Argument(metavar="PORT…", help="Numbers or names of services.", show_default=False)],
    allow: Allow = None,
    platform: PlatformOption = "nftables",
    existing: Annotated[
        list[Path] | None, typer.Option("--existing", metavar="FILE", help="A dump of your rules, loaded first.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load the rules in a throw-away network and look from every side, before and after. Exit 1 if a row is not as wanted."""
    from reconshield.jobs.firewall_advise import Wish, find_platform, intent_for_ports, ports_named
    from reconshield.jobs.firewall_prove import prove as try_rules
    from reconshield.jobs.firewall_prove import read_existing
    from reconshield.report.proof import proof_line, proof_rows

    call: Invocation = ctx.obj
    chosen = find_platform(platform)
    intent, remarks = intent_for_ports(ports_named(ports), Wish(tuple(ports), allow=tuple(allow or ())))
    dumps = read_existing(existing or ())
    with open_database(call, create=True) as store:
        proof = try_rules(store, intent, chosen, dumps, time.time())
    if as_json:
        print_lines(proof_line(proof, row) for row in proof.rows)
        for note in () if proof.rows else proof.notes:
            call.tell(note)
    else:
        print_rows(call, proof_rows(proof, width_of_terminal()))
        for remark in remarks:
            call.tell(f"note  {remark}")
    if proof.rows and not proof.wrong:
        words = " ".join([*ports, *(f"--allow {net}" for net in allow or ())])
        call.suggest(f"reconshield firewall advise {words} --platform {platform} -o DIR   then: sh DIR/apply.sh")
    raise typer.Exit(1 if proof.wrong else 0)
