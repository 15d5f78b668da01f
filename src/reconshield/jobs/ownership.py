"""Which process measures a run, so that no two do, and that a run whose process died is not taken for one that goes on.

A scan claims its run when it begins (`jobs.scan.run_scan`, `jobs.live`): machine, number and start of the process. Runs of
schedules have no owner: any worker may measure any part of them, and `jobs.durable` knows who lives. Of a process on another
machine nothing is known here, so its run is left alone.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, replace

from reconshield.errors import UserError
from reconshield.host.processes import is_running, machine_name, this_process
from reconshield.jobs.coverage import is_import
from reconshield.jobs.results import summarise
from reconshield.model import Json
from reconshield.scan.plan import Plan
from reconshield.store.db import Store
from reconshield.store.runs import Run, finish_run, note_ending, running_everywhere

LOG = logging.getLogger("reconshield.live")
DIED = "the process that measured it ended without a word"


def this_owner() -> Json:
    """This process, as a run keeps it."""
    pid, started = this_process()
    return {"machine": machine_name(), "pid": pid, "started": started}


def lives(run: Run) -> bool | None:
    """Whether the process that measures a run still does; None where that cannot be known from here."""
    owner = run.options.get("owner")
    if run.state != "running" or not owner or owner["machine"] != machine_name():
        return None
    return is_running(owner["pid"], owner["started"])


def refuse_owned(run: Run) -> None:
    """A run that another process of this machine is measuring is not resumed: it would be measured twice."""
    if lives(run) and run.options["owner"]["pid"] != this_process()[0]:
        pid = run.options["owner"]["pid"]
        raise UserError(
            f"this run is being measured, by process {pid}", where=run.id, hint="wait for its end, or stop it first"
        )


def end_abandoned(store: Store, now: float) -> list[str]:
    """End as partial, in every workspace, the runs whose process on this machine is gone; their ids."""
    ended = []
    for workspace, run in running_everywhere(store):
        if lives(run) is not False or is_import(run):
            continue
        try:
            share = Plan.from_json(run.plan).shard(*run.options.get("shard", (0, 1)))
            end_early(replace(store, workspace=workspace), run, share, DIED, now)
        except UserError as error:  # a plan of another version, a damaged block: no reason to end the others not
            LOG.warning("run %s of a process that is gone could not be ended: %s", run.id, error.message)
            continue
        ended.append(run.id)
    return ended


def end_early(store: Store, run: Run, share: range, error: str, now: float) -> None:
    """End a run as far as it came, with what went wrong; it can be resumed."""
    summary = summarise(store, run, share, max(0.0, now - run.started), 0, None, ())
    note_ending(store, run.id, {"how": "crashed", "error": error, "at": now})
    finish_run(store, run.id, "partial", asdict(replace(summary, state="partial")), now)
