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
from reconshield.addresses.intervals import Ranges, intersect
from reconshield.firewall.question import Answer, Decision, Part, Question, World, single
from reconshield.firewall.regions import Region, cut, narrow, unite
from reconshield.firewall.ruleset import (
    FAMILY_ADDRESSES,
    LAST,
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
REMEMBERED = 64
"""So many answers are kept, for the same wide question is asked for the table and for what differs between families."""
DENIES = frozenset({Kind.DROP, Kind.REJECT})
MAIN_HOOKS = frozenset({"input", "forward", "output"})
TURNS = (
    (Field.SOURCE, Field.DESTINATION),
    (Field.SOURCE_PORT, Field.PORT),
    (Field.IN_INTERFACE, Field.OUT_INTERFACE),
    (Field.SOURCE_KIND, Field.DESTINATION_KIND),
)
CHANGING = (Field.STATE, Field.MARK, Field.CONNECTION_MARK, Field.DESTINATION_KIND, Field.TRANSLATED, *ORIGINALS)
UNCONNECTED = frozenset({State.INVALID, State.UNTRACKED})
"""States of packets that have no connection."""
CONNECTION_FIELDS = (Field.CONNECTION_MARK, Field.TRANSLATED, *ORIGINALS)
POLICY = Action(Kind.ACCEPT)


class Evaluator:
    """A ruleset made ready for questions. Chains are indexed when the first question of their family comes."""

    def __init__(self, ruleset: Ruleset, world: World | None = None) -> None:
        self.ruleset = ruleset
        self.world = world or World()
        self.own = self.world.own
        self._compiled: dict[tuple[str, int], Compiled] = {}
        self._bases: dict[tuple[str, int], list[Chain]] = {}
        self._answers: dict[Question, list[Part]] = {}

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
        known = self._answers.get(question)
        if known is None:
            known = self._judge(question)
            if len(self._answers) < REMEMBERED:
                self._answers[question] = known
        return known

    def _judge(self, question: Question) -> list[Part]:
        region = question.region()
        if region is None:
            return []
        if question.family not in self.ruleset.families:
            return [Part(Answer.UNKNOWN, region, None, because=f"these rules do not say anything about IPv{question.family}")]
        try:
            return unite_parts(Passage(self, question, region).judge())
        except TooManyCases:
            why = f"more than {MOST_CASES:,} steps to look at; ask about fewer sources or ports"
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
        pieces = self.begin()
        if self.question.outward:
            pieces = self.hook("postrouting", self.hook("output", pieces))
        else:
            arrived = self.hook("prerouting", self.hook("ingress", pieces))
            to_host, passed_on = self.route(arrived)
            pieces = self.hook("input", to_host) + self.hook("postrouting", self.hook("forward", passed_on))
        self.reply("input" if self.question.outward else "output", pieces)
        return self.parts

    def begin(self) -> list[Piece]:
        """The packets that are asked about, told apart by whether they go to an address of this host, where these are known."""
        return [unconnected(p, self.question.state) if self.question.state in UNCONNECTED else p for p in self.kinds()]

    def kinds(self) -> list[Piece]:
        own = self.evaluator.own.ranges
        parted = cut(self.asked, ((Field.DESTINATION, own),)) if own and not self.question.outward else None
        if parted is None:
            away = bool(own) and not self.question.outward
            return [Piece(of_kind(self.asked, AddressKind.UNICAST) if away else self.asked)]
        pieces = [Piece(of_kind(parted.inside, AddressKind.LOCAL))] if not self.question.through else []
        if self.question.through or self.question.destinations is not None:
            pieces += [Piece(of_kind(region, AddressKind.UNICAST)) for region in parted.outside]
        return pieces

    def route(self, pieces: Iterable[Piece]) -> tuple[list[Piece], list[Piece]]:
        """Which pieces are for this host, and which are passed on and by which interface, as far as that is known."""
        to_host: list[Piece] = []
        passed_on: list[Piece] = []
        for piece in pieces:
            own = self.evaluator.own.ranges or (LOOPBACK.ranges if piece.translated else ())
            if not own and not piece.translated:
                (passed_on if self.question.through else to_host).append(piece)
                continue
            if piece.translated and piece.region[Field.DESTINATION_KIND] == single(AddressKind.LOCAL):
                to_host.append(piece)
                continue
            parted = cut(piece.region, ((Field.DESTINATION, own),), piece.vague)
            if parted is None:
                passed_on.append(known_kind(piece, piece.region, AddressKind.UNICAST))
                continue
            inside = known_kind(piece, parted.inside, AddressKind.LOCAL)
            if not parted.sure:
                inside = inside.doubting(Kind.UNKNOWN, piece.path[-1], "one of several addresses is chosen")
            to_host.append(inside)
            passed_on += [known_kind(piece, region, AddressKind.UNICAST) for region in parted.outside]
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
        done = piece.translated if base.hook in BEFORE_CONNTRACK else piece.is_masked
        if base.nat and (done or piece.region[Field.STATE] != single(State.NEW)):
            return [piece]  # only the first packet of a connection, and once
        inside, passed = inside_scope(base, piece)
        if inside is None:
            return passed
        if inside.is_masked and base.rules and not base.nat:
            inside = inside.doubting(Kind.UNKNOWN, inside.path[-1], "the source is translated before these rules")
        tracked = inside.region[Field.STATE]
        early = base.hook == "ingress" or (base.hook in BEFORE_CONNTRACK and base.priority <= CONNTRACK)
        if early:
            inside = unconnected(inside, State.INVALID)
        for end in self.walk_base(base, inside):
            if (left := self.settle(base, end)) is not None:
                passed.append(self.track(left, tracked) if early else left)
        return passed

    def track(self, piece: Piece, state: Ranges) -> Piece:
        """A piece behind conntrack, unless a rule keeps it from being looked up."""
        if piece.region[Field.STATE] == single(State.UNTRACKED) or state[0][0] in UNCONNECTED:
            return piece
        region = narrow(piece.region, Field.STATE, state)
        for field in CONNECTION_FIELDS:
            region = narrow(region, field, self.asked[field])
        return piece._replace(region=region, moved=0)

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
        piece = piece._replace(
            path=(*piece.path, end.by),
            accepts=(*piece.accepts, end.by),
            doubts=tuple(remaining(piece.doubts, translates=translates)),
        )
        if not translates:
            return piece
        # Behind the routing it is the source that is translated; later rules do not see the one that was asked about.
        return self.translate(piece, end.action) if base.hook in BEFORE_CONNTRACK else piece.masked()

    def translate(self, piece: Piece, action: Action) -> Piece:
        """The piece after its destination was translated."""
        region, vague, moved = piece.region, piece.vague, piece.moved
        own = intersect(self.evaluator.own.ranges, FAMILY_ADDRESSES[self.family])
        address = (own or FAMILY_ADDRESSES[self.family]) if action.local else action.address
        for field, original, values in (
            (Field.DESTINATION, Field.ORIGINAL_DESTINATION, address),
            (Field.PORT, Field.ORIGINAL_PORT, action.port),
        ):
            if values:
                region = narrow(narrow(region, original, region[field]), field, values)
                moved |= 1 << field
                vague |= 0 if is_single(values) else 1 << field
        here = intersect(region[Field.DESTINATION], own)
        if action.local or (own and here == region[Field.DESTINATION]):
            region = of_kind(region, AddressKind.LOCAL)
        elif own and not here:
            region = of_kind(region, AddressKind.UNICAST)
        else:
            region = narrow(region, Field.DESTINATION_KIND, everything(Field.DESTINATION_KIND))
            vague |= 1 << Field.DESTINATION_KIND
        # The kernel counts only what is different afterwards: a redirect to where a packet went anyway is none.
        fields = [field for field in ORIGINALS.values() if moved >> field & 1]
        maybe_same = all(intersect(region[field], piece.region[field]) for field in fields)
        same = maybe_same and all(is_single(region[field]) and region[field] == piece.region[field] for field in fields)
        region = narrow(region, Field.TRANSLATED, single(0) if same else ((0, 1),) if maybe_same else single(1))
        vague |= (maybe_same and not same) << Field.TRANSLATED
        return piece._replace(region=region, vague=vague, moved=moved | 1 << Field.TRANSLATED)

    def reply(self, hook: str, pieces: list[Piece]) -> None:
        """Let the replies pass the chains that see each packet by itself, then note what is allowed."""
        bases = [base for base in self.evaluator.bases(hook, self.family) if base.stateless]
        if bases:
            self.turned = True
            pieces = [piece.at(turn(piece.region)) for piece in pieces]
            for base in bases:
                pieces = [left for piece in pieces for left in self.pass_base(base, piece)]
        for piece in pieces:
            if piece.doubts:
                self.note(piece, Answer.UNKNOWN, piece.doubts[0].by, because=piece.doubts[0].why)
            else:
                # That the reply comes back too is part of the way, but not what people look for.
                sent = [by for by in piece.accepts if not (self.turned and by.chain in bases)]
                self.note(piece, Answer.ALLOW, decisive(sent), how=Kind.ACCEPT.value)

    def note(self, piece: Piece, answer: Answer, by: Decision | None, *, how: str = "", because: str = "") -> None:
        """Keep an answer, in the addresses as they were sent."""
        region = turn(piece.region) if self.turned else piece.region
        moved = (region[Field.DESTINATION], region[Field.PORT]) if piece.translated else None
        parts = list(region)
        for original, field in ORIGINALS.items():
            if piece.moved >> field & 1:
                parts[field] = region[original]
        for changing in CHANGING:  # what rules set on the way was not asked about
            parts[changing] = self.asked[changing]
        self.parts.append(Part(answer, tuple(parts), by, piece.path, how, because, moved))


def unite_parts(parts: list[Part]) -> list[Part]:
    """Parts with the same answer for the same reason, joined where they make a box; the way of the first is told."""
    if len(parts) < 2:
        return parts
    alike: dict[tuple[object, ...], list[Part]] = {}
    for part in parts:
        alike.setdefault((part.answer, part.by, part.how, part.because, part.moved), []).append(part)
    return [replace(same[0], region=region) for same in alike.values() for region in unite([part.region for part in same])]


def remaining(doubts: Iterable[Doubt], *, translates: bool) -> Iterator[Doubt]:
    """The doubts that a base chain leaves: an accept that may have come earlier makes no difference to a later one, but where
    an address may have been translated, or not, everything that follows is in doubt.
    """
    for doubt in doubts:
        if doubt.kind in DENIES or doubt.kind is Kind.UNKNOWN:
            yield doubt
        elif translates or doubt.kind is Kind.TRANSLATE:
            yield replace(doubt, kind=Kind.UNKNOWN)


def unconnected(piece: Piece, state: State) -> Piece:
    """A piece without a connection: what rules ask about one has no value, and nothing matches it."""
    region = narrow(piece.region, Field.STATE, single(state))
    for field in CONNECTION_FIELDS:
        region = narrow(region, field, single(LAST[field] + 1))
    return piece._replace(region=region, moved=piece.moved | 1 << Field.ORIGINAL_DESTINATION | 1 << Field.ORIGINAL_PORT)


def of_kind(region: Region, kind: AddressKind) -> Region:
    return narrow(region, Field.DESTINATION_KIND, single(kind))


def known_kind(piece: Piece, region: Region, kind: AddressKind) -> Piece:
    """A part of a piece of which routing has shown what kind of address it goes to."""
    return piece._replace(region=of_kind(region, kind), vague=piece.vague & ~(1 << Field.DESTINATION_KIND))


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
