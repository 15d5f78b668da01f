"""The classes of evidence, each a function that gives columns of points for all conversations of a scene at once.

A column knows its points for everything and explains a single conversation only when it is asked, so a million of them cost a
few passes over arrays, and words are written for what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reconshield.detect import evidence as weights
from reconshield.detect.ends import Ends
from reconshield.detect.evidence import Kind
from reconshield.detect.expected import ports_in
from reconshield.detect.flows import Mark
from reconshield.detect.scene import (
    Array,
    Column,
    OwnScan,
    PortUse,
    Scene,
    by_endpoint,
    endpoint_of,
    network,
    service_text,
    union,
)
from reconshield.detection import Evidence
from reconshield.text import duration, plural, size

WEB_PORTS = (80, 443, 8080, 8443)
ADMIN_PORTS = (22, 23, 135, 139, 445, 3389, 5900, 5985, 5986)
"""Where one machine takes over another: between user hosts these are worth a look."""

UDP = 17
DAY = 86_400.0
NEW_DAYS, LEAST_SPAN_DAYS = 7, 8
FEW_SHARE, LEAST_HOSTS = 0.02, 50
MANY_FAILURES = 20
EVERYBODY = union(map(network, ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8")))
"""Groups and the broadcast: no single host, so nothing answers for it."""


def to_everybody(scene: Scene) -> Array:
    """Which conversations are sent to a group or to all."""
    return scene.ends.within(EVERYBODY)[scene.ends.dst]


def policy_columns(scene: Scene) -> list[Column]:
    verdicts, policy = scene.verdicts, scene.setting.policy
    wrong = verdicts.governed & ~verdicts.allowed
    points = np.where(wrong, np.where(verdicts.secure, weights.POLICY_SECURE, weights.POLICY_ORDINARY), 0)

    def violation(number: int) -> Evidence:
        zone = policy.zones[int(verdicts.zone[number])]
        port, transport = endpoint_of(scene, number)
        what = service_text(scene.setting, port, transport)
        kind = "secure zone" if zone.secure else "zone"
        because = f"{kind} {zone.name} expects no {what} here (line {zone.line})"
        return Evidence(Kind.POLICY, int(points[number]), because)

    def allowance(number: int) -> Evidence:
        rule = policy.traffic[int(verdicts.entry[number])]
        because = f"{rule.direction} of {rule.zone} allows it (line {rule.line})" + (f": {rule.reason}" if rule.reason else "")
        return Evidence(Kind.ALLOWED, weights.ALLOWED, because)

    return [
        Column(Kind.POLICY, points, violation),
        Column(Kind.ALLOWED, np.where(verdicts.allowed, weights.ALLOWED, 0), allowance),
    ]


def port_list_columns(scene: Scene) -> list[Column]:
    def best(port: int, transport: str) -> PortUse | None:
        return min(scene.setting.port_uses(port, transport), key=lambda use: use.tier, default=None)

    def points(port: int, transport: str, app: str) -> int:
        del app
        use = best(port, transport) if port not in WEB_PORTS else None  # all use these, so a documented use says nothing
        return weights.TIERS.get(use.tier, 0) if use else 0

    column = by_endpoint(scene, points)

    def explain(number: int) -> Evidence:
        uses = scene.setting.port_uses(*endpoint_of(scene, number))
        names = ", ".join(f"{use.family} {use.year}" for use in uses[:3])
        source = min(uses, key=lambda use: use.tier)
        because = f"documented on this port: {names} (tier {source.tier}); a port alone is weak"
        return Evidence(Kind.PORT_LIST, int(column[number]), because, source.attack)

    return [Column(Kind.PORT_LIST, column, explain)]


def protocol_columns(scene: Scene) -> list[Column]:
    services = scene.setting.services
    column = by_endpoint(scene, lambda *endpoint: weights.PROTOCOL if services.mismatch(*endpoint) else 0)

    def explain(number: int) -> Evidence:
        port, transport = endpoint_of(scene, number)
        why = services.mismatch(port, transport, scene.apps[int(scene.rows["app"][number])]) or ""
        return Evidence(Kind.PROTOCOL, weights.PROTOCOL, why, "T1571")

    return [Column(Kind.PROTOCOL, column, explain)]


def direction_columns(scene: Scene) -> list[Column]:
    rows, ends = scene.rows, scene.ends
    src_inside, dst_inside = scene.inside[ends.src], scene.inside[ends.dst]
    everybody = to_everybody(scene)
    outward = src_inside & ~dst_inside & ~everybody & ~np.isin(rows["dport"], WEB_PORTS) & (rows["dport"] > 0)
    few = scene.crowd.clients < 3
    lateral = src_inside & dst_inside & np.isin(rows["dport"], ADMIN_PORTS) & few & (ends.src != ends.dst)
    points = np.where(outward, weights.OUTWARD, np.where(lateral, weights.LATERAL, 0))

    def explain(number: int) -> Evidence:
        because = (
            "inside to the internet, not a web port" if outward[number] else "between inside hosts, on a port that administers"
        )
        return Evidence(Kind.DIRECTION, int(points[number]), because)

    return [Column(Kind.DIRECTION, points, explain)]


def failure_columns(scene: Scene) -> list[Column]:
    """Attempts that came to nothing. Over UDP silence is ordinary (a time server or a peer that has gone), so there only what a
    filter stopped counts; and a group has nobody who could answer.
    """
    answers = scene.rows["transport"] != UDP
    failed = np.where(answers, scene.rows["failed"], 0).astype(np.int64) + scene.rows["denied"]
    outside = ~scene.inside[scene.ends.dst] & ~to_everybody(scene)
    points = np.where((failed >= MANY_FAILURES) & outside, weights.FAILURE, 0)

    def explain(number: int) -> Evidence:
        flows, lost = int(scene.rows["flows"][number]), int(failed[number])
        return Evidence(Kind.FAILURE, weights.FAILURE, f"{lost:,} of {flows:,} attempts refused, stopped or unanswered")

    return [Column(Kind.FAILURE, points, explain)]


def rarity_columns(scene: Scene) -> list[Column]:
    """Destinations of few inside hosts, where there are enough hosts for that to say something."""
    ends = scene.ends
    inside = scene.inside[ends.src]
    hosts, talkers = scene.crowd.hosts, scene.crowd.talkers
    if hosts < LEAST_HOSTS:
        return []
    outside = ~scene.inside[ends.dst] & ~to_everybody(scene)
    points = np.where(inside & outside & (talkers <= max(1, hosts * FEW_SHARE)), weights.RARITY, 0)

    def explain(number: int) -> Evidence:
        because = f"{plural(int(talkers[number]), 'host', 'hosts')} of {hosts:,} inside talk to it"
        return Evidence(Kind.RARITY, weights.RARITY, because)

    return [Column(Kind.RARITY, points, explain)]


def novelty_columns(scene: Scene) -> list[Column]:
    """First seen in the last days, where earlier data or a long enough file says that it was not there before."""
    begun, setting = scene.rows["first"], scene.setting
    latest = scene.span[1]
    long_enough = scene.span[1] - scene.span[0] >= LEAST_SPAN_DAYS * DAY
    if setting.first_seen is not None:
        earlier = setting.first_seen(scene.rows, scene.ends)
        begun = np.fmin(begun, earlier)
    elif not long_enough:
        return []
    points = np.where(latest - begun <= NEW_DAYS * DAY, weights.NOVELTY, 0)

    def explain(number: int) -> Evidence:
        ago = duration(max(0.0, latest - float(begun[number])))
        return Evidence(Kind.NOVELTY, weights.NOVELTY, f"first seen {ago} before the end of the data")

    return [Column(Kind.NOVELTY, points, explain)]


def amount_columns(scene: Scene) -> list[Column]:
    rows = scene.rows
    sent, received, longest = rows["sent"].astype(np.float64), rows["received"].astype(np.float64), rows["longest"]
    much = (sent >= 1e6) & (sent >= 4 * np.maximum(received, 1))
    lasting = np.where(longest >= 12 * 3600, weights.VERY_LONG, np.where(longest >= 4 * 3600, weights.LONG, 0))

    def explain_volume(number: int) -> Evidence:
        because = f"sent {size(sent[number])}, received {size(received[number])}"
        return Evidence(Kind.VOLUME, weights.VOLUME, because)

    def explain_duration(number: int) -> Evidence:
        return Evidence(Kind.DURATION, int(lasting[number]), f"one flow lasted {duration(float(longest[number]))}")

    return [
        Column(Kind.VOLUME, np.where(much, weights.VOLUME, 0), explain_volume),
        Column(Kind.DURATION, lasting, explain_duration),
    ]


def indicator_columns(scene: Scene) -> list[Column]:
    found = scene.setting.indicators(scene.rows, scene.ends)
    points = np.zeros(scene.rows.size, np.int64)
    points[list(found)] = weights.INDICATOR
    return [Column(Kind.INDICATOR, points, lambda number: Evidence(Kind.INDICATOR, weights.INDICATOR, found[number]))]


def listener_columns(scene: Scene) -> list[Column]:
    found = scene.setting.listeners(scene.rows, scene.ends)
    points = np.zeros(scene.rows.size, np.int64)
    points[list(found)] = weights.LISTENER
    return [Column(Kind.LISTENER, points, lambda number: Evidence(Kind.LISTENER, weights.LISTENER, found[number]))]


def doubt_columns(scene: Scene) -> list[Column]:
    """What speaks for a harmless reading: our own scan, a guess at who began, half a capture."""
    rows = scene.rows
    scanned = find_own(rows, scene.ends, scene.setting.scans, scene.span)
    unsure = rows["unsure"] * 2 > rows["flows"]
    half = rows["marks"] & Mark.ONE_SIDED != 0

    def own(number: int) -> Evidence:
        run = scene.setting.scans[int(scanned[number])].run
        return Evidence(Kind.SCANNER, weights.SCANNER, f"our own scan {run}")

    confused = Evidence(
        Kind.CONFUSION, weights.CONFUSION, "the beginning was not captured: this may be a reply to the other side"
    )
    cut = Evidence(Kind.ONE_SIDED, weights.ONE_SIDED, "only one direction was captured")
    return [
        Column(Kind.SCANNER, np.where(scanned >= 0, weights.SCANNER, 0), own),
        Column(Kind.CONFUSION, np.where(unsure, weights.CONFUSION, 0), lambda _: confused),
        Column(Kind.ONE_SIDED, np.where(half, weights.ONE_SIDED, 0), lambda _: cut),
    ]


def find_own(rows: Array, ends: Ends, scans: Sequence[OwnScan], span: tuple[float, float]) -> Array:
    """For each conversation the number of the scan of ours that it is, -1 for none; `span` is the time of all of them."""
    found = np.full(rows.size, -1, np.int64)
    for number, scan in enumerate(scans):
        if scan.end + 60 < span[0] or scan.begin - 1 > span[1]:
            continue
        ours = ends.within(scan.sources)[ends.src] & ends.within(scan.targets)[ends.dst] & ports_in(scan.ports, rows)
        found[ours & (rows["first"] >= scan.begin - 1) & (rows["last"] <= scan.end + 60)] = number
    return found


COLUMNS: tuple[Callable[[Scene], list[Column]], ...] = (
    policy_columns,
    port_list_columns,
    protocol_columns,
    direction_columns,
    failure_columns,
    novelty_columns,
    rarity_columns,
    amount_columns,
    indicator_columns,
    listener_columns,
    doubt_columns,
)
