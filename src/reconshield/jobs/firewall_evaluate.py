"""A file of firewall rules, judged: what it lets through, which rules are without effect, what a change alters.

    text -> readers -> Ruleset -> Evaluator -> parts -> rulings and remarks for the report

Nothing is sent and nothing of this machine is read but the files that were named.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reconshield.addresses import AddressSet, text_of
from reconshield.addresses.intervals import Ranges
from reconshield.addresses.ports import ranges_text
from reconshield.errors import UserError
from reconshield.firewall.compare import FlowChange, changes, flow_changes
from reconshield.firewall.evaluate import Evaluator
from reconshield.firewall.examine import Difference, differences, examine
from reconshield.firewall.examine import Remark as Unneeded
from reconshield.firewall.flow_list import read_flows
from reconshield.firewall.question import Decision, Part, Question
from reconshield.firewall.readers import read_rulesets
from reconshield.firewall.regions import describe
from reconshield.firewall.ruleset import FAMILY_ADDRESSES, Field, Ruleset
from reconshield.firewall.values import Faulty, family_of, read_network
from reconshield.jobs.scan_request import read_ports
from reconshield.policy.policy import Policy
from reconshield.policy.records import WAN
from reconshield.report.ruling import Evaluation, Remark, RemarkKind, Ruling
from reconshield.text import count, plural, printable

FILE_LIMIT = 64 * 1024 * 1024
MOST_NETWORKS = 64
"""A part with more ranges of sources than this is told in short."""
ANYWHERE = "anywhere"
EVERYBODY = AddressSet(tuple(pair for ranges in FAMILY_ADDRESSES.values() for pair in ranges))
WORDS = {"open": "open to everybody", "partly": "open to some", "closed": "closed", "unknown": "unknown"}


Read = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the rules: named sources, ports by transport, the side of the host that the packets take."""

    zones: Mapping[str, AddressSet]
    ports: Mapping[str, Ranges]
    through: bool = False
    outward: bool = False

    def questions(self) -> Iterator[tuple[str, Question]]:
        for zone, sources in self.zones.items():
            for transport, ports in self.ports.items():
                for family in FAMILY_ADDRESSES:
                    yield zone, Question(family, sources, transport, ports, through=self.through, outward=self.outward)


def read_text(file: str) -> str:
    """A file of rules, `-` is standard input."""
    try:
        if file == "-":
            return sys.stdin.read(FILE_LIMIT)
        with Path(file).expanduser().open(encoding="utf-8-sig", errors="replace") as opened:
            return opened.read(FILE_LIMIT)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"the rules cannot be read: {reason}", where=file, hint="check the path") from error


def ask_for(
    sources: Iterable[str],
    ports: str | None,
    *,
    policy: Policy | None = None,
    through: bool = False,
    outward: bool = False,
) -> Asked:
    """What is asked: the zones of a policy, the sources named, else everybody; without ports all of TCP and UDP."""
    zones = dict(zones_of(policy)) if policy is not None else {}
    zones |= {text: addresses_of(text) for text in sources}
    zones = zones or {ANYWHERE: EVERYBODY}
    if ports is None:
        every: Ranges = ((1, 65535),)
        return Asked(zones, {"tcp": every, "udp": every}, through, outward)
    chosen = read_ports(ports)
    by_transport = {"tcp": chosen.tcp, "udp": chosen.udp}
    return Asked(zones, {name: ranges for name, ranges in by_transport.items() if ranges}, through, outward)


def zones_of(policy: Policy) -> Iterator[tuple[str, AddressSet]]:
    """The zones of a policy, each without those inside it, and what is in none."""
    for number, zone in enumerate(policy.zones):
        yield zone.name, policy.zone_map.area_of(number)
    yield WAN, EVERYBODY - AddressSet(tuple(pair for zone in policy.zones for pair in zone.area.ranges))


def addresses_of(text: str) -> AddressSet:
    """A network of any size, also all of one family."""
    try:
        return AddressSet(read_network(text))
    except Faulty as error:
        raise UserError(f"a source is a network: {error}", where=f"--from {text}", hint="--from 10.8.0.0/24") from None


def evaluate_file(file: str, asked: Asked, subject: str | None = None, read: Read = read_text) -> Evaluation:
    """What a file of rules does. `read` gives the text of a file by its name."""
    rulesets = choose(read_rulesets(read(file), file), subject, file)
    rulings: list[Ruling] = []
    remarks: list[Remark] = []
    for ruleset in rulesets:
        evaluator = Evaluator(ruleset)
        for zone, question in asked.questions():
            rulings += [ruling_of(ruleset.name, zone, question, part) for part in evaluator.judge(question)]
        remarks += remarks_of(ruleset)
        remarks += [unneeded(ruleset.name, found) for found in examine(evaluator)]
        if not (asked.through or asked.outward):
            remarks += [difference_of(ruleset.name, found) for found in differences(evaluator, asked.ports)]
    return evaluation(file, rulesets, "what reaches it", rulings, remarks)


def compare_files(before_file: str, file: str, asked: Asked, subject: str | None = None, read: Read = read_text) -> Evaluation:
    """What the rules of `file` answer differently from those of `before_file`."""
    befores = {ruleset.name: ruleset for ruleset in choose(read_rulesets(read(before_file), before_file), subject, before_file)}
    rulesets = choose(read_rulesets(read(file), file), subject, file)
    rulings: list[Ruling] = []
    remarks: list[Remark] = []
    for ruleset in rulesets:
        remarks += remarks_of(ruleset)
        if ruleset.name not in befores:
            remarks.append(Remark("note", ruleset.name, "", "", f"{printable(before_file)} has no filter of this name"))
            continue
        before, after = Evaluator(befores[ruleset.name]), Evaluator(ruleset)
        for zone, question in asked.questions():
            for change in changes(before, after, question):
                new = ruling_of(ruleset.name, zone, question, replace(change.after, region=change.region))
                rulings.append(replace(new, before=change.before.answer.value, before_rule=rule_text(change.before)[0]))
    title = f"{plural(len(rulings), 'difference', 'differences')} to {printable(before_file)}"
    return evaluation(file, rulesets, title, rulings, remarks)


def judge_flows(
    file: str, flow_file: str, before_file: str | None = None, subject: str | None = None, read: Read = read_text
) -> Evaluation:
    """Of flows that were seen, those that the rules do not allow, or answer differently from those of `before_file`."""
    flows, bad = read_flows(read(flow_file))
    if not flows:
        raise UserError("no flow could be read", where=flow_file, hint="CSV with a heading: source,destination,port,transport")
    ruleset = only(choose(read_rulesets(read(file), file), subject, file), file)
    old = (
        only(choose(read_rulesets(read(before_file), before_file), subject, before_file), before_file) if before_file else None
    )
    before, after = Evaluator(old) if old else None, Evaluator(ruleset)
    rulings = [flow_ruling(ruleset.name, change) for change in flow_changes(before, after, flows)]
    blocked = sum(ruling.answer == "deny" for ruling in rulings)
    opened = sum(ruling.answer == "allow" for ruling in rulings)
    words = [f"of {plural(len(flows), 'flow', 'flows')} {count(blocked)} {'become' if before else 'are'} blocked"]
    words += [f"{count(opened)} become allowed"] if opened else []
    words += [f"{count(len(rulings) - blocked - opened)} unknown"] if len(rulings) > blocked + opened else []
    remarks = [*remarks_of(ruleset), *(Remark("note", "", fault.where, "", f"no flow: {fault.what}") for fault in bad)]
    return evaluation(file, (ruleset,), ", ".join(words), rulings, remarks)


def evaluation(
    file: str, rulesets: tuple[Ruleset, ...], title: str, rulings: Iterable[Ruling], remarks: Iterable[Remark]
) -> Evaluation:
    return Evaluation(
        file=printable(file, None),
        format=rulesets[0].format,
        rules=sum(ruleset.rule_count for ruleset in rulesets),
        faults=sum(len(ruleset.faults) for ruleset in rulesets),
        title=title,
        rulings=tuple(sorted(rulings, key=order)),
        remarks=tuple(once(remarks)),
        subjects=tuple(ruleset.name for ruleset in rulesets),
    )


def once(remarks: Iterable[Remark]) -> Iterator[Remark]:
    """The remarks, a note that several filters share told once and for all."""
    known: set[str] = set()
    for remark in remarks:
        if remark.kind != "note":
            yield remark
        elif remark.because not in known:
            known.add(remark.because)
            yield replace(remark, subject="")


def choose(rulesets: tuple[Ruleset, ...], subject: str | None, file: str) -> tuple[Ruleset, ...]:
    """The filters that are asked about: all, or those whose name holds the text."""
    if not rulesets:
        raise UserError("there is no filter in this file", where=file, hint="check that it is the file you meant")
    if subject is None:
        return rulesets
    chosen = tuple(ruleset for ruleset in rulesets if subject.lower() in ruleset.name.lower())
    if not chosen:
        names = ", ".join(printable(ruleset.name) for ruleset in rulesets[:8])
        raise UserError(
            "no filter of this file has such a name", where=f"--subject {subject}", hint=f"it has: {names or 'one only'}"
        )
    return chosen


def only(rulesets: tuple[Ruleset, ...], file: str) -> Ruleset:
    if len(rulesets) > 1:
        names = ", ".join(printable(ruleset.name) for ruleset in rulesets[:8])
        raise UserError(
            "this file has several filters; flows pass one of them", where=file, hint=f"--subject with one of: {names}"
        )
    return rulesets[0]


def ruling_of(subject: str, zone: str, question: Question, part: Part) -> Ruling:
    """A part of an answer in words."""
    asked = question.region()
    rule, where = rule_text(part)
    sources = AddressSet(part.region[Field.SOURCE])
    conditions = describe(part.region, asked) if asked is not None else []
    shown = [words for words in conditions if not words.startswith(("port ", "protocol "))]
    return Ruling(
        subject=printable(subject, 120),
        zone=zone,
        sources=sources.cidrs() if len(sources.ranges) <= MOST_NETWORKS else (sources.text(),),
        family=question.family,
        transport=question.transport,
        ports=ranges_text(part.region[Field.PORT]),
        answer=part.answer.value,
        rule=rule,
        where=where,
        how=part.how,
        because=part.because,
        conditions=tuple(shown),
        path=tuple(decision.text() for decision in part.path),
        leads_to=moved_text(part),
    )


def rule_text(part: Part) -> tuple[str, str]:
    """The rule that decides, and where it stands."""
    if part.by is None:
        return ("" if part.because else "no chain concerns it"), ""
    return part.by.text(), part.by.rule.where if part.by.rule else ""


def moved_text(part: Part) -> str:
    if part.moved is None:
        return ""
    addresses, ports = part.moved
    return f"{AddressSet(addresses).text(2)} port {ranges_text(ports)}"


def flow_ruling(subject: str, change: FlowChange) -> Ruling:
    flow = change.flow
    rule, where = rule_text(change.after)
    source = text_of(flow.source)
    return Ruling(
        subject=printable(subject, 120),
        zone=f"{source} → {text_of(flow.destination)}",
        sources=(source,),
        family=family_of(((flow.source, flow.source),)),
        transport=flow.transport,
        ports=str(flow.port),
        answer=change.after.answer.value,
        rule=rule,
        where=where,
        how=change.after.how,
        because=change.after.because,
        path=tuple(decision.text() for decision in change.after.path),
        leads_to=moved_text(change.after),
        before=change.before.answer.value if change.before else None,
        before_rule=rule_text(change.before)[0] if change.before else "",
        flow=flow.where,
    )


def order(ruling: Ruling) -> tuple[object, ...]:
    """By filter and zone, then what is let in first, then by port."""
    first = ruling.ports.partition(",")[0].partition("-")[0]
    rank = {"allow": 0, "unknown": 1, "deny": 2}[ruling.answer]
    return (ruling.subject, ruling.zone, rank, ruling.transport, int(first or 0), ruling.family, ruling.rule)


def remarks_of(ruleset: Ruleset) -> Iterator[Remark]:
    """What the reader could not understand, and what it took for granted."""
    for fault in ruleset.faults:
        yield Remark("not-understood", ruleset.name, fault.where, "", fault.what)
    for note in ruleset.notes:
        yield Remark("note", ruleset.name, "", "", note)


def unneeded(subject: str, found: Unneeded) -> Remark:
    """A rule that could go, and what does its work."""
    others = ", ".join(dict.fromkeys(short_text(by) for by in found.by[:4])) or "no packet comes there"
    more = f" and {len(found.by) - 4} more" if len(found.by) > 4 else ""
    verb = "nothing is left for it after" if found.kind == "shadowed" else "the same is done by"
    text = f"{found.chain.name} rule {found.rule.number}: {found.rule.text}"
    kind: RemarkKind = "shadowed" if found.kind == "shadowed" else "redundant"
    return Remark(kind, subject, found.rule.where, text, f"{verb} {others}{more}")


def short_text(decision: Decision) -> str:
    return f"rule {decision.rule.number} of {decision.chain.name}" if decision.rule else f"the policy of {decision.chain.name}"


def difference_of(subject: str, found: Difference) -> Remark:
    ports = ranges_text(found.ports)
    shown = ports if len(ports) <= 60 else f"{ports[:59]}…"
    text = f"{shown}/{found.transport} is {WORDS[found.ipv4]} in IPv4, {WORDS[found.ipv6]} in IPv6"
    return Remark("families", subject, "", "", text)
