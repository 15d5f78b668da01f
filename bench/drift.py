"""Claim: two runs of a million endpoints are compared, and one is judged against a policy, in 2 s and 500 MB each.

    python bench/drift.py [ENDPOINTS]

Endpoints of 10.0.0.0/12 in random order; 5 % are open, half a hundredth opens and as many close between the two runs, the rest
refuses. The policy has 200 zones, 100 expectations and 20 assertions. Times are of the judgement alone (`inventory.diff`,
`policy.judgement.judge`), without the database, which `bench/store.py` measures; each runs in a process of its own, so its peak
memory is its own. The yardstick is one sort of as many 64-bit numbers on the same machine, run in between: the ratio does not
depend on how fast the machine is.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet, PortSet
from reconshield.inventory import Measurement, diff
from reconshield.model import OBSERVATION_FIELDS, Reason, State, Transport
from reconshield.policy import Policy, read_policy
from reconshield.policy.boxes import Box
from reconshield.policy.judgement import judge
from reconshield.policy.verdict import Measured

NOW = 1_790_000_000.0
FIRST = 0xFFFF0A000000
ROUNDS = 3


def make_run(count: int, seed: int) -> NDArray[Any]:
    """`count` different endpoints in random order, one in twenty open."""
    random = np.random.default_rng(seed)
    pairs = random.permutation(count)
    rows = np.zeros(count, OBSERVATION_FIELDS)
    rows["lo"] = FIRST + pairs // 16
    rows["port"] = 1 + pairs % 16 * 4000 + pairs // 16 % 4000
    opened = pairs % 20 == 0
    rows["transport"], rows["ttl"], rows["at"] = Transport.TCP, 64, NOW + np.arange(count) * 1e-5
    rows["state"] = np.where(opened, State.OPEN, State.CLOSED)
    rows["reason"] = np.where(opened, Reason.SYN_ACK, Reason.RESET)
    turned = pairs % 200 == seed
    rows["state"][turned], rows["reason"][turned] = State.OPEN, Reason.SYN_ACK
    return rows


def make_policy() -> Policy:
    zones = "".join(f'[[zone]]\nname = "z{n}"\ntargets = ["10.0.{n}.0/24"]\n' for n in range(200))
    dated = 'reason = "r"\nowner = "o"\nexpires = 2999-01-01\n'
    expects = "".join(f'[[expect]]\non = "z{n}"\nports = "1-20000"\n{dated}' for n in range(100))
    closed = "".join(f'[[closed]]\non = "z{n}"\nports = "4001-8000"\n' for n in range(90, 110))
    policy, problems = read_policy(f"version = 1\n{zones}{expects}{closed}", "bench")
    if policy is None:
        raise SystemExit(str(problems))
    return policy


def sort_once(count: int) -> float:
    numbers = np.random.default_rng(1).integers(0, 1 << 62, count)
    begun = time.perf_counter()
    np.argsort(numbers)
    return time.perf_counter() - begun


def compare(count: int) -> int:
    """The drift of two runs; returns how many changes there are."""
    before, after = (Measurement(make_run(count, seed), "bench", NOW + seed) for seed in (1, 2))
    return report(count, "drift", lambda: len(diff(before, after)))


def check(count: int) -> int:
    """The verdicts on one run; returns how many there are."""
    policy, rows = make_policy(), make_run(count, 1)
    hosts = AddressSet(((FIRST, FIRST + count // 16),))
    measured = Measured(rows, "bench", NOW, (Box(hosts, PortSet(tcp=((1, 65535),))),))
    return report(count, "check", lambda: sum(judge(policy, measured, NOW).counts().values()))


def report(count: int, name: str, work: Any) -> int:
    pairs = []
    for _ in range(ROUNDS):
        yardstick = sort_once(count)
        begun = time.perf_counter()
        found = work()
        pairs.append((time.perf_counter() - begun, yardstick))
    seconds, ratio = min(s for s, _ in pairs), min(s / y for s, y in pairs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {name}  {seconds:5.2f} s  {ratio:5.1f} sorts   {found:,} results   peak {peak:.0f} MB", flush=True)
    return int(found)


def main() -> None:
    if sys.argv[1:2] in (["drift"], ["check"]):
        {"drift": compare, "check": check}[sys.argv[1]](int(sys.argv[2]))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"python bench/drift.py {count}: the best of {ROUNDS}")
    for name in ("drift", "check"):
        subprocess.run([sys.executable, __file__, name, str(count)], check=True)


if __name__ == "__main__":
    main()
