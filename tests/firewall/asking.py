"""Questions to a ruleset in short: `ask(ruleset, "10.8.0.1 tcp/110")` gives what becomes of such packets."""

from __future__ import annotations

from reconshield.addresses import AddressSet, parse_target
from reconshield.firewall.evaluate import Evaluator
from reconshield.firewall.question import Part, Question, World
from reconshield.firewall.regions import describe
from reconshield.firewall.ruleset import IPV4, IPV6, Ruleset, State
from reconshield.firewall.values import family_of

ANY = {"any4": AddressSet(IPV4), "any6": AddressSet(IPV6)}


def question(text: str) -> Question:
    """`SOURCE tcp/PORT[-PORT] [to DESTINATION] [by INTERFACE] [established] [through]`."""
    source, endpoint, *more = text.split()
    transport, _, ports = endpoint.partition("/")
    first, _, last = ports.partition("-")
    sources = ANY.get(source) or parse_target(source, wide=True).addresses
    assert sources is not None
    destination = more[more.index("to") + 1] if "to" in more else None
    return Question(
        family=family_of(sources.ranges),
        sources=sources,
        transport=transport,
        ports=((int(first), int(last or first)),),
        destinations=parse_target(destination).addresses if destination else None,
        interface=more[more.index("by") + 1] if "by" in more else None,
        state=State.ESTABLISHED if "established" in more else State.NEW,
        through="through" in more,
    )


def told(part: Part, asked: Question) -> str:
    """`allow by ip filter INPUT 3 [from 10.8.0.0/24]`."""
    region = asked.region()
    assert region is not None
    where = f" [{'; '.join(describe(part.region, region))}]" if describe(part.region, region) else ""
    rule = "" if part.by is None else f" by {part.by.chain.name} {part.by.rule.number if part.by.rule else 'policy'}"
    return f"{part.answer}{rule}{where}"


def ask(ruleset: Ruleset, text: str, world: World | None = None) -> list[str]:
    """The parts of the answer, sorted."""
    asked = question(text)
    return sorted(told(part, asked) for part in Evaluator(ruleset, world).judge(asked))
