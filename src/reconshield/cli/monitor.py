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

from reconshield.cli.runs import open_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconshield.cli.console import Invocation

app = typer.Typer(no_args_is_help=True, help="Measure on schedule, compare with the policy, tell who must know.")

SAID_AGAIN = 60.0
"""Seconds after which the same line is said again: a database that is away would fill the log."""

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
    from reconshield.text import plural

    call: Invocation = ctx.obj
    store = open_database(call, create=True)
    tell = teller(call)
    service = MonitorService(store, call.settings, policy, tell, time.time)
    stop = stop_on_signal()
    if metrics:
        address = serve_metrics(store, metrics, lambda: service.file.policy, time.time)
        tell(f"metrics on http://{address}/metrics")
    found = service.file.policy
    tell(
        f"monitor {service.me.name}: {plural(len(found.schedules), 'schedule', 'schedules')}, "
        f"{plural(len(found.channels), 'channel', 'channels')}, from {call.settings.vantage}, policy {found.file}"
    )
    if not found.routes:
        tell("warning: the policy has no route: alerts are kept and told to nobody")
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
    store = open_database(call, create=True)
    stop = stop_on_signal()
    leave(store, run_worker(store, call.settings, teller(call), stop))


def teller(call: Invocation) -> Callable[[str], None]:
    """Says a line on standard error with its time, the same one once a minute; with --quiet only warnings."""
    from reconshield.text import local_time, printable

    said: dict[str, float] = {}

    def tell(text: str) -> None:
        now = time.monotonic()
        if (call.quiet and not text.startswith("warning")) or now - said.get(text, float("-inf")) < SAID_AGAIN:
            return
        if len(said) > 1000:
            said.clear()
        said[text] = now
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
