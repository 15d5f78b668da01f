"""Routes of this machine's own addresses, and the cutting of a plan at the kernel's prefixes. Nothing is sent."""

from __future__ import annotations

import struct
import sys

import numpy as np
import pytest

from reconshield.addresses import AddressSet, parse_target
from reconshield.scan.batch import split_address
from reconshield.scan.netlink import GET_ROUTE, Netlink, attribute, attributes_of
from reconshield.scan.route import Layer, _cut, find_routes, read_devices

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="netlink is Linux")


def addresses(*texts: str) -> AddressSet:
    found = AddressSet()
    for text in texts:
        part = parse_target(text).addresses
        assert part is not None
        found |= part
    return found


def test_loopback_is_our_own_in_both_families() -> None:
    targets = addresses("127.0.0.1", "127.1.2.3", "::1")
    routes = find_routes(targets)
    for route in routes:
        assert route.own
        assert route.verdict is None
        assert route.device is not None
        assert route.device.layer is Layer.LOOPBACK
    hi, lo = np.array([split_address(number) for number in (*(first for first, _ in targets.ranges), 5)], dtype=np.uint64).T
    which = routes.find(hi, lo)
    assert which[-1] == -1
    assert (which[:-1] >= 0).all()


def test_loopback_among_the_devices() -> None:
    loopback = next(device for device in read_devices() if device.layer is Layer.LOOPBACK)
    assert (loopback.resolves, loopback.kind) == (False, "")


def test_ranges_are_cut_at_borders_and_grouped_by_piece() -> None:
    targets = AddressSet(((5, 25), (27, 27), (29, 29)))
    assert _cut(targets, [0, 10, 20, 30]) == [[(5, 9)], [(10, 19)], [(20, 25), (27, 27), (29, 29)]]
    assert _cut(AddressSet(((40, 50),)), [0, 10]) == [[(40, 50)]]


def test_attributes() -> None:
    data = attribute(1, b"abc") + attribute(0x8002, struct.pack("=I", 7)) + b"\x03\x00\x09\x00"
    assert len(attribute(1, b"abc")) == 8
    assert attributes_of(data) == {1: b"abc", 2: struct.pack("=I", 7)}


def test_what_the_kernel_refuses_is_an_error_of_the_call() -> None:
    with Netlink() as kernel, pytest.raises(OSError, match="netlink"):
        kernel.dump(0xFFF0, bytes(4))
    with Netlink() as kernel:
        assert isinstance(kernel.ask_all(GET_ROUTE, [bytes(3)], 12)[0], int)
