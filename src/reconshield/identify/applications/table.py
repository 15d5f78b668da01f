"""One line a sign: where to look, what to find there, which application that shows.

The lines are in `signs`; here they are compiled and tried in their order.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from reconshield.identify.applications.page import Application, Page
from reconshield.identify.applications.signs import SIGNS

SERVICES = {
    "apache-hadoop-yarn": "yarn",
    "consul": "consul",
    "couchdb": "couchdb",
    "cups": "ipp",
    "docker": "docker",
    "elasticsearch": "elasticsearch",
    "etcd": "etcd",
    "grafana": "grafana",
    "influxdb": "influxdb",
    "kubelet": "kubelet",
    "kubernetes": "kubernetes",
    "node-exporter": "node-exporter",
    "opensearch": "elasticsearch",
    "prometheus": "prometheus",
    "squid": "http-proxy",
    "tinyproxy": "http-proxy",
    "privoxy": "http-proxy",
    "vault": "vault",
    "winrm": "winrm",
}
"""Applications that are services of the catalogue; everything else is `http` with `facts.application`."""


class Rule(NamedTuple):
    """A line of the table, compiled."""

    place: str
    pattern: re.Pattern[str]
    name: str
    product: str
    kind: str
    vendor: tuple[str, str] | None
    path: str | None


def compile_rules() -> tuple[Rule, ...]:
    made = []
    for line in SIGNS:
        place, pattern, name, product, kind, vendor, *path = line
        owner = tuple(vendor.split(":")) if vendor else None
        pair = (owner[0], owner[1]) if owner else None
        made.append(Rule(place, re.compile(pattern, re.IGNORECASE), name, product, kind, pair, path[0] if path else None))
    return tuple(made)


RULES = compile_rules()


def recognise(page: Page) -> Application | None:
    """The application that made a page, by the first line of the table that fits."""
    for rule in RULES:
        if rule.path is not None and rule.path != page.path:
            continue
        found = rule.pattern.search(page.field(rule.place))
        if found:
            version = (found[1] or None) if rule.pattern.groups else None
            service = SERVICES.get(rule.name, "http")
            return Application(rule.name, rule.product, version, rule.kind, service, rule.vendor)
    return None
