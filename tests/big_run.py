"""The example run's endpoints over and over, on as many addresses as wanted."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from example_run import RESULT
from reconshield.model import Endpoint, Observation, Reason, State, Turn
from reconshield.report.result import RunResult, Summary

DIALOGUE = (Turn("pop3", b"", b"+OK ready\r\n", 0.4), Turn("pop3", b"CAPA\r\n", b"+OK\r\nSTLS\r\nUSER\r\n.\r\n" * 10, 0.6))


def big_run(endpoints: int) -> RunResult:
    """A run with so many open endpoints, two of five with a finding, on 4,096 addresses."""
    services, findings, observations = [], [], []
    for number in range(endpoints):
        rated = RESULT.services[number % 5]
        place = Endpoint(str(ip_address("10.80.0.1") + number % 4096), 1000 + number // 4096)
        service = replace(rated.service, endpoint=place, evidence=rated.service.evidence or DIALOGUE)
        services.append(replace(rated, service=service))
        observations.append(Observation(place, State.OPEN, Reason.SYN_ACK, service.at, 64))
        findings += [replace(f, endpoint=place) for f in RESULT.findings if f.endpoint == rated.endpoint]
    probes = 4096 * 1000
    return replace(
        RESULT,
        head=replace(RESULT.head, targets=("10.80.0.0/20",), addresses=4096, probes=probes),
        services=tuple(services),
        findings=tuple(findings),
        observations=tuple(observations),
        summary=Summary("complete", probes, probes, endpoints, probes - endpoints, 0, 0, 0, 0, 312.0),
    )
