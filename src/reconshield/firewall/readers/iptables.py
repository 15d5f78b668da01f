"""`iptables-save` and `ip6tables-save`, also `iptables -S`, one after the other in one text if wanted, with `ipset save`.

Comments that these programs write say which family a part is for; without one it is told by its addresses.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from reconshield.firewall.marks import possible_marks
from reconshield.firewall.reader import Reader
from reconshield.firewall.ruleset import Action, Box, Branch, Chain, Change, Fault, Kind, Rule, Ruleset
from reconshield.firewall.values import Faulty, join
from reconshield.firewall.xtables.ipset import IpSets
from reconshield.firewall.xtables.options import LONG, MARKS, OPPOSITES, OPTIONS, box, opposite, read_mark
from reconshield.firewall.xtables.targets import MARKS as MARK_TARGETS
from reconshield.firewall.xtables.targets import read_target, set_mark
from reconshield.text import printable

PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
NAT_SOURCE = 100
HOOKS = {name.upper(): name for name in ("prerouting", "input", "forward", "output", "postrouting")}
POLICIES = {"ACCEPT": Kind.ACCEPT, "DROP": Kind.DROP, "REJECT": Kind.REJECT, "QUEUE": Kind.UNKNOWN}
FORMAT = re.compile(r"^(\*(filter|nat|mangle|raw|security)\s*$|-[AP] \S+ )", re.MULTILINE)
FAMILY_COMMENT = re.compile(r"#.*\b(ip6?)tables(-\w+)?-save")
SETTING = re.compile(r'^(?P<name>[A-Z_0-9]+)="?(?P<value>[^"]*)"?$')
QUOTED = re.compile(r"[\"'\\]")
IPV6_WORDS = frozenset({"ipv6-icmp", "icmpv6", "icmp6-port-unreachable", "icmp6-adm-prohibited"})
CONDITIONAL = frozenset({"limit", "hashlimit", "recent", "quota", "connlimit", "statistic", "time", "connbytes", "u32", "bpf"})
"""Modules whose conditions depend on what came before, on chance or on the time."""
LONGEST_TEXT = 160


def recognises(text: str) -> bool:
    return FORMAT.search(text) is not None


def read(text: str) -> tuple[Ruleset, ...]:
    """One ruleset of both families."""
    tables = Tables()
    for number, line in enumerate(text.splitlines(), 1):
        tables.take(number, line.strip())
    return (tables.ruleset(),)


@dataclass
class Draft:
    """A chain while it is read. Its family is not known before its section has ended."""

    table: str
    name: str
    policy: Kind | None = None
    rules: list[Rule] = field(default_factory=list)


@dataclass
class Section:
    """One run of one program: its family (0 = not said) and its chains by table and name."""

    family: int = 0
    chains: dict[tuple[str, str], Draft] = field(default_factory=dict)
    lines: list[tuple[int, str, list[str]]] = field(default_factory=list)

    def chain(self, table: str, name: str) -> Draft:
        return self.chains.setdefault((table, name), Draft(table, name))


class Tables:
    """The text line by line. Rules wait until the family and all chains and sets of their section are known."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self.table = "filter"
        self.sets = IpSets()
        self.defaults: dict[str, Kind] = {}
        self.faults: list[Fault] = []
        self.notes: list[str] = []

    @property
    def section(self) -> Section:
        if not self.sections:
            self.sections.append(Section())
        return self.sections[-1]

    def take(self, number: int, line: str) -> None:
        if line.startswith("#"):
            if (told := FAMILY_COMMENT.match(line)) is not None:
                self._begin(6 if told[1] == "ip6" else 4)
            return
        if not line or line == "COMMIT":
            return
        if (setting := SETTING.match(line)) is not None:  # of /etc/default/ufw
            self.defaults[setting["name"]] = POLICIES.get(setting["value"], Kind.UNKNOWN)
        elif line.startswith("*"):
            self._begin_table(line[1:].strip())
        else:
            self._take_rule(number, line)

    def _take_rule(self, number: int, line: str) -> None:
        line = re.sub(r"^\[\d+:\d+\] ", "", line)  # the counters of iptables-save -c
        try:
            words = shlex.split(line) if QUOTED.search(line) else line.split()
        except ValueError:
            words = []
        if line.startswith(":") and len(words) >= 2:
            self.section.chain(self.table, words[0][1:]).policy = POLICIES.get(words[1])
        elif words[:1] == ["-P"] and len(words) >= 3:
            self.section.chain(self.table, words[1]).policy = POLICIES.get(words[2])
        elif words[:1] == ["-N"] and len(words) == 2:
            self.section.chain(self.table, words[1])
        elif words[:1] == ["-A"] and len(words) >= 2:
            self.section.chain(self.table, words[1])
            self.section.lines.append((number, self.table, words))
        elif not (words and self.sets.take(words)):
            self.section.lines.append((number, self.table, [line]))

    def _begin(self, family: int) -> None:
        """A comment tells the family; each program writes one before each table."""
        section = self.section
        if section.family not in {0, family} or (section.family == 0 and section.chains):
            self.sections.append(Section())
        self.section.family = family

    def _begin_table(self, table: str) -> None:
        """The same table a second time, without a comment in between, is the other program's."""
        if self.section.family == 0 and any(own == table for own, _ in self.section.chains):
            self.sections.append(Section())
        self.table = table

    def ruleset(self) -> Ruleset:
        chains: list[Chain] = []
        labels: set[str] = set()
        for section in self.sections:
            chains += self._chains(section, labels)
        families = tuple(sorted({family for chain in chains for family in chain.families}))
        if len(families) == 1:
            other = "ip6tables-save" if families == (4,) else "iptables-save"
            self.notes.append(f"only IPv{families[0]} is in this file; add the output of {other}")
        return Ruleset("iptables-save", tuple(chains), "", tuple(self.faults), tuple(self.notes), families)

    def _chains(self, section: Section, labels: set[str]) -> Iterator[Chain]:
        family = section.family or self._guess(section)
        marks = possible_marks(change for _, _, words in section.lines for change in mark_changes(words))
        prefixes = {table: label_for(f"{'ip' if family == 4 else 'ip6'} {table}", labels) for table, _ in section.chains}
        labels |= set(prefixes.values())
        for number, table, words in section.lines:
            if len(words) == 1:  # nobody knows what this line says, so the chains of its table are not known from here on
                self.faults.append(Fault(f"line {number}", f"this is no rule: {printable(words[0])}"))
                for draft in section.chains.values():
                    if draft.table == table:
                        draft.rules.append(unknown_rule(len(draft.rules) + 1, number, words[0]))
                continue
            draft = section.chain(table, words[1])
            names = {name for own, name in section.chains if own == table}
            reading = RuleReading(family, self.sets, names, prefixes[table], marks)
            reading.read(words[2:])
            text = printable(" ".join(words[2:]), LONGEST_TEXT)
            draft.rules.append(Rule(len(draft.rules) + 1, f"line {number}", text, tuple(reading.branches)))
            self.faults += [Fault(f"line {number}", f"{why}: {text}") for why in reading.faults[:1]]
        for draft in section.chains.values():
            yield finish(draft, prefixes[draft.table], family)
        yield from self._missing_bases(section, prefixes, family)

    def _missing_bases(self, section: Section, prefixes: dict[str, str], family: int) -> Iterator[Chain]:
        """The base chains of a file that has none, such as ufw's own: what it does not say is not known."""
        names = {name for table, name in section.chains if table == "filter"}
        if not names or any(chain in HOOKS for _, chain in section.chains):
            return
        for base, direction in (("INPUT", "input"), ("FORWARD", "forward"), ("OUTPUT", "output")):
            users = [name for name in names if re.fullmatch(rf"ufw6?-user-{direction}", name)]
            label = prefixes["filter"]
            jumps = [
                Rule(number, "", f"-j {user}", (Branch(((),), Action(Kind.JUMP, target=f"{label} {user}")),))
                for number, user in enumerate(users, 1)
            ]
            policy = self.defaults.get(f"DEFAULT_{base}_POLICY")
            remark = "" if policy else "this file has no base chains (for ufw add /etc/default/ufw before it)"
            yield Chain(f"{label} {base}", tuple(jumps), (family,), direction, 0, policy or Kind.UNKNOWN, remark=remark)

    def _guess(self, section: Section) -> int:
        """The family of a part without a comment: by the addresses and protocols it names."""
        words = [word for _, _, line in section.lines for word in line]
        six = any((word.count(":") > 1 and "/" in word) or word in IPV6_WORDS for word in words)
        six = six or any(name.startswith("ufw6-") for _, name in section.chains)
        if section.chains:
            self.notes.append(f"rules without a comment of iptables-save are taken for IPv{6 if six else 4}")
        return 6 if six else 4


def label_for(label: str, taken: set[str]) -> str:
    """A table's name; where two dumps have the same one (the kernel's old and new tables), the second is told apart."""
    return label if label not in taken else label_for(f"{label} (again)", taken)


def finish(draft: Draft, prefix: str, family: int) -> Chain:
    hook = HOOKS.get(draft.name, "")
    late = draft.table == "nat" and hook in {"input", "postrouting"}
    return Chain(
        f"{prefix} {draft.name}",
        tuple(draft.rules),
        (family,),
        hook,
        NAT_SOURCE if late else PRIORITIES.get(draft.table, 0),
        draft.policy or Kind.ACCEPT,
        nat=draft.table == "nat",
    )


def mark_changes(words: list[str]) -> tuple[Change, ...]:
    """What a line does to marks."""
    target = next((words[at + 1] for at, word in enumerate(words[:-1]) if word in {"-j", "--jump"}), "")
    if target not in MARK_TARGETS:
        return ()
    options = {word: following for word, following in pairwise([*words, ""]) if word.startswith("--")}
    try:
        return set_mark(target, options).sets
    except Faulty:
        return ()


def unknown_rule(number: int, line: int, text: str) -> Rule:
    why = f"line {line} could not be read"
    return Rule(number, f"line {line}", printable(text), (Branch(((),), Action(Kind.UNKNOWN, why=why)),))


class RuleReading:
    """One rule: options narrow `boxes`, what is not understood leaves a doubt, the target makes the branch."""

    def __init__(self, family: int, sets: IpSets, chains: set[str], prefix: str, marks: Sequence[int]) -> None:
        self.family = family
        self.marks = marks
        self.sets = sets
        self.chains = chains
        self.prefix = prefix
        self.boxes: list[Box] = [()]
        self.doubt = ""
        self.module = ""
        self.target: tuple[str, str] = ("", "")
        self.target_options: dict[str, str] = {}
        self.branches: list[Branch] = []
        self.faults: list[str] = []

    def read(self, words: list[str]) -> None:
        waiting = list(words)
        while waiting:
            denied = waiting[0] == "!"
            if denied:
                waiting.pop(0)
            if not waiting:
                self.fault("a lone !")
                break
            name = LONG.get(waiting[0], waiting[0])
            waiting.pop(0)
            if not denied and waiting[:1] == ["!"]:  # the old spelling: -s ! ADDRESS
                denied = True
                waiting.pop(0)
            self.option(name, denied, waiting)
        self.finish()

    def fault(self, why: str) -> None:
        self.faults.append(why)
        self.doubt = self.doubt or why

    def option(self, name: str, denied: bool, waiting: list[str]) -> None:
        """One option with the words that belong to it, taken from those that wait."""
        if name in {"-j", "-g"} and waiting:
            self.target = (name, waiting.pop(0))
            return
        if name == "-m" and waiting:
            self.module = waiting.pop(0)
            if self.module in CONDITIONAL:
                self.doubt = self.doubt or f"`-m {self.module}` depends on what came before or on the time"
            return
        if self.target[1] and name.startswith("--"):
            self.target_options[name] = " ".join(arguments(waiting))
            return
        count, _ = OPTIONS.get(name, (0, None))
        known = name in OPTIONS or name in {"--mark", "--match-set"}
        taken = [waiting.pop(0) for _ in range(min(count, len(waiting)))] if name in OPTIONS else arguments(waiting)
        if self.module in CONDITIONAL and not known:
            return
        if self.module == "rpfilter":
            denied, known = name == "--invert", True
            name = "--rpfilter"
        try:
            if not known or len(taken) < count:
                raise Faulty(f"`{name[:40]}` is not supported")  # noqa: TRY301 - one way to say it
            if denied and name in OPPOSITES:
                boxes = OPPOSITES[name](taken, self.family)
            else:
                boxes = self.boxes_of(name, taken)
                boxes = opposite(boxes) if denied else boxes
            self.boxes = join(self.boxes, boxes)
        except Faulty as error:
            self.fault(str(error))

    def boxes_of(self, name: str, words: list[str]) -> list[Box]:
        if name == "--mark":
            return box(MARKS.get(self.module, MARKS["mark"]), read_mark(words[0] if words else "", self.marks))
        if name == "--match-set":
            return self.sets.match(*words[:2]) if len(words) >= 2 else []
        return OPTIONS[name][1](words, self.family)

    def finish(self) -> None:
        kind, name = self.target
        if not name or not self.boxes:
            return
        try:
            if name in self.chains:
                own = Kind.JUMP if kind == "-j" else Kind.GOTO
                action: Action | None = Action(own, target=f"{self.prefix} {name}")
            else:
                action = read_target(name, self.target_options)
        except Faulty as error:
            self.faults.append(str(error))
            action = Action(Kind.UNKNOWN, why=str(error))
        if action is not None:
            self.branches.append(Branch(tuple(self.boxes), action, self.doubt))


def arguments(waiting: list[str]) -> list[str]:
    """The words of an option that is not known: all before the next option."""
    taken: list[str] = []
    while waiting and waiting[0] != "!" and not re.match(r"--?[a-zA-Z]", waiting[0]):
        taken.append(waiting.pop(0))
    return taken


READER = Reader("iptables-save", "iptables-save and ip6tables-save", recognises, read)
