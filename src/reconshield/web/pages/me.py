"""`/me`: what does the internet see of you? Measures the visitor's own address, which only the connection tells, never a field.

Off unless `serve --scan-me`. A visitor needs no account: the request is a grant of fifteen minutes for this one address, and
both are in the audit log. One measurement an address an hour, a few at a time for everybody; the commonest ports only. This
machine and its loopback are never a visitor: a proxy that nobody named would make everybody look as if they came from there.
"""

from __future__ import annotations

import hmac
import threading
from hashlib import sha256

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from reconshield import host
from reconshield.addresses import LOOPBACK, AddressSet
from reconshield.errors import Refused, UserError
from reconshield.jobs import grants
from reconshield.jobs.live_state import LiveState, stored_state
from reconshield.jobs.results import load_result
from reconshield.jobs.scan import prepare_scan
from reconshield.jobs.scan_request import ScanRequest
from reconshield.report import answer
from reconshield.report.answer import find_exposures
from reconshield.store.db import Store
from reconshield.web.call import Call
from reconshield.web.door import Anyone
from reconshield.web.failures import Missing
from reconshield.web.frame import page
from reconshield.web.policies import current_policy
from reconshield.web.visitors import REASON

ROUTER = APIRouter(include_in_schema=False)
PORTS = 100
LEVEL = 3
GRANT_SECONDS, PAUSE_SECONDS = 900.0, 3600.0
AT_ONCE = 4
COOKIE = "rs_me"
ONE_BY_ONE = threading.Lock()
"""Of two requests of one address at the same moment the second one sees what came of the first."""


@ROUTER.get("/me")
def show(call: Anyone) -> Response:
    """The address as the connection shows it, and how far its measurement is if this browser asked for one."""
    refuse_if_off(call)
    run = run_of(call)
    state = state_of(call, run) if run else None
    return me_page(call, state)


@ROUTER.post("/me")
def measure(call: Anyone) -> Response:
    refuse_if_off(call)
    refuse_unproved(call)
    store, address = store_of(call), call.client
    try:
        refuse_own(address)
        with ONE_BY_ONE:
            refuse_too_soon(call, store, address)
            run = begin(call, store, address)
    except UserError as error:
        return me_page(call, None, error)
    response = RedirectResponse("/me", 303)
    response.set_cookie(
        COOKIE,
        f"{run}.{seal(call, run)}",
        max_age=int(PAUSE_SECONDS),
        httponly=True,
        samesite="strict",
        secure=call.site.secure,
    )
    return response


def begin(call: Call, store: Store, address: str) -> str:
    """Write down that the visitor allows it, and start; the id of the run."""
    actor = f"visitor:{address}"
    grants.add_grant(
        store,
        [address],
        by=f"visitor at {address}",
        now=call.now,
        level=LEVEL,
        until=call.now + GRANT_SECONDS,
        reason=REASON,
        actor=actor,
    )
    request = ScanRequest(targets=(address,), top=PORTS, level=LEVEL, manner="polite", exempt_own=False, actor=actor)
    policy, _ = current_policy(call.site.policy_path(store.workspace))
    return call.site.live.start(store, prepare_scan(store, call.site.settings, request, call.now, policy=policy), actor)


def refuse_if_off(call: Call) -> None:
    if not call.site.scan_me:
        raise Missing("/me")


def refuse_unproved(call: Call) -> None:
    """The form carries what the page gave to this address; another site cannot know it."""
    if not hmac.compare_digest(call.text("proof", 64).encode(), seal(call, call.client).encode()):
        raise UserError("the request did not come from this page", where="/me", hint="load the page again")


def refuse_own(address: str) -> None:
    if not address or AddressSet.of(address) & (LOOPBACK | host.own_addresses()):
        raise Refused(
            "this is an address of the server itself. Nothing was sent.",
            where=address or "no address",
            hint="behind a reverse proxy: reconshield serve --proxy ADDRESS",
        )


def refuse_too_soon(call: Call, store: Store, address: str) -> None:
    """One an hour for each address, and few at once for all."""
    mine = [grant for grant in grants.list_grants(store) if grant.by == f"visitor at {address}"]
    if mine and call.now - mine[-1].created_at < PAUSE_SECONDS:
        raise UserError("this address was measured within the last hour", where=address, hint="come back in an hour")
    if len([state for state in call.site.live.running(store.workspace) if (state.by or "").startswith("visitor:")]) >= AT_ONCE:
        raise UserError("several visitors are being measured", where=address, hint="try again in a minute")


def store_of(call: Call) -> Store:
    """Visitors belong to the workspace that the app was started for."""
    return call.site.store


def seal(call: Call, text: str) -> str:
    return hmac.new(call.site.secret, text.encode(), sha256).hexdigest()[:32]


def run_of(call: Call) -> str:
    """The run that this browser asked for; a cookie that was not given by this process names none."""
    run, _, sealed = call.request.cookies.get(COOKIE, "").partition(".")
    return run if run and hmac.compare_digest(sealed.encode(), seal(call, run).encode()) else ""


def state_of(call: Call, run: str) -> LiveState | None:
    try:
        return call.site.live.state(store_of(call).workspace, run) or stored_state(store_of(call), run)
    except UserError:  # pruned meanwhile
        return None


def me_page(call: Call, state: LiveState | None, error: UserError | None = None) -> Response:
    result = load_result(store_of(call), state.run) if state is not None and state.phase == "ended" else None
    exposures = find_exposures(result) if result else []
    return page(
        call,
        "me.html.j2",
        "",
        (403 if isinstance(error, Refused) else 422) if error else 200,
        title="What is open on your address?",
        address=call.client,
        state=state,
        result=result,
        exposures=exposures,
        sentence=answer.answer_text(result, exposures) if result else "",
        ports=PORTS,
        proof=seal(call, call.client),
        error=error,
    )
