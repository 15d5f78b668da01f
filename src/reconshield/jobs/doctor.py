"""`reconshield doctor`: what this machine can measure with, and whether something on it or on the way fakes answers.

host     capabilities, limits, rules, clock, a trial in a namespace of its own        nothing leaves the machine
store    the database and who can read it
engine   the user's own control endpoints, each under a grant                         the only packets, and only if asked for
-> diagnosis (pure) -> one line a thing
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reconshield.addresses import PortSet, parse_ports
from reconshield.errors import UserError
from reconshield.host import abilities, ruleset
from reconshield.jobs import diagnosis, intel
from reconshield.jobs.diagnosis import Control, Diagnosis
from reconshield.model import State
from reconshield.settings import Settings

if TYPE_CHECKING:
    from reconshield.store.db import Store

CONTROL_LEVEL = 2
MOST_CONTROLS = 64
HINT = "--control 192.0.2.7:443 --control-closed 192.0.2.7:25,80"


def examine(settings: Settings, now: float, controls: Sequence[Control] | None = None) -> Iterator[Diagnosis]:
    """Look at everything, one after the other."""
    trial = abilities.try_raw()
    yield diagnosis.judge_raw(abilities.may_open_raw(), trial, sys.platform)
    yield diagnosis.judge_capabilities(abilities.capabilities())
    yield diagnosis.judge_namespaces(trial)
    yield from diagnosis.judge_limits(abilities.limits())
    if sys.platform == "linux":
        yield diagnosis.judge_ruleset(ruleset.read_ruleset())
    yield diagnosis.judge_path(controls or ())
    yield diagnosis.judge_private("data folder", str(settings.home), abilities.mode_of(settings.home), 0o700)
    yield from examine_database(settings)
    tables = intel.status(settings.home / "feeds", datetime.fromtimestamp(now, UTC).date())
    yield from diagnosis.judge_feeds(tables)
    yield diagnosis.judge_clock(abilities.clock_is_synchronised(), now, newest_of(tables))


def examine_database(settings: Settings) -> Iterator[Diagnosis]:
    """Whether the database can be opened, and who can read it. A database that is not there is not made."""
    from reconshield.store.db import open_store

    if settings.db_is_file:
        path = Path(settings.db).expanduser()
        mode = abilities.mode_of(path)
        yield diagnosis.judge_private("database", str(path), mode, 0o600)
        if mode is None:
            return
    try:
        with open_store(settings.db, settings.workspace, create=False) as store:
            yield Diagnosis("database opens", "ok", f"{store.where}, workspace {store.workspace}")
    except UserError as error:
        yield Diagnosis("database opens", "bad", f"{error.message} ({error.where})", error.hint)


def newest_of(tables: Sequence[intel.Status]) -> float:
    """When the newest table was made, as a time before which no clock can be right."""
    days = [date.fromisoformat(row.version.replace(".", "-")) for row in tables if row.version and row.days is not None]
    newest = max(days, default=date(2026, 1, 1))
    return datetime(newest.year, newest.month, newest.day, tzinfo=UTC).timestamp()


def measure_controls(
    store: Store, known_open: Sequence[str], known_closed: Sequence[str], now: float, authorized_by: str | None = None
) -> list[Control]:
    """Ask the user's own endpoints, each under a grant; raises `Refused` where none allows it, before anything is sent."""
    wanted = [(text, State.OPEN) for text in known_open] + [(text, State.CLOSED) for text in known_closed]
    found = [control for text, expected in wanted for control in _measure_control(store, text, expected, now, authorized_by)]
    return sorted(found, key=lambda control: control.endpoint)


def _measure_control(store: Store, text: str, expected: State, now: float, by: str | None) -> Iterator[Control]:
    from reconshield.jobs.grants import authorise_scan
    from reconshield.scan.batch import records
    from reconshield.scan.engine import BlockDone, Options, measure
    from reconshield.scan.plan import make_plan

    host, ports = split_control(text)
    targets = authorise_scan(store, [host], (), CONTROL_LEVEL, now, authorized_by=by, use="doctor")
    plan = make_plan(targets.addresses, ports, rate=100.0)
    if plan.size > MOST_CONTROLS:
        raise UserError(f"a control is at most {MOST_CONTROLS} endpoints, not {plan.size:,}", where=text, hint=HINT)
    for event in measure(plan, targets, range(plan.blocks), Options(rate=100.0)):
        if isinstance(event, BlockDone):
            for seen in records(event.batch):
                yield Control(seen.endpoint, expected, seen.state, seen.reason.label)


def split_control(text: str) -> tuple[str, PortSet]:
    """`HOST:PORTS`, an IPv6 address in brackets."""
    host, colon, ports = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not bare or not ports or (":" in bare and not host.startswith("[")):
        raise UserError("a control endpoint is written HOST:PORT", where=text, hint=HINT)
    asked = parse_ports(ports)
    if asked.names or asked.ports.udp:
        raise UserError("a control endpoint has TCP ports by number", where=text, hint=HINT)
    return bare, asked.ports
