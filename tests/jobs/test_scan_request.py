"""Which ports a request means."""

from __future__ import annotations

from reconshield.jobs.scan_request import ScanRequest, choose_ports, common_udp, repeated_options
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


def test_udp_goes_with_named_ports() -> None:
    ports = choose_ports(ScanRequest(TARGET, ports="22,U:40000", udp=True))
    assert ports.tcp == ((22, 22),)
    assert (40_000, 40_000) in ports.udp
    assert "--udp" in repeated_options(ScanRequest(TARGET, ports="22", udp=True))
