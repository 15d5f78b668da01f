"""A plan visits each pair once, whoever does it, and knows which block has measured what."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconshield.addresses import AddressSet, PortSet, parse_address, parse_target
from reconshield.errors import UserError
from reconshield.scan.batch import empty, join_address
from reconshield.scan.plan import MAX_BLOCK, Plan, choose_block_size, expected_rate, fullest_network, make_plan
from reconshield.scan.space import AddressSpace

# Small ranges at the odd places: IPv4, the border of the low half, the top of the space, neighbours
PLACES = [0, 0xFFFF_0A4D_0000, 2**64 - 3, (0x20010DB8 << 96), (0x20010DB8 << 96) + 2**64 - 2, 2**128 - 20]
RANGES = st.lists(
    st.builds(
        lambda place, skip, size: (place + skip, place + skip + size),
        st.sampled_from(PLACES),
        st.integers(0, 6),
        st.integers(0, 8),
    ),
    min_size=1,
    max_size=6,
)
PORTS = st.lists(st.tuples(st.integers(0, 65_500), st.integers(0, 5)).map(lambda pair: (pair[0], sum(pair))), max_size=4)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    ports = PortSet(tuple(draw(PORTS)), tuple(draw(PORTS)) or ((53, 53),))
    return Plan(AddressSet(tuple(draw(RANGES))), ports, draw(st.integers(0, 2**64 - 1)), draw(st.integers(1, 400)))


def listed(plan: Plan) -> set[tuple[int, int, int]]:
    """All pairs the slow way: address, port, IP protocol number."""
    addresses = [a for first, last in plan.targets.ranges for a in range(first, last + 1)]
    ports = [(p, 6) for a, b in plan.ports.tcp for p in range(a, b + 1)]
    ports += [(p, 17) for a, b in plan.ports.udp for p in range(a, b + 1)]
    return {(address, *port) for address in addresses for port in ports}


def visited(plan: Plan, blocks: range) -> list[tuple[int, int, int]]:
    found = []
    for block in blocks:
        rows = zip(*(column.tolist() for column in plan.pairs(block)), strict=True)
        found += [(join_address(hi, lo), port, transport) for hi, lo, port, transport in rows]
    return found


@given(plan=plans(), shards=st.integers(1, 5))
@settings(max_examples=80, deadline=None)
def test_each_pair_once_over_all_shards(plan: Plan, shards: int) -> None:
    found = [pair for shard in range(shards) for pair in visited(plan, plan.shard(shard, shards))]
    assert len(found) == plan.size
    assert set(found) == listed(plan)


@given(plan=plans())
@settings(max_examples=60, deadline=None)
def test_block_of_finds_each_pair_and_no_other(plan: Plan) -> None:
    for block in range(0, plan.blocks, max(1, plan.blocks // 5)):
        pairs = plan.pairs(block)
        assert (plan.block_of(*pairs) == block).all()
        beyond = plan.block_of(pairs.hi + np.uint64(1), pairs.lo, pairs.port, pairs.transport)
        inside = [(join_address(hi, lo) + 2**64) % 2**128 in plan.targets for hi, lo in zip(pairs.hi, pairs.lo, strict=True)]
        assert ((beyond >= 0) == np.array(inside)).all()
        assert (plan.block_of(pairs.hi, pairs.lo, pairs.port, np.full_like(pairs.transport, 1)) == -1).all()


@given(ranges=RANGES, place=st.sampled_from(PLACES), offset=st.integers(-3, 20))
@settings(max_examples=200, deadline=None)
def test_addresses_are_found_where_they_are(ranges: list[tuple[int, int]], place: int, offset: int) -> None:
    address = (place + offset) % 2**128
    addresses = AddressSet(tuple(ranges))
    hi, lo = (np.array([half], dtype=np.uint64) for half in (address >> 64, address % 2**64))
    number = AddressSpace(addresses).find(hi, lo)
    assert (number[0] >= 0) == (address in addresses)
    if number[0] >= 0:
        there = AddressSpace(addresses).at(number.astype(np.uint64))
        assert join_address(*(int(half[0]) for half in there)) == address


def test_coverage_is_the_finished_blocks() -> None:
    plan = Plan(AddressSet.of("10.77.0.2", "2001:db8::2"), PortSet(tcp=((1, 500),), udp=((53, 53),)), seed=3, block_size=100)
    batch = empty(plan.size + 1)
    columns = [np.concatenate(column) for column in zip(*(plan.pairs(block) for block in range(plan.blocks)), strict=True)]
    for name, column in zip(("hi", "lo", "port", "transport"), columns, strict=True):
        batch[name][:-1] = column
    batch[-1]["lo"] = parse_address("10.77.0.3")  # not in the plan
    mask = plan.covers(batch, np.array([8, 2]))
    assert np.flatnonzero(mask).tolist() == [*range(200, 300), *range(800, 900)]


def test_the_last_block_is_what_is_left() -> None:
    plan = Plan(AddressSet.of("10.77.0.2"), PortSet(tcp=((1, 250),)), seed=1, block_size=100)
    assert [plan.block_length(block) for block in range(plan.blocks)] == [100, 100, 50]
    assert [plan.pairs(block).hi.size for block in range(plan.blocks)] == [100, 100, 50]


def test_json_makes_the_same_plan() -> None:
    plan = make_plan(AddressSet.of("10.77.0.2", "2001:db8::2"), PortSet(tcp=((1, 99),), udp=((53, 53),)), rate=400, seed=2**63)
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert np.array_equal(again.pairs(1), plan.pairs(1))
    with pytest.raises(UserError, match="format 2"):
        Plan.from_json({"v": 2})


def test_a_seed_is_made_if_none_is_given() -> None:
    target, ports = AddressSet.of("10.77.0.2"), PortSet(tcp=((80, 80),))
    assert len({make_plan(target, ports, rate=1, seed=None).seed for _ in range(8)}) == 8


def test_a_slash_8_with_all_ports_costs_nothing() -> None:
    whole = parse_target("10.0.0.0/8").addresses
    assert whole is not None
    tracemalloc.start()
    plan = make_plan(whole, PortSet(tcp=((1, 65_535),)), rate=500_000, seed=7)
    last = plan.pairs(plan.blocks - 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert plan.size == 2**24 * 65_535
    assert last.hi.size == plan.size % plan.block_size or last.hi.size == plan.block_size
    assert peak < 50e6


@pytest.mark.parametrize(
    ("target", "ports", "says"),
    [
        ("2001:db8::/64", PortSet(tcp=((80, 80),)), "too many"),
        ("2001:db8::/80", PortSet(tcp=((80, 80),)), "too many"),
        ("10.77.0.2", PortSet(), "no port"),
        (None, PortSet(tcp=((80, 80),)), "no address"),
    ],
)
def test_sizes_without_a_plan(target: str | None, ports: PortSet, says: str) -> None:
    addresses = parse_target(target, wide=True).addresses if target else AddressSet()
    assert addresses is not None
    with pytest.raises(UserError, match=says):
        make_plan(addresses, ports, rate=1)


def test_shards_and_seeds_that_are_none() -> None:
    target, ports = AddressSet.of("10.77.0.2"), PortSet(tcp=((80, 80),))
    with pytest.raises(UserError, match="no shard 5 of 4"):
        make_plan(target, ports, rate=1).shard(4, 4)
    with pytest.raises(UserError, match="a seed is"):
        make_plan(target, ports, rate=1, seed=-1)


def test_estimate() -> None:
    """254 IPv4 addresses and 2 IPv6 × 100 ports at 10,000/s, 74 bytes a packet (94 in IPv6)."""
    targets = parse_target("10.77.0.1-254").addresses
    assert targets is not None
    plan = make_plan(targets | AddressSet.of("2001:db8::1", "2001:db8::2"), PortSet(tcp=((9051, 9150),)), rate=10_000, seed=1)
    cost = plan.estimate(rate=10_000, retries=1, frame_bytes=74, wait=1.0, held_back=(515, 9100, 9101))
    assert (cost.pairs, cost.packets_low, cost.packets_high) == (25_600, 25_600, 51_200)
    assert (cost.bytes_low, cost.bytes_high) == (25_400 * 74 + 200 * 94, 2 * (25_400 * 74 + 200 * 94))
    assert cost.seconds_low == pytest.approx(2.56)
    assert cost.seconds_high == pytest.approx(6.12)
    assert cost.held_back == (9100, 9101)
    assert plan.estimate(rate=10_000, silent=5.0).seconds_high == pytest.approx(6.12)
    assert plan.estimate(rate=10_000, silent=5.5).seconds_high == pytest.approx(6.5)


@pytest.mark.parametrize(
    ("targets", "most"),
    [
        (("10.0.0.7",), 1),
        (("10.0.0.7-9", "10.0.0.20-29", "10.0.1.0-11"), 13),
        (("10.0.0.255-10.0.1.1", "10.0.1.9"), 3),
        (("10.0.0.200-10.0.1.200",), 201),
        (("10.0.0.9-10.0.2.9",), 256),
        (("10.0.0.0/8", "2001:db8::/118"), 1024),
        (("2001:db8::fff0-2001:db8::ffff", "2001:db8:0:1::/124", "2001:db8::1"), 17),
    ],
)
def test_the_fullest_network(targets: tuple[str, ...], most: int) -> None:
    area = AddressSet()
    for text in targets:
        area |= parse_target(text).addresses or AddressSet()
    assert fullest_network(area) == most
    assert fullest_network(AddressSet()) == 0


@pytest.mark.parametrize(("rate", "size"), [(0.5, 1), (1000, 250), (20_000, 5000), (5e6, MAX_BLOCK)])
def test_block_size_follows_the_rate(rate: float, size: int) -> None:
    assert choose_block_size(rate) == size


@pytest.mark.parametrize(
    ("exempt", "rate", "per_host", "expected"),
    [
        ((), None, 1000.0, 2000),
        ((), 500.0, 1000.0, 500),
        ((), None, None, 20_000),
        (("10.77.0.2",), None, 1000.0, 20_000),
    ],
)
def test_expected_rate_is_the_tightest_limit(
    exempt: tuple[str, ...], rate: float | None, per_host: float | None, expected: float
) -> None:
    targets = AddressSet.of("10.77.0.2", "10.77.0.3")
    assert expected_rate(targets, AddressSet.of(*exempt), engine=20_000, rate=rate, per_host=per_host) == expected
