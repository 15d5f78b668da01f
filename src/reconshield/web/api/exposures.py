"""What is open now, whose it is, what is wrong with it, and what was ever seen of an address."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Literal, TypedDict

from fastapi import Path, Query

from reconshield.errors import UserError
from reconshield.jobs.asset_part import Summed, asset_page, key_of
from reconshield.jobs.evidence import load_sightings
from reconshield.jobs.exposure_part import Wrong, exposure_page, with_risks, wrong_after
from reconshield.jobs.listing import Filters, Listed
from reconshield.jobs.port_exposure import Kind as PortState
from reconshield.jobs.port_exposure import PortExposure, PortRow, port_exposure
from reconshield.model import Endpoint, Finding, Severity, Transport
from reconshield.policy.records import WAN
from reconshield.policy.verdict import FAILING, Kind
from reconshield.report.exposures import Exposure, asset_line, exposure_line
from reconshield.report.line_types import AssetLine, ExposureLine, FindingLine, ObservationLine, ServiceLine
from reconshield.report.lines import finding_line, observation_line, service_line
from reconshield.report.listing import Seen
from reconshield.store.columns import pack_address
from reconshield.text import iso_time
from reconshield.web.api.paging import Key, Page, Paged
from reconshield.web.api.router import Api
from reconshield.web.api.shapes import place_key, place_of
from reconshield.web.door import ApiViewer

ROUTER = Api("Exposures")
Rating = Literal["critical", "high", "medium", "low"]
Text = Annotated[str | None, Query(max_length=200)]
PortNumber = Annotated[int | None, Query(ge=0, le=65535)]


class SightingPart(TypedDict):
    """One sighting of an endpoint: in which run, from where, in which state, and what spoke there then."""

    run: str
    vantage: str
    observation: ObservationLine
    service: ServiceLine | None


class PortExposurePart(TypedDict):
    """What is known of a port on the addresses that grants cover now; the numbers are addresses. `state` is the worst that is
    true, `unmeasured` the addresses that nobody measured, `worst` some of the endpoints that are open.
    """

    port: int
    transport: str
    state: PortState
    grants: list[str]
    addresses: int
    measured: int
    open: int
    closed: int
    filtered: int
    stale: int
    fresh_seconds: float
    newest: str | None
    oldest: str | None
    vantages: list[str]
    unmeasured: str
    worst: list[ExposureLine]


@ROUTER.get("/ports/{port}/exposure")
def read_port_exposure(
    call: ApiViewer,
    port: Annotated[int, Path(ge=0, le=65535)],
    transport: Literal["tcp", "udp"] | None = None,
) -> PortExposurePart:
    """Is this port open on what is mine, who says so, and is it as it should be? Nothing is sent."""
    return port_part(port_exposure(call.store, call.policy()[0], port, transport, call.now))


@ROUTER.get("/exposures")
def list_exposures(
    call: ApiViewer,
    page: Paged,
    zone: Text = None,
    vantage: Text = None,
    service: Text = None,
    port: PortNumber = None,
    verdict: Kind | None = None,
    failing: Annotated[bool, Query(description="Only what is not as the policy expects.")] = False,
    rating: Annotated[Rating | None, Query(description="Only of this rating.")] = None,
    q: Annotated[str, Query(max_length=200, description="Words of endpoint, service, product, name or zone.")] = "",
) -> Page[ExposureLine]:
    """Everything that is known to be open, as each vantage sees it, with owner, verdict and risk."""
    verdicts = {verdict} if verdict else set(FAILING) if failing else set()
    filters = Filters(
        text=q,
        service=given(service),
        rating=given(rating),
        zone=given(zone),
        verdict=verdicts & FAILING if failing else verdicts,
        port=() if port is None else (port,),
        vantage=given(vantage),
    )
    if failing and verdict and verdict not in FAILING:
        return {"items": [], "next": None}
    found, shown = exposure_page(call.store, call.policy()[0], call.now, filters, page.cursor, page.limit)
    return {"items": [exposure_line(each) for each in found], "next": shown.next_cursor}


@ROUTER.get("/assets")
def list_assets(call: ApiViewer, page: Paged, zone: Text = None) -> Page[AssetLine]:
    """What the policy declares, and every other address on which something is open."""
    last = page.placed(bool, str)
    found = asset_page(call.store, call.policy()[0], call.now, tuple(last) if last else None, page.limit + 1, zone)
    return page.follow(found, lambda each: key_of(each.asset), summed_line)


@ROUTER.get("/findings")
def list_findings(
    call: ApiViewer,
    page: Paged,
    least: Annotated[Severity | None, Query(description="Only this severe or worse.")] = None,
    check: Text = None,
    zone: Text = None,
) -> Page[FindingLine]:
    """What is wrong with what is open now, by the newest run that spoke to each endpoint."""
    rank, policy = least.rank if least else 0, call.policy()[0]
    last = page.placed(str, int, str, str, str)

    def fits(row: Listed, finding: Finding) -> bool:
        return (
            finding.severity.rank >= rank
            and check in {None, finding.check}
            and zone in {None, row.zone}
            and (last is None or (*place_key(row.endpoint), row.vantage, finding.check) > tuple(last))
        )

    after = columns_of(place_of(*last[:3])) if last else None
    found = list(islice(wrong_after(call.store, policy, call.now, after, fits), page.limit + 1))
    wrong = with_risks(call.store, policy, call.now, found)
    return page.follow(wrong, wrong_key, lambda each: finding_line(each.run, each.finding))


@ROUTER.get("/history/{address}")
def list_history(
    call: ApiViewer,
    address: Annotated[str, Path(description="An IPv4 or IPv6 address.")],
    page: Paged,
    port: PortNumber = None,
    transport: Literal["tcp", "udp"] | None = None,
) -> Page[SightingPart]:
    """Every sighting of an address over all runs, the newest first; of one port its silence too."""
    host = f"[{address}]" if ":" in address else address
    if transport is not None and port is None:
        raise UserError("a transport goes with a port", where="transport", hint="add port")
    place = address if port is None else f"{host}:{port}" + (f"/{transport}" if transport else "")
    found = sorted(load_sightings(call.store, place), key=sighting_key)
    return page.cut(found, sighting_key, sighting_part)


def port_part(found: PortExposure) -> PortExposurePart:
    return {
        "port": found.port,
        "transport": found.transport,
        "state": found.kind,
        "grants": list(found.grants),
        "addresses": found.total,
        "measured": found.measured,
        "open": found.open,
        "closed": found.closed,
        "filtered": found.filtered,
        "stale": found.stale,
        "fresh_seconds": found.fresh,
        "newest": iso_time(found.newest) if found.newest is not None else None,
        "oldest": iso_time(found.oldest) if found.oldest is not None else None,
        "vantages": list(found.vantages),
        "unmeasured": found.unmeasured,
        "worst": [exposure_line(exposure_of(row)) for row in found.rows],
    }


def exposure_of(row: PortRow) -> Exposure:
    return Exposure(
        endpoint=row.endpoint,
        vantage=row.vantage,
        shut_before=row.shut_before,
        opened=row.opened,
        seen=row.seen,
        zone=row.zone or WAN,
        assets=row.assets,
        owner=row.owner,
        service=row.service,
        risk=row.risk,
        verdict=row.verdict.kind if row.verdict else None,
    )


def given(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)


def columns_of(endpoint: Endpoint) -> tuple[int, ...]:
    """An endpoint as the columns of a list have it."""
    packed = pack_address(endpoint.ip)
    halves = int.from_bytes(packed[:8], "big"), int.from_bytes(packed[8:], "big")
    return (*halves, endpoint.port, Transport[endpoint.transport.upper()].value)


def sighting_part(seen: Seen) -> SightingPart:
    return {
        "run": seen.run,
        "vantage": seen.vantage,
        "observation": observation_line(seen.run, seen.observation),
        "service": service_line(seen.run, seen.service) if seen.service else None,
    }


def summed_line(each: Summed) -> AssetLine:
    return {**asset_line(each.asset), "open": each.open, "failing": each.failing}


def wrong_key(each: Wrong) -> Key:
    return (*place_key(each.finding.endpoint), each.vantage, each.finding.check)


def sighting_key(seen: Seen) -> Key:
    return (-seen.observation.at, seen.run, *place_key(seen.observation.endpoint))
