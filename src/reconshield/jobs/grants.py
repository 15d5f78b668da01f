"""Grants as people use them: add, list, revoke, refresh, audit; and `authorise_scan`, which every scan goes through.

Each change of a grant and its entry in the audit log are one transaction. A use or a refusal is logged before anybody learns
of it: when the log cannot be written, nothing is sent. The rules themselves are in `scope`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconshield import host
from reconshield.addresses import LOOPBACK, NEVER, AddressSet, Target
from reconshield.errors import UserError
from reconshield.jobs.grant_record import SHOWN, describe_answer, describe_grant, grant_of, row_of, target_row
from reconshield.jobs.memory import Memory
from reconshield.jobs.requests import read_targets, resolve_known, resolve_names
from reconshield.scope import LEVELS, Grant, GrantTarget, Refusal, Request, Targets, authorise, meaning_of, union_of
from reconshield.store import audit, grants
from reconshield.store.db import Store

DEFAULT_LEVEL = 3
DEFAULT_DAYS = 90
ON_THE_SPOT_SECONDS = 86400.0
LONGEST_DAYS = 3660
DAY = 86400.0
GRANTS: Memory[tuple[Grant, ...]] = Memory(64)


@dataclass(frozen=True, slots=True)
class Kept:
    """A grant as it stands now, and the number of the audit entry that says so."""

    grant: Grant
    entry: int


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A grant whose names were asked again. `changes` has name, old and new addresses of those that answer differently."""

    grant: Grant
    entry: int
    changes: tuple[tuple[str, AddressSet, AddressSet], ...]


def add_grant(
    store: Store,
    target_texts: Sequence[str],
    *,
    by: str,
    now: float,
    level: int = DEFAULT_LEVEL,
    exclude_texts: Sequence[str] = (),
    valid_from: float | None = None,
    until: float | None = None,
    reason: str | None = None,
    contact: str | None = None,
    actor: str | None = None,
) -> Kept:
    """Record that `by` allows these targets to be measured; names get the addresses they have now.

    Without `until` the grant ends after 90 days. Raises `UserError` for anything that cannot be a grant.
    """
    targets, exclusions = read_targets(target_texts, wide=True), read_targets(exclude_texts, wide=True)
    if not targets:
        raise UserError("a grant needs a target", where="grant add", hint='reconshield grant add TARGET --by "NAME"')
    answers = resolve_names((*targets, *exclusions))
    grant = Grant(
        id="",
        by=read_line(by, "--by") or "",
        targets=tuple(fix_target(target, answers) for target in targets),
        exclusions=tuple(fix_target(target, answers) for target in exclusions),
        level=level,
        valid_from=now if valid_from is None else valid_from,
        until=until if until is not None else (valid_from or now) + DEFAULT_DAYS * DAY,
        reason=read_line(reason, "--reason"),
        contact=read_line(contact, "--contact"),
        created_at=now,
    )
    check_grant(grant, now)
    return keep_grant(store, grant, actor or host.user_name())


def keep_grant(store: Store, grant: Grant, actor: str) -> Kept:
    with store.together() as one:
        grant = replace(grant, id=grants.add_grant(one, row_of(grant)))
        entry = audit.append_entry(one, "grant-added", describe_grant(grant), grant.created_at, actor)
    return Kept(grant, entry)


def check_grant(grant: Grant, now: float) -> None:
    """Refuse a record that says nobody, nothing, never, or for ever."""
    if not grant.by:
        raise UserError("a grant needs the name of who allows it", where="--by", hint='--by "Ada Example"')
    if grant.level not in LEVELS:
        levels = ", ".join(f"{level} {meaning}" for level, meaning in LEVELS.items())
        raise UserError(f"there is no level {grant.level}", where=f"--level {grant.level}", hint=levels)
    if grant.until <= max(grant.valid_from, now):
        raise UserError("the grant would end before it begins", where="--until", hint="give a later --until, for example 30d")
    if grant.until > now + LONGEST_DAYS * DAY:
        raise UserError("a grant lasts ten years at most", where="--until", hint="give an earlier --until, for example 365d")
    for target in grant.targets:
        if NEVER.covers(target.addresses):
            hint = "give hosts or networks; multicast, broadcast and reserved addresses need no grant and get none"
            raise UserError("this is never measured", where=target.text, hint=hint)
    if not union_of(target.addresses for target in grant.targets) - grant.excluded:
        raise UserError("the exclusions leave nothing of this grant", where="--exclude", hint="exclude less")


def read_line(text: str | None, where: str) -> str | None:
    """One line of at most 200 characters; None and blanks are nothing."""
    plain = (text or "").strip()
    if len(plain) > 200 or not plain.isprintable():
        raise UserError("this must be one line of at most 200 characters", where=f"{where} {plain[:40]!r}", hint="shorten it")
    return plain or None


def fix_target(target: Target, answers: Mapping[str, AddressSet]) -> GrantTarget:
    """A target with the addresses it has now."""
    return GrantTarget(target.text, meaning_of(target, answers), target.name)


def list_grants(store: Store) -> tuple[Grant, ...]:
    """All grants, ended ones too, oldest first. Asked by every page; read again whenever anything in the database changed."""
    stamp = store.stamp()
    if stamp is None:
        return read_grants(store)
    return GRANTS.get((store.where, store.workspace, stamp), lambda: read_grants(store))


def read_grants(store: Store) -> tuple[Grant, ...]:
    return tuple(grant_of(row) for row in grants.list_grants(store))


def revoke_grant(store: Store, grant_id: str, now: float, actor: str | None = None) -> Kept:
    """End a grant now. One that was revoked before is a `UserError`."""
    with store.together() as one:
        grants.hold(one)
        if find_grant(one, grant_id).revoked_at is not None:
            raise UserError("this grant is revoked already", where=grant_id, hint="reconshield grant list")
        grant = grant_of(grants.revoke_grant(one, grant_id, now))
        entry = audit.append_entry(one, "grant-revoked", {"grant": grant.id}, now, actor or host.user_name())
    return Kept(grant, entry)


def refresh_grant(store: Store, grant_id: str, now: float, actor: str | None = None) -> Refreshed:
    """Ask the names of a grant again and keep what they answer now."""
    grant = find_grant(store, grant_id)
    if not grant.valid_at(now) and now >= grant.valid_from:
        raise UserError("this grant has ended", where=grant_id, hint='reconshield grant add TARGET --by "NAME"')
    names = [target for target in grant.targets if target.name is not None]
    if not names:
        raise UserError("this grant has no names to ask again", where=grant.text(), hint="reconshield grant list")
    answers = resolve_names(Target(target.text, name=target.name) for target in names)
    fresh = tuple(replace(t, addresses=answers[t.name]) if t.name is not None else t for t in grant.targets)
    changes = tuple(
        (old.text, old.addresses, new.addresses)
        for old, new in zip(grant.targets, fresh, strict=True)
        if old.addresses != new.addresses
    )
    detail = {
        "grant": grant.id,
        "changes": [
            {"name": name, "before": before.text(SHOWN), "after": after.text(SHOWN)} for name, before, after in changes
        ],
    }
    with store.together() as one:
        kept = grant_of(grants.replace_grant_targets(one, grant.id, map(target_row, fresh)))
        entry = audit.append_entry(one, "grant-refreshed", detail, now, actor or host.user_name())
    return Refreshed(kept, entry, changes)


def find_grant(store: Store, grant_id: str) -> Grant:
    for grant in list_grants(store):
        if grant.id == grant_id.strip().lower():
            return grant
    raise UserError("there is no grant of that id", where=grant_id, hint="reconshield grant list")


def authorise_scan(
    store: Store,
    target_texts: Sequence[str],
    exclude_texts: Sequence[str],
    level: int | None,
    now: float,
    *,
    authorized_by: str | None = None,
    for_seconds: float = ON_THE_SPOT_SECONDS,
    exempt_own: bool = True,
    use: str = "scan",
    options: str = "",
    actor: str | None = None,
) -> Targets:
    """Resolve, decide, log; the way of every scan to its targets. Raises `Refused` (logged too) when no grant allows it.

    `authorized_by` records a grant on the spot, but only if the request succeeds with it. `exempt_own` False is for callers
    from elsewhere (web, API): then loopback and own addresses need a grant too.
    """
    by = read_approver(authorized_by, for_seconds)
    level = DEFAULT_LEVEL if by and level is None else level
    request = Request(read_targets(target_texts), read_targets(exclude_texts, wide=True), level, use, options)
    answers = resolve_request(request, list_grants(store))
    actor = actor or host.user_name()
    with store.together() as one:
        known = list_grants(one)  # once more: resolving takes seconds, in which a grant may have been revoked
        spot = grant_on_the_spot(request, answers, by, now, for_seconds) if by and request.targets else ()
        answer = decide(request, (*known, *spot), answers, now, exempt_own=exempt_own)
        if isinstance(answer, Targets) and spot:
            kept = keep_grant(one, spot[0], actor)
            answer = decide(request, (*known, kept.grant), answers, now, exempt_own=exempt_own)
        event = "refused" if isinstance(answer, Refusal) else "used"
        entry = audit.append_entry(one, event, describe_answer(request, answer), now, actor)
    if isinstance(answer, Refusal):
        error = answer.to_error()
        error.add_note(f"audit entry {entry} (exit {error.exit_code})")
        raise error
    return answer


def read_approver(text: str | None, seconds: float) -> str | None:
    """Who allows a scan on the spot; None when nobody was named. A blank name or an odd time is a `UserError`."""
    by = read_line(text, "--authorized-by")
    if text is not None and not by:
        hint = '--authorized-by "Ada Example"'
        raise UserError("a grant needs the name of who allows it", where="--authorized-by", hint=hint)
    if not 0 < seconds <= LONGEST_DAYS * DAY:
        raise UserError("a grant lasts more than nothing and ten years at most", where="--for", hint="--for 24h")
    return by


def resolve_request(request: Request, known: Iterable[Grant]) -> dict[str, AddressSet]:
    """Answers for all names of the request, and as far as there are any for the names that grants exclude."""
    answers = resolve_names((*request.targets, *request.exclusions))
    excluded = (target.name for grant in known for target in grant.exclusions if target.name is not None)
    return answers | resolve_known(excluded, answers)


def grant_on_the_spot(
    request: Request, answers: Mapping[str, AddressSet], by: str, now: float, for_seconds: float
) -> tuple[Grant, ...]:
    grant = Grant(
        id="new",
        by=by,
        targets=tuple(fix_target(target, answers) for target in request.targets),
        exclusions=tuple(fix_target(target, answers) for target in request.exclusions),
        level=request.level or DEFAULT_LEVEL,
        valid_from=now,
        until=now + for_seconds,
        reason=f"on the spot for one {request.use}",
        created_at=now,
    )
    return (grant,)


def decide(
    request: Request, known: Iterable[Grant], answers: Mapping[str, AddressSet], now: float, *, exempt_own: bool
) -> Targets | Refusal:
    own = LOOPBACK | host.own_addresses() if exempt_own else AddressSet()
    return authorise(request, known, own, answers, now, host.broadcast_addresses())
