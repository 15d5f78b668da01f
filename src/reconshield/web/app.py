"""The application: every route behind its door, every answer with its headers, every failure with words.

make_app(site)      routes of pages/ and api/, the files of static/
Guarded             around it all
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from reconshield import __version__
from reconshield.web import api, failures, pages, static_files
from reconshield.web.call import Site
from reconshield.web.headers import Guarded
from reconshield.web.limits import Limits

ENDING_PATIENCE = 10.0
"""Seconds that running scans get to save what they measured when the app ends."""


def make_app(site: Site) -> FastAPI:
    """The app over an open store."""
    app = FastAPI(
        title="ReconShield",
        version=__version__,
        description="Service-exposure intelligence: the same as the command line, for programs. Measure only what you may.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
    )
    app.state.site = site
    app.state.limits = Limits()
    for router in (*pages.ROUTERS, *api.ROUTERS, static_files.ROUTER):
        app.include_router(router)
    failures.install(app)
    app.add_middleware(Guarded, secure=site.secure, names=site.names)
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What an app that was killed left running is ended when the next one starts. When the app ends, running scans are asked to
    stop; what they measured is saved and can be resumed.
    """
    site: Site = app.state.site
    await run_in_threadpool(site.live.recover, site.store)
    yield
    await run_in_threadpool(site.live.close, ENDING_PATIENCE)
