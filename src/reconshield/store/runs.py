"""Runs at rest: one execution of a plan, from its start to its summary.

A run is made when the scan starts, before the first packet, so a killed scan can be found and resumed: its plan gives the same
permutation again, its blocks say what is done (`observations`).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Literal

from sqlalchemy import Select, and_, func, insert, or_, select, update

from reconshield.errors import UserError
from reconshield.model import Json
from reconshield.store.db import Store, take_turns
from reconshield.store.tables import RUNS

RunState = Literal["running", "complete", "partial", "failed"]


IN_TIME = (RUNS.c.started, RUNS.c.key)
"""The order of runs. Two that began in the same second have ids in any order; the key tells which was made first."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of a run. `plan` holds target ranges, port ranges, seed and block size; `options` the command's flags."""

    id: str
    state: RunState
    engine: str
    vantage: str
    level: int
    started: float
    plan: Json
    grants: tuple[str, ...] = ()
    options: Json = field(default_factory=dict)
    finished: float | None = None
    summary: Json | None = None


def new_run_id(now: float) -> str:
    """`20261123-130402-9c1f`: the start in UTC, so that ids sort by time, and four random digits."""
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def create_run(
    store: Store,
    *,
    plan: Json,
    engine: str,
    vantage: str,
    grants: Sequence[str],
    level: int,
    now: float,
    options: Json | None = None,
) -> Run:
    """Begin a run; it is `running` until `finish_run`."""
    with store.begin() as connection:
        take_turns(connection, "runs")
        taken = set(connection.execute(select(RUNS.c.id).where(RUNS.c.workspace == store.workspace)).scalars())
        run_id = new_run_id(now)
        while run_id in taken:
            run_id = new_run_id(now)
        run = Run(run_id, "running", engine, vantage, level, now, dict(plan), tuple(grants), dict(options or {}))
        fields = {name: getattr(run, name) for name in Run.__slots__} | {"grants": list(run.grants)}
        highest = connection.execute(select(func.coalesce(func.max(RUNS.c.key), 0))).scalar_one()
        connection.execute(insert(RUNS).values(workspace=store.workspace, key=highest + 1, **fields))
    return run


def run_key(store: Store, run_id: str) -> Select[int]:
    """The query for the number that stands for this run in `observations`; it finds none of another workspace."""
    return select(RUNS.c.key).where(RUNS.c.workspace == store.workspace, RUNS.c.id == run_id)


def finish_run(store: Store, run_id: str, state: RunState, summary: Json | None, at: float) -> None:
    """Say how a run ended. A `partial` one may be resumed and finished again."""
    change_run(store, run_id, {"state": state, "summary": dict(summary) if summary is not None else None, "finished": at})


def reopen_run(store: Store, run_id: str) -> None:
    """A run that is resumed is running again."""
    change_run(store, run_id, {"state": "running", "finished": None})


def note_ending(store: Store, run_id: str, note: Json) -> None:
    """Keep how a run was ended beside its options: `{"how": "paused", …}`."""
    change_options(store, run_id, {"ending": dict(note)})


def claim_run(store: Store, run_id: str, owner: Json) -> None:
    """Keep which process measures a run; it runs, whatever ended it before."""
    change_options(store, run_id, {"owner": dict(owner), "ending": None})


def change_options(store: Store, run_id: str, values: Json) -> None:
    """Keep something beside the options that a run was begun with; None takes it away."""
    where = (RUNS.c.workspace == store.workspace, RUNS.c.id == run_id)
    with store.begin() as connection:
        kept = connection.execute(select(RUNS.c.options).where(*where).with_for_update()).scalar_one()
        options = {name: value for name, value in (kept | values).items() if value is not None}
        connection.execute(update(RUNS).where(*where).values(options=options))


def running_everywhere(store: Store) -> list[tuple[str, Run]]:
    """The runs of all workspaces that are said to be running, with their workspace."""
    query = select(RUNS).where(RUNS.c.state == "running").order_by(*IN_TIME)
    with store.read() as connection:
        return [(row["workspace"], run_of(row)) for row in connection.execute(query).mappings()]


def change_run(store: Store, run_id: str, values: dict[str, Any]) -> None:
    where = (RUNS.c.workspace == store.workspace, RUNS.c.id == run_id)
    with store.begin() as connection:
        if connection.execute(update(RUNS).where(*where).values(values)).rowcount != 1:
            raise unknown_run(run_id, [])


def list_runs(store: Store, limit: int | None = None, vantage: str | None = None) -> list[Run]:
    """The newest runs first; with `vantage` only those from there."""
    query = select(RUNS).where(RUNS.c.workspace == store.workspace)
    if vantage is not None:
        query = query.where(RUNS.c.vantage == vantage)
    query = query.order_by(*(column.desc() for column in IN_TIME)).limit(limit)
    with store.read() as connection:
        return [run_of(row) for row in connection.execute(query).mappings()]


def has_later_run(store: Store, run: Run) -> bool:
    """Whether another run from the same vantage began after this one."""
    query = select(RUNS.c.id).where(
        RUNS.c.workspace == store.workspace, RUNS.c.vantage == run.vantage, RUNS.c.started > run.started
    )
    with store.read() as connection:
        return connection.execute(query.limit(1)).first() is not None


def run_of(row: Mapping[Any, Any]) -> Run:
    fields = {name: row[name] for name in Run.__slots__}
    return Run(**fields | {"grants": tuple(row["grants"])})


def find_run(store: Store, text: str) -> Run:
    """The run meant by `latest`, a whole id, or the beginning of exactly one; else `UserError` with the nearest ids."""
    wanted = text.strip().lower()
    with store.read() as connection:
        ids = list(
            connection.execute(select(RUNS.c.id).where(RUNS.c.workspace == store.workspace).order_by(*IN_TIME)).scalars()
        )
        found = match_id(ids, wanted)
        row = connection.execute(select(RUNS).where(RUNS.c.workspace == store.workspace, RUNS.c.id == found)).mappings().one()
    return run_of(row)


def get_run(store: Store, run_id: str) -> Run | None:
    """The run of exactly this id; None where the workspace has none."""
    query = select(RUNS).where(RUNS.c.workspace == store.workspace, RUNS.c.id == run_id)
    with store.read() as connection:
        row = connection.execute(query).mappings().first()
    return run_of(row) if row is not None else None


def page_of_runs(store: Store, limit: int, *, before: Run | None = None, states: Collection[str] = ()) -> list[Run]:
    """The newest runs first, of these states if any are named; those that began before a run, where one is given."""
    query = select(RUNS).where(RUNS.c.workspace == store.workspace)
    if states:
        query = query.where(RUNS.c.state.in_(states))
    if before is not None:
        mark = run_key(store, before.id).scalar_subquery()
        earlier = and_(RUNS.c.started == before.started, RUNS.c.key < mark)
        query = query.where(or_(RUNS.c.started < before.started, earlier))
    query = query.order_by(*(column.desc() for column in IN_TIME)).limit(limit)
    with store.read() as connection:
        return [run_of(row) for row in connection.execute(query).mappings()]


def count_states(store: Store) -> dict[str, int]:
    """How many runs there are in each state."""
    query = select(RUNS.c.state, func.count().label("number")).where(RUNS.c.workspace == store.workspace)
    with store.read() as connection:
        return {row.state: row.number for row in connection.execute(query.group_by(RUNS.c.state))}


def match_id(ids: list[str], wanted: str) -> str:
    """`ids` in the order of their runs, the newest last."""
    if not ids:
        raise UserError("there are no runs yet", where=wanted, hint="reconshield scan TARGET")
    if wanted == "latest":
        return ids[-1]
    hits = [run_id for run_id in ids if wanted and run_id.startswith(wanted)]
    if wanted in hits:
        return wanted
    if not hits:
        raise unknown_run(wanted, ids)
    if len(hits) > 1:
        hint = f"write more of it: {', '.join(hits[:-4:-1])}{' …' if len(hits) > 3 else ''}"
        raise UserError(f"{len(hits)} runs begin like this", where=wanted, hint=hint)
    return hits[0]


def unknown_run(wanted: str, ids: list[str]) -> UserError:
    near = get_close_matches(wanted, ids, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "reconshield runs"
    return UserError("there is no run of that id", where=wanted, hint=hint)
