"""The pure parts of the raw UDP engine: source ports as cookies, and a block's columns."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from reconshield.addresses import AddressSet, PortSet, parse_address, parse_target, text_of
from reconshield.knowledge.payloads import payload_of
from reconshield.model import State
from reconshield.scan import verdicts
from reconshield.scan.batch import join_address, records, split_address
from reconshield.scan.cookies import Cookies
from reconshield.scan.gates import NetGate
from reconshield.scan.net_queue import NetQueue
from reconshield.scan.plan import MAX_BLOCK, Plan
from reconshield.scan.raw_udp_block import Block
from reconshield.scan.space import AddressSpace
from reconshield.scan.udp_questions import ELSEWHERE, Questions
from reconshield.scan.udp_replies import DATAGRAM, Datagrams

BASE, COUNT = 40_000, 16
PORTS = PortSet(udp=((53, 53), (69, 69), (161, 161), (1900, 1900), (5000, 5005)))


def questions(key: bytes = bytes(16)) -> Questions:
    return Questions(PORTS, 3, Cookies(key), BASE, COUNT)


def columns(*endpoints: tuple[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    halves = np.array([split_address(parse_address(ip)) for ip, _ in endpoints], dtype=np.uint64)
    return halves[:, 0], halves[:, 1], np.array([port for _, port in endpoints], dtype=np.uint16)


def datagrams(*rows: tuple[str, int, int]) -> Datagrams:
    """Address, port, and our port that it came to."""
    found = np.zeros(len(rows), dtype=DATAGRAM)
    for row, (ip, port, port_to) in zip(found, rows, strict=True):
        row["hi"], row["lo"] = split_address(parse_address(ip))
        row["port"], row["port_to"] = port, port_to
    return found


def test_every_port_has_its_payload() -> None:
    asked = questions()
    port = np.array([53, 69, 161, 1900, 5000], dtype=np.uint16)
    assert [asked.payloads[number] for number in asked.numbers(port)] == [payload_of(int(one), 3) for one in port]
    assert asked.waits(port).tolist() == [payload_of(int(one), 3).wait for one in port]


def test_source_ports_are_spread_by_the_key_and_alike_for_one_endpoint() -> None:
    ends = columns(*((f"10.0.{n // 250}.{n % 250}", 161) for n in range(2000)), *((f"fd00::{n:x}", 161) for n in range(2000)))
    first, again, other = (questions(key).port_from(*ends) for key in (bytes(16), bytes(16), bytes(range(16))))
    assert (first == again).all()
    assert (first != other).mean() > 0.8
    assert set(first.tolist()) == set(range(BASE, BASE + COUNT - ELSEWHERE))
    assert min(Counter(first.tolist()).values()) > 200


def test_who_may_answer_from_elsewhere_has_a_source_port_of_its_own() -> None:
    own = questions().port_from(*columns(("10.0.0.1", 69), ("10.0.0.2", 69), ("10.0.0.1", 1900))).tolist()
    assert own == [BASE + COUNT - ELSEWHERE] * 2 + [BASE + COUNT - ELSEWHERE + 1]
    asked = questions().asked_port(
        datagrams(("10.0.0.1", 49_999, own[0]), ("10.0.0.1", 50_000, own[2]), ("10.0.0.1", 161, BASE))
    )
    assert asked.tolist() == [69, 1900, 161]


def test_ports_that_nobody_asked_from_are_what_they_are() -> None:
    stray = datagrams(("10.0.0.1", 7, 1), ("10.0.0.1", 8, 65_535), ("10.0.0.1", 9, BASE + COUNT - 1))
    assert questions().asked_port(stray).tolist() == [7, 8, 0]


def test_a_block_gives_back_what_is_its_own() -> None:
    plan = Plan(AddressSet.of("10.0.0.1"), PortSet(tcp=((80, 82),), udp=((53, 55),)), 1, 6)
    pairs = plan.pairs(0)
    block = Block(0, pairs, np.flatnonzero(pairs.transport == 17))
    rows = block.mine
    block.answer(rows[:1], State.OPEN, verdicts.UDP_OPEN.reason, np.array([64], dtype=np.uint8))
    assert block.unknown(rows).tolist() == rows[1:].tolist()
    block.settle(rows[1:], verdicts.UDP_SILENT, 5.0)
    assert block.left == 0
    assert [(one.endpoint.transport, one.state.label, one.reason.label, one.ttl) for one in records(block.batch())] == [
        ("udp", "open", "udp-response", 64),
        ("udp", "open|filtered", "no-response", None),
        ("udp", "open|filtered", "no-response", None),
    ]


def test_no_more_than_four_ports_are_answered_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    tftp = payload_of(69, 3)
    monkeypatch.setattr("reconshield.scan.udp_questions.payload_of", lambda _port, _level: tftp)
    with pytest.raises(ValueError, match="elsewhere"):
        Questions(PortSet(udp=((60, 70),)), 3, Cookies(bytes(16)), BASE, COUNT)


# ── networks at their limit, by a clock of the test ──


def blocks_of(targets: AddressSet, ports: PortSet, size: int, exempt: AddressSet | None = None) -> list[Block]:
    plan, own = Plan(targets, ports, 5, size), AddressSpace(exempt or AddressSet())
    made = [plan.pairs(number) for number in range(plan.blocks)]
    return [
        Block(number, pairs, np.arange(pairs.hi.size), own.find(pairs.hi, pairs.lo) < 0) for number, pairs in enumerate(made)
    ]


def area(text: str) -> AddressSet:
    return parse_target(text).addresses or AddressSet()


def ask_all(queue: NetQueue, blocks: list[Block], seconds: float) -> list[tuple[float, int, int]]:
    """When each pair is asked: time, address and port; all blocks are there at once, time goes on in steps of 20 ms."""
    asked = [
        (0.0, block.host(row), int(block.pairs.port[row])) for block in blocks for row in queue.admit(block, block.mine, 5.0)
    ]
    for step in range(1, round(seconds * 50)):
        for block, rows in queue.release(5.0 + step / 50):
            asked += [(step / 50, block.host(row), int(block.pairs.port[row])) for row in rows]
    return asked


def test_silent_networks_are_asked_slowly_and_hold_up_no_other() -> None:
    """256 addresses of one /24 and as many of one /64, 20 ports each, beside 100 in networks of their own."""
    others = AddressSet.of(*(f"10.0.{n}.1" for n in range(100)))
    blocks = blocks_of(area("192.0.2.0/24") | area("2001:db8::/120") | others, PortSet(udp=((1, 20),)), 1000)
    asked = ask_all(NetQueue(NetGate(100)), blocks, 4.0)
    assert len(asked) == len({one[1:] for one in asked}) == (512 + 100) * 20, "every pair once"
    alone = {join_address(*split_address(parse_address(f"10.0.{n}.1"))) for n in range(100)}
    assert max(at for at, host, _ in asked if host in alone) == 0
    for network in ("192.0.2.0/24", "2001:db8::/120"):
        within = [(at, host) for at, host, _ in asked if text_of(host) in area(network)]
        first = sorted({host: at for at, host in reversed(within)}.values())
        assert len(first) == 256
        assert all(100 * at + 102 >= number for number, at in enumerate(first, 1)), "a hundred at once, and a hundred a second"
        assert first[-1] < 1.8


def test_who_answered_or_is_exempt_does_not_count() -> None:
    blocks = blocks_of(area("192.0.2.0/24"), PortSet(udp=((1, 1),)), 256)
    queue = NetQueue(NetGate(1))
    queue.answered(blocks[0].pairs.hi, blocks[0].pairs.lo)
    assert queue.admit(blocks[0], blocks[0].mine, 5.0).size == 256
    own = blocks_of(area("192.0.2.0/24"), PortSet(udp=((1, 1),)), 256, exempt=area("192.0.2.0/25"))
    assert NetQueue(NetGate(1)).admit(own[0], own[0].mine, 5.0).size == 128 + 2


def test_who_answered_late_is_not_asked_again_and_a_full_queue_is_said() -> None:
    (block,) = blocks_of(area("2001:db8::/112"), PortSet(udp=((1, 2),)), MAX_BLOCK)
    queue = NetQueue(NetGate(100))
    queue.admit(block, block.mine, 5.0)
    assert queue.is_full
    assert queue.due() == 0.0
    block.settle(block.mine, verdicts.UDP_SILENT, 5.0)
    assert queue.release(9.0) == []
    assert not queue.is_full
    assert queue.due() == np.inf
