"""What scans know to be open, joined with what flow logs know of who talks to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from reconshield.detect.scene import OwnScan
from reconshield.detect.talk import find_talk
from reconshield.detect.tally import Tally
from reconshield.jobs.detect import Input, read_files
from reconshield.report.exposures import Exposure


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
    with Tally() as tally:
        read_files(tally, files, since=since, told=told, hear=lambda _: None)
        places = {(e.endpoint.ip, e.endpoint.port, e.endpoint.transport) for e in listed}
        talk = find_talk(tally.conversations, places, scans, tuple(map(str, files)))
    return [replace(e, talk=talk[e.endpoint.ip, e.endpoint.port, e.endpoint.transport]) for e in listed]
