"""Grants and the audit log as other programs get them: addresses as networks, times as ISO 8601 UTC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypedDict

from reconshield.addresses import AddressSet
from reconshield.scope import Grant, GrantTarget, why_invalid
from reconshield.text import iso_time


class GrantTargetPart(TypedDict):
    """A target as it was written, and the addresses that it has."""

    text: str
    name: str | None
    addresses: list[str]


class GrantPart(TypedDict):
    """A grant. `state` is `valid`, or why it does not count now."""

    id: str
    state: str
    by: str
    targets: list[GrantTargetPart]
    exclusions: list[GrantTargetPart]
    level: int
    valid_from: str
    until: str
    reason: str | None
    contact: str | None
    created_at: str
    revoked_at: str | None


class KeptGrantPart(GrantPart):
    """A grant that was just changed, with the number of the audit entry that says so."""

    entry: int


class NameChangePart(TypedDict):
    """A name of a grant that answers differently."""

    name: str
    before: list[str]
    after: list[str]


class RefreshedGrantPart(KeptGrantPart):
    """A grant whose names were asked again."""

    changes: list[NameChangePart]


class EntryPart(TypedDict):
    """One line of the audit log, with its links in the chain."""

    number: int
    at: str
    actor: str
    event: str
    detail: dict[str, Any]
    previous: str
    hash: str


class ChainPart(TypedDict):
    """Whether the audit log is whole, and its end, to be written down elsewhere."""

    whole: bool
    broken_at: int | None
    entries: int
    newest_hash: str | None


class Entry(Protocol):
    """What the store keeps of an entry."""

    @property
    def number(self) -> int: ...
    @property
    def at(self) -> float: ...
    @property
    def actor(self) -> str: ...
    @property
    def event(self) -> str: ...
    @property
    def detail(self) -> Mapping[str, Any]: ...
    @property
    def previous(self) -> str: ...
    @property
    def hash(self) -> str: ...


def grant_state(grant: Grant, now: float) -> str:
    """`valid`, or why the grant does not count now."""
    return why_invalid(grant, now).removeprefix("it is ").removeprefix("it has ").removeprefix("it was ") or "valid"


def grant_part(grant: Grant, now: float) -> GrantPart:
    return {
        "id": grant.id,
        "state": grant_state(grant, now),
        "by": grant.by,
        "targets": target_parts(grant.targets),
        "exclusions": target_parts(grant.exclusions),
        "level": grant.level,
        "valid_from": iso_time(grant.valid_from),
        "until": iso_time(grant.until),
        "reason": grant.reason,
        "contact": grant.contact,
        "created_at": iso_time(grant.created_at),
        "revoked_at": iso_time(grant.revoked_at) if grant.revoked_at is not None else None,
    }


def target_parts(targets: Iterable[GrantTarget]) -> list[GrantTargetPart]:
    return [{"text": target.text, "name": target.name, "addresses": list(target.addresses.cidrs())} for target in targets]


def change_parts(changes: Iterable[tuple[str, AddressSet, AddressSet]]) -> list[NameChangePart]:
    return [{"name": name, "before": list(before.cidrs()), "after": list(after.cidrs())} for name, before, after in changes]


def entry_part(entry: Entry) -> EntryPart:
    return {
        "number": entry.number,
        "at": iso_time(entry.at),
        "actor": entry.actor,
        "event": entry.event,
        "detail": dict(entry.detail),
        "previous": entry.previous,
        "hash": entry.hash,
    }


def chain_part(broken: int | None, last: Entry | None) -> ChainPart:
    """`broken` is the first entry that is missing or edited, `last` the newest one."""
    return {
        "whole": broken is None,
        "broken_at": broken,
        "entries": last.number if last else 0,
        "newest_hash": last.hash if last else None,
    }
