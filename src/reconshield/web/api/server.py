"""How the server is: its monitoring, the tables that age, where things lie, what it can measure with."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Literal, TypedDict, cast

from fastapi import Query

from reconshield import __version__
from reconshield.jobs.diagnosis import Diagnosis
from reconshield.jobs.doctor import examine
from reconshield.jobs.intel import status
from reconshield.jobs.letter import write_letter
from reconshield.jobs.monitor_status import status_by, status_data
from reconshield.jobs.times import parse_past
from reconshield.policy import Policy
from reconshield.report.changes import change_line
from reconshield.report.letter import Item
from reconshield.report.line_types import ChangeLine, DiagnosisLine, MonitorLine
from reconshield.settings import SETTINGS
from reconshield.web.api.paging import Page, Paged
from reconshield.web.api.router import Api
from reconshield.web.api.shapes import place_key
from reconshield.web.call import Call
from reconshield.web.door import ApiAdmin, ApiViewer, NotAllowed

ROUTER = Api("Server")


class FeedPart(TypedDict):
    """One table in use. `state` is ok, aging, old, missing or broken; `days` counts from its version to today."""

    feed: str
    title: str
    version: str
    days: int | None
    rows: int
    source: str
    retrieved_at: str
    state: str
    previous: str


class SettingPart(TypedDict):
    """One setting of the server, with its value as it is here; that of the database shows no password."""

    name: str
    value: str
    default: str
    help: str


class VersionPart(TypedDict):
    """Which program answers."""

    name: Literal["ReconShield"]
    version: str
    api: Literal["v1"]


@ROUTER.get("/version")
def read_version(call: ApiViewer) -> VersionPart:
    """Which program answers."""
    del call
    return {"name": "ReconShield", "version": __version__, "api": "v1"}


@ROUTER.get("/monitor")
def read_monitor(call: ApiViewer) -> MonitorLine:
    """Schedules, processes, the outbox, and the alerts that stand."""
    return status_data(status_by(call.store, call.policy()[0] or Policy(), call.now))


@ROUTER.get("/letter")
def list_letter(
    call: ApiViewer, page: Paged, since: Annotated[str, Query(max_length=40, description="24h, 7d, 2026-11-20.")] = "7d"
) -> Page[ChangeLine]:
    """Only what changed of late: for each endpoint the last thing that happened to it."""
    written = write_letter(call.store, call.policy()[0], parse_past(since, call.now, "since"), call.now)
    items = sorted(written.items, key=item_key)
    return page.cut(items, item_key, lambda item: change_line(item.change, None, item.run, item.vantage))


@ROUTER.get("/intel")
def read_intel(call: ApiViewer) -> list[FeedPart]:
    """Which tables (KEV, EPSS, the registry of ports) are in use, how old they are, and where they came from."""
    today = datetime.fromtimestamp(call.now, UTC).date()
    return [cast("FeedPart", asdict(row)) for row in status(call.site.settings.home / "feeds", today)]


@ROUTER.get("/settings")
def read_settings(call: ApiAdmin) -> list[SettingPart]:
    """The settings of the server, as far as they matter to this workspace."""
    values = {"db": call.site.store.where, "workspace": call.who.workspace, "vantage": call.settings.vantage}
    return [
        {"name": each.name, "value": values.get(each.name, ""), "default": each.default, "help": each.help} for each in SETTINGS
    ]


@ROUTER.get("/doctor")
def examine_server(call: ApiAdmin) -> list[DiagnosisLine]:
    """What the server can measure with, and whether something on it fakes answers. Only in the workspace that it is of."""
    require_home(call)
    return [diagnosis_line(found) for found in examine(call.site.settings, call.now)]


def require_home(call: Call) -> None:
    """What is about the server itself is for the workspace of its owner."""
    if not call.at_home:
        raise NotAllowed("this is about the server itself", where=call.request.url.path, hint="ask who runs it")


def diagnosis_line(found: Diagnosis) -> DiagnosisLine:
    return {
        "v": 1,
        "type": "diagnosis",
        "name": found.name,
        "state": found.state,
        "what": found.what,
        "next": found.next,
    }


def item_key(item: Item) -> tuple[str | int | float, ...]:
    return (*place_key(item.change.endpoint), item.vantage, item.change.kind, item.run)
