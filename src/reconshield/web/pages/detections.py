"""Is something talking that should not? Flow logs and captures are uploaded, judged, and shown with their evidence."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from starlette.datastructures import UploadFile

from reconshield.detection import Detection
from reconshield.errors import UserError
from reconshield.jobs.detect import detect_files, make_setting
from reconshield.jobs.detect_past import load_past
from reconshield.jobs.detect_report import make_report
from reconshield.jobs.indicators import read_indicators
from reconshield.jobs.times import parse_duration
from reconshield.report.detected import DetectionReport
from reconshield.report.detection_formats import FILES, render
from reconshield.report.html import detections_text
from reconshield.report.html.detections import page_values
from reconshield.web.call import Call
from reconshield.web.door import Analyst, Viewer
from reconshield.web.failures import Missing
from reconshield.web.frame import page

ROUTER = APIRouter(include_in_schema=False)
PICTURED = 50
"""Detections that the page shows with a picture."""


@ROUTER.get("/detections")
def show(call: Viewer) -> Response:
    return overview(call, None)


@ROUTER.post("/detections")
def upload(call: Analyst) -> Response:
    """Judge what was uploaded; the files are gone when this returns, whatever came of them."""
    try:
        with saved(call) as (flows, feeds):
            report = judge(call, flows, feeds)
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


@contextmanager
def saved(call: Call) -> Iterator[tuple[list[Path], list[Path]]]:
    """The uploaded files in a folder of their own, under names that say nothing of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        flows = [put(file, Path(folder, "flows")) for file in call.uploads.get("flows", ()) if file.filename]
        feeds = [put(file, Path(folder, "indicators")) for file in call.uploads.get("indicators", ()) if file.filename]
        yield flows, feeds


def put(file: UploadFile, folder: Path) -> Path:
    """Save one file; of its name only letters, digits and `._-` stay."""
    folder.mkdir(exist_ok=True)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", file.filename or "")[-80:].lstrip(".") or "upload"
    path = folder / plain
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{number}-{plain}"
    with path.open("wb") as target:
        shutil.copyfileobj(file.file, target)
    return path


def judge(call: Call, flows: list[Path], feeds: list[Path]) -> DetectionReport:
    if not flows:
        raise UserError("no file was chosen", where="flows", hint="choose a flow log or a capture")
    policy, _ = call.policy()
    read, indicators = read_indicators(feeds, call.now)
    past = load_past(call.settings, policy, call.now)
    since = call.text("since", 10)
    found = detect_files(
        flows,
        past.put_into(make_setting(policy, call.now, indicators)),
        since=call.now - parse_duration(since, "since") if since else None,
        told=lambda _: None,
        pictured=PICTURED,
    )
    found = replace(found, matches=past.join(found.matches))
    named = make_report(found, read, call.site.policy_path(call.who.workspace).name if policy else "", call.now)
    return without_paths(named, str(flows[0].parent) + "/", str(flows[0].parent.parent / "indicators") + "/")


def without_paths(report: DetectionReport, *folders: str) -> DetectionReport:
    """The report with the files' own names, not with those of the folder that they were read from."""

    def plain(text: str) -> str:
        for folder in folders:
            text = text.replace(folder, "")
        return text

    def told(detection: Detection) -> Detection:
        return replace(detection, sample=tuple(map(plain, detection.sample)))

    return replace(
        report,
        detections=tuple(map(told, report.detections)),
        own=tuple(map(told, report.own)),
        allowed=tuple(map(told, report.allowed)),
        inputs=tuple(replace(note, file=plain(note.file)) for note in report.inputs),
        feeds=tuple(replace(note, file=plain(note.file)) for note in report.feeds),
    )


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
