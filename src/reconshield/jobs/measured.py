"""A stored run as a policy sees it: its answers, and in boxes and places what it measured, silence included."""

from __future__ import annotations

import numpy as np

from reconshield.addresses import AddressSet, parse_target
from reconshield.errors import UserError
from reconshield.jobs.coverage import COLUMNS, Coverage, load_coverage
from reconshield.policy.boxes import Box
from reconshield.policy.matching import PLACE
from reconshield.policy.verdict import Array, Measured
from reconshield.store import services as kept
from reconshield.store.db import Store
from reconshield.store.observations import load_observations
from reconshield.store.runs import Run


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
    return (), np.concatenate(parts)


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
