"""The firewall evaluator beside the Linux kernel: do they agree on every packet? Needs root, iproute2, nft, iptables.

    python bench/agreement.py [--rulesets 560] [--packets 200] [--seed 1]

Claim: on at least 100,000 random cases the evaluator says of no packet anything but what the kernel does with it: let through
(on which hook, to which address and port after translation) or not. Half of the rulesets are for nft (several base chains,
jumps, sets, maps, marks, translations), a quarter each for iptables on nf_tables and for the old iptables. Packets of both
families come in by a cable into a namespace of their own; one in ten belongs to an established connection. "Unknown" is no
disagreement, and counted.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from reconshield.text import percent
from system.agreement import Tally, try_iptables, try_nft
from system.kernel import KernelHost
from system.netns import can_make_namespaces

SHOWN = 3


def main() -> int:
    parser = argparse.ArgumentParser(description="The evaluator and the kernel, on random rulesets and packets")
    parser.add_argument("--rulesets", type=int, default=560)
    parser.add_argument("--packets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not can_make_namespaces():
        raise SystemExit("this benchmark needs root, iproute2 and nftables")
    kinds = {"nft": Tally(), "iptables-nft": Tally(), "iptables-legacy": Tally()}
    began = time.perf_counter()
    with KernelHost() as host:
        for number in range(options.rulesets):
            rng = Random(options.seed * 1_000_000 + number)
            if number % 2 == 0:
                try_nft(host, rng, options.packets, kinds["nft"])
            else:
                program = "nft" if number % 4 == 1 else "legacy"
                try_iptables(host, rng, options.packets, kinds[f"iptables-{program}"], program)
    seconds = time.perf_counter() - began
    for name, tally in kinds.items():
        counted = f"{tally.answers['allow']:,} let through, {tally.answers['deny']:,} not, {tally.unknown} unknown"
        print(f"{name:16} {tally.cases:8,} cases: {counted}, {len(tally.wrong)} wrong")
        for case in tally.wrong[:SHOWN]:
            print(case)
    cases = sum(tally.cases for tally in kinds.values())
    wrong = sum(len(tally.wrong) for tally in kinds.values())
    decided = cases - sum(tally.unknown for tally in kinds.values())
    share = percent(decided - wrong, decided)
    print(f"{cases:,} cases in {seconds:.0f} s; of {decided:,} decided, {share} agree: {'yes' if not wrong else 'NO'}")
    return 0 if not wrong and cases >= 100_000 else 1


if __name__ == "__main__":
    sys.exit(main())
