"""One run: live while it is measured, then what came out of it; and what can be done with it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse

from reconshield.errors import Refused, StoreError, UserError
from reconshield.jobs.comparison import compare_runs
from reconshield.jobs.coverage import is_import
from reconshield.jobs.live_state import LiveState, stored_state
from reconshield.jobs.rejudge import rejudge_run
from reconshield.jobs.results import load_head
from reconshield.jobs.run_export import export_run
from reconshield.jobs.scan import prepare_resume
from reconshield.jobs.scan_request import ScanRequest
from reconshield.report.changes import ORDER, sentence, spoken, worst_first
from reconshield.report.formats import KNOWN, find_format
from reconshield.store.runs import Run, list_runs
from reconshield.store.services import finding_kinds, findings_of_check
from reconshield.web.call import Call
from reconshield.web.door import Analyst, Operator, Viewer
from reconshield.web.failures import Missing
from reconshield.web.frame import page, render
from reconshield.web.heavy import room_for
from reconshield.web.run_result import result_values
from reconshield.web.run_table import ROWS
from reconshield.web.runs import exact_run
from reconshield.web.stream import stream_of

ROUTER = APIRouter(include_in_schema=False)
COMPARED = 200
"""Changes and re-judged endpoints that a page lists."""
MEMORY, PIECE = 8 * 1024 * 1024, 64 * 1024
"""Bytes of an export that are kept in memory (more go to a temporary file), and that are sent at once."""
PICKED = 50
"""Runs that are offered for a comparison."""


@ROUTER.get("/scans/{run_id}")
def show_run(call: Viewer, run_id: str) -> Response:
    return run_page(call, exact_run(call, run_id))


@ROUTER.get("/scans/{run_id}/part")
def show_part(call: Viewer, run_id: str) -> Response:
    """The content of the page without its frame: what takes the place of the progress when a scan has ended."""
    run = exact_run(call, run_id)
    return HTMLResponse(render(call, "run_part.html.j2", "scans", **run_values(call, run)))


@ROUTER.get("/scans/{run_id}/events")
def watch_run(call: Viewer, run_id: str) -> Response:
    """Progress as it happens, and the end."""
    return stream_of(call, exact_run(call, run_id).id)


def run_page(call: Call, run: Run, error: UserError | None = None) -> Response:
    status = 200 if error is None else 403 if isinstance(error, Refused) else 422
    return page(call, "run.html.j2", "scans", status, error=error, **run_values(call, run))


def run_values(call: Call, run: Run) -> dict[str, Any]:
    """What the templates of a run print: its progress while it is measured, its result afterwards."""
    state = live_state(call, run)
    head = load_head(run)
    values = {"title": f"Scan {run.id}", "run": run, "head": head, "state": state, "imported": is_import(run)}
    if state is not None or (is_import(run) and run.summary is None):
        return values
    return values | {"formats": KNOWN} | result_values(call, run)


def live_state(call: Call, run: Run) -> LiveState | None:
    """How far a run is; None for one that has ended."""
    state = call.site.live.state(call.who.workspace, run.id)
    if state is not None and state.phase != "ended":
        return state
    return stored_state(call.store, run.id) if run.state == "running" else None


@ROUTER.post("/scans/{run_id}/stop")
def stop_run(call: Operator, run_id: str) -> Response:
    """End it; what was measured is kept."""
    run = exact_run(call, run_id)
    call.site.live.stop(call.store, run.id)
    return RedirectResponse(f"/scans/{run.id}", 303)


@ROUTER.post("/scans/{run_id}/pause")
def pause_run(call: Operator, run_id: str) -> Response:
    """End it for now, and remember that somebody means to go on."""
    run = exact_run(call, run_id)
    call.site.live.pause(call.store, run.id)
    return RedirectResponse(f"/scans/{run.id}", 303)


@ROUTER.post("/scans/{run_id}/resume")
def resume_run(call: Operator, run_id: str) -> Response:
    """Go on at the first unfinished block: authorised anew, under the name of who goes on."""
    run = exact_run(call, run_id)
    try:
        request = ScanRequest((), exempt_own=False, actor=call.actor)
        refuse_running(call, run)
        policy = call.policy()[0]
        prepared = prepare_resume(call.store, run.id, request, call.now, call.settings.home, policy=policy)
        call.site.live.start(call.store, prepared, call.actor)
    except StoreError:
        raise
    except UserError as error:
        return run_page(call, run, error)
    return RedirectResponse(f"/scans/{run.id}", 303)


def refuse_running(call: Call, run: Run) -> None:
    """A run that is measured here is not begun a second time, and no grant is asked for it."""
    state = call.site.live.state(call.who.workspace, run.id)
    if state is not None and state.phase != "ended":
        raise UserError("this run is being measured", where=run.id, hint="watch it, or stop it first")


@ROUTER.get("/scans/{run_id}/export/{name}")
def export(call: Viewer, run_id: str, name: str, evidence: bool = False) -> Response:
    """The result as a file, in any format; made whole first, so that nobody gets half of one."""
    run = exact_run(call, run_id)
    try:
        chosen = find_format(name)
    except UserError as error:
        raise Missing(f"format {name[:40]}") from error
    with room_for(run):
        file = gather(export_run(call.store, run.id, chosen, policy=call.policy()[0], with_evidence=evidence))
    headers = {"content-disposition": f'attachment; filename="{run.id}.{chosen.suffix}"', "content-length": str(file.tell())}
    return StreamingResponse(pieces_of(file), media_type=f"{chosen.media}; charset=utf-8", headers=headers)


def gather(pieces: Iterable[str]) -> tempfile.SpooledTemporaryFile[bytes]:
    """The whole text as bytes, its end being where it stands; nothing is left behind when it cannot be made."""
    file = tempfile.SpooledTemporaryFile(MEMORY, "w+b")  # noqa: SIM115 - `pieces_of` closes it
    try:
        for piece in pieces:
            file.write(piece.encode("utf-8", "backslashreplace"))
    except BaseException:
        file.close()
        raise
    return file


def pieces_of(file: tempfile.SpooledTemporaryFile[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece


@ROUTER.get("/scans/{run_id}/findings/{check}")
def show_findings(call: Viewer, run_id: str, check: str, start: int = 0) -> Response:
    """Every endpoint of a run that has one finding."""
    run = exact_run(call, run_id)
    kind = next((each for each in finding_kinds(call.store, run.id) if each.sample.check == check), None)
    if kind is None:
        raise Missing(f"finding {check[:60]} in run {run.id}")
    start = max(0, min(start, kind.number - 1))
    found = findings_of_check(call.store, run.id, check, start, ROWS)
    values: dict[str, Any] = {"run": run, "kind": kind, "found": found, "start": start, "size": ROWS}
    return page(call, "run_findings.html.j2", "scans", title=kind.sample.title, **values)


@ROUTER.get("/scans/{run_id}/rejudge")
def show_rejudgement(call: Analyst, run_id: str) -> Response:
    """What today's probes and checks say of the kept dialogues. No packet is sent, and nothing is changed."""
    run = exact_run(call, run_id)
    with room_for(run):
        again = rejudge_run(call.store, run.id)
    shown = again.changes[:COMPARED]
    return page(call, "rejudged.html.j2", "scans", title="Judged again", again=again, shown=shown)


@ROUTER.post("/scans/{run_id}/rejudge")
def save_rejudgement(call: Operator, run_id: str) -> Response:
    """Keep that judgement in place of the old one."""
    run = exact_run(call, run_id)
    with room_for(run):
        rejudge_run(call.store, run.id, save=True)
    return RedirectResponse(f"/scans/{run.id}", 303)


@ROUTER.get("/scans/{run_id}/diff")
def choose_other(call: Viewer, run_id: str, other: str = "") -> Response:
    """Which run to compare with: those from the same vantage first, for only they can tell opened from closed."""
    run = exact_run(call, run_id)
    if other:
        return RedirectResponse(f"/scans/{run.id}/diff/{exact_run(call, other).id}", 303)
    return page(call, "run_diff.html.j2", "scans", title="Compare", run=run, others=others_of(call, run), found=None)


@ROUTER.get("/scans/{run_id}/diff/{other_id}")
def compare(call: Viewer, run_id: str, other_id: str, kind: str = "") -> Response:
    """What changed between two runs, the earlier one first whichever was named first."""
    run, other = exact_run(call, run_id), exact_run(call, other_id)
    before, after = sorted((run, other), key=lambda each: (each.started, each.id))
    with room_for(before, after):
        found = compare_runs(call.store, before.id, after.id)
    changes = sorted((c for c in found.changes if kind in {"", c.kind}), key=worst_first)
    kinds = [(each, sum(change.kind == each for change in found.changes)) for each in ORDER]
    return page(
        call,
        "run_diff.html.j2",
        "scans",
        title="Compare",
        run=run,
        other=other,
        others=others_of(call, run),
        found=found,
        shown=[
            (change, spoken(change.service_after or change.service_before), sentence(change)) for change in changes[:COMPARED]
        ],
        matching=len(changes),
        kinds=[(each, number) for each, number in kinds if number],
        kind=kind,
    )


def others_of(call: Call, run: Run) -> list[tuple[Run, str]]:
    """The runs that can be compared with this one, each with what it measured; those from its own vantage first."""
    ended = [each for each in list_runs(call.store, 4 * PICKED) if each.id != run.id and each.state in {"complete", "partial"}]
    ended.sort(key=lambda each: each.vantage != run.vantage)
    return [(each, ", ".join(load_head(each).targets[:3])) for each in ended[:PICKED]]
