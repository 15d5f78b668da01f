"""Who may measure what: grants, and the one function that turns a request into targets.

A grant is a dated statement by somebody responsible: these targets, without those, up to this level, from then until then.
`authorise` takes what was asked, all grants, this machine's own addresses and what the names answer now, and gives either
`Targets`, which the engines take and nobody else can make, or a `Refusal` that says which address, why, and the command that
would allow it. So there is no check that a command could forget: without `Targets` no engine starts.

The rules, in the order in which they apply:

1. Multicast, reserved and unspecified addresses and the broadcast addresses of connected networks are never measured.
2. Exclusions win: those of the request, those of every valid grant, and the targets of valid grants of level 0.
3. Loopback and this machine's own addresses have level 4 without a grant (the web passes no own addresses and no loopback).
4. Every other address needs a valid grant of level 2 or more, and of the level asked for. Nothing is sent on levels 0 and 1.

What rules 1 and 2 take from a larger target is dropped and listed. When nothing is left, or a target lies wholly under rule 1,
the request is refused. Pure: time, addresses and answers of names are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from shlex import quote
from types import MappingProxyType
from typing import NoReturn, Self

from reconshield.addresses import NEVER, AddressSet, Target, parse_address, text_of
from reconshield.errors import Refused, UserError

LEVELS = {0: "never touch", 1: "passive", 2: "port scan", 3: "identify", 4: "assess"}
"""What a level allows; each includes those below it, and 0 is an exclusion."""

PORT_SCAN, HIGHEST = 2, 4

NOTHING = AddressSet()


@dataclass(frozen=True, slots=True)
class GrantTarget:
    """One target of a grant: its text, and the addresses it meant when the grant was made. `name` is set for a name."""

    text: str
    addresses: AddressSet
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """Who (`by`) allowed to measure what, how far, and when. Times are Unix seconds UTC; `valid_from` <= now < `until`."""

    id: str
    by: str
    targets: tuple[GrantTarget, ...]
    exclusions: tuple[GrantTarget, ...]
    level: int
    valid_from: float
    until: float
    reason: str | None = None
    contact: str | None = None
    created_at: float = 0.0
    revoked_at: float | None = None

    def valid_at(self, now: float) -> bool:
        """A revoked grant is never valid, whatever a clock says."""
        return self.valid_from <= now < self.until and self.revoked_at is None

    @property
    def granted(self) -> AddressSet:
        """All addresses of the targets, exclusions not yet taken off."""
        return union_of(target.addresses for target in self.targets)

    @property
    def excluded(self) -> AddressSet:
        return union_of(target.addresses for target in self.exclusions)

    def text(self) -> str:
        """`g3 (10.77.0.0/16, mail.example.org)`."""
        shown = ", ".join(target.text for target in self.targets[:3])
        return f"{self.id} ({shown}{', …' if len(self.targets) > 3 else ''})"


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants to measure. `level` None means as far as the grants go; `use` is the verb, `options` the rest of
    the command that a refusal repeats (`-p 110`).
    """

    targets: tuple[Target, ...]
    exclusions: tuple[Target, ...] = ()
    level: int | None = None
    use: str = "scan"
    options: str = ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Addresses that were asked for and are not measured, and why. Two of these may share addresses."""

    addresses: AddressSet
    why: str


class _Seal:
    """What only this module holds; `Targets` cannot be made without it."""


_SEAL = _Seal()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Targets:
    """Addresses that may be measured now, and how far. Made by `authorise` alone; it cannot be altered, derived or unpickled.

    `names` gives the name under which an address (as text) was asked for. `exempt` are loopback and own addresses among
    `addresses`. `grants` are the ids of the grants that allow the rest.
    """

    addresses: AddressSet
    level: int
    names: Mapping[str, str] = field(default_factory=dict)
    grants: tuple[str, ...] = ()
    exempt: AddressSet = NOTHING
    dropped: tuple[Dropped, ...] = ()
    seal: InitVar[_Seal]

    def __post_init__(self, seal: _Seal) -> None:
        if seal is not _SEAL:
            raise TypeError("only scope.authorise makes Targets")

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("Targets has no kinds")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("Targets do not leave their process; authorise again")

    def __setstate__(self, state: object) -> NoReturn:
        raise TypeError("only scope.authorise makes Targets")

    def allows(self, address: str | int) -> bool:
        """Whether an address, in any spelling, may be measured or listened to. What is no address is not allowed."""
        try:
            return (parse_address(address) if isinstance(address, str) else address) in self.addresses
        except UserError:
            return False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing may be sent. `address` is the first address that is in the way, `command` what would allow it."""

    message: str
    why: tuple[str, ...]
    command: str
    address: str | None = None

    def to_error(self) -> Refused:
        return Refused(f"{self.message}. Nothing was sent.", where="\n".join(self.why), hint=self.command)


def authorise(
    request: Request,
    grants: Iterable[Grant],
    own_addresses: AddressSet,
    resolved: Mapping[str, AddressSet],
    now: float,
    broadcast: AddressSet = NOTHING,
) -> Targets | Refusal:
    """Decide a request. The only maker of `Targets`.

    `own_addresses` are exempt from grants: loopback and this machine's own, or nothing at all. `resolved` has what each name
    in the request, exclusions included, answers now. `broadcast` are the broadcast and network addresses of connected networks.
    """
    everything = tuple(grants)
    valid = tuple(grant for grant in everything if grant.valid_at(now))
    never = NEVER | broadcast
    if refusal := refuse_at_once(request, resolved, never):
        return refusal
    wanted, dropped = drop_excluded(request, valid, resolved, never)
    if not wanted:
        return refuse_empty(request, dropped)
    exempt = wanted & own_addresses
    best = level_of(wanted, valid, exempt)
    level = best if request.level is None else request.level
    open_to = allowed_at(max(level, PORT_SCAN), valid) | exempt
    if not open_to.covers(wanted):
        return refuse_uncovered(request, wanted - open_to, everything, resolved, now)
    used = tuple(g.id for g in valid if g.level >= level and g.granted & (wanted - exempt))
    return Targets(
        addresses=wanted,
        level=level,
        names=name_addresses(request, resolved, wanted),
        grants=used,
        exempt=exempt,
        dropped=dropped,
        seal=_SEAL,
    )


def union_of(sets: Iterable[AddressSet]) -> AddressSet:
    return AddressSet(tuple(pair for addresses in sets for pair in addresses.ranges))


def meaning_of(target: Target, resolved: Mapping[str, AddressSet]) -> AddressSet:
    """The addresses of a target now; a name without an answer means none."""
    if target.name is not None:
        return resolved.get(target.name, NOTHING)
    return target.addresses or NOTHING


def granted_area(grants: Iterable[Grant], now: float) -> AddressSet:
    """All addresses that may be measured now because of a grant, without what is excluded."""
    valid = tuple(grant for grant in grants if grant.valid_at(now))
    never = union_of([NEVER, *(g.excluded for g in valid), *(g.granted for g in valid if g.level == 0)])
    return allowed_at(PORT_SCAN, valid) - never


def allowed_at(level: int, valid: Iterable[Grant]) -> AddressSet:
    return union_of(grant.granted for grant in valid if grant.level >= level)


def level_of(wanted: AddressSet, valid: tuple[Grant, ...], exempt: AddressSet) -> int:
    """The highest level that every wanted address has; 0 if some have none."""
    return next((level for level in range(HIGHEST, PORT_SCAN - 1, -1) if (allowed_at(level, valid) | exempt).covers(wanted)), 0)


def drop_excluded(
    request: Request, valid: tuple[Grant, ...], resolved: Mapping[str, AddressSet], never: AddressSet
) -> tuple[AddressSet, tuple[Dropped, ...]]:
    """Take off what is never measured and what is excluded; say what went and why, under every reason that holds."""
    reasons = [(never, "never measured: multicast, broadcast, reserved or unspecified")]
    # A name that is excluded is so at the addresses it had and at those it has.
    reasons += [(meaning_of(target, resolved), f"excluded by this request ({target.text})") for target in request.exclusions]
    for grant in valid:
        for exclusion in grant.exclusions:
            now = resolved.get(exclusion.name, NOTHING) if exclusion.name else NOTHING
            reasons.append((exclusion.addresses | now, f"excluded by grant {grant.id} ({exclusion.text})"))
        if grant.level == 0:
            reasons.append((grant.granted, f"grant {grant.id} has level 0, never touch"))
    asked = union_of(meaning_of(target, resolved) for target in request.targets)
    dropped = tuple(Dropped(gone, why) for addresses, why in reasons if (gone := asked & addresses))
    return asked - union_of(drop.addresses for drop in dropped), dropped


def name_addresses(request: Request, resolved: Mapping[str, AddressSet], wanted: AddressSet) -> Mapping[str, str]:
    """Address text -> the name it was asked for by; the first name wins."""
    names: dict[str, str] = {}
    for target in request.targets:
        if target.name is None:
            continue
        for first, last in (meaning_of(target, resolved) & wanted).ranges:
            for value in range(first, last + 1):
                names.setdefault(text_of(value), target.name)
    return MappingProxyType(names)


def refuse_at_once(request: Request, resolved: Mapping[str, AddressSet], never: AddressSet) -> Refusal | None:
    """What no grant could mend: a level on which nothing is sent, a target that means nothing."""
    if request.level is not None and not PORT_SCAN <= request.level <= HIGHEST:
        return refuse_silent(request.level)
    refusals = (refuse_pointless(target, meaning_of(target, resolved), never) for target in request.targets)
    return next((refusal for refusal in refusals if refusal), None)


def refuse_silent(level: int) -> Refusal:
    """A level on which nothing may be sent, or none at all."""
    meaning = f"level {level} means {LEVELS[level]}" if level in LEVELS else f"there is no level {level}"
    return Refusal("nothing is sent on this level", (meaning,), "ask for --level 2 (port scan), 3 (identify) or 4 (assess)")


def refuse_pointless(target: Target, addresses: AddressSet, never: AddressSet) -> Refusal | None:
    """A target that means nothing, or nothing that may ever be measured, is a mistake worth saying."""
    if not addresses:
        return Refusal(f"{target.text} has no address now", ("an empty scope is nothing",), "check the spelling of the name")
    if not never.covers(addresses):
        return None
    return Refusal(
        f"{target.text} is never measured",
        ("multicast, broadcast, reserved and unspecified addresses have no host of their own",),
        "give the address of a host, or a network",
        text_of(addresses.first),
    )


def refuse_empty(request: Request, dropped: tuple[Dropped, ...]) -> Refusal:
    if not dropped:
        return Refusal("no target was given", ("an empty scope is nothing",), f"reconshield {request.use} TARGET")
    why = tuple(f"{drop.addresses.text(4)}: {drop.why}" for drop in dropped[:4])
    return Refusal(
        "nothing is left to measure: every address is excluded",
        (*why, "exclusions win over every grant"),
        "ask for other addresses, or see what excludes these: reconshield grant list",
        text_of(dropped[0].addresses.first),
    )


def refuse_uncovered(
    request: Request, missing: AddressSet, grants: tuple[Grant, ...], resolved: Mapping[str, AddressSet], now: float
) -> Refusal:
    """Say which address has no grant, or none of the level asked for, and what would change that."""
    address = text_of(missing.first)
    more = f" and {missing.count - 1:,} more" if missing.count > 1 else ""
    valid = tuple(grant for grant in grants if grant.valid_at(now))
    here = [grant for grant in valid if missing.first in grant.granted]
    if here:
        best = max(here, key=lambda grant: grant.level)
        return refuse_level(request, best, address + more)
    for grant in valid:
        for target in grant.targets:
            if target.name and missing.first in resolved.get(target.name, NOTHING) and asked_by_name(request, target.name):
                return refuse_moved(grant, target, resolved[target.name], address)
    ended = [
        f"{grant.id} covers it, but {why_invalid(grant, now)}"
        for grant in grants
        if why_invalid(grant, now) and missing.first in grant.granted
    ]
    count = {0: "no grant is valid now", 1: "1 grant is valid now: "}.get(len(valid), f"{len(valid)} grants are valid now: ")
    listed = ", ".join(grant.text() for grant in valid[:4]) + (", …" if len(valid) > 4 else "")
    return Refusal(
        f"no grant covers {address}{more}",
        (count + listed, *ended[:2]),
        f'if its owner allowed it, say who and repeat:\n{repeat(request)} --authorized-by "NAME"',
        address,
    )


def repeat(request: Request) -> str:
    """The command that was given, shortened where it is long."""
    targets = [quote(target.text) for target in request.targets]
    exclusions = [f"--exclude {quote(target.text)}" for target in request.exclusions]
    words = [part for words in (targets, exclusions) for part in (*words[:4], *(["…"] if len(words) > 4 else []))]
    return " ".join(["reconshield", request.use, *words, *([request.options] if request.options else [])])


def refuse_level(request: Request, grant: Grant, address: str) -> Refusal:
    """A grant is there, but it does not go as far as was asked."""
    asked = max(request.level or 0, PORT_SCAN)
    why = f"grant {grant.id} allows level {grant.level} ({LEVELS[grant.level]}), this needs level {asked} ({LEVELS[asked]})"
    more = f'reconshield grant add {address.split(" ", maxsplit=1)[0]} --level {asked} --by "NAME"'
    if grant.level >= PORT_SCAN:
        more = f"repeat with --level {grant.level}, or if its owner allows more:\n{more}"
    return Refusal(f"no grant covers {address} at level {asked}", (why,), more, address.split(" ", maxsplit=1)[0])


def refuse_moved(grant: Grant, target: GrantTarget, answer: AddressSet, address: str) -> Refusal:
    """A name answers differently from when the grant was made: whoever controls the name must not control the grant."""
    return Refusal(
        f"{target.text} is now at {address}, which no grant covers",
        (f"grant {grant.id} was made when it was at {target.addresses.text(4)}; now it answers {answer.text(4)}",),
        f"if that is right: reconshield grant refresh {grant.id}",
        address,
    )


def asked_by_name(request: Request, name: str) -> bool:
    return any(target.name == name for target in request.targets)


def why_invalid(grant: Grant, now: float) -> str:
    """Why a grant does not count now; empty if it does."""
    if grant.revoked_at is not None:
        return "it was revoked"
    if now >= grant.until:
        return "it has expired"
    return "it is not valid yet" if now < grant.valid_from else ""
