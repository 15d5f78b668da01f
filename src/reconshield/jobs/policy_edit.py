"""Change the policy file from the app: whole texts and single entries, checked first, never over another's change.

A text is known by its digest. Who saves says which text the change was made on; when the file says something else by then,
nothing is written. The file is replaced as a whole, so a reader sees the old text or the new one, and the audit log has who.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconshield.errors import UserError
from reconshield.jobs.policy import MOST_BYTES, PolicyFile, known_names, read_text, review_channels
from reconshield.policy import read_policy, refuse_errors, review_policy
from reconshield.policy.writing import table_text
from reconshield.store import audit
from reconshield.store.db import Store, take_turns
from reconshield.store.runs import list_runs

if TYPE_CHECKING:
    from reconshield.policy import Policy
    from reconshield.policy.records import Channel

NEW = "version = 1\n"
"""What a policy file begins with."""
ON_THE_SERVER = frozenset({"exec", "file"})
SECRETS = ("env:", "file:")
"""Channels, and beginnings of their settings, that reach into the machine that the app runs on."""
TABLES = ("expect", "closed", "accept")
"""The tables that a page adds an entry to."""


class Changed(UserError):
    """The file says something else than the text that the change was made on."""


@dataclass(frozen=True, slots=True)
class Version:
    """A policy text and its digest; the digest is empty where there is no file yet."""

    text: str
    etag: str


def read_version(path: Path) -> Version:
    """What the file says now."""
    if not path.exists():
        return Version(NEW, "")
    text = read_text(path)
    return Version(text, digest(text))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def examine_text(store: Store, text: str, path: Path, now: float) -> PolicyFile:
    """What is wrong with a text that is not saved yet; its policy is None where it has errors."""
    known = known_names({run.vantage for run in list_runs(store)})
    policy, problems = read_policy(text, path.name, known)
    if policy is not None:
        found = [*review_channels(policy), *review_policy(policy, known, now)]
        problems = sorted(found, key=lambda problem: problem.line)
    return PolicyFile(path, text, policy, tuple(problems))


def save_text(store: Store, path: Path, text: str, etag: str, now: float, actor: str, *, secrets: bool = False) -> Version:
    """Keep a text, if it has no error and the file still says what it was made on. Raises `Changed` and UserError.

    `secrets`: the server's own (`env:`, `file:`) may be used, because they belong to who edits.
    """
    if len(text.encode()) > MOST_BYTES:
        raise UserError("the policy is larger than 8 MB", where=path.name, hint="make it smaller")
    text = "\n".join(text.splitlines()) + "\n"
    seen = examine_text(store, text, path, now)
    refuse_errors(seen.problems)
    with store.together() as one:
        with one.begin() as connection:
            take_turns(connection, f"policy {store.workspace}")
        before = read_version(path)
        if before.etag != etag:
            raise Changed(
                "the policy was changed in the meantime", where=path.name, hint="look at the difference, then save again"
            )
        refuse_reach(seen.policy, examine_text(one, before.text, path, now).policy, path, secrets=secrets)
        after = Version(text, digest(text))
        added, removed = count_lines(before.text, text)
        detail = {"file": path.name, "before": before.etag, "after": after.etag, "added": added, "removed": removed}
        audit.append_entry(one, "policy-saved", detail, now, actor)
        replace_file(path, text)
    return after


def refuse_reach(after: Policy | None, before: Policy | None, path: Path, *, secrets: bool) -> None:
    """Who edits from afar may not run commands or write files on the server, nor read its secrets unless it is theirs.

    Channels that the file has already may stay as they are.
    """
    known = {prints(entry) for entry in (before.channels if before else ())}
    for entry in after.channels if after else ():
        texts = [value for value in entry.settings.values() if isinstance(value, str)]
        acts = entry.kind in ON_THE_SERVER
        if not (acts or (not secrets and any(text.startswith(SECRETS) for text in texts))) or prints(entry) in known:
            continue
        what = "runs a command or writes a file" if acts else "reads secrets"
        raise UserError(
            f"a channel that {what} on the server cannot be added from afar",
            where=f"{path.name}, line {entry.line}: channel {entry.name}",
            hint=f"write it on the server, into {path.name}",
        )


def prints(entry: Channel) -> tuple[str, str, str]:
    """What tells a channel from another one."""
    return entry.name, entry.kind, repr(sorted(entry.settings.items()))


def add_entry(store: Store, path: Path, table: str, entry: Mapping[str, Any], now: float, actor: str) -> Version:
    """Append one entry, such as an accepted finding, and keep the rest of the file as it is."""
    if table not in TABLES:
        raise UserError(f"no entry is added to [[{table}]]", where=path.name, hint=f"one of {', '.join(TABLES)}")
    before = read_version(path)
    return save_text(store, path, f"{before.text.rstrip()}\n\n{table_text(table, entry)}", before.etag, now, actor)


def replace_file(path: Path, text: str) -> None:
    """Put a text in a file's place when it is whole; a link stays a link, and the file keeps its mode."""
    place = path.resolve()
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = place.stat().st_mode & 0o7777 if place.exists() else 0o600
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(mode)
            Path(name).replace(place)
        finally:
            with suppress(FileNotFoundError):
                Path(name).unlink()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        hint = "look at the rights and the space there; nothing was changed"
        raise UserError(f"the policy cannot be written: {reason}", where=str(path), hint=hint) from error


def count_lines(before: str, after: str) -> tuple[int, int]:
    """Lines that were added, and lines that were taken away."""
    marks = [line[0] for line in difference(before, after) if line[:1] in "+-"]
    return marks.count("+"), marks.count("-")


def difference(before: str, after: str, context: int = 3) -> Iterator[str]:
    """The lines that differ, each with its sign, and some around them; `…` stands where lines are left out."""
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=context)
    for number, line in enumerate(found):
        if number < 2:
            continue
        yield "…" if line.startswith("@@") else line or " "
