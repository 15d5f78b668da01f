"""The raw engine against a real kernel's answers, in own namespaces."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from reconshield.addresses import AddressSet, PortSet, parse_target
from reconshield.model import Observation
from reconshield.scan import raw
from reconshield.scan.batch import records
from reconshield.scan.crew import BlockDone
from reconshield.scan.effort import Options
from reconshield.scan.plan import Plan
from reconshield.scope import Request, Targets, authorise
from system.netns import Lab, Namespace, can_make_namespaces

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not can_make_namespaces(), reason="needs root, ip and nft"),
]

V4, V6, NOBODY = "10.91.8.2", "fd91:8::2", "10.91.8.77"
OPEN = (22, 80, 8080)


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Namespace, Namespace]]:
    """A scanner and a target, joined by a cable."""
    with Lab() as lab:
        scanner, target = lab.namespace("scan"), lab.namespace("host")
        lab.link(scanner, target, "10.91.8.1/24", f"{V4}/24", "fd91:8::1/64", f"{V6}/64")
        with target.listeners([(address, port) for address in (V4, V6) for port in OPEN]):
            yield scanner, target


def targets_of(*texts: str) -> Targets:
    """Targets that need no grant, because they count as this lab's own."""
    wanted = tuple(parse_target(text) for text in texts)
    decided = authorise(Request(wanted), (), AddressSet.of(*texts), {}, time.time())
    assert isinstance(decided, Targets)
    return decided


def scan(
    where: Namespace, targets: Targets, ports: PortSet, options: Options | None = None
) -> dict[tuple[str, int], Observation]:
    """Every pair with what was seen of it; each block once."""
    plan = Plan(targets.addresses, ports, seed=11, block_size=500)

    def work() -> list[BlockDone]:
        return [e for e in raw.measure(plan, targets, range(plan.blocks), options) if isinstance(e, BlockDone)]

    done = where.inside(work)
    assert sorted(event.number for event in done) == list(range(plan.blocks))
    return {(seen.endpoint.ip, seen.endpoint.port): seen for event in done for seen in records(event.batch)}


def test_two_families_and_nobody(world: tuple[Namespace, Namespace]) -> None:
    seen = scan(world[0], targets_of(V4, V6, NOBODY), PortSet(tcp=((1, 1000), (8080, 8080))))
    assert len(seen) == 3 * 1001
    assert {place for place, found in seen.items() if found.state.label == "open"} == {(a, p) for a in (V4, V6) for p in OPEN}
    for (address, _), found in seen.items():
        if address == NOBODY:
            assert (found.state.label, found.reason.label) == ("unreachable", "no-neighbour")
        else:
            assert found.reason.label in {"syn-ack", "reset"}
            assert found.ttl == 64
            assert found.rtt_ms


def test_own_addresses_and_loopback(world: tuple[Namespace, Namespace]) -> None:
    seen = scan(world[1], targets_of(V4, V6, "127.0.0.1", "::1"), PortSet(tcp=((75, 85),)))
    assert {place: found.reason.label for place, found in seen.items()} == {
        (address, port): "syn-ack" if port == 80 and address in {V4, V6} else "reset"
        for address in (V4, V6, "127.0.0.1", "::1")
        for port in range(75, 86)
    }
