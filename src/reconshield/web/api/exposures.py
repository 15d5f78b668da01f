"""What is open now, whose it is, what is wrong with it, and what was ever seen of an address."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from fastapi import Path, Query

from reconshield.errors import UserError
from reconshield.jobs.evidence import load_sightings
from reconshield.jobs.exposures import load_assets, load_exposures
from reconshield.jobs.standing import StandingFinding, standing_findings
from reconshield.model import Severity
from reconshield.policy.verdict import FAILING
from reconshield.report.exposures import Asset, Exposure, asset_line, exposure_line
from reconshield.report.line_types import AssetLine, ExposureLine, FindingLine, ObservationLine, ServiceLine
from reconshield.report.lines import finding_line, observation_line, service_line
from reconshield.report.listing import Seen
from reconshield.web.api.paging import Key, Page, Paged
from reconshield.web.api.router import Api
from reconshield.web.api.shapes import place_key
from reconshield.web.call import Call
from reconshield.web.door import ApiViewer

ROUTER = Api("Exposures")
Text = Annotated[str | None, Query(max_length=200)]
PortNumber = Annotated[int | None, Query(ge=0, le=65535)]


class SightingPart(TypedDict):
    """One sighting of an endpoint: in which run, from where, in which state, and what spoke there then."""

    run: str
    vantage: str
    observation: ObservationLine
    service: ServiceLine | None


@ROUTER.get("/exposures")
def list_exposures(
    call: ApiViewer,
    page: Paged,
    zone: Text = None,
    vantage: Text = None,
    service: Text = None,
    port: PortNumber = None,
    verdict: Text = None,
    failing: Annotated[bool, Query(description="Only what is not as the policy expects.")] = False,
    risk: Annotated[int, Query(ge=0, le=100, description="Only this risk or worse.")] = 0,
) -> Page[ExposureLine]:
    """Everything that is known to be open, as each vantage sees it, with owner, verdict and risk."""

    def fits(each: Exposure) -> bool:
        spoken = each.service.service if each.service else None
        return (
            zone in {None, each.zone}
            and vantage in {None, each.vantage}
            and service in {None, spoken}
            and port in {None, each.endpoint.port}
            and verdict in {None, each.verdict}
            and (not failing or each.verdict in FAILING)
            and (each.risk.score if each.risk else 0) >= risk
        )

    found = sorted((each for each in exposures_of(call) if fits(each)), key=exposure_key)
    return page.cut(found, exposure_key, exposure_line)


@ROUTER.get("/assets")
def list_assets(call: ApiViewer, page: Paged, zone: Text = None) -> Page[AssetLine]:
    """What the policy declares, and every other address on which something is open."""
    policy, _ = call.policy()
    found = [asset for asset in load_assets(call.store, policy, call.now) if zone in {None, asset.zone}]
    found.sort(key=asset_key)
    return page.cut(found, asset_key, asset_line)


@ROUTER.get("/findings")
def list_findings(
    call: ApiViewer,
    page: Paged,
    least: Annotated[Severity | None, Query(description="Only this severe or worse.")] = None,
    check: Text = None,
    zone: Text = None,
) -> Page[FindingLine]:
    """What is wrong with what is open now, by the newest run that spoke to each endpoint."""
    rank, (policy, _) = least.rank if least else 0, call.policy()
    found = [
        each
        for each in standing_findings(call.store, policy, call.now)
        if each.finding.severity.rank >= rank and check in {None, each.finding.check} and zone in {None, each.exposure.zone}
    ]
    found.sort(key=finding_key)
    return page.cut(found, finding_key, lambda each: finding_line(each.run, each.finding))


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


def exposures_of(call: Call) -> list[Exposure]:
    policy, _ = call.policy()
    return load_exposures(call.store, policy, call.now)


def sighting_part(seen: Seen) -> SightingPart:
    return {
        "run": seen.run,
        "vantage": seen.vantage,
        "observation": observation_line(seen.run, seen.observation),
        "service": service_line(seen.run, seen.service) if seen.service else None,
    }


def exposure_key(exposure: Exposure) -> Key:
    return (*place_key(exposure.endpoint), exposure.vantage)


def asset_key(asset: Asset) -> Key:
    return (not asset.declared, asset.name)


def finding_key(each: StandingFinding) -> Key:
    return (*place_key(each.finding.endpoint), each.finding.check, each.exposure.vantage)


def sighting_key(seen: Seen) -> Key:
    return (-seen.observation.at, seen.run, *place_key(seen.observation.endpoint))
