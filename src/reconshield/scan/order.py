"""A random-looking order of things that nobody has to remember.

A scan visits every (address, port) pair once, in an order that spreads the load over hosts. Shuffling a list of 2^40 pairs is
impossible, so the order is *computed*: a keyed permutation of the numbers 0 to size-1 that can be asked for any part of itself
and can be turned round. Number in, number out, no state between calls:

    Order(1000, seed=7).positions(0, 3)      -> the first three numbers to visit
    Order(1000, seed=7).index_of(numbers)    -> when each of them is visited

How: a number below a*b is written as two digits, left (< a) and right (< b). Each round adds a keyed hash of one digit to the
other, modulo that digit's radix; every step can be undone, so the whole is a permutation of a*b numbers (a Feistel network over
mixed radices, Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains"). a*b is a little more than the size; a number
that lands outside is sent through again until it is inside (cycle walking), which keeps it a permutation of exactly `size`.

Only 64-bit integer arithmetic modulo 2^64 is used, so every machine and NumPy gives the same order. It is made to spread, not
to keep secrets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isqrt

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
_Step = Callable[[U64], None]

MAX_SIZE = 2**48
"""Digits stay below 2^25 and sums of hashes and digits below 2^64."""

ROUNDS = 6
CHUNK = 8192
"""Elements worked on at a time: their temporaries fit the CPU's cache, which halves the time per element."""

_MASK = 2**64 - 1
_STIR = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_DROP = np.uint64(25)
_KEEP = np.uint64(39)


@dataclass(frozen=True, slots=True)
class Order:
    """A permutation of 0 to `size`-1 chosen by `seed` (any non-negative integer below 2^64)."""

    size: int
    seed: int
    _radices: tuple[int, int] = field(init=False, repr=False, compare=False)
    _keys: tuple[tuple[np.uint64, np.uint64], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < self.size < MAX_SIZE:
            raise ValueError(f"an order has 1 to 2^48-1 members, not {self.size}")
        left = isqrt(self.size - 1) + 1
        object.__setattr__(self, "_radices", (left, -(-self.size // left)))
        object.__setattr__(self, "_keys", _make_keys(self.seed))

    def positions(self, start: int, stop: int) -> U64:
        """The members visited at the steps `start` to `stop`-1. Raises ValueError outside 0 to `size`."""
        if not 0 <= start <= stop <= self.size:
            raise ValueError(f"steps {start} to {stop} are not within 0 to {self.size}")
        result = np.arange(start, stop, dtype=np.uint64)
        for part in _chunks(result):
            self._walk(part, self._forward)
        return result

    def index_of(self, values: U64) -> U64:
        """The step at which each member is visited: the inverse of `positions`. Members must be below `size`."""
        result = np.array(values, dtype=np.uint64)
        if result.size and int(result.max()) >= self.size:
            raise ValueError(f"members of this order are below {self.size}")
        for part in _chunks(result):
            self._walk(part, self._backward)
        return result

    def _walk(self, part: U64, step: _Step) -> None:
        """Permute in place, and again those that landed outside. Few do: a*b exceeds the size by less than a."""
        step(part)
        outside = np.flatnonzero(part >= np.uint64(self.size))
        while outside.size:
            again = part[outside]
            step(again)
            part[outside] = again
            outside = outside[again >= np.uint64(self.size)]

    def _forward(self, part: U64) -> None:
        radices = (np.uint64(self._radices[0]), np.uint64(self._radices[1]))
        digits = _split_digits(part, radices[0])
        for number, key in enumerate(self._keys):
            moved, by = number % 2, 1 - number % 2
            total = digits[moved]
            total += _hash_digit(digits[by], key, radices[moved])
            # total < 2 * radix, and below the radix the subtraction wraps to a huge number: the smaller one is the remainder
            np.minimum(total, total - radices[moved], out=total)
        np.multiply(digits[1], radices[0], out=part)
        part += digits[0]

    def _backward(self, part: U64) -> None:
        radices = (np.uint64(self._radices[0]), np.uint64(self._radices[1]))
        digits = _split_digits(part, radices[0])
        for number in reversed(range(ROUNDS)):
            moved, by = number % 2, 1 - number % 2
            total = digits[moved]
            total -= _hash_digit(digits[by], self._keys[number], radices[moved])
            np.minimum(total, total + radices[moved], out=total)
        np.multiply(digits[1], radices[0], out=part)
        part += digits[0]


def _chunks(values: U64) -> list[U64]:
    return [values[at : at + CHUNK] for at in range(0, values.size, CHUNK)]


def _split_digits(part: U64, radix: np.uint64) -> list[U64]:
    right = part // radix
    return [part - right * radix, right]


def _hash_digit(digit: U64, key: tuple[np.uint64, np.uint64], radix: np.uint64) -> U64:
    """A number below `radix` that depends on the digit and the key. Its bias is below radix / 2^39, under 2^-14."""
    mixed = digit ^ key[0]
    mixed *= key[1]
    mixed ^= mixed >> _HALF
    mixed *= _STIR
    mixed >>= _DROP
    mixed *= radix
    mixed >>= _KEEP
    return mixed


def _make_keys(seed: int) -> tuple[tuple[np.uint64, np.uint64], ...]:
    """Two numbers a round: one to add in, one odd number to multiply by."""
    numbers = [_splitmix(seed, step) for step in range(1, 2 * ROUNDS + 1)]
    return tuple((np.uint64(a), np.uint64(b | 1)) for a, b in zip(numbers[::2], numbers[1::2], strict=True))


def _splitmix(seed: int, step: int) -> int:
    """Member `step` of the SplitMix64 sequence of a seed (Steele, Lea and Flood 2014)."""
    value = (seed + step * 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
