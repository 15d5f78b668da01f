"""Prometheus: alert rules over the metrics of `monitor start --metrics`, for the exposures of the same zones.

The metrics count open endpoints by schedule, zone and service, so a rule can say which services a zone may expose, and that it
is measured at all. An alert is right wherever it is raised; what the metrics cannot tell apart raises none, and stands in a
comment. An expectation ends by itself. Source: Prometheus documentation, alerting rules.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconshield.errors import UserError
from reconshield.export.enclaves import Enclaves
from reconshield.export.format import Format
from reconshield.export.wording import preamble
from reconshield.export.yaml_text import yaml_text
from reconshield.policy import Closure, Expectation, Policy, Zone
from reconshield.text import printable

Rule = dict[str, Any]
BY = "workspace, schedule, zone, service"
CANNOT = (
    "what is spoken between zones: the metrics have no traffic",
    "ports: an expectation with ports counts for every port, an assertion with ports not at all",
    "parts of a zone: an expectation for a part counts for the whole zone, an assertion for a part not at all",
    "services that were only guessed from the port: the metrics count them, `reconshield check` does not believe them",
)


@dataclass(frozen=True, slots=True)
class View:
    """A zone as the schedules of one vantage see it."""

    zone: Zone
    vantage: str
    schedules: tuple[str, ...]
    closed: tuple[Closure, ...]
    expects: tuple[Expectation, ...]

    @property
    def labels(self) -> str:
        return f'schedule=~"{alternatives(self.schedules)}",zone="{self.zone.name}"'


def render(enclaves: Enclaves) -> str:
    if not enclaves.policy.schedules:
        hint = 'a [[schedule]] with name, targets and every = "24h"; docs/policy.md'
        raise UserError(
            "the policy has no schedule, and only what is scheduled has metrics", where=enclaves.policy.file, hint=hint
        )
    lines = [
        f"# {line}"
        for line in preamble(enclaves, "What zones may expose, as alert rules for Prometheus", CANNOT, ends=True, link=False)
    ]
    rules: list[Rule] = []
    for view in views(enclaves.policy):
        lines += [f"# not here: {note}" for note in notes(view, enclaves.now)]
        rules += zone_rules(view, enclaves.now)
    rules += fresh_rules(enclaves.policy)
    return "\n".join(lines) + "\n" + yaml_text({"groups": [{"name": "reconshield-policy", "rules": rules}]})


def views(policy: Policy) -> Iterator[View]:
    for vantage in dict.fromkeys(schedule.vantage for schedule in policy.schedules):
        origins = policy.origins_of(vantage)
        mine = [schedule for schedule in policy.schedules if schedule.vantage == vantage]
        for zone in policy.zones:
            names = tuple(schedule.name for schedule in mine if schedule.area & zone.area)
            here = [
                [each for each in entries if each.area & zone.area and (not each.seen_from or origins & set(each.seen_from))]
                for entries in (policy.closed, policy.expects)
            ]
            if names:
                yield View(
                    zone,
                    vantage,
                    names,
                    tuple(c for c in here[0] if isinstance(c, Closure)),
                    tuple(e for e in here[1] if isinstance(e, Expectation)),
                )


def sure_closures(view: View) -> list[Closure]:
    """Assertions about the whole zone that do not turn on ports."""
    return [each for each in view.closed if each.ports is None and each.area.covers(view.zone.area)]


def any_port(view: View, now: float) -> list[Expectation]:
    """Live expectations of whatever answers on some ports: with one of them any service may be expected."""
    return [each for each in view.expects if not each.services and each.ends > now]


def notes(view: View, now: float) -> Iterator[str]:
    sure = sure_closures(view)
    for each in view.closed:
        if each not in sure:
            what = "has ports" if each.ports is not None else "is about a part of the zone"
            yield f"{view.zone.name}, assertion of line {each.line}: it {what}"
    for entry in any_port(view, now):
        ports = printable(entry.ports or "")
        yield f"{view.zone.name}, what nobody expects: line {entry.line} expects whatever answers on {ports}"


def zone_rules(view: View, now: float) -> Iterator[Rule]:
    closures = sure_closures(view)
    for each in closures:
        which = f',service=~"{alternatives(sorted(each.services))}"' if each.services else ""
        told = f"{each.reason or 'no reason given'}; owner {each.owner or view.zone.owner or 'not named'} (line {each.line})"
        labels = {"severity": each.severity, "zone": view.zone.name, "vantage": view.vantage, "line": str(each.line)}
        yield rule("ReconShieldForbiddenExposure", exposed(view.labels + which), labels, "must not be reachable", told)
    if any(not each.services for each in closures) or any_port(view, now):
        return
    forbidden = {name for each in closures for name in each.services}
    live = [each for each in view.expects if each.ends > now]
    expected = {name for each in live for name in each.services} - forbidden
    known = sorted(forbidden | expected)
    severity = "high" if view.zone.criticality == "high" or view.zone.secure else "medium"
    without = f',service!~"{alternatives(known)}"' if known else ""
    told = "; ".join(expectation_words(each) for each in live) or "nothing is expected there"
    labels = {"severity": severity, "zone": view.zone.name, "vantage": view.vantage}
    yield rule("ReconShieldUnexpectedExposure", exposed(view.labels + without), labels, "is expected by nobody", told)
    last = {name: max(each.ends for each in live if name in each.services) for name in expected}
    for end in sorted(set(last.values())):
        names = sorted(name for name in last if last[name] == end)
        query = exposed(f'{view.labels},service=~"{alternatives(names)}"') + f" and on () vector(time()) >= {int(end)}"
        ended = "; ".join(expectation_words(each) for each in live if each.services & set(names))
        over = labels | {"over": dt.datetime.fromtimestamp(end, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        yield rule("ReconShieldExpiredExposure", query, over, "is no longer expected", ended)


def fresh_rules(policy: Policy) -> Iterator[Rule]:
    for schedule in policy.schedules:
        age = f'reconshield_last_scan_age_seconds{{schedule="{schedule.name}"}}'
        zones = ", ".join(zone.name for zone in policy.zones if zone.area & schedule.area) or "places in no zone"
        yield {
            "alert": "ReconShieldZonesNotMeasured",
            "expr": f"{age} > {int(schedule.fresh_seconds)} or absent({age})",
            "for": "15m",
            "labels": {"severity": "high", "schedule": schedule.name},
            "annotations": {
                "summary": f"{schedule.name} did not measure {zones} in time",
                "description": f"Wanted within {int(schedule.fresh_seconds)} seconds (line {schedule.line})",
            },
        }


def exposed(labels: str) -> str:
    return f"sum by ({BY}) (reconshield_exposures{{{labels}}}) > 0"


def rule(name: str, query: str, labels: Mapping[str, str], says: str, told: str) -> Rule:
    return {
        "alert": name,
        "expr": query,
        "labels": dict(labels),
        "annotations": {"summary": f"{{{{ $labels.service }}}} in {{{{ $labels.zone }}}} {says}", "description": plain(told)},
    }


def expectation_words(each: Expectation) -> str:
    return f"{', '.join(sorted(each.services))}: {each.reason}; owner {each.owner}; until {each.expires} (line {each.line})"


def alternatives(names: Iterable[str]) -> str:
    """Names as a regular expression in a PromQL string; it is always anchored."""
    return "|".join(re.escape(name).replace("\\-", "-").replace("\\", "\\\\") for name in names)


def plain(text: str) -> str:
    """A text that Prometheus does not take for a template, on one line."""
    return printable(text, 600).replace("{{", '{{ "{{" }}')


FORMAT = Format("prometheus", "Prometheus alert rules", render, CANNOT)
