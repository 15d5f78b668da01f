"""Advice, proved: the rendered rules are loaded in a throw-away network, and our own engine looks before and after.

    intent -> zones around a host -> scan from each -> load the rules -> scan from each again -> rows: before, after, wanted
    where it cannot be loaded: the rendered text is read back and evaluated, and says so

Nothing leaves the lab and nothing of this machine is changed. The lab has a grant of its own, which is audited and ended.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from reconshield.addresses import AddressSet, PortSet, text_of
from reconshield.errors import UserError
from reconshield.firewall.evaluate import Evaluator
from reconshield.firewall.intent import Intent, Port
from reconshield.firewall.lab import HOST_V4, HOST_V6, Failed, Lab, Zone, why_no_lab
from reconshield.firewall.loading import Missing, loaded
from reconshield.firewall.platform import Platform
from reconshield.firewall.question import Answer, Question
from reconshield.firewall.readers import read_rulesets
from reconshield.jobs.grants import add_grant, authorise_scan, revoke_grant
from reconshield.model import State
from reconshield.report.proof import Proof, ProofRow
from reconshield.scan.engine import BlockDone, Options, measure
from reconshield.scan.plan import make_plan
from reconshield.scope import Targets
from reconshield.store.db import Store

CONTROL = Port("tcp", 22, "ssh")
"""The operator's own way in: it must be after the rules what it was before."""

SPARE = Port("tcp", 2222, "ssh")
MOST_ALLOWED = 4
GRANT_SECONDS = 900.0
OUTSIDE = (Zone("wan", "203.0.113.7", "2001:db8:66::7", "eth0"), Zone("lan", "192.168.7.7", "fd00:7::7", "eth1"))
Seen = dict[tuple[str, str, Port], str]


@dataclass(frozen=True, slots=True)
class Existing:
    """The user's own rules, as dumps: `nft list ruleset` and what iptables-save and ip6tables-save print."""

    nft: str = ""
    tables: tuple[tuple[str, str], ...] = ()
    """Tool (`iptables`, `ip6tables`) and dump."""


def prove(store: Store, intent: Intent, platform: Platform, existing: Existing, now: float) -> Proof:
    """Try the rules of a platform for an intent. Where there can be no lab, the proof says why."""
    begun = time.monotonic()
    if platform.proof == "none":
        note = f"{platform.title} can neither be loaded nor read back here: compared with examples only, not proved"
        return Proof(platform.title, (), 0.0, (note,), "not proved here")
    if platform.proof == "evaluator":
        rows = tuple(evaluate(intent, platform))
        note = f"{platform.title} cannot be loaded here: its rules were read back and evaluated, not proved"
        return Proof(platform.title, rows, time.monotonic() - begun, (note,), "evaluated, not proved")
    if why := why_no_lab():
        return Proof(platform.title, (), 0.0, (f"not proved here: {why}",), "not proved here")
    control = SPARE if CONTROL in intent.ports else CONTROL
    zones = zones_for(intent)
    notes: list[str] = []
    with lab_targets(store, now) as targets, ExitStack() as stack:
        try:
            lab = stack.enter_context(Lab(zones, (*intent.ports, control), published=platform.name == "docker"))
            left_out = list(load_existing(lab, existing))
            notes += left_out
            before = look_from_all(lab, targets)
            session = stack.enter_context(open_session(lab, control))
            stack.enter_context(loaded(lab.host, platform.render(intent)))
            after = look_from_all(lab, targets)
            notes.append(still_alive(session))
            rows = tuple(explain_wrong(lab, compare(intent, zones, control, before, after)))
        except Missing as missing:
            why = f"not proved here: {missing} is not installed"
            return Proof(platform.title, (), time.monotonic() - begun, (why,), "not proved here")
        except Failed as failure:
            raise UserError(f"the lab failed: {failure}", where=platform.name, hint="the rules were not tried") from failure
    outcome = "proved, but not on top of all your rules" if left_out else "proved"
    return Proof(platform.title, rows, time.monotonic() - begun, tuple(note for note in notes if note), outcome)


def evaluate(intent: Intent, platform: Platform) -> Iterator[ProofRow]:
    """The same table from the rendered text alone: read back, and asked what it lets through."""
    [ruleset, *_] = read_rulesets(platform.render(intent).files[0].text, platform.name)
    evaluator = Evaluator(ruleset)
    for port in intent.ports:
        for zone in zones_for(intent):
            for family, number, address in (("IPv4", 4, zone.v4), ("IPv6", 6, zone.v6)):
                if address is None:
                    continue
                question = Question(number, AddressSet.of(address), port.transport, ((port.port, port.port),))
                answers = {part.answer for part in evaluator.judge(question)}
                after = "open" if answers == {Answer.ALLOW} else "blocked" if answers == {Answer.DENY} else "unknown"
                wanted = "open" if intent.wanted(address) else "blocked"
                yield ProofRow(zone.name, str(port), family, "-", after, wanted, after == wanted, "")


def zones_for(intent: Intent) -> tuple[Zone, ...]:
    """The internet, a local network, and a zone for each allowed network (at most four); `vpn` where none is allowed."""
    v4, v6 = intent.allow_v4[:MOST_ALLOWED], intent.allow_v6[:MOST_ALLOWED]
    inside = []
    for number in range(max(len(v4), len(v6), 1)):
        name = "vpn" if not number else f"vpn{number + 1}"
        one = some_address(v4[number]) if number < len(v4) else f"10.255.{number}.7"
        other = some_address(v6[number]) if number < len(v6) else f"fd00:255:{number}::7"
        inside.append(Zone(name, one, other, f"wg{number}"))
    return (OUTSIDE[0], *inside, OUTSIDE[1])


def some_address(network: str) -> str:
    """An address of a network, its eighth where it has so many: the first ones are often routers."""
    from ipaddress import ip_network

    found = ip_network(network)
    return str(found[min(7, found.num_addresses - 1)])


class lab_targets:  # noqa: N801 - used as a function in a `with`
    """Targets in a lab, by a grant of its own that ends with the block."""

    def __init__(self, store: Store, now: float) -> None:
        self._store, self._now = store, now

    def __enter__(self) -> Targets:
        kept = add_grant(
            self._store,
            [HOST_V4, HOST_V6],
            by="firewall lab",
            now=self._now,
            level=2,
            until=self._now + GRANT_SECONDS,
            reason="a network namespace of our own, in which rules are tried",
        )
        self._grant = kept.grant.id
        return authorise_scan(self._store, [HOST_V4, HOST_V6], [], 2, self._now, use="proof")

    def __exit__(self, *_: object) -> None:
        revoke_grant(self._store, self._grant, self._now)


def look_from_all(lab: Lab, targets: Targets) -> Seen:
    """Scan every port from every zone, all zones at once."""
    seen: Seen = {}
    failures: list[BaseException] = []

    def look(zone: Zone) -> None:
        try:
            seen.update(lab.space(zone.name).inside(lambda: dict(look_from(zone, lab.ports, targets))))
        except BaseException as failure:  # noqa: BLE001 - raised again below
            failures.append(failure)

    threads = [threading.Thread(target=look, args=(zone,)) for zone in lab.zones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return seen


def look_from(zone: Zone, ports: Iterable[Port], targets: Targets) -> Iterator[tuple[tuple[str, str, Port], str]]:
    by_number = {(port.transport, port.port): port for port in ports}
    chosen = PortSet(
        tuple((port, port) for transport, port in by_number if transport == "tcp"),
        tuple((port, port) for transport, port in by_number if transport == "udp"),
    )
    plan = make_plan(targets.addresses, chosen, rate=1000, seed=1)
    for event in measure(plan, targets, range(plan.blocks), Options(per_host=None, per_net=None)):
        if isinstance(event, BlockDone):
            for hi, lo, port, transport, state, *_ in event.batch.tolist():
                family = "IPv4" if text_of(hi << 64 | lo) == HOST_V4 else "IPv6"
                key = by_number["tcp" if transport == socket.IPPROTO_TCP else "udp", port]
                yield (zone.name, family, key), State(state).label


def open_session(lab: Lab, control: Port) -> socket.socket:
    """A connection from outside to the operator's port, made before the rules are loaded."""

    def connect() -> socket.socket:
        sock = socket.create_connection((HOST_V4, control.port), timeout=5)
        sock.settimeout(5)
        return sock

    return lab.space("wan").inside(connect)


def still_alive(session: socket.socket) -> str:
    """Whether the kernel still gets answers on a connection that was there before."""
    session.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        session.send(b"x")
        time.sleep(0.3)
        unacknowledged = session.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[24:28]
    except OSError:
        return "a session that was open before was cut off"
    return "" if unacknowledged == bytes(4) else "a session that was open before gets no answers any more"


def compare(intent: Intent, zones: Iterable[Zone], control: Port, before: Seen, after: Seen) -> Iterator[ProofRow]:
    for port in (*intent.ports, control):
        for zone in zones:
            for family, address in (("IPv4", zone.v4), ("IPv6", zone.v6)):
                if address is None:
                    continue
                was, now = before[zone.name, family, port], after[zone.name, family, port]
                if port is control:
                    yield ProofRow(zone.name, str(port), family, was, now, "unchanged", was == now, "your own way in")
                    continue
                wanted = "open" if intent.wanted(address) else "blocked"
                reached = now == "open"
                yield ProofRow(zone.name, str(port), family, was, now, wanted, reached == (wanted == "open"), "")


def explain_wrong(lab: Lab, rows: Iterable[ProofRow]) -> Iterator[ProofRow]:
    """Wrong rows with the rule that decides, as the evaluator finds it in what the host has loaded."""
    evaluator: Evaluator | None = None
    for row in rows:
        if row.ok:
            yield row
            continue
        if evaluator is None:
            rulesets = read_rulesets(lab.host.run("nft", "-j", "list", "ruleset"), "the lab")
            evaluator = Evaluator(rulesets[0])
        zone = next(zone for zone in lab.zones if zone.name == row.zone)
        yield replace(row, note=decided_by(evaluator, zone, row) or row.note)


def decided_by(evaluator: Evaluator, zone: Zone, row: ProofRow) -> str:
    """The rule that decides about the packets of a zone, in its own words."""
    address, family = (zone.v4, 4) if row.family == "IPv4" else (zone.v6, 6)
    port, _, transport = row.endpoint.partition("/")
    if address is None:
        return ""
    question = Question(family, AddressSet.of(address), transport, ((int(port), int(port)),), interface=zone.interface)
    for part in evaluator.judge(question):
        if part.by is not None:
            rule = part.by.rule
            return f"{rule.where}: {rule.text}" if rule is not None else f"policy of {part.by.chain.name}"
    return ""


def load_existing(lab: Lab, existing: Existing) -> Iterator[str]:
    """Load the user's own rules into the host; what cannot be loaded is named."""
    for name in interfaces_in(existing) - {zone.interface for zone in lab.zones} - {"lo"}:
        try:
            lab.host.ip("link", "add", name, "type", "veth", "peer", "name", f"p{abs(hash(name)) % 10**9}")
        except Failed:
            yield f"the interface {name} could not be made"
    if existing.nft:
        try:
            lab.host.run("nft", "-f", "-", text=existing.nft)
        except Failed as failure:
            yield f"the nftables rules were not loaded: {failure}"
    for tool, dump in existing.tables:
        try:
            lab.host.run(f"{tool}-restore", text=dump)
        except Failed as failure:
            yield f"the {tool} rules were not loaded: {failure}"


def interfaces_in(existing: Existing) -> set[str]:
    """Interfaces that rules name by index (`iif`, `oif`): those must exist. Patterns and names in `iifname` need not."""
    return set(re.findall(r"\b[io]if \"([A-Za-z0-9_.-]{1,15})\"", existing.nft))


def read_existing(files: Iterable[Path]) -> Existing:
    """Dumps by what they look like."""
    nft, tables = "", []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise UserError(f"the rules cannot be read: {error.strerror}", where=str(path), hint=f"ls -l {path}") from error
        if re.search(r"^\*(filter|nat|mangle|raw|security)$", text, re.MULTILINE):
            six = "ip6tables" in text.splitlines()[0] or "::/0" in text or "icmp6" in text or "icmpv6" in text
            tables.append(("ip6tables" if six else "iptables", text))
        elif re.search(r"^table (inet|ip|ip6|arp|bridge|netdev) ", text, re.MULTILINE):
            nft += without_xtables(text)
        else:
            hint = "give what `nft list ruleset`, `iptables-save` and `ip6tables-save` print"
            raise UserError("this looks like no dump of rules", where=str(path), hint=hint)
    return Existing(nft, tuple(tables))


def without_xtables(text: str) -> str:
    """The tables of iptables-nft do not load back through nft: they are taken from iptables-save instead."""
    kept, skipping = [], False
    for line in text.splitlines():
        if line.startswith("# Warning: table") and "iptables-nft" in line:
            skipping = True
            continue
        if skipping:
            skipping = line != "}"
            continue
        kept.append(line)
    return "\n".join(kept) + "\n"
