"""Scheduled scans as durable workflows (dbos): whatever process is killed at whatever moment, another one goes on.

    scan        begin -> one share for each process that measures from the vantage -> identify -> conclude
    begin, share, identify      run where the vantage is: on a monitor or worker that has it
    conclude                    runs on a monitor, which has the policy

Each is a workflow on a queue, each call into `jobs.scheduled` one step; so a step is a share of blocks, never a port. What a
step has saved is in our own store under keys of its own ((run, block), endpoint, occurrence), so a step that is done again
finds it there. dbos brings the queues and the record of what is done; it does not notice that a process died, hence `rescue`.

Only its MIT-licensed part is used: no Conductor, no automatic upgrades. Import this module late: dbos takes a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID
from sqlalchemy.engine import URL

from reconshield.addresses import AddressSet, parse_target
from reconshield.jobs import executors, scheduled
from reconshield.jobs.scheduled import Begun, Part
from reconshield.schedule import Opening
from reconshield.scope import union_of
from reconshield.settings import Settings
from reconshield.store import occurrences as kept
from reconshield.store.db import Store, make_file
from reconshield.store.failures import explained
from reconshield.store.occurrences import Executor, Occurrence
from reconshield.text import iso_time

APPLICATION, VERSION = "reconshield", "reconshield-1"
"""The version is raised only when the order of steps changes: a workflow that began under another one is not taken up."""
POLL = 1.0
AT_ONCE = 4
MOST_SHARES = 16
KEEP = 7 * 86400.0
FINISHED_BADLY = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
FOR_EVER = 1_000_000_000
"""Recoveries of one workflow: a kill is nothing unusual here, so they are not counted."""

Conclude = Callable[[Occurrence, Begun, Sequence[Part]], str]


class Durable:
    """The workflows of one process. There is one in a process, for dbos keeps a registry of its own."""

    def __init__(
        self, store: Store, settings: Settings, me: Executor, clock: Callable[[], float], conclude: Conclude | None
    ) -> None:
        """`conclude` is what a monitor does at the end of a scan; None makes a worker, which measures only."""
        self.store, self.settings, self.me, self.clock, self.conclude = store, settings, me, clock, conclude
        self.scans = scans_queue(store.workspace)
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": workflow_database(store),
            "application_version": VERSION,
            "executor_id": me.name,
            "console_log_level": "ERROR",
            "use_listen_notify": False,
            "scheduler_polling_interval_sec": 3600.0,
        }
        logging.getLogger("dbos").propagate = False
        DBOS(config=config)
        self._register()
        mine = [self.measuring(me.vantage), *([self.scans] if conclude else [])]
        DBOS.listen_queues(mine)
        DBOS.launch()
        if conclude:
            DBOS.register_queue(self.scans, worker_concurrency=AT_ONCE, polling_interval_sec=POLL)
        # A process takes one share of a scan at a time, or the first to look would take them all; and of several scans at once.
        measuring = self.measuring(me.vantage)
        DBOS.register_queue(measuring, worker_concurrency=AT_ONCE, partition_worker_concurrency=1, polling_interval_sec=POLL)

    def measuring(self, vantage: str) -> str:
        """The queue of what is measured from a vantage."""
        return measuring_queue(self.store.workspace, vantage)

    def _register(self) -> None:
        """Every workflow by an explicit name: what is in the database is found by it."""

        @DBOS.workflow(name="scan", max_recovery_attempts=FOR_EVER)
        def scan(schedule: str, slot: float, attempt: int, until: float | None, dark: list[str]) -> str:
            occurrence = self._occurrence(schedule, slot, attempt)
            queue = self.measuring(occurrence.request["vantage"])
            parts: list[dict[str, Any]] = []
            with SetEnqueueOptions(queue_partition_key=f"{schedule}/{slot:.0f}"):
                begun = DBOS.enqueue_workflow(queue, begin, schedule, slot, attempt, dark).get_result()
                if begun["run"] is not None:
                    rest = (begun["shares"], occurrence.request["rate"], until)
                    shares = [DBOS.enqueue_workflow(queue, share, begun["run"], n, *rest) for n in range(begun["shares"])]
                    parts += [handle.get_result() for handle in shares]
                    parts.append(DBOS.enqueue_workflow(queue, identify, begun["run"], until).get_result())
            return DBOS.run_step({"name": "conclude"}, self._conclude, schedule, slot, attempt, begun, parts)

        @DBOS.workflow(name="begin", max_recovery_attempts=FOR_EVER)
        def begin(schedule: str, slot: float, attempt: int, dark: list[str]) -> dict[str, Any]:
            return DBOS.run_step({"name": "begin"}, self._begin, schedule, slot, attempt, dark)

        @DBOS.workflow(name="share", max_recovery_attempts=FOR_EVER)
        def share(run: str, number: int, of: int, rate: float | None, until: float | None) -> dict[str, Any]:
            return DBOS.run_step({"name": "share"}, self._share, run, number, of, rate, until)

        @DBOS.workflow(name="identify", max_recovery_attempts=FOR_EVER)
        def identify(run: str, until: float | None) -> dict[str, Any]:
            return DBOS.run_step({"name": "identify"}, self._identify, run, until)

        self._scan = scan

    def _occurrence(self, schedule: str, slot: float, attempt: int) -> Occurrence:
        found = kept.find_occurrence(self.store, schedule, slot)
        if found is None:
            raise LookupError(f"no occurrence {schedule} {slot}")
        return replace(found, attempts=attempt)

    def _begin(self, schedule: str, slot: float, attempt: int, dark: list[str]) -> dict[str, Any]:
        """The run, and into how many shares it is cut: one for each process that measures from here."""
        area = union_of(found for text in dark if (found := parse_target(text, wide=True).addresses) is not None)
        now = self.clock()
        begun = scheduled.begin(self.store, self.settings, self._occurrence(schedule, slot, attempt), area, now)
        here = [executor for executor in executors.living(self.store, now) if executor.vantage == self.me.vantage]
        return asdict(begun) | {"shares": max(min(len(here), begun.blocks, MOST_SHARES), 1)}

    def _share(self, run: str, number: int, of: int, rate: float | None, until: float | None) -> dict[str, Any]:
        return asdict(scheduled.measure(self.store, self.settings, run, (number, of), rate, until, self.clock))

    def _identify(self, run: str, until: float | None) -> dict[str, Any]:
        return asdict(scheduled.identify(self.store, self.settings, run, until, self.clock))

    def _conclude(self, schedule: str, slot: float, attempt: int, begun: dict[str, Any], parts: list[dict[str, Any]]) -> str:
        if self.conclude is None:
            raise RuntimeError("a worker has no policy to conclude with")
        known = Begun(**{name: begun[name] for name in Begun.__slots__})
        return self.conclude(self._occurrence(schedule, slot, attempt), known, [Part.of(part) for part in parts])

    def start(self, occurrence: Occurrence, opening: Opening, dark: AddressSet) -> None:
        """Put a scan into the queue; the same attempt of the same slot a second time changes nothing."""
        with explained(self.store.where), SetWorkflowID(self.workflow_id(occurrence)):
            DBOS.enqueue_workflow(
                self.scans,
                self._scan,
                occurrence.schedule,
                occurrence.slot,
                occurrence.attempts,
                opening.until,
                list(dark.cidrs()),
            )

    def workflow_id(self, occurrence: Occurrence) -> str:
        return f"{self.store.workspace}/{occurrence.schedule}/{occurrence.slot:.0f}/{occurrence.attempts}"

    def rescue(self, now: float) -> int:
        """Give what dead processes were at back to its queue; how many workflows.

        A process that is taken for dead and lives does its step twice at most: what steps save has keys.
        """
        alive = executors.living(self.store, now)
        with explained(self.store.where):
            pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
            mine = [workflow for workflow in pending if is_queue_of(self.store.workspace, workflow.queue_name)]
            left = [workflow for workflow in mine if executors.is_dead(workflow.executor_id, alive)]
            for workflow in left:
                DBOS.resume_workflow(workflow.workflow_id, queue_name=workflow.queue_name)
        return len(left)

    def ended_badly(self, occurrence: Occurrence) -> str | None:
        """Why the workflow of a running occurrence will never end it: it was never queued, or it failed. None when it may."""
        with explained(self.store.where):
            status = DBOS.get_workflow_status(self.workflow_id(occurrence))
        if status is None:
            return "lost"
        if status.status in FINISHED_BADLY or status.status == "SUCCESS":
            return f"{type(status.error).__name__}: {status.error}" if status.error else status.status.lower()
        return None

    def sweep_out(self, now: float) -> None:
        """Delete the record of workflows that ended long ago."""
        kinds = ["SUCCESS", *FINISHED_BADLY]
        with explained(self.store.where):
            old = DBOS.list_workflows(
                status=kinds, completed_before=iso_time(now - KEEP), limit=1000, load_input=False, load_output=False
            )
            if old:
                DBOS.delete_workflows([workflow.workflow_id for workflow in old])


def scans_queue(workspace: str) -> str:
    """Where scans wait for a monitor. A workspace has no slash in its name, so queues of two are never confused."""
    return f"scans/{workspace}"


def measuring_queue(workspace: str, vantage: str) -> str:
    """Where parts of scans wait for a process at their vantage."""
    return f"measure/{workspace}/{vantage}"


def is_queue_of(workspace: str, queue: str | None) -> bool:
    """Whether a queue belongs to a workspace: only its monitors know which of its processes live."""
    return queue is not None and (queue == scans_queue(workspace) or queue.startswith(measuring_queue(workspace, "")))


def workflow_database(store: Store) -> str:
    """Where dbos keeps its record: a file beside ours, private as ours is, or a schema of its own in the same PostgreSQL."""
    if store.path is None:
        return store.engine.url.render_as_string(hide_password=False)
    path = Path(f"{store.path}-work")
    make_file(path, create=True)
    return URL.create("sqlite", database=str(path)).render_as_string()
