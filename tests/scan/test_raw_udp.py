"""The pure parts of the raw UDP engine: source ports as cookies, and a block's columns."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from reconshield.addresses import AddressSet, PortSet, parse_address
from reconshield.knowledge.payloads import payload_of
from reconshield.model import State
from reconshield.scan import verdicts
from reconshield.scan.batch import records, split_address
from reconshield.scan.cookies import Cookies
from reconshield.scan.plan import Plan
from reconshield.scan.raw_udp_block import Block
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
