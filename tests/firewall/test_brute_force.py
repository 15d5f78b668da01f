"""The evaluator beside brute force: the space of packets is cut into 32 parts, and one packet of each is tried for itself.

Rules match whole parts, in chains that jump about, so one packet of each stands for all that there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from reconshield.addresses import AddressSet
from reconshield.firewall.evaluate import Evaluator
from reconshield.firewall.examine import examine
from reconshield.firewall.question import Answer, Question
from reconshield.firewall.ruleset import IPV4, Action, Box, Branch, Chain, Field, Kind, Rule, Ruleset

CLASSES = {
    Field.SOURCE: [(IPV4[0][0] + (number << 30), IPV4[0][0] + (number + 1 << 30) - 1) for number in range(4)],
    Field.PORT: [(number << 14, (number + 1 << 14) - 1) for number in range(4)],
    Field.SOURCE_PORT: [(number << 15, (number + 1 << 15) - 1) for number in range(2)],
}
BASES = ("in", "late")
Packet = tuple[int, int, int]
"""Which part of each field it is in."""
UNIVERSE: list[Packet] = list(product(range(4), range(4), range(2)))


def spans(field: Field) -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    last = len(CLASSES[field]) - 1
    pairs = st.tuples(st.integers(0, last), st.integers(0, last)).map(sorted)
    return pairs.map(lambda pair: ((CLASSES[field][pair[0]][0], CLASSES[field][pair[1]][1]),))


BOXES: st.SearchStrategy[Box] = st.fixed_dictionaries({}, optional={field: spans(field) for field in CLASSES}).map(
    lambda fields: tuple(fields.items())
)


def rules(targets: tuple[str, ...], *, doubts: bool) -> st.SearchStrategy[tuple[Rule, ...]]:
    plain = st.sampled_from([Kind.ACCEPT, Kind.DROP, Kind.REJECT, Kind.RETURN, Kind.CONTINUE]).map(Action)
    jumps = (
        st.sampled_from([Action(kind, target) for kind in (Kind.JUMP, Kind.GOTO) for target in targets]) if targets else plain
    )
    doubt = st.sampled_from(["", "", "", "a limit"]) if doubts else st.just("")
    branch = st.builds(lambda box, action, why: Branch((box,), action, why), BOXES, plain | jumps, doubt)
    made = st.lists(st.lists(branch, min_size=1, max_size=2), max_size=5)
    return made.map(lambda found: tuple(Rule(n, f"line {n}", "", tuple(branches)) for n, branches in enumerate(found, 1)))


def rulesets(*, doubts: bool) -> st.SearchStrategy[Ruleset]:
    policy = st.sampled_from([Kind.ACCEPT, Kind.DROP])
    return st.builds(
        lambda first, late, c0, c1, p0, p1: Ruleset(
            "test",
            (
                Chain("in", first, (4,), hook="input", priority=0, policy=p0),
                Chain("late", late, (4,), hook="input", priority=5, policy=p1),
                Chain("c0", c0, (4,)),
                Chain("c1", c1, (4,)),
            ),
        ),
        rules(("c0", "c1"), doubts=doubts),
        rules(("c1",), doubts=doubts),
        rules(("c1",), doubts=doubts),
        rules((), doubts=doubts),
        policy,
        policy,
    )


NO_DOUBTS: Iterator[bool] = iter(())


def matches(box: Box, packet: Packet) -> bool:
    values = {field: parts[number][0] for (field, parts), number in zip(CLASSES.items(), packet, strict=True)}
    return all(any(first <= values[field] <= last for first, last in ranges) for field, ranges in box)


def walk(ruleset: Ruleset, name: str, packet: Packet, seen: set[tuple[str, int]], taken: Iterator[bool]) -> Kind | None:
    """What a chain says of a packet as the kernel would do it; None when it returns. `taken` settles the doubtful rules."""
    for rule in ruleset.by_name[name].rules:
        for branch in rule.branches:
            if not any(matches(box, packet) for box in branch.boxes):
                continue
            seen.add((name, rule.number))
            if branch.doubt and not next(taken):
                continue
            kind = branch.action.kind
            if kind is Kind.RETURN:
                return None
            if kind in {Kind.JUMP, Kind.GOTO}:
                inner = walk(ruleset, branch.action.target, packet, seen, taken)
                if inner is not None or kind is Kind.GOTO:
                    return inner
            elif kind is not Kind.CONTINUE:
                return kind
    return None


def decide(ruleset: Ruleset, packet: Packet, seen: set[tuple[str, int]], taken: Iterator[bool] = NO_DOUBTS) -> Kind:
    """The packet's fate over both base chains."""
    for name in BASES:
        kind = walk(ruleset, name, packet, seen, taken) or ruleset.by_name[name].policy
        if kind is not Kind.ACCEPT:
            return kind
    return Kind.ACCEPT


def ask(ruleset: Ruleset) -> dict[Packet, Answer]:
    """The evaluator's answers for the whole universe, from one question; every packet has exactly one."""
    found: dict[Packet, Answer] = {}
    question = Question(4, AddressSet(IPV4), "tcp", ((0, 65535),), source_ports=((0, 65535),))
    for part in Evaluator(ruleset).judge(question):
        box = tuple((field, part.region[field]) for field in CLASSES)
        for packet in UNIVERSE:
            if matches(box, packet):
                assert packet not in found, "two parts overlap"
                found[packet] = part.answer
    return found


@settings(max_examples=40, deadline=None)
@given(rulesets(doubts=False))
def test_every_packet_gets_the_answer_of_brute_force(ruleset: Ruleset) -> None:
    answers = ask(ruleset)
    for packet in UNIVERSE:
        expected = Answer.ALLOW if decide(ruleset, packet, set()) is Kind.ACCEPT else Answer.DENY
        assert answers[packet] is expected


@settings(max_examples=40, deadline=None)
@given(rulesets(doubts=True), st.randoms(use_true_random=False))
def test_what_is_decided_is_right_however_the_doubts_come_out(ruleset: Ruleset, rng: Random) -> None:
    answers = ask(ruleset)
    for packet in UNIVERSE[::3]:
        for _ in range(6):
            coins = iter(lambda: rng.random() < 0.5, None)
            outcome = Answer.ALLOW if decide(ruleset, packet, set(), coins) is Kind.ACCEPT else Answer.DENY
            assert answers[packet] in {outcome, Answer.UNKNOWN}


@settings(max_examples=40, deadline=None)
@given(rulesets(doubts=False))
def test_shadowed_and_redundant_rules_are_those_of_brute_force(ruleset: Ruleset) -> None:
    seen: set[tuple[str, int]] = set()
    for packet in UNIVERSE:
        for base in BASES:  # each base chain by itself: what an earlier one drops is its own affair
            walk(ruleset, base, packet, seen, iter(()))
    found = {(remark.chain.name, remark.rule.number): remark.kind for remark in examine(Evaluator(ruleset))}
    reachable = {target for chain in ruleset.chains for target in jumps_of(chain)} | set(BASES)
    for chain in ruleset.chains:
        for rule in chain.rules:
            place = (chain.name, rule.number)
            if chain.name in reachable:
                assert (found.get(place) == "shadowed") == (place not in seen), place
            if found.get(place) == "redundant":
                without = without_rule(ruleset, chain, rule)
                assert all(decide(ruleset, packet, set()) is decide(without, packet, set()) for packet in UNIVERSE), place


def jumps_of(chain: Chain) -> Iterator[str]:
    for rule in chain.rules:
        for branch in rule.branches:
            if branch.action.target:
                yield branch.action.target


def without_rule(ruleset: Ruleset, chain: Chain, rule: Rule) -> Ruleset:
    kept = replace(chain, rules=tuple(other for other in chain.rules if other is not rule))
    return Ruleset("test", tuple(kept if other is chain else other for other in ruleset.chains))


@settings(max_examples=40, deadline=None)
@given(rules((), doubts=False), st.sampled_from([Kind.ACCEPT, Kind.DROP]))
def test_a_rule_that_changes_nothing_is_found(made: tuple[Rule, ...], policy: Kind) -> None:
    """In one chain of rules with one case each, redundant is exactly what can go without any change and is not shadowed."""
    simple = tuple(replace(rule, branches=rule.branches[:1]) for rule in made)
    ruleset = Ruleset(
        "test", (Chain("in", simple, (4,), hook="input", policy=policy), Chain("late", (), (4,), hook="input", priority=5))
    )
    found = {remark.rule.number: remark.kind for remark in examine(Evaluator(ruleset))}
    chain = ruleset.by_name["in"]
    for rule in chain.rules:
        seen: set[tuple[str, int]] = set()
        for packet in UNIVERSE:
            walk(ruleset, "in", packet, seen, iter(()))
        without = without_rule(ruleset, chain, rule)
        same = all(decide(ruleset, packet, set()) is decide(without, packet, set()) for packet in UNIVERSE)
        if ("in", rule.number) not in seen:
            assert found[rule.number] == "shadowed"
        elif rule.branches[0].action.kind in {Kind.ACCEPT, Kind.DROP, Kind.REJECT}:
            assert (found.get(rule.number) == "redundant") == same
