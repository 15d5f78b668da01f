"""What a raw lane has to send, where nothing can go out at the moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet, PortSet, parse_address
from reconshield.scan.controls import Controls
from reconshield.scan.cookies import Cookies, SourcePorts
from reconshield.scan.flight import Flight
from reconshield.scan.neighbours import READY, Neighbours
from reconshield.scan.outbox import Gear, Outbox, RawPace
from reconshield.scan.pacing import LossMeter, RoundTrip, TokenBucket
from reconshield.scan.path_rate import PathRate
from reconshield.scan.plan import make_plan
from reconshield.scan.route import Device, Layer, Route, Routes
from reconshield.scan.syn import SynMethod
from reconshield.scan.wires import Wires

DEVICE = Device(2, "eth0", Layer.ETHERNET, "veth", bytes(6), 1500, up=True, resolves=True)


@dataclass
class Hops:
    """Neighbours that all are known. As with addresses on the segment itself, there must be one to ask for."""

    def look_up_by(self, _: int, hi: NDArray[Any], lo: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        assert hi.size == lo.size > 0
        return np.full(hi.size, READY, dtype=np.uint8), np.zeros((hi.size, 6), dtype=np.uint8)


@dataclass
class Rings:
    """Rings with room for so many packets; says which places of a block went out."""

    free: int
    sent: list[Any] = field(default_factory=list)

    def room(self, _: int, most: int) -> int:
        return min(self.free, most)

    def send(self, _: int, __: object, asked: Any, ___: object, rows: Any) -> Any:
        assert asked.hi.size <= self.free
        self.sent.append(rows)
        return None


def outbox_with(rings: Rings) -> tuple[Outbox, Flight]:
    area = AddressSet.of("10.0.0.2")
    route = Route(area, DEVICE, parse_address("10.0.0.1"), None, None, 1500)
    plan = make_plan(area, PortSet(tcp=((1, 100),)), rate=1000.0, seed=1)
    pairs, routes = plan.pairs(0), Routes((route,))
    method = SynMethod(Cookies(bytes(16)), SourcePorts(np.arange(61_440, 61_456, dtype=np.uint16)))
    gear = Gear(plan, routes, method, cast("Neighbours", Hops()), cast("Wires", rings))
    pace = RawPace(RoundTrip(), LossMeter(retries=1), PathRate(), TokenBucket(None), Controls(), None, None)
    flight = Flight(0, pairs, np.zeros(pairs.hi.size, dtype=np.int32), np.ones(pairs.hi.size, dtype=bool))
    outbox = Outbox(gear, pace, lambda *_: None)
    outbox.add(flight, flight.waiting())
    return outbox, flight


def test_while_every_sender_is_busy_nothing_goes_and_nothing_is_lost() -> None:
    rings = Rings(0)
    outbox, flight = outbox_with(rings)
    assert outbox.send(1.0) == 0
    assert outbox.is_blocked
    assert flight.unsent == flight.left == 100
    rings.free = 60
    assert [outbox.send(1.1), outbox.send(1.2)] == [60, 40]
    assert [(part.start, part.stop) for part in rings.sent] == [(0, 60), (60, 100)]
    assert (flight.unsent, outbox.has_more) == (0, False)
