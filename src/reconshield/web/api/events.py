"""Progress as it happens: server-sent events, one for each newer state of a scan, to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from reconshield.jobs.live_state import LiveState, stored_state
from reconshield.text import json_text
from reconshield.web.api.router import Api, media
from reconshield.web.api.scans import RunId
from reconshield.web.api.shapes import state_part
from reconshield.web.call import Call
from reconshield.web.door import ApiViewer, find_visitor
from reconshield.web.heavy import Seat
from reconshield.web.runs import exact_run

ROUTER = Api("Scans")
LOOK_EVERY = 2.0
"""Seconds between two looks into the database at a run of another process."""
ASK_AGAIN = 1.0
"""Seconds after which it is asked again whether the visitor may still watch."""


@ROUTER.get("/scans/{run}/events")
@media({"text/event-stream": "`event: state` with the state as data, its version as id. The last one has the phase `ended`."})
def watch_scan(
    call: ApiViewer,
    run: RunId,
    last_event_id: Annotated[str | None, Header(max_length=20, description="Go on after this version.")] = None,
) -> Response:
    """Follow a scan. States come as they change, at most five a second, and at least every 15 seconds."""
    found = exact_run(call, run)
    seat = Seat(call.who.workspace, call.who.account)
    after = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdecimal() else 0
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events(call, found.id, after, seat), media_type="text/event-stream", headers=headers)


async def events(call: Call, run_id: str, after: int, seat: Seat) -> AsyncIterator[str]:
    """The stream, counted as one that this account watches."""
    try:
        async for text in texts(call, run_id, after):
            yield text
    finally:
        seat.leave()


async def texts(call: Call, run_id: str, after: int) -> AsyncIterator[str]:
    """What is sent. It ends with the scan, or when the visitor's session or token has ended."""
    asked, told = asyncio.get_running_loop().time(), False
    async for state in states(call, run_id, after):
        told = True
        yield event(state)
        now = asyncio.get_running_loop().time()
        if now - asked > ASK_AGAIN:
            asked = now
            if not await run_in_threadpool(still_allowed, call):
                return
    if not told:  # it had ended, and the visitor knows all of it; without an event it would ask for ever
        ended = call.site.live.state(call.who.workspace, run_id)
        if ended is None:
            ended = await run_in_threadpool(stored_state, call.store, run_id)
        yield event(ended)


def event(state: LiveState) -> str:
    return f"id: {state.version}\nevent: state\ndata: {json_text(state_part(state))}\n\n"


async def states(call: Call, run_id: str, after: int) -> AsyncIterator[LiveState]:
    """From the scan itself where it runs here, else from the database."""
    workspace = call.who.workspace
    if call.site.live.state(workspace, run_id) is not None:
        async for state in call.site.live.changes(workspace, run_id, after):
            yield state
        return
    while True:
        state = await run_in_threadpool(stored_state, call.store, run_id)
        yield state
        if state.phase == "ended":
            return
        await asyncio.sleep(LOOK_EVERY)


def still_allowed(call: Call) -> bool:
    visitor = find_visitor(call.site, call.request, call.site.clock(), True)
    return visitor is not None and visitor.workspace == call.who.workspace
