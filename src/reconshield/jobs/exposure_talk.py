"""What scans know to be open, joined with what flow logs know of who talks to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from reconshield.detect.scene import OwnScan
from reconshield.detect.talk import talk_in
from reconshield.detect.tally import Tally
from reconshield.detection import Talk
from reconshield.jobs.detect import Input, read_files
from reconshield.model import Endpoint
from reconshield.report.exposures import Exposure
from reconshield.report.result import RunResult


def add_talk(
    exposures: Iterable[Exposure],
    files: Sequence[Path],
    scans: Sequence[OwnScan],
    *,
    since: float | None = None,
    told: Callable[[Input], None],
) -> list[Exposure]:
    """The exposures, each with who talks to it. Nothing readable in any file is a `UserError`."""
    listed = list(exposures)
    talk = talk_with((exposure.endpoint for exposure in listed), files, scans, since=since, told=told)
    return [replace(exposure, talk=talk[exposure.endpoint]) for exposure in listed]


def add_talk_to_run(
    result: RunResult, files: Sequence[Path], scans: Sequence[OwnScan], *, told: Callable[[Input], None]
) -> RunResult:
    """A run with who talks to each open endpoint, for its page."""
    talk = talk_with((service.endpoint for service in result.services), files, scans, told=told)
    return replace(result, background=replace(result.background, talk=talk))


def talk_with(
    endpoints: Iterable[Endpoint],
    files: Sequence[Path],
    scans: Sequence[OwnScan],
    *,
    since: float | None = None,
    told: Callable[[Input], None],
) -> dict[Endpoint, Talk]:
    """Who talks to each endpoint, as the flows of all files show it."""
    places = {(endpoint.ip, endpoint.port, endpoint.transport): endpoint for endpoint in endpoints}
    with Tally() as tally:
        read_files(tally, files, since=since, told=told, hear=lambda _: None)
        found = talk_in(tally, places, scans, tuple(map(str, files)))
    return {places[place]: talk for place, talk in found.items()}
