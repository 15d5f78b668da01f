"""The exported rules for nftables in the kernel: packets of generated flows, and the counters beside detection's verdicts."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from export.policies import NOW, random_policy, read, whole
from export.traffic import Flow, against_policy, make_flows
from reconshield.jobs.policy_export import export_policy
from reconshield.policy.gates import UNJUDGED_TYPES
from system.kernel import KernelHost, Packet, frame
from system.netns import can_make_namespaces

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not can_make_namespaces(), reason="needs root and nftables"),
]
CLOSED_FOR_ALL = """\
version = 1
[[zone]]
name = "host"
targets = ["10.91.0.0/24", "fd91::/64"]
secure = true
[[traffic]]
zone = "host"
direction = "out"
ports = "U:53"
with = ["wan"]
[[traffic]]
zone = "host"
direction = "in"
ports = "22"
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelHost]:
    with KernelHost() as host:
        yield host


def counters(kernel: KernelHost) -> dict[str, int]:
    """Packets that reached the log rule of each gate."""
    listed = json.loads(kernel.host.run("nft", "-j", "list", "table", "inet", "reconshield_policy"))["nftables"]
    found = {}
    for item in listed:
        for expression in item.get("rule", {}).get("expr", []):
            if "counter" in expression:
                found[item["rule"]["chain"]] = expression["counter"]["packets"]
    return found


def told(kernel: KernelHost, flow: Flow, number: int) -> bool:
    """Whether the first packet of a flow is counted, and logged, by any gate. What is judged of ICMP goes as an echo: only that
    can begin something for the kernel.
    """
    protocol, echo = (58, 0x8000) if ":" in flow.src else (1, 0x0800)
    message = flow.kind << 8 if flow.kind in UNJUDGED_TYPES[protocol] else echo
    return counted(kernel, Packet(flow.src, flow.dst, flow.transport, 20_000 + number, flow.port or message), number)


def counted(kernel: KernelHost, packet: Packet, number: int) -> bool:
    before = counters(kernel)
    kernel.wire.send(frame(packet, number, kernel.mac))
    return counters(kernel) != before


@pytest.mark.parametrize("name", ["whole", *range(6)])
def test_the_kernel_counts_what_detection_calls_against_the_policy(kernel: KernelHost, name: str | int) -> None:
    """Written a year ago, so that entries which are over by now are still in the rules and must end by themselves."""
    policy = whole() if name == "whole" else random_policy(int(name))
    kernel.load_nft(export_policy(policy, "nftables", NOW - 366 * 86_400))
    flows = make_flows(policy, 120, seed=3, transports=("tcp", "tcp", "udp", "icmp"), link=False)
    said = against_policy(policy, flows, time.time())
    assert len(set(said.values())) == 2, "both verdicts"
    wrong = [(flow, said[flow]) for number, flow in enumerate(flows, 1) if told(kernel, flow, number) != said[flow]]
    assert not wrong, f"{len(wrong)} of {len(flows)}, first {wrong[0]}"


def test_what_the_host_itself_receives_and_sends(kernel: KernelHost) -> None:
    """The hooks input and output; answers and loopback are not counted."""
    policy = read(CLOSED_FOR_ALL)
    kernel.load_nft(export_policy(policy, "nftables", NOW))
    flows = [
        Flow(src, own, "tcp", port)
        for src, own in (("203.0.113.9", "10.91.0.2"), ("2001:db8:9::9", "fd91::2"), ("10.91.0.1", "10.91.0.2"))
        for port in (22, 23)
    ]
    said = against_policy(policy, flows, time.time())
    assert [told(kernel, flow, number) for number, flow in enumerate(flows, 900)] == [said[flow] for flow in flows]
    assert [said[flow] for flow in flows] == [False, True, False, True, True, True]
    link = [
        Flow("10.91.0.1", "255.255.255.255", "udp", 1900),
        Flow("10.91.0.1", "255.255.255.255", "udp", 67),
        Flow("10.91.0.1", "224.0.0.1", "udp", 5353),
        Flow("fd91::1", "ff02::1", "udp", 5355),
        Flow("fd91::1", "ff02::1", "udp", 547),
        Flow("203.0.113.9", "224.0.0.1", "udp", 5353),
    ]
    said = against_policy(policy, link, time.time())
    assert [told(kernel, flow, number) for number, flow in enumerate(link, 930)] == [said[flow] for flow in link]
    assert [said[flow] for flow in link] == [True, False, True, True, False, False]
    sent = [
        Flow("10.91.0.2", "203.0.113.77", "udp", 53),
        Flow("10.91.0.2", "203.0.113.77", "udp", 54),
        Flow("10.91.0.2", "10.91.0.2", "udp", 54),
    ]
    answered = [packet for packet in kernel.established if packet.family == 4][:3]
    assert [counted(kernel, packet, number) for number, packet in enumerate(answered, 950)] == [False] * 3, "established"
    fresh = [replace(packet, source_port=50_000) for packet in answered]
    assert [counted(kernel, packet, number) for number, packet in enumerate(fresh, 960)] == [True] * 3
    seen = [speaks(kernel, flow) for flow in sent]
    assert seen == [False, True, False]
    assert [against_policy(policy, [flow], time.time())[flow] for flow in sent[:2]] == seen[:2]


def speaks(kernel: KernelHost, flow: Flow) -> bool:
    """Whether a datagram that the host sends itself is counted."""
    before = counters(kernel)

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((flow.src, 0))
            sock.sendto(b"question", (flow.dst, flow.port))

    kernel.host.inside(send)
    return counters(kernel) != before
