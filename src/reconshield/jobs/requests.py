"""Target texts from arguments and files -> what they mean now: the step before any grant is made or looked at.

`@FILE` stands for the targets in a file, `@-` for those on standard input. `localhost` is this machine on all its addresses.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from reconshield import host
from reconshield.addresses import AddressSet, Target, parse_target, parse_targets_file
from reconshield.errors import UserError

THIS_MACHINE = "localhost"
FILE_LIMIT = 64 * 1024 * 1024


def read_targets(texts: Iterable[str], *, wide: bool = False) -> tuple[Target, ...]:
    """Read targets and the files among them; the same target twice is one. `wide` admits large IPv6 networks."""
    found: dict[Target, None] = {}
    for text in texts:
        if text.startswith("@"):
            found |= dict.fromkeys(parse_targets_file(read_lines(text[1:]), text[1:], wide=wide))
        else:
            found[parse_target(text, wide=wide)] = None
    return tuple(found)


def list_targets(texts: Iterable[str], *, wide: bool = False) -> tuple[str, ...]:
    """The texts with the targets of every file in its place, so that what is kept still says it when the file has changed."""
    return tuple(target.text for target in read_targets(texts, wide=wide))


def read_lines(name: str) -> list[str]:
    """The lines of a target file, `-` is standard input."""
    try:
        if name == "-":
            return sys.stdin.read(FILE_LIMIT).splitlines()
        with Path(name).expanduser().open(encoding="utf-8-sig") as file:
            return file.read(FILE_LIMIT).splitlines()
    except UnicodeDecodeError as error:
        raise UserError(
            "the list of targets cannot be read: it is not text in UTF-8", where=name, hint="one target per line"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"the list of targets cannot be read: {reason}", where=name, hint="check the path") from error


def resolve_names(targets: Iterable[Target]) -> dict[str, AddressSet]:
    """What every name among the targets answers now. A name without an answer is a `UserError`."""
    return {name: resolve_name(name) for name in dict.fromkeys(target.name for target in targets) if name is not None}


def resolve_name(name: str) -> AddressSet:
    return host.own_addresses() | AddressSet.of("127.0.0.1") if name == THIS_MACHINE else host.resolve(name)


def resolve_known(names: Iterable[str], known: Mapping[str, AddressSet]) -> dict[str, AddressSet]:
    """Answers for names that need not have one, such as those that a grant excludes: without, their old addresses count."""
    answers: dict[str, AddressSet] = {}
    for name in set(names) - set(known):
        try:
            answers[name] = resolve_name(name)
        except UserError:
            continue
    return answers
