"""`reconshield fingerprints`: take a user's own patterns for products and versions. Nothing is fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reconshield.cli.console import Invocation

app = typer.Typer(name="fingerprints", no_args_is_help=True, help="Your own patterns for products and versions.")


@app.callback()
def group() -> None:
    """Your own patterns for products and versions."""


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file in the form of Rapid7's recog (XML).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read patterns, keep those that cannot be made to run long, and use them where our own told no product or version."""
    from reconshield.jobs.fingerprints import import_file

    call: Invocation = ctx.obj
    done = import_file(call.settings.home, file)
    if as_json:
        call.print(json.dumps({"path": str(done.path), "kept": done.kept, "rejected": done.rejected}))
        return
    call.print(f"{done.kept} patterns kept in {done.path}")
    for reason, count in done.rejected.items():
        call.print(f"{count} not used: {reason}")
