"""Two measurements in, what changed out. Pure: arrays and records, no database.

A change is claimed only where both sides were measured. `opened` needs an earlier measurement of the same endpoint from the
same vantage that was not open, else the endpoint is `newly-measured`; `closed` needs a measurement now, else its coverage is
lost. An endpoint counts as measured when it answered or when the plan covers it; an answer always wins over silence, and an
open answer over another one of the same endpoint. A change says when the old state was last seen and when the new one first
was: it happened in between. Flapping and re-confirmation are judged elsewhere.

For a million endpoints nothing runs per row: both sides get 64-bit keys, sorted once, and are looked up in each other; a
record is made for each change only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import text_of
from reconshield.addresses.arrays import endpoint_keys, find_keys
from reconshield.model import Confidence, Endpoint, Service, State, Transport

Array = NDArray[Any]
Kind = Literal["opened", "closed", "changed", "newly-measured", "coverage-lost"]

ANSWER_AFTER_SILENCE: dict[int, State] = {Transport.TCP: State.FILTERED, Transport.UDP: State.OPEN_FILTERED}
"""What silence means where the plan covers an endpoint."""

NOT_MEASURED = "not measured"
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
    when the new one first was (Unix seconds, None for no measurement): the change lies between. For `changed`, `fields` names
    what differs: service, product, version, tls, certificate.
    """

    kind: Kind
    endpoint: Endpoint
    before: str
    after: str
    last_seen: float | None
    first_seen: float | None
    service_before: Service | None = None
    service_after: Service | None = None
    fields: tuple[str, ...] = ()


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

    def look_up(self, rows: Array, found: Array) -> Iterator[tuple[str, float | None]]:
        """State label and time here of these endpoints; `found` is what `find` said of them."""
        covered = np.zeros(len(rows), bool)
        silent = found < 0
        if silent.any():
            covered[silent] = self.measurement.covers(rows[silent])
        states, times = self.measurement.observations["state"], self.measurement.observations["at"]
        for transport, at, here in zip(rows["transport"].tolist(), found.tolist(), covered.tolist(), strict=True):
            if at >= 0:
                row = self.order[at]
                yield State(int(states[row])).label, float(times[row])
            elif here:
                yield ANSWER_AFTER_SILENCE[transport].label, self.measurement.at
            else:
                yield NOT_MEASURED, None


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
    for endpoint, at, (label, seen) in zip(endpoints_of(rows), rows["at"].tolist(), old.look_up(rows, found), strict=True):
        kind: Kind = "newly-measured" if seen is None else "opened"
        service = new.measurement.services.get(endpoint)
        yield Change(kind, endpoint, label, State.OPEN.label, seen, at, None, service)


def departures(old: Side, new: Side) -> Iterator[Change]:
    """Open before and not open now: closed, or coverage lost when nobody looked now."""
    rows, found = select_only_open(old, new)
    for endpoint, at, (label, seen) in zip(endpoints_of(rows), rows["at"].tolist(), new.look_up(rows, found), strict=True):
        kind: Kind = "coverage-lost" if seen is None else "closed"
        service = old.measurement.services.get(endpoint)
        yield Change(kind, endpoint, State.OPEN.label, label, at, seen, service, None)


def select_only_open(here: Side, there: Side) -> tuple[Array, Array]:
    """The rows of endpoints that are open here and not there, and where they stand there."""
    found = there.find(here.keys[here.open])
    apart = found < 0
    apart[~apart] = ~there.open[found[~apart]]
    return here.measurement.observations[here.order[here.open][apart]], found[apart]


def transformations(before: Measurement, after: Measurement) -> Iterator[Change]:
    """The same endpoint, another service: only what was learned on both sides is compared."""
    for endpoint in before.services.keys() & after.services.keys():
        was, now = before.services[endpoint], after.services[endpoint]
        fields = tuple(compare_services(was, now))
        if fields:
            label = State.OPEN.label
            yield Change("changed", endpoint, label, label, was.at, now.at, was, now, fields)


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
    tls = service.facts.get("tls")
    certificate = tls.get("certificate") if isinstance(tls, Mapping) else None
    if not isinstance(certificate, Mapping):
        return None
    if certificate.get("sha256"):
        return (certificate["sha256"],)
    return tuple(certificate.get(name) for name in CERTIFICATE_FIELDS)


def endpoints_of(rows: Array) -> Iterator[Endpoint]:
    for hi, lo, port, transport in zip(*(rows[name].tolist() for name in ("hi", "lo", "port", "transport")), strict=True):
        yield Endpoint(text_of(hi << 64 | lo), port, Transport(transport).label)


def endpoint_order(endpoint: Endpoint) -> tuple[int, int, int, str]:
    address = ip_address(endpoint.ip)
    return address.version, int(address), endpoint.port, endpoint.transport
