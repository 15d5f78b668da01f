"""Who talks to given endpoints: answered flows, attempts, peers, from the conversations of a tally. Our own scans are left out.

Conversations are sorted once by (destination, port, transport), so that each endpoint is a look-up and not a pass over all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet, parse_address
from reconshield.detect.classes import find_own
from reconshield.detect.ends import Ends
from reconshield.detect.expected import TRANSPORTS
from reconshield.detect.scene import OwnScan
from reconshield.detect.tally import Tally
from reconshield.detection import Talk, Traffic
from reconshield.rows import join

Array = NDArray[Any]
Place = tuple[str, int, str]
"""An address, a port, a transport."""

TOP = 3


def talk_in(tally: Tally, places: Iterable[Place], scans: Sequence[OwnScan], files: tuple[str, ...]) -> Mapping[Place, Talk]:
    """What all conversations show of each place. In memory are only those of the hosts of these places."""
    asked = list(places)
    area = AddressSet(tuple((value, value) for value in {parse_address(ip) for ip, _, _ in asked}))
    kept = []
    for rows in tally.parts():
        ends = Ends(rows)
        meant = ends.within(area)
        kept.append(rows.compress(meant[ends.src] | meant[ends.dst]))
    theirs = join(kept)
    ordered = theirs[np.argsort(theirs["order"], kind="stable")]
    return find_talk(ordered, asked, scans, files, tally.span if tally.span[0] else None)


def find_talk(
    rows: Array,
    places: Iterable[Place],
    scans: Sequence[OwnScan],
    files: tuple[str, ...],
    span: tuple[float, float] | None = None,
) -> Mapping[Place, Talk]:
    """What these conversations show of each place; `span` is the time that all of them cover, where these are not all."""
    span = span or span_of(rows)
    traffic = Traffic(files, span)
    if not rows.size:
        return {place: Talk(traffic) for place in places}
    ends = Ends(rows)
    own = find_own(rows, ends, scans, span or (0.0, 0.0)) >= 0
    hosts = np.unique(np.concatenate([ends.src[~own], ends.dst[~own]]))
    keys = key_of(ends.dst, rows["dport"], rows["transport"])
    order = np.argsort(keys, kind="stable")
    ordered, numbers = keys[order], {name: number for number, name in TRANSPORTS.items()}
    found = {}
    for place in places:
        host = ends.find(place[0])
        key = key_of(np.int64(host), place[1], numbers.get(place[2], 0)) if host is not None else None
        first, last = np.searchsorted(ordered, [key, key + 1]) if key is not None else (0, 0)
        seen = host is not None and bool(np.isin(host, hosts))
        found[place] = talk_of(rows, ends, own, order[first:last], Talk(traffic, seen=seen))
    return found


def talk_of(rows: Array, ends: Ends, own: Array, chosen: Array, nothing: Talk) -> Talk:
    """Sum up the conversations with one endpoint."""
    theirs = chosen[~own[chosen]]
    left_out = int(rows["flows"][chosen[own[chosen]]].sum())
    flows, missed = rows["flows"][theirs], rows["failed"][theirs] + rows["denied"][theirs]
    answered = np.maximum(flows.astype(np.int64) - missed, 0)
    talking = theirs[answered > 0]
    amounts = answered[answered > 0]
    busiest = np.argsort(-amounts, kind="stable")[:TOP]
    times = rows["last"][talking]
    return Talk(
        traffic=nothing.traffic,
        flows=int(amounts.sum()),
        attempts=int(missed.sum()),
        peers=int(np.unique(ends.src[talking]).size),
        top=tuple((ends.text(int(ends.src[talking[at]])), int(amounts[at])) for at in busiest),
        last=float(np.nanmax(times)) if times.size and not np.isnan(times).all() else None,
        seen=nothing.seen,
        own=left_out,
    )


def key_of(host: Array | np.int64, port: Array | int, transport: Array | int) -> Any:
    """One number for an endpoint whose address has this place among all addresses."""
    return host << 24 | np.asarray(port, np.int64) << 8 | np.asarray(transport, np.int64)


def span_of(rows: Array) -> tuple[float, float] | None:
    """The time that conversations cover, None where they have no times."""
    if not rows.size or np.isnan(rows["first"]).all():
        return None
    return float(np.nanmin(rows["first"])), float(np.nanmax(rows["last"]))
