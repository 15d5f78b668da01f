"""A stored run as a policy sees it: its answers, and in boxes and places what it measured, silence included."""

from __future__ import annotations

from itertools import islice

import numpy as np

from reconshield.addresses import AddressSet, parse_target
from reconshield.addresses.arrays import endpoint_keys, find_keys
from reconshield.errors import UserError
from reconshield.jobs.coverage import COLUMNS, Coverage, load_coverage
from reconshield.policy.boxes import Box
from reconshield.policy.judgement import open_rows
from reconshield.policy.matching import NOT_ASKED, PLACE, Spoken
from reconshield.policy.verdict import Array, Measured
from reconshield.rows import join
from reconshield.store import services as kept
from reconshield.store.db import Store
from reconshield.store.observations import load_observations
from reconshield.store.runs import Run

SOME = 50_000
"""Services that are looked at together."""


def load_measured(store: Store, run: Run) -> Measured:
    """A run with its services, findings and coverage."""
    coverage = load_coverage(store, run)
    whole, single = split_coverage(coverage)
    return Measured(
        rows=load_observations(store, run.id),
        vantage=run.vantage,
        at=coverage.silent_at,
        whole=whole,
        single=single,
        services={service.endpoint: service for service in kept.services(store, run.id)},
        findings=tuple(kept.findings(store, run.id)),
        doubtful=coverage.doubted,
        left_out=tuple(read_reasons(run.options.get("dropped", ()))),
    )


def load_open(store: Store, run: Run) -> Measured:
    """The open endpoints of a run alone, and what was heard on them as columns: all that verdicts on them need, and small."""
    coverage = load_coverage(store, run)
    rows = open_rows(load_observations(store, run.id))
    names, codes, guessed = {"": NOT_ASKED}, np.zeros(len(rows), np.int64), np.zeros(len(rows), bool)
    speakers = kept.each_speaker(store, run.id)
    while some := list(islice(speakers, SOME)):
        ips, ports, transports, services, guesses = zip(*some, strict=True)
        places = np.zeros(len(some), PLACE)
        halves = np.frombuffer(b"".join(ips), [("hi", ">u8"), ("lo", ">u8")])
        places["hi"], places["lo"], places["port"], places["transport"] = halves["hi"], halves["lo"], ports, transports
        ours, theirs = endpoint_keys(rows, places)
        order = np.argsort(ours)
        found = find_keys(theirs, ours[order])
        known = order[found[found >= 0]]
        codes[known] = np.array([names.setdefault(service, len(names)) for service in services])[found >= 0]
        guessed[known] = np.array(guesses)[found >= 0]
    spoken = Spoken(tuple(names), codes, guessed)
    return Measured(rows, run.vantage, coverage.silent_at, doubtful=coverage.doubted, spoken=spoken)


def split_coverage(coverage: Coverage) -> tuple[tuple[Box, ...], Array]:
    """A plan that was finished is one box; of one that was not, the places of its finished blocks."""
    plan, nothing = coverage.plan, np.zeros(0, PLACE)
    if plan is None:
        return (), nothing
    if len(coverage.finished) == plan.blocks:
        return (Box(plan.targets, plan.ports),), nothing
    parts = [nothing]
    for block in sorted(coverage.finished):
        pairs = plan.pairs(block)
        rows = np.zeros(len(pairs.port), PLACE)
        for name in COLUMNS:
            rows[name] = getattr(pairs, name)
        parts.append(rows)
    return (), join(parts)


def read_reasons(sentences: list[str]) -> list[tuple[AddressSet, str]]:
    """Why addresses were not measured, from the sentences that a run keeps (`10.77.0.9: excluded by grant g3 (…)`).

    A sentence that is about ports, or that names only some of its addresses, explains none.
    """
    found = []
    for sentence in sentences:
        places, _, why = sentence.partition(": ")
        try:
            areas = [parse_target(text, wide=True).addresses or AddressSet() for text in places.split(", ")]
        except UserError:
            continue
        found.append((AddressSet(tuple(pair for area in areas for pair in area.ranges)), why))
    return found
