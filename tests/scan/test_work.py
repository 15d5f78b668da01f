"""Pairs that wait for their host or their network, by a clock of the test."""

from __future__ import annotations

from collections.abc import Callable

from reconshield.addresses import AddressSet, PortSet, parse_target
from reconshield.scan.pacing import KEPT_ANSWERED, HostLimit, NetLimit
from reconshield.scan.plan import MAX_BLOCK, Plan
from reconshield.scan.work import Item, Waiting, Work


def area(text: str) -> AddressSet:
    return parse_target(text).addresses or AddressSet()


def drive(waiting: Waiting, seconds: float, heard: Callable[[Item, float], None] | None = None) -> list[tuple[float, str]]:
    """When each host is asked, by a clock that ticks every 10 ms."""
    asked = []
    for tick in range(round(seconds * 100)):
        now = 5.0 + tick / 100
        while (item := waiting.next(now)) is not None:
            asked.append((now - 5.0, item[0].goals[item[1]][0]))
            if heard:
                heard(item, now)
    return asked


def work_of(targets: AddressSet, ports: int, *, limited: bool = True) -> Work:
    plan = Plan(targets, PortSet(udp=((1, ports),)), seed=3, block_size=MAX_BLOCK)
    return Work(0, plan.pairs(0), [limited] * plan.size)


def test_a_silent_network_is_asked_slowly_and_holds_up_no_other() -> None:
    """512 silent addresses of one /24 and one /64, 20 ports each, beside 100 in networks of their own."""
    silent = area("192.0.2.0/24") | area("2001:db8::/120")
    others = AddressSet.of(*(f"10.0.{n}.1" for n in range(100)))
    waiting = Waiting(HostLimit(1000), NetLimit(100))
    waiting.add(work_of(silent | others, 20))
    asked = drive(waiting, 4.0)
    assert len(asked) == (512 + 100) * 20
    assert max(at for at, host in asked if host.startswith("10.")) < 0.05
    for start in ("192.0.2.", "2001:"):
        first: dict[str, float] = {}
        for at, host in asked:
            if host.startswith(start):
                first.setdefault(host, at)
        times = sorted(first.values())
        assert len(times) == 256
        assert all(100 * at + 102 >= number for number, at in enumerate(times, 1)), "a hundred at once, and a hundred a second"
        assert times[-1] < 1.7


def test_a_network_of_hosts_that_answer_waits_only_for_those_before_the_first_answer() -> None:
    quick = Waiting(None, NetLimit(2))
    quick.add(work_of(area("192.0.2.0/26"), 1))
    assert max(at for at, _ in drive(quick, 9.0, quick.answered)) == 0
    slow = Waiting(None, NetLimit(2))
    slow.add(work_of(area("192.0.2.0/26"), 1))
    assert len(drive(slow, 9.0)) == 3 + 2 * 8 + 1, "three at once, then two a second"


def test_an_address_is_asked_again_for_its_network_after_a_second_but_not_once_it_answered() -> None:
    limit = NetLimit(1)
    assert limit.turn(1, "a", 5.0) == 5.0
    assert limit.is_free("a", 5.9)
    assert not limit.is_free("a", 6.1)
    assert limit.turn(1, "b", 5.0) == 5.0  # a second's worth at once
    assert limit.turn(1, "c", 5.0) == 6.0
    assert limit.turn(2, "d", 5.0) == 5.0
    limit.answered(1, "a", 5.0)
    limit.answered(1, "a", 5.0)
    assert limit.is_free("a", 99.0)
    assert limit.turn(1, "e", 5.0) == 6.0, "a second later without the answer"


def test_who_is_exempt_has_no_network() -> None:
    waiting = Waiting(HostLimit(1), NetLimit(1))
    waiting.add(work_of(area("192.0.2.0/24"), 2, limited=False))
    assert len(drive(waiting, 0.01)) == 512


def test_what_networks_remember_is_bounded() -> None:
    limit = NetLimit(1e9)
    for number in range(300_000):
        limit.turn(number, str(number), number * 1e-3)
        limit.answered(number, str(number), number * 1e-3)
    assert len(limit._turns) + len(limit._due) + len(limit._answered) < 2 * 4096 + KEPT_ANSWERED
