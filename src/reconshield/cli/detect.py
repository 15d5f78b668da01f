"""`reconshield detect`: is something talking that should not? Flow logs and captures, judged by evidence."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from reconshield.cli.console import Invocation
from reconshield.cli.runs import AsJson
from reconshield.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconshield.detect.indicators import Indicators
    from reconshield.detect.scene import Setting
    from reconshield.jobs.detect import Detected, Input
    from reconshield.jobs.detect_past import Past
    from reconshield.jobs.indicators import FeedRead
    from reconshield.policy import Policy

SHOWN = 20
"""Detections in the terminal; all of them with --all or --json."""

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Flow logs and captures.", show_default=False)]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", metavar="FILE", help="The policy file (reconshield.toml here or in home).")
]
IndicatorFiles = Annotated[
    list[Path] | None,
    typer.Option("--indicators", metavar="FILE", help="Indicators: STIX 2.1, MISP, CSV, a list. May be repeated."),
]
Since = Annotated[str | None, typer.Option("--since", metavar="24h", help="Only flows of that time before now.")]
Format = Annotated[str, typer.Option("--format", metavar="NAME", help="The format of the files.")]

app = typer.Typer(no_args_is_help=True, help="Is something talking that should not? Detections over flow logs and captures.")


@app.callback()
def detect() -> None:
    """A group of verbs, however few there are."""


@app.command("run")
def run(
    ctx: typer.Context,
    files: Files,
    policy: PolicyFile = None,
    indicators: IndicatorFiles = None,
    since: Since = None,
    format_: Format = "auto",
    everything: Annotated[bool, typer.Option("--all", help="Every detection, not just the worst 20.")] = False,
    as_json: AsJson = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as the log grows and is rotated, until interrupted.")] = False,
) -> None:
    """Judge the traffic in flow logs and captures: what a zone does not allow, and what else speaks against it."""
    from reconshield.jobs.detect import detect_files
    from reconshield.jobs.policy import find_policy

    call: Invocation = ctx.obj
    now = time.time()
    known = load_indicators(indicators, now, lambda feed: tell_feed(call, feed, as_json))
    setting, past = hold_against(call, find_policy(call.settings.home, policy), known, now)
    begin = begin_of(since, now)
    if follow:
        follow_log(call, files, setting, past, since=begin, format_=format_, as_json=as_json)
    found = detect_files(files, setting, since=begin, format_=format_, told=lambda read: tell_input(call, read, as_json))
    found = replace(found, matches=past.join(found.matches))
    if as_json:
        print_lines(call, found)
    else:
        print_detections(call, found, everything=everything)


def load_indicators(files: list[Path] | None, now: float, told: Callable[[FeedRead], None]) -> Indicators:
    from reconshield.jobs.indicators import read_indicators

    feeds, known = read_indicators(files or [], now)
    for feed in feeds:
        told(feed)
    return known


def hold_against(call: Invocation, policy: Policy | None, known: Indicators, now: float) -> tuple[Setting, Past]:
    """What flows are held against: a policy, indicators, the catalogue, and what our own scans have seen."""
    from reconshield.jobs.detect import make_setting
    from reconshield.jobs.detect_past import load_past

    past = load_past(call.settings, policy, now)
    return past.put_into(make_setting(policy, now, known)), past


def begin_of(since: str | None, now: float) -> float | None:
    from reconshield.jobs.times import parse_duration

    return now - parse_duration(since, "--since") if since else None


def follow_log(
    call: Invocation, files: list[Path], setting: Setting, past: Past, *, since: float | None, format_: str, as_json: bool
) -> NoReturn:
    """Print detections as they arise; an interrupt ends it with what was read."""
    from reconshield.cli.runs import print_rows, width_of_terminal
    from reconshield.jobs.detect_follow import Follow
    from reconshield.report.detections import detection_line, detection_rows
    from reconshield.text import json_text

    if len(files) > 1:
        raise UserError("only one file can be followed", where=str(files[1]), hint="start it once for each file")
    following = Follow(files[0], setting, format_, since)
    try:
        for found in following.run():
            told = past.tell(found)
            if as_json:
                call.print(json_text(detection_line(told)))
            else:
                print_rows(call, detection_rows([told], width_of_terminal()))
            sys.stdout.flush()
    except KeyboardInterrupt:
        tell_input(call, following.found, as_json)
    raise typer.Exit(130)


def input_summary(read: Input) -> str:
    from reconshield.report.detections import input_text

    faults = tuple(read.faults)
    text = input_text(read.format, read.records, faults, read.bad, names=read.names, listeners=read.listeners)
    return "\n  ".join([f"{read.path}  {text}", *read.notes])


def tell_input(call: Invocation, read: Input, as_json: bool) -> None:
    from reconshield.report.detections import input_line
    from reconshield.text import json_text

    if as_json:
        told = input_line(str(read.path), read.format, read.records, read.bad, names=read.names, listeners=read.listeners)
        call.print(json_text(told | {"notes": read.notes} if read.notes else told))
    else:
        call.print(input_summary(read))


def feed_summary(read: FeedRead) -> str:
    from reconshield.report.detections import feed_text

    return f"{read.path}  {feed_text(read.format, read.used, read.expired, read.unused, read.bad, tuple(read.faults))}"


def tell_feed(call: Invocation, read: FeedRead, as_json: bool) -> None:
    from reconshield.report.detections import feed_line
    from reconshield.text import json_text

    if as_json:
        call.print(json_text(feed_line(str(read.path), read.format, read.used, read.expired, read.unused, read.bad)))
    else:
        call.print(feed_summary(read))


def print_lines(call: Invocation, found: Detected) -> None:
    from reconshield.report.detections import detection_line
    from reconshield.text import json_text

    for detection in found.matches.detections:
        call.print(json_text(detection_line(detection)))
    for detection in found.matches.own:
        call.print(json_text(detection_line(detection)))
    for detection in found.matches.allowed:
        call.print(json_text(detection_line(detection, allowed=True)))


def print_detections(call: Invocation, found: Detected, *, everything: bool) -> None:
    from reconshield.cli.runs import print_rows, width_of_terminal
    from reconshield.jobs.detect import conclusion
    from reconshield.report.detections import brief_rows, detection_rows

    width, matches = width_of_terminal(), found.matches
    shown = matches.detections if everything else matches.detections[:SHOWN]
    print_rows(call, detection_rows(shown, width))
    if shown:
        call.print("")
    print_rows(call, brief_rows("own scan", matches.own[:SHOWN], width))
    print_rows(call, brief_rows("allowed", matches.allowed[:SHOWN], width))
    call.print(conclusion(found))
    if len(shown) < len(matches.detections):
        call.suggest("reconshield detect run --all …   every detection")


@app.command("learn")
def learn(
    ctx: typer.Context,
    files: Files,
    zone: Annotated[str, typer.Option("--zone", metavar="NAME", help="The zone that is learned.")],
    policy: PolicyFile = None,
    indicators: IndicatorFiles = None,
    since: Since = None,
    format_: Format = "auto",
) -> None:
    """Propose what a zone may talk from a quiet period, as TOML with blanks for reason and owner."""
    from reconshield.jobs.detect_policy import learn_files
    from reconshield.jobs.policy import load_policy

    call: Invocation = ctx.obj
    now = time.time()
    known = load_indicators(indicators, now, lambda feed: call.tell(feed_summary(feed)))
    setting, _ = hold_against(call, load_policy(call.settings.home, policy), known, now)
    text = learn_files(
        files, setting, zone, since=begin_of(since, now), format_=format_, told=lambda read: call.tell(input_summary(read))
    )
    call.print(text.rstrip("\n") if text else f"# nothing new to propose for {zone}")


@app.command("replay")
def replay(
    ctx: typer.Context,
    files: Files,
    policy: Annotated[Path, typer.Option("--policy", metavar="NEW", help="The policy that is tried.")],
    old: Annotated[
        Path | None, typer.Option("--old", metavar="OLD", help="What it is compared with (reconshield.toml here or in home).")
    ] = None,
    indicators: IndicatorFiles = None,
    since: Since = None,
    format_: Format = "auto",
    as_json: AsJson = False,
) -> None:
    """Show which detections another policy makes appear or vanish, before the change is committed."""
    from reconshield.cli.runs import print_rows, width_of_terminal
    from reconshield.jobs.detect_policy import replay_files
    from reconshield.jobs.policy import find_policy, load_policy
    from reconshield.report.replayed import replayed_line, replayed_rows, replayed_text
    from reconshield.text import json_text

    call: Invocation = ctx.obj
    now = time.time()
    known = load_indicators(indicators, now, lambda feed: tell_feed(call, feed, as_json))
    before, _ = hold_against(call, find_policy(call.settings.home, old), known, now)
    after, _ = hold_against(call, load_policy(call.settings.home, policy), known, now)
    found = replay_files(
        files, before, after, since=begin_of(since, now), format_=format_, told=lambda read: tell_input(call, read, as_json)
    )
    if as_json:
        for each in found:
            call.print(json_text(replayed_line(each)))
        return
    print_rows(call, replayed_rows(found, width_of_terminal()))
    call.print(replayed_text(found))
