"""BER, the tag-length-value form of LDAP, SNMP and Kerberos (X.690): just enough to ask and to read, on any bytes.

`write` nests values, `read` takes them apart one level at a time. What is malformed or cut off ends the list of values;
nothing raises.
"""

from __future__ import annotations

INTEGER, OCTETS, OID, ENUMERATED, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x0A, 0x30, 0x31


def write(tag: int, *parts: bytes) -> bytes:
    """One value: its tag (a single byte), the length, and the parts one after another."""
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def write_integer(number: int, tag: int = INTEGER) -> bytes:
    """A non-negative integer."""
    return write(tag, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def read(data: bytes, limit: int = 256) -> list[tuple[int, bytes]]:
    """The values in `data` as (tag, content), at most `limit`, up to the first that is malformed or cut off."""
    values: list[tuple[int, bytes]] = []
    at = 0
    while len(values) < limit:
        bounds = _measure(data, at)
        if bounds is None or bounds[1] > len(data):
            break
        values.append((data[at], data[bounds[0] : bounds[1]]))
        at = bounds[1]
    return values


def ends(data: bytes) -> bool:
    """The last value that was begun is whole: an answer of one or more messages is complete so far."""
    at = 0
    while at < len(data):
        bounds = _measure(data, at)
        if bounds is None:
            return False
        at = bounds[1]
    return at == len(data) and at > 0


def _measure(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the content of the value at `at` starts and ends; None when its header is not there or not definite."""
    if at + 2 > len(data):
        return None
    first = data[at + 1]
    if first < 0x80:
        return at + 2, at + 2 + first
    size = first & 0x7F
    if not 1 <= size <= 4 or at + 2 + size > len(data):
        return None
    start = at + 2 + size
    return start, start + int.from_bytes(data[at + 2 : start], "big")
