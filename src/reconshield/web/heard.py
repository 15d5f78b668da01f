"""What traffic that was uploaded says of an endpoint: who talks to it, and which detections are about it."""

from __future__ import annotations

from dataclasses import dataclass

from reconshield.detection import Detection, Talk
from reconshield.model import Endpoint
from reconshield.report.detected import DetectionReport
from reconshield.report.exposures import talk_brief
from reconshield.web.call import Call

SHOWN = 3
"""Detections of one report that are shown with an endpoint."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one report says of an endpoint. `name` is that under which the report is kept; `talk` is None where its flows do not
    show the host, or where no scan had found the endpoint open before they were read; of the detections of traffic to it there
    are the worst few, and how many `more` there are.
    """

    name: str
    report: DetectionReport
    talk: Talk | None
    detections: tuple[Detection, ...]
    more: int


def heard_of(call: Call, endpoint: Endpoint) -> list[Heard]:
    """What each report of the workspace that is still kept says of it, the newest first."""
    place = place_of(endpoint)
    heard = []
    for name, report in call.site.reports.listed(call.who.workspace):
        about = [each for each in report.detections if (each.dst, each.port, each.transport) == place]
        heard.append(Heard(name, report, report.talk.get(place), tuple(about[:SHOWN]), max(len(about) - SHOWN, 0)))
    return heard


def talk_of(call: Call, endpoint: Endpoint) -> str:
    """Who talks to it in a few words, from the newest report that knows; empty where none does."""
    for _, report in call.site.reports.listed(call.who.workspace):
        if talk := report.talk.get(place_of(endpoint)):
            return talk_brief(talk)
    return ""


def place_of(endpoint: Endpoint) -> tuple[str, int, str]:
    return endpoint.ip, endpoint.port, endpoint.transport
