"""Eight characters as one number against the slow way, text by text."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reconshield.detect.words import Words, digits_at_end, dotted, first_chars, words_at

PART = st.one_of(st.integers(0, 299).map(str), st.sampled_from(["", "00", "01", "1a", "/", ":", "2555"]))
DOTTED = st.lists(PART, min_size=3, max_size=5).map(".".join)


def bytes_of(word: int) -> bytes:
    return word.to_bytes(8, "little")


def columns(texts: Sequence[bytes]) -> tuple[Words, Words, NDArray[np.int64]]:
    """The first and second word of each text, and its length; texts lie one behind the other, so that words overlap."""
    data = np.frombuffer(b"".join(texts), np.uint8)
    length = np.array([len(text) for text in texts])
    start = np.cumsum(length) - length
    return (
        first_chars(words_at(data, start), length),
        first_chars(words_at(data, start + 8), length - 8),
        length,
    )


@given(st.binary(max_size=20), st.lists(st.integers(-12, 30), max_size=10))
def test_what_is_not_there_is_nothing(data: bytes, places: list[int]) -> None:
    found = words_at(np.frombuffer(data, np.uint8), np.array(places, np.int64))
    wide = bytes(20) + data + bytes(60)
    assert [bytes_of(word) for word in found.tolist()] == [wide[20 + place : 28 + place] for place in places]


@given(st.lists(st.tuples(st.binary(min_size=8, max_size=8), st.integers(-1, 9)), min_size=1, max_size=20))
def test_some_first_characters_are_kept(rows: list[tuple[bytes, int]]) -> None:
    words = np.array([int.from_bytes(text, "little") for text, _ in rows], np.uint64)
    kept = first_chars(words, np.array([count for _, count in rows]))
    assert [bytes_of(word) for word in kept.tolist()] == [text[: max(count, 0)].ljust(8, b"\0") for text, count in rows]


@given(st.lists(st.tuples(st.from_regex(rb"[0-9/:x]{8}", fullmatch=True), st.integers(0, 8)), min_size=1, max_size=20))
def test_digits_are_a_number(rows: list[tuple[bytes, int]]) -> None:
    words = np.array([int.from_bytes(text, "little") for text, _ in rows], np.uint64)
    value, right = digits_at_end(words, np.array([count for _, count in rows]))
    for (text, count), found, fine in zip(rows, value.tolist(), right.tolist(), strict=True):
        last = text[8 - count :]
        assert fine == (not last or last.isdigit())
        if fine:
            assert found == int(last or b"0")


@given(st.lists(st.one_of(DOTTED, st.text("0123456789.", max_size=18)).map(str.encode), min_size=1, max_size=30))
def test_dotted_addresses_are_those_of_the_library(texts: list[bytes]) -> None:
    value, right = dotted(*columns(texts))
    for text, found, fine in zip(texts, value.tolist(), right.tolist(), strict=True):
        try:
            wanted: int | None = int(ipaddress.IPv4Address(text.decode()))
        except ValueError:
            wanted = None
        assert (found if fine else None) == wanted, text


@pytest.mark.parametrize("wrong", range(256))
def test_no_other_byte_is_taken_for_a_digit(wrong: int) -> None:
    text = bytes([49, 50, wrong, 52]) + b"0000"
    _, right = digits_at_end(np.array([int.from_bytes(text, "little")], np.uint64), np.array([8]))
    assert right.tolist() == [bytes([wrong]).isdigit()]
    address = b"10.2" + bytes([wrong]) + b".3.4"
    assert dotted(*columns([address]))[1].tolist() == [bytes([wrong]).isdigit()]
