"""What a run found to be other than it was known to be, at the end of the run.

    what is known to be open from its vantage + what earlier runs said     -> before
    the run                                                                -> after
    inventory.diff                                                         -> changes, each rated, marked if it flaps
    save_changes                                                           in the transaction that ends the run: `end_run`

Only what the run was to measure is compared: a scan of one port, or one share of it, says nothing of the others. The first run
from a vantage is the beginning; nothing has changed in it. A run that is older than another from its vantage (a late import)
changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from reconshield.inventory import Array, Change, Measurement, diff, endpoints_of, is_flapping
from reconshield.jobs.coverage import is_among, load_doubted, load_measurement, plan_of
from reconshield.jobs.lookback import Past, earlier_runs, look_back, services_before
from reconshield.model import Endpoint, Risk, State
from reconshield.report.changes import RatedChange
from reconshield.report.result import NOT_BELIEVED, Summary
from reconshield.rows import join
from reconshield.store.changes import KeptChange, add_changes, list_changes
from reconshield.store.db import Store
from reconshield.store.exposures import Turn, open_before, save_turns
from reconshield.store.observations import STORED
from reconshield.store.runs import Run, finish_run, has_later_run

if TYPE_CHECKING:
    from reconshield.jobs.context import Context
    from reconshield.policy import Policy


@dataclass(frozen=True, slots=True)
class Found:
    """What changed in a run. `is_current`: nothing later was measured from its vantage, so it says how things are now."""

    run: Run
    changes: tuple[RatedChange, ...] = ()
    is_current: bool = True


def end_run(
    store: Store, run: Run, summary: Summary, at: float, *, policy: Policy | None = None, unconfirmed: Collection[Endpoint] = ()
) -> Found:
    """End a run: what changed, and that it has ended, in one transaction; so nothing is told of a run that did not end."""
    found = find_changes(store, replace(run, finished=at), policy, unconfirmed)
    with store.together() as one:
        save_changes(one, found)
        finish_run(one, run.id, summary.state, asdict(summary), at)
    return found


def find_changes(store: Store, run: Run, policy: Policy | None, unconfirmed: Collection[Endpoint] = ()) -> Found:
    """Compare a run with all that was known before it. `unconfirmed` answered again when they were asked once more.

    The policy decides, beside facts, what a change is worth.
    """
    if has_later_run(store, run):
        return Found(run, is_current=False)
    earlier, known = earlier_runs(store, run), open_before(store, run.vantage)
    if not earlier and len(known) == 0:
        return Found(run)
    after = load_measurement(store, run)
    known = known[in_reach(run, after, known) & ~is_among(known, load_doubted(store, run))]
    differing = rows_that_differ(known, after.observations)
    past = look_back(store, earlier, differing)
    before = compose_before(store, earlier, known, differing, past, after)
    places = {endpoint: row for row, endpoint in enumerate(endpoints_of(differing))}
    changes = [
        replace(change, flapping=flaps(change, past, places))
        for change in diff(before, after)
        if change.endpoint not in unconfirmed or change.kind != "closed"
    ]
    if not changes:
        return Found(run)
    from reconshield.jobs.context import load_context

    context = load_context(store, run, policy, new_only=True)
    return Found(run, tuple(rate_change(context, change) for change in changes))


def in_reach(run: Run, after: Measurement, rows: Array) -> Array:
    """Which endpoints the run was to measure itself (its share of the plan), or has an answer of."""
    reached, plan = is_among(rows, after.observations), plan_of(run)
    if plan is None or len(rows) == 0:
        return reached
    blocks = plan.block_of(rows["hi"], rows["lo"], rows["port"], rows["transport"])
    share, shares = run.options.get("shard", (0, 1))
    mine: Array = reached | ((blocks >= 0) & (blocks % shares == share))
    return mine


def rows_that_differ(known: Array, observations: Array) -> Array:
    """Endpoints that are open on one side alone."""
    now = observations.compress(observations["state"] == State.OPEN)
    return join([known.compress(~is_among(known, now)), now.compress(~is_among(now, known))])


def compose_before(
    store: Store, earlier: list[Run], known: Array, differing: Array, past: Past, after: Measurement
) -> Measurement:
    """One measurement of all that was known: what stayed open, and what differs as it was last seen."""
    stayed = known.compress(~is_among(known, differing))
    last, in_table = differing.copy(), is_among(differing, known)
    seen = (past.state == State.OPEN) | ~in_table & (past.state > 0)
    last["state"][seen], last["at"][seen] = past.state[seen], past.at[seen]
    # What stands in the table of exposures is open, whoever remembers it; what else nobody remembers was never measured.
    kept = in_table | seen
    asked = {*after.services, *endpoints_of(differing[in_table])}
    spoken = services_before(store, earlier, asked) if asked else {}
    rows = join([stayed, last.compress(kept).astype(STORED)])
    return Measurement(rows, after.vantage, after.at, services=spoken)


def flaps(change: Change, past: Past, places: dict[Endpoint, int]) -> bool:
    """Whether an endpoint that opened or closed has been doing so all the time."""
    row = places.get(change.endpoint)
    if row is None or change.kind not in {"opened", "closed"}:
        return False
    return is_flapping([change.kind == "opened", *past.turns(row)])


def rate_change(context: Context, change: Change) -> RatedChange:
    """A change with the risk of the endpoint now, or of what is gone."""
    service = change.service_after or change.service_before
    opened = (change.last_seen, change.first_seen) if change.kind == "opened" else None
    risk: Risk | None = context.rate(service, opened).risk if service else None
    values = {name: getattr(change, name) for name in Change.__slots__}
    return RatedChange(**values, risk=risk)


def save_changes(store: Store, found: Found) -> None:
    """Keep what a run found; to be called in the transaction that ends it."""
    if not found.is_current:
        return
    opened = [turn_of(change) for change in found.changes if change.kind == "opened"]
    closed = [turn_of(change) for change in found.changes if change.kind == "closed"]
    save_turns(store, found.run, opened, closed, NOT_BELIEVED)
    add_changes(store, found.run, [KeptChange(**{n: getattr(c, n) for n in KeptChange.__slots__}) for c in found.changes])


def turn_of(change: RatedChange) -> Turn:
    assert change.first_seen is not None  # noqa: S101 - what opened or closed was measured now
    return Turn(change.endpoint, change.last_seen, change.first_seen)


def load_changes(store: Store, run_id: str | None = None, since: float | None = None) -> list[tuple[str, RatedChange]]:
    """Kept changes with the run that found them."""
    return [
        (run, RatedChange(**{name: getattr(change, name) for name in KeptChange.__slots__}))
        for run, change in list_changes(store, run_id, since)
    ]
