"""`reconshield doctor`: what this machine can measure with, and whether something fakes answers; one line a thing."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reconshield.cli.console import Invocation
    from reconshield.jobs.diagnosis import Control, Diagnosis

SIGNS = {"ok": ("✓", ""), "warning": ("!", "medium"), "bad": ("✗", "high"), "not-tested": ("?", "dim")}
WORDS = {"ok": "ok", "warning": "warning", "bad": "bad", "not-tested": "not tested"}
WIDEST = 100


def doctor(
    ctx: typer.Context,
    control: Annotated[
        list[str] | None, typer.Option(metavar="HOST:PORT", help="Yours, known to be open. Needs a grant.")
    ] = None,
    control_closed: Annotated[
        list[str] | None, typer.Option("--control-closed", metavar="HOST:PORT", help="Yours, known to be closed.")
    ] = None,
    authorized_by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who allows the controls: records a grant now.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON Lines.")] = False,
) -> None:
    """Say what this machine can measure with, and whether something on it or on the way answers for others."""
    from reconshield.jobs.doctor import examine

    call: Invocation = ctx.obj
    now = time.time()
    controls = _measure(call, control or [], control_closed or [], authorized_by, now)
    found = []
    for diagnosis in examine(call.settings, now, controls):
        found.append(diagnosis)
        if json_:
            _print_json(call, diagnosis)
        else:
            _print_line(call, diagnosis)
    if not json_:
        call.print(["", summary_of(found)])
    raise typer.Exit(1 if any(one.state == "bad" for one in found) else 0)


def summary_of(found: list[Diagnosis]) -> str:
    """The last line, such as `12 looked at: 10 ok, 2 warnings`."""
    counts = Counter[str](one.state for one in found)
    words = {**WORDS, "warning": "warning" if counts["warning"] == 1 else "warnings"}
    return f"{len(found)} looked at: " + ", ".join(f"{counts[state]} {words[state]}" for state in SIGNS if counts[state]) + "."


def _measure(call: Invocation, known_open: list[str], known_closed: list[str], by: str | None, now: float) -> list[Control]:
    """Ask the control endpoints, if there are any; a database is opened (and made) only for them, because grants lie there."""
    if not (known_open or known_closed):
        return []
    from reconshield.jobs.doctor import measure_controls
    from reconshield.store.db import open_store

    with open_store(call.settings.db, call.settings.workspace) as store:
        return measure_controls(store, known_open, known_closed, now, by)


def _print_line(call: Invocation, one: Diagnosis) -> None:
    import shutil

    from reconshield.report.rows import plain, wrap

    sign, colour = SIGNS[one.state]
    lead = f"{sign} {WORDS[one.state]:<10} {one.name:<14} "
    width = min(shutil.get_terminal_size((80, 24)).columns, WIDEST)
    first, *others = [plain(row) for row in wrap(lead, one.what, width)]
    head = len(sign) + 1 + len(WORDS[one.state])
    call.print([call.paint(first[:head], colour) + first[head:], *others])
    if one.next:
        call.print("  next       " + call.paint(one.next, "command"))  # not wrapped: it is there to be copied


def _print_json(call: Invocation, one: Diagnosis) -> None:
    from reconshield.report.line_types import DiagnosisLine
    from reconshield.text import json_text

    line: DiagnosisLine = {
        "v": 1,
        "type": "diagnosis",
        "name": one.name,
        "state": one.state,
        "what": one.what,
        "next": one.next,
    }
    call.print(json_text(line))
