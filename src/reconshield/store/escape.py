"""Any Python text as text that both engines take, and back. Standard library only, so that `glance` may use it.

Banners are written by strangers: they have NUL bytes, lone surrogates and whatever else. PostgreSQL takes no NUL in text, and
neither engine takes a lone surrogate. Only these characters, and the backslash that marks them, are escaped.
"""

from __future__ import annotations

import re

UNSAFE = re.compile("[\\\\\x00\ud800-\udfff]")
ESCAPED = re.compile(r"\\(\\|u[0-9a-f]{4})")


def escape_text(text: str) -> str:
    return UNSAFE.sub(lambda hit: "\\\\" if hit[0] == "\\" else f"\\u{ord(hit[0]):04x}", text)


def unescape_text(text: str) -> str:
    if "\\" not in text:  # nearly always
        return text
    return ESCAPED.sub(lambda hit: "\\" if hit[1] == "\\" else chr(int(hit[1][1:], 16)), text)
