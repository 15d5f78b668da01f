"""RunResult -> one HTML page, in pieces as the template makes them.

Every value that a template prints passes `make_plain` (control, format and bidirectional characters become visible escapes)
and then the autoescape of Jinja; there is no way around it but `Markup`, which only this module and macros make. The page's own
policy allows no script, no frame, no request, and no style but the one whose digest stands in it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reconshield import __version__
from reconshield.knowledge.risk import MAXIMA
from reconshield.model import Finding, Risk, Severity
from reconshield.report import answer
from reconshield.report.answer import RATINGS, Exposure, find_exposures
from reconshield.report.exposures import talk_brief, talk_text
from reconshield.report.html.charts import chart_counts, chart_factors, has_lowering
from reconshield.report.result import RunResult
from reconshield.text import bytes_text, count, duration, iso_time, local_time, plural, printable, size

DETAILED = 100
"""So many of the worst endpoints are shown with their arithmetic; the findings of the others are listed by kind."""
LISTED = 200
"""So many rows of endpoints stand open; the others are folded in groups of `GROUP`, which keeps a huge page quick."""
GROUP = 1000


class Shown(str):
    """Text that was made harmless already, so that its back-slashes are not escaped twice. It still is autoescaped."""

    __slots__ = ()


def html_text(result: RunResult, *, with_evidence: bool = False) -> Iterator[str]:
    """The page of a run. What endpoints answered is printed only `with_evidence`; else its length stands there."""
    stream = environment().get_template("report.html.j2").stream(**page_values(result, with_evidence=with_evidence))
    stream.enable_buffering(200)
    yield from stream


def style_sheet() -> str:
    """The one style sheet: tokens and components of report, app and site."""
    return files("reconshield.report.html").joinpath("reconshield.css").read_text(encoding="utf-8")


def page_values(result: RunResult, *, with_evidence: bool) -> dict[str, Any]:
    """What the templates print."""
    exposures = find_exposures(result)
    worth = [e for e in exposures if e.findings or e.rated.risk.rating != "low"]
    detailed, further = worth[:DETAILED], [e for e in worth[DETAILED:] if e.findings]
    findings = [f for e in exposures for f in e.findings]
    return {
        "run": result,
        "answer": answer,
        "sentence": answer.answer_text(result, exposures),
        "exposures": exposures,
        "listed": exposures[:LISTED],
        "folded": [exposures[at : at + GROUP] for at in range(LISTED, len(exposures), GROUP)],
        "anchors": {e.endpoint: f"e-{number}" for number, e in enumerate(detailed, 1)},
        "detailed": detailed,
        "further": group_findings(further),
        "further_count": len(further),
        "worth_count": len(worth),
        "lowering": has_lowering(e.rated.risk for e in detailed),
        "ratings": (ratings := rating_rows(exposures)),
        "rating_numbers": {rating: row["endpoints"] for rating, row in ratings.items()},
        "severities": severity_rows(findings),
        "sources": listed_sources(result, detailed, further),
        "with_evidence": with_evidence,
        "talk_text": talk_text,
        "talk_brief": talk_brief,
        **frame_values(),
    }


def frame_values() -> dict[str, Any]:
    """What the frame of every page prints: the style, its digest, the version."""
    css = style_sheet()
    return {
        "version": __version__,
        "css": Markup(css),  # noqa: S704 - our own file, no foreign text in it
        "css_digest": base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
    }


@cache
def environment() -> Environment:
    """The templates, compiled once, with every printed value made plain and escaped."""
    made = Environment(
        loader=PackageLoader("reconshield.report.html"),
        autoescape=True,
        finalize=make_plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = {
        "count": count,
        "duration": duration,
        "plural": plural,
        "size": size,
        "local_time": local_time,
        "iso_time": iso_time,
    }
    made.filters |= words | {
        "cut": cut_text,
        "bytes": show_bytes,
        "prose": mark_code,
        "signed": sign_points,
        "has_context": has_context,
    }
    made.globals |= {"chart_factors": chart_factors, "chart_counts": chart_counts}
    return made


def make_plain(value: object) -> object:
    """What a template prints, with control characters made visible."""
    if not isinstance(value, str) or isinstance(value, (Markup, Shown)):
        return value
    if value.isascii() and value.isprintable() and "\\" not in value:
        return value
    return printable(value, None)


def cut_text(text: str, limit: int = 60) -> str:
    """Text from the network, cut with `…`."""
    return Shown(printable(text, limit))


def show_bytes(data: bytes) -> str:
    """Bytes as all of ReconShield writes them."""
    return Shown(bytes_text(data))


def sign_points(points: int, name: str) -> str:
    """The points of a base factor as they are, of a contextual one with their sign."""
    return str(points) if name in MAXIMA else f"{'−' if points < 0 else '+'} {abs(points)}"


def has_context(risk: Risk) -> bool:
    """Whether the place of an endpoint changed its base rating."""
    return any(factor.name not in MAXIMA for factor in risk.factors)


def mark_code(text: str) -> Markup:
    """A sentence whose parts between back-ticks are commands or settings."""
    parts = [escape(printable(part, None)) for part in text.split("`")]
    if len(parts) % 2 == 0:
        return escape(printable(text, None))
    return Markup("").join(Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts))


def rating_rows(exposures: list[Exposure]) -> dict[str, dict[str, int]]:
    """For each rating the number of endpoints, hosts, and endpoints with a finding."""
    rows = {rating: {"endpoints": 0, "hosts": 0, "with_findings": 0} for rating in RATINGS}
    hosts: dict[str, set[str]] = {rating: set() for rating in RATINGS}
    for exposure in exposures:
        row = rows[exposure.rated.risk.rating]
        row["endpoints"] += 1
        row["with_findings"] += bool(exposure.findings)
        hosts[exposure.rated.risk.rating].add(exposure.host)
    for rating, row in rows.items():
        row["hosts"] = len(hosts[rating])
    return rows


def severity_rows(findings: list[Finding]) -> dict[str, int]:
    """The number of findings of each severity, the worst first."""
    rows = {severity.value: 0 for severity in reversed(Severity)}
    for finding in findings:
        rows[finding.severity.value] += 1
    return rows


def group_findings(exposures: list[Exposure]) -> list[tuple[Finding, list[Exposure]]]:
    """The findings of many endpoints by kind: one of the kind, and where it was found; the worst kind first."""
    kinds: dict[tuple[str, str], tuple[Finding, list[Exposure]]] = {}
    for exposure in exposures:
        for finding in exposure.findings:
            kinds.setdefault((finding.check, finding.title), (finding, []))[1].append(exposure)
    return sorted(kinds.values(), key=lambda kind: (-kind[0].severity.rank, -len(kind[1]), kind[0].check))


def listed_sources(result: RunResult, detailed: list[Exposure], further: list[Exposure]) -> list[str]:
    """The ids of all sources that the page names and that are explained at its end."""
    named = {factor.source for e in detailed for factor in e.rated.risk.factors}
    named |= {source for e in (*detailed, *further) for f in e.findings for source in f.references}
    named |= {held.source for held in result.held_back}
    return sorted(named & result.background.sources.keys())
