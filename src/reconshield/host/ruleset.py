"""Rules of this machine's own firewall that answer for others: redirects, transparent proxies, changed destinations.

A mail or web filter on the machine that scans makes 25, 80, 110 or 143 look open on every host, because its rules turn such
connections round to a local program before they leave. The rules are read (`nft -j list ruleset`, and the older tables by
`iptables-legacy-save`), never changed. `find_in_nft` and `find_in_iptables` are pure: text in, records out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LIST_SECONDS = 20.0
MOST_BYTES = 64 << 20

TURNING = ("redirect", "dnat", "tproxy", "synproxy")
TARGETS = {"REDIRECT": "redirect", "DNAT": "dnat", "TPROXY": "tproxy", "SYNPROXY": "synproxy"}
COMMANDS = (("nft", "-j", "list", "ruleset"), ("iptables-legacy-save",), ("ip6tables-legacy-save",))


@dataclass(frozen=True, slots=True)
class Turned:
    """One rule that turns traffic round. `hook` is where: `output` is what this machine itself sends.

    `does` is redirect, dnat, tproxy or synproxy; `to` where it leads, `ports` what it applies to, empty where that is not told.
    """

    place: str
    hook: str
    does: str
    to: str = ""
    ports: str = ""

    def __str__(self) -> str:
        ports = f"{self.ports} " if self.ports else "all ports "
        return f"{self.place}: {ports}{self.does}{f' to {self.to}' if self.to else ''}"


@dataclass(frozen=True, slots=True)
class Ruleset:
    """What was found. `note` says why the rules could not be read; then nothing found proves nothing."""

    turned: tuple[Turned, ...] = ()
    note: str | None = None


def read_ruleset() -> Ruleset:
    """Read the live rules. Needs root for most of it."""
    found: list[Turned] = []
    notes = []
    for command in COMMANDS:
        if shutil.which(command[0]) is None:
            if command[0] == "nft":
                notes.append("nft is not installed")
            continue
        told = run_listing(command)
        if told is None:
            notes.append(f"{command[0]} does not show the rules to this user")
        elif command[0] == "nft":
            found += find_in_nft(json.loads(told))
        else:
            found += find_in_iptables(told, "ip6" if command[0].startswith("ip6") else "ip")
    return Ruleset(tuple(found), "; ".join(notes) or None)


def run_listing(command: tuple[str, ...]) -> str | None:
    """The output of a command, None if it failed."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=LIST_SECONDS, check=False)  # noqa: S603  a fixed command
    except (OSError, subprocess.TimeoutExpired):
        return None
    usable = done.returncode == 0 and len(done.stdout) <= MOST_BYTES
    return done.stdout.decode("utf-8", "replace") if usable else None


def find_in_nft(ruleset: Mapping[str, Any]) -> list[Turned]:
    """The rules that turn traffic round in an nftables ruleset as JSON (libnftables-json(5)), each with its hook."""
    rules: dict[tuple[str, str, str], list[list[Any]]] = {}
    bases: list[tuple[tuple[str, str, str], str]] = []
    for row in ruleset.get("nftables", ()):
        if chain := row.get("chain"):
            key = (chain["family"], chain["table"], chain["name"])
            if "hook" in chain:
                bases.append((key, chain["hook"]))
        elif rule := row.get("rule"):
            rules.setdefault((rule["family"], rule["table"], rule["chain"]), []).append(rule.get("expr", []))
    return [turned for key, hook in bases for turned in _walk(rules, key, hook, "", frozenset())]


def _walk(
    rules: dict[tuple[str, str, str], list[list[Any]]],
    key: tuple[str, str, str],
    hook: str,
    ports: str,
    on_the_way: frozenset[tuple[str, str, str]],
) -> Iterator[Turned]:
    """The turning rules of a chain and of those that it leads to; what was matched on the way there holds there too."""
    if key in on_the_way:
        return
    for expressions in rules.get(key, ()):
        matched = ", ".join(filter(None, map(_port_match, expressions))) or ports
        for expression in expressions:
            for name, body in expression.items():
                if name in TURNING:
                    yield Turned(" ".join(key), hook, name, _goal(body), matched)
                elif name == "xt" and isinstance(body, dict) and body.get("name") in TARGETS:
                    yield Turned(" ".join(key), hook, TARGETS[body["name"]], "", matched)
                elif name in {"jump", "goto"}:
                    yield from _walk(rules, (*key[:2], body["target"]), hook, matched, on_the_way | {key})


def _port_match(expression: Mapping[str, Any]) -> str:
    """`tcp 25, 80-90` for an expression that compares a destination port."""
    match = expression.get("match")
    payload = match["left"].get("payload") if isinstance(match, dict) and isinstance(match.get("left"), dict) else None
    if match is None or not isinstance(payload, dict) or payload.get("field") != "dport":
        return ""
    right = match["right"]
    members = right["set"] if isinstance(right, dict) and "set" in right else [right]
    ports = ", ".join(
        "-".join(map(str, one["range"])) if isinstance(one, dict) and "range" in one else str(one) for one in members
    )
    return f"{'not ' if match.get('op') == '!=' else ''}{payload.get('protocol', 'port')} {ports}"


def _goal(body: Any) -> str:
    """Where a statement leads, as far as it says so in plain values."""
    if not isinstance(body, dict):
        return ""
    address, port = body.get("addr"), body.get("port")
    plain = [str(value) for value in (address, port) if isinstance(value, str | int)]
    return ":".join(plain) if address is not None else "".join(f"port {value}" for value in plain)


def find_in_iptables(text: str, family: str) -> list[Turned]:
    """The same in the output of iptables-save (the tables that nft does not show)."""
    chains: dict[tuple[str, str], list[list[str]]] = {}
    table = ""
    for line in text.splitlines():
        words = line.split()
        if line.startswith("*"):
            table = line[1:].strip()
        elif len(words) > 2 and words[0] == "-A":
            chains.setdefault((table, words[1]), []).append(words[2:])
    found: list[Turned] = []
    for (table, chain), hook in {
        (t, c): c.lower() for t, c in chains if c in {"OUTPUT", "PREROUTING", "INPUT", "FORWARD"}
    }.items():
        found += _walk_iptables(chains, (table, chain), hook, "", frozenset(), family)
    return found


def _walk_iptables(
    chains: dict[tuple[str, str], list[list[str]]],
    key: tuple[str, str],
    hook: str,
    ports: str,
    on_the_way: frozenset[tuple[str, str]],
    family: str,
) -> Iterator[Turned]:
    if key in on_the_way:
        return
    for words in chains.get(key, ()):
        matched = _iptables_ports(words) or ports
        target = _after(words, ("-j", "-g"))
        if target in TARGETS:
            to = _after(words, ("--to-destination", "--to-ports", "--on-port"))
            yield Turned(
                f"{family} {' '.join(key)}", hook, TARGETS[target], to if ":" in to or not to else f"port {to}", matched
            )
        elif target:
            yield from _walk_iptables(chains, (key[0], target), hook, matched, on_the_way | {key}, family)


def _iptables_ports(words: list[str]) -> str:
    ports = _after(words, ("--dport", "--dports")).replace(":", "-").replace(",", ", ")
    return f"{_after(words, ('-p',)) or 'port'} {ports}" if ports else ""


def _after(words: Iterable[str], flags: tuple[str, ...]) -> str:
    """The word behind the first of these flags."""
    waiting = iter(words)
    return next((next(waiting, "") for word in waiting if word in flags), "")
