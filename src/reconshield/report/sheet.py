"""CSV for spreadsheets: one row for each measured endpoint that is listed. Cells that a spreadsheet would run are disarmed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reconshield.model import Endpoint, Observation
from reconshield.report.result import RatedService, RunResult
from reconshield.text import iso_time, printable

COLUMNS = (
    "run",
    "ip",
    "name",
    "port",
    "transport",
    "state",
    "reason",
    "service",
    "product",
    "version",
    "tls",
    "confidence",
    "risk_score",
    "rating",
    "findings",
    "checks",
    "advice",
    "at",
)


class Listed(NamedTuple):
    """What a row says: a measurement, what answers there (None: nobody asked), and the checks that found something."""

    seen: Observation
    rated: RatedService | None
    checks: tuple[str, ...]


def csv_text(result: RunResult) -> Iterator[str]:
    """The lines of the CSV file (RFC 4180, CRLF), head first."""
    services = {rated.endpoint: rated for rated in result.services}
    checks: dict[Endpoint, list[str]] = {}
    for finding in result.findings:
        checks.setdefault(finding.endpoint, []).append(finding.check)
    rows = (Listed(o, services.get(o.endpoint), tuple(checks.get(o.endpoint, ()))) for o in result.observations)
    return csv_rows(result.head.id, rows)


def csv_rows(run: str, rows: Iterable[Listed]) -> Iterator[str]:
    """The same from its rows, which may come one by one."""
    yield csv_row(COLUMNS)
    for seen, rated, checks in rows:
        place = seen.endpoint
        yield csv_row(
            (
                run,
                place.ip,
                seen.name or "",
                place.port,
                place.transport,
                seen.state.label,
                seen.reason.label,
                *_service_cells(rated, checks),
                iso_time(seen.at),
            )
        )


def _service_cells(rated: RatedService | None, checks: tuple[str, ...]) -> tuple[object, ...]:
    if rated is None:
        return ("", "", "", "", "", "", "", "", "", "")
    service = rated.service
    return (
        service.service,
        service.product or "",
        service.version or "",
        service.tls.value,
        service.confidence.value,
        rated.risk.score,
        rated.risk.rating,
        len(checks),
        " ".join(checks),
        rated.advice or "",
    )


def csv_row(cells: tuple[object, ...]) -> str:
    """One line of the file."""
    line = io.StringIO()
    csv.writer(line).writerow([_disarm(c) if isinstance(c, str) else c for c in cells])
    return line.getvalue()


def _disarm(cell: str) -> str:
    """Text with control bytes escaped; a quote before anything that a spreadsheet would take for a formula."""
    shown = printable(cell, None)
    return "'" + shown if shown.lstrip()[:1] in {"=", "+", "-", "@", "|", "%"} else shown
