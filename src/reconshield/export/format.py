"""What a format is: a name, a function from `Enclaves` to text, and what the format cannot say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconshield.export.enclaves import Enclaves


@dataclass(frozen=True, slots=True)
class Format:
    """One output. `render` gives the whole file; `cannot` stands in it, and in the documentation."""

    name: str
    title: str
    render: Callable[[Enclaves], str]
    cannot: tuple[str, ...] = ()
