"""What a ruleset does with packets: for whole networks and port ranges at once, with the rule that decides.

    Question -> region -> ingress, prerouting -> routing -> input, or forward and postrouting -> Parts

A rule that may or may not match (a limit, a condition that is not understood) leaves a doubt. If the rest comes to the same
answer, the doubt is settled, else the answer is "unknown, because of that rule". So an answer that is not "unknown" is right
whatever the part that is not understood says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from reconshield.addresses import LOOPBACK
from reconshield.addresses.intervals import intersect
from reconshield.firewall.question import Answer, Decision, Part, Question, World, single
from reconshield.firewall.regions import Region, cut, narrow, unite
from reconshield.firewall.ruleset import (
    FAMILY_ADDRESSES,
    Action,
    AddressKind,
    Chain,
    Field,
    Kind,
    Ruleset,
    State,
    everything,
    name_range,
    on_hook,
)
from reconshield.firewall.walk import (
    MOST_CASES,
    ORIGINALS,
    Compiled,
    Doubt,
    End,
    Piece,
    TooManyCases,
    Walker,
    inside_scope,
    is_single,
)

CONNTRACK = -200
"""Chains with this priority or an earlier one run before the connection of a packet is looked up."""
BEFORE_CONNTRACK = frozenset({"prerouting", "output"})
DENIES = frozenset({Kind.DROP, Kind.REJECT})
MAIN_HOOKS = frozenset({"input", "forward", "output"})
TURNS = (
    (Field.SOURCE, Field.DESTINATION),
    (Field.SOURCE_PORT, Field.PORT),
    (Field.IN_INTERFACE, Field.OUT_INTERFACE),
    (Field.SOURCE_KIND, Field.DESTINATION_KIND),
)
CHANGING = (Field.STATE, Field.MARK, Field.CONNECTION_MARK, Field.DESTINATION_KIND, Field.TRANSLATED, *ORIGINALS)
POLICY = Action(Kind.ACCEPT)


class Evaluator:
    """A ruleset made ready for questions. Chains are indexed when the first question of their family comes."""

    def __init__(self, ruleset: Ruleset, world: World | None = None) -> None:
        self.ruleset = ruleset
        self.world = world or World()
        self.own = self.world.own
        self._compiled: dict[tuple[str, int], Compiled] = {}
        self._bases: dict[tuple[str, int], list[Chain]] = {}

    def chain(self, name: str, family: int) -> Compiled | None:
        """A chain ready for a family, None if there is none of that name."""
        found = self._compiled.get((name, family))
        if found is None and (chain := self.ruleset.by_name.get(name)) is not None:
            found = self._compiled[name, family] = Compiled(chain, family)
        return found

    def bases(self, hook: str, family: int) -> list[Chain]:
        """The base chains of a hook in their order."""
        if (hook, family) not in self._bases:
            self._bases[hook, family] = on_hook(self.ruleset.chains, hook, family)
        return self._bases[hook, family]

    def judge(self, question: Question) -> list[Part]:
        """The answer in parts that together are what was asked and do not overlap; empty when nothing was asked."""
        region = question.region()
        if region is None:
            return []
        if question.family not in self.ruleset.families:
            return [Part(Answer.UNKNOWN, region, None, because=f"these rules do not say anything about IPv{question.family}")]
        try:
            return list(unite_parts(Passage(self, question, region).judge()))
        except TooManyCases:
            why = f"more than {MOST_CASES:,} cases; ask about fewer sources or ports"
            return [Part(Answer.UNKNOWN, region, None, because=why)]


class Passage:
    """One region on its way through all hooks."""

    def __init__(self, evaluator: Evaluator, question: Question, asked: Region) -> None:
        self.evaluator = evaluator
        self.question = question
        self.family = question.family
        self.asked = asked
        self.walker = Walker(lambda name: evaluator.chain(name, self.family))
        self.turned = False
        self.parts: list[Part] = []

    def judge(self) -> list[Part]:
        pieces = [Piece(self.asked)]
        if self.question.outward:
            pieces = self.hook("postrouting", self.hook("output", pieces))
        else:
            arrived = self.hook("prerouting", self.hook("ingress", pieces))
            to_host, passed_on = self.route(arrived)
            pieces = self.hook("input", to_host) + self.hook("postrouting", self.hook("forward", passed_on))
        self.reply("input" if self.question.outward else "output", pieces)
        return self.parts

    def route(self, pieces: Iterable[Piece]) -> tuple[list[Piece], list[Piece]]:
        """Which pieces are for this host, and which are passed on and by which interface, as far as that is known."""
        to_host: list[Piece] = []
        passed_on: list[Piece] = []
        for piece in pieces:
            own = self.evaluator.own.ranges or (LOOPBACK.ranges if piece.moved else ())
            if not own and not piece.moved:
                (passed_on if self.question.through else to_host).append(piece)
                continue
            if piece.moved and piece.region[Field.DESTINATION_KIND] == single(AddressKind.LOCAL):
                to_host.append(piece)
                continue
            parted = cut(piece.region, ((Field.DESTINATION, own),), piece.vague)
            if parted is None:
                passed_on.append(piece.at(of_kind(piece.region, AddressKind.UNICAST)))
                continue
            inside = piece.at(of_kind(parted.inside, AddressKind.LOCAL))
            if not parted.sure:
                inside = inside.doubting(Kind.UNKNOWN, piece.path[-1], "one of several addresses is chosen")
            to_host.append(inside)
            passed_on += [piece.at(of_kind(region, AddressKind.UNICAST)) for region in parted.outside]
        return to_host, [leaving for piece in passed_on for leaving in self.leave(piece)]

    def leave(self, piece: Piece) -> Iterator[Piece]:
        """A piece that is passed on, by the interface whose network holds its destination, else by any."""
        rest = [piece.region]
        for link in self.evaluator.world.links:
            outside: list[Region] = []
            for region in rest:
                parted = cut(region, ((Field.DESTINATION, link.networks.ranges),)) if link.networks else None
                if parted is None:
                    outside.append(region)
                    continue
                yield piece.at(narrow(parted.inside, Field.OUT_INTERFACE, (name_range(link.name),)))
                outside += parted.outside
            rest = outside
        yield from (piece.at(region) for region in rest)

    def hook(self, hook: str, pieces: list[Piece]) -> list[Piece]:
        """Let pieces pass all base chains of a hook. What is denied or unknown becomes a part; the rest comes out."""
        for base in self.evaluator.bases(hook, self.family):
            passed: list[Piece] = []
            for piece in pieces:
                passed += self.pass_base(base, piece)
            pieces = passed
        return pieces

    def pass_base(self, base: Chain, piece: Piece) -> list[Piece]:
        """One piece through one base chain: what of it goes on."""
        if base.nat and (piece.moved or piece.region[Field.STATE] != single(State.NEW)):
            return [piece]  # only the first packet of a connection, and once
        inside, passed = inside_scope(base, piece)
        if inside is None:
            return passed
        tracked = inside.region[Field.STATE]
        early = base.hook == "ingress" or (base.hook in BEFORE_CONNTRACK and base.priority <= CONNTRACK)
        if early:
            inside = inside.at(narrow(inside.region, Field.STATE, single(State.INVALID)))
        for end in self.walk_base(base, inside):
            if (left := self.settle(base, end)) is not None:
                untracked = left.region[Field.STATE] == single(State.UNTRACKED)
                passed.append(left.at(narrow(left.region, Field.STATE, tracked)) if early and not untracked else left)
        return passed

    def walk_base(self, base: Chain, piece: Piece) -> list[End]:
        """All ends of a piece in a base chain; what comes to its end meets the policy."""
        compiled = self.evaluator.chain(base.name, self.family)
        if compiled is None:
            raise KeyError(base.name)
        ends, fell = self.walker.walk(compiled, piece)
        return ends + [End(base.policy, left, compiled.policy, POLICY) for left in fell]

    def settle(self, base: Chain, end: End) -> Piece | None:
        """Note what a base chain decided. What goes on to the next is given back, with its way and its remaining doubts."""
        piece = end.piece
        if end.kind is Kind.UNKNOWN:
            self.note(piece, Answer.UNKNOWN, end.by, because=end.action.why or base.remark)
            return None
        if end.kind in DENIES:
            other = next((doubt for doubt in piece.doubts if doubt.kind not in DENIES), None)
            if other is not None:
                self.note(piece, Answer.UNKNOWN, other.by, because=other.why)
            else:
                self.note(piece, Answer.DENY, end.by, how=end.kind.value)
            return None
        translates = end.kind is Kind.TRANSLATE
        piece = replace(
            piece,
            path=(*piece.path, end.by),
            accepts=(*piece.accepts, end.by),
            doubts=tuple(remaining(piece.doubts, translates=translates)),
        )
        return self.translate(piece, end.action) if translates and base.hook in BEFORE_CONNTRACK else piece

    def translate(self, piece: Piece, action: Action) -> Piece:
        """The piece after its destination was translated."""
        region, vague, moved = piece.region, piece.vague, piece.moved
        address = action.address
        if action.local:
            address = intersect(self.evaluator.own.ranges, FAMILY_ADDRESSES[self.family]) or FAMILY_ADDRESSES[self.family]
        for field, original, values in (
            (Field.DESTINATION, Field.ORIGINAL_DESTINATION, address),
            (Field.PORT, Field.ORIGINAL_PORT, action.port),
        ):
            if values:
                region = narrow(narrow(region, original, region[field]), field, values)
                moved |= 1 << field
                vague |= 0 if is_single(values) else 1 << field
        kind = single(AddressKind.LOCAL) if action.local else everything(Field.DESTINATION_KIND)
        region = narrow(narrow(region, Field.TRANSLATED, single(1)), Field.DESTINATION_KIND, kind)
        return replace(piece, region=region, vague=vague, moved=moved | 1 << Field.TRANSLATED)

    def reply(self, hook: str, pieces: list[Piece]) -> None:
        """Let the replies pass the chains that see each packet by itself, then note what is allowed."""
        bases = [base for base in self.evaluator.bases(hook, self.family) if base.stateless]
        if bases:
            self.turned = True
            pieces = [replace(piece, region=turn(piece.region)) for piece in pieces]
            for base in bases:
                pieces = [left for piece in pieces for left in self.pass_base(base, piece)]
        for piece in pieces:
            if piece.doubts:
                self.note(piece, Answer.UNKNOWN, piece.doubts[0].by, because=piece.doubts[0].why)
            else:
                self.note(piece, Answer.ALLOW, decisive(piece.accepts), how=Kind.ACCEPT.value)

    def note(self, piece: Piece, answer: Answer, by: Decision | None, *, how: str = "", because: str = "") -> None:
        """Keep an answer, in the addresses as they were sent."""
        region = turn(piece.region) if self.turned else piece.region
        moved = (region[Field.DESTINATION], region[Field.PORT]) if piece.moved else None
        for original, field in ORIGINALS.items():
            if piece.moved >> field & 1:
                region = narrow(region, field, region[original])
        for changing in CHANGING:  # what rules set on the way was not asked about
            region = narrow(region, changing, self.asked[changing])
        self.parts.append(Part(answer, region, by, piece.path, how, because, moved))


def unite_parts(parts: Iterable[Part]) -> Iterator[Part]:
    """Parts with the same answer for the same reason, joined where they make a box; the way of the first is told."""
    alike: dict[Part, list[Part]] = {}
    for part in parts:
        alike.setdefault(replace(part, region=(), path=()), []).append(part)
    for same in alike.values():
        yield from (replace(same[0], region=region) for region in unite(part.region for part in same))


def remaining(doubts: Iterable[Doubt], *, translates: bool) -> Iterator[Doubt]:
    """The doubts that a base chain leaves: an accept that may have come earlier makes no difference to a later one, but where
    an address may have been translated, or not, everything that follows is in doubt.
    """
    for doubt in doubts:
        if doubt.kind in DENIES or doubt.kind is Kind.UNKNOWN:
            yield doubt
        elif translates or doubt.kind is Kind.TRANSLATE:
            yield replace(doubt, kind=Kind.UNKNOWN)


def of_kind(region: Region, kind: AddressKind) -> Region:
    return narrow(region, Field.DESTINATION_KIND, single(kind))


def turn(region: Region) -> Region:
    """The packets that answer these."""
    parts = list(region)
    for one, other in TURNS:
        parts[one], parts[other] = parts[other], parts[one]
    return tuple(parts)


def decisive(accepts: Iterable[Decision]) -> Decision | None:
    """Of all that let a packet pass, the rule that people look for: the last one written down on the main hook, else the last
    policy there.
    """
    seen = [decision for decision in accepts if not decision.chain.nat]
    main = [decision for decision in seen if decision.chain.hook in MAIN_HOOKS] or seen
    written = [decision for decision in main if decision.rule is not None]
    chosen = written or main
    return chosen[-1] if chosen else None
