"""Scans: planned, started, watched, stopped, resumed and removed. Nothing is exempt from grants here, not even this machine."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict, cast

from fastapi import Path
from pydantic import Field

from reconshield.jobs.dry_run import plan_data
from reconshield.jobs.live_state import stored_state
from reconshield.jobs.results import load_head, load_summary
from reconshield.jobs.runs import list_page, remove_old_runs, remove_run
from reconshield.jobs.scan import prepare_resume
from reconshield.jobs.scan_request import ScanRequest
from reconshield.jobs.times import parse_duration
from reconshield.report.line_types import RunLine, SummaryLine
from reconshield.report.lines import run_line, summary_line
from reconshield.report.listing import entry_line
from reconshield.store.runs import Run, RunState
from reconshield.text import iso_time
from reconshield.web.api.paging import Page, Paged, Paging, bad_cursor, write_cursor
from reconshield.web.api.router import PREFIX, Api, Made, once
from reconshield.web.api.shapes import StatePart, state_part
from reconshield.web.api.wishes import Targets, Wish
from reconshield.web.call import Call
from reconshield.web.door import ApiAdmin, ApiOperator, ApiViewer
from reconshield.web.failures import Conflict, Missing
from reconshield.web.runs import exact_run
from reconshield.web.start import prepare, start

ROUTER = Api("Scans")
RunId = Annotated[str, Path(description="Such as 20261123-130402-9c1f.")]
Rate = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Duration = Annotated[str, Field(max_length=8, pattern=r"^[0-9]{1,5}[hdw]$")]


class Limits(Wish):
    """How a scan may measure; each as on the command line."""

    engine: Literal["auto", "raw", "connect"] = "auto"
    manner: Literal["polite", "normal", "fast"] = "normal"
    rate: Annotated[Rate | None, Field(description="At most so many packets or connects a second.")] = None
    per_host: Annotated[Rate | None, Field(description="At most so many a second to one host.")] = None
    retries: Annotated[int | None, Field(ge=0, le=4, description="Ask silence so often again.")] = None
    touch_ot: Annotated[bool, Field(description="Ask Modbus and S7 ports who they are (read-only).")] = False


class NewScan(Limits):
    """What is to be measured."""

    targets: Annotated[Targets, Field(min_length=1)]
    exclude: Targets = ()
    ports: Annotated[str | None, Field(max_length=4096, description="22,1-99 · U:53 · pop3 · @mail")] = None
    top: Annotated[int | None, Field(ge=1, le=65535, description="The commonest TCP ports.")] = None
    udp: Annotated[bool, Field(description="The 100 commonest UDP ports too.")] = False
    level: Annotated[Literal[2, 3, 4] | None, Field(description="2 port scan, 3 identify, 4 assess. Default: the grant's.")] = (
        None
    )
    seed: Annotated[int | None, Field(ge=0, lt=2**63, description="Repeats the order of an earlier scan.")] = None


class HeldPortPart(TypedDict):
    """A port that gets no byte, and the kind of device that listens there."""

    port: int
    kind: str


class ScanPlanPart(TypedDict):
    """What a scan would send. Packets, bytes and seconds are from the least to the most."""

    v: Literal[1]
    type: Literal["plan"]
    targets: list[str]
    addresses: int
    ports: str
    endpoints: int
    blocks: int
    seed: int
    engine: str
    level: int
    grant: str | None
    not_measured: list[str]
    packets: list[int]
    bytes: list[int]
    seconds: list[float]
    held_back: list[HeldPortPart]


class ScanPart(TypedDict):
    """A run, how far it is, and its summary as far as it is measured."""

    run: RunLine
    state: StatePart
    summary: SummaryLine


class PruneWish(Wish):
    """Which runs are removed."""

    older: Annotated[Duration, Field(description="Runs that are older: 12h, 90d, 26w.")]


class PrunedPart(TypedDict):
    """Rows that were removed, by table."""

    removed: dict[str, Any]
    older_than: str


@ROUTER.post("/scans/plan")
def plan_scan(call: ApiOperator, wish: NewScan) -> ScanPlanPart:
    """What a scan would send, and under which grant; nothing is sent. The use of the grant is logged, as always."""
    return cast("ScanPlanPart", plan_data(prepare(call, wanted(call, wish))))


@ROUTER.post("/scans", status_code=202)
@once
def start_scan(call: ApiOperator, wish: NewScan) -> Made[StatePart]:
    """Measure in the background. Refused with 403 where no grant allows it; then nothing is sent."""
    return started(call, start(call, wanted(call, wish)))


@ROUTER.get("/scans")
def list_scans(call: ApiViewer, page: Paged, state: RunState | None = None) -> Page[RunLine]:
    """The runs of the workspace, the newest first, with how they ended and what they found."""
    found = list_page(call.store, page.limit, after=run_after(call, page), states=(state,) if state else ())
    follows = write_cursor((found.last,)) if found.last else None
    return {"items": [entry_line(row.entry) for row in found.rows], "next": follows}


@ROUTER.get("/scans/{run}")
def read_scan(call: ApiViewer, run: RunId) -> ScanPart:
    """One run: its head, how far it is, its counts."""
    found = exact_run(call, run)
    head = load_head(found)
    return {
        "run": run_line(head),
        "state": state_of(call, found),
        "summary": summary_line(found.id, load_summary(call.store, found)),
    }


@ROUTER.post("/scans/{run}/stop", status_code=202)
def stop_scan(call: ApiOperator, run: RunId) -> StatePart:
    """End a scan; what it has measured stays, and it can be resumed."""
    return ended(call, exact_run(call, run), call.site.live.stop)


@ROUTER.post("/scans/{run}/pause", status_code=202)
def pause_scan(call: ApiOperator, run: RunId) -> StatePart:
    """As stop, and remembered as paused."""
    return ended(call, exact_run(call, run), call.site.live.pause)


@ROUTER.post("/scans/{run}/resume", status_code=202)
@once
def resume_scan(call: ApiOperator, run: RunId, wish: Limits) -> Made[StatePart]:
    """Go on with a run where it stopped: its own plan, authorised anew."""
    found = exact_run(call, run)
    live = call.site.live.state(call.who.workspace, found.id)
    if live is not None and live.phase != "ended":
        raise Conflict("this run is being measured", where=found.id, hint="watch it, or stop it first")
    request, policy = request_of(call, wish), call.policy()[0]
    prepared = prepare_resume(call.store, found.id, request, call.now, call.settings.home, policy=policy)
    return started(call, call.site.live.start(call.store, prepared, call.actor))


@ROUTER.delete("/scans/{run}", status_code=204)
def delete_scan(call: ApiAdmin, run: RunId) -> None:
    """Remove a run with all it measured; grants, the audit log, and since when endpoints are open stay."""
    found = exact_run(call, run)
    live = call.site.live.state(call.who.workspace, found.id)
    if live is not None and live.phase != "ended":
        raise Conflict("this run is being measured", where=found.id, hint="stop it first")
    remove_run(call.store, found.id, call.now, call.actor)


@ROUTER.post("/scans/prune")
def prune_scans(call: ApiAdmin, wish: PruneWish) -> PrunedPart:
    """Remove old runs with all they measured; grants and the audit log stay."""
    before = call.now - parse_duration(wish.older, "older")
    return {"removed": remove_old_runs(call.store, before), "older_than": iso_time(before)}


def request_of(call: Call, wish: Limits, **fields: Any) -> ScanRequest:
    """The request that jobs understand."""
    return ScanRequest(
        **({"targets": ()} | fields),
        engine=wish.engine,
        manner=wish.manner,
        rate=wish.rate,
        per_host=wish.per_host,
        retries=wish.retries,
        touch_ot=wish.touch_ot,
        exempt_own=False,
        actor=call.actor,
    )


def wanted(call: Call, wish: NewScan) -> ScanRequest:
    names = ("targets", "exclude", "ports", "top", "udp", "level", "seed")
    return request_of(call, wish, **{name: getattr(wish, name) for name in names})


def started(call: Call, run_id: str) -> Made[StatePart]:
    return Made(state_of(call, exact_run(call, run_id)), f"{PREFIX}/scans/{run_id}")


def ended(call: Call, run: Run, how: Any) -> StatePart:
    """Ask a scan to end; one that has ended, or that another process runs, is not here to be asked."""
    state = call.site.live.state(call.who.workspace, run.id)
    if not how(call.store, run.id) and not (state is not None and state.stopping):
        if run.state != "running":
            raise Conflict("this run has ended", where=run.id, hint="resume it if it is partial")
        raise Conflict("this run is measured by another process", where=run.id, hint="stop it there")
    return state_of(call, run)


def state_of(call: Call, run: Run) -> StatePart:
    """The live state, else what the database tells."""
    return state_part(call.site.live.state(call.who.workspace, run.id) or stored_state(call.store, run.id))


def run_after(call: Call, page: Paging) -> Run | None:
    """The run that the page before ended with."""
    if page.after is None:
        return None
    try:
        return exact_run(call, str(page.after[0]))
    except Missing as error:
        raise bad_cursor() from error
