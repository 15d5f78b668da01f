"""`reconshield detect`: is something talking that should not? Flow logs and captures, judged by evidence."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from reconshield.cli.console import Invocation
from reconshield.cli.detect_alert import Bell, open_bell
from reconshield.cli.detect_output import Place, check_as, feed_summary, input_summary
from reconshield.cli.runs import AsJson
from reconshield.errors import UserError
from reconshield.report.detection_formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconshield.detect.indicators import Indicators
    from reconshield.detect.scene import Setting
    from reconshield.jobs.detect_past import Past
    from reconshield.jobs.indicators import FeedRead
    from reconshield.policy import Policy

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
    as_: Annotated[str, typer.Option("--as", metavar="FORMAT", help=f"Write {', '.join(FORMATS)}.")] = "table",
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the result to a file.")] = None,
    alert: Annotated[bool, typer.Option("--alert", help="Raise alerts, and send them by the policy's routes.")] = False,
    alert_from: Annotated[str, typer.Option("--alert-from", metavar="RATING", help="Alerts from this rating on.")] = "medium",
) -> None:
    """Judge the traffic in flow logs and captures: what a zone does not allow, and what else speaks against it."""
    from reconshield.jobs.detect import detect_files
    from reconshield.jobs.policy import find_policy

    call: Invocation = ctx.obj
    now, place = time.time(), Place(call, check_as(as_, as_json=as_json, follow=follow, output=output), output)
    known, feeds = load_indicators(indicators, now, place.tell_feed)
    rules = find_policy(call.settings.home, policy)
    setting, past = hold_against(call, rules, known, now)
    begin = begin_of(since, now)
    with open_bell(call, rules, wanted=alert, least=alert_from) as bell:
        if follow:
            follow_log(place, bell, files, setting, past, since=begin, format_=format_)
        found = detect_files(
            files,
            setting,
            since=begin,
            format_=format_,
            told=place.tell_input,
            pictured=place.pictured,
            watched=bell.watched(),
        )
        found = replace(found, matches=past.join(found.matches))
        bell.ring(found)
    place.write(found, feeds, rules.file if rules else "", now, everything=everything)


def load_indicators(
    files: list[Path] | None, now: float, told: Callable[[FeedRead], None]
) -> tuple[Indicators, tuple[FeedRead, ...]]:
    from reconshield.jobs.indicators import read_indicators

    feeds, known = read_indicators(files or [], now)
    for feed in feeds:
        told(feed)
    return known, feeds


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
    place: Place, bell: Bell, files: list[Path], setting: Setting, past: Past, *, since: float | None, format_: str
) -> NoReturn:
    """Print detections as they arise; an interrupt ends it with what was read."""
    from reconshield.jobs.detect_follow import Follow

    if len(files) > 1:
        raise UserError("only one file can be followed", where=str(files[1]), hint="start it once for each file")
    following = Follow(files[0], setting, format_, since)
    try:
        for found in following.run():
            told = past.tell(found)
            place.write_one(told)
            bell.ring_one(told)
    except KeyboardInterrupt:
        place.tell_input(following.found)
    raise typer.Exit(130)


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
    known, _ = load_indicators(indicators, now, lambda feed: call.tell(feed_summary(feed)))
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
    place = Place(call, "jsonl" if as_json else "table")
    known, _ = load_indicators(indicators, now, place.tell_feed)
    before, _ = hold_against(call, find_policy(call.settings.home, old), known, now)
    after, _ = hold_against(call, load_policy(call.settings.home, policy), known, now)
    found = replay_files(files, before, after, since=begin_of(since, now), format_=format_, told=place.tell_input)
    if as_json:
        for each in found:
            call.print(json_text(replayed_line(each)))
        return
    print_rows(call, replayed_rows(found, width_of_terminal()))
    call.print(replayed_text(found))
