"""CSV for spreadsheets: one row for each measured endpoint that is listed. Cells that a spreadsheet would run are disarmed."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator

from reconshield.model import Endpoint
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


def csv_text(result: RunResult) -> Iterator[str]:
    """The lines of the CSV file (RFC 4180, CRLF), head first."""
    yield csv_row(COLUMNS)
    services = {rated.endpoint: rated for rated in result.services}
    checks: dict[Endpoint, list[str]] = {}
    for finding in result.findings:
        checks.setdefault(finding.endpoint, []).append(finding.check)
    counts = Counter(f.endpoint for f in result.findings)
    for seen in result.observations:
        place = seen.endpoint
        about = _service_cells(services.get(place), counts[place], checks.get(place, []))
        yield csv_row(
            (
                result.head.id,
                place.ip,
                seen.name or "",
                place.port,
                place.transport,
                seen.state.label,
                seen.reason.label,
                *about,
                iso_time(seen.at),
            )
        )


def _service_cells(rated: RatedService | None, findings: int, checks: list[str]) -> tuple[object, ...]:
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
        findings,
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
