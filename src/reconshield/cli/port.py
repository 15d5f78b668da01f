"""`reconshield port` and `reconshield ports`: what a port is, how bad it is, what to do; and the search for one.

They answer in a quarter of a second: no NumPy, no SQLAlchemy, one service file. On a terminal a long answer goes through a
pager, as git does it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconshield.errors import UserError

if TYPE_CHECKING:
    from reconshield.cli.console import Invocation
    from reconshield.knowledge.profile import Profile
    from reconshield.knowledge.search import Hit

Name = Annotated[str, typer.Argument(metavar="N|NAME", help="A port number (0-65535) or the name of a service.")]
TransportFlag = Annotated[str | None, typer.Option("--transport", metavar="tcp|udp", help="Only this transport.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown.")]
AsHtml = Annotated[bool, typer.Option("--html", help="Print one HTML page that needs nothing else.")]
RISK_WIDTH = 15


def port(
    ctx: typer.Context,
    name: Name,
    transport: TransportFlag = None,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
    as_html: AsHtml = False,
) -> None:
    """What a port or service is, how bad it is to expose it, and what to do."""
    call: Invocation = ctx.obj
    if as_json + as_markdown + as_html > 1:
        raise UserError(
            "only one form can be printed", where="--json --markdown --html", hint=f"reconshield port {name} --json"
        )
    profiles = _find(name, _check_transport(transport))
    if as_json:
        from reconshield.knowledge.render import profile_data

        call.print(json.dumps([profile_data(profile) for profile in profiles], ensure_ascii=call.ascii))
    elif as_markdown:
        from reconshield.knowledge.render import markdown

        call.print("\n".join(markdown(profile) for profile in profiles).rstrip("\n"))
    elif as_html:
        from reconshield.report.site.page import page_html

        call.print(page_html(profiles).rstrip("\n"))
    else:
        _show(call, profiles)


def _find(name: str, transport: str | None) -> tuple[Profile, ...]:
    """The profiles of `110`, `110/tcp`, `T:110`, `pop3`."""
    from reconshield.knowledge.profile import find_port, profile, profile_by_name

    if found := re.fullmatch(r"([TU]):(\d+)", name.strip(), re.IGNORECASE):  # as `scan -p` writes it
        name, transport = found[2], "tcp" if found[1] in "Tt" else "udp"
    elif re.fullmatch(r"\d+[,-][\d,TU:-]*", name.strip()):
        raise UserError("a page is of one port", where=name, hint=f"reconshield ports {name.strip()}   which of them are known")
    head, slash, tail = name.strip().partition("/")
    if slash and tail.lower() in {"tcp", "udp"}:
        name, transport = head, tail.lower()
    if not name.strip():
        raise UserError("a port or the name of a service is missing", hint="reconshield port 110")
    number = find_port(name)
    return profile_by_name(name, transport) if number is None else profile(number, transport)


def _check_transport(transport: str | None) -> str | None:
    if transport is None or transport.lower() in {"tcp", "udp"}:
        return transport.lower() if transport else None
    raise UserError(
        f"unknown transport {transport}", where=f"--transport {transport}", hint="--transport tcp or --transport udp"
    )


def _show(call: Invocation, profiles: tuple[Profile, ...]) -> None:
    from reconshield.knowledge.terminal import NARROWEST, Page, profile_lines

    size = shutil.get_terminal_size((80, 24))
    page = Page(max(NARROWEST, min(size.columns, 120)), call.paint, lambda text: _spell(call, text))
    lines = profile_lines(profiles, page, _yours(call, profiles[0]))
    if sys.stdout.isatty() and len(lines) >= size.lines:
        _page("\n".join(lines) + "\n")
    else:
        call.print(lines)


def _spell(call: Invocation, text: str) -> str:
    """The text in the terminal's alphabet; in ASCII letters lose their accents, other signs become `?`."""
    if not call.ascii:
        return text
    return unicodedata.normalize("NFKD", call.spell(text)).encode("ascii", "replace").decode("ascii").replace("\n", " ")


def _yours(call: Invocation, profile: Profile) -> str | None:
    """What the newest runs saw on this port, or None where there is no database or nothing in it."""
    if not call.settings.db_is_file or not Path(call.settings.db).is_file():
        return None
    from reconshield.store.glance import last_seen
    from reconshield.text import duration, local_time, printable

    rows = [
        row
        for row in last_seen(Path(call.settings.db), profile.port, call.settings.workspace)
        if row.transport == profile.transport
    ]
    if not rows:
        return None
    newest = rows[0]
    answered = printable(newest.product or newest.service or "") or "nobody spoke to it"
    more = f"; {len(rows) - 1} more" if len(rows) > 1 else ""
    age = duration(max(time.time() - newest.at, 0.0))
    return f"open on {newest.ip} ({answered}), {local_time(newest.at)}, {age} ago, run {newest.run}{more}"


def _page(text: str) -> None:
    """Show a text in the user's pager; without one, or with `cat`, print it."""
    command = os.environ.get("RECONSHIELD_PAGER", os.environ.get("PAGER", "less"))
    words = command.split()
    program = shutil.which(words[0]) if words else None
    if program is None or words[0] == "cat":
        sys.stdout.write(text)
        return
    environ = {"LESS": "FRX", "LV": "-c", **os.environ}
    pager = subprocess.Popen([program, *words[1:]], stdin=subprocess.PIPE, env=environ, text=True)  # noqa: S603 - the user's own
    try:
        pager.communicate(text)
    except BrokenPipeError:  # the reader has seen enough
        pager.wait()


def ports(
    ctx: typer.Context,
    query: Annotated[
        list[str] | None, typer.Argument(metavar="[QUERY]", help="Number, 20-25, U:53,161, name, product, rating, any word.")
    ] = None,
    cluster: Annotated[str | None, typer.Option(metavar="C", help="Only this cluster, such as mail or databases.")] = None,
    risk: Annotated[str | None, typer.Option(metavar="R", help="Only this rating: critical, high, medium or low.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search the catalogue of ports and services."""
    from reconshield.knowledge.search import hit_data, search

    call: Invocation = ctx.obj
    text = " ".join(query or ())
    found = search(text, cluster, risk)
    for typed, read in found.read_as:
        call.tell(f"nothing matches {typed!r}; shown for {read!r}")
    if as_json:
        call.print(json.dumps([hit_data(hit) for hit in found.hits], ensure_ascii=call.ascii))
        return
    if not found.hits:
        asked = [text, f"cluster:{cluster}" if cluster else "", f"risk:{risk}" if risk else ""]
        call.print(f"Nothing matches `{' '.join(filter(None, asked))}`.")
        call.suggest("reconshield ports   all services")
        return
    call.print(_table(call, found.hits))
    call.suggest(f"reconshield port {found.hits[0].port}")


def _table(call: Invocation, hits: tuple[Hit, ...]) -> list[str]:
    """The hits as columns that fit the terminal; cluster names give way first."""
    width = shutil.get_terminal_size((80, 24)).columns
    service = max(len("SERVICE"), *(len(hit.service or "-") for hit in hits)) + 2
    name = max(len("NAME"), *(len(_spell(call, hit.name)) for hit in hits)) + 2
    lines = [f"  {'RISK':<{RISK_WIDTH}}{'PORT':<11}{'SERVICE':<{service}}{'NAME':<{name}}CLUSTERS".rstrip()[:width]]
    for hit in hits:
        rating = f"{hit.score:>3} {hit.rating}" if hit.score is not None else "  - not rated"
        row: list[Any] = [f"{hit.port}/{hit.transport}".ljust(11), (hit.service or "-").ljust(service)]
        rest = ("".join(row) + _spell(call, hit.name).ljust(name) + " ".join(hit.clusters)).rstrip()
        colour = hit.rating or "dim"
        lines.append(
            f"  {call.paint(rating, colour)}{' ' * (RISK_WIDTH - len(rating))}{rest}"[: width + len(call.paint("", colour))]
        )
    return lines
