"""What is measured, and in which order: a value of a few numbers from which everything else is computed.

A plan is (addresses, ports, seed, block size). Number the pairs of address and port from 0; `order` permutes the numbers; cut
the permuted row into blocks. Nothing is listed: the pairs of a block are computed when an engine takes the block, and whether a
pair belongs to a finished block is computed backwards. So coverage costs nothing to store, a killed scan goes on at its first
unfinished block, and several machines share a scan by block number.

    plan.pairs(12)                    the pairs of block 12, as four columns
    plan.block_of(hi, lo, port, t)    the block that each pair is in, -1 if it is not in the plan
    plan.covers(batch, finished)      which rows the finished blocks have measured
    plan.shard(1, 4)                  every fourth block from block 1
    plan.estimate(...)                packets, bytes and seconds, before anything is sent

Pure: nothing is sent and no time is read here. The seed comes from the system's random numbers if none is given.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet, PortSet, parse_address, text_of
from reconshield.errors import UserError
from reconshield.model import Transport
from reconshield.scan.batch import V4_BLOCK, Batch
from reconshield.scan.order import MAX_SIZE, Order
from reconshield.scan.space import AddressSpace, PortSpace

BLOCK_SECONDS = 0.25
"""Work of a block at the expected rate. A quarter second, so that retries and a slow minute keep it under two."""

MAX_BLOCK = 2**18
SEED_BITS = 48
FORMAT = 1


class Pairs(NamedTuple):
    """The pairs of a block in the order in which they are measured: four columns of one length."""

    hi: NDArray[np.uint64]
    lo: NDArray[np.uint64]
    port: NDArray[np.uint16]
    transport: NDArray[np.uint8]

    def only(self, transport: Transport) -> Pairs:
        """The pairs of one transport, in the same order."""
        return self.where(self.transport == transport)

    def where(self, mask: NDArray[np.bool_]) -> Pairs:
        """The pairs of the rows that are true."""
        return self if mask.all() else Pairs(self.hi[mask], self.lo[mask], self.port[mask], self.transport[mask])


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a scan will cost. `low` is when every endpoint answers at once, `high` when none does."""

    pairs: int
    packets_low: int
    packets_high: int
    bytes_low: int
    bytes_high: int
    seconds_low: float
    seconds_high: float
    held_back: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Every pair of `targets` and `ports` once, in the order of `seed`, in blocks of `block_size` pairs."""

    targets: AddressSet
    ports: PortSet
    seed: int
    block_size: int
    _addresses: AddressSpace = field(init=False, repr=False, compare=False)
    _ports: PortSpace = field(init=False, repr=False, compare=False)
    _order: Order = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_size(self.targets, self.ports)
        if not (0 <= self.seed < 2**64 and 0 < self.block_size <= MAX_BLOCK):
            raise ValueError(f"seed {self.seed} or block size {self.block_size} is out of range")
        object.__setattr__(self, "_addresses", AddressSpace(self.targets))
        object.__setattr__(self, "_ports", PortSpace(self.ports))
        object.__setattr__(self, "_order", Order(self.size, self.seed))

    @property
    def size(self) -> int:
        """How many pairs."""
        return self.targets.count * self.ports.count

    @property
    def blocks(self) -> int:
        """How many blocks; the last one may be shorter."""
        return -(-self.size // self.block_size)

    def block_length(self, block: int) -> int:
        """How many pairs a block has: the block size, fewer in the last one."""
        return min(self.block_size, self.size - block * self.block_size)

    def pairs(self, block: int) -> Pairs:
        """The pairs of one block. Raises ValueError if there is no such block."""
        if not 0 <= block < self.blocks:
            raise ValueError(f"no block {block}: the plan has {self.blocks}")
        start = block * self.block_size
        numbers = self._order.positions(start, min(start + self.block_size, self.size))
        per_address = np.uint64(self.ports.count)
        address = numbers // per_address
        hi, lo = self._addresses.at(address)
        port, transport = self._ports.at(numbers - address * per_address)
        return Pairs(hi, lo, port, transport)

    def block_of(
        self, hi: NDArray[np.uint64], lo: NDArray[np.uint64], port: NDArray[np.uint16], transport: NDArray[np.uint8]
    ) -> NDArray[np.int64]:
        """The block that each pair is measured in; -1 for a pair that is not in the plan."""
        return self.step_of(hi, lo, port, transport) // self.block_size

    def step_of(
        self, hi: NDArray[np.uint64], lo: NDArray[np.uint64], port: NDArray[np.uint16], transport: NDArray[np.uint8]
    ) -> NDArray[np.int64]:
        """When each pair is measured, counted from 0 over all blocks; -1 for a pair that is not in the plan."""
        address, index = self._addresses.find(hi, lo), self._ports.find(port, transport)
        inside = (address >= 0) & (index >= 0)
        numbers = address[inside].astype(np.uint64) * np.uint64(self.ports.count) + index[inside].astype(np.uint64)
        steps = np.full(inside.shape, -1, dtype=np.int64)
        steps[inside] = self._order.index_of(numbers)
        return steps

    def covers(self, batch: Batch, finished: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Which rows are pairs that the `finished` blocks (their numbers, in any order) have measured."""
        blocks = self.block_of(batch["hi"], batch["lo"], batch["port"], batch["transport"])
        mask: NDArray[np.bool_] = (blocks >= 0) & np.isin(blocks, np.asarray(finished, dtype=np.int64))
        return mask

    def shard(self, index: int, count: int) -> range:
        """The blocks of one of `count` workers, counted from 0: those whose number leaves `index` when divided."""
        if not 0 <= index < count:
            raise UserError(f"there is no shard {index + 1} of {count}", hint="--shard 1/4 is the first of four")
        return range(index, self.blocks, count)

    def estimate(
        self,
        *,
        rate: float,
        retries: float = 1,
        frame_bytes: int = 74,
        wait: float = 1.0,
        held_back: Iterable[int] = (),
        silent: float = 0.0,
    ) -> Estimate:
        """Packets sent, bytes and seconds. `rate` in packets a second, `retries` of a silent pair on average, `frame_bytes`
        of a first packet to an IPv4 address (IPv6 has 20 more), `wait` the seconds for the last answers, `held_back` the TCP
        ports that get no byte, `silent` the seconds that the limit of networks takes if no address answers.
        """
        v6_pairs = self._addresses.count_v6 * self.ports.count
        least_bytes = self.size * frame_bytes + v6_pairs * 20
        most = round(self.size * (1 + retries))
        return Estimate(
            pairs=self.size,
            packets_low=self.size,
            packets_high=most,
            bytes_low=least_bytes,
            bytes_high=round(least_bytes * (1 + retries)),
            seconds_low=self.size / rate,
            seconds_high=max(most / rate, silent) + wait,
            held_back=tuple(sorted(port for port in set(held_back) if ("tcp", port) in self.ports)),
        )

    def to_json(self) -> dict[str, Any]:
        """What is stored with a run; `from_json` makes the same plan of it."""
        return {
            "v": FORMAT,
            "targets": [[text_of(first), text_of(last)] for first, last in self.targets.ranges],
            "tcp": [list(pair) for pair in self.ports.tcp],
            "udp": [list(pair) for pair in self.ports.udp],
            "seed": self.seed,
            "block_size": self.block_size,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        if stored.get("v") != FORMAT:
            raise UserError(
                f"the plan of this run has format {stored.get('v')}, this version reads {FORMAT}",
                hint="start the scan again, or resume it with the version that began it",
            )
        ranges = tuple((parse_address(first), parse_address(last)) for first, last in stored["targets"])
        ports = PortSet(*(tuple((int(a), int(b)) for a, b in stored[transport]) for transport in ("tcp", "udp")))
        return cls(AddressSet(ranges), ports, int(stored["seed"]), int(stored["block_size"]))


def make_plan(targets: AddressSet, ports: PortSet, *, rate: float, seed: int | None = None) -> Plan:
    """A plan whose blocks suit an engine that measures `rate` pairs a second."""
    _check_size(targets, ports)
    chosen = secrets.randbits(SEED_BITS) if seed is None else seed
    if not 0 <= chosen < 2**64:
        raise UserError("a seed is a whole number from 0 to 2^64-1", where=f"--seed {chosen}", hint="--seed 7")
    return Plan(targets, ports, chosen, choose_block_size(rate))


def choose_block_size(rate: float) -> int:
    """The pairs that `rate` pairs a second measure in `BLOCK_SECONDS`; at least one."""
    return max(1, min(MAX_BLOCK, int(rate * BLOCK_SECONDS)))


def expected_rate(
    targets: AddressSet, exempt: AddressSet, *, engine: float, rate: float | None = None, per_host: float | None = None
) -> float:
    """Pairs a second: the engine's own speed, the `rate` asked for, or what all hosts together may get, whichever is least."""
    limits = [engine]
    if rate is not None:
        limits.append(rate)
    if per_host is not None and not targets & exempt:
        limits.append(per_host * targets.count)
    return min(limits)


def fullest_network(addresses: AddressSet) -> int:
    """How many addresses the IPv4 /24 or IPv6 /64 has that has most of them."""
    counts: Counter[tuple[int, int]] = Counter()
    for first, last in addresses.ranges:
        bits = 8 if first >> 32 == V4_BLOCK else 64
        low, high = first >> bits, last >> bits
        if high - low > 1:  # one between them is whole, so none has more
            counts[bits, low + 1] = 1 << bits
        for number in {low, high}:
            counts[bits, number] += min(last, (number + 1 << bits) - 1) - max(first, number << bits) + 1
    return max(counts.values(), default=0)


def _check_size(targets: AddressSet, ports: PortSet) -> None:
    pairs = targets.count * ports.count
    if pairs == 0:
        missing = "address" if not targets.count else "port"
        raise UserError(f"there is no {missing} to measure", hint="reconshield scan 127.0.0.1 -p 1-1024")
    if pairs >= MAX_SIZE:
        most = ceil(MAX_SIZE / ports.count) - 1
        raise UserError(
            f"{targets.count:,} addresses × {ports.count:,} ports are too many for one scan (at most 2^48-1 endpoints)",
            hint=f"name fewer ports, or at most {most:,} addresses",
        )
