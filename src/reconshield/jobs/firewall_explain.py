"""Why is this port open? The facts of this machine, joined: listeners, live rules, addresses, and the last measurement.

Works without root as far as the system tells, and says what it did not. Nothing is sent, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconshield import host
from reconshield.addresses import AddressSet
from reconshield.addresses.intervals import intersect
from reconshield.errors import UserError
from reconshield.firewall.combine import combine
from reconshield.firewall.evaluate import Evaluator
from reconshield.firewall.explain import Explanation, Facts, Holder, explain
from reconshield.firewall.question import Link, Part, Question, World, single
from reconshield.firewall.readers import nft_json, read_rulesets
from reconshield.firewall.readers.iptables import READER as IPTABLES
from reconshield.firewall.regions import EVERYTHING, Region, narrow
from reconshield.firewall.ruleset import FAMILY_ADDRESSES, Field, Ruleset
from reconshield.firewall.values import read_network
from reconshield.host.live_rules import LiveRules, read_live_rules
from reconshield.host.owners import owner_of
from reconshield.jobs.evidence import Place, one_endpoint
from reconshield.knowledge.names import ports_of
from reconshield.report.explanation import Told
from reconshield.store.db import Store
from reconshield.text import local_time, printable

MOST_ADDRESSES = 16
"""Own addresses whose last measurement is looked for."""


def explain_port(name: str, transport: str | None, store: Store | None, rule_files: Iterable[str] = ()) -> list[Told]:
    """The explanation of each endpoint that a number or name means, the likelier transport first."""
    from reconshield.jobs.firewall_evaluate import read_text

    texts = [(file, read_text(file)) for file in rule_files]
    ruleset, notes = from_files(texts) if texts else live_ruleset(read_live_rules())
    evaluator = Evaluator(ruleset, this_world()) if ruleset is not None else None
    return [told(explain_endpoint(port, own, evaluator, store, notes)) for own, port in endpoints_of(name, transport)]


def endpoints_of(name: str, transport: str | None) -> list[tuple[str, int]]:
    """`110` is TCP and UDP where something listens there or the transport is asked for; a name is what the catalogue says."""
    if name.isascii() and name.isdecimal():
        if int(name) > 65_535:
            raise UserError(f"port {name[:12]} is out of range (0–65535)", where=name, hint="reconshield firewall explain 110")
        port = int(name)
        if transport is not None:
            return [(transport, port)]
        listening = {row.transport for row in host.listeners().rows if row.port == port}
        return [("tcp", port), *([("udp", port)] if "udp" in listening else [])]
    found = list(ports_of(name, transport or ""))
    if not found:
        raise UserError(f"{name[:40]} has no such port", where=name, hint="reconshield firewall explain 110")
    return found


def from_files(texts: list[tuple[str, str]]) -> tuple[Ruleset | None, tuple[str, ...]]:
    """Rules from files in place of the live ones: nft's JSON, iptables-save's text, or both."""
    nft, iptables, others = None, None, []
    for file, text in texts:
        for ruleset in read_rulesets(text, file):
            if ruleset.format == nft_json.READER.name:
                nft = ruleset
            elif ruleset.format == IPTABLES.name:
                iptables = ruleset
            else:
                others.append(ruleset)
    if others and (nft is not None or iptables is not None or len(others) > 1):
        raise UserError(
            "these rules do not belong to one host", where=", ".join(file for file, _ in texts), hint="give one file"
        )
    ruleset = others[0] if others else combine(nft, iptables)
    return ruleset, notes_of(ruleset)


def live_ruleset(live: LiveRules) -> tuple[Ruleset | None, tuple[str, ...]]:
    """The rules of this machine, None where nobody tells them."""
    nft = nft_json.read(live.nft)[0] if live.nft else None
    iptables = IPTABLES.read(live.iptables)[0] if live.iptables.strip() else None
    if nft is None and iptables is None and live.notes:
        return None, live.notes
    ruleset = combine(nft, iptables)
    if nft is None:  # iptables alone: what nft may have beside it is not known
        return ruleset, (*live.notes, *notes_of(ruleset))
    return replace(ruleset, families=(4, 6)), (*live.notes, *notes_of(ruleset))


def notes_of(ruleset: Ruleset) -> tuple[str, ...]:
    return (*(f"{fault.where}: {fault.what}" for fault in ruleset.faults), *ruleset.notes)


def this_world() -> World:
    """The addresses and networks of this machine, by interface."""
    names = sorted({interface.name for interface in host.interfaces()})
    return World(tuple(link_of(name, [i for i in host.interfaces() if i.name == name]) for name in names))


def link_of(name: str, own: Iterable[host.Interface]) -> Link:
    usable = [interface for interface in own if not host.is_link_local(interface.address)]
    networks = [pair for i in usable if name != "lo" for pair in read_network(f"{i.address}/{i.prefix}")]
    return Link(name, AddressSet.of(*(interface.address for interface in usable)), AddressSet(tuple(networks)))


def explain_endpoint(
    port: int, transport: str, evaluator: Evaluator | None, store: Store | None, notes: tuple[str, ...]
) -> Explanation:
    listeners = host.listeners()
    holders = tuple(holder_of(row) for row in listeners.rows if row.port == port and row.transport == transport)
    remarks = [*notes, *([listeners.note] if listeners.note and not all(h.pid for h in holders) else [])]
    seen = last_measured(store, port, transport) if store is not None else ""
    return explain_facts(port, transport, holders, evaluator, seen, tuple(dict.fromkeys(remarks)))


def explain_facts(
    port: int, transport: str, holders: tuple[Holder, ...], evaluator: Evaluator | None, seen: str, notes: tuple[str, ...]
) -> Explanation:
    """The explanation of one endpoint from what listens on it and the rules, None where nobody tells them."""
    bare = without_translation(evaluator) if evaluator is not None else None
    return explain(
        Facts(
            port,
            transport,
            holders,
            {family: judged(evaluator, family, transport, port) for family in FAMILY_ADDRESSES},
            {family: judged(bare, family, transport, port) for family in FAMILY_ADDRESSES},
            {family: asked_region(evaluator, family, transport, port) for family in FAMILY_ADDRESSES},
            evaluator is not None,
            seen,
            notes,
        )
    )


def judged(evaluator: Evaluator | None, family: int, transport: str, port: int) -> tuple[Part, ...]:
    if evaluator is None:
        return ()
    return tuple(evaluator.judge(everybody_asks(family, transport, port)))


def everybody_asks(family: int, transport: str, port: int) -> Question:
    return Question(family, AddressSet(FAMILY_ADDRESSES[family]), transport, single(port))


def asked_region(evaluator: Evaluator | None, family: int, transport: str, port: int) -> Region:
    """The packets that are asked about: to this machine's addresses, where they are known."""
    region = everybody_asks(family, transport, port).region() or EVERYTHING
    own = intersect(evaluator.own.ranges, FAMILY_ADDRESSES[family]) if evaluator is not None else ()
    return narrow(region, Field.DESTINATION, own) if own else region


def without_translation(evaluator: Evaluator) -> Evaluator:
    """The same rules as if no port were published."""
    kept = tuple(chain for chain in evaluator.ruleset.chains if not chain.nat)
    return Evaluator(replace(evaluator.ruleset, chains=kept), evaluator.world)


def holder_of(row: host.Listener) -> Holder:
    owner = owner_of(row.pid) if row.pid is not None else None
    return Holder(
        row.ip,
        printable(row.process) if row.process else None,
        row.pid,
        owner.user if owner else None,
        owner.unit if owner else None,
        owner.container if owner else None,
    )


def last_measured(store: Store, port: int, transport: str) -> str:
    """A sentence about the newest run that measured this port of an own address, from elsewhere than loopback."""
    newest = None
    for link in this_world().links:
        for address in link.addresses.cidrs() if link.name != "lo" else ():
            seen = next(one_endpoint(store, address.partition("/")[0], Place(address.partition("/")[0], port, transport)), None)
            if seen is not None and (newest is None or seen.observation.at > newest.observation.at):
                newest = seen
    if newest is None:
        return "No scan has measured this port of this machine."
    state = f"{newest.observation.state.label} ({newest.observation.reason.label})"
    when = f"{local_time(newest.observation.at)}, run {newest.run}, from {printable(newest.vantage)}"
    return f"Measured {state} on {newest.observation.endpoint.ip}: {when}."


def told(found: Explanation) -> Told:
    return Told(found.port, found.transport, found.verdict, found.sentences, found.diagram, found.notes)
