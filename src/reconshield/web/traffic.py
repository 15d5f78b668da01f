"""Uploaded traffic, judged as the visitor's workspace sees it: its policy, its scans, the indicators that came with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reconshield.detect.indicators import Indicators
from reconshield.detect.scene import Setting
from reconshield.detection import Detection, Talk
from reconshield.errors import UserError
from reconshield.jobs.detect import detect_files, make_setting
from reconshield.jobs.detect_past import Past, load_past
from reconshield.jobs.detect_report import make_report
from reconshield.jobs.indicators import read_indicators
from reconshield.jobs.times import parse_duration
from reconshield.policy import Policy
from reconshield.report.detected import DetectionReport
from reconshield.web.call import Call
from reconshield.web.uploads import plain_text


def judge(
    call: Call, flows: Sequence[Path], feeds: Sequence[Path], *, pictured: int = 0, format_: str = "auto"
) -> DetectionReport:
    """What speaks against the conversations in these files. A field `since` of the form limits them in time."""
    require_files(flows)
    policy, _ = call.policy()
    read, indicators = read_indicators(feeds, call.now)
    setting, past = setting_of(call, policy, indicators)
    found = detect_files(
        flows,
        setting,
        since=begin_of(call),
        format_=format_,
        told=lambda _: None,
        pictured=pictured,
        known=past.exposures,
    )
    found = replace(found, matches=past.join(found.matches))
    named = make_report(found, read, call.site.policy_path(call.who.workspace).name if policy else "", call.now)
    return without_paths(named, str(flows[0].parent.parent))


def setting_of(call: Call, policy: Policy | None, indicators: Indicators) -> tuple[Setting, Past]:
    """What flows are held against."""
    past = load_past(call.settings, policy, call.now)
    return past.put_into(make_setting(policy, call.now, indicators)), past


def begin_of(call: Call) -> float | None:
    """From when on flows count; None for all."""
    since = call.text("since", 10)
    return call.now - parse_duration(since, "since") if since else None


def require_files(flows: Sequence[Path]) -> None:
    if not flows:
        raise UserError("no file was chosen", where="flows", hint="choose a flow log or a capture")


def without_paths(report: DetectionReport, folder: str) -> DetectionReport:
    """The report with the files' own names, not with those of the folder that they were read from."""

    def told(detection: Detection) -> Detection:
        return replace(detection, sample=tuple(plain_text(text, folder) for text in detection.sample))

    def heard(talk: Talk) -> Talk:
        files = tuple(plain_text(file, folder) for file in talk.traffic.files)
        return replace(talk, traffic=replace(talk.traffic, files=files))

    return replace(
        report,
        detections=tuple(map(told, report.detections)),
        own=tuple(map(told, report.own)),
        allowed=tuple(map(told, report.allowed)),
        inputs=tuple(replace(note, file=plain_text(note.file, folder)) for note in report.inputs),
        feeds=tuple(replace(note, file=plain_text(note.file, folder)) for note in report.feeds),
        talk={place: heard(talk) for place, talk in report.talk.items()},
    )
