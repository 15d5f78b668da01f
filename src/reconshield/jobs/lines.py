"""The JSON Lines of a running scan: each event becomes its lines as soon as it happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from reconshield.jobs.scan import Event, Finished, Identified, Measured, Started, listed_observations
from reconshield.report.lines import (
    doubt_line,
    finding_line,
    held_back_line,
    observation_line,
    run_line,
    service_line,
    summary_line,
)

if TYPE_CHECKING:
    from reconshield.report.line_types import Line


def event_lines(event: Event, run: str, names: Mapping[str, str], *, all_states: bool) -> Iterator[Line]:
    """The lines of one event of a run; progress has none. `names` are those that targets were given by, by address."""
    if isinstance(event, Started):
        yield run_line(event.head)
    elif isinstance(event, Measured):
        for observation in listed_observations(event.batch, names, all_states=all_states):
            yield observation_line(run, observation)
    elif isinstance(event, Identified):
        if event.held:
            yield held_back_line(run, event.held)
        yield service_line(run, event.rated)
        yield from (finding_line(run, finding) for finding in event.findings)
    elif isinstance(event, Finished):
        yield from (doubt_line(run, doubt) for doubt in event.summary.doubts)
        yield summary_line(run, event.summary)
