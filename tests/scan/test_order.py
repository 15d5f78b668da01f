"""The order is a permutation, is spread out, can be turned round, and never changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconshield.scan.order import MAX_SIZE, Order

SEEDS = st.integers(0, 2**64 - 1)


@given(size=st.integers(1, 30_000), seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_every_member_once(size: int, seed: int) -> None:
    members = Order(size, seed).positions(0, size)
    assert np.array_equal(np.sort(members), np.arange(size))


@given(size=st.integers(1, MAX_SIZE - 1), seed=SEEDS, at=st.floats(0, 1), length=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_index_of_turns_it_round(size: int, seed: int, at: float, length: int) -> None:
    start = min(int(at * size), size - 1)
    stop = min(size, start + length)
    order = Order(size, seed)
    members = order.positions(start, stop)
    assert (members < size).all()
    assert np.array_equal(order.index_of(members), np.arange(start, stop, dtype=np.uint64))


@pytest.mark.parametrize(
    ("size", "seed", "members"),
    [
        (1, 0, [0]),
        (10, 7, [2, 4, 5, 1, 3, 8, 7, 9]),
        (65_535, 7, [25523, 10695, 36103, 2976, 53672, 43671, 10109, 20013]),
        (
            2**24 * 65_535,
            7,
            [492318776658, 1053459241715, 758938900541, 638942147492, 466751301327, 887752512227, 376200335839, 516824804114],
        ),
        (
            MAX_SIZE - 1,
            2**64 - 1,
            [
                250206563019990,
                5180536718651,
                77410583422366,
                137212404597544,
                1966549948084,
                36788111007354,
                126613479407422,
                200888300946518,
            ],
        ),
    ],
)
def test_golden(size: int, seed: int, members: list[int]) -> None:
    """Stored runs are resumed by these numbers, so they stay as they are on every machine and with every NumPy."""
    assert Order(size, seed).positions(0, min(8, size)).tolist() == members


def test_any_part_is_the_same_as_in_the_whole() -> None:
    order = Order(100_003, 5)
    whole = order.positions(0, order.size)
    parts = [order.positions(start, min(start + 777, order.size)) for start in range(0, order.size, 777)]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("hosts", "ports"), [(256, 1000), (65_536, 16), (3, 65_535)])
def test_every_stretch_is_spread_over_hosts_and_ports(hosts: int, ports: int, seed: int) -> None:
    """In 10,000 successive steps each sixteenth of the hosts, and of the ports, gets its share (chi-squared, p = 1e-6)."""
    members = Order(hosts * ports, seed).positions(20_000, 30_000)
    for value, size in ((members // ports, hosts), (members % ports, ports)):
        groups = min(16, size)
        counts = np.bincount((value * groups // size).astype(np.int64), minlength=groups)
        sizes = np.bincount(np.arange(size) * groups // size, minlength=groups)
        expected = 10_000 * sizes / size
        assert ((counts - expected) ** 2 / expected).sum() < 61  # 99.9999 % point of 15 degrees of freedom is 56.5


def test_successive_steps_are_not_related() -> None:
    """Differences of successive members are as even as chance makes them: no host is met in a regular beat."""
    members = Order(2**20, 1).positions(0, 2**16).astype(np.int64)
    steps = np.diff(members) % 2**20
    counts = np.bincount(steps >> 14, minlength=64)
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 125  # 63 degrees of freedom, p = 1e-6


@pytest.mark.parametrize("size", [0, -1, MAX_SIZE])
def test_sizes_without_an_order(size: int) -> None:
    with pytest.raises(ValueError, match="2\\^48"):
        Order(size, 1)


def test_steps_and_members_outside() -> None:
    order = Order(10, 1)
    with pytest.raises(ValueError, match="not within"):
        order.positions(5, 11)
    with pytest.raises(ValueError, match="below 10"):
        order.index_of(np.array([10], dtype=np.uint64))
