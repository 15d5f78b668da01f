"""Why is this port open? One paragraph and a small diagram, from what listens, what the rules do, and what was measured.

    listeners + parts of the evaluator's answer + the last observation -> Explanation

Pure: `jobs` gathers the facts. What could not be found out is said, never filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconshield.addresses import AddressSet
from reconshield.addresses.intervals import subtract
from reconshield.addresses.ports import ranges_text
from reconshield.firewall.question import Answer, Decision, Part
from reconshield.firewall.regions import Region, describe
from reconshield.firewall.ruleset import FAMILY_ADDRESSES, Field

EVERY_ADDRESS = frozenset({"0.0.0.0", "::", "*"})  # noqa: S104 - to be recognised, nothing is bound


@dataclass(frozen=True, slots=True)
class Holder:
    """A socket that waits on the port, and whose it is."""

    bind: str
    process: str | None = None
    pid: int | None = None
    user: str | None = None
    unit: str | None = None
    container: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine itself can reach it."""
        return self.bind == "::1" or self.bind.startswith("127.")

    @property
    def families(self) -> tuple[int, ...]:
        """IPv4, IPv6 or both: a socket on `::` takes both unless told otherwise, which is not seen from outside."""
        return (4, 6) if self.bind in {"::", "*"} else (6,) if ":" in self.bind else (4,)

    def text(self) -> str:
        who = self.process or "a process that is not shown to this user"
        known = [f"pid {self.pid}"] if self.pid is not None else []
        known += [f"user {self.user}"] if self.user else []
        known += [word for word in (self.unit, self.container and f"container {self.container}") if word]
        return who + (f" ({', '.join(known)})" if known else "")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one port.

    `parts` are the answers for everybody, by family; `bare` the same without any translation of addresses; `asked` the packets
    that they are about. `seen` is a sentence about the last measurement; `notes` what could not be found out.
    """

    port: int
    transport: str
    holders: tuple[Holder, ...]
    parts: dict[int, tuple[Part, ...]]
    bare: dict[int, tuple[Part, ...]]
    asked: dict[int, Region]
    rules_known: bool
    seen: str = ""
    notes: tuple[str, ...] = ()

    def reached(self) -> list[int]:
        """The families in which packets from elsewhere can come to something: a listener, or where the port is published."""
        outside = {family for holder in self.holders if not holder.is_local for family in holder.families}
        return sorted(outside | {family for family, parts in self.parts.items() if moved(parts)})


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer: one of `open`, `partly open`, `closed`, `local only`, `filtered`, `not known`, for both families together."""

    port: int
    transport: str
    verdict: str
    sentences: tuple[str, ...]
    diagram: tuple[str, ...]
    notes: tuple[str, ...]


def explain(facts: Facts) -> Explanation:
    """Join the facts."""
    sentences = [*listening(facts), *let_in(facts), *published(facts)]
    if facts.seen:
        sentences.append(facts.seen)
    return Explanation(facts.port, facts.transport, verdict(facts), tuple(sentences), tuple(diagram(facts)), facts.notes)


def moved(parts: Iterable[Part]) -> list[Part]:
    return [part for part in parts if part.moved is not None]


def verdict(facts: Facts) -> str:
    """One word for the whole."""
    outside = any(not holder.is_local for holder in facts.holders)
    families = facts.reached()
    if not families:
        # Where the rules are not shown, a port may be published although nothing listens here.
        return "local only" if facts.holders else "closed" if facts.rules_known else "not known"
    answers = {part.answer for family in families for part in facts.parts.get(family, ()) if outside or part.moved}
    if not facts.rules_known or Answer.UNKNOWN in answers:
        return "not known"
    if answers == {Answer.ALLOW}:
        return "open"
    return "partly open" if Answer.ALLOW in answers else "filtered"


def listening(facts: Facts) -> Iterator[str]:
    """Who waits on the port, and where."""
    named = f"{facts.port}/{facts.transport}"
    if not facts.holders:
        translated = any(moved(parts) for parts in facts.parts.values())
        yield f"Nothing on this machine listens on {named}" + (", but the port is translated." if translated else ".")
    by_holder: dict[str, list[Holder]] = {}
    for holder in facts.holders:
        by_holder.setdefault(holder.text(), []).append(holder)
    for text, holders in by_holder.items():
        places = ", ".join(where_bound(holder) for holder in holders)
        only = " So nobody else can reach it." if all(holder.is_local for holder in holders) else ""
        yield f"{text} listens on {places}.{only}"


def where_bound(holder: Holder) -> str:
    if holder.bind in EVERY_ADDRESS:
        return "every IPv4 address" if holder.bind == "0.0.0.0" else "every address, IPv6 and usually IPv4 too"  # noqa: S104
    return f"{holder.bind} (this machine only)" if holder.is_local else holder.bind


def let_in(facts: Facts) -> Iterator[str]:
    """What the rules do with connections from elsewhere, in the families in which they can come to something."""
    if not facts.rules_known:
        yield "What the firewall does is not known."
        return
    told: dict[str, list[int]] = {}
    for family in facts.reached():
        for part in sorted(facts.parts.get(family, ()), key=lambda part: part.answer.value):
            told.setdefault(ruling_sentence(part, facts.asked[family]), []).append(family)
    for sentence, families in told.items():
        which = "IPv4 and IPv6" if len(set(families)) > 1 else f"IPv{families[0]}"
        yield f"{which}: {sentence}"
    if facts.reached() and (missing := [family for family in facts.parts if family not in facts.reached()]):
        yield f"In IPv{missing[0]} nothing listens."


def ruling_sentence(part: Part, asked: Region) -> str:
    """`from 10.8.0.0/24 is let in by ip filter INPUT rule 7: …`."""
    everybody = part.region[Field.SOURCE] == asked[Field.SOURCE]
    who = "everybody" if everybody else f"from {source_text(part)} everybody"
    others = [words for words in describe(part.region, asked) if words.startswith(("in by", "to "))]
    limits = f" ({', '.join(others)})" if others else ""
    verb = {
        Answer.ALLOW: "is let in by",
        Answer.DENY: "is rejected by" if part.how == "reject" else "is dropped by",
        Answer.UNKNOWN: "may or may not get in because of",
    }[part.answer]
    by = decision_text(part.by) if part.by else "the lack of any rule"
    why = f"; {part.because}" if part.because else ""
    return f"{who}{limits} {verb} {by}{why}."


def source_text(part: Part) -> str:
    """Sources in short: what is in, or what is out where that is shorter."""
    family = FAMILY_ADDRESSES[4] if part.region[Field.FAMILY][0][0] == 4 else FAMILY_ADDRESSES[6]
    missing = subtract(family, part.region[Field.SOURCE])
    if missing and len(missing) < len(part.region[Field.SOURCE]):
        return f"anywhere but {AddressSet(missing).text(4)}"
    return part.sources.text(4)


def decision_text(by: Decision) -> str:
    if by.rule is None:
        return f"the policy of {by.chain.name} ({by.chain.policy})"
    _, _, handle = by.rule.where.partition("handle ")  # a line of a listing that nobody has kept says nothing
    place = f" (handle {handle})" if handle else ""
    return f"{by.chain.name} rule {by.rule.number}{place}: `{by.rule.text}`"


def published(facts: Facts) -> Iterator[str]:
    """Where a translation leads, and which denial of the host's own chain does not see it for that."""
    for family, parts in facts.parts.items():
        for part in moved(parts):
            rules = [step for step in part.path if step.chain.nat and step.rule is not None]
            by = f" by {decision_text(rules[-1])}" if rules else ""
            yield f"IPv{family}: on the way the destination is translated to {target_text(part)}{by}."
            passed_on = not any(step.chain.hook == "input" for step in part.path)
            barred = [bare for bare in facts.bare.get(family, ()) if bare.answer is Answer.DENY and bare.by is not None]
            if passed_on and part.answer is Answer.ALLOW and barred:
                denial = decision_text(barred[0].by) if barred[0].by else ""
                yield (
                    f"Mind that {denial} would deny it but never sees it: the port is published through FORWARD,"
                    " and only a rule there (for Docker in DOCKER-USER, matching --ctorigdstport) can close it."
                )


def target_text(part: Part) -> str:
    if part.moved is None:
        return ""
    addresses, ports = part.moved
    whole = addresses in FAMILY_ADDRESSES.values()
    place = "an address of this machine" if whole else AddressSet(addresses).text(2)
    return f"{place} port {ranges_text(ports)}"


def diagram(facts: Facts) -> Iterator[str]:
    """One line for each way in: who → rules → what waits there."""
    end = ", ".join(dict.fromkeys(holder.process or "?" for holder in facts.holders if not holder.is_local))
    for family in facts.reached() if facts.rules_known else ():
        for part in sorted(facts.parts.get(family, ()), key=lambda part: part.answer.value):
            who = "everybody" if part.region[Field.SOURCE] == facts.asked[family][Field.SOURCE] else source_text(part)
            last = {"reject": "✗ rejected", "drop": "✗ dropped"}.get(part.how, "? not known")
            if part.answer is Answer.ALLOW:
                last = target_text(part) if part.moved else f"{end or 'nothing listens'} :{facts.port}"
            yield " → ".join([f"IPv{family} {who}", *way(part), last])
    yield from (
        f"this machine → {holder.process or '?'} {holder.bind}:{facts.port}" for holder in facts.holders if holder.is_local
    )


def way(part: Part) -> Iterator[str]:
    """The rules on the way that people would look for: written ones, and the one that decides."""
    shown = [step for step in part.path if step.rule is not None]
    if part.by is not None and part.by not in shown:
        shown.append(part.by)
    for step in shown:
        yield f"{step.chain.name} {step.rule.number if step.rule else 'policy'}"
