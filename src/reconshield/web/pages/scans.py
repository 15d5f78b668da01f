"""Scans: the list of runs, and the form that begins one. What one run is has its own pages (`runs`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from reconshield.errors import Refused, StoreError, UserError
from reconshield.jobs.evidence import parse_place
from reconshield.jobs.grants import list_grants
from reconshield.jobs.live_state import LiveState, stored_state
from reconshield.jobs.permission import Permission, look_up
from reconshield.jobs.results import load_head
from reconshield.jobs.runs import list_page
from reconshield.store.runs import count_states, page_of_runs
from reconshield.web.call import Call
from reconshield.web.door import Operator, Viewer
from reconshield.web.failures import Missing
from reconshield.web.frame import page, render
from reconshield.web.runs import exact_run
from reconshield.web.scan_form import ScanForm, form_of, form_values, plan_values, read_form, request_of
from reconshield.web.start import prepare, start
from reconshield.web.targets import read_target_lines

ROUTER = APIRouter(include_in_schema=False)
A_PAGE = 50
STATES = ("running", "complete", "partial", "failed")
MOST_RUNNING = 20
SHOWN_TARGETS = 20


@ROUTER.get("/scans")
def scans(call: Viewer, state: str = "", after: str = "") -> Response:
    """The runs of the workspace, those that are being measured first."""
    if state and state not in STATES:
        raise Missing(f"state {state[:20]}")
    before = exact_run(call, after) if after else None
    numbers = count_states(call.store)
    shown = list_page(call.store, A_PAGE, after=before, states=(state,) if state else ("complete", "partial", "failed"))
    running = running_states(call) if not before and state in {"", "running"} else []
    if state == "running":
        shown = replace(shown, rows=(), last=None)
    return page(
        call,
        "scans.html.j2",
        "scans",
        title="Scans",
        running=running,
        listed=shown,
        state=state,
        states=STATES,
        numbers=numbers,
        total=sum(numbers.values()),
        granted=bool(numbers) or any(g.valid_at(call.now) and g.level >= 2 for g in list_grants(call.store)),
        further=bool(before),
    )


@ROUTER.get("/scans/running")
def show_running(call: Viewer) -> Response:
    """The part of the list that changes while one looks at it."""
    return HTMLResponse(render(call, "scans_running.html.j2", running=running_states(call), ended=True))


def running_states(call: Call) -> list[tuple[Any, LiveState]]:
    """What is being measured or waits, with the head of each: here with all that is known, elsewhere as far as it is saved."""
    here = {state.run: state for state in call.site.live.running(call.who.workspace)}
    found = page_of_runs(call.store, MOST_RUNNING, states=("running",))
    return [(load_head(run), here.get(run.id) or stored_state(call.store, run.id)) for run in found]


@ROUTER.get("/scans/new")
def new_scan(call: Operator, again: str = "", endpoint: str = "", targets: str = "", ports: str = "") -> Response:
    """The form: empty, or filled with what another page proposes. Nothing is planned or sent before somebody asks for it."""
    form = ScanForm(targets=targets[:4000].replace(",", "\n"), ports=ports[:400])
    if again:
        run = exact_run(call, again)
        place = parse_place(endpoint[:100]) if endpoint else None
        wanted = load_head(run).ports
        if place and place.port is not None:
            wanted = f"U:{place.port}" if place.transport == "udp" else str(place.port)
        form = form_of(run, wanted, place.host if place else None)
    return show_form(call, form)


@ROUTER.post("/scans/targets")
def check_targets(call: Operator) -> Response:
    """What the grants say of the targets while they are typed. Nothing is looked up outside of the grants."""
    try:
        lines = read_target_lines(call.text("targets", 200_000))
    except UserError as error:
        found = [Permission(error.where or "", "mistake", why=(error.message,))]
        return HTMLResponse(render(call, "scan_targets.html.j2", permissions=found, more=0))
    found = look_up(call.store, lines[:SHOWN_TARGETS], call.now)
    return HTMLResponse(render(call, "scan_targets.html.j2", permissions=found, more=len(lines) - len(found)))


@ROUTER.post("/scans/plan")
def plan_scan(call: Operator) -> Response:
    """What would be sent, under which grant; nothing is. In place, or the whole page with the form as it was typed."""
    form, part = ScanForm(), bool(call.request.headers.get("hx-request"))
    try:
        form = read_form(call)
        values = plan_values(prepare(call, request_of(form)), call.policy()[1])
    except StoreError:
        raise
    except UserError as error:
        if part:
            status = 403 if isinstance(error, Refused) else 422
            return HTMLResponse(render(call, "scan_refused.html.j2", error=error, refused=status == 403), status)
        return refuse(call, form, error)
    if part:
        return HTMLResponse(render(call, "scan_plan.html.j2", **values))
    return show_form(call, form, planned=values)


@ROUTER.post("/scans")
def start_scan(call: Operator) -> Response:
    """Authorise, begin, and go to the run. A mistake or a refusal shows the form again; nothing was sent then."""
    form = ScanForm()
    try:
        form = read_form(call)
        run_id = start(call, request_of(form))
    except StoreError:
        raise
    except UserError as error:
        return refuse(call, form, error)
    return RedirectResponse(f"/scans/{run_id}", 303)


def refuse(call: Call, form: ScanForm, error: UserError) -> Response:
    return show_form(call, form, error=error, status=403 if isinstance(error, Refused) else 422)


def show_form(
    call: Call, form: ScanForm, *, error: UserError | None = None, planned: dict[str, Any] | None = None, status: int = 200
) -> Response:
    grants = [grant for grant in list_grants(call.store) if grant.valid_at(call.now) and grant.level >= 2]
    lines = [line for line in form.targets.splitlines() if line.strip()][:SHOWN_TARGETS]
    typed = [line for line in lines if not line.strip().startswith(("@", "-", "#"))]
    return page(
        call,
        "scan_new.html.j2",
        "scans",
        status,
        title="New scan",
        grants=grants,
        planned=planned,
        permissions=look_up(call.store, [line.strip() for line in typed], call.now),
        more=0,
        refused=isinstance(error, Refused),
        **form_values(form, error),
    )
