"""Columns of text against the slow way, one field at a time."""

from __future__ import annotations

import ipaddress
import math
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from reconshield.detect.columns import addresses, cut_table, decimals, integers, labels, moments

FIELD = st.binary(max_size=24).filter(lambda field: not set(field) & {9, 10, 13})
NUMBER = st.from_regex(rb"[0-9]{1,12}(\.[0-9]{1,6})?", fullmatch=True)
ADDRESS = st.ip_addresses().map(lambda address: str(address).encode())
MIXED = st.one_of(FIELD, NUMBER, ADDRESS, st.just(b"-"), st.from_regex(rb"[0-9.]{0,17}", fullmatch=True))


def table(rows: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"\t".join(row) + b"\n" for row in rows)


@given(st.lists(st.tuples(MIXED, MIXED), min_size=1, max_size=30))
def test_numbers_and_addresses_are_what_they_are_one_by_one(rows: list[tuple[bytes, bytes]]) -> None:
    cut = cut_table(table(rows), 9, 2)
    assert (cut.line.size, cut.odd.size) == (len(rows), 0)
    for number in (0, 1):
        column = cut.column(number)
        fields = [row[number] for row in rows]
        whole, right = integers(column)
        assert list(zip(whole.tolist(), right.tolist(), strict=True)) == [slow_integer(field) for field in fields]
        value, right = decimals(column)
        for found, fine, field in zip(value.tolist(), right.tolist(), fields, strict=True):
            wanted = slow_decimal(field)
            assert fine == (wanted is not None)
            assert math.isnan(found) if wanted is None else math.isclose(found, wanted, rel_tol=1e-12)
        hi, lo, right = addresses(column)
        found_all = [int(h) << 64 | int(low) if fine else None for h, low, fine in zip(hi, lo, right, strict=True)]
        assert found_all == [slow_address(field) for field in fields]


@given(st.lists(st.lists(FIELD, min_size=1, max_size=4), min_size=1, max_size=20))
def test_lines_with_another_number_of_fields_are_odd(rows: list[list[bytes]]) -> None:
    cut = cut_table(b"".join(b"\t".join(row) + b"\n" for row in rows), 9, 2)
    assert cut.line.tolist() == [at for at, row in enumerate(rows) if len(row) == 2]
    assert cut.odd.tolist() == [at for at, row in enumerate(rows) if len(row) != 2]
    for at, line in enumerate(cut.line.tolist()):
        assert [cut.column(0).text(at), cut.column(1).text(at)] == [field.replace(b"\0", b"\xff") for field in rows[line]]


@given(st.lists(st.sampled_from([b"tcp", b"udp", b"", b"gssapi,smb", b"x" * 70, b"y"]), min_size=1, max_size=40))
def test_labels_ask_once_for_each_text(fields: list[bytes]) -> None:
    asked: list[bytes] = []

    def number(text: bytes) -> int:
        asked.append(text)
        return len(text)

    cut = cut_table(b"".join(field + b"\n" for field in fields), 9, 1)
    assert labels(cut.column(0), number).tolist() == [len(field) for field in fields]
    assert len(asked) == len(set(fields))


def slow_integer(field: bytes) -> tuple[int, bool]:
    fine = field.isdigit() and field.isascii() and len(field) <= 18
    return (int(field), True) if fine else (-1, False)


def slow_decimal(field: bytes) -> float | None:
    whole, point, part = field.partition(b".")
    digits = whole + part
    fine = all(48 <= char <= 57 for char in digits) and 0 < len(field) <= 19 and (len(digits) <= 18 or bool(point))
    return (int(digits or b"0") / 10.0 ** len(part)) if fine else None


def slow_address(field: bytes) -> int | None:
    try:
        address = ipaddress.ip_address(field.decode("ascii"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return int(address) if address.scope_id is None else None
    return 0xFFFF_0000_0000 | int(address)


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.integers(-1439, 1439))
def test_moments_are_those_of_the_calendar(local: datetime, east: int) -> None:
    moment = local.replace(tzinfo=timezone(timedelta(minutes=east)))
    text = moment.strftime("%m-%dT%H:%M:%S.%f%z")
    value, right = moments(cut_table(f"{moment.year:04}-{text}\n".encode(), 9, 1).column(0))
    assert right.all()
    assert math.isclose(value[0], (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds(), abs_tol=1e-4)


def test_what_is_no_moment() -> None:
    bad = ["2025-02-29T00:00:00.000000+0000", "2025-13-01T00:00:00.000000+0000", "2025-00-01T00:00:00.000000+0000"]
    bad += ["2025-01-01T24:00:00.000000+0000", "2025-01-01T00:60:00.000000+0000", "2025-01-01T00:00:00.00000x+0000"]
    bad += ["2025-01-01 00:00:00.000000+0000", "2025-01-01T00:00:00.000000 0000", "2025-01-01T00:00:00Z", "", "-"]
    value, right = moments(cut_table("".join(f"{text}\n" for text in bad).encode(), 9, 1).column(0))
    assert not right.any()
    assert all(math.isnan(found) for found in value.tolist())
