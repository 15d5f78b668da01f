"""Rules that can never match, rules that change nothing, and where IPv4 and IPv6 are treated differently.

A rule is *shadowed* if no packet at all can reach it and match: earlier rules of its chain, or of the chains that jump to it,
decide everything it would match. A rule of a base chain is *redundant* if without it every packet would meet the same verdict.
Both are proved for all packets, not tried; where it cannot be proved (a doubt, too many cases) nothing is claimed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from reconshield.addresses import AddressSet
from reconshield.addresses.intervals import Ranges, intersect, merge
from reconshield.firewall.evaluate import Evaluator
from reconshield.firewall.question import Answer, Decision, Part, Question, single
from reconshield.firewall.regions import EVERYTHING, Region, narrow, within
from reconshield.firewall.ruleset import FAMILY_ADDRESSES, Chain, Field, Kind, Rule
from reconshield.firewall.walk import CHANGEABLE, Compiled, Piece, TooManyCases, Walker

FAMILIES = (4, 6)
DEEPEST = 8
CASES_OF_A_RULE = 20_000
DECIDES = frozenset({Kind.ACCEPT, Kind.DROP, Kind.REJECT})
ANY_MOVE = 1 << Field.DESTINATION | 1 << Field.PORT
"""As if a translation had happened: what a packet was sent to first is then independent of where it goes."""
EVERY_PORT: Ranges = ((1, 65535),)


@dataclass(frozen=True, slots=True)
class Remark:
    """A rule that could go: `shadowed` or `redundant`, and the rules or policies that do its work."""

    kind: str
    chain: Chain
    rule: Rule
    by: tuple[Decision, ...]


class Reached(NamedTuple):
    """Pieces that arrive somewhere, and the decisions that took the others away."""

    pieces: list[Piece]
    by: list[Decision]


def examine(evaluator: Evaluator) -> list[Remark]:
    """Every rule that is shadowed or redundant, in the order of the ruleset."""
    remarks: list[Remark] = []
    views = {family: View(evaluator, family) for family in FAMILIES}
    for chain in evaluator.ruleset.chains:
        own = [views[family] for family in chain.families]
        if not chain.hook and not any(view.callers.get(chain.name) for view in own):
            continue
        found = (examine_rule(chain, rule, own) for rule in chain.rules)
        remarks += [remark for remark in found if remark is not None]
    return remarks


def examine_rule(chain: Chain, rule: Rule, views: Iterable[View]) -> Remark | None:
    """What can be said of one rule in all families that it is for."""
    shadowed: list[Decision] = []
    redundant: list[Decision] = []
    is_shadowed, is_redundant = True, bool(chain.hook) and not chain.nat and not chain.scope
    seen = False
    try:
        for view in views:
            steps = view.steps_of(chain.name, rule.number)
            for at in steps:
                seen = True
                reached = view.reaching(chain.name, at)
                shadowed += reached.by
                is_shadowed = is_shadowed and not reached.pieces
                is_redundant = is_redundant and view.same_without(chain, at, steps[-1] + 1, reached.pieces, redundant)
                if not (is_shadowed or is_redundant):
                    return None
    except TooManyCases:
        return None
    if not seen:
        return None
    kind, by = ("shadowed", shadowed) if is_shadowed else ("redundant", redundant)
    return Remark(kind, chain, rule, tuple(dict.fromkeys(by)))


class View:
    """A ruleset for one family, with who jumps where."""

    def __init__(self, evaluator: Evaluator, family: int) -> None:
        self.evaluator = evaluator
        self.family = family
        self.everything: Region = narrow(EVERYTHING, Field.FAMILY, single(family))
        for field in (Field.SOURCE, Field.DESTINATION):
            self.everything = narrow(self.everything, field, FAMILY_ADDRESSES[family])
        self.callers: dict[str, list[tuple[str, int]]] = {}
        self.by_rule: dict[tuple[str, int], list[int]] = {}
        for chain in evaluator.ruleset.chains:
            if family in chain.families:
                self._note(chain)

    def _note(self, chain: Chain) -> None:
        for at, step in enumerate(self.compiled(chain.name).steps):
            if step.decision.rule is not None:
                self.by_rule.setdefault((chain.name, step.decision.rule.number), []).append(at)
            if step.action.kind in {Kind.JUMP, Kind.GOTO}:
                self.callers.setdefault(step.action.target, []).append((chain.name, at))

    def compiled(self, name: str) -> Compiled:
        found = self.evaluator.chain(name, self.family)
        if found is None:
            raise KeyError(name)
        return found

    def steps_of(self, chain: str, rule: int) -> list[int]:
        return self.by_rule.get((chain, rule), [])

    def walker(self) -> Walker:
        return Walker(lambda name: self.evaluator.chain(name, self.family), CASES_OF_A_RULE)

    def reaching(self, chain: str, at: int) -> Reached:
        """What of all packets comes to a step and matches it, and who took the rest."""
        region = within(self.compiled(chain).steps[at].box, self.everything)
        return self._arriving(chain, at, [region], 0) if region is not None else Reached([], [])

    def _arriving(self, name: str, at: int, regions: Iterable[Region], depth: int) -> Reached:
        chain = self.compiled(name)
        pieces: list[Piece] = []
        by: list[Decision] = []
        for region in regions:
            passed = self.walker().reach(chain, Piece(region, moved=ANY_MOVE), 0, at)
            pieces += passed.on
            by += [end.by for end in passed.ends]
        if self.evaluator.ruleset.by_name[name].hook or not pieces or depth > DEEPEST:
            return Reached(pieces, by)
        alive: list[Piece] = []
        for caller, jump in self.callers.get(name, []):
            box = self.compiled(caller).steps[jump].box
            met = (within(box, as_before(piece.region)) for piece in pieces)
            inside = [own for own in met if own is not None]
            above = self._arriving(caller, jump, inside, depth + 1)
            alive += above.pieces
            by += above.by
        return Reached(alive, by)

    def same_without(self, chain: Chain, at: int, after: int, pieces: Iterable[Piece], by: list[Decision]) -> bool:
        """Whether the rest of a base chain does to these pieces what the step does. `by` gets the decisions that do."""
        compiled = self.compiled(chain.name)
        step = compiled.steps[at]
        if step.doubt or step.action.kind not in DECIDES:
            return False
        for piece in pieces:
            passed = self.walker().reach(compiled, piece, after, len(compiled.steps))
            fell = passed.on + passed.returned
            kinds = {end.kind for end in passed.ends} | ({chain.policy} if fell else set())
            if kinds != {step.action.kind} or any(left.doubts for left in (*fell, *(end.piece for end in passed.ends))):
                return False
            by += [end.by for end in passed.ends] + ([compiled.policy] if fell else [])
        return True


def as_before(region: Region) -> Region:
    """A region as it may have been before a chain changed marks and states: with any of them."""
    for field in CHANGEABLE:
        region = narrow(region, field, EVERYTHING[field])
    return region


@dataclass(frozen=True, slots=True)
class Difference:
    """Ports that are treated differently in IPv4 and IPv6, as seen from everywhere: `open`, `partly`, `closed`, `unknown`."""

    transport: str
    ports: Ranges
    ipv4: str
    ipv6: str


def differences(evaluator: Evaluator, ports: Mapping[str, Ranges] | None = None) -> list[Difference]:
    """Where the two families differ for connections to the host from everywhere. `ports` by transport; all if not given."""
    if len(evaluator.ruleset.families) < len(FAMILIES):
        return []
    wanted = ports if ports is not None else {"tcp": EVERY_PORT, "udp": EVERY_PORT}
    return [found for transport, ranges in wanted.items() if ranges for found in differ(evaluator, transport, ranges)]


def differ(evaluator: Evaluator, transport: str, ports: Ranges) -> Iterator[Difference]:
    answers = [evaluator.judge(Question(family, AddressSet(FAMILY_ADDRESSES[family]), transport, ports)) for family in FAMILIES]
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for first, last, (four, six) in by_port(answers, ports):
        if four != six:
            found.setdefault((four, six), []).append((first, last))
    for (four, six), ranges in found.items():
        yield Difference(transport, merge(ranges), four, six)


def by_port(answers: Iterable[list[Part]], ports: Ranges) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Ranges of ports on which nothing changes, with one word for each list of parts."""
    lists = list(answers)
    events: list[tuple[int, int, Answer, int]] = []
    for which, parts in enumerate(lists):
        for part in parts:
            for first, last in part.region[Field.PORT]:
                events += [(first, which, part.answer, 1), (last + 1, which, part.answer, -1)]
    events.sort(key=lambda event: event[0])
    held = [Counter[Answer]() for _ in lists]
    for at, (place, which, answer, step) in enumerate(events):
        held[which][answer] += step
        following = events[at + 1][0] if at + 1 < len(events) else place
        for first, last in intersect(((place, following - 1),), ports) if following > place else ():
            yield first, last, tuple(word_for(counts) for counts in held)


def word_for(counts: Counter[Answer]) -> str:
    """One word for all answers that a port has."""
    if counts[Answer.UNKNOWN]:
        return "unknown"
    if counts[Answer.ALLOW]:
        return "partly" if counts[Answer.DENY] else "open"
    return "closed"
