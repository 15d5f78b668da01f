"""What a platform is: a name, and a function from an intent to texts that a person or a program applies.

A platform never touches a machine. Its advice says how to apply it safely, how to take it back, and how to look whether it
took effect; `proof` says how we can hold it against the intent: loaded in a lab, or read back and evaluated, or compared by
eye only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from reconshield.firewall.intent import Intent

Proof = Literal["lab", "evaluator", "none"]


@dataclass(frozen=True, slots=True)
class File:
    """A text with the name that it should have."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Advice:
    """What a platform says to an intent. `apply`, `undo` and `check` are commands, `notes` what somebody must know first."""

    platform: str
    files: tuple[File, ...]
    apply: str
    undo: str
    check: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Platform:
    """One firewall. `proof` is how its rules are held against an intent."""

    name: str
    title: str
    render: Callable[[Intent], Advice]
    proof: Proof
