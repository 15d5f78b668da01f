"""How numbers, times and foreign bytes are written for people: one spelling for terminal, page and report.

Pure functions of their arguments. Whatever comes from the network passes `printable` before anybody sees it, so that no
banner can move a cursor, colour a screen or hide a line.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

SHOWN = 60
"""At most so many characters of a text from the network are shown on one line."""


def printable(text: str, limit: int | None = SHOWN) -> str:
    """Foreign text made harmless: control, format and bidirectional characters become `\\xNN` or `\\uNNNN`; cut with `…`."""
    head = text if limit is None else text[: limit + 1]
    plain = head.isascii() and head.isprintable() and "\\" not in head  # nearly always
    shown = head if plain else "".join(_escape(c) for c in head)
    if limit is not None and (len(text) > limit or len(shown) > limit):
        return shown[: limit - 1] + "…"
    return shown


def _escape(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable() and not unicodedata.combining(char):
        return char
    return (
        f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
    )


def bytes_text(data: bytes) -> str:
    """Bytes as design and JSON Lines have them: printable ASCII as it is, CR, LF and TAB as `\\r\\n\\t`, others `\\xNN`."""
    return data.decode("latin-1").translate(_BYTE)


def hex_rows(data: bytes, width: int = 16) -> Iterator[tuple[str, str, str]]:
    """Offset, bytes in hexadecimal and as printable ASCII, `width` bytes a row."""
    for at in range(0, len(data), width):
        row = data[at : at + width]
        yield f"{at:04x}", row.hex(" "), "".join(chr(b) if 0x20 <= b < 0x7F else "." for b in row)


_BYTE = {b: f"\\x{b:02x}" for b in range(256) if not 0x20 <= b < 0x7F}
_BYTE |= {0x5C: "\\\\", 0x0D: "\\r", 0x0A: "\\n", 0x09: "\\t"}


_UNSEEN = re.compile(
    "[\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001-\U000e007f]"
)
"""Control characters that JSON lets stand, format characters (Unicode category Cf), line separators, lone surrogates."""


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON in readable UTF-8, everything escaped that a terminal obeys or that hides or turns text. Its value is the same."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, separators=separators, indent=indent)
    if text.isascii() and "\x7f" not in text:  # nearly always
        return text
    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text)


def cef_line(head: Iterable[str], pairs: Mapping[str, object]) -> str:
    """A line of the Common Event Format, version 0: seven fields between bars, then pairs; a pair without a value is left out.

    Escaped are `|` and `\\` in the head, `=` and `\\` in values; a line break is `\\n` in a value and a blank in the head, and
    whatever else a terminal obeys is shown, so no text can begin a field or a line of its own.
    """
    shown = [_cef_field(text.replace("\r", " ").replace("\n", " "), "|") for text in head]
    extension = " ".join(f"{name}={_cef_field(str(value), '=')}" for name, value in pairs.items() if value is not None)
    return "|".join(["CEF:0", *shown, extension])


def _cef_field(text: str, mark: str) -> str:
    plain = text.replace("\\", "\\\\").replace(mark, "\\" + mark).replace("\r\n", "\n").replace("\r", "\n")
    return "\\n".join("".join(c if _is_seen(c) else "\\" + _escape(c) for c in part) for part in plain.split("\n"))


def _is_seen(char: str) -> bool:
    return char == "\\" or (char.isprintable() and not unicodedata.combining(char))


def width_of(text: str) -> int:
    """Columns that a text takes on a terminal (East Asian wide characters take two, combining ones none)."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def count(number: int) -> str:
    """`65,535`."""
    return f"{number:,}"


PORTLESS_NAMES = {"1": "icmp", "4": "ipip", "41": "ipv6", "47": "gre", "50": "esp", "58": "icmp6", "89": "ospf", "112": "vrrp"}
"""Numbers of IP protocols that have no ports, by the names that people know."""


def place_text(port: int, transport: str) -> str:
    """`110/tcp`; `icmp` or `protocol 99` where a protocol has no ports and is known by its number."""
    if port or not transport.isdecimal():
        return f"{port}/{transport}"
    return PORTLESS_NAMES.get(transport, f"protocol {transport}")


def plural(number: int, one: str, many: str) -> str:
    """`1 address`, `254 addresses`."""
    return f"{count(number)} {one if number == 1 else many}"


def rate(per_second: float) -> str:
    """`740/s`, `9.8 k/s`, `1.2 M/s`."""
    if per_second < 1000:
        return f"{per_second:.0f}/s"
    return f"{per_second / 1000:.1f} k/s" if per_second < 999_950 else f"{per_second / 1e6:.1f} M/s"


def duration(seconds: float) -> str:
    """`0.12 s`, `1.9 s`, `4 min 12 s`, `3 h 5 min`, `9 days`."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    if seconds < 2 * 86400:
        return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60} min"
    return f"{int(seconds) // 86400} days"


def size(octets: float) -> str:
    """Decimal units: `640 B`, `1.9 kB`, `3.0 MB`, `1.2 GB`."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if octets >= scale:
            return f"{octets / scale:.1f} {unit}"
    return f"{octets:.0f} B"


def percent(part: float, whole: float) -> str:
    """`0 %` and `100 %` only when exact, else `< 0.1 %`, `54 %`, `99.9 %`."""
    if whole == 0 or part == 0:
        return "0 %"
    if part == whole:
        return "100 %"
    value = min(max(100 * part / whole, 0.1), 99.9)
    if 100 * part / whole < 0.1:
        return "< 0.1 %"
    return f"{value:.1f} %" if value < 1 or value > 99 else f"{value:.0f} %"


def local_time(at: float, *, seconds: bool = False) -> str:
    """Local time with its zone named: `2026-11-23 09:46 UTC`."""
    moment = datetime.fromtimestamp(at, UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z" if seconds else "%Y-%m-%d %H:%M %Z")


def iso_time(at: float) -> str:
    """ISO 8601 in UTC with milliseconds, for data: `2026-11-23T09:46:12.120Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
