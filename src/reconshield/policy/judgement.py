"""What a measurement is worth against the policy: one verdict for each open endpoint, and for what was asserted and is not so.

    open endpoints     closed > expect > default of the zone        forbidden | expected, expired | unexpected
    assertions         what they say of endpoints nobody measured   not-measured       (`absence`)
    expectations       what they promise and nobody found open      missing, or not-measured
    findings           accept                                       accepted, expired

A service matches only when it was heard; where merely the port makes it likely, the verdict is `not-measured`, not a guess.
A million open endpoints cost a few array operations for each entry; a record is made only for a verdict that somebody reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from reconshield.addresses import parse_address, text_of
from reconshield.addresses.arrays import endpoint_keys, find_keys
from reconshield.model import Endpoint, Finding, Observation, Reason, Service, State, Transport
from reconshield.policy.absence import check_assertions, look_for
from reconshield.policy.matching import Mask, Matcher, rows_of
from reconshield.policy.policy import Policy
from reconshield.policy.records import Closure, Expectation
from reconshield.policy.verdict import FAILING, KINDS, Array, Kind, Measured, Verdict

FORBIDDEN, UNEXPECTED, EXPIRED, NOT_MEASURED, EXPECTED = (
    KINDS.index(kind) for kind in ("forbidden", "unexpected", "expired", "not-measured", "expected")
)


@dataclass(frozen=True)
class Judgement:
    """All verdicts on a run. Those on open endpoints stay columns until they are read.

    `kinds` (places in `KINDS`) and `entries` (places in `named`, -1 for none) belong to `rows`, the open endpoints.
    """

    policy: Policy
    measured: Measured
    rows: Array
    kinds: Array
    entries: Array
    named: tuple[Expectation | Closure, ...]
    others: tuple[Verdict, ...]

    def counts(self) -> dict[Kind, int]:
        """How many verdicts of each kind."""
        found = np.bincount(self.kinds, minlength=len(KINDS)).tolist()
        return {kind: found[code] + sum(verdict.kind == kind for verdict in self.others) for code, kind in enumerate(KINDS)}

    def failed(self, *, strict: bool = False) -> int:
        """How many verdicts fail; `strict` counts what is missing too."""
        return sum(number for kind, number in self.counts().items() if kind in FAILING or (strict and kind == "missing"))

    def verdicts(self, *kinds: Kind) -> Iterator[Verdict]:
        """The verdicts of these kinds (all without one), worst kind first, in the order of endpoints."""
        for code, kind in enumerate(KINDS):
            if kinds and kind not in kinds:
                continue
            for at in np.flatnonzero(self.kinds == code).tolist():
                yield self.verdict_of(at)
            yield from (verdict for verdict in self.others if verdict.kind == kind)

    def verdict_of(self, at: int, heard: Service | None = None) -> Verdict:
        """The verdict on one open endpoint; `heard` is what speaks there, where the measurement has that as columns only."""
        row, entry = self.rows[at], self.named[self.entries[at]] if self.entries[at] >= 0 else None
        seen = observation_of(row)
        kind, service = KINDS[self.kinds[at]], heard or self.measured.services.get(seen.endpoint)
        because = explain(kind, entry, service)
        zone = self.policy.zone_name(seen.endpoint.ip)
        return Verdict(kind, because, seen.endpoint, seen=seen, service=service, entry=entry, zone=zone)


def judge(policy: Policy, measured: Measured, now: float, *, open_only: bool = False) -> Judgement:
    """Every verdict on a run as of `now` (Unix seconds), which decides what has expired; with `open_only` those on endpoints
    that are open, and none on what is not.
    """
    rows = measured.rows if measured.spoken else open_rows(measured.rows)
    origins = policy.origins_of(measured.vantage)
    closed = [entry for entry in policy.closed if not entry.seen_from or origins & set(entry.seen_from)]
    expects = [entry for entry in policy.expects if not entry.seen_from or origins & set(entry.seen_from)]
    named: tuple[Closure | Expectation, ...] = (*closed, *expects)
    areas = [entry.area for entry in named] + [place.area for entry in expects for place in entry.places]
    matcher = Matcher(rows, areas, measured.services, measured.spoken)
    kinds, entries, met = rate_rows(matcher, closed, expects, now)
    doubtful = is_doubtful(rows, measured)
    kinds[doubtful] = NOT_MEASURED
    met = [(entry, hits & ~doubtful) for entry, hits in met]
    told = ~doubtful | (entries >= 0)  # what nobody believes and nobody named needs no verdict
    if open_only:
        return Judgement(policy, measured, rows[told], kinds[told], entries[told], named, ())
    unmet = [verdict for entry, hits in met if entry.ends > now for verdict in look_for(policy, measured, matcher, entry, hits)]
    others = [*check_assertions(policy, measured, closed), *unmet, *accept_findings(policy, measured.findings, now)]
    return Judgement(policy, measured, rows[told], kinds[told], entries[told], named, add_observations(measured, others))


def is_doubtful(rows: Array, measured: Measured) -> Mask:
    """Endpoints that look open, but for which something else may answer."""
    if len(measured.doubtful) == 0:
        return np.zeros(len(rows), bool)
    ours, theirs = endpoint_keys(rows, measured.doubtful)
    found: Mask = find_keys(ours, np.sort(theirs)) >= 0
    return found


def open_rows(rows: Array) -> Array:
    """The open endpoints, each once, in order of address, port and transport."""
    found = rows[rows["state"] == State.OPEN]
    (keys,) = endpoint_keys(found)
    once: Array = found[np.unique(keys, return_index=True)[1]]
    return once


def rate_rows(
    matcher: Matcher, closed: list[Closure], expects: list[Expectation], now: float
) -> tuple[Array, Array, list[tuple[Expectation, Mask]]]:
    """Kind and entry of every row, and for each expectation the rows that meet it: closed > expect > default of the zone."""
    kinds = np.full(len(matcher.rows), UNEXPECTED, np.int8)
    entries = np.full(len(matcher.rows), -1, np.int32)
    left = np.ones(len(matcher.rows), bool)

    def settle(hits: Mask, kind: int, number: int) -> None:
        settled = hits & left
        kinds[settled], entries[settled] = kind, number
        left[settled] = False

    named: tuple[Closure | Expectation, ...] = (*closed, *expects)
    matches = [match(matcher, entry) for entry in named]
    for number, (hits, _) in enumerate(matches[: len(closed)]):
        settle(hits, FORBIDDEN, number)
    for number, (_, likely) in enumerate(matches[: len(closed)]):
        settle(likely, NOT_MEASURED, number)
    valid = [entry.ends > now for entry in expects]
    for wanted, kind in ((True, EXPECTED), (False, EXPIRED)):
        for at, (hits, _) in enumerate(matches[len(closed) :]):
            if valid[at] is wanted:
                settle(hits, kind, len(closed) + at)
    for at, (_, likely) in enumerate(matches[len(closed) :]):
        if valid[at]:
            settle(likely, NOT_MEASURED, len(closed) + at)
    return kinds, entries, [(entry, hits) for entry, (hits, _) in zip(expects, matches[len(closed) :], strict=True)]


def match(matcher: Matcher, entry: Expectation | Closure) -> tuple[Mask, Mask]:
    """The rows that an entry means, and those it may mean: their service is only a guess."""
    place = matcher.in_area(entry.area) & matcher.on_ports(entry.port_set)
    if not entry.services:
        return place, np.zeros(len(place), bool)
    heard, likely = matcher.speaks(entry.services)
    return place & heard, place & likely


def add_observations(measured: Measured, verdicts: list[Verdict]) -> tuple[Verdict, ...]:
    """The verdicts on single endpoints with what the run saw there; silence where it measured and nothing answered."""
    waiting = [v.endpoint for v in verdicts if v.endpoint and v.kind == "missing"]
    if not waiting:
        return tuple(verdicts)
    rows = measured.rows
    ours, theirs = endpoint_keys(rows_of(waiting), rows)
    order = np.argsort(theirs)
    found = find_keys(ours, theirs[order]).tolist()
    seen = {
        place: observation_of(rows[order[at]]) if at >= 0 else silence_at(place, measured.at)
        for place, at in zip(waiting, found, strict=True)
    }
    return tuple(with_observation(v, seen[v.endpoint]) if v.endpoint in seen and v.kind == "missing" else v for v in verdicts)


def with_observation(verdict: Verdict, seen: Observation) -> Verdict:
    """A missing endpoint with its observation; it may be open after all, with something else behind it."""
    because = "open, but what answers is not what is expected" if seen.state is State.OPEN else verdict.because
    return replace(verdict, seen=seen, because=because)


def silence_at(place: Endpoint, at: float) -> Observation:
    state = State.OPEN_FILTERED if place.transport == "udp" else State.FILTERED
    return Observation(place, state, Reason.NO_RESPONSE, at)


def accept_findings(policy: Policy, findings: tuple[Finding, ...], now: float) -> Iterator[Verdict]:
    """The findings that somebody has accepted: still valid, or past their day."""
    for finding in findings:
        address, place = parse_address(finding.endpoint.ip), finding.endpoint
        entries = [
            entry
            for entry in policy.accepts
            if finding.check in entry.finding
            and address in entry.area
            and (entry.port_set is None or (place.transport, place.port) in entry.port_set)
        ]
        entry = next((entry for entry in entries if entry.ends > now), entries[0] if entries else None)
        if entry is None:
            continue
        kind: Kind = "accepted" if entry.ends > now else "expired"
        ended = "" if kind == "accepted" else f", until {entry.expires}"
        because = f"{finding.check}: {entry.reason}, owner {entry.owner}{ended}"
        yield Verdict(kind, because, place, finding=finding, entry=entry, zone=policy.zone_name(address))


def explain(kind: Kind, entry: Expectation | Closure | None, service: Service | None) -> str:
    """Why an open endpoint has its verdict."""
    if isinstance(entry, Closure):
        wanted = entry.reason or "must not answer"
        return (
            wanted
            if kind == "forbidden"
            else f"open, but what speaks is only guessed; {name_services(entry)} is forbidden here"
        )
    if isinstance(entry, Expectation):
        if kind == "not-measured":
            return f"open, but what speaks is only guessed; expected is {name_services(entry)}"
        return f"{entry.reason}, owner {entry.owner}, until {entry.expires}"
    if service is not None and service.service == "unknown":
        return "no [[expect]] entry; what speaks was not recognised"
    return "no [[expect]] entry"


def name_services(entry: Expectation | Closure) -> str:
    return " or ".join(sorted(entry.services))


def observation_of(row: Array) -> Observation:
    """A record from one row."""
    place = Endpoint(text_of(int(row["hi"]) << 64 | int(row["lo"])), int(row["port"]), Transport(int(row["transport"])).label)
    return Observation(place, State(int(row["state"])), Reason(int(row["reason"])), float(row["at"]))
