"""One case: a ruleset and a packet, asked of the kernel and of the evaluator."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from random import Random

from reconshield.addresses import AddressSet, text_of
from reconshield.firewall.evaluate import Evaluator
from reconshield.firewall.question import Answer, Part, Question, single
from reconshield.firewall.readers import read_rulesets
from reconshield.firewall.ruleset import Ruleset, State
from system.kernel import KernelHost, Packet, Passed
from system.random_rules import IptablesRules, NftRules, random_packets

EVERYTHING_PORTS = ((0, 65535),)
INVALID_FLAGS = frozenset({0x00, 0x04, 0x11})


@dataclass
class Tally:
    """How many cases agreed, how many the evaluator would not decide, and the cases that did not agree."""

    agreed: int = 0
    unknown: int = 0
    wrong: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def cases(self) -> int:
        return self.agreed + self.unknown + len(self.wrong)


def question(packet: Packet) -> Question:
    """The packet as a question."""
    icmp = packet.transport.startswith("icmp")
    state = State.ESTABLISHED if packet.established else State.NEW
    if packet.transport == "tcp" and packet.flags in INVALID_FLAGS:
        state = State.INVALID
    return Question(
        packet.family,
        AddressSet.of(packet.source),
        packet.transport,
        EVERYTHING_PORTS if icmp else single(packet.port),
        AddressSet.of(packet.destination),
        source_ports=EVERYTHING_PORTS if icmp else single(packet.source_port),
        interface="outside",
        state=state,
        flags=single(packet.flags) if packet.transport == "tcp" else None,
        icmp=single(packet.port) if icmp else None,
    )


def fits(part: Part, packet: Packet, passed: Passed | None) -> bool:
    """Whether the kernel did what the part says, where it let the packet through also to which address and port."""
    if part.answer is Answer.DENY or passed is None:
        return (part.answer is Answer.DENY) == (passed is None)
    address, port = packet.destination, packet.port
    if part.moved is not None:
        addresses, ports = part.moved
        # A redirect goes to one of the host's addresses; which one is not said.
        address = text_of(addresses[0][0]) if addresses[0][0] == addresses[-1][1] else passed.address
        port = ports[0][0]
    if packet.transport.startswith("icmp"):
        port = passed.port
    return (str(ip_address(passed.address)), passed.port) == (address, port)


def compare(host: KernelHost, rulesets: Sequence[Ruleset], packets: Sequence[Packet], text: str, tally: Tally) -> None:
    """Ask both about each packet under the rules that are loaded."""
    (ruleset,) = rulesets
    assert not ruleset.faults, (ruleset.faults, text)
    evaluator = Evaluator(ruleset, host.world)
    passed = host.ask(packets)
    for number, packet in enumerate(packets, 1):
        parts = evaluator.judge(question(packet))
        assert len(parts) == 1 or packet.transport.startswith("icmp"), parts
        part = parts[0]
        tally.answers[part.answer.value] += 1
        if part.answer is Answer.UNKNOWN:
            tally.unknown += 1
            tally.reasons[part.because] += 1
        elif all(fits(each, packet, passed.get(number)) for each in parts):
            tally.agreed += 1
        else:
            ours = f"{part.answer} by {part.by.text() if part.by else 'no chain'}"
            tally.wrong.append(f"{packet}\nevaluator: {ours}\nkernel: {passed.get(number)}\n{text}")


def read_nft(host: KernelHost) -> tuple[Ruleset, ...]:
    """What nft lists, without the tap."""
    listed = json.loads(host.host.run("nft", "-j", "list", "ruleset"))["nftables"]
    kept = [
        item
        for item in listed
        if "tap" not in {part.get("table") for part in item.values()} | {part.get("name") for part in item.values()}
    ]
    return read_rulesets(json.dumps({"nftables": kept}), "nft")


def read_iptables(host: KernelHost, program: str) -> tuple[Ruleset, ...]:
    """What iptables-save and ip6tables-save say."""
    texts = [host.host.run(f"{command}-{program}-save") for command in ("iptables", "ip6tables")]
    return read_rulesets("\n".join(texts), "iptables-save")


def try_nft(host: KernelHost, rng: Random, packets: int, tally: Tally) -> None:
    """Random rules for nft, random packets, both asked."""
    made = NftRules(rng)
    text = host.load_what_loads(made.text())
    established = [] if made.connection_marks else host.established  # a mark would stay on a connection
    compare(host, read_nft(host), random_packets(rng, packets, established), text, tally)


def try_iptables(host: KernelHost, rng: Random, packets: int, tally: Tally, program: str) -> None:
    """Random rules for iptables and ip6tables, of the kernel's new or old tables."""
    marks = rng.random() < 0.3
    v4, v6 = (IptablesRules(rng, family, marks=marks).text() for family in (4, 6))
    host.load_iptables(v4, v6, program)
    compare(host, read_iptables(host, program), random_packets(rng, packets, host.established), v4 + v6, tally)
    host.clear_iptables(program)
