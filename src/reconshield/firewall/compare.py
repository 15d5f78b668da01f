"""What a change of the rules would alter: for whole networks and ports, and for flows that were really seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconshield.addresses import AddressSet
from reconshield.addresses.intervals import intersect
from reconshield.firewall.evaluate import Evaluator
from reconshield.firewall.question import CLIENT_PORTS, Answer, Part, Question, single
from reconshield.firewall.regions import Region
from reconshield.firewall.values import family_of


@dataclass(frozen=True, slots=True)
class Change:
    """Packets that are answered differently before and after."""

    region: Region
    before: Part
    after: Part


@dataclass(frozen=True, slots=True)
class Flow:
    """A connection that was seen: addresses as numbers, the port it went to. `source_port` None is any."""

    where: str
    source: int
    destination: int
    transport: str
    port: int
    source_port: int | None = None


@dataclass(frozen=True, slots=True)
class FlowChange:
    """A flow whose answer changes, or that is not allowed where there is nothing to compare with (`before` None)."""

    flow: Flow
    before: Part | None
    after: Part


def changes(before: Evaluator, after: Evaluator, question: Question) -> list[Change]:
    """Everything that two rulesets answer differently to a question."""
    news = after.judge(question)
    return [
        Change(common, old, new)
        for old in before.judge(question)
        for new in news
        if old.answer is not new.answer and (common := meet(old.region, new.region)) is not None
    ]


def meet(one: Region, other: Region) -> Region | None:
    """What two regions have in common."""
    parts = []
    for mine, theirs in zip(one, other, strict=True):
        common = intersect(mine, theirs)
        if not common:
            return None
        parts.append(common)
    return tuple(parts)


def judge_flow(evaluator: Evaluator, flow: Flow) -> Part:
    """What becomes of a flow: the worst of its parts, where it is not one packet (a source port that is not known)."""
    source = AddressSet(single(flow.source))
    ports = CLIENT_PORTS if flow.source_port is None else single(flow.source_port)
    question = Question(
        family_of(source.ranges),
        source,
        flow.transport,
        single(flow.port),
        AddressSet(single(flow.destination)),
        source_ports=ports,
    )
    order = {Answer.DENY: 0, Answer.UNKNOWN: 1, Answer.ALLOW: 2}
    return min(evaluator.judge(question), key=lambda part: order[part.answer])


def flow_changes(before: Evaluator | None, after: Evaluator, flows: Iterable[Flow]) -> Iterator[FlowChange]:
    """The flows that a change alters; with one ruleset only, those that it does not allow."""
    known: dict[tuple[int, int, str, int, int | None], tuple[Part | None, Part]] = {}
    for flow in flows:
        key = (flow.source, flow.destination, flow.transport, flow.port, flow.source_port)
        if key not in known:
            known[key] = (judge_flow(before, flow) if before else None, judge_flow(after, flow))
        old, new = known[key]
        if (old is None and new.answer is not Answer.ALLOW) or (old is not None and old.answer is not new.answer):
            yield FlowChange(flow, old, new)
