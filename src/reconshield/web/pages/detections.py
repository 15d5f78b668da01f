"""Is something talking that should not? Flow logs and captures are uploaded, judged, and shown with their evidence."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from reconshield.errors import UserError
from reconshield.report.detected import PICTURED, DetectionReport
from reconshield.report.detection_formats import FILES, render
from reconshield.report.html import detections_text
from reconshield.report.html.detections import page_values
from reconshield.web.call import Call
from reconshield.web.door import Analyst, Viewer
from reconshield.web.failures import Missing
from reconshield.web.frame import page
from reconshield.web.heavy import Busy, turn
from reconshield.web.traffic import judge
from reconshield.web.uploads import saved

ROUTER = APIRouter(include_in_schema=False)


@ROUTER.get("/detections")
def show(call: Viewer) -> Response:
    return overview(call, None)


@ROUTER.post("/detections")
def upload(call: Analyst) -> Response:
    """Judge what was uploaded; the files are gone when this returns, whatever came of them."""
    try:
        with saved(call, "flows", "indicators") as (flows, feeds), turn("detections"):
            report = judge(call, flows, feeds, pictured=PICTURED)
    except Busy:
        raise
    except UserError as error:
        return overview(call, error)
    return RedirectResponse(f"/detections/{call.site.reports.keep(call.who.workspace, report)}", 303)


@ROUTER.get("/detections/{name}")
def show_report(call: Viewer, name: str) -> Response:
    report = known(call, name)
    values = page_values(report) | {"title": f"Detections in {page_values(report)['title']}", "name": name, "formats": EXPORTS}
    return page(call, "detections_result.html.j2", "detections", **{k: v for k, v in values.items() if k not in FRAME})


EXPORTS = tuple(name for name in FILES if name != "html")
FRAME = ("version", "css", "css_digest")
"""Of the report's own frame; the app has its own."""


@ROUTER.get("/detections/{name}/report.html")
def download(call: Viewer, name: str) -> Response:
    """The same as one page that needs nothing else, to hand on."""
    headers = {"content-disposition": 'attachment; filename="detections.html"'}
    return StreamingResponse(detections_text(known(call, name)), media_type="text/html; charset=utf-8", headers=headers)


@ROUTER.get("/detections/{name}/as/{format_}")
def download_as(call: Viewer, name: str, format_: str) -> Response:
    """The same for other programs: JSON Lines, STIX, OCSF, ECS, CEF, MISP."""
    report = known(call, name)
    if format_ not in FILES:
        raise Missing(f"format {format_[:20]}")
    ending, media = FILES[format_]
    headers = {"content-disposition": f'attachment; filename="detections.{ending}"'}
    return StreamingResponse(render(report, format_, with_inputs=True), media_type=media, headers=headers)


def known(call: Call, name: str) -> DetectionReport:
    report = call.site.reports.find(call.who.workspace, name)
    if report is None:
        raise Missing(f"report {name[:20]}")
    return report


def overview(call: Call, error: UserError | None) -> Response:
    policy, remark = call.policy()
    return page(
        call,
        "detections_upload.html.j2",
        "detections",
        422 if error else 200,
        title="Detections",
        error=error,
        kept=call.site.reports.listed(call.who.workspace),
        zones=policy.zones if policy else (),
        remark=remark,
    )
