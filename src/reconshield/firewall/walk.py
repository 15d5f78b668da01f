"""Packets on their way through one chain and those it jumps to.

A `Piece` is a region with its history. Walking a chain cuts it by what the steps match; each part ends with the action that
decides it, or falls out at the end of the chain. A step that may or may not match leaves a `Doubt` on the piece, which goes on
as if it had not matched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from reconshield.addresses.intervals import Ranges, intersect, merge
from reconshield.firewall.index import Index
from reconshield.firewall.question import Decision, single
from reconshield.firewall.regions import Region, cut, narrow, unite
from reconshield.firewall.ruleset import LAST, Action, Box, Chain, Change, Field, Kind, everything

DEEPEST = 16
"""Jumps within jumps that the kernel allows (NFT_JUMP_STACK_SIZE)."""
MOST_CASES = 500_000
"""A question for which more steps than this must be looked at is answered "unknown": it is too wide for this ruleset."""
FEW = 32
"""With no more steps left than this it does not pay to ask the index again."""

ENDS = frozenset({Kind.ACCEPT, Kind.DROP, Kind.REJECT, Kind.TRANSLATE, Kind.UNKNOWN})
CHANGEABLE = (Field.MARK, Field.CONNECTION_MARK, Field.STATE)
"""Fields that rules can set."""
ORIGINALS = {Field.ORIGINAL_DESTINATION: Field.DESTINATION, Field.ORIGINAL_PORT: Field.PORT}


class TooManyCases(Exception):
    """The question is too wide for this ruleset."""


class Step(NamedTuple):
    """One box of one case of a rule. `original` says that it looks at what a packet was sent to before a translation."""

    box: Box
    action: Action
    doubt: str
    decision: Decision
    original: bool


@dataclass(frozen=True, slots=True)
class Doubt:
    """A rule that may have done `kind` to a piece."""

    kind: Kind
    by: Decision
    why: str


class Piece(NamedTuple):
    """A region on its way. `path` are the rules that led it on, `accepts` those that ended a base chain.

    `vague` has a bit for each field that holds one of its values, nobody knows which; `moved` one for each field that a
    translation changed (their old values stand in the ORIGINAL fields), and for the ORIGINAL fields of a packet without a
    connection, which nothing matches.
    """

    region: Region
    path: tuple[Decision, ...] = ()
    accepts: tuple[Decision, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    vague: int = 0
    moved: int = 0

    @property
    def translated(self) -> bool:
        """Whether the destination was translated."""
        return bool(self.moved >> Field.TRANSLATED & 1)

    @property
    def is_masked(self) -> bool:
        """Whether the source was translated."""
        return bool(self.moved >> Field.SOURCE & 1)

    def masked(self) -> Piece:
        return self._replace(moved=self.moved | 1 << Field.SOURCE)

    def at(self, region: Region) -> Piece:
        return self if region is self.region else self._replace(region=region)

    def by(self, decision: Decision) -> Piece:
        return self._replace(path=(*self.path, decision))

    def doubting(self, kind: Kind, by: Decision, why: str) -> Piece:
        return self._replace(doubts=(*self.doubts, Doubt(kind, by, why)))

    def changed(self, changes: tuple[Change, ...], *, sure: bool) -> Piece:
        """The piece after fields were set. Where that is not sure, or the value is not known, they are vague."""
        piece = self
        for change in changes:
            if piece.region[change.field][0][0] <= LAST[change.field]:  # else there is no connection whose mark could be set
                piece = piece.change(change, sure=sure)
        return piece

    def change(self, change: Change, *, sure: bool) -> Piece:
        field, source = change.field, change.source if change.source is not None else change.field
        old = self.region[source]
        if change.value is None or (change.keep and (self.vague >> source & 1 or not is_single(old))):
            ranges, sure = everything(field), False
        else:
            ranges = single((old[0][0] & change.keep) ^ change.value)
        values = ranges if sure else merge((*ranges, *self.region[field]))
        vague = self.vague & ~(1 << field) if sure else self.vague | 1 << field
        return self._replace(region=narrow(self.region, field, values), vague=vague)

    def or_unchanged(self, before: Piece) -> Piece:
        """The piece after changes that may not have happened: what was set may still be what it was."""
        piece = self
        for field in CHANGEABLE:
            old, new = before.region[field], piece.region[field]
            if new != old:
                region = narrow(piece.region, field, merge((*old, *new)))
                piece = piece._replace(region=region, vague=piece.vague | 1 << field)
        return piece


class End(NamedTuple):
    """A piece that a rule decided."""

    kind: Kind
    piece: Piece
    by: Decision
    action: Action


class Passed(NamedTuple):
    """What went on past some steps, what they decided, and what returned to where the chain was jumped to.

    `waiting` are pieces that are still to be taken through steps.
    """

    on: list[Piece]
    ends: list[End]
    returned: list[Piece]
    waiting: list[tuple[Piece, int]]


class Compiled:
    """A chain for one family as a flat list of steps with an index."""

    def __init__(self, chain: Chain, family: int) -> None:
        self.policy = Decision(chain)
        self.steps = tuple(flatten(chain, family))
        self.index = Index([step.box for step in self.steps])


def flatten(chain: Chain, family: int) -> Iterator[Step]:
    """The steps of a chain that packets of a family can match."""
    own = single(family)
    for rule in chain.rules:
        decision = Decision(chain, rule)
        for branch in rule.branches:
            for box in branch.boxes:
                families = next((ranges for field, ranges in box if field is Field.FAMILY), own)
                if intersect(families, own):
                    rest = tuple(pair for pair in box if pair[0] is not Field.FAMILY)
                    original = any(field in ORIGINALS for field, _ in rest)
                    yield Step(rest, branch.action, branch.doubt, decision, original)


def is_single(ranges: Ranges) -> bool:
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]


def as_sent(box: Box, moved: int) -> Box | None:
    """A box whose conditions on the original destination are conditions on the destination, where that has not changed."""
    fields: dict[Field, Ranges] = {}
    for field, ranges in box:
        now = ORIGINALS.get(field)
        own = now if now is not None and not (moved >> now | moved >> field) & 1 else field
        fields[own] = intersect(fields[own], ranges) if own in fields else ranges
        if not fields[own]:
            return None
    return tuple(fields.items())


class Walker:
    """Walks chains for one question, and counts what it takes. `find` gives a chain by its name."""

    def __init__(self, find: Callable[[str], Compiled | None], most: int = MOST_CASES) -> None:
        self.find = find
        self.left = most

    def walk(self, chain: Compiled, piece: Piece, depth: int = 0) -> tuple[list[End], list[Piece]]:
        """What the chain decides, and what falls out at its end or returns."""
        passed = self.reach(chain, piece, 0, len(chain.steps), depth)
        return passed.ends, passed.on + passed.returned

    def reach(self, chain: Compiled, piece: Piece, first: int, last: int, depth: int = 0) -> Passed:
        """What becomes of a piece at the steps from `first` to before `last`."""
        passed = Passed([], [], [], [(piece, chain.index.candidates(piece.region) & ((1 << last) - (1 << first)))])
        while passed.waiting:
            now, steps = passed.waiting.pop()
            if steps.bit_count() > FEW:  # a part of a region has fewer candidates than the whole
                steps &= chain.index.candidates(now.region)
            left = self._run(chain, now, steps, passed, depth)
            if left is not None:
                passed.on.append(left)
        return passed

    def _run(self, chain: Compiled, piece: Piece, steps: int, passed: Passed, depth: int) -> Piece | None:
        """Take one piece through the steps whose bits are set, until it is decided (None) or comes to the end."""
        while steps:
            lowest = steps & -steps
            steps ^= lowest
            step = chain.steps[lowest.bit_length() - 1]
            self._count()
            box = as_sent(step.box, piece.moved) if step.original else step.box
            parted = cut(piece.region, box, piece.vague) if box is not None else None
            if parted is None:
                continue
            passed.waiting.extend((piece.at(region), steps) for region in parted.outside)
            doubt = step.doubt or ("" if parted.sure else "it looks at a value that is not known here")
            left = self._act(step, piece.at(parted.inside), doubt, steps, passed, depth)
            if left is None:
                return None
            piece = left
        return piece

    def _act(self, step: Step, piece: Piece, doubt: str, steps: int, passed: Passed, depth: int) -> Piece | None:
        """Do what a step does to a piece that it matches; what goes on to the next step is given back."""
        action = step.action
        if action.kind is Kind.CONTINUE:
            return piece.changed(action.sets, sure=not doubt)
        if action.kind is Kind.JUMP:
            self._jump(step, piece, doubt, steps, passed, depth)
            return None
        if doubt and action.kind is not Kind.UNKNOWN:
            # After a return or goto that may have happened nobody knows what follows.
            return piece.doubting(action.kind if action.kind in ENDS else Kind.UNKNOWN, step.decision, doubt)
        if action.kind in ENDS:
            passed.ends.append(End(action.kind, piece, step.decision, action))
        elif action.kind is Kind.RETURN:
            passed.returned.append(piece)
        else:
            inner, out = self._enter(step, piece, depth)
            passed.ends.extend(inner)
            passed.returned.extend(out)
        return None

    def _jump(self, step: Step, piece: Piece, doubt: str, steps: int, passed: Passed, depth: int) -> None:
        """Enter another chain and come back with what it did not decide; in doubt, with what it may have decided too."""
        inner, out = self._enter(step, piece, depth)
        if doubt:
            out += [end.piece.doubting(end.kind, end.by, doubt) for end in inner]
            out = [left.or_unchanged(piece) for left in out]
        else:
            passed.ends.extend(inner)
        # The way into a chain that decided nothing is no part of the way.
        passed.waiting.extend((left, steps) for left in unite_pieces([left._replace(path=piece.path) for left in out]))

    def _enter(self, step: Step, piece: Piece, depth: int) -> tuple[list[End], list[Piece]]:
        name = step.action.target
        target = self.find(name)
        inside = piece.by(step.decision)
        if target is None or depth >= DEEPEST:
            why = f"chain {name} is not in this file" if target is None else "chains jump into each other too deep"
            return [End(Kind.UNKNOWN, inside, step.decision, Action(Kind.UNKNOWN, why=why))], []
        return self.walk(target, inside, depth + 1)

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise TooManyCases


def unite_pieces(pieces: list[Piece]) -> list[Piece]:
    """The same pieces, those with one history joined again where they make a box."""
    if len(pieces) < 2:
        return pieces
    alike: dict[Piece, list[Region]] = {}
    for piece in pieces:
        alike.setdefault(piece._replace(region=()), []).append(piece.region)
    return [history._replace(region=region) for history, regions in alike.items() for region in unite(regions)]


def inside_scope(chain: Chain, piece: Piece) -> tuple[Piece | None, list[Piece]]:
    """The part of a piece that passes a base chain, and the parts that go round it."""
    parted = cut(piece.region, chain.scope)
    if parted is None:
        return None, [piece]
    return piece.at(parted.inside), [piece.at(region) for region in parted.outside]
