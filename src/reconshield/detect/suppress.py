"""Suppressions of the policy, put on detections: the reason, whose it is and until when. Nothing is hidden or rated anew.

It works on detections as they are, those of today and those that were made before the policy had the entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from reconshield.addresses import parse_address
from reconshield.detection import Detection, Suppressed
from reconshield.policy import Policy, Suppression
from reconshield.text import iso_time


def suppress(detections: Iterable[Detection], policy: Policy, now: float) -> Iterator[Detection]:
    """The detections, each with the suppression that is about it: one that holds before one that has expired."""
    entries = sorted(policy.suppressions, key=lambda entry: entry.ends <= now)
    for detection in detections:
        entry = next((entry for entry in entries if is_about(entry, detection, policy)), None)
        yield replace(detection, suppressed=mark_of(entry, now)) if entry else detection


def is_about(entry: Suppression, detection: Detection, policy: Policy) -> bool:
    src, dst = parse_address(detection.src), parse_address(detection.dst)
    if entry.zone and entry.zone not in {policy.zone_name(src), policy.zone_name(dst)}:
        return False
    if entry.port_set is not None and not has_port(entry, detection):
        return False
    return src in entry.src_area and dst in entry.dst_area


def has_port(entry: Suppression, detection: Detection) -> bool:
    ranges = getattr(entry.port_set, detection.transport, ()) if detection.transport in {"tcp", "udp"} else ()
    return any(first <= detection.port <= last for first, last in ranges)


def mark_of(entry: Suppression, now: float) -> Suppressed:
    live = entry.ends > now
    until = f"{'until' if live else 'expired'} {iso_time(entry.ends - 1)[:10]}"
    return Suppressed(f"{entry.reason} ({entry.owner}, {until}, line {entry.line})", live)
