"""A stored run piece by piece, for the formats that need no more at once: the same as `load_result` gives, in memory that
hardly grows with the run.

All three streams are in the order of endpoints, so what belongs together comes by together. Each can be read again; read them
within one `store.snapshot()`, so that nothing changes between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from reconshield.addresses import parse_address
from reconshield.jobs.context import Context, open_context
from reconshield.jobs.results import held_of, load_head, load_summary, named
from reconshield.model import Endpoint, Finding, Observation
from reconshield.report.line_types import Line
from reconshield.report.lines import all_lines
from reconshield.report.result import NOT_BELIEVED, HeldBack, RatedService
from reconshield.report.sheet import Listed, csv_rows
from reconshield.store import services as kept
from reconshield.store.db import Store
from reconshield.store.observations import each_open
from reconshield.store.runs import Run

if TYPE_CHECKING:
    from reconshield.policy import Policy

T = TypeVar("T")
Place = tuple[int, int, bool]


@dataclass(frozen=True, slots=True)
class RunStream:
    """One run, read as it is asked for."""

    store: Store
    run: Run
    context: Context

    def observations(self) -> Iterator[Observation]:
        names = kept.names_of_hosts(self.store, self.run.id, NOT_BELIEVED)
        return (named(seen, names.get(seen.endpoint.ip)) for seen in each_open(self.store, self.run.id))

    def services(self, *, with_evidence: bool) -> Iterator[RatedService]:
        for service in kept.each_service(self.store, self.run.id, with_evidence=with_evidence):
            if not (service.note or "").startswith(NOT_BELIEVED):
                yield self.context.rate(service)

    def held_back(self) -> Iterator[HeldBack]:
        places = kept.each_place(self.store, self.run.id, NOT_BELIEVED)
        return (held for place in places if (held := held_of(place)))

    def findings(self) -> Iterator[Finding]:
        """Each with the risk of its service as of now."""
        services = Beside((rated.endpoint, rated) for rated in self.services(with_evidence=False))
        for finding in kept.each_finding(self.store, self.run.id):
            beside = services.at(finding.endpoint)
            yield replace(finding, risk=beside[0].risk) if beside else finding


class Beside(Generic[T]):
    """What belongs to endpoints, from a stream in their order. They are asked for in the same order."""

    def __init__(self, pairs: Iterable[tuple[Endpoint, T]]) -> None:
        self._pairs = iter(pairs)
        self._next = next(self._pairs, None)
        self._place: Endpoint | None = None
        self._found: list[T] = []

    def at(self, endpoint: Endpoint) -> list[T]:
        """All of one endpoint."""
        if endpoint == self._place:
            return self._found
        self._place, self._found, wanted = endpoint, [], place_of(endpoint)
        while self._next is not None and place_of(self._next[0]) <= wanted:
            if self._next[0] == endpoint:
                self._found.append(self._next[1])
            self._next = next(self._pairs, None)
        return self._found


def place_of(endpoint: Endpoint) -> Place:
    """Where an endpoint stands in the order of the tables."""
    return parse_address(endpoint.ip), endpoint.port, endpoint.transport == "udp"


def open_stream(store: Store, run: Run, policy: Policy | None) -> RunStream:
    return RunStream(store, run, open_context(store, run, policy, new_only=True))


def stream_csv(store: Store, run: Run, policy: Policy | None) -> Iterator[str]:
    """The run as CSV."""
    with store.snapshot() as one:
        stream = open_stream(one, run, policy)
        services = Beside((rated.endpoint, rated) for rated in stream.services(with_evidence=False))
        checks = Beside(kept.each_check(one, run.id))
        yield from csv_rows(
            run.id,
            (
                Listed(seen, next(iter(services.at(seen.endpoint)), None), tuple(checks.at(seen.endpoint)))
                for seen in stream.observations()
            ),
        )


def stream_lines(store: Store, run: Run, policy: Policy | None) -> Iterator[Line]:
    """The run as the objects of JSON Lines."""
    with store.snapshot() as one:
        stream = open_stream(one, run, policy)
        yield from all_lines(
            load_head(run),
            stream.observations(),
            stream.held_back(),
            stream.services(with_evidence=True),
            stream.findings(),
            load_summary(one, run),
        )
