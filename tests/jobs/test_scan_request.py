"""Which ports a request means."""

from __future__ import annotations

import os
import sys

import pytest

from reconshield.jobs.scan_request import MOST_SENDERS, ScanRequest, choose_ports, choose_senders, common_udp, repeated_options
from reconshield.knowledge.payloads import payload_of, why_unmeasurable

TARGET = ("192.0.2.7",)


def test_udp_adds_the_hundred_commonest_that_may_be_asked() -> None:
    ports = choose_ports(ScanRequest(TARGET, udp=True))
    assert ports.udp == common_udp().udp
    listed = [port for first, last in ports.udp for port in range(first, last + 1)]
    assert len(listed) == 100
    assert {53, 123, 161, 137, 69, 1900, 5353, 11211} <= set(listed)
    assert not [port for port in listed if why_unmeasurable(port)]
    assert sum(payload_of(port, 3).data != b"" for port in listed) >= 25
    assert choose_ports(ScanRequest(TARGET)).tcp == ports.tcp


@pytest.mark.skipif(sys.platform != "linux", reason="raw packets are sent on Linux only")
@pytest.mark.parametrize(("cores", "senders"), [(1, 1), (2, 2), (4, 4), (32, MOST_SENDERS)])
def test_each_core_sends_where_nothing_holds_it_back(monkeypatch: pytest.MonkeyPatch, cores: int, senders: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert choose_senders(None) == senders
    assert choose_senders(25_000.0) == 1


def test_udp_goes_with_named_ports() -> None:
    ports = choose_ports(ScanRequest(TARGET, ports="22,U:40000", udp=True))
    assert ports.tcp == ((22, 22),)
    assert (40_000, 40_000) in ports.udp
    assert "--udp" in repeated_options(ScanRequest(TARGET, ports="22", udp=True))
