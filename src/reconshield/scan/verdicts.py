"""What a measurement can come to: every state with its reason, and what each ICMP error means. One table for all engines.

A verdict is a pair of numbers that goes into an observation. Which ICMP message gives which verdict is written once, here, so
that the engine that asks the kernel (`answers`) and the one that reads frames (`icmp`) cannot differ. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from reconshield.model import Reason, State


class Verdict(NamedTuple):
    """A state and why."""

    state: State
    reason: Reason


OPEN = Verdict(State.OPEN, Reason.SYN_ACK)
REFUSED = Verdict(State.CLOSED, Reason.CONN_REFUSED)
RESET = Verdict(State.CLOSED, Reason.RESET)
SILENT = Verdict(State.FILTERED, Reason.NO_RESPONSE)
UDP_OPEN = Verdict(State.OPEN, Reason.UDP_RESPONSE)
UDP_CLOSED = Verdict(State.CLOSED, Reason.PORT_UNREACH)
UDP_SILENT = Verdict(State.OPEN_FILTERED, Reason.NO_RESPONSE)
NO_HOST = Verdict(State.UNREACHABLE, Reason.HOST_UNREACH)
NO_NET = Verdict(State.UNREACHABLE, Reason.NET_UNREACH)
NO_ROUTE = Verdict(State.UNREACHABLE, Reason.NO_ROUTE)
NO_NEIGHBOUR = Verdict(State.UNREACHABLE, Reason.NO_NEIGHBOUR)
PROHIBITED = Verdict(State.FILTERED, Reason.ADMIN_PROHIBITED)
NO_PROTOCOL = Verdict(State.FILTERED, Reason.PROTO_UNREACH)
EXPIRED = Verdict(State.FILTERED, Reason.TIME_EXCEEDED)
REJECTED = Verdict(State.FILTERED, Reason.PORT_UNREACH)
NET_PROHIBITED = Verdict(State.FILTERED, Reason.NET_PROHIBITED)
HOST_PROHIBITED = Verdict(State.FILTERED, Reason.HOST_PROHIBITED)

BY_ICMP = {
    (3, 0): NO_NET,
    (3, 1): NO_HOST,
    (3, 2): NO_PROTOCOL,
    (3, 3): REJECTED,
    (3, 6): NO_NET,
    (3, 7): NO_HOST,
    (3, 8): NO_HOST,
    (3, 9): NET_PROHIBITED,
    (3, 10): HOST_PROHIBITED,
    (3, 11): NO_NET,
    (3, 12): NO_HOST,
    (3, 13): PROHIBITED,
    (3, 14): PROHIBITED,
    (3, 15): PROHIBITED,
    (11, 0): EXPIRED,
}
"""ICMP type and code (RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1). What is missing says nothing of an endpoint:
"fragmentation needed" (3/4), "source route failed" (3/5; we send none), redirects, and faults in our own headers."""

BY_ICMP6 = {
    (1, 0): NO_ROUTE,
    (1, 1): PROHIBITED,
    (1, 2): NO_ROUTE,
    (1, 3): NO_HOST,
    (1, 4): REJECTED,
    (1, 5): PROHIBITED,
    (1, 6): PROHIBITED,
    (3, 0): EXPIRED,
    (4, 1): NO_PROTOCOL,
}
"""ICMPv6 type and code (RFC 4443 §3). What is missing speaks of headers that we do not send."""
