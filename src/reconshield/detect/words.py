"""Eight characters as one number, so that thousands of short fields are read by a few operations each.

The first character of a text is the lowest byte of its word. Bytes are handled side by side: a number is put together from its
digits pair by pair, and a comparison leaves its answer in the top bit of each byte. (The method is old; L. Lamport, "Multiple
Byte Processing with Full-Word Instructions", CACM 18(8), 1975.) All of it is pure; shifts by 64 and more give 0, as NumPy says.
"""

from __future__ import annotations

from itertools import accumulate, product

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Mask = NDArray[np.bool_]

WIDTH = 8


def _repeat(byte: int) -> np.uint64:
    return np.uint64(int.from_bytes(bytes([byte]) * WIDTH))


EIGHT, BYTE = np.uint64(8), np.uint64(0xFF)
TOPS, LOWS = _repeat(0x80), _repeat(0x7F)
BEYOND_NINE = _repeat(0x80 - 10)
ZEROS, POINTS = _repeat(ord("0")), _repeat(ord("."))
PAIRS, FOURS = np.uint64(0x00FF_00FF_00FF_00FF), np.uint64(0x0000_FFFF_0000_FFFF)
TEN, HUNDRED, TEN_THOUSAND = np.uint64(10), np.uint64(100), np.uint64(10_000)


def words_at(data: Bytes, places: Places) -> Words:
    """The eight bytes of `data` from each place on, 0 for those before its beginning or behind its end."""
    if not places.size:
        return np.empty(0, np.uint64)
    if data.size < WIDTH:
        data = np.pad(data, (0, WIDTH - data.size))
    last = data.size - WIDTH
    inside = np.clip(places, 0, last) if places.min() < 0 or places.max() > last else places
    # An element of eight bytes that begins anywhere: as "void" it is copied as it is, which is the quickest way.
    words = np.ndarray((last + 1,), "V8", data, strides=(1,))[inside].view("<u8")
    if inside is not places:
        words <<= _bits(inside - places)
        words >>= _bits(places - inside)
    return words


def first_chars(words: Words, count: Places) -> Words:
    """The words with all but their first `count` characters taken away; more than 8 count as 8, fewer than 0 as none."""
    cut = _bits(WIDTH - count)
    return words << cut >> cut


def digits_at_end(words: Words, count: Places) -> tuple[Places, Mask]:
    """The number that the last `count` characters of each word are (at most 8; of none it is 0), and where they are digits."""
    cut = _bits(WIDTH - count)
    digits = (words ^ ZEROS) >> cut << cut
    right = _beyond_nine(digits) == 0
    pairs = (digits * TEN + (digits >> np.uint64(8))) & PAIRS
    fours = (pairs * HUNDRED + (pairs >> np.uint64(16))) & FOURS
    return ((fours * TEN_THOUSAND + (fours >> np.uint64(32))) & np.uint64(0xFFFF_FFFF)).astype(np.int64), right


def dotted(first: Words, second: Words, length: Places) -> tuple[Words, Mask]:
    """The IPv4 addresses in texts of at most 15 characters, each given as two words, and where they are some.

    Four parts, each at most 255 and without a leading zero. Where the dots are and how long the text is says where each part
    ends; there are 81 ways, and a table knows them.
    """
    points = _equal(first, POINTS), _equal(second, POINTS)
    behind = np.int64(1) << np.minimum(length, 15)
    way = WAYS[(_top_bits(points[0]) | _top_bits(points[1]) << EIGHT).astype(np.int64) | behind].astype(np.uint64)
    right = (way > 0) & (length < 16)
    low, high = first ^ ZEROS, second ^ ZEROS
    for digits, point, count in ((low, points[0], length), (high, points[1], length - WIDTH)):
        right &= _beyond_nine(digits) == point | (TOPS << _bits(count))
    value = np.zeros(first.size, np.uint64)
    for part in range(4):
        end, count = (way >> np.uint64(4 * part)) & np.uint64(15), (way >> np.uint64(16 + 4 * part)) & np.uint64(15)
        three = _three_before(low, high, end) >> (EIGHT * (np.uint64(3) - count)) << (EIGHT * (np.uint64(3) - count))
        number = (three & BYTE) * HUNDRED + (three >> EIGHT & BYTE) * TEN + (three >> np.uint64(16))
        right &= (number <= 255) & (number >= LEAST[count])
        value = value << EIGHT | number
    return value, right


def _three_before(low: Words, high: Words, end: Words) -> Words:
    """The three characters before a place of a text of two words. A shift by less than nothing is one by very much."""
    eight = np.uint64(WIDTH)
    word = (high << (EIGHT * (eight + eight - end))) | (low << (EIGHT * (eight - end))) | (low >> (EIGHT * (end - eight)))
    return word >> np.uint64(40)


def _bits(count: Places) -> Words:
    """So many bytes in bits: none for fewer than none, and never more than a word."""
    return np.clip(count, 0, WIDTH).astype(np.uint64) * EIGHT


def _beyond_nine(words: Words) -> Words:
    """The top bit of each byte that is more than 9."""
    return (((words & LOWS) + BEYOND_NINE) | words) & TOPS


def _equal(words: Words, repeated: np.uint64) -> Words:
    """The top bit of each byte that is the repeated one."""
    different = words ^ repeated
    return ~(((different & LOWS) + LOWS) | different) & TOPS


def _top_bits(words: Words) -> Words:
    """The top bits of the bytes as one byte, the first character's lowest."""
    return (words >> np.uint64(7)) * np.uint64(0x0102_0408_1020_4080) >> np.uint64(56)


def _make_ways() -> NDArray[np.uint32]:
    """By a bit for each dot and one behind the last character: where the four parts end, 4 bits each, and how long they are."""
    ways = np.zeros(1 << 16, np.uint32)
    for counts in product((1, 2, 3), repeat=4):
        ends = [at - 1 for at in accumulate(count + 1 for count in counts)]
        ways[sum(1 << end for end in ends)] = sum(
            end << 4 * part | count << 16 + 4 * part for part, (end, count) in enumerate(zip(ends, counts, strict=True))
        )
    return ways


WAYS = _make_ways()
LEAST = np.array([0, 0, 10, 100], np.uint64)
"""The least number of so many digits that does not begin with a 0."""
