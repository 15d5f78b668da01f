"""What came out of a run, as its page shows it: the answer first, then how far it can be trusted, then the endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from reconshield.jobs.grants import list_grants
from reconshield.jobs.results import held_of, load_head, load_result, load_summary
from reconshield.model import Endpoint, Finding, Severity
from reconshield.policy import Policy
from reconshield.report.answer import (
    Exposure,
    Tally,
    answer_of,
    answer_text,
    coverage_of,
    find_exposures,
    groups_of,
    loopback_text,
    notes_of,
)
from reconshield.report.result import HeldBack, Summary
from reconshield.store.db import Store
from reconshield.store.runs import Run
from reconshield.store.services import FindingKind, finding_kinds, hosts_with_findings, ports_seen_open
from reconshield.web.call import Call
from reconshield.web.run_table import COLUMNS, FILTERS, ROWS, Table, page_of_list, table_of

SMALL = 1000
"""So many open endpoints are read whole for a page."""


@dataclass(frozen=True, slots=True)
class Result:
    """The sentence, the findings by what is wrong, the table, what got no byte, and what only this machine itself can reach."""

    sentence: str
    kinds: list[FindingKind]
    table: Table
    held: tuple[tuple[str, str, str, str], ...]
    loopback: str = ""


def result_values(call: Call, run: Run) -> dict[str, Any]:
    policy, remark = call.policy()
    query = call.request.query_params
    chosen = {name: query.get(name, "")[:200] for name in ("q", *FILTERS)}
    sort = query.get("sort", "")
    sort = sort if sort in COLUMNS else "risk"
    summary = load_summary(call.store, run)
    read = read_small if summary.open <= SMALL else read_large
    found = read(call.store, run, summary, policy, call.now, chosen, sort, query.get("after", "")[:400])
    kept = chosen | {"sort": sort if sort != "risk" else ""}
    return {
        "summary": summary,
        "sentence": found.sentence,
        "coverage": coverage_of(summary),
        "notes": notes_of(summary, load_head(run)),
        "held_groups": found.held,
        "loopback": found.loopback,
        "grants": [grant for grant in list_grants(call.store) if grant.id in run.grants],
        "kinds": found.kinds,
        "table": found.table,
        "chosen": chosen,
        "filtered": any(chosen.values()),
        "sort": sort,
        "columns": COLUMNS,
        "size": ROWS,
        "link": lambda **changes: link(kept, changes),
        "remark": remark,
    }


def read_small(
    store: Store,
    run: Run,
    summary: Summary,
    policy: Policy | None,
    now: float,
    chosen: dict[str, str],
    sort: str,
    after: str,
) -> Result:
    """The whole run, as the reports see it."""
    del summary, now
    result = load_result(store, run.id, policy=policy)
    exposures = find_exposures(result)
    loopback = loopback_text(result) if result.own_loopback else ""
    table = table_of(result, chosen, sort, after)
    return Result(answer_text(result, exposures), kinds_of(exposures), table, groups_of(result.held_back), loopback)


def kinds_of(exposures: list[Exposure]) -> list[FindingKind]:
    """The findings that the answer counts, by check."""
    found: dict[tuple[str, Severity], list[Finding]] = {}
    for finding in (finding for exposure in exposures for finding in exposure.findings):
        found.setdefault((finding.check, finding.severity), []).append(finding)
    kinds = [FindingKind(len(each), len({finding.endpoint.ip for finding in each}), each[0]) for each in found.values()]
    return sorted(kinds, key=lambda kind: (-kind.sample.severity.rank, -kind.number, kind.sample.check))


def read_large(
    store: Store,
    run: Run,
    summary: Summary,
    policy: Policy | None,
    now: float,
    chosen: dict[str, str],
    sort: str,
    after: str,
) -> Result:
    """Of a large run its numbers, and the rows of one page."""
    table = page_of_list(store, run.id, policy, now, chosen, sort, after)
    severities: dict[Severity, int] = {}
    kinds = finding_kinds(store, run.id)
    for kind in kinds:
        severities[kind.sample.severity] = severities.get(kind.sample.severity, 0) + kind.number
    worst = page_of_list(store, run.id, policy, now, dict.fromkeys(chosen, ""), "risk", "").rows[:1]
    first = (worst[0].score or 0, worst[0].rating or "low") if worst else None
    tally = Tally(severities, hosts_with_findings(store, run.id, Severity.INFO), worst=first)
    return Result(answer_of(summary, load_head(run), tally), kinds, table, groups_of(held_ports_of(store, run.id)))


def held_ports_of(store: Store, run_id: str) -> list[HeldBack]:
    """One entry a port that got no byte, instead of one an endpoint."""
    found = []
    for port, transport, number in ports_seen_open(store, run_id):
        held = held_of(Endpoint(f"{number:,} addresses" if number != 1 else "1 address", port, transport))
        if held:
            found.append(held)
    return found


def link(kept: dict[str, str], changes: dict[str, Any]) -> str:
    """The address of this page with some filters changed; what is empty is left out."""
    wanted = {name: value for name, value in (kept | changes).items() if value not in {"", None, 0}}
    return f"?{urlencode(wanted)}#endpoints"
