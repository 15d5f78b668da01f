"""What a scan would send, before anything is sent: for people in lines, for programs as one object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from typing import Any

from reconshield.addresses.intervals import merge
from reconshield.addresses.ports import ranges_text
from reconshield.jobs.scan import Prepared
from reconshield.jobs.scan_request import IDENTIFY_LEVEL, sending_rate
from reconshield.knowledge.payloads import DATAGRAMS
from reconshield.knowledge.ports import held_back
from reconshield.report.result import port_words
from reconshield.scan import connect, raw, udp
from reconshield.scan.plan import Estimate, fullest_network
from reconshield.text import count, duration, plural, rate, size


def describe_plan(prepared: Prepared) -> Iterator[str]:
    """Lines for the terminal."""
    plan, estimate = prepared.plan, estimate_plan(prepared)
    hosts, ports = plan.targets.count, plan.ports.count
    product = f"{plural(hosts, 'address', 'addresses')} × {plural(ports, *port_words(plan.ports.text()))}"
    yield f"plan    {product} = {plural(plan.size, 'endpoint', 'endpoints')}   (nothing was sent)"
    yield f"grant   {grant_text(prepared)}"
    yield (
        f"send    {packets_text(prepared)}, at most {count(estimate.packets_high)} with retries; "
        f"{size(estimate.bytes_high)}; {duration(estimate.seconds_low)} to {duration(estimate.seconds_high)} "
        f"at {rate(sending_rate(prepared.targets, prepared.options, plan.ports))}"
    )
    if plan.ports.udp:
        yield f"        a host that thins out its ICMP errors may take up to {duration(prepared.options.patience)} longer"
    if prepared.targets.level >= IDENTIFY_LEVEL:
        yield "then    per open endpoint at most 8 connections to identify and judge it"
    else:
        yield "then    nothing: level 2 is a port scan, services are guessed from the port"
    for kind, ports_held in held_ports(prepared).items():
        listed = ranges_text(merge((port, port) for port in ports_held)).replace(",", ", ")
        yield f"held    {listed} ({kind}): state is measured, no byte is sent"
    for sentence in prepared.left_out:
        yield f"not     {sentence}"


def plan_data(prepared: Prepared) -> dict[str, Any]:
    """The same as one JSON object."""
    estimate = estimate_plan(prepared)
    return {
        "v": 1,
        "type": "plan",
        "targets": list(prepared.request.targets),
        "addresses": prepared.plan.targets.count,
        "ports": prepared.plan.ports.text(),
        "endpoints": prepared.plan.size,
        "blocks": prepared.plan.blocks,
        "seed": prepared.plan.seed,
        "engine": prepared.options.engine,
        "level": prepared.targets.level,
        "grant": ",".join(prepared.targets.grants) or None,
        "not_measured": [*(f"{d.addresses.text()}: {d.why}" for d in prepared.targets.dropped), *prepared.left_out],
        "packets": [estimate.packets_low, estimate.packets_high],
        "bytes": [estimate.bytes_low, estimate.bytes_high],
        "seconds": [round(estimate.seconds_low, 3), round(estimate.seconds_high, 3)],
        "held_back": [{"port": p, "kind": kind} for kind, ports in held_ports(prepared).items() for p in ports],
    }


def estimate_plan(prepared: Prepared) -> Estimate:
    """TCP is asked twice at most where nothing is lost, UDP as often as the payload table allows."""
    plan, ports = prepared.plan, prepared.plan.ports
    tcp, all_ports = replace(ports, udp=()).count, ports.count
    frames = tcp * (raw if prepared.options.engine == "raw" else connect).FRAME_BYTES + udp.question_bytes(
        ports, prepared.targets.level
    )
    rounds, transports = DATAGRAMS if ports.udp else 2, bool(ports.tcp) + bool(ports.udp)
    silent, per_net = fullest_network(plan.targets - prepared.targets.exempt), prepared.options.per_net
    return plan.estimate(
        rate=sending_rate(prepared.targets, prepared.options, ports),
        frame_bytes=ceil(frames / all_ports),
        retries=(tcp + (all_ports - tcp) * (DATAGRAMS - 1)) / all_ports,
        silent=silent * rounds * transports / per_net if per_net else 0.0,
    )


def packets_text(prepared: Prepared) -> str:
    """`1,000 connects and 20 datagrams`."""
    ports, hosts = prepared.plan.ports, prepared.plan.targets.count
    tcp = hosts * replace(ports, udp=()).count
    datagrams = hosts * replace(ports, tcp=()).count
    words = ("SYN", "SYNs") if prepared.options.engine == "raw" else ("connect", "connects")
    parts = [plural(tcp, *words)] if tcp or not datagrams else []
    return " and ".join([*parts, plural(datagrams, "datagram", "datagrams")] if datagrams else parts)


def grant_text(prepared: Prepared) -> str:
    targets = prepared.targets
    leave = f"{', '.join(targets.grants)}" if targets.grants else "none needed, own machine"
    left_out = "; ".join(f"{d.addresses.text()} left out: {d.why}" for d in targets.dropped)
    return f"{leave}, level {targets.level}" + (f"; {left_out}" if left_out else "")


def held_ports(prepared: Prepared) -> dict[str, list[int]]:
    """The planned ports that get no byte, by kind of device."""
    found: dict[str, list[int]] = {}
    for first, last in prepared.plan.ports.tcp:
        for port in range(first, last + 1):
            if held := held_back(port, "tcp"):
                found.setdefault(held.kind, []).append(port)
    return found
