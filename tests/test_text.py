"""How numbers and foreign text are written: one table each."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield import text


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (text.count(65535), "65,535"),
        (text.rate(740), "740/s"),
        (text.rate(9810), "9.8 k/s"),
        (text.rate(1_230_000), "1.2 M/s"),
        (text.duration(0.12), "0.12 s"),
        (text.duration(1.94), "1.9 s"),
        (text.duration(252), "4 min 12 s"),
        (text.duration(11_100), "3 h 5 min"),
        (text.duration(9 * 86400 + 5), "9 days"),
        (text.size(640), "640 B"),
        (text.size(3_000_000), "3.0 MB"),
        (text.percent(0, 10), "0 %"),
        (text.percent(10, 10), "100 %"),
        (text.percent(1, 100_000), "< 0.1 %"),
        (text.percent(99_999, 100_000), "99.9 %"),
        (text.percent(54, 100), "54 %"),
        (text.percent(5, 1000), "0.5 %"),
        (text.iso_time(1795427172.12), "2026-11-23T09:46:12.120Z"),
    ],
)
def test_spelling(written: str, expected: str) -> None:
    assert written == expected


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("back\\slash", "back\\\\slash"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("é漢", "é漢"),
        ("x" * 80, "x" * 59 + "…"),
    ],
)
def test_printable(foreign: str, shown: str) -> None:
    assert text.printable(foreign) == shown


@given(st.text())
def test_printable_never_lets_a_control_through(foreign: str) -> None:
    shown = text.printable(foreign)
    assert shown.isprintable()
    assert len(shown) <= text.SHOWN


@given(st.binary())
def test_bytes_text_is_printable_ascii_and_tells_bytes_apart(data: bytes) -> None:
    shown = text.bytes_text(data)
    assert shown.isascii()
    assert shown.isprintable()
    assert shown.encode().decode("unicode_escape").encode("latin-1") == data


def test_width_counts_columns() -> None:
    assert (text.width_of("abc"), text.width_of("漢字"), text.width_of("e\u0301")) == (3, 4, 1)


def test_json_shows_nothing_that_hides_turns_or_moves() -> None:
    every = list(map(chr, range(0x110000)))
    written = text.json_text({"a": every})
    assert json.loads(written) == {"a": every}
    assert not [c for c in written if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
    assert "ü €" in text.json_text("ü €")
