"""The evaluator and the kernel agree on every packet, under random rulesets of nft, iptables and the old iptables.

`bench/agreement.py` does the same with more than 100,000 cases.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from random import Random

import pytest

from system.agreement import Tally, try_iptables, try_nft
from system.kernel import KernelHost
from system.netns import can_make_namespaces

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not can_make_namespaces(), reason="needs root, ip and nft"),
]

PACKETS = 150


@pytest.fixture(scope="module")
def host() -> Iterator[KernelHost]:
    with KernelHost() as made:
        yield made


def check(tally: Tally) -> None:
    assert not tally.wrong, tally.wrong[0]
    # A test in which nothing is let through or nothing is decided would show nothing.
    assert min(tally.answers["allow"], tally.answers["deny"]) > tally.cases / 10, tally.answers
    assert tally.unknown < tally.cases / 100, tally.reasons


def test_nft(host: KernelHost) -> None:
    tally = Tally()
    for seed in range(60):
        try_nft(host, Random(seed), PACKETS, tally)
    check(tally)


@pytest.mark.skipif(not shutil.which("iptables-restore"), reason="needs iptables")
@pytest.mark.parametrize("program", ["nft", "legacy"])
def test_iptables(host: KernelHost, program: str) -> None:
    tally = Tally()
    for seed in range(25):
        try_iptables(host, Random(seed), PACKETS, tally, program)
    check(tally)
