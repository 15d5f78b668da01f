"""What the grants say of targets before anybody asks for a scan: nothing is resolved, logged or sent.

For a form that answers while somebody types. Whether a scan may start is decided, and logged, by `grants.authorise_scan`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from reconshield import host
from reconshield.addresses import AddressSet, Target, parse_target
from reconshield.errors import UserError
from reconshield.jobs.grants import list_grants
from reconshield.scope import Grant, Refusal, Request, authorise, union_of
from reconshield.store.db import Store

Answer = Literal["allowed", "refused", "unknown", "mistake"]


@dataclass(frozen=True, slots=True)
class Permission:
    """What may be measured of one target. `why` says what is in the way or left out; `level` is 0 where nothing may be.

    `unknown` is a name that no grant has: what its addresses are is asked when the scan is planned.
    """

    text: str
    answer: Answer
    addresses: int = 0
    level: int = 0
    grants: tuple[str, ...] = ()
    why: tuple[str, ...] = ()


def look_up(store: Store, texts: Iterable[str], now: float) -> list[Permission]:
    """What the grants of the workspace say of each target now. In no place of it is anything exempt."""
    grants, broadcast = list_grants(store), host.broadcast_addresses()
    return [look_up_one(text, grants, broadcast, now) for text in texts]


def look_up_one(text: str, grants: Iterable[Grant], broadcast: AddressSet, now: float) -> Permission:
    try:
        target = parse_target(text)
    except UserError as error:
        return Permission(text, "mistake", why=(error.message, error.hint or ""))
    known = addresses_of(target, grants, now)
    if target.name is not None and not known:
        return Permission(text, "unknown", why=("no grant has this name; its addresses are looked up for the plan",))
    resolved = {target.name: known} if target.name is not None else {}
    answer = authorise(Request((target,)), grants, AddressSet(), resolved, now, broadcast)
    if isinstance(answer, Refusal):
        return Permission(text, "refused", known.count, why=(answer.message, *answer.why))
    left_out = tuple(f"{dropped.addresses.text(4)}: {dropped.why}" for dropped in answer.dropped)
    return Permission(text, "allowed", answer.addresses.count, answer.level, answer.grants, left_out)


def addresses_of(target: Target, grants: Iterable[Grant], now: float) -> AddressSet:
    """The addresses of a target; of a name those that it had when a grant was made for it."""
    if target.name is None:
        return target.addresses or AddressSet()
    return union_of(each.addresses for g in grants if g.valid_at(now) for each in g.targets if each.name == target.name)
