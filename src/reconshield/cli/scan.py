"""`reconshield scan`: ask for a measurement, show how it goes, print what came out."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from reconshield.cli.console import Invocation
from reconshield.cli.output import Output, check_format, open_output
from reconshield.cli.progress import ProgressLine
from reconshield.errors import UserError
from reconshield.model import Severity
from reconshield.text import count

if TYPE_CHECKING:
    from reconshield.jobs.scan import Event, Prepared
    from reconshield.jobs.scan_request import ScanRequest
    from reconshield.report.result import RunResult, RunState
    from reconshield.store.db import Store

TargetArgument = Annotated[list[str] | None, typer.Argument(metavar="TARGET…", help="Address, CIDR, range, name, localhost.")]


def scan(
    ctx: typer.Context,
    targets: TargetArgument = None,
    target_file: Annotated[list[str] | None, typer.Option("-iL", metavar="FILE", help="Targets from a file; - stdin.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="T", help="Leave this target out; wins over everything.")] = None,
    ports: Annotated[str | None, typer.Option("-p", "--ports", metavar="PORTS", help="22,1-99 · - · U:53 · @mail")] = None,
    top: Annotated[int | None, typer.Option(metavar="N", min=1, max=65535, help="The N commonest TCP ports (1000).")] = None,
    udp: Annotated[bool, typer.Option("--udp", help="The 100 commonest UDP ports too.")] = False,
    engine: Annotated[str, typer.Option(metavar="auto|raw|connect", help="How to measure.")] = "auto",
    rate: Annotated[float | None, typer.Option(metavar="N", help="At most N packets or connects a second.")] = None,
    retries: Annotated[int | None, typer.Option(metavar="N", min=0, max=4, help="Ask silence so often again (1).")] = None,
    per_host: Annotated[float | None, typer.Option(metavar="N", help="At most N a second to one host (1000).")] = None,
    senders: Annotated[int | None, typer.Option(metavar="N", min=1, max=16, help="Threads that send raw packets.")] = None,
    polite: Annotated[bool, typer.Option("--polite", help="At most 500/s.")] = False,
    normal: Annotated[bool, typer.Option("--normal", help="At most 25,000/s (default).")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="No ceiling; asks first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    level: Annotated[int | None, typer.Option(metavar="2|3|4", help="2 port scan, 3 identify, 4 assess (the grant's).")] = None,
    authorized_by: Annotated[str | None, typer.Option(metavar="NAME", help="Who allows it: records a grant now.")] = None,
    lasting: Annotated[str, typer.Option("--for", metavar="24h", help="How long that grant lasts.")] = "24h",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")] = False,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped.")] = None,
    shard: Annotated[str, typer.Option(metavar="I/N", help="This machine's share of a scan.")] = "1/1",
    touch_ot: Annotated[bool, typer.Option("--touch-ot", help="Ask Modbus and S7 ports who they are (read-only).")] = False,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Repeats the order of an earlier scan.")] = None,
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, jsonl, json, csv, …")] = "table",
    json_: Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the result to a file.")] = None,
    all_states: Annotated[bool, typer.Option("--all-states", help="List closed and filtered endpoints too.")] = False,
    with_evidence: Annotated[bool, typer.Option("--with-evidence", help="Print in pages what endpoints answered.")] = False,
    fail_on: Annotated[str | None, typer.Option(metavar="SEVERITY", help="Exit 1 for findings this bad or worse.")] = None,
) -> None:
    """Measure what hosts expose, identify what answers, and judge it."""
    from reconshield.jobs import scan as job
    from reconshield.jobs.policy import try_policy
    from reconshield.jobs.scan_request import ScanRequest
    from reconshield.jobs.times import parse_duration
    from reconshield.store.db import open_store

    call: Invocation = ctx.obj
    chosen = check_format("jsonl" if json_ else format_)
    threshold = parse_severity(fail_on)
    request = ScanRequest(
        targets=(*(targets or ()), *(f"@{name}" for name in target_file or ())),
        exclude=tuple(exclude or ()),
        ports=ports,
        top=top,
        udp=udp,
        level=level,
        engine=engine,
        manner=choose_manner(polite, normal, fast, confirmed=yes),
        rate=rate,
        per_host=per_host,
        retries=retries,
        senders=senders,
        seed=seed,
        shard=parse_shard(shard),
        authorized_by=authorized_by,
        authorized_for=parse_duration(lasting, "--for"),
        touch_ot=touch_ot,
    )
    with open_store(call.settings.db, call.settings.workspace) as store:
        now = time.time()
        policy, warning = try_policy(call.settings.home)
        prepared = (
            job.prepare_resume(store, resume, request, now, call.settings.home, policy=policy)
            if resume
            else job.prepare_scan(store, call.settings, request, now, policy=policy)
        )
        if warning:
            call.tell(f"warning: {warning}")
        if prepared.engine_note:
            call.tell(f"engine  {prepared.engine_note}")
        if dry_run:
            show_plan(call, prepared, as_json=json_ or chosen in {"json", "jsonl"})
            return
        with open_output(call, output, chosen, all_states=all_states, with_evidence=with_evidence) as sink:
            result = follow(call, store, prepared, sink)
    raise typer.Exit(exit_code(result.summary.state, {finding.severity for finding in result.findings}, threshold))


def choose_manner(polite: bool, normal: bool, fast: bool, *, confirmed: bool) -> str:
    """The one manner that was asked for; `fast` wants a yes, from a person or from `--yes`."""
    asked = [name for name, wanted in (("polite", polite), ("normal", normal), ("fast", fast)) if wanted]
    if len(asked) > 1:
        raise UserError("ask for one manner only", where=" ".join(f"--{a}" for a in asked), hint=f"--{asked[0]}")
    if asked == ["fast"] and not confirmed:
        if not sys.stdin.isatty():
            raise UserError("--fast has no ceiling and asks first", where="--fast", hint="add --yes")
        typer.confirm("--fast sends as much as this machine can; the path must bear it. Go on?", abort=True, err=True)
    return asked[0] if asked else "normal"


def resume_command(request: ScanRequest) -> str:
    """What goes on with a scan as gently as it was begun: the run keeps targets and ports, not the limits of its speed."""
    limits = (("rate", request.rate), ("per-host", request.per_host))
    words = [f"--{name} {value:g}" for name, value in limits if value is not None]
    if request.manner == "polite":
        words.append("--polite")
    return " ".join(["reconshield scan --resume latest", *words])


def parse_shard(text: str) -> tuple[int, int]:
    """`1/4` is the first of four shares: (0, 4)."""
    part, slash, of = text.partition("/")
    if not (slash and part.isdecimal() and of.isdecimal() and 1 <= int(part) <= int(of)):
        raise UserError("a share is written I/N with I from 1 to N", where=f"--shard {text}", hint="--shard 1/4")
    return int(part) - 1, int(of)


def parse_severity(text: str | None) -> Severity | None:
    """A severity by its name."""
    if text is None:
        return None
    try:
        return Severity(text.lower())
    except ValueError as error:
        hint = f"--fail-on one of {', '.join(Severity)}"
        raise UserError(f"unknown severity {text!r}", where=f"--fail-on {text}", hint=hint) from error


def follow(call: Invocation, store: Store, prepared: Prepared, sink: Output) -> RunResult:
    """Run the scan, show its progress, hand every event to the output. Ctrl-C stops it and keeps what was measured."""
    from reconshield.jobs import results
    from reconshield.jobs import scan as job

    stop = threading.Event()
    line = ProgressLine("scan", quiet=call.quiet, ascii=call.ascii)
    with stop_on_interrupt(stop):
        for event in job.run_scan(store, prepared, time.time, stop):
            show_progress(line, event)
            sink.take(event, prepared.targets.names)
    line.clear()
    result = results.load_result(store, sink.run, all_states=sink.all_states, policy=prepared.policy)
    sink.finish(store, result)
    if stop.is_set():
        measured, probes = count(result.summary.measured), count(result.summary.probes)
        call.tell(f"stopped after {result.summary.seconds:.1f} s. {measured} of {probes} endpoints are measured and saved.")
        call.suggest(resume_command(prepared.request))
        raise typer.Exit(130)
    return result


def show_progress(line: ProgressLine, event: Event) -> None:
    """The progress line for an event; the second half of the work has its own label and clock."""
    from reconshield.jobs import scan as job

    if isinstance(event, job.Measuring):
        line.show(event.done, event.total, f"{count(event.open)} open", event.rate)
    elif isinstance(event, job.Identifying):
        if line.label != "identify":
            line.clear()
            line.label, line.began, line.drawn = "identify", time.monotonic(), 0.0
        line.show(event.done, event.total)
    elif isinstance(event, job.Finished):
        line.clear()


@contextmanager
def stop_on_interrupt(stop: threading.Event) -> Iterator[None]:
    """Within it, the first Ctrl-C (or SIGTERM) asks the scan to stop; a second one ends the program at once."""

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show_plan(call: Invocation, prepared: Prepared, *, as_json: bool) -> None:
    """What a scan would send; nothing was sent."""
    import json

    from reconshield.jobs.dry_run import describe_plan, plan_data

    if as_json:
        call.print(json.dumps(plan_data(prepared), ensure_ascii=False))
        return
    call.print(describe_plan(prepared))
    call.suggest(f"the same command without --dry-run; --seed {prepared.plan.seed} repeats this order")


def exit_code(state: RunState, severities: Collection[Severity], threshold: Severity | None) -> int:
    """0 done, 1 findings at or above the threshold, 4 not everything was measured."""
    if threshold and any(severity.rank >= threshold.rank for severity in severities):
        return 1
    return 0 if state == "complete" else 4
