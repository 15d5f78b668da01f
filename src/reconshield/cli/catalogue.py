"""`reconshield catalogue export`: the whole catalogue for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconshield.errors import UserError

if TYPE_CHECKING:
    from reconshield.cli.console import Invocation

app = typer.Typer(name="catalogue", no_args_is_help=True, help="The catalogue of ports and services as data.")


@app.command("export")
def export(
    ctx: typer.Context,
    format_: Annotated[str, typer.Option("--format", metavar="F", help="json or csv.")] = "json",
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="A file instead of the screen.")] = None,
) -> None:
    """Every service, endpoint, statement and source; docs/schema/catalogue-1.schema.json says what the keys mean."""
    from reconshield.cli.output import whole_file
    from reconshield.knowledge.catalog import load_catalog
    from reconshield.knowledge.export import catalogue_csv, catalogue_json

    call: Invocation = ctx.obj
    make = {"json": catalogue_json, "csv": catalogue_csv}.get(format_)
    if make is None:
        raise UserError(f"unknown format {format_!r}", where=f"--format {format_}", hint="--format json or --format csv")
    text = make(load_catalog())
    if output is None:
        call.print(text.rstrip("\n").splitlines())
        return
    with whole_file(output) as stream:
        stream.write(text)
    call.tell(f"written  {output}")
