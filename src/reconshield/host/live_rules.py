"""The rules that filter on this machine now, as the programs that list them say it. Read, never changed.

nft lists everything but shows some conditions of iptables' own tables only by name, so iptables-save is asked as well.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconshield.host.ruleset import run_listing

NFT = ("nft", "-j", "list", "ruleset")
FAMILIES = ("iptables", "ip6tables")


@dataclass(frozen=True, slots=True)
class LiveRules:
    """What was told: nft's JSON, and the saves of iptables one after the other; empty where nothing is there or shown.

    `notes` say what could not be read; with notes, a rule that is not seen may exist.
    """

    nft: str
    iptables: str
    notes: tuple[str, ...]


def read_live_rules() -> LiveRules:
    """Ask every program that is installed. Needs root for nearly all of it."""
    notes: list[str] = []
    nft = _ask(NFT, notes)
    saves = [told for command in _saves() if (told := _ask(command, notes)) is not None]
    if nft is None and not saves and not notes:
        notes.append("neither nft nor iptables-save is installed here")
    return LiveRules(nft or "", "\n".join(saves), tuple(notes))


def _saves() -> Iterator[tuple[str, ...]]:
    """The programs that tell iptables' rules: those in use, the old ones beside them, and the sets that rules may name."""
    yield ("ipset", "save")
    for family in FAMILIES:
        yield (f"{family}-save",)
        own = Path(shutil.which(f"{family}-save") or "")
        if "legacy" not in own.resolve().name:  # else it is the old one itself
            yield (f"{family}-legacy-save",)


def _ask(command: tuple[str, ...], notes: list[str]) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    told = run_listing(command)
    if told is None:
        notes.append(f"`{' '.join(command)}` does not show the rules to this user")
    return told
