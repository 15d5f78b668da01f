"""What the doctor says about each thing it looked at: facts in, a state, a sentence and the next step out. Pure.

ok           as it should be
warning      a scan works, but slower, or its answers may be wrong; the sentence says how
bad          must be mended; `doctor` ends with 1
not-tested   nothing is known, and why
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reconshield.host.abilities import Limits, Trial
from reconshield.host.ruleset import Ruleset
from reconshield.jobs.intel import Status
from reconshield.model import Endpoint, State
from reconshield.text import count, plural

Condition = Literal["ok", "warning", "bad", "not-tested"]

FEW_FILES, FEW_PORTS = 4096, 16_384
SHOWN_RULES = 4


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at. `next` is a command or an action, None where there is nothing to do."""

    name: str
    state: Condition
    what: str
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Control:
    """A control endpoint: what its owner knows of it, and what was measured now."""

    endpoint: Endpoint
    expected: State
    seen: State
    reason: str


def judge_raw(allowed: bool, trial: Trial, system: str) -> Diagnosis:
    """Whether the raw engine can be used."""
    if system != "linux":
        return Diagnosis("raw sending", "warning", "raw packets are sent on Linux only; the connect engine is used")
    if not trial.namespace:
        why = f"not tried: {trial.why}"
        state: Condition = "not-tested" if allowed else "warning"
        return Diagnosis(
            "raw sending", state, why if allowed else f"{why}; packet sockets are refused, the connect engine is used"
        )
    if not trial.raw:
        return Diagnosis(
            "raw sending", "warning", f"does not work here: {trial.why}", "reconshield scan TARGET --engine connect"
        )
    if not allowed:
        what = "this kernel can, this user may not (CAP_NET_RAW); the connect engine is used"
        return Diagnosis("raw sending", "warning", what, "run as root, or see docs/scanning.md for a unit or container")
    return Diagnosis("raw sending", "ok", "a packet was sent and heard in a namespace of its own")


def judge_capabilities(held: frozenset[str] | None) -> Diagnosis:
    """What this process may do; without it less is measured or read, so it is no fault."""
    if held is None:
        return Diagnosis("capabilities", "not-tested", "this system has none; the connect engine needs none")
    names = ", ".join(sorted(held)) or "none"
    if "CAP_NET_RAW" in held:
        return Diagnosis("capabilities", "ok", names)
    return Diagnosis("capabilities", "warning", f"{names}; the raw engine needs CAP_NET_RAW")


def judge_namespaces(trial: Trial) -> Diagnosis:
    """Whether `firewall prove` has a place to work in."""
    if trial.namespace == "root":
        return Diagnosis("namespaces", "ok", "network namespaces can be made; firewall rules can be proved")
    if trial.namespace == "user":
        return Diagnosis(
            "namespaces", "warning", "only inside a user namespace; firewall rules are proved as root", "run as root"
        )
    return Diagnosis("namespaces", "warning", f"{trial.why}; firewall rules are evaluated, not proved")


def judge_limits(limits: Limits) -> list[Diagnosis]:
    """What slows the connect engine down: each connection takes a file and a source port."""
    found = []
    if limits.files is not None:
        hard = limits.files[1]
        if hard is None or hard >= FEW_FILES:
            found.append(Diagnosis("open files", "ok", f"at most {count(hard)}" if hard is not None else "no limit"))
        else:
            what = f"at most {count(hard)}: fewer connections at once"
            found.append(Diagnosis("open files", "warning", what, "ulimit -Hn 65536, or LimitNOFILE= in the unit"))
    if limits.ports is not None:
        first, last = limits.ports
        many = last - first + 1
        what = f"{count(many)} ({first} to {last})"
        few = many < FEW_PORTS
        raise_it = "sysctl net.ipv4.ip_local_port_range='32768 60999'" if few else None
        found.append(Diagnosis("source ports", "warning" if few else "ok", what, raise_it))
    if limits.tracked is not None:
        most, now = limits.tracked
        full = now > most // 2
        what = f"{count(now)} of {count(most)} connections are tracked"
        found.append(Diagnosis("tracking", "warning" if full else "ok", what, "scan with --rate 500" if full else None))
    return found


def judge_ruleset(rules: Ruleset) -> Diagnosis:
    """Whether rules of this machine answer for others."""
    outgoing = [turned for turned in rules.turned if turned.hook == "output"]
    others = [turned for turned in rules.turned if turned.hook != "output"]
    if outgoing:
        what = f"what leaves this machine is turned round, so that ports look open elsewhere: {_listed(outgoing)}"
        return Diagnosis(
            "local rules", "bad", what, "take these ports out of the rule for the user that scans, or scan elsewhere"
        )
    if rules.note:
        state: Condition = "warning" if others else "not-tested"
        return Diagnosis("local rules", state, rules.note, "reconshield doctor, as root")
    if others:
        what = f"nothing that leaves this machine is turned round; what passes through it is: {_listed(others)}"
        return Diagnosis("local rules", "warning", what)
    return Diagnosis("local rules", "ok", "no redirect, proxy or changed destination")


def _listed(turned: Sequence[object]) -> str:
    more = f" and {len(turned) - SHOWN_RULES} more" if len(turned) > SHOWN_RULES else ""
    return "; ".join(map(str, turned[:SHOWN_RULES])) + more


def judge_path(controls: Sequence[Control]) -> Diagnosis:
    """Whether something between here and there answers for others, shown by endpoints whose owner knows what they are."""
    ask = "reconshield doctor --control HOST:PORT --control-closed HOST:25,80,110,143"
    if not controls:
        return Diagnosis("path", "not-tested", "no control endpoints were given", ask)
    faked = [c for c in controls if c.expected is State.CLOSED and c.seen is State.OPEN]
    if faked:
        what = f"{_endpoints(faked)} should be closed and looks open: something on the way, or on this machine, answers for it"
        return Diagnosis(
            "path", "bad", what, "compare from another network; believe no open port before it answered in its protocol"
        )
    lost = [c for c in controls if c.expected is State.OPEN and c.seen is not State.OPEN]
    if lost:
        what = f"{_endpoints(lost)} should be open and is {lost[0].seen.label} ({lost[0].reason})"
        return Diagnosis(
            "path", "bad", what, "is it still up? Otherwise a firewall on the way keeps open ports from being seen"
        )
    expected = {c.expected for c in controls}
    if len(expected) == 1:
        known = "open" if State.OPEN in expected else "closed"
        return Diagnosis(
            "path", "warning", f"half tested: {plural(len(controls), 'endpoint', 'endpoints')} known to be {known}", ask
        )
    return Diagnosis("path", "ok", f"{plural(len(controls), 'control', 'controls')} as expected, open and closed")


def _endpoints(controls: Sequence[Control]) -> str:
    return ", ".join(str(control.endpoint) for control in controls[:SHOWN_RULES])


def judge_private(name: str, path: str, mode: int | None, allowed: int) -> Diagnosis:
    """Whether a file or folder is for its owner only; `allowed` are the bits that it may have."""
    if mode is None:
        return Diagnosis(name, "ok", f"{path}: not there yet; the first scan makes it")
    if mode & ~allowed:
        what = f"{path} has mode {mode:04o}; others can read what was measured"
        return Diagnosis(name, "bad", what, f"chmod {allowed:o} {path}")
    return Diagnosis(name, "ok", f"{path}, mode {mode:04o}")


def judge_feeds(rows: Sequence[Status]) -> list[Diagnosis]:
    """How old the tables are that age."""
    return [_judge_feed(row) for row in rows]


def _judge_feed(row: Status) -> Diagnosis:
    name, renew = f"feed {row.feed}", f"reconshield intel update {row.feed}"
    if row.state == "missing":
        return Diagnosis(name, "warning", f"{row.title} was never fetched; ratings do without it", renew)
    if row.state == "broken":
        return Diagnosis(name, "bad", f"{row.title} differs from what was fetched", renew)
    age = f"version {row.version}, {plural(row.days or 0, 'day', 'days')} old"
    if row.state == "ok":
        return Diagnosis(name, "ok", age)
    return Diagnosis(name, "warning", f"{age}; what is newer is missing", renew)


def judge_clock(synchronised: bool | None, now: float, newest_data: float) -> Diagnosis:
    """Whether times can be believed: grants end, certificates expire and runs are compared by them."""
    if now < newest_data:
        what = "the clock is before the data of this package: grants and certificates are judged wrongly"
        return Diagnosis("clock", "bad", what, "timedatectl set-ntp true")
    if synchronised is None:
        return Diagnosis("clock", "not-tested", "this system does not say whether its clock is synchronised")
    if not synchronised:
        return Diagnosis("clock", "warning", "not synchronised", "timedatectl set-ntp true")
    return Diagnosis("clock", "ok", "synchronised")
