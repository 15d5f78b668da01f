"""One row for each finding, for a ticket system: a stable id, what is wrong, what to do, when it is done.

The id is the finding's own (vantage, endpoint and check), so the same trouble in the next run is the same ticket, and a ticket
whose id is gone from a run that measured its endpoint can be closed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from reconshield.model import Finding
from reconshield.report.result import RunResult, Standing
from reconshield.report.sheet import csv_row
from reconshield.text import iso_time, json_text

COLUMNS = (
    "id",
    "summary",
    "severity",
    "confidence",
    "risk_score",
    "rating",
    "ip",
    "name",
    "port",
    "transport",
    "zone",
    "assets",
    "owner",
    "policy",
    "open_since",
    "check",
    "remedy",
    "done_when",
    "evidence",
    "attack",
    "references",
    "vantage",
    "run",
    "measured",
)


def tickets_csv(result: RunResult) -> Iterator[str]:
    """RFC 4180, head first; cells that a spreadsheet would run are disarmed."""
    yield csv_row(COLUMNS)
    for ticket in tickets(result):
        cells = {name: " ".join(value) if isinstance(value, list) else value for name, value in ticket.items()}
        cells["evidence"] = json.dumps(ticket["evidence"], ensure_ascii=False)
        yield csv_row(tuple("" if cells[name] is None else cells[name] for name in COLUMNS))


def tickets_json(result: RunResult) -> str:
    """A list of objects with the same fields; `evidence` is an object."""
    return json_text(list(tickets(result)), indent=1) + "\n"


def tickets(result: RunResult) -> Iterable[dict[str, Any]]:
    """The worst first."""
    for finding in sorted(result.findings, key=worst_first):
        place, standing = finding.endpoint, result.standing.get(finding.endpoint, Standing())
        again = f"reconshield scan {place.ip} -p {'U:' if place.transport == 'udp' else ''}{place.port}"
        yield {
            "id": finding.id,
            "summary": f"{finding.title} on {finding.name or place.ip} ({place})",
            "severity": finding.severity.value,
            "confidence": finding.confidence.value,
            "risk_score": finding.risk.score if finding.risk else None,
            "rating": finding.risk.rating if finding.risk else None,
            "ip": place.ip,
            "name": finding.name,
            "port": place.port,
            "transport": place.transport,
            "zone": standing.zone,
            "assets": list(standing.assets),
            "owner": standing.owner,
            "policy": standing.verdict,
            "open_since": iso_time(standing.since) if standing.since is not None else None,
            "check": finding.check,
            "remedy": finding.remedy,
            "done_when": f"{again} no longer finds it",
            "evidence": dict(finding.evidence),
            "attack": list(finding.attack),
            "references": list(finding.references),
            "vantage": result.head.vantage,
            "run": result.head.id,
            "measured": iso_time(result.head.started),
        }


def worst_first(finding: Finding) -> tuple[int, int, str]:
    return -(finding.risk.score if finding.risk else 0), -finding.severity.rank, str(finding.endpoint)
