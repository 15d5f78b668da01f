"""`detect learn` and `detect replay`: traffic that makes policy, and policy tried on traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from reconshield.detect.compare import compare
from reconshield.detect.learn import propose_traffic
from reconshield.detect.match import match
from reconshield.detect.scene import Setting
from reconshield.detect.tally import Tally
from reconshield.detection import Difference
from reconshield.errors import UserError
from reconshield.jobs.detect import Input, read_files


def learn_files(
    paths: Iterable[Path],
    setting: Setting,
    zone: str,
    *,
    since: float | None = None,
    format_: str = "auto",
    told: Callable[[Input], None],
) -> str:
    """The proposal as TOML; empty where nothing is left to propose."""
    names = [each.name for each in setting.policy.zones]
    if zone not in names:
        near = get_close_matches(zone, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"zones: {', '.join(names) or 'none; declare it with [[zone]]'}"
        raise UserError(f"no zone is called {zone}", where="--zone", hint=hint)
    with Tally() as tally:
        read_files(tally, paths, since=since, format_=format_, told=told, hear=setting.hear)
        return "\n".join(propose_traffic(tally, setting, zone))


def replay_files(
    paths: Iterable[Path],
    old: Setting,
    new: Setting,
    *,
    since: float | None = None,
    format_: str = "auto",
    told: Callable[[Input], None],
) -> tuple[Difference, ...]:
    """What would be otherwise with the policy of `new`. The files are read once and judged twice; both share the indicators."""
    with Tally() as tally:
        inputs = read_files(tally, paths, since=since, format_=format_, told=told, hear=new.hear)
        sources = tuple(str(found.path) for found in inputs)
        before, after = (match(tally, replace(setting, sources=sources)).detections for setting in (old, new))
        return tuple(compare(before, after))
