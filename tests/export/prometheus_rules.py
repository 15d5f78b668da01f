"""The exported alert rules, and a reader of the one shape that their queries have; promtool asks them in tests/system."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from reconshield.jobs.metrics import HEADS

EXPOSED = re.compile(
    r"sum by \(workspace, schedule, zone, service\) \(reconshield_exposures\{(?P<labels>.*)\}\) > 0"
    r"(?: and on \(\) vector\(time\(\)\) >= (?P<end>[0-9]+))?"
)
LABEL = re.compile(r'(?P<name>[a-z]+)(?P<how>=~|!~|=)"(?P<value>(?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Exposure:
    """One sample of `reconshield_exposures`, without its number."""

    schedule: str
    zone: str
    service: str

    @property
    def labels(self) -> Mapping[str, str]:
        return {"schedule": self.schedule, "zone": self.zone, "service": self.service}


def rules_of(text: str) -> list[dict[str, Any]]:
    """All rules; only metrics that there are stand in them, and no two are the same."""
    (group,) = yaml.safe_load(text)["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    for rule in rules:
        assert set(re.findall(r"reconshield_[a-z_]+", rule["expr"])) <= set(HEADS)
    assert len({(rule["alert"], str(rule["labels"])) for rule in rules}) == len(rules)
    return rules


def alerts(rules: Iterable[Mapping[str, Any]], exposure: Exposure, now: float) -> list[str]:
    """The alerts that one exposure raises."""
    return [rule["alert"] for rule in rules if raises(rule["expr"], exposure, now)]


def raises(query: str, exposure: Exposure, now: float) -> bool:
    found = EXPOSED.fullmatch(query)
    if found is None:
        assert "reconshield_exposures" not in query, query
        return False
    if found["end"] and now < int(found["end"]):
        return False
    terms = list(LABEL.finditer(found["labels"]))
    assert ",".join(term[0] for term in terms) == found["labels"]
    return all(fits(term["how"], term["value"].replace("\\\\", "\\"), exposure.labels[term["name"]]) for term in terms)


def fits(how: str, value: str, label: str) -> bool:
    if how == "=":
        return label == value
    return (re.fullmatch(value, label) is not None) == (how == "=~")
