"""What came out of a run, as its page shows it: the answer first, then how far it can be trusted, then the endpoints."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import urlencode

from reconshield.jobs.grants import list_grants
from reconshield.jobs.results import load_result
from reconshield.model import Finding
from reconshield.report.answer import (
    Exposure,
    answer_text,
    coverage_notes,
    coverage_rows,
    find_exposures,
    held_back_groups,
    loopback_text,
)
from reconshield.report.result import RunResult, Standing
from reconshield.store.runs import Run
from reconshield.web.call import Call

ROWS = 100
WORST = 20
RATINGS = ("critical", "high", "medium", "low")
SORTS = ("risk", "endpoint", "service", "findings")
FILTERS = ("q", "rating", "service", "zone", "verdict")


def result_values(call: Call, run: Run) -> dict[str, Any]:
    policy, remark = call.policy()
    result = load_result(call.store, run.id, policy=policy)
    exposures = find_exposures(result)
    query = call.request.query_params
    chosen = {name: query.get(name, "")[:200] for name in FILTERS}
    sort = query.get("sort", "risk")
    found = order([e for e in exposures if fits(e, result, chosen)], sort)
    start = max(0, min(int(text) if (text := query.get("start", "0")).isdecimal() and len(text) < 9 else 0, len(found)))
    findings = sorted((f for e in exposures for f in e.findings), key=worst_first)
    return {
        "result": result,
        "summary": result.summary,
        "sentence": answer_text(result, exposures),
        "coverage": coverage_rows(result),
        "notes": coverage_notes(result),
        "held_groups": held_back_groups(result),
        "loopback": loopback_text(result) if result.own_loopback else "",
        "grants": [grant for grant in list_grants(call.store) if grant.id in run.grants],
        "findings": findings[:WORST],
        "findings_total": len(findings),
        "every": len(exposures),
        "found": len(found),
        "rows": [(e, standing_of(result, e)) for e in found[start : start + ROWS]],
        "start": start,
        "size": ROWS,
        "chosen": chosen,
        "sort": sort if sort in SORTS else "risk",
        "facets": facets_of(exposures, result),
        "link": lambda **changes: link(chosen | {"sort": sort if sort != "risk" else ""}, changes),
        "remark": remark,
    }


def link(kept: dict[str, str], changes: dict[str, Any]) -> str:
    """The address of this page with some filters changed; what is empty is left out."""
    wanted = {name: value for name, value in (kept | changes).items() if value not in {"", None, 0}}
    return f"?{urlencode(wanted)}#endpoints"


def worst_first(finding: Finding) -> tuple[int, int]:
    return -finding.severity.rank, -(finding.risk.score if finding.risk else 0)


def standing_of(result: RunResult, exposure: Exposure) -> Standing:
    return result.standing.get(exposure.endpoint, Standing())


def fits(exposure: Exposure, result: RunResult, chosen: dict[str, str]) -> bool:
    """Whether an endpoint is what the filters ask for; every word of the text must stand in its place, names or product."""
    service, standing = exposure.rated.service, standing_of(result, exposure)
    if chosen["rating"] not in {"", exposure.rated.risk.rating} or chosen["service"] not in {"", service.service}:
        return False
    if chosen["zone"] not in {"", standing.zone or "none"} or chosen["verdict"] not in {"", standing.verdict or "no policy"}:
        return False
    parts = (str(exposure.endpoint), service.service, service.product, service.version, service.name, standing.owner)
    words = " ".join(part for part in (*parts, *standing.assets, *(f.check for f in exposure.findings)) if part).lower()
    return all(word in words for word in chosen["q"].lower().split())


def order(exposures: list[Exposure], sort: str) -> list[Exposure]:
    """The worst first, or as a column asks for it; equals stay worst first."""
    keys = {
        "endpoint": lambda e: (":" in e.endpoint.ip, e.endpoint),
        "service": lambda e: e.rated.service.service,
        "findings": lambda e: -len(e.findings),
    }
    return sorted(exposures, key=keys[sort]) if sort in keys else exposures


def facets_of(exposures: list[Exposure], result: RunResult) -> dict[str, list[tuple[str, int]]]:
    standings = [standing_of(result, e) for e in exposures]
    ratings = Counter(e.rated.risk.rating for e in exposures)
    return {
        "rating": [(rating, ratings[rating]) for rating in RATINGS if ratings[rating]],
        "verdict": Counter(s.verdict or "no policy" for s in standings).most_common(10),
        "zone": Counter(s.zone or "none" for s in standings).most_common(12),
        "service": Counter(e.rated.service.service for e in exposures).most_common(12),
    }
