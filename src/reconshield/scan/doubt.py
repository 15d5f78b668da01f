"""Whose open ports are hard to believe: hosts on which every port answers, ports that answer on every host. Pure.

A SYN proxy or a tarpit sends SYN-ACK for every port of a host; a proxy on the way (mail filter, captive portal) answers one
port of every host. Both are found by counting, and neither proves anything alone: a farm of web servers has 80 open everywhere
too. So the counts only choose what is looked at again: a connection is made and held for a moment (`confirm`), and what that
shows decides which endpoints are asked in their protocol.

    closed or lost    the handshake was taken back: a proxy had answered, nothing is behind it        not believed
    spoke or held     asked like any other; where nearly all ports of a host do it, only those that usually have a service
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from reconshield.model import Endpoint, State, Transport
from reconshield.scan.batch import Batch, address_text

LEAST_PORTS, PORT_SHARE = 32, 0.9
"""A host is doubtful when at least so many of its ports were measured and this share of them answered."""
LEAST_HOSTS, HOST_SHARE = 32, 0.95
"""The same for a port and the hosts that were measured."""
FEW, FEW_SHARE = 160, 0.1
"""So many endpoints of a doubtful host, or this share of the measured ones, are asked without further ado: whoever names the
ports that he knows to be open finds nearly all of them open."""
USUAL = 64
"""Of more than that, so many of those that usually have a service."""
CONFIRMED_SHARE = 0.5
"""From this share of confirmed endpoints on there is nothing to doubt."""
ALIKE_SHARE = 0.9


class Outcome(Enum):
    """What a second connection to an endpoint showed."""

    CLOSED = "closed after the handshake"
    LOST = "no handshake"
    SPOKE = "spoke"
    HELD = "stayed open"


@dataclass(frozen=True, slots=True)
class Crowd:
    """More open endpoints than can be: of one host (`ip`) or of one TCP port (`port`)."""

    measured: int
    open: int
    ip: str | None = None
    port: int | None = None


def may_have_crowds(opened: int, ports: int, hosts: int) -> bool:
    """Whether so many open endpoints can hold a doubtful host or port, of so many TCP ports and hosts that were measured."""
    host = ports >= LEAST_PORTS and opened >= PORT_SHARE * ports
    return host or (hosts >= LEAST_HOSTS and opened >= HOST_SHARE * hosts)


def find_hosts(answers: Batch, ports: int) -> list[Crowd]:
    """The hosts on which nearly all of the `ports` measured TCP ports are open. `answers` are all observations but silence."""
    if ports < LEAST_PORTS:
        return []
    opened = _open_tcp(answers)
    keys = np.empty(opened.size, dtype=[("hi", "u8"), ("lo", "u8")])
    keys["hi"], keys["lo"] = opened["hi"], opened["lo"]
    hosts, counts = np.unique(keys, return_counts=True)
    many = counts >= PORT_SHARE * ports
    return [
        Crowd(ports, int(number), ip=address_text(hi, lo))
        for (hi, lo), number in zip(hosts[many].tolist(), counts[many].tolist(), strict=True)
    ]


def find_ports(answers: Batch, hosts: int) -> list[Crowd]:
    """The TCP ports that are open on nearly all of the `hosts` measured addresses."""
    if hosts < LEAST_HOSTS:
        return []
    ports, counts = np.unique(_open_tcp(answers)["port"], return_counts=True)
    many = counts >= HOST_SHARE * hosts
    return [Crowd(hosts, number, port=port) for port, number in zip(ports[many].tolist(), counts[many].tolist(), strict=True)]


def _open_tcp(answers: Batch) -> Batch:
    opened: Batch = answers[(answers["state"] == State.OPEN) & (answers["transport"] == Transport.TCP)]
    return opened


def choose(crowd: Crowd, outcomes: Mapping[Endpoint, Outcome], is_usual: Callable[[Endpoint], bool]) -> set[Endpoint]:
    """The endpoints of a doubtful host that are worth asking in their protocol; the others are not believed."""
    left = [place for place, outcome in outcomes.items() if outcome in {Outcome.SPOKE, Outcome.HELD}]
    if len(left) <= max(FEW, FEW_SHARE * crowd.measured):
        # where most of them hold, one that hangs up is a server that turns strangers away
        rude = [place for place, outcome in outcomes.items() if outcome is Outcome.CLOSED]
        return {*left, *(rude if len(left) >= CONFIRMED_SHARE * len(outcomes) else ())}
    usual = sorted((place for place in left if is_usual(place)), key=lambda place: place.port)
    return set(usual[:USUAL])


def is_doubtful(crowd: Crowd, confirmed: int, alike: int = 0) -> bool:
    """Whether to say so: fewer than half of the open endpoints were confirmed, or (`alike`) nearly all gave the same answer.

    Of one host the same answer everywhere is no fault (a server that listens on many ports); of one port it may be a proxy's.
    """
    return confirmed < CONFIRMED_SHARE * crowd.open or (crowd.port is not None and alike >= ALIKE_SHARE * crowd.open)
