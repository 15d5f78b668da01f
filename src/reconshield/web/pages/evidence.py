"""The evidence of one endpoint in one run: the dialogue as it was kept, with the line that decides."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from fastapi import APIRouter, Response

from reconshield import __version__
from reconshield.errors import UserError
from reconshield.jobs.context import load_context
from reconshield.jobs.evidence import load_evidence
from reconshield.report.dialogue import (
    dialogue,
    evidence_lines,
    kept_bytes,
    not_sent_text,
    state_text,
    whole_text,
    worst_first,
)
from reconshield.report.evidence import EndpointEvidence, because
from reconshield.report.lines import dump_lines
from reconshield.store.runs import Run
from reconshield.web.call import Call
from reconshield.web.door import Viewer
from reconshield.web.failures import Missing
from reconshield.web.frame import page
from reconshield.web.heard import heard_of
from reconshield.web.heavy import is_large
from reconshield.web.kept import MOST
from reconshield.web.runs import exact_run

ROUTER = APIRouter(include_in_schema=False)
SHOWN_TURNS = 200
FORMS = ("text", "hex")
FILES = {"text": ("text/plain; charset=utf-8", "txt"), "json": ("application/x-ndjson; charset=utf-8", "jsonl")}


@ROUTER.get("/scans/{run_id}/evidence/{endpoint:path}")
def show_evidence(call: Viewer, run_id: str, endpoint: str, form: str = "text", check: str = "", file: str = "") -> Response:
    """The dialogue as text or in hexadecimal, for one of its findings; or as a file."""
    run = exact_run(call, run_id)
    seen = in_context(call, run, load(call, run.id, endpoint))
    if file:
        return as_file(seen, file)
    findings = worst_first(seen)
    chosen = next((finding for finding in findings if finding.check == check), findings[0] if findings else None)
    lines = list(dialogue(seen, chosen))
    return page(
        call,
        "evidence.html.j2",
        "scans",
        title=f"Evidence {seen.endpoint}",
        run=run,
        seen=seen,
        service=seen.service.service if seen.service else None,
        rated=seen.service,
        large=is_large(run),
        findings=findings,
        chosen=chosen,
        because=because(chosen) if chosen else None,
        refuted=seen.refuted.get(chosen.check) if chosen else None,
        lines=lines[:SHOWN_TURNS],
        more=len(lines) - SHOWN_TURNS,
        form=form if form in FORMS else "text",
        not_sent=not_sent_text(seen),
        meaning=state_text(seen),
        kept=kept_bytes(seen),
        whole=whole_text(seen),
        rules=__version__,
        place=quote(str(seen.endpoint), safe="/:"),
        heard=heard_of(call, seen.endpoint),
        most=MOST,
    )


def load(call: Call, run_id: str, endpoint: str) -> EndpointEvidence:
    try:
        return load_evidence(call.store, run_id, endpoint[:200])
    except UserError as error:
        raise Missing(f"{endpoint[:80]} in run {run_id}") from error


def in_context(call: Call, run: Run, seen: EndpointEvidence) -> EndpointEvidence:
    """With the risk that it has where and when it is, as the table of the run shows it.

    Of a large run that takes too long for one endpoint: there the risk stays that of what answers.
    """
    if seen.service is None or is_large(run):
        return seen
    rated = load_context(call.store, run, call.policy()[0]).rate(seen.service.service)
    return replace(seen, service=rated, findings=tuple(replace(finding, risk=rated.risk) for finding in seen.findings))


def as_file(seen: EndpointEvidence, kind: str) -> Response:
    if kind not in FILES:
        raise Missing(f"file {kind[:20]}")
    media, suffix = FILES[kind]
    text = whole_text(seen) if kind == "text" else "".join(dump_lines(evidence_lines(seen)))
    place = str(seen.endpoint).translate({ord(c): "_" for c in "[]:/"})
    headers = {"content-disposition": f'attachment; filename="{seen.head.id}-{place}.{suffix}"'}
    return Response(text, media_type=media, headers=headers)
