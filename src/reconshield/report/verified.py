"""Endpoints that should be closed, and what the measurement after the rules saw, as rows and lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconshield.model import Endpoint, Observation
from reconshield.report.line_types import VerifiedLine
from reconshield.report.rows import Row, Span, wrap
from reconshield.text import iso_time, local_time, plural, printable

Verified = tuple[Endpoint, str, str, Observation | None, bool]


def verified_rows(rows: Iterable[Verified], width: int) -> Iterator[Row]:
    """What is still open or was not looked at first, then what is closed."""
    each = sorted(rows, key=lambda row: (row[4], row[0]))
    for endpoint, service, before, after, closed in each:
        mark, colour = ("✓ ", "") if closed else ("? ", "dim") if after is None else ("✗ ", "high")
        what = f"{endpoint}  {printable(service, 30)}  {before}"
        if after is None:
            text = f"{what}, not measured since"
        else:
            text = f"{what}, now {after.state.label} ({after.reason.label}), measured {local_time(after.at)}"
        lines = wrap(mark, text, width)
        first = next(lines)
        yield [Span(first[0].text, colour), *first[1:]]
        yield from lines
    done = sum(row[4] for row in each)
    yield [Span(f"closed: {done} of {plural(len(each), 'endpoint', 'endpoints')}, each by a measurement")]


def verified_line(endpoint: Endpoint, service: str, before: str, after: Observation | None, closed: bool) -> VerifiedLine:
    return {
        "v": 1,
        "type": "verified",
        "ip": endpoint.ip,
        "port": endpoint.port,
        "transport": "udp" if endpoint.transport == "udp" else "tcp",
        "service": service,
        "before": before,
        "after": after.state.label if after else None,
        "reason": after.reason.label if after else None,
        "at": iso_time(after.at) if after else None,
        "closed": closed,
    }
