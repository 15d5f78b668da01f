"""`reconshield letter`: what changed, for people who do not read scans."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from reconshield.cli.console import Invocation
from reconshield.cli.policy import PolicyOption
from reconshield.cli.runs import AsJson, open_database, print_lines, print_rows, width_of_terminal

WIDTH = 78


def letter(
    ctx: typer.Context,
    since: Annotated[str, typer.Option(metavar="7d|DATE", help="From when on: 24h, 7d, 2026-11-20.")] = "7d",
    policy: PolicyOption = None,
    as_json: AsJson = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the letter to a file.")] = None,
) -> None:
    """Only what changed: why it matters, what mends it, and what proves that it is mended."""
    from reconshield.cli.output import whole_file
    from reconshield.jobs.letter import write_letter
    from reconshield.jobs.policy import find_policy
    from reconshield.jobs.times import parse_past
    from reconshield.report.changes import change_line
    from reconshield.report.letter import letter_rows

    call: Invocation = ctx.obj
    now = time.time()
    begin = parse_past(since, now, "--since")
    with open_database(call) as store:
        written = write_letter(store, find_policy(call.settings.home, policy), begin, now)
    if as_json:
        print_lines(change_line(item.change, None, item.run, item.vantage) for item in written.items)
    elif output is not None:
        with whole_file(output) as stream:
            stream.writelines("".join(span.text for span in row).rstrip() + "\n" for row in letter_rows(written, WIDTH))
        call.tell(f"letter   {output}")
    else:
        print_rows(call, letter_rows(written, width_of_terminal()))
