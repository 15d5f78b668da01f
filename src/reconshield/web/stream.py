"""A scan as it goes, as server-sent events: parts of the page, ready to be put in their place.

    progress   the part with bar, figures and what was found, a few times a second at most
    ended      once; the page then asks for the result
    gone       the visitor may no longer see it: the session has ended

One part is rendered once a state, however many watch. A scan that another process runs is seen through what it saved.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import lru_cache

from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from reconshield.jobs.live_state import LiveState, stored_state
from reconshield.web.call import Call
from reconshield.web.door import find_visitor
from reconshield.web.frame import app_environment
from reconshield.web.heavy import Seat

PACE = 0.5
LOOK_EVERY = 2.0
"""Seconds between two looks at a run that another process measures."""
ASK_AGAIN = 1.0
"""Seconds after which a stream asks whether its visitor may still see it."""
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def stream_of(call: Call, run_id: str) -> StreamingResponse:
    seat = Seat(call.who.workspace, call.who.account)
    return StreamingResponse(events(call, run_id, seat), media_type="text/event-stream", headers=HEADERS)


async def events(call: Call, run_id: str, seat: Seat) -> AsyncIterator[str]:
    try:
        async for part in parts_of(call, run_id):
            yield part
    finally:
        seat.leave()


async def parts_of(call: Call, run_id: str) -> AsyncIterator[str]:
    asked = call.site.clock()
    async for state in states_of(call, run_id):
        if call.site.clock() - asked >= ASK_AGAIN:
            if not await run_in_threadpool(still_allowed, call):
                yield event("gone", "")
                return
            asked = call.site.clock()
        yield event("progress", live_part(state))
        if state.phase == "ended":
            yield event("ended", "")
            return


def still_allowed(call: Call) -> bool:
    """Whether the session is still one of the same account in the same workspace."""
    found = find_visitor(call.site, call.request, call.site.clock(), by_token=False)
    return found is not None and (found.account, found.workspace) == (call.who.account, call.who.workspace)


async def states_of(call: Call, run_id: str) -> AsyncIterator[LiveState]:
    """The states of a scan of this process, else what the store knows, to the end of the run."""
    workspace, ended = call.who.workspace, False
    async for state in call.site.live.changes(workspace, run_id, pace=PACE):
        ended = state.phase == "ended"
        yield state
    while not ended:
        state = await run_in_threadpool(stored_state, call.store, run_id)
        ended = state.phase == "ended"
        yield state
        await asyncio.sleep(0 if ended else LOOK_EVERY)


@lru_cache(64)
def live_part(state: LiveState) -> str:
    return app_environment().get_template("run_live.html.j2").render(state=state)


def event(name: str, data: str) -> str:
    """One event: every line of its data is a line of its own."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n"
