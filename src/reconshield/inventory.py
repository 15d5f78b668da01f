"""Two measurements in, what changed out. Pure: arrays and records, no database.

A change is claimed only where both sides were measured. `opened` needs an earlier measurement of the same endpoint from the
same vantage that was not open, else the endpoint is `newly-measured`; `closed` needs a measurement now, else its coverage is
lost. An endpoint counts as measured when it answered or when the plan covers it; an answer always wins over silence, and an
open answer over another one of the same endpoint. A change says when the old state was last seen and when the new one first
was: it happened in between. A certificate is `expiring` when between the two measurements it came within one of `WARNINGS` days
of its end, so it is told a few times and not at every scan. What opens and closes again and again `is_flapping`.

For a million endpoints nothing runs per row: both sides get 64-bit keys, sorted once, and are looked up in each other; a
record is made for each change only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import text_of
from reconshield.addresses.arrays import endpoint_keys, find_keys
from reconshield.model import ChangeKind, Confidence, Endpoint, Service, State, Transport

Array = NDArray[Any]

NOT_MEASURED = "not measured"
DAY = 86_400.0
WARNINGS = (30, 14, 7, 1, 0)
"""Days before the end of a certificate at which it is said that it ends."""
STEADY = 3
"""An endpoint that changed more often than this in the measurements that were looked at is flapping."""
CERTIFICATE_FIELDS = ("sha256", "serial", "subject", "not_before", "not_after")


def covers_nothing(rows: Array) -> Array:
    return np.zeros(len(rows), bool)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run as `diff` needs it.

    `observations` are all answers; `covers` says for rows of endpoints which of them the run measured, answered or not;
    `services` what spoke on open endpoints; `at` dates what was silent.
    """

    observations: Array
    vantage: str
    at: float
    covers: Callable[[Array], Array] = covers_nothing
    services: Mapping[Endpoint, Service] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One endpoint that is not as it was.

    `before` and `after` are state labels, or `not measured`. `last_seen` is when the old state was last measured, `first_seen`
    when the new one first was (Unix seconds, None for no measurement): the change lies between. Where the endpoint stayed open,
    `fields` names what differs: service, product, version, tls, certificate. `flapping`: it does this all the time.
    """

    kind: ChangeKind
    endpoint: Endpoint
    before: str
    after: str
    last_seen: float | None
    first_seen: float | None
    service_before: Service | None = None
    service_after: Service | None = None
    fields: tuple[str, ...] = ()
    flapping: bool = False


def diff(before: Measurement, after: Measurement) -> list[Change]:
    """All changes by endpoint. Measurements from two vantages have nothing to compare: what is open now is newly measured."""
    if before.vantage != after.vantage:
        nothing = before.observations[:0]
        before = Measurement(nothing, after.vantage, before.at)
    keys_before, keys_after = endpoint_keys(before.observations, after.observations)
    old, new = side_of(before, keys_before), side_of(after, keys_after)
    changes = [*arrivals(old, new), *departures(old, new), *transformations(before, after)]
    return sorted(changes, key=lambda change: (endpoint_order(change.endpoint), change.kind))


@dataclass(frozen=True, slots=True)
class Side:
    """A measurement with its endpoints once each, in the order of their keys.

    `order` says at which row of the observations each stands: to move the rows themselves would cost more than all the rest.
    """

    measurement: Measurement
    keys: Array
    order: Array
    open: Array

    def find(self, keys: Array) -> Array:
        """For each key its place in `keys`, -1 for none."""
        return find_keys(keys, self.keys)

    def look_up(self, rows: Array, found: Array) -> tuple[Array, Array]:
        """State codes (0: not measured) and times here of these endpoints; `found` is what `find` said of them."""
        states, times = np.zeros(len(rows), np.uint8), np.zeros(len(rows))
        answered = found >= 0
        at = self.order[found[answered]]
        states[answered] = self.measurement.observations["state"][at]
        times[answered] = self.measurement.observations["at"][at]
        covered = ~answered
        if covered.any():
            covered[covered] = self.measurement.covers(rows[covered])
            states[covered] = np.where(rows["transport"][covered] == Transport.UDP, State.OPEN_FILTERED, State.FILTERED)
            times[covered] = self.measurement.at
        return states, times


def states_in(measurement: Measurement, rows: Array) -> tuple[Array, Array]:
    """What a measurement says of endpoints: state codes (0: not measured) and times, in the order of `rows`."""
    keys, theirs = endpoint_keys(rows, measurement.observations)
    side = side_of(measurement, theirs)
    return side.look_up(rows, side.find(keys))


def side_of(measurement: Measurement, keys: Array) -> Side:
    rows = measurement.observations
    order = np.argsort(keys)
    once = np.ones(len(keys), bool)
    once[1:] = np.diff(keys[order]) != 0
    if not once.all():  # rare, and three times as slow: open has the lowest code, so it stands first among equal keys
        order = np.lexsort([rows["state"], keys])[once]
    return Side(measurement, keys[order], order, rows["state"][order] == State.OPEN)


def arrivals(old: Side, new: Side) -> Iterator[Change]:
    """Open now and not open before: opened, or newly measured when nobody looked before."""
    rows, found = select_only_open(new, old)
    for endpoint, at, (label, seen) in zip(
        endpoints_of(rows), rows["at"].tolist(), spell(*old.look_up(rows, found)), strict=True
    ):
        kind: ChangeKind = "newly-measured" if seen is None else "opened"
        service = new.measurement.services.get(endpoint)
        yield Change(kind, endpoint, label, State.OPEN.label, seen, at, None, service)


def departures(old: Side, new: Side) -> Iterator[Change]:
    """Open before and not open now: closed, or coverage lost when nobody looked now."""
    rows, found = select_only_open(old, new)
    for endpoint, at, (label, seen) in zip(
        endpoints_of(rows), rows["at"].tolist(), spell(*new.look_up(rows, found)), strict=True
    ):
        kind: ChangeKind = "coverage-lost" if seen is None else "closed"
        service = old.measurement.services.get(endpoint)
        yield Change(kind, endpoint, State.OPEN.label, label, at, seen, service, None)


def spell(states: Array, times: Array) -> Iterator[tuple[str, float | None]]:
    """State labels and times; `not measured` has no time."""
    for state, at in zip(states.tolist(), times.tolist(), strict=True):
        yield (State(state).label, at) if state else (NOT_MEASURED, None)


def select_only_open(here: Side, there: Side) -> tuple[Array, Array]:
    """The rows of endpoints that are open here and not there, and where they stand there."""
    found = there.find(here.keys[here.open])
    apart = found < 0
    apart[~apart] = ~there.open[found[~apart]]
    return here.measurement.observations[here.order[here.open][apart]], found[apart]


def transformations(before: Measurement, after: Measurement) -> Iterator[Change]:
    """The same endpoint, another service: only what was learned on both sides is compared."""
    label = State.OPEN.label
    for endpoint in before.services.keys() & after.services.keys():
        was, now = before.services[endpoint], after.services[endpoint]
        fields = tuple(compare_services(was, now))
        if fields:
            yield Change(kind_of(fields), endpoint, label, label, was.at, now.at, was, now, fields)
        if comes_near_its_end(was, now):
            yield Change("certificate-expiring", endpoint, label, label, was.at, now.at, was, now, ("certificate",))


def kind_of(fields: tuple[str, ...]) -> ChangeKind:
    """The weightiest of what differs: another service, another version of it, another certificate."""
    if {"service", "product", "tls"} & set(fields):
        return "service-changed"
    return "version-changed" if "version" in fields else "certificate-changed"


def comes_near_its_end(was: Service, now: Service) -> bool:
    """Whether one of the days of `WARNINGS` before the end of the certificate lies between the two measurements."""
    end = certificate_end(now)
    return end is not None and any(was.at < end - days * DAY <= now.at for days in WARNINGS)


def certificate_end(service: Service) -> float | None:
    """When the certificate of a service ends (Unix seconds), None when none was seen or it does not say."""
    certificate = read_certificate(service)
    try:
        end = datetime.fromisoformat(str(certificate.get("not_after"))) if certificate else None
    except ValueError:
        return None
    return (end if end.tzinfo else end.replace(tzinfo=UTC)).timestamp() if end else None


def is_flapping(states: Sequence[bool], most: int = STEADY) -> bool:
    """Whether an endpoint was open and not open in turn more than `most` times; states in the order of time, either way."""
    return sum(one != other for one, other in pairwise(states)) > most


def compare_services(was: Service, now: Service) -> Iterable[str]:
    """The names of the fields that differ. A guess by port number is no measurement, and None is nothing learned.

    A certificate is learned before anybody knows what speaks inside TLS, so it is compared on unknown services too.
    """
    pairs: dict[str, tuple[object, object]] = {}
    if Confidence.GUESS not in {was.confidence, now.confidence} and "unknown" not in {was.service, now.service}:
        pairs = {name: (getattr(was, name), getattr(now, name)) for name in ("service", "product", "version", "tls")}
    pairs["certificate"] = certificate_of(was), certificate_of(now)
    for name, (old, new) in pairs.items():
        if old is not None and new is not None and old != new:
            yield name


def certificate_of(service: Service) -> tuple[Any, ...] | None:
    """What tells two certificates apart; None when none was seen."""
    certificate = read_certificate(service)
    if certificate is None:
        return None
    if certificate.get("sha256"):
        return (certificate["sha256"],)
    return tuple(certificate.get(name) for name in CERTIFICATE_FIELDS)


def read_certificate(service: Service) -> Mapping[str, Any] | None:
    tls = service.facts.get("tls")
    certificate = tls.get("certificate") if isinstance(tls, Mapping) else None
    return certificate if isinstance(certificate, Mapping) else None


def endpoints_of(rows: Array) -> Iterator[Endpoint]:
    for hi, lo, port, transport in zip(*(rows[name].tolist() for name in ("hi", "lo", "port", "transport")), strict=True):
        yield Endpoint(text_of(hi << 64 | lo), port, Transport(transport).label)


def endpoint_order(endpoint: Endpoint) -> tuple[int, int, int, str]:
    address = ip_address(endpoint.ip)
    return address.version, int(address), endpoint.port, endpoint.transport
