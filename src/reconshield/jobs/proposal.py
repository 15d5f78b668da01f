"""`reconshield policy propose`: what a run found open and nobody expects, as text to append to the policy after review."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from reconshield.addresses import AddressSet
from reconshield.jobs.context import Context, load_context
from reconshield.jobs.coverage import plan_of
from reconshield.policy import Policy
from reconshield.policy.proposal import Open, propose_entries, propose_zone
from reconshield.store.db import Store
from reconshield.store.runs import Run
from reconshield.text import local_time

DAYS = 90
"""How long a proposed expectation holds, if its owner does not say otherwise."""


def propose_policy(store: Store, run: Run, policy: Policy | None, now: float) -> Iterator[str]:
    """Policy text in pieces: a whole first policy where there is none, else the tables to append."""
    context = load_context(store, run, policy or Policy(), now, new_only=True)
    assert context.judgement is not None  # noqa: S101 - there is a policy, if an empty one
    forbidden = context.judgement.counts()["forbidden"]
    expires = dt.datetime.fromtimestamp(now, dt.UTC).date() + dt.timedelta(days=DAYS)
    yield f"# Proposed from run {run.id} ({local_time(run.started)}, from {run.vantage}).\n"
    yield "# Fill in why each is wanted and who answers for it, or delete it and close the port.\n"
    if forbidden:
        yield f"# {forbidden} more are open against a [[closed]] entry; they are not proposed.\n"
    yield "\n"
    if policy is None:
        yield propose_zone(measured_addresses(run, context)) + "\n"
    entries = list(propose_entries(policy or Policy(), open_endpoints(context), expires))
    yield "\n".join(entries) if entries else "# Nothing is open that is not expected already.\n"


def open_endpoints(context: Context) -> Iterator[Open]:
    assert context.judgement is not None  # noqa: S101 - see above
    for verdict in context.judgement.verdicts("unexpected"):
        if verdict.endpoint is not None:
            risk = context.rate(verdict.service).risk if verdict.service else None
            yield Open(verdict.endpoint, verdict.service, risk)


def measured_addresses(run: Run, context: Context) -> AddressSet:
    """What the run planned to measure; of an import without a plan, what was open in it."""
    plan = plan_of(run)
    if plan is not None:
        return plan.targets
    return AddressSet.of(*{open_.endpoint.ip for open_ in open_endpoints(context)})
