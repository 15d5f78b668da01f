"""Is something talking that should not? Flow logs and captures are uploaded, judged and gone; what came of them is kept."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from fastapi import Query, Response

from reconshield.errors import UserError
from reconshield.jobs.detect_policy import learn_files, replay_files
from reconshield.jobs.indicators import read_indicators
from reconshield.jobs.policy_edit import examine_text
from reconshield.policy import refuse_errors
from reconshield.report.detected import DetectionReport
from reconshield.report.detection_formats import FILES, render
from reconshield.report.detections import detection_id, detection_line, feed_line, input_line
from reconshield.report.formats import Format
from reconshield.report.line_types import DetectionLine, IndicatorsLine, InputLine, ReplayedLine
from reconshield.report.replayed import replayed_line
from reconshield.text import iso_time
from reconshield.web.api.paging import Page, Paged
from reconshield.web.api.reports import attachment, policy_of
from reconshield.web.api.router import PREFIX, Api, Made, media, once, takes_files
from reconshield.web.call import Call
from reconshield.web.door import ApiAnalyst, ApiViewer
from reconshield.web.failures import Missing
from reconshield.web.heavy import turn
from reconshield.web.traffic import begin_of, judge, require_files, setting_of
from reconshield.web.uploads import saved

ROUTER = Api("Detections")
ExportName = Literal["table", "jsonl", "html", "stix", "ocsf", "ecs", "cef", "misp"]
FLOWS = "Files: flow logs and captures."
FEEDS = "Files of indicators: STIX 2.1, MISP, CSV, a list."
SINCE = "Only flows of that time before now, such as 24h."
FORMAT = "The format of the flow logs; auto if not said."


class DetectedPart(TypedDict):
    """What came of some files: how many conversations they have, and how many detections."""

    id: str
    made: str
    inputs: list[InputLine]
    indicators: list[IndicatorsLine]
    conversations: int
    noted: int
    left_out: int
    detections: int
    own: int
    allowed: int


@ROUTER.post("/detections", status_code=201)
@once
@takes_files(flows=FLOWS, indicators=FEEDS, since=SINCE, format=FORMAT)
def detect_traffic(call: ApiAnalyst) -> Made[DetectedPart]:
    """Judge the traffic in flow logs and captures. The files are gone when this returns."""
    with saved(call, "flows", "indicators") as (flows, feeds), turn("detections"):
        report = judge(call, flows, feeds, format_=call.text("format", 32) or "auto", pictured=50)
    name = call.site.reports.keep(call.who.workspace, report)
    return Made(detected_part(name, report), f"{PREFIX}/detections/{name}")


@ROUTER.get("/detections")
def list_detected(call: ApiViewer) -> list[DetectedPart]:
    """The last few uploads of the workspace that this process remembers, the newest first."""
    return [detected_part(name, report) for name, report in call.site.reports.listed(call.who.workspace)]


@ROUTER.get("/detections/{id}")
def list_detections(
    call: ApiViewer,
    id: str,  # noqa: A002 - the name of the field
    page: Paged,
    allowed: Annotated[bool, Query(description="Those that the policy allows, and our own scans.")] = False,
) -> Page[DetectionLine]:
    """The detections of an upload, the worst first."""
    report = report_of(call, id)
    chosen = (*report.own, *report.allowed) if allowed else report.detections
    rows = sorted(chosen, key=lambda each: (-each.grade.score, detection_id(each)))
    own = len(report.own) if allowed else 0
    mine = {detection_id(each) for each in report.own} if own else set()
    return page.cut(
        rows,
        lambda each: (-each.grade.score, detection_id(each)),
        lambda each: detection_line(each, allowed=allowed and detection_id(each) not in mine),
    )


@ROUTER.get("/detections/{id}/report")
@media(
    {
        "text/plain": "The table of the terminal, or CEF.",
        "application/x-ndjson": "JSON Lines, OCSF, ECS.",
        "application/json": "A MISP event.",
        "application/stix+json": "A STIX bundle.",
        "text/html": "One page to pass on.",
    }
)
def read_detections_report(
    call: ApiViewer,
    id: str,  # noqa: A002 - the name of the field
    format: Annotated[ExportName, Query()] = "jsonl",  # noqa: A002 - the name of the field
) -> Response:
    """All of it in a format for people or for other tools."""
    suffix, kind = FILES.get(format, ("txt", "text/plain"))
    pieces = render(report_of(call, id), format, with_inputs=True)
    return attachment(pieces, Format(format, kind.partition(";")[0], suffix, ""), "reconshield-detections")


@ROUTER.post("/detections/learn")
@media({"application/toml": "Entries for the policy; reason and owner are blank."})
@takes_files(flows=FLOWS, indicators=FEEDS, zone="The zone of the policy that is learned.", since=SINCE, format=FORMAT)
def learn_traffic(call: ApiAnalyst) -> Response:
    """Propose what a zone may talk, from a quiet period."""
    with saved(call, "flows", "indicators") as (flows, feeds), turn("detections"):
        require_files(flows)
        _, indicators = read_indicators(feeds, call.now)
        setting, _ = setting_of(call, policy_of(call), indicators)
        options = {"since": begin_of(call), "format_": call.text("format", 32) or "auto"}
        text = learn_files(flows, setting, call.text("zone", 64), **options, told=lambda _: None)  # type: ignore[arg-type]
    return Response(text, media_type="application/toml")


@ROUTER.post("/detections/replay")
@takes_files(flows=FLOWS, indicators=FEEDS, policy="The text of the policy that is tried.", since=SINCE, format=FORMAT)
def replay_traffic(call: ApiAnalyst) -> list[ReplayedLine]:
    """Which detections another policy makes appear or vanish, before the change is saved."""
    text = call.text("policy", 1_000_000)
    if not text:
        raise UserError("the policy that is tried is missing", where="policy", hint="send its text in the field `policy`")
    seen = examine_text(call.store, text, call.site.policy_path(call.who.workspace), call.now)
    refuse_errors(seen.problems)
    with saved(call, "flows", "indicators") as (flows, feeds), turn("detections"):
        require_files(flows)
        _, indicators = read_indicators(feeds, call.now)
        before, _ = setting_of(call, call.policy()[0], indicators)
        after, _ = setting_of(call, seen.policy, indicators)
        options = {"since": begin_of(call), "format_": call.text("format", 32) or "auto"}
        found = replay_files(flows, before, after, **options, told=lambda _: None)  # type: ignore[arg-type]
    return [replayed_line(each) for each in found]


def report_of(call: Call, name: str) -> DetectionReport:
    report = call.site.reports.find(call.who.workspace, name)
    if report is None:
        raise Missing("detections")
    return report


def detected_part(name: str, report: DetectionReport) -> DetectedPart:
    return {
        "id": name,
        "made": iso_time(report.made),
        "inputs": [
            input_line(
                each.file, each.format, each.records, each.bad, names=each.names, listeners=each.listeners, notes=each.notes
            )
            for each in report.inputs
        ],
        "indicators": [
            feed_line(each.file, each.format, each.used, each.expired, each.unused, each.bad) for each in report.feeds
        ],
        "conversations": report.conversations,
        "noted": report.noted,
        "left_out": report.left_out,
        "detections": len(report.detections),
        "own": len(report.own),
        "allowed": len(report.allowed),
    }
