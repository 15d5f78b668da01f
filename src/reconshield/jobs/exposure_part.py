"""A page of what is open now, or of what is wrong with it, in full.

It is found in the columns of `open_table`; only what is on the page is read from the store, judged and rated in full.
It says what `load_exposures` says of the same endpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reconshield.jobs.context import Context
from reconshield.jobs.listing import Filters, Listed, Page, page_of, record_of
from reconshield.jobs.open_build import current_table
from reconshield.model import Endpoint, Finding, Reason, Service, State, Transport
from reconshield.policy import Policy
from reconshield.policy.judgement import judge
from reconshield.policy.verdict import Measured, Verdict
from reconshield.report.exposures import Exposure
from reconshield.report.result import RatedService
from reconshield.store import services as kept
from reconshield.store.columns import pack_address
from reconshield.store.db import Store
from reconshield.store.exposures import Exposure as Interval
from reconshield.store.observations import STORED
from reconshield.store.parts import opened_at
from reconshield.store.runs import Run

Place = tuple[str, Endpoint]
"""A vantage, and what it sees open."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A finding of something that is open, the run that it rests on, and from where it was seen."""

    finding: Finding
    run: str
    vantage: str


def exposure_page(
    store: Store, policy: Policy | None, now: float, filters: Filters, cursor: str | None, limit: int
) -> tuple[list[Exposure], Page]:
    """Some of what is open now, by address, port and transport, and the page of the list that it is."""
    page = page_of(current_table(store, policy, now), policy, filters, "endpoint", False, cursor, limit)
    return expose(store, policy, page.rows, now), page


def expose(store: Store, policy: Policy | None, rows: Sequence[Listed], now: float) -> list[Exposure]:
    """Rows of a list with what spoke there, and the risk of each with its addends."""
    spoken = {(row.vantage, row.endpoint): service_at(store, row) for row in rows}
    contexts = {vantage: context_of(policy, vantage, rows, spoken, now) for vantage in {row.vantage for row in rows}}
    return [exposure_of(row, spoken[row.vantage, row.endpoint], contexts[row.vantage]) for row in rows]


def service_at(store: Store, row: Listed) -> Service | None:
    found = kept.services(store, row.run, row.endpoint) if row.run is not None and row.service is not None else ()
    return found[0] if found else None


def context_of(
    policy: Policy | None, vantage: str, rows: Iterable[Listed], spoken: Mapping[Place, Service | None], now: float
) -> Context:
    """What the policy says of these rows, and since when they are open."""
    mine = [row for row in rows if row.vantage == vantage]
    services = {row.endpoint: service for row in mine if (service := spoken[vantage, row.endpoint]) is not None}
    intervals = {
        row.endpoint: Interval(row.endpoint, vantage, row.opened, "", row.shut_before) for row in mine if row.opened is not None
    }
    return judged(policy, vantage, [(row.endpoint, row.seen) for row in mine], services, intervals, now)


def judged(
    policy: Policy | None,
    vantage: str,
    seen: Sequence[tuple[Endpoint, float]],
    services: Mapping[Endpoint, Service],
    intervals: Mapping[Endpoint, Interval],
    at: float,
) -> Context:
    """The context of a few endpoints, each with when it was seen open."""
    if policy is None:
        return Context(vantage, at, exposures=intervals)
    judgement = judge(policy, Measured(rows_of(seen), vantage, at, services=services), at)
    verdicts: dict[Endpoint, Verdict] = {}
    for verdict in judgement.verdicts():
        if verdict.endpoint and verdict.seen and verdict.finding is None and verdict.kind != "missing":
            verdicts.setdefault(verdict.endpoint, verdict)
    return Context(vantage, at, policy, judgement, verdicts, intervals)


def rows_of(seen: Sequence[tuple[Endpoint, float]]) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Endpoints as open answers, in the observation dtype."""
    rows = np.zeros(len(seen), STORED)
    for number, (place, at) in enumerate(seen):
        packed = pack_address(place.ip)
        udp = place.transport == "udp"
        rows["hi"][number], rows["lo"][number] = int.from_bytes(packed[:8], "big"), int.from_bytes(packed[8:], "big")
        rows["port"][number], rows["transport"][number] = place.port, Transport.UDP if udp else Transport.TCP
        rows["reason"][number], rows["at"][number] = Reason.UDP_RESPONSE if udp else Reason.SYN_ACK, at
    rows["state"] = State.OPEN
    return rows


def exposure_of(row: Listed, service: Service | None, context: Context) -> Exposure:
    verdict = context.verdicts.get(row.endpoint)
    return Exposure(
        endpoint=row.endpoint,
        vantage=row.vantage,
        shut_before=row.shut_before,
        opened=row.opened if row.opened is not None else row.seen,
        seen=row.seen,
        zone=row.zone,
        assets=row.assets,
        owner=row.owner,
        service=service,
        risk=context.rate(service).risk if service is not None else None,
        verdict=verdict.kind if verdict else None,
    )


def rate_part(store: Store, run: Run, policy: Policy | None, services: Sequence[Service]) -> list[RatedService]:
    """Some services of a run with their risks as of its end."""
    at = run.finished or run.started
    places = [service.endpoint for service in services]
    opened = opened_at(store, run.vantage, at, places)
    intervals = {place: Interval(place, run.vantage, first, "", shut) for place, (shut, first) in opened.items()}
    seen = [(service.endpoint, service.at) for service in services]
    context = judged(policy, run.vantage, seen, {service.endpoint: service for service in services}, intervals, at)
    return [context.rate(service) for service in services]


def wrong_after(
    store: Store, policy: Policy | None, now: float, last: tuple[int, ...] | None, fits: Callable[[Listed, Finding], bool]
) -> Iterator[tuple[Listed, Finding]]:
    """What is wrong with what is open now, by address, port, transport, vantage and check, from the row of `last` on.

    `last` are the columns hi, lo, port and transport of a row.
    """
    table = current_table(store, policy, now)
    rows = table.rows
    order = np.lexsort([rows[name] for name in ("vantage", "transport", "port", "lo", "hi")])
    for at in order[rows["findings"][order] > 0].tolist():
        row = rows[at]
        if last is not None and tuple(int(row[name]) for name in ("hi", "lo", "port", "transport")) < last:
            continue
        listed = record_of(table, policy, at)
        for finding in kept.findings(store, listed.run, listed.endpoint) if listed.run is not None else ():
            if fits(listed, finding):
                yield listed, finding


def with_risks(store: Store, policy: Policy | None, now: float, found: Sequence[tuple[Listed, Finding]]) -> list[Wrong]:
    """The findings with the risk that their endpoints have now."""
    rows = list({(row.vantage, row.endpoint): row for row, _ in found}.values())
    risks = {(each.vantage, each.endpoint): each.risk for each in expose(store, policy, rows, now)}
    return [
        Wrong(replace(finding, risk=risks[row.vantage, row.endpoint] or finding.risk), row.run or "", row.vantage)
        for row, finding in found
    ]
