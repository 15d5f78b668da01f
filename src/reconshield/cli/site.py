"""`reconshield site build DIR`: the whole catalogue as a static site."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reconshield.cli.console import Invocation

app = typer.Typer(name="site", no_args_is_help=True, help="The catalogue as a static site, a page for every port.")


@app.command("build")
def build(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An empty folder, or one that holds an earlier site.")],
    url: Annotated[str | None, typer.Option(metavar="URL", help="Where the site will stand, for sitemap and feed.")] = None,
) -> None:
    """Write every page: 65,536 numbers, services, clusters, risk, ATT&CK, search, sitemap, feed."""
    from reconshield.jobs.site import PLACEHOLDER, build_site
    from reconshield.text import count, duration, plural, size

    call: Invocation = ctx.obj
    built = build_site(folder, url=url or PLACEHOLDER, now=time.time(), feeds=call.settings.home / "feeds")
    call.print(
        f"{count(built.files)} files, {size(built.octets)}, in {duration(built.seconds)}; "
        f"{plural(built.changes, 'new line', 'new lines')} in the feed of changes"
    )
    if url is None:
        call.tell(f"warning: sitemap and feed name {PLACEHOLDER}; --url says where the site will stand")
    call.suggest(f"python3 -m http.server --directory {folder}")
