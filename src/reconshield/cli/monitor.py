"""`reconshield monitor` and `reconshield worker`: the processes that stay, and how they are."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconshield.cli.console import Invocation
    from reconshield.store.db import Store

app = typer.Typer(no_args_is_help=True, help="Measure on schedule, compare with the policy, tell who must know.")

PolicyOption = Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="The policy; default: reconshield.toml.")]


@app.command("start")
def start(
    ctx: typer.Context,
    policy: PolicyOption = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Serve Prometheus metrics there, such as 127.0.0.1:9110.")
    ] = None,
) -> None:
    """Run the schedules of the policy until stopped; measure, alert and deliver."""
    from reconshield.jobs.metrics import serve_metrics
    from reconshield.jobs.service import MonitorService, leave

    call: Invocation = ctx.obj
    store = open_database(call)
    service = MonitorService(store, call.settings, policy, teller(call), time.time)
    stop = stop_on_signal()
    if metrics:
        address = serve_metrics(store, metrics, lambda: service.file.policy, time.time)
        teller(call)(f"metrics on http://{address}/metrics")
    found = service.file.policy
    teller(call)(
        f"monitor {service.me.name}: {len(found.schedules)} schedules, {len(found.channels)} channels, "
        f"from {call.settings.vantage}, policy {found.file}"
    )
    if not found.routes:
        teller(call)("warning: the policy has no route: alerts are kept and told to nobody")
    service.run(stop)
    leave(store, service.me)


@app.command("status")
def status(
    ctx: typer.Context,
    policy: PolicyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show schedules, processes and the outbox. Exit code 1 when something is late or cannot be delivered."""
    from reconshield.jobs.monitor_status import monitor_status, status_data, status_lines

    call: Invocation = ctx.obj
    with open_database(call) as store:
        found = monitor_status(store, call.settings, policy, time.time())
    if as_json:
        call.print(json.dumps(status_data(found), ensure_ascii=False, indent=2))
    else:
        call.print(status_lines(found))
        call.suggest("reconshield alert list")
    if found.troubled:
        raise typer.Exit(1)


@app.command("notice")
def notice(
    ctx: typer.Context,
    out: Annotated[Path | None, typer.Option("-o", metavar="FILE", help="Write it there.")] = None,
    contact: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Whom to ask; default: the contacts of the grants.")
    ] = None,
    policy: PolicyOption = None,
) -> None:
    """Print the page for those who are measured: who we are, what is sent, who allowed it, whom to ask."""
    from reconshield.cli.output import whole_file
    from reconshield.jobs.notice_page import notice_page
    from reconshield.jobs.policy import find_policy

    call: Invocation = ctx.obj
    with open_database(call) as store:
        found = find_policy(call.settings.home, policy)
        text = notice_page(store, found, call.settings.vantage, time.time(), contact)
    if out is None:
        call.print(text.rstrip())
        return
    with whole_file(out) as stream:
        stream.write(text)
    call.tell(f"page     {out}")


def worker(ctx: typer.Context) -> None:
    """Measure what monitors call for from this vantage, until stopped. Needs the database only."""
    from reconshield.jobs.service import leave, run_worker

    call: Invocation = ctx.obj
    store = open_database(call)
    stop = stop_on_signal()
    leave(store, run_worker(store, call.settings, teller(call), stop))


def open_database(call: Invocation) -> Store:
    from reconshield.store.db import open_store

    return open_store(call.settings.db, call.settings.workspace)


def teller(call: Invocation) -> Callable[[str], None]:
    """Says a line on standard error with its time; nothing but warnings when the user asked for quiet."""
    from reconshield.text import local_time, printable

    def tell(text: str) -> None:
        if not call.quiet or text.startswith("warning"):
            sys.stderr.write(f"{local_time(time.time(), seconds=True)}  {printable(text, None)}\n")
            sys.stderr.flush()

    return tell


def stop_on_signal() -> threading.Event:
    """Set by the first SIGTERM or Ctrl-C."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return stop
