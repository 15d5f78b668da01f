"""What several nouns of the API tell: the state of a scan, what was found, the key of an endpoint in a list."""

from __future__ import annotations

from typing import TypedDict

from reconshield.jobs.live_state import Found, LiveState
from reconshield.model import Endpoint
from reconshield.report.line_types import PlacePart, RiskPart
from reconshield.report.lines import place_part, risk_part
from reconshield.store.columns import pack_address, unpack_address
from reconshield.text import iso_time
from reconshield.web.api.paging import Key, bad_cursor


class FoundPart(PlacePart):
    """An endpoint that a scan found open; service and risk are null until it is identified."""

    at: str
    service: str | None
    product: str | None
    risk: RiskPart | None


class HeldPart(TypedDict):
    """Ports that are measured but get no byte, and the kind of device that listens there."""

    kind: str
    ports: list[int]


class StatePart(TypedDict):
    """How far a scan is. A newer state has a higher `version`. `live` is false for a run that only the database tells of."""

    run: str
    phase: str
    done: int
    total: int
    open: int
    identified: int
    to_identify: int
    rate: float | None
    slowed: str | None
    eta_seconds: float | None
    newest: list[FoundPart]
    held: list[HeldPart]
    waiting: str | None
    stopping: bool
    outcome: str | None
    ending: str | None
    error: str | None
    by: str | None
    started: str
    version: int
    live: bool


def state_part(state: LiveState) -> StatePart:
    return {
        "run": state.run,
        "phase": state.phase,
        "done": state.done,
        "total": state.total,
        "open": state.open,
        "identified": state.identified,
        "to_identify": state.to_identify,
        "rate": None if state.rate is None else round(state.rate, 1),
        "slowed": state.slowed,
        "eta_seconds": None if state.eta is None else round(state.eta, 1),
        "newest": [found_part(found) for found in state.newest],
        "held": [{"kind": kind, "ports": list(ports)} for kind, ports in state.held],
        "waiting": state.waiting,
        "stopping": state.stopping,
        "outcome": state.outcome,
        "ending": state.ending,
        "error": state.error,
        "by": state.by,
        "started": iso_time(state.started),
        "version": state.version,
        "live": state.live,
    }


def found_part(found: Found) -> FoundPart:
    return {
        **place_part(found.endpoint),
        "at": iso_time(found.at),
        "service": found.service,
        "product": found.product,
        "risk": risk_part(found.risk) if found.risk else None,
    }


def place_of(ip: str, port: int, transport: str) -> Endpoint:
    """The endpoint of a key; one that names no place is a cursor that nobody was given."""
    try:
        if len(ip) != 32 or not 0 <= port <= 65_535 or transport not in {"tcp", "udp"}:
            raise bad_cursor()
        return Endpoint(unpack_address(bytes.fromhex(ip)), port, transport)
    except ValueError as error:
        raise bad_cursor() from error


def place_key(endpoint: Endpoint) -> Key:
    """The order of endpoints: by address, port and transport; IPv4 before IPv6."""
    return (pack_address(endpoint.ip).hex(), endpoint.port, endpoint.transport)
